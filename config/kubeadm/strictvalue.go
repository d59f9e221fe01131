package kubeadm

import (
	"encoding/json"
	"math"
	"reflect"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func (s *strict) scalar(n *yaml.Node, v reflect.Value, at location) {
	if v.Kind() == reflect.Interface {
		v.Set(reflect.ValueOf(s.plain(n, at)))
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
			fix := ""
			if b, ok := parseBool(n.Value); ok {
				fix = "write it without quotes: " + strconv.FormatBool(b)
			}
			s.mismatch(n, at, "true or false", fix)
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
	data, err := json.Marshal(s.plain(n, at))
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
func (s *strict) plain(n *yaml.Node, at location) any {
	if !s.enter(n, at) {
		return nil
	}
	defer func() { s.depth-- }()
	switch n = resolve(n); n.Kind {
	case yaml.MappingNode:
		m := map[string]any{}
		for _, e := range entries(n) {
			m[e.key.Value] = s.plain(e.value, at)
		}
		return m
	case yaml.SequenceNode:
		list := make([]any, len(n.Content))
		for i, item := range n.Content {
			list[i] = s.plain(item, at)
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
