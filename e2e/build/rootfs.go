//go:build linux

package build

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
)

// rootPackages is what a node has beyond the smallest Debian.
var rootPackages = []string{
	"systemd", "systemd-sysv", "dbus", "iproute2", "iputils-ping", "iptables", "nftables", "kmod", "conntrack",
	"ethtool", "socat", "procps", "ca-certificates", "openssh-server", "curl", "runc",
	"haproxy", "keepalived", "nginx-light", "libnginx-mod-stream", "psmisc",
}

// disabled are services that a test starts if it wants them.
var disabled = []string{"haproxy.service", "keepalived.service", "nginx.service", "ssh.service", "nftables.service"}

// masked are units that do nothing useful on a node, or that would change
// settings of the kernel that the node shares with the machine.
var masked = []string{
	"systemd-sysctl.service", "systemd-modules-load.service", "systemd-binfmt.service", "proc-sys-fs-binfmt_misc.automount",
	"systemd-udevd.service", "systemd-udev-trigger.service", "systemd-udevd-kernel.socket", "systemd-udevd-control.socket",
	"kmod-static-nodes.service", "sys-kernel-config.mount", "sys-kernel-debug.mount", "sys-kernel-tracing.mount",
	"modprobe@.service", "dev-hugepages.mount", "getty.target", "console-getty.service",
	"systemd-networkd.service", "systemd-networkd.socket", "systemd-pstore.service",
	"apt-daily.timer", "apt-daily-upgrade.timer", "dpkg-db-backup.timer", "e2scrub_all.timer", "e2scrub_reap.service",
	"fstrim.timer", "systemd-tmpfiles-clean.timer", "man-db.timer",
}

// root returns an entry whose folder "root" is the nodes' root file system.
func (b *builder) root(ctx context.Context) (string, error) {
	suite, err := codename()
	if err != nil {
		return "", err
	}
	key := digest(suite, b.arch, strings.Join(rootPackages, " "), strings.Join(disabled, " "), strings.Join(masked, " "))
	return b.cache.ensure(ctx, "debian", key, func(ctx context.Context, dir string) error {
		return b.bootstrap(ctx, suite, filepath.Join(dir, "root"))
	})
}

func (b *builder) bootstrap(ctx context.Context, suite, root string) error {
	mirror, err := debianMirror(ctx, suite)
	if err != nil {
		return err
	}
	done := b.log.during(fmt.Sprintf("install Debian %s into a directory", suite), nil)
	defer done()
	// debootstrap mounts /proc in its target: in mount namespace of its own
	// that mount ends with it, even if it is killed.
	private := &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS}
	argv := append([]string{"env"}, proxySettings(ctx)...)
	argv = append(argv, "debootstrap", "--variant=minbase", "--include="+strings.Join(rootPackages, ","), suite, root, mirror)
	if err := output(ctx, private, argv...); err != nil {
		return err
	}
	for _, change := range [][]string{append([]string{"disable"}, disabled...), append([]string{"mask"}, masked...)} {
		if err := output(ctx, private, append([]string{"chroot", root, "systemctl"}, change...)...); err != nil {
			return err
		}
	}
	for _, pattern := range []string{"var/cache/apt/archives/*.deb", "var/lib/apt/lists/*", "etc/machine-id", "etc/hostname"} {
		files, err := filepath.Glob(filepath.Join(root, pattern))
		if err != nil {
			return err
		}
		for _, file := range files {
			if err := os.RemoveAll(file); err != nil {
				return err
			}
		}
	}
	return nil
}

// codename is the Debian release of this machine, such as bookworm.
func codename() (string, error) {
	data, err := os.ReadFile("/etc/os-release")
	if err != nil {
		return "", err
	}
	fields := make(map[string]string)
	for line := range strings.Lines(string(data)) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), "="); ok {
			fields[name] = strings.Trim(value, `"`)
		}
	}
	if fields["ID"] != "debian" || fields["VERSION_CODENAME"] == "" {
		return "", fmt.Errorf("%w; this is %s", ErrHost, fields["PRETTY_NAME"])
	}
	return fields["VERSION_CODENAME"], nil
}

// debianMirror is where this machine's apt takes the release from.
func debianMirror(ctx context.Context, suite string) (string, error) {
	ask := func() (string, error) {
		out, err := exec.CommandContext(ctx, "apt-get", "indextargets",
			"--format", "$(ORIGIN) $(CODENAME) $(COMPONENT) $(SITE)", "Created-By: Packages").Output()
		if err != nil {
			return "", fmt.Errorf("apt-get indextargets: %w", err)
		}
		return parseMirror(out, suite), nil
	}
	if mirror, err := ask(); err != nil || mirror != "" {
		return mirror, err
	}
	// Origin and code name are known once the lists have been fetched.
	if err := output(ctx, nil, "apt-get", "update"); err != nil {
		return "", err
	}
	mirror, err := ask()
	if err == nil && mirror == "" {
		err = errors.New("apt has no source of origin Debian for " + suite + ": see /etc/apt/sources.list")
	}
	return mirror, err
}

// parseMirror finds the site of the release's main component in lines of
// "origin codename component site".
func parseMirror(lines []byte, suite string) string {
	for scan := bufio.NewScanner(bytes.NewReader(lines)); scan.Scan(); {
		f := strings.Fields(scan.Text())
		if len(f) == 4 && f[0] == "Debian" && f[1] == suite && f[2] == "main" {
			return f[3]
		}
	}
	return ""
}

// proxySettings passes apt's proxies on to debootstrap, which does not read
// apt's configuration.
func proxySettings(ctx context.Context) []string {
	var env []string
	for _, scheme := range []string{"http", "https"} {
		out, err := exec.CommandContext(ctx, "apt-config", "shell", "PROXY", "Acquire::"+scheme+"::Proxy").Output()
		if err != nil {
			continue
		}
		value := strings.Trim(strings.TrimPrefix(strings.TrimSpace(string(out)), "PROXY="), "'")
		if value != "" && value != "DIRECT" {
			env = append(env, scheme+"_proxy="+value)
		}
	}
	return env
}
