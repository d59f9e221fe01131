package certs

import (
	"context"
	"errors"
	"sync"
	"testing"
)

func TestKeyPoolGivesEveryKeyOnce(t *testing.T) {
	pool := NewPool(ECDSAP256, 4)
	defer pool.Close()
	var mu sync.Mutex
	seen := map[string]bool{}
	var wg sync.WaitGroup
	for range 8 { // four from the pool, four made at once
		wg.Go(func() {
			key, err := pool.Take(t.Context(), ECDSAP256)
			if err != nil {
				t.Error(err)
				return
			}
			data, err := EncodePublicKey(key.Public())
			if err != nil {
				t.Error(err)
				return
			}
			mu.Lock()
			defer mu.Unlock()
			seen[string(data)] = true
		})
	}
	wg.Wait()
	if len(seen) != 8 {
		t.Errorf("%d different keys, want 8", len(seen))
	}
}

func TestKeyPoolWorksWithoutAPool(t *testing.T) {
	var none *KeyPool
	defer none.Close()
	closed := NewPool(ECDSAP256, 2)
	closed.Close()
	closed.Close()
	cases := map[string]struct {
		reason string
		pool   *KeyPool
		alg    Algorithm
	}{
		"Nil":            {"a phase runs alone", none, ECDSAP256},
		"Empty":          {"no key was ordered", NewPool(ECDSAP256, 0), ECDSAP256},
		"Closed":         {"the use case ended", closed, ECDSAP256},
		"OtherAlgorithm": {"the configuration came after the pool", NewPool(ECDSAP256, 1), ECDSAP384},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			for range 3 {
				if key, err := c.pool.Take(t.Context(), c.alg); err != nil || key == nil {
					t.Errorf("%s: %v, %v", c.reason, key, err)
				}
			}
		})
	}
}

func TestKeyPoolCountsWhatIsLeft(t *testing.T) {
	pool := NewPool(ECDSAP256, 2)
	defer pool.Close()
	for _, want := range []int{2, 1, 0, -1} {
		if got := pool.Left(); got != want {
			t.Errorf("%d keys are left, want %d", got, want)
		}
		if _, err := pool.Take(t.Context(), ECDSAP256); err != nil {
			t.Fatal(err)
		}
		if _, err := pool.Take(t.Context(), ECDSAP384); err != nil {
			t.Fatal(err) // of another kind, it is none of the pool's
		}
	}
}

func TestKeyPoolObeysTheContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	pool := NewPool(ECDSAP256, 1)
	defer pool.Close()
	for _, p := range []*KeyPool{nil, pool} {
		if _, err := p.Take(ctx, ECDSAP256); !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
	}
}

func TestKeyPoolTellsWhyThereIsNoKey(t *testing.T) {
	pool := NewPool("DSA", 1)
	defer pool.Close()
	var unknown *UnknownAlgorithmError
	if _, err := pool.Take(t.Context(), "DSA"); !errors.As(err, &unknown) {
		t.Errorf("got %v", err)
	}
}
