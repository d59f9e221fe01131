package kube

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

// tree is an object as decoded JSON; numbers are json.Number.
type tree = map[string]any

// encode returns the whole object with apiVersion and kind, without nulls.
func encode(k kind, obj Object) (tree, error) {
	data, err := json.Marshal(obj)
	if err != nil {
		return nil, fmt.Errorf("encode %s %s: %w", k.Kind, obj.GetName(), err)
	}
	t, err := parse(data)
	if err != nil {
		return nil, fmt.Errorf("encode %s %s: %w", k.Kind, obj.GetName(), err)
	}
	t["apiVersion"], t["kind"] = k.GroupVersion().String(), k.Kind
	return t, nil
}

func parse(data []byte) (tree, error) {
	var t tree
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	if err := d.Decode(&t); err != nil {
		return nil, err
	}
	stripNulls(t)
	return t, nil
}

// desired returns what Put sends: what a person can set, and no more.
func desired(k kind, obj Object) (tree, error) {
	if s, ok := obj.(*corev1.Secret); ok && len(s.StringData) > 0 {
		obj = foldStringData(s)
	}
	t, err := encode(k, obj)
	if err != nil {
		return nil, err
	}
	delete(t, "status")
	meta := child(t, "metadata")
	for _, key := range []string{
		"creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds",
		"generation", "managedFields", "resourceVersion", "selfLink", "uid",
	} {
		delete(meta, key)
	}
	dropZeroTargetPorts(t)
	return t, nil
}

// dropZeroTargetPorts takes out what nobody has set: a Service's targetPort
// is the one value of the table's kinds whose zero JSON does not leave out
// and which a server replaces by a default.
func dropZeroTargetPorts(t tree) {
	ports, _ := child(t, "spec")["ports"].([]any)
	for _, p := range ports {
		if port, ok := p.(tree); ok && port["targetPort"] == json.Number("0") {
			delete(port, "targetPort")
		}
	}
}

// foldStringData does what the API server does with the write-only field.
func foldStringData(s *corev1.Secret) *corev1.Secret {
	s = s.DeepCopy()
	if s.Data == nil {
		s.Data = map[string][]byte{}
	}
	for key, value := range s.StringData {
		s.Data[key] = []byte(value)
	}
	s.StringData = nil
	return s
}

// decode replaces what obj points to by the JSON in data.
func decode(data []byte, obj runtime.Object) error {
	fresh := reflect.New(reflect.TypeOf(obj).Elem())
	if err := json.Unmarshal(data, fresh.Interface()); err != nil {
		return fmt.Errorf("decode %T: %w", obj, err)
	}
	reflect.ValueOf(obj).Elem().Set(fresh.Elem())
	return nil
}

// fill replaces what obj points to by t.
func fill(t tree, obj runtime.Object) error {
	data, err := json.Marshal(t)
	if err != nil {
		return err
	}
	return decode(data, obj)
}

// object returns t as a new object of the kind; nil for nil.
func object(k kind, t tree) (Object, error) {
	if t == nil {
		return nil, nil
	}
	obj := k.fresh()
	return obj, fill(t, obj)
}

func stripNulls(v any) {
	switch v := v.(type) {
	case tree:
		maps.DeleteFunc(v, func(_ string, v any) bool { return v == nil })
		for _, sub := range v {
			stripNulls(sub)
		}
	case []any:
		for _, sub := range v {
			stripNulls(sub)
		}
	}
}

// clone copies maps and lists at every level.
func clone(v any) any {
	switch v := v.(type) {
	case tree:
		if v == nil {
			return v
		}
		out := make(tree, len(v))
		for key, sub := range v {
			out[key] = clone(sub)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, sub := range v {
			out[i] = clone(sub)
		}
		return out
	}
	return v
}

// child returns the map at key, or a nil map.
func child(t tree, key string) tree {
	c, _ := t[key].(tree)
	return c
}

// text returns the string at key of t's metadata.
func text(t tree, key string) string {
	s, _ := child(t, "metadata")[key].(string)
	return s
}

// setMeta sets a key of t's metadata.
func setMeta(t tree, key string, value any) {
	if child(t, "metadata") == nil {
		t["metadata"] = tree{}
	}
	child(t, "metadata")[key] = value
}
