package kube

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
)

// Change is one thing that would change in the cluster. Objects may be
// Secrets: whoever prints them looks at the kind first.
type Change struct {
	Verb   Verb   // Put, Update or Delete
	Object Object // after the change; for Delete, what is deleted
	Old    Object // before it; nil for a new object
}

// Overlay is a cluster in which nothing changes: reads fall through to the
// base, and writes stay in memory, where later reads find them. When there
// is no kubeconfig or no server answers, the cluster counts as empty, so a
// dry run works on a fresh node.
type Overlay struct {
	base     API
	kinds    kinds
	watchers watchers
	mu       sync.Mutex
	objects  map[key]tree // nil means deleted
	version  int
	changes  []Change
}

// NewOverlay returns an Overlay over base.
func NewOverlay(base API) *Overlay {
	return &Overlay{base: base, kinds: table(), objects: map[key]tree{}}
}

// Changes lists what would have changed in the base, in order. A Put or
// Update of what is already there is no change.
func (o *Overlay) Changes() []Change {
	o.mu.Lock()
	defer o.mu.Unlock()
	return slices.Clone(o.changes)
}

// live returns the object of obj's name as it is now, nil if there is none.
// The caller holds mu.
func (o *Overlay) live(ctx context.Context, k kind, obj Object) (tree, error) {
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	if t, ok := o.objects[keyOf(k, obj)]; ok {
		return t, nil
	}
	below := k.fresh()
	below.SetName(obj.GetName())
	below.SetNamespace(obj.GetNamespace())
	err := o.base.Get(ctx, below)
	switch {
	case ctx.Err() != nil && err != nil:
		return nil, err
	case apierrors.IsNotFound(err) || noCluster(err):
		return nil, nil
	case err != nil:
		return nil, err
	}
	return encode(k, below)
}

// Get is that of API.
func (o *Overlay) Get(ctx context.Context, obj Object) error {
	k, err := o.kinds.named(obj)
	if err != nil {
		return err
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	t, err := o.live(ctx, k, obj)
	if err != nil {
		return err
	}
	if t == nil {
		return apierrors.NewNotFound(k.groupResource(), obj.GetName())
	}
	return fill(t, obj)
}

// List is that of API.
func (o *Overlay) List(ctx context.Context, list runtime.Object, namespace, selector string) error {
	k, err := o.kinds.ofList(list)
	if err != nil {
		return err
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	// All of the base's, because labels may have changed here.
	err = o.base.List(ctx, list, namespace, "")
	if err != nil && (ctx.Err() != nil || !noCluster(err)) {
		return err
	}
	objects := map[key]tree{}
	if err == nil {
		if objects, err = treesOf(k, list); err != nil {
			return err
		}
	}
	maps.Copy(objects, o.objects)
	return fillList(k, objects, fmt.Sprintf("hactl-%d", o.version), list, filter{namespace, selector})
}

func treesOf(k kind, list runtime.Object) (map[key]tree, error) {
	objects := map[key]tree{}
	items, err := meta.ExtractList(list)
	if err != nil {
		return nil, err
	}
	for _, item := range items {
		obj, ok := item.(Object)
		if !ok {
			return nil, fmt.Errorf("%T in a list of %s", item, k.Kind)
		}
		if objects[keyOf(k, obj)], err = encode(k, obj); err != nil {
			return nil, err
		}
	}
	return objects, nil
}

// change keeps after as the object and lists the change; the caller holds mu.
func (o *Overlay) change(verb Verb, k kind, obj Object, old, after tree) error {
	c := Change{Verb: verb}
	var err error
	if c.Old, err = object(k, old); err != nil {
		return err
	}
	shown := after
	if after == nil {
		shown = old
	} else {
		o.version++
		setMeta(after, "resourceVersion", fmt.Sprintf("hactl-%d", o.version))
		if text(after, "uid") == "" {
			setMeta(after, "uid", fmt.Sprintf("hactl-%d", o.version))
		}
	}
	if c.Object, err = object(k, shown); err != nil {
		return err
	}
	at := keyOf(k, obj)
	o.objects[at] = after
	o.changes = append(o.changes, c)
	o.watchers.notify(at)
	return nil
}

// Put is that of API.
func (o *Overlay) Put(ctx context.Context, obj Object) error {
	return o.become(ctx, Put, obj, func(k kind, old tree) (tree, bool, error) {
		want, err := desired(k, obj)
		if err != nil {
			return nil, false, err
		}
		after, changed := apply(old, want)
		if changed && old != nil && matches(old, want) {
			return old, false, nil // only the ownership would change
		}
		return after, changed, nil
	})
}

// Update is that of API.
func (o *Overlay) Update(ctx context.Context, obj Object) error {
	return o.become(ctx, Update, obj, func(k kind, old tree) (tree, bool, error) { return update(k, old, obj) })
}

// become makes of the object what f makes of the live one, nil if there is
// none, and lists that if f says that it is a change. obj has the outcome then.
func (o *Overlay) become(ctx context.Context, v Verb, obj Object, f func(kind, tree) (tree, bool, error)) error {
	k, err := o.kinds.named(obj)
	if err != nil {
		return err
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	old, err := o.live(ctx, k, obj)
	if err != nil {
		return err
	}
	after, changed, err := f(k, old)
	if err != nil {
		return err
	}
	if changed {
		if err := o.change(v, k, obj, old, after); err != nil {
			return err
		}
	}
	return fill(after, obj)
}

// Delete is that of API.
func (o *Overlay) Delete(ctx context.Context, obj Object) error {
	k, err := o.kinds.named(obj)
	if err != nil {
		return err
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	old, err := o.live(ctx, k, obj)
	if err != nil {
		return err
	}
	if old == nil {
		return apierrors.NewNotFound(k.groupResource(), obj.GetName())
	}
	return o.change(Delete, k, obj, old, nil)
}

// Watch tells of changes here and in the base.
func (o *Overlay) Watch(ctx context.Context, obj Object) (<-chan struct{}, error) {
	k, err := o.kinds.ofObject(obj)
	if err != nil {
		return nil, err
	}
	below, err := o.base.Watch(ctx, obj)
	if err != nil {
		return nil, err
	}
	at := keyOf(k, obj)
	changes := make(chan struct{}, 1)
	here := o.watchers.add(ctx, at)
	go func() {
		defer close(changes)
		for here != nil || below != nil {
			var open bool
			select {
			case _, open = <-here:
				if !open {
					here = nil
				}
			case _, open = <-below:
				if !open {
					below = nil
				}
			}
			if open {
				wake(changes)
			}
		}
	}()
	return changes, nil
}

// Raw asks the base.
func (o *Overlay) Raw(ctx context.Context, path string) ([]byte, error) {
	return o.base.Raw(ctx, path)
}
