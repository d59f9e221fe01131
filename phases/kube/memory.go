package kube

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// Verb is what is asked of an API.
type Verb string

// The verbs.
const (
	Get    Verb = "get"
	List   Verb = "list"
	Put    Verb = "put"
	Update Verb = "update"
	Delete Verb = "delete"
)

// Memory is a cluster in memory, with nothing in it at first and no
// controllers, for tests. It behaves as a server does; how close Put is to
// server-side apply is told in apply.go.
type Memory struct {
	kinds    kinds
	watchers watchers
	mu       sync.Mutex
	objects  map[key]tree
	version  int
	raw      map[string]func() ([]byte, error)
	hook     func(Verb, runtime.Object) error
}

// NewMemory returns a cluster in memory. It answers "ok" to /livez, /readyz
// and /healthz.
func NewMemory() *Memory {
	m := &Memory{kinds: table(), objects: map[key]tree{}, raw: map[string]func() ([]byte, error){}}
	for _, path := range []string{"/livez", "/readyz", "/healthz"} {
		m.HandleRaw(path, func() ([]byte, error) { return []byte("ok"), nil })
	}
	return m
}

// HandleRaw makes Raw call f for the path, whatever its query.
func (m *Memory) HandleRaw(path string, f func() ([]byte, error)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.raw[path] = f
}

// Intercept makes f run before each call; an error of f is the call's error.
// A second Intercept replaces the first.
func (m *Memory) Intercept(f func(Verb, runtime.Object) error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.hook = f
}

// Set puts the objects there as they are, with status and labels, as
// somebody else than hactl would; it replaces those of the same name.
func (m *Memory) Set(objects ...Object) error {
	for _, obj := range objects {
		k, err := m.kinds.named(obj)
		if err != nil {
			return err
		}
		t, err := encode(k, obj)
		if err != nil {
			return err
		}
		m.mu.Lock()
		m.store(keyOf(k, obj), t)
		m.mu.Unlock()
	}
	return nil
}

// store keeps t and fills in what a server does; the caller holds mu.
func (m *Memory) store(at key, t tree) {
	m.version++
	if text(t, "uid") == "" {
		setMeta(t, "uid", fmt.Sprintf("00000000-0000-0000-0000-%012d", m.version))
		setMeta(t, "creationTimestamp", time.Now().UTC().Format(time.RFC3339))
	}
	setMeta(t, "resourceVersion", strconv.Itoa(m.version))
	m.objects[at] = t
	m.watchers.notify(at)
}

// begin does what comes before each call.
func (m *Memory) begin(ctx context.Context, verb Verb, obj runtime.Object) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	m.mu.Lock()
	hook := m.hook
	m.mu.Unlock()
	if hook == nil {
		return nil
	}
	return hook(verb, obj)
}

// Get is that of API.
func (m *Memory) Get(ctx context.Context, obj Object) error {
	k, err := m.kinds.named(obj)
	if err != nil {
		return err
	}
	if err := m.begin(ctx, Get, obj); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	t, ok := m.objects[keyOf(k, obj)]
	if !ok {
		return apierrors.NewNotFound(k.groupResource(), obj.GetName())
	}
	return fill(t, obj)
}

// List is that of API. Objects are in the order of namespace and name.
func (m *Memory) List(ctx context.Context, list runtime.Object, namespace, selector string) error {
	k, err := m.kinds.ofList(list)
	if err != nil {
		return err
	}
	if err := m.begin(ctx, List, list); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return fillList(k, m.objects, strconv.Itoa(m.version), list, filter{namespace, selector})
}

// filter says which objects a list is of.
type filter struct{ namespace, selector string }

// fillList fills list with those of the objects that it is of.
func fillList(k kind, objects map[key]tree, version string, list runtime.Object, f filter) error {
	selector, err := labels.Parse(f.selector)
	if err != nil {
		return apierrors.NewBadRequest("label selector: " + err.Error())
	}
	items := []any{}
	for _, at := range slices.SortedFunc(maps.Keys(objects), compareKeys) {
		t := objects[at]
		if t == nil || at.kind != k.Kind || f.namespace != "" && at.namespace != f.namespace ||
			!selector.Matches(labelsOf(t)) {
			continue
		}
		t = maps.Clone(t)
		delete(t, "apiVersion") // as a server does
		delete(t, "kind")
		items = append(items, t)
	}
	return fill(tree{
		"apiVersion": k.GroupVersion().String(), "kind": k.Kind + "List",
		"metadata": tree{"resourceVersion": version}, "items": items,
	}, list)
}

func compareKeys(a, b key) int {
	return cmp.Or(cmp.Compare(a.namespace, b.namespace), cmp.Compare(a.name, b.name))
}

func labelsOf(t tree) labels.Set {
	set := labels.Set{}
	for name, value := range child(child(t, "metadata"), "labels") {
		set[name], _ = value.(string)
	}
	return set
}

// Put is that of API.
func (m *Memory) Put(ctx context.Context, obj Object) error {
	k, err := m.kinds.named(obj)
	if err != nil {
		return err
	}
	if err := m.begin(ctx, Put, obj); err != nil {
		return err
	}
	want, err := desired(k, obj)
	if err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	at := keyOf(k, obj)
	after, changed := apply(m.objects[at], want)
	if changed {
		m.store(at, after)
	}
	return fill(after, obj)
}

// Update is that of API. The status stays as it is.
func (m *Memory) Update(ctx context.Context, obj Object) error {
	k, err := m.kinds.named(obj)
	if err != nil {
		return err
	}
	if err := m.begin(ctx, Update, obj); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	at := keyOf(k, obj)
	after, changed, err := update(k, m.objects[at], obj)
	if err != nil {
		return err
	}
	if changed {
		m.store(at, after)
	}
	return fill(after, obj)
}

// update returns live after an Update with obj, and whether it differs.
func update(k kind, live tree, obj Object) (tree, bool, error) {
	switch {
	case live == nil:
		return nil, false, apierrors.NewNotFound(k.groupResource(), obj.GetName())
	case obj.GetResourceVersion() == "":
		return nil, false, noVersion(k, obj.GetName())
	case obj.GetResourceVersion() != text(live, "resourceVersion"):
		return nil, false, apierrors.NewConflict(k.groupResource(), obj.GetName(),
			fmt.Errorf("the object has changed since it was read"))
	}
	after, err := desired(k, obj)
	if err != nil {
		return nil, false, err
	}
	if status, ok := live["status"]; ok {
		after["status"] = clone(status)
	}
	for _, name := range []string{"uid", "creationTimestamp", "managedFields", "resourceVersion"} {
		if value, ok := child(live, "metadata")[name]; ok {
			setMeta(after, name, clone(value))
		}
	}
	return after, !sameSpec(live, after), nil
}

// Delete is that of API.
func (m *Memory) Delete(ctx context.Context, obj Object) error {
	k, err := m.kinds.named(obj)
	if err != nil {
		return err
	}
	if err := m.begin(ctx, Delete, obj); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	at := keyOf(k, obj)
	if _, ok := m.objects[at]; !ok {
		return apierrors.NewNotFound(k.groupResource(), obj.GetName())
	}
	delete(m.objects, at)
	m.version++
	m.watchers.notify(at)
	return nil
}

// Watch is that of API. The channel is closed when ctx ends.
func (m *Memory) Watch(ctx context.Context, obj Object) (<-chan struct{}, error) {
	k, err := m.kinds.ofObject(obj)
	if err != nil {
		return nil, err
	}
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	return m.watchers.add(ctx, keyOf(k, obj)), nil
}

// Raw is that of API; see HandleRaw.
func (m *Memory) Raw(ctx context.Context, path string) ([]byte, error) {
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	path, _, _ = strings.Cut(path, "?")
	m.mu.Lock()
	f := m.raw[path]
	m.mu.Unlock()
	if f == nil {
		return nil, apierrors.NewNotFound(schema.GroupResource{}, path)
	}
	return f()
}
