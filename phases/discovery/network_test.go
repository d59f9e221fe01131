package discovery

import (
	"context"
	"io"
	"net"
	"sync"
	"syscall"
	"time"
)

// network is a listener whose connections stay in memory, so that fake time
// can pass while somebody waits for one.
type network struct {
	conns  chan net.Conn
	closed chan struct{}
	once   *sync.Once
	// fail, if not nil, is called before each connection.
	fail func() error
}

func newNetwork() *network {
	return &network{conns: make(chan net.Conn), closed: make(chan struct{}), once: new(sync.Once)}
}

func (n *network) Accept() (net.Conn, error) {
	select {
	case c := <-n.conns:
		return c, nil
	case <-n.closed:
		return nil, net.ErrClosed
	}
}

func (n *network) Close() error   { n.once.Do(func() { close(n.closed) }); return nil }
func (n *network) Addr() net.Addr { return &net.TCPAddr{} }

func (n *network) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	if n.fail != nil {
		if err := n.fail(); err != nil {
			return nil, err
		}
	}
	here, there := net.Pipe()
	select {
	case n.conns <- newBuffered(there):
		return newBuffered(here), nil
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-n.closed:
		return nil, &net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}
	}
}

// buffered is a connection whose Write does not wait for the other side, as a
// socket's does not: with a bare pipe, two ends that write at the same time
// wait for each other for ever.
type buffered struct {
	net.Conn
	mu     sync.Mutex
	more   *sync.Cond
	queue  []byte
	closed bool
}

func newBuffered(c net.Conn) *buffered {
	b := &buffered{Conn: c}
	b.more = sync.NewCond(&b.mu)
	go b.pump()
	return b
}

func (b *buffered) pump() {
	defer b.Conn.Close()
	for {
		b.mu.Lock()
		for len(b.queue) == 0 && !b.closed {
			b.more.Wait()
		}
		data := b.queue
		b.queue = nil
		b.mu.Unlock()
		if len(data) == 0 {
			return
		}
		if _, err := b.Conn.Write(data); err != nil {
			return
		}
	}
}

func (b *buffered) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return 0, net.ErrClosed
	}
	b.queue = append(b.queue, p...)
	b.more.Signal()
	return len(p), nil
}

// Close sends what is left first, and takes what the other side still sends.
func (b *buffered) Close() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.closed {
		go func() { _, _ = io.Copy(io.Discard, b.Conn) }()
	}
	b.closed = true
	b.more.Signal()
	return nil
}

// Writing never waits, so it needs no deadline.
func (b *buffered) SetWriteDeadline(time.Time) error  { return nil }
func (b *buffered) SetDeadline(limit time.Time) error { return b.SetReadDeadline(limit) }
