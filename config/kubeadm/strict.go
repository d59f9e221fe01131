package kubeadm

import (
	"encoding/json"
	"fmt"
	"math"
	"reflect"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

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
	places               map[string]*yaml.Node // of every value, by its path
	fields               map[reflect.Type][]field
	nodes, depth         int
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
	if s.group != group { // a document of its own: its paths begin with its kind
		path = strings.TrimSuffix(s.kind+"."+path, ".")
	}
	s.problems = append(s.problems, config.Problem{
		Path: path, What: fmt.Sprintf(format, args...), Fix: fix, Line: n.Line, Column: n.Column,
	})
}

func (s *strict) value(n *yaml.Node, v reflect.Value, at location) {
	s.places[at.path] = n
	n = resolve(n)
	if s.nodes++; s.nodes > maxNodes || s.depth > maxDepth {
		if s.nodes <= maxNodes || s.nodes == maxNodes+1 {
			s.add(n, at.path, "write it without aliases", "is too large or too deep")
		}
		s.nodes = max(s.nodes, maxNodes+1)
		return
	}
	s.depth++
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
	if s.depth++; s.depth > maxDepth {
		return nil
	}
	defer func() { s.depth-- }()
	switch n = resolve(n); n.Kind {
	case yaml.MappingNode:
		return s.unique(n, at)
	case yaml.SequenceNode:
		var list []entry
		for _, item := range n.Content {
			if s.nodes++; s.nodes > maxNodes {
				return nil
			}
			list = append(list, s.merge(item, at)...)
		}
		return list
	}
	s.add(n, at.path, "", "expected a map to merge, got %s", describe(n, at.use))
	return nil
}

func (s *strict) scalar(n *yaml.Node, v reflect.Value, at location) {
	if v.Kind() == reflect.Interface {
		v.Set(reflect.ValueOf(s.plain(n)))
		return
	}
	if n.Kind != yaml.ScalarNode {
		s.mismatch(n, at, expectation(v.Type()), "")
		return
	}
	kind := classify(n)
	switch v.Kind() {
	case reflect.String:
		if kind != stringScalar {
			fix := "put it in quotes"
			if at.use == plainValue {
				fix = "put it in quotes: " + strconv.Quote(n.Value)
			}
			s.mismatch(n, at, "a string", fix)
			return
		}
		v.SetString(n.Value)
	case reflect.Bool:
		b, ok := parseBool(n.Value)
		if kind != boolScalar || !ok {
			s.mismatch(n, at, "true or false", "")
			return
		}
		v.SetBool(b)
	default:
		s.number(n, v, at)
	}
}

func (s *strict) number(n *yaml.Node, v reflect.Value, at location) {
	kind := classify(n)
	i, isInt := parseInt(n.Value)
	f, isFloat := parseFloat(n.Value)
	if kind == floatScalar && isFloat && f == math.Trunc(f) && math.Abs(f) < 1<<53 {
		i, isInt = int64(f), true
	}
	isNumber := kind == intScalar || kind == floatScalar
	switch {
	case v.CanInt() && isNumber && isInt && !v.OverflowInt(i):
		v.SetInt(i)
	case v.CanUint() && isNumber && isInt && i >= 0 && !v.OverflowUint(uint64(i)):
		v.SetUint(uint64(i))
	case v.CanFloat() && kind == intScalar:
		v.SetFloat(float64(i))
	case v.CanFloat() && isNumber && isFloat:
		v.SetFloat(f)
	default:
		s.mismatch(n, at, expectation(v.Type()), "")
	}
}

// itself decodes a type that has a JSON form of its own.
func (s *strict) itself(n *yaml.Node, v reflect.Value, at location) {
	if v.Type() == reflect.TypeFor[metav1.Duration]() {
		s.duration(n, v, at)
		return
	}
	data, err := json.Marshal(s.plain(n))
	if err == nil {
		err = json.Unmarshal(data, v.Addr().Interface())
	}
	if err != nil {
		s.mismatch(n, at, expectation(v.Type()), "")
	}
}

func (s *strict) duration(n *yaml.Node, v reflect.Value, at location) {
	if n.Kind != yaml.ScalarNode || classify(n) != stringScalar {
		fix := ""
		if n.Kind == yaml.ScalarNode && classify(n) == intScalar {
			fix = "add the unit, as in " + n.Value + "s"
		}
		s.mismatch(n, at, "a duration such as 4m0s", fix)
		return
	}
	d, err := time.ParseDuration(n.Value)
	if err != nil {
		fix := "the units are h, m and s"
		if strings.HasSuffix(n.Value, "d") {
			fix = "there is no unit for days; write hours, as in 24h"
		}
		s.mismatch(n, at, "a duration such as 4m0s", fix)
		return
	}
	v.Set(reflect.ValueOf(metav1.Duration{Duration: d}))
}

// plain makes a node what encoding/json would make of it.
func (s *strict) plain(n *yaml.Node) any {
	if s.nodes++; s.nodes > maxNodes || s.depth > maxDepth {
		return nil
	}
	s.depth++
	defer func() { s.depth-- }()
	switch n = resolve(n); n.Kind {
	case yaml.MappingNode:
		m := map[string]any{}
		for _, e := range entries(n) {
			m[e.key.Value] = s.plain(e.value)
		}
		return m
	case yaml.SequenceNode:
		list := make([]any, len(n.Content))
		for i, item := range n.Content {
			list[i] = s.plain(item)
		}
		return list
	}
	switch classify(n) {
	case nullScalar:
		return nil
	case boolScalar:
		b, _ := parseBool(n.Value)
		return b
	case intScalar:
		i, _ := parseInt(n.Value)
		return i
	case floatScalar:
		f, _ := parseFloat(n.Value)
		return f
	}
	return n.Value
}

// expectation says what a type takes, for a person.
func expectation(t reflect.Type) string {
	switch {
	case t == reflect.TypeFor[metav1.Time]():
		return "a time such as 2026-12-31T23:59:59Z"
	case t.Kind() == reflect.String:
		return "a string"
	case t.Kind() == reflect.Bool:
		return "true or false"
	case t.Kind() == reflect.Int32:
		return "a number"
	case t.Kind() >= reflect.Int && t.Kind() <= reflect.Uint64:
		return "a number"
	case t.Kind() == reflect.Float32 || t.Kind() == reflect.Float64:
		return "a number"
	}
	return "a " + strings.ToLower(t.Name())
}
