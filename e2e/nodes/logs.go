//go:build linux

package nodes

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// collectLimit is the longest that one node's logs may take.
const collectLimit = time.Minute

// reports are commands whose output shows what a running node is doing. Their
// exit codes do not matter: half a broken node is what is looked for.
var reports = map[string]string{
	"journal.txt":    "journalctl --no-pager -o short-precise",
	"kubelet.txt":    "systemctl --no-pager status kubelet.service containerd.service; journalctl --no-pager -o short-precise -u kubelet.service",
	"containers.txt": "ctr -n k8s.io containers list; ctr -n k8s.io tasks list",
	"network.txt":    "ip address; ip route; ss -tanp; iptables-save",
	"processes.txt":  "ps axfww -o pid,ppid,stat,start,time,rss,args",
	"files.txt":      "find /etc/kubernetes /var/lib/kubelet/pki /var/lib/etcd -printf '%M %u %s %TY-%Tm-%Td %TT %p -> %l\\n'; df -h",
}

// collected are the files that are copied. Nothing with a key in it: no
// *.key, and no kubeconfig, which may carry one inside.
const collected = `cd / && find etc/kubernetes/manifests etc/kubernetes/pki var/lib/kubelet/config.yaml ` +
	`var/lib/kubelet/kubeadm-flags.env var/log/pods var/log/hactl* var/lib/hactl/log* etc/haproxy/haproxy.cfg ` +
	`etc/hactl-lab etc/cni/net.d ! -type d ! -name '*.key' ! -name '*.pem' ! -name '*.conf' -print0 2>/dev/null | ` +
	`tar --null --no-recursion --ignore-failed-read -cf - -T - || [ $? = 1 ]` // 1: a file grew meanwhile

// CollectLogs writes, for each node, the journal, the containers' logs, the
// manifests, hactl's own logs and a few reports to a folder below dir. Of nodes
// that are off it takes the journal and the console. Files with keys in them
// are left out.
func (l *Lab) CollectLogs(ctx context.Context, dir string) error {
	return each(l.Nodes(), func(n *Node) error {
		ctx, cancel := context.WithTimeout(ctx, collectLimit)
		defer cancel()
		folder := filepath.Join(dir, n.name)
		if err := os.MkdirAll(folder, 0o755); err != nil {
			return err
		}
		console, err := os.ReadFile(n.dir("console.log"))
		if err == nil {
			err = os.WriteFile(filepath.Join(folder, "console.txt"), console, 0o644)
		}
		if !n.Running() || n.lab.groups.frozen(l.name, n.name) {
			return errors.Join(err, n.collectOff(ctx, folder))
		}
		return errors.Join(err, n.collectFiles(ctx, folder), n.collectReports(ctx, folder))
	})
}

func (n *Node) collectReports(ctx context.Context, folder string) error {
	var errs []error
	for name, script := range reports {
		result, err := n.Run(ctx, "sh", "-c", "exec 2>&1; "+script)
		var exit *ExitError
		if errors.As(err, &exit) {
			err = nil
		}
		errs = append(errs, err, os.WriteFile(filepath.Join(folder, name), result.Stdout, 0o644))
	}
	return errors.Join(errs...)
}

// collectFiles copies the files as they are, links as links.
func (n *Node) collectFiles(ctx context.Context, folder string) error {
	pack, err := n.Command(ctx, "sh", "-c", collected)
	if err != nil {
		return err
	}
	target := filepath.Join(folder, "files")
	if err := os.MkdirAll(target, 0o755); err != nil {
		return err
	}
	unpack := exec.CommandContext(ctx, "tar", "-x", "--no-same-owner", "-C", target)
	reader, writer := io.Pipe()
	var said bytes.Buffer
	pack.Stdout, pack.Stderr = writer, &said
	unpack.Stdin = reader
	failed := make(chan error, 1)
	go func() {
		err := pack.Run()
		writer.Close()
		failed <- err
	}()
	err = quietly(unpack)
	reader.Close()
	if packErr := <-failed; packErr != nil {
		err = errors.Join(err, fmt.Errorf("pack the files of %s: %w: %s", n.name, packErr, strings.TrimSpace(said.String())))
	}
	return err
}

// collectOff reads the journal from the disk of a node without power.
func (n *Node) collectOff(ctx context.Context, folder string) error {
	out, err := exec.CommandContext(ctx, "journalctl", "--no-pager", "-o", "short-precise", "-D", n.dir("upper/var/log/journal")).Output()
	if err != nil {
		return fmt.Errorf("read the journal of %s: %w", n.name, err)
	}
	return os.WriteFile(filepath.Join(folder, "journal.txt"), out, 0o644)
}
