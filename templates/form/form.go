// Package form fills texts with values. It does so little that it stands in
// for text/template: that one calls methods by name, for which the linker
// keeps every exported method of every type, and hactl's program, and so the
// memory it takes, would be a fifth larger.
package form

import (
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// Values are what goes into a text, by name.
type Values map[string]string

// place is where a value goes. The first form is a name with a line of its
// own.
var place = regexp.MustCompile(`(?m)^([ \t]*)\{\{(\w+)\}\}\n|\{\{(\w+)\}\}`)

// Fill puts each value in the place of its {{Name}}. A name with a line of its
// own stands for any number of lines: each takes the indentation of the name,
// and an empty value takes the line away. What a value holds is not looked at.
// Fill returns an error for a name without a value and for a value that no
// place asks for.
func Fill(text string, values Values) (string, error) {
	unused := maps.Clone(values)
	var wrong []error
	value := func(name string) string {
		v, known := values[name]
		if !known {
			wrong = append(wrong, fmt.Errorf("{{%s}} has no value", name))
		}
		delete(unused, name)
		return v
	}
	var out strings.Builder
	rest := 0
	for _, m := range place.FindAllStringSubmatchIndex(text, -1) {
		out.WriteString(text[rest:m[0]])
		rest = m[1]
		if m[6] >= 0 {
			out.WriteString(value(text[m[6]:m[7]]))
			continue
		}
		if v := value(text[m[4]:m[5]]); v != "" {
			indent(&out, text[m[2]:m[3]], v)
		}
	}
	out.WriteString(text[rest:])
	for _, name := range slices.Sorted(maps.Keys(unused)) {
		wrong = append(wrong, fmt.Errorf("no place is for %s", name))
	}
	return out.String(), errors.Join(wrong...)
}

// indent writes the lines of a value. A line with nothing in it stays so.
func indent(out *strings.Builder, by, lines string) {
	for line := range strings.Lines(lines) {
		if line != "\n" {
			out.WriteString(by)
		}
		out.WriteString(line)
	}
	if !strings.HasSuffix(lines, "\n") {
		out.WriteByte('\n')
	}
}
