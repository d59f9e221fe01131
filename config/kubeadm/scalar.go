package kubeadm

import (
	"regexp"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// scalarKind is what a scalar is by the YAML 1.1 rules that kubeadm and all
// Kubernetes tools read by (sigs.k8s.io/yaml v1.6, go.yaml.in/yaml/v2
// resolve.go): yes and on are booleans, 0755 is octal.
type scalarKind int

const (
	stringScalar scalarKind = iota
	nullScalar
	boolScalar
	intScalar
	floatScalar
)

// String names the kind for a person.
func (k scalarKind) String() string {
	return [...]string{"string", "null", "boolean", "number", "number"}[k]
}

const quoted = yaml.DoubleQuotedStyle | yaml.SingleQuotedStyle | yaml.LiteralStyle | yaml.FoldedStyle

var floatShape = regexp.MustCompile(`^[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?$`)

func classify(n *yaml.Node) scalarKind {
	if n.Style&yaml.TaggedStyle != 0 {
		switch n.ShortTag() {
		case "!!null":
			return nullScalar
		case "!!bool":
			return boolScalar
		case "!!int":
			return intScalar
		case "!!float":
			return floatScalar
		}
		return stringScalar
	}
	if n.Style&quoted != 0 {
		return stringScalar
	}
	switch n.Value {
	case "", "~", "null", "Null", "NULL":
		return nullScalar
	case ".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF", "-.inf", "-.Inf", "-.INF", ".nan", ".NaN", ".NAN":
		return floatScalar
	}
	if _, ok := parseBool(n.Value); ok {
		return boolScalar
	}
	if !strings.ContainsRune("+-.0123456789", rune(n.Value[0])) {
		return stringScalar
	}
	if _, ok := parseInt(n.Value); ok {
		return intScalar
	}
	if floatShape.MatchString(strings.ReplaceAll(n.Value, "_", "")) {
		return floatScalar
	}
	return stringScalar
}

func parseBool(s string) (value, ok bool) {
	switch s {
	case "true", "True", "TRUE", "y", "Y", "yes", "Yes", "YES", "on", "On", "ON":
		return true, true
	case "false", "False", "FALSE", "n", "N", "no", "No", "NO", "off", "Off", "OFF":
		return false, true
	}
	return false, false
}

func parseInt(s string) (int64, bool) {
	n, err := strconv.ParseInt(strings.ReplaceAll(s, "_", ""), 0, 64)
	return n, err == nil
}

func parseFloat(s string) (float64, bool) {
	f, err := strconv.ParseFloat(strings.ReplaceAll(s, "_", ""), 64)
	return f, err == nil
}

// valueUse says whether an error may repeat a value.
type valueUse bool

const (
	plainValue  valueUse = true
	secretValue valueUse = false
)

// describe names what stands in the file: "the number 5", "a list".
func describe(n *yaml.Node, use valueUse) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "a map"
	case yaml.SequenceNode:
		return "a list"
	case yaml.ScalarNode:
		kind := classify(n)
		switch {
		case kind == nullScalar:
			return "nothing"
		case use == secretValue:
			return "a " + kind.String()
		case kind == stringScalar:
			return strconv.Quote(shorten(n.Value))
		}
		return "the " + kind.String() + " " + shorten(n.Value)
	}
	return "an alias"
}

func shorten(s string) string {
	if len(s) > 60 {
		return s[:57] + "…"
	}
	return s
}

// resolve follows an alias. The parser has refused those that lead to no
// anchor.
func resolve(n *yaml.Node) *yaml.Node {
	for n.Kind == yaml.AliasNode && n.Alias != nil {
		n = n.Alias
	}
	return n
}

// entry is one key of a mapping with its value.
type entry struct{ key, value *yaml.Node }

func entries(n *yaml.Node) []entry {
	list := make([]entry, 0, len(n.Content)/2)
	for i := 0; i+1 < len(n.Content); i += 2 {
		list = append(list, entry{n.Content[i], n.Content[i+1]})
	}
	return list
}
