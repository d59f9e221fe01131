package cri

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path"
	"strings"
	"syscall"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/hactl/hactl/phases"
)

// The reasons for which a runtime cannot be spoken to.
var (
	// ErrNoSocket says that there is no such socket on the machine.
	ErrNoSocket = errors.New("there is no such socket")
	// ErrRefused says that the socket is there and nobody listens on it.
	ErrRefused = errors.New("nothing listens on this socket")
	// ErrNoAnswer says that somebody listens and does not answer in time.
	ErrNoAnswer = errors.New("somebody listens on this socket, but does not answer in time")
	// ErrNoCRI says that a runtime answers and does not offer CRI v1.
	ErrNoCRI = errors.New("the runtime answers, but its CRI v1 service is not enabled")
	// ErrDenied says that the user may not use the socket.
	ErrDenied = fmt.Errorf("the socket may not be used: %w", fs.ErrPermission)
	// ErrLost says that the connection broke before or during a call.
	ErrLost = errors.New("the connection to the runtime broke")
)

// SocketError says that a runtime cannot be spoken to over its socket.
// errors.Is tells one of ErrNoSocket, ErrRefused, ErrNoAnswer, ErrNoCRI,
// ErrDenied and ErrLost.
type SocketError struct {
	Socket string // with its scheme
	Reason error  // one of the reasons above
	Err    error  // what the system or the runtime said, may be nil
}

// Error names the socket and the reason.
func (e *SocketError) Error() string {
	s := e.Socket + ": " + e.Reason.Error()
	if e.Err != nil && errors.Is(e.Reason, ErrLost) {
		s += ": " + e.Err.Error()
	}
	return s
}

// Unwrap returns the reason and the cause.
func (e *SocketError) Unwrap() []error {
	if e.Err == nil {
		return []error{e.Reason}
	}
	return []error{e.Reason, e.Err}
}

// Fix says how to make the runtime answer.
func (e *SocketError) Fix() []string {
	unit := unitOf(e.Socket)
	const elsewhere = "if the runtime listens elsewhere, name its socket: --cri-socket unix:///path/to/its.sock"
	switch e.Reason {
	case ErrNoSocket:
		return []string{
			fmt.Sprintf("install %s, or start it: systemctl enable --now %s", unit, unit),
			elsewhere,
		}
	case ErrRefused:
		return []string{
			"start it: systemctl restart " + unit,
			"if it does not stay up, see why: journalctl -u " + unit + " -n 50",
			elsewhere,
		}
	case ErrNoCRI:
		if unit == "containerd" {
			return []string{
				`in /etc/containerd/config.toml take "cri" out of disabled_plugins`,
				"then: systemctl restart containerd",
			}
		}
		return []string{"use a version of the runtime that offers CRI v1", elsewhere}
	case ErrDenied:
		return []string{"run hactl as root"}
	default:
		return []string{
			"see what it is doing: systemctl status " + unit + " && journalctl -u " + unit + " -n 50",
			"then restart it: systemctl restart " + unit,
		}
	}
}

// unitOf guesses the service behind a socket.
func unitOf(socket string) string {
	switch path.Base(socket) {
	case "crio.sock":
		return "crio"
	case "cri-dockerd.sock":
		return "cri-docker"
	default:
		return "containerd"
	}
}

// AmbiguousError says that the machine has several runtimes and nobody said
// which one to use.
type AmbiguousError struct {
	Sockets []string // with their scheme
}

// Error lists the sockets.
func (e *AmbiguousError) Error() string {
	return "there are several container runtimes on this machine: " + strings.Join(e.Sockets, ", ")
}

// Fix shows the flag for each of them.
func (e *AmbiguousError) Fix() []string {
	var fixes []string
	for _, s := range e.Sockets {
		fixes = append(fixes, "to use this one: --cri-socket "+s)
	}
	return fixes
}

// Code is phases.CodeUsage.
func (e *AmbiguousError) Code() phases.Code { return phases.CodeUsage }

// explain turns the error of a call into a *SocketError if the runtime could
// not be spoken to. Dialed is the error of the last dial, nil if it went
// well.
func explain(socket string, err, dialed error) error {
	lost := func(reason error) error { return &SocketError{Socket: socket, Reason: reason, Err: err} }
	s, ok := status.FromError(err)
	if !ok {
		return err
	}
	switch s.Code() {
	case codes.Unimplemented:
		// Only a missing service is meant: a missing method is the
		// caller's business.
		if strings.Contains(s.Message(), "unknown service") {
			return lost(ErrNoCRI)
		}
	case codes.DeadlineExceeded:
		return lost(ErrNoAnswer)
	case codes.Unavailable:
		return lost(dialReason(dialed))
	}
	return err
}

func dialReason(err error) error {
	var timeout net.Error
	switch {
	case err == nil:
		return ErrLost
	case errors.Is(err, fs.ErrNotExist):
		return ErrNoSocket
	case errors.Is(err, fs.ErrPermission):
		return ErrDenied
	case errors.Is(err, syscall.ECONNREFUSED), errors.Is(err, syscall.ENOTSOCK):
		return ErrRefused
	case errors.Is(err, os.ErrDeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		return ErrNoAnswer
	default:
		return ErrLost
	}
}
