package certs

import (
	"context"
	"crypto"
	"runtime"
	"sync"
	"sync/atomic"
)

// KeyPool makes private keys ahead of use, because a cluster needs many and
// an RSA key takes long. A nil pool makes each key when it is asked for. All
// methods may be called at the same time.
type KeyPool struct {
	alg       Algorithm
	keys      chan made    // one slot for every promised key
	unclaimed atomic.Int64 // promised keys that nobody waits for yet
	done      chan struct{}
	stop      sync.Once
}

type made struct {
	key crypto.Signer
	err error
}

// NewPool begins at once to make n keys in the background, on as many
// processors as Go may use. The caller closes the pool.
func NewPool(alg Algorithm, n int) *KeyPool {
	n = max(n, 0)
	p := &KeyPool{alg: alg.orDefault(), keys: make(chan made, n), done: make(chan struct{})}
	p.unclaimed.Store(int64(n))
	var begun atomic.Int64
	for range min(n, runtime.GOMAXPROCS(0)) {
		go func() {
			for begun.Add(1) <= int64(n) && !p.closed() {
				key, err := NewKey(p.alg)
				p.keys <- made{key, err}
			}
		}()
	}
	return p
}

// Take returns a key of the given algorithm that nobody else gets. If the
// pool has no such key and none is on the way, Take makes one. It waits no
// longer than ctx.
func (p *KeyPool) Take(ctx context.Context, alg Algorithm) (crypto.Signer, error) {
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	if p == nil || p.alg != alg.orDefault() || p.unclaimed.Add(-1) < 0 {
		return NewKey(alg)
	}
	select {
	case m := <-p.keys:
		return m.key, m.err
	case <-p.done:
		return NewKey(alg)
	case <-ctx.Done():
		p.unclaimed.Add(1)
		return nil, context.Cause(ctx)
	}
}

// Left is how many of the promised keys nobody has asked for yet. Below zero,
// it is how many more were asked for.
func (p *KeyPool) Left() int {
	if p == nil {
		return 0
	}
	return int(p.unclaimed.Load())
}

// Close ends the work in the background: keys under way are finished, no new
// one begins. It does not wait. Take still works after it.
func (p *KeyPool) Close() {
	if p == nil {
		return
	}
	p.stop.Do(func() { close(p.done) })
}

func (p *KeyPool) closed() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}
