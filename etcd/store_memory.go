package etcd

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
)

// MemoryStore is a Store in memory, for tests. The zero value has no endpoint
// that answers and no key.
type MemoryStore struct {
	mu        sync.Mutex
	endpoints map[string]Probed
	keys      map[string][]byte
}

var _ Store = (*MemoryStore)(nil)

// Answer lets an endpoint answer from now on.
func (s *MemoryStore) Answer(endpoint string, p Probed) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.endpoints == nil {
		s.endpoints = map[string]Probed{}
	}
	s.endpoints[endpoint] = p
}

// Put stores a key.
func (s *MemoryStore) Put(key string, value []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.keys == nil {
		s.keys = map[string][]byte{}
	}
	s.keys[key] = value
}

// Probe is that of Store.
func (s *MemoryStore) Probe(ctx context.Context, endpoint string) (Probed, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p, ok := s.endpoints[endpoint]
	if ctx.Err() != nil {
		return Probed{}, context.Cause(ctx)
	}
	if !ok {
		return Probed{}, fmt.Errorf("%w: %s: connection refused", ErrUnreachable, endpoint)
	}
	return p, nil
}

// reachable returns why nothing can be read; the caller holds mu.
func (s *MemoryStore) reachable(ctx context.Context) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	for _, p := range s.endpoints {
		if p.HasLeader && !p.Learner {
			return nil
		}
	}
	if len(s.endpoints) > 0 {
		return ErrNoQuorum
	}
	return ErrUnreachable
}

// Count is that of Store.
func (s *MemoryStore) Count(ctx context.Context, prefix string) (int64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.reachable(ctx); err != nil {
		return 0, err
	}
	keys := slices.DeleteFunc(slices.Collect(maps.Keys(s.keys)), func(k string) bool { return !strings.HasPrefix(k, prefix) })
	return int64(len(keys)), nil
}

// Read is that of Store.
func (s *MemoryStore) Read(ctx context.Context, key string) ([]byte, bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.reachable(ctx); err != nil {
		return nil, false, err
	}
	value, ok := s.keys[key]
	return slices.Clone(value), ok, nil
}
