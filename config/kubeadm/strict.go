package kubeadm

import (
	"fmt"
	"reflect"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/hactl/hactl/config"
)

// Bounds on what one file may make of its aliases: a kilobyte of YAML can
// stand for gigabytes.
const (
	maxNodes = 100_000
	maxDepth = 100
)

// strict decodes YAML nodes into Go values by their JSON tags. It reports
// every mistake with its place and goes on.
type strict struct {
	group, kind, version string
	root                 reflect.Type
	problems             []config.Problem
	places               places // of every value
	fields               map[reflect.Type][]field
	nodes, depth         int
	full                 bool // the bounds are reached
}

// location is where in the tree the decoder is.
type location struct {
	path string
	use  valueUse
}

func (l location) child(name string, use valueUse) location {
	if l.path != "" {
		name = l.path + "." + name
	}
	return location{name, l.use && use}
}

func (l location) item(i int) location {
	return location{fmt.Sprintf("%s[%d]", l.path, i), l.use}
}

// decode fills the value that into points to. The version says which fields
// there are.
func decode(d *document, into any) (*strict, []config.Problem) {
	v := reflect.ValueOf(into).Elem()
	s := &strict{
		group: d.gvk.group, kind: d.gvk.kind, version: d.gvk.version, root: v.Type(),
		places: places{}, fields: map[reflect.Type][]field{},
	}
	s.value(d.root, v, location{"", plainValue})
	return s, s.problems
}

func (s *strict) add(n *yaml.Node, path, fix, format string, args ...any) {
	if s.group != group && s.group != ownGroup { // a document of its own: its paths begin with its kind
		path = strings.TrimSuffix(s.kind+"."+path, ".")
	}
	s.problems = append(s.problems, config.Problem{
		Path: path, What: fmt.Sprintf(format, args...), Fix: fix, Line: n.Line, Column: n.Column,
	})
}

func (s *strict) value(n *yaml.Node, v reflect.Value, at location) {
	s.places[at.path] = n
	n = resolve(n)
	if !s.enter(n, at) {
		return
	}
	defer func() { s.depth-- }()
	if n.Kind == yaml.ScalarNode && classify(n) == nullScalar {
		return
	}
	if v.Kind() == reflect.Pointer {
		v.Set(reflect.New(v.Type().Elem()))
		v = v.Elem()
	}
	switch {
	case v.Type() == reflect.TypeFor[argList]() && s.argsAreMap():
		s.argMap(n, v, at)
	case decodesItself(v.Type()):
		s.itself(n, v, at)
	case v.Kind() == reflect.Struct:
		s.structure(n, v, at)
	case v.Kind() == reflect.Slice:
		s.slice(n, v, at)
	case v.Kind() == reflect.Map:
		s.mapping(n, v, at)
	default:
		s.scalar(n, v, at)
	}
}

// enter counts a node, and says whether there is room for it. Whoever gets
// true takes one from the depth when it leaves the node.
func (s *strict) enter(n *yaml.Node, at location) bool {
	s.nodes++
	if s.nodes <= maxNodes && s.depth < maxDepth {
		s.depth++
		return true
	}
	if !s.full {
		s.full = true
		s.add(n, at.path, "write it without aliases", "stands for too many values, or too deep ones")
	}
	s.nodes = max(s.nodes, maxNodes+1) // no more of this document
	return false
}

// argsAreMap says whether extra arguments are a map of name to value.
func (s *strict) argsAreMap() bool { return s.version == "v1beta2" || s.version == "v1beta3" }

func (s *strict) mismatch(n *yaml.Node, at location, expected, fix string) {
	s.add(n, at.path, fix, "expected %s, got %s", expected, describe(n, at.use))
}

func (s *strict) structure(n *yaml.Node, v reflect.Value, at location) {
	if n.Kind != yaml.MappingNode {
		s.mismatch(n, at, "a map", "")
		return
	}
	fields, ok := s.fields[v.Type()]
	if !ok {
		fields = fieldsOf(v.Type())
		s.fields[v.Type()] = fields
	}
	for _, e := range s.unique(n, at) {
		f, ok := find(fields, e.key.Value)
		if !ok || !f.in(s.version) {
			s.unknown(e.key, v.Type(), fields, at)
			continue
		}
		s.value(e.value, v.FieldByIndex(f.index), at.child(f.name, valueUse(!f.secret)))
	}
}

func (s *strict) slice(n *yaml.Node, v reflect.Value, at location) {
	if n.Kind != yaml.SequenceNode {
		fix := ""
		if n.Kind == yaml.ScalarNode && v.Type().Elem().Kind() == reflect.String && at.use == plainValue {
			fix = "write it as [" + strconv.Quote(n.Value) + "]"
		}
		if n.Kind == yaml.MappingNode && v.Type() == reflect.TypeFor[argList]() {
			fix = "since v1beta4 arguments are a list: - name: …, value: …"
		}
		s.mismatch(n, at, "a list", fix)
		return
	}
	v.Set(reflect.MakeSlice(v.Type(), 0, min(len(n.Content), maxNodes)))
	for i, item := range n.Content {
		elem := reflect.New(v.Type().Elem()).Elem()
		s.value(item, elem, at.item(i))
		v.Set(reflect.Append(v, elem))
	}
}

func (s *strict) mapping(n *yaml.Node, v reflect.Value, at location) {
	if n.Kind != yaml.MappingNode {
		s.mismatch(n, at, "a map", "")
		return
	}
	v.Set(reflect.MakeMap(v.Type()))
	for _, e := range s.unique(n, at) {
		elem := reflect.New(v.Type().Elem()).Elem()
		s.value(e.value, elem, at.child(e.key.Value, plainValue))
		v.SetMapIndex(reflect.ValueOf(e.key.Value).Convert(v.Type().Key()), elem)
	}
}

// argMap reads extra arguments as they were before v1beta4, in the order of
// their names: a map has none, and the order must not change between runs.
func (s *strict) argMap(n *yaml.Node, v reflect.Value, at location) {
	if n.Kind == yaml.SequenceNode {
		s.mismatch(n, at, "a map of name to value", "a list of name and value is v1beta4's; raise apiVersion to kubeadm.k8s.io/v1beta4")
		return
	}
	m := map[string]string{}
	s.mapping(n, reflect.ValueOf(&m).Elem(), at)
	v.Set(reflect.ValueOf(argsOf(m)))
}

// unique returns the entries of a mapping with merge keys ("<<") resolved,
// and reports the keys that come twice.
func (s *strict) unique(n *yaml.Node, at location) []entry {
	var list, merged []entry
	seen := map[string]*yaml.Node{}
	for _, e := range entries(n) {
		if k := resolve(e.key); k.Kind != yaml.ScalarNode {
			s.add(e.key, at.path, "", "expected a name before the colon, got %s", describe(k, plainValue))
			continue
		} else if k.ShortTag() == "!!merge" {
			merged = append(merged, s.merge(e.value, at)...)
			continue
		} else {
			e.key = &yaml.Node{Kind: k.Kind, Value: k.Value, Line: e.key.Line, Column: e.key.Column}
		}
		if first := seen[e.key.Value]; first != nil {
			s.add(e.key, at.child(e.key.Value, plainValue).path, "keep one of them",
				"is given twice; the first is in line %d", first.Line)
			continue
		}
		seen[e.key.Value] = e.key
		list = append(list, e)
	}
	for _, e := range merged {
		if seen[e.key.Value] == nil {
			seen[e.key.Value] = e.key
			list = append(list, e)
		}
	}
	return list
}

func (s *strict) merge(n *yaml.Node, at location) []entry {
	if !s.enter(n, at) {
		return nil
	}
	defer func() { s.depth-- }()
	switch n = resolve(n); n.Kind {
	case yaml.MappingNode:
		return s.unique(n, at)
	case yaml.SequenceNode:
		var list []entry
		for _, item := range n.Content {
			list = append(list, s.merge(item, at)...)
		}
		return list
	}
	s.add(n, at.path, "", "expected a map to merge, got %s", describe(n, at.use))
	return nil
}
