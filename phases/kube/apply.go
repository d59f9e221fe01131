package kube

import (
	"encoding/json"
	"maps"
	"reflect"
	"slices"
	"strings"
)

// This file approximates server-side apply (KEP-555) for Memory, Overlay and
// Matches. Ownership is read from and written to metadata.managedFields in
// the server's own form, so it works on objects of a real server. What is
// approximate: lists are replaced as a whole, except those of byName.

// manager is the field manager of Put.
const manager = "hactl"

// byName says whether the list at key is merged by the name of its elements
// (+listMapKey=name in k8s.io/api/core/v1, v1.37).
func byName(key string) bool {
	switch key {
	case "containers", "initContainers", "env", "volumes":
		return true
	}
	return false
}

// apply returns live after a Put of want, and whether that changed anything.
// A nil live means that there was none.
func apply(live, want tree) (tree, bool) {
	out, _ := clone(live).(tree)
	if out == nil {
		out = tree{}
	}
	mine, others := owners(live)
	dropOwned(out, want, mine, others)
	merge(out, want)
	setMeta(out, "managedFields", ownedBy(out, want))
	return out, live == nil || !reflect.DeepEqual(out, live)
}

// matches says whether a Put of want would leave live as it is, apart from
// who owns what.
func matches(live, want tree) bool {
	left, _ := clone(live).(tree)
	mine, others := owners(live)
	dropOwned(left, want, mine, others)
	return reflect.DeepEqual(left, live) && within(want, live)
}

// owners returns the fields that hactl owns by apply, and those of others.
func owners(live tree) (mine, others tree) {
	mine, others = tree{}, tree{}
	entries, _ := child(live, "metadata")["managedFields"].([]any)
	for _, e := range entries {
		entry, _ := e.(tree)
		if entry["manager"] == manager && entry["operation"] == "Apply" && entry["subresource"] == nil {
			mine = child(entry, "fieldsV1")
		} else {
			merge(others, child(entry, "fieldsV1"))
		}
	}
	return mine, others
}

// ownedBy returns out's managedFields with hactl owning what want sets.
func ownedBy(out, want tree) []any {
	entries, _ := child(out, "metadata")["managedFields"].([]any)
	entries = slices.DeleteFunc(slices.Clone(entries), func(e any) bool {
		entry, _ := e.(tree)
		return entry["manager"] == manager && entry["operation"] == "Apply" && entry["subresource"] == nil
	})
	fields := fieldsOf(want)
	delete(fields, "f:apiVersion")
	delete(fields, "f:kind")
	delete(child(fields, "f:metadata"), "f:name")
	delete(child(fields, "f:metadata"), "f:namespace")
	return append(entries, tree{
		"manager": manager, "operation": "Apply", "apiVersion": want["apiVersion"],
		"fieldsType": "FieldsV1", "fieldsV1": fields,
	})
}

// fieldsOf returns the set of fields of t in the form FieldsV1.
func fieldsOf(t tree) tree {
	fields := tree{}
	for key, value := range t {
		sub := tree{}
		switch v := value.(type) {
		case tree:
			sub = fieldsOf(v)
		case []any:
			if !byName(key) {
				break
			}
			for _, e := range v {
				if elem, ok := e.(tree); ok {
					sub[elementKey(elem["name"])] = fieldsOf(elem)
				}
			}
		}
		fields["f:"+key] = sub
	}
	return fields
}

func elementKey(name any) string {
	data, err := json.Marshal(tree{"name": name})
	if err != nil {
		return ""
	}
	return "k:" + string(data)
}

// dropOwned takes out of live what hactl alone owns and want no longer sets.
func dropOwned(live, want, mine, others tree) {
	for field, v := range mine {
		key, ok := strings.CutPrefix(field, "f:")
		if !ok {
			continue
		}
		sub, _ := v.(tree)
		_, shared := others[field]
		wanted, set := want[key]
		switch value := live[key].(type) {
		case nil:
		case tree:
			w, _ := wanted.(tree)
			if set && w == nil || len(sub) == 0 && (set || shared) {
				continue
			}
			dropOwned(value, w, sub, child(others, field))
			if !set && !shared && (len(value) == 0 || len(sub) == 0) {
				delete(live, key)
			}
		case []any:
			w, _ := wanted.([]any)
			if !set && !shared {
				delete(live, key)
			} else if byName(key) {
				live[key] = dropElements(value, w, sub, child(others, field))
			}
		default:
			if !set && !shared {
				delete(live, key)
			}
		}
	}
}

// dropElements is dropOwned for the elements of a list merged by name.
func dropElements(live, want []any, mine, others tree) []any {
	return slices.DeleteFunc(slices.Clone(live), func(e any) bool {
		elem, _ := e.(tree)
		key := elementKey(elem["name"])
		sub, owned := mine[key].(tree)
		if !owned {
			return false
		}
		if w := element(want, elem["name"]); w != nil {
			dropOwned(elem, w, sub, child(others, key))
			return false
		}
		_, shared := others[key]
		return !shared
	})
}

func element(list []any, name any) tree {
	for _, e := range list {
		if elem, ok := e.(tree); ok && elem["name"] == name {
			return elem
		}
	}
	return nil
}

// merge sets in dst what src sets.
func merge(dst, src tree) {
	for key, value := range src {
		switch v := value.(type) {
		case tree:
			if child(dst, key) == nil {
				dst[key] = tree{}
			}
			merge(child(dst, key), v)
		case []any:
			old, _ := dst[key].([]any)
			if !byName(key) || old == nil {
				dst[key] = clone(v)
				continue
			}
			for _, e := range v {
				elem, _ := e.(tree)
				if have := element(old, elem["name"]); have != nil {
					merge(have, elem)
				} else {
					old = append(old, clone(e))
				}
			}
			dst[key] = old
		default:
			dst[key] = v
		}
	}
}

// within says whether live has everything that want sets.
func within(want, live tree) bool {
	for key, w := range want {
		if !covers(key, w, live[key]) {
			return false
		}
	}
	return true
}

// covers compares one value. Elements of lists may have more fields in live,
// which the server has set, but not rules: there a field less means more
// power (rbac.authorization.k8s.io/v1, PolicyRule).
func covers(key string, want, live any) bool {
	switch w := want.(type) {
	case tree:
		l, ok := live.(tree)
		return within(w, l) && (ok || len(w) == 0)
	case []any:
		l, _ := live.([]any)
		if byName(key) {
			return !slices.ContainsFunc(w, func(e any) bool {
				elem, _ := e.(tree)
				have := element(l, elem["name"])
				return have == nil || !within(elem, have)
			})
		}
		if key == "rules" {
			return len(w) == len(l) && (len(w) == 0 || reflect.DeepEqual(w, l))
		}
		return slices.EqualFunc(w, l, func(a, b any) bool { return covers("", a, b) })
	}
	return want == live
}

// sameSpec says whether two trees differ in nothing but metadata that the
// server keeps.
func sameSpec(a, b tree) bool {
	a, b = maps.Clone(a), maps.Clone(b)
	for _, t := range []tree{a, b} {
		meta := maps.Clone(child(t, "metadata"))
		delete(meta, "managedFields")
		delete(meta, "resourceVersion")
		t["metadata"] = meta
	}
	return reflect.DeepEqual(a, b)
}
