package loadbalancer

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"syscall"
	"time"
)

const (
	// dialLimit is how long a connection may take, answerLimit how long all
	// that comes after it. A balancer that gives up on a dead control plane
	// after two seconds and takes another one is still in time.
	dialLimit   = 2 * time.Second
	answerLimit = 5 * time.Second
)

// contact is what came of one connection.
type contact struct {
	// leaf is the certificate that was shown, and cas those sent with it.
	leaf *x509.Certificate
	cas  []*x509.Certificate
	// status is that of /readyz, 0 if there was no answer.
	status int
}

// ready says whether an API server answered that takes requests. One that
// wants credentials for /readyz does.
func (c *contact) ready() bool {
	switch c.status {
	case http.StatusOK, http.StatusUnauthorized, http.StatusForbidden:
		return true
	}
	return false
}

// stage is how far a connection came.
type stage string

const (
	dialling    stage = "dial"
	handshaking stage = "handshake"
	asking      stage = "ask"
)

// contactError says in which stage a connection failed.
type contactError struct {
	stage stage
	err   error
}

func (e *contactError) Error() string { return fmt.Sprintf("%s: %s", e.stage, e.err) }

func (e *contactError) Unwrap() error { return e.err }

// reach makes one connection of its own and asks /readyz. It verifies
// nothing: who answers is judged by the caller, and nothing secret is sent.
// A contact may come with an error: the certificate was shown before.
func reach(ctx context.Context, dial Dial, address, name string) (*contact, error) {
	dialled, cancel := context.WithTimeout(ctx, dialLimit)
	defer cancel()
	raw, err := dial(dialled, "tcp", address)
	if err != nil {
		return nil, &contactError{dialling, err}
	}
	defer raw.Close()
	ctx, cancel = context.WithTimeout(ctx, answerLimit)
	defer cancel()
	// A deadline of the context ends reads and writes too.
	defer context.AfterFunc(ctx, func() { _ = raw.SetDeadline(time.Unix(1, 0)) })()
	settings := &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS12}
	if _, err := netip.ParseAddr(name); err != nil {
		settings.ServerName = name
	}
	conn := tls.Client(raw, settings)
	if err := conn.HandshakeContext(ctx); err != nil {
		return nil, &contactError{handshaking, ended(ctx, err)}
	}
	shown := conn.ConnectionState().PeerCertificates
	c := &contact{leaf: shown[0], cas: shown[1:]}
	if c.status, err = readyz(conn, address); err != nil {
		return c, &contactError{asking, ended(ctx, err)}
	}
	return c, nil
}

// ended is the end of the context, where that is behind err.
func ended(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

// readyz asks over a connection that is not used again.
func readyz(conn net.Conn, address string) (int, error) {
	req, err := http.NewRequest(http.MethodGet, "https://"+address+"/readyz", nil)
	if err != nil {
		return 0, err
	}
	req.Close = true
	req.Header.Set("User-Agent", "hactl")
	if err := req.Write(conn); err != nil {
		return 0, err
	}
	resp, err := http.ReadResponse(bufio.NewReader(conn), req)
	if err != nil {
		return 0, err
	}
	_, _ = io.CopyN(io.Discard, resp.Body, 1<<16) // so that the other side sees a clean end
	return resp.StatusCode, resp.Body.Close()
}

// late says whether err means that nobody answered in time.
func late(err error) bool {
	var network net.Error
	return errors.Is(err, context.DeadlineExceeded) || errors.As(err, &network) && network.Timeout() ||
		errors.Is(err, syscall.EHOSTUNREACH) || errors.Is(err, syscall.ENETUNREACH)
}

// closed says whether err means that the other side ended the connection.
func closed(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}
