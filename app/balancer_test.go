package app

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"syscall"
)

// balancerAt is where the endpoint of the clusters in these tests leads to.
const balancerAt = "10.0.0.5:6443"

// dialTCP is the network of the machine: there is a balancer, which passes
// connections on to the API server of the machine or, where balancer is set,
// to another one.
func (w *world) dialTCP(ctx context.Context, _, address string) (net.Conn, error) {
	switch {
	case address != balancerAt:
		return nil, errors.New("nobody has the address " + address)
	case w.balancer != nil:
		return w.balancer(ctx)
	case !w.up.Load():
		return nil, refusedDial()
	}
	return w.serve(), nil
}

func refusedDial() error { return &net.OpError{Op: "dial", Err: syscall.ECONNREFUSED} }

// serve is a connection to the API server of the machine, which has the
// certificate that is in its files.
func (w *world) serve() net.Conn {
	crt, key := w.mustRead("/etc/kubernetes/pki/apiserver.crt"), w.mustRead("/etc/kubernetes/pki/apiserver.key")
	pair, err := tls.X509KeyPair(crt, key)
	if err != nil {
		w.t.Error(err)
	}
	here, there := net.Pipe()
	go func() {
		defer there.Close()
		conn := tls.Server(there, &tls.Config{Certificates: []tls.Certificate{pair}})
		if _, err := http.ReadRequest(bufio.NewReader(conn)); err == nil {
			_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")
		}
	}()
	return here
}

func (w *world) mustRead(file string) []byte {
	data, err := w.host.ReadFile(w.t.Context(), file)
	if err != nil {
		w.t.Error(err)
	}
	return data
}
