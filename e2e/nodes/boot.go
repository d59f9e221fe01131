//go:build linux

package nodes

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// powerOffSignal is SIGRTMIN+4, which systemd reads as "power off".
const powerOffSignal = syscall.Signal(34 + 4)

// bootLimit is the longest that a node may take to start its services.
const bootLimit = 90 * time.Second

// rebooting runs its arguments again for as long as they end with the code by
// which "systemd-nspawn --keep-unit" says that the node wants to reboot.
const rebooting = `while "$0" "$@"; [ $? = 133 ]; do :; done`

// Boot gives the node power and returns when its services have started. It is
// an error if the node runs.
func (n *Node) Boot(ctx context.Context) error {
	if n.Running() {
		return fmt.Errorf("%s: the node runs already", n.name)
	}
	procs, err := n.lab.groups.create(n.lab.name, n.name)
	if err != nil {
		return err
	}
	notify, err := listen(n.dir("notify"))
	if err != nil {
		return err
	}
	defer notify.Close()
	power, err := n.spawn(ctx, procs)
	if err != nil {
		return err
	}
	if err := writeJSON(n.dir("running.json"), running{Power: power}); err != nil {
		return errors.Join(err, power.kill(killSignal))
	}
	if err := n.await(ctx, notify, power); err != nil {
		return fmt.Errorf("boot: %w\n%s", err, n.lastConsole())
	}
	_, err = n.load()
	return err
}

// spawn starts systemd-nspawn as a child of the lab's keeper.
func (n *Node) spawn(ctx context.Context, procs []string) (process, error) {
	keeper := n.lab.record.Artifacts.Keeper
	hierarchy := "0"
	if n.lab.groups.unified {
		hierarchy = "1"
	}
	argv := []string{
		keeper, "spawn", n.dir("console.log"), strings.Join(procs, ","), "--",
		"env", "-i", "PATH=" + searchPath, "NOTIFY_SOCKET=" + n.dir("notify"),
		"SYSTEMD_NSPAWN_API_VFS_WRITABLE=network", "SYSTEMD_NSPAWN_UNIFIED_HIERARCHY=" + hierarchy,
		"sh", "-c", rebooting, "systemd-nspawn", "--quiet", "--boot", "--register=no", "--keep-unit", "--notify-ready=yes",
		"--machine=" + n.name, "--directory=" + n.dir("root"), "--network-bridge=" + bridge,
		"--capability=all", "--system-call-filter=@known", "--private-users=no",
		"--resolv-conf=off", "--timezone=off", "--link-journal=no", "--console=read-only",
	}
	for name, target := range disks {
		argv = append(argv, "--bind="+n.dir(name)+":"+target)
	}
	var said, failed bytes.Buffer
	command := n.lab.inLab(ctx, argv...)
	command.Stdout, command.Stderr = &said, &failed
	if err := command.Run(); err != nil {
		return process{}, fmt.Errorf("start systemd-nspawn: %w: %s", err, failed.String())
	}
	pid, err := strconv.Atoi(strings.TrimSpace(said.String()))
	if err != nil {
		return process{}, fmt.Errorf("start systemd-nspawn: %w", err)
	}
	p, err := inside(n.lab.record.Keeper, pid)
	if err != nil {
		return p, fmt.Errorf("systemd-nspawn has ended: %w\n%s", err, n.lastConsole())
	}
	return p, nil
}

// listen opens the socket on which systemd-nspawn passes on the node's state.
func listen(path string) (*net.UnixConn, error) {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	return net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
}

// await reads notifications, see sd_notify(3), until the node is ready.
func (n *Node) await(ctx context.Context, notify *net.UnixConn, power process) error {
	ctx, cancel := context.WithTimeout(ctx, bootLimit)
	defer cancel()
	stop := context.AfterFunc(ctx, func() { notify.SetReadDeadline(time.Now()) })
	defer stop()
	message := make([]byte, 4096)
	for {
		// Short rounds, to see that systemd-nspawn has given up.
		if err := notify.SetReadDeadline(time.Now().Add(200 * time.Millisecond)); err != nil {
			return err
		}
		size, err := notify.Read(message)
		switch {
		case err == nil:
			for line := range bytes.Lines(message[:size]) {
				if string(bytes.TrimSpace(line)) == "READY=1" {
					return nil
				}
			}
		case ctx.Err() != nil:
			return fmt.Errorf("not ready: %w", ctx.Err())
		case !errors.Is(err, os.ErrDeadlineExceeded):
			return err
		case !power.alive():
			return errors.New("systemd-nspawn has ended")
		}
	}
}

// lastConsole is the end of what the node has printed on its console.
func (n *Node) lastConsole() string {
	data, err := os.ReadFile(n.dir("console.log"))
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimSpace(string(data)), "\n")
	return strings.Join(lines[max(0, len(lines)-15):], "\n")
}
