package kube

import (
	"context"
	"slices"
	"sync"
)

// key names an object, or objects where fields are empty.
type key struct {
	kind, namespace, name string
}

func keyOf(k kind, obj Object) key {
	return key{k.Kind, obj.GetNamespace(), obj.GetName()}
}

// watchers tells of changes. All kinds of the table have different names.
type watchers struct {
	mu   sync.Mutex
	list []watcher
}

type watcher struct {
	key
	changes chan struct{}
}

// add returns a channel that is closed when ctx ends.
func (w *watchers) add(ctx context.Context, of key) <-chan struct{} {
	changes := make(chan struct{}, 1)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.list = append(w.list, watcher{of, changes})
	context.AfterFunc(ctx, func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.list = slices.DeleteFunc(w.list, func(o watcher) bool { return o.changes == changes })
		close(changes)
	})
	return changes
}

func (w *watchers) notify(changed key) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, o := range w.list {
		if o.kind == changed.kind && (o.namespace == "" || o.namespace == changed.namespace) &&
			(o.name == "" || o.name == changed.name) {
			wake(o.changes)
		}
	}
}
