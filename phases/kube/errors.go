package kube

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"net"
	"strings"
	"syscall"

	utilnet "k8s.io/apimachinery/pkg/util/net"
)

// KubeconfigError says that none of the kubeconfig files exists.
type KubeconfigError struct {
	Paths []string
}

func (e *KubeconfigError) Error() string {
	return "no kubeconfig: there is no " + strings.Join(e.Paths, " and no ")
}

// Unwrap returns fs.ErrNotExist.
func (e *KubeconfigError) Unwrap() error { return fs.ErrNotExist }

// Fix says where a kubeconfig comes from.
func (e *KubeconfigError) Fix() []string {
	return []string{"run on a control plane node, or give a kubeconfig: --kubeconfig FILE"}
}

// Unreachable says whether err means that no API server answered: connection
// refused, reset or lost, a timeout, no route, an unknown host name. A later
// try may succeed. An untrusted certificate and an error status are answers.
func Unreachable(err error) bool {
	if err == nil || errors.Is(err, context.Canceled) {
		return false
	}
	for _, e := range []error{
		context.DeadlineExceeded, io.EOF, io.ErrUnexpectedEOF,
		syscall.ECONNREFUSED, syscall.ECONNRESET, syscall.ECONNABORTED, syscall.EPIPE,
		syscall.ETIMEDOUT, syscall.EHOSTUNREACH, syscall.ENETUNREACH, syscall.EHOSTDOWN,
	} {
		if errors.Is(err, e) {
			return true
		}
	}
	var timeout net.Error
	var dns *net.DNSError
	return errors.As(err, &timeout) && timeout.Timeout() || errors.As(err, &dns) ||
		utilnet.IsProbableEOF(err) || utilnet.IsHTTP2ConnectionLost(err)
}

// noCluster says whether err means that there is no cluster to ask.
func noCluster(err error) bool {
	var none *KubeconfigError
	return errors.As(err, &none) || Unreachable(err)
}
