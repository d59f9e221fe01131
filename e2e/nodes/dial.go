//go:build linux

package nodes

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"runtime"

	"golang.org/x/sys/unix"
)

// Dial opens a connection inside the lab's network, as a machine that is none
// of its nodes: from the gateway's address. The address has to be an IP
// address with a port, for nobody answers DNS there.
func (l *Lab) Dial(ctx context.Context, network, address string) (conn net.Conn, err error) {
	// Dialing an IP address makes the socket on this very thread.
	inside := inNetwork(l.record.Keeper.PID, func() {
		var dialer net.Dialer
		conn, err = dialer.DialContext(ctx, network, address)
	})
	if inside != nil && conn != nil {
		err = errors.Join(err, conn.Close())
		conn = nil
	}
	return conn, errors.Join(inside, err)
}

// InNetwork calls do on a thread that is in the node's network: the sockets
// that do makes on it stay there. The rest of this process stays where it is.
// It returns ErrOff if the node does not run.
func (n *Node) InNetwork(do func()) error {
	r, err := n.load()
	if err != nil {
		return err
	}
	return inNetwork(r.Init.PID, do)
}

// inNetwork calls do in the network namespace of a process.
func inNetwork(pid int, do func()) error {
	home, err := os.Open("/proc/thread-self/ns/net")
	if err != nil {
		return err
	}
	defer home.Close()
	away, err := os.Open(fmt.Sprintf("/proc/%d/ns/net", pid))
	if err != nil {
		return err
	}
	defer away.Close()
	// A namespace belongs to a thread.
	runtime.LockOSThread()
	if err := unix.Setns(int(away.Fd()), unix.CLONE_NEWNET); err != nil {
		runtime.UnlockOSThread()
		return fmt.Errorf("enter the network of process %d: %w", pid, err)
	}
	do()
	if err := unix.Setns(int(home.Fd()), unix.CLONE_NEWNET); err != nil {
		// The thread stays locked, and so ends with this goroutine.
		return fmt.Errorf("leave the network of process %d: %w", pid, err)
	}
	runtime.UnlockOSThread()
	return nil
}
