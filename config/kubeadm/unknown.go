package kubeadm

import (
	"reflect"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// unknown reports a field that the type does not have, with the field that
// was meant where that can be told.
func (s *strict) unknown(key *yaml.Node, t reflect.Type, fields []field, at location) {
	path := at.child(key.Value, plainValue).path
	where := at.path
	if where == "" {
		where = s.kind
	}
	if f, ok := find(fields, key.Value); ok { // of another version
		s.add(key, path, successor(path), "%s has no field %s in %s; it is one of %s",
			where, key.Value, s.version, strings.Join(f.versions, " and "))
		return
	}
	s.add(key, path, s.meant(key.Value, fields), "%s has no field %s", where, key.Value)
}

// meant guesses which field a person wanted.
func (s *strict) meant(name string, fields []field) string {
	var names []string
	for _, f := range fields {
		if f.in(s.version) {
			names = append(names, f.name)
		}
	}
	if near := nearest(name, names); near != "" {
		return "did you mean " + near + "?"
	}
	if paths := pathsTo(s.root, name, s.version); len(paths) > 0 && len(paths) <= 3 {
		return "did you mean " + strings.Join(paths, " or ") + "?"
	}
	for _, version := range []string{s.version, Version} {
		for _, k := range kinds {
			if k.group != s.group || !slices.Contains(k.versions, version) {
				continue
			}
			if paths := pathsTo(k.typ, name, version); len(paths) > 0 && len(paths) <= 3 {
				return k.name + " of " + version + " has " + strings.Join(paths, " and ")
			}
		}
	}
	return ""
}

// successor says what took the place of a field that a version does not have.
func successor(path string) string {
	switch {
	case strings.HasSuffix(path, "timeoutForControlPlane"):
		return "use timeouts.controlPlaneComponentHealthCheck of InitConfiguration"
	case path == "discovery.timeout":
		return "use timeouts.discovery"
	case path == "useHyperKubeImage":
		return "remove it; there is no hyperkube image any more"
	case path == "dns.type":
		return "remove it; CoreDNS is the only one"
	case strings.HasSuffix(path, "mergeMethod"):
		return "write the whole value of the argument"
	}
	return "raise apiVersion to kubeadm.k8s.io/v1beta4"
}

// nearest returns the name that is written most like the given one, or the
// only one that begins with it, or "".
func nearest(name string, names []string) string {
	longer := slices.DeleteFunc(slices.Clone(names), func(n string) bool { return !strings.HasPrefix(n, name) })
	if len(name) > 3 && len(longer) == 1 {
		return longer[0]
	}
	best, least := "", max(1, min(len(name)/3, 4))+1
	for _, n := range names {
		if strings.EqualFold(n, name) {
			return n
		}
		if d := distance(strings.ToLower(name), strings.ToLower(n)); d < least {
			best, least = n, d
		}
	}
	return best
}

// distance counts the edits between two words: insert, remove, replace a
// letter, or swap two neighbours.
func distance(a, b string) int {
	if len(a) > 100 || len(b) > 100 {
		return 100
	}
	before, last, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last, row = last, row, before
	}
	return last[len(b)]
}
