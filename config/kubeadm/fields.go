package kubeadm

import (
	"encoding/json"
	"reflect"
	"slices"
	"strings"
)

// field is one JSON field of a struct, embedded structs flattened.
type field struct {
	name     string
	index    []int
	typ      reflect.Type
	versions []string // that have it; nil for all
	secret   bool
}

func (f field) in(version string) bool {
	return f.versions == nil || slices.Contains(f.versions, version)
}

// fieldsOf returns the fields of a struct type by their JSON names, in the
// order of the type.
func fieldsOf(t reflect.Type) []field {
	var list []field
	for i := range t.NumField() {
		sf := t.Field(i)
		name, _, _ := strings.Cut(sf.Tag.Get("json"), ",")
		if sf.Anonymous && name == "" {
			for _, f := range fieldsOf(sf.Type) {
				f.index = append([]int{i}, f.index...)
				list = append(list, f)
			}
			continue
		}
		if name == "" || name == "-" || !sf.IsExported() {
			continue
		}
		f := field{name: name, index: []int{i}, typ: sf.Type, secret: sf.Tag.Get("secret") != ""}
		if in := sf.Tag.Get("in"); in != "" {
			f.versions = strings.Fields(in)
		}
		list = append(list, f)
	}
	return list
}

func find(list []field, name string) (field, bool) {
	i := slices.IndexFunc(list, func(f field) bool { return f.name == name })
	if i < 0 {
		return field{}, false
	}
	return list[i], true
}

// maxPath is how deep pathsTo looks.
const maxPath = 5

// pathsTo returns the paths of the fields called name in the structs below
// t, outermost first. It does not look into lists.
func pathsTo(t reflect.Type, name, version string) []string {
	type place struct {
		t      reflect.Type
		prefix string
		depth  int
	}
	var found []string
	for queue := []place{{t: t}}; len(queue) > 0; queue = queue[1:] {
		p := queue[0]
		for _, f := range fieldsOf(p.t) {
			if !f.in(version) {
				continue
			}
			if f.name == name {
				found = append(found, p.prefix+f.name)
			}
			if inner, ok := nested(f.typ); ok && p.depth < maxPath {
				queue = append(queue, place{inner, p.prefix + f.name + ".", p.depth + 1})
			}
		}
	}
	return found
}

// nested is the struct type of a field that is a struct or points to one.
func nested(t reflect.Type) (reflect.Type, bool) {
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	return t, t.Kind() == reflect.Struct && !decodesItself(t)
}

var jsonUnmarshaler = reflect.TypeFor[json.Unmarshaler]()

// decodesItself says whether a type has a form of its own in JSON, such as
// a duration.
func decodesItself(t reflect.Type) bool {
	return reflect.PointerTo(t).Implements(jsonUnmarshaler)
}
