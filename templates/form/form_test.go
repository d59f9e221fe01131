package form

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestFill(t *testing.T) {
	tests := map[string]struct {
		reason string
		text   string
		values Values
		want   string
		fails  bool
	}{
		"Inside": {
			reason: "a name inside a line is replaced, as often as it is there",
			text:   "a {{X}}, {{X}}{{Y}}\n", values: Values{"X": "1", "Y": ""},
			want: "a 1, 1\n",
		},
		"Lines": {
			reason: "each line of a value is indented as its name is",
			text:   "a:\n    {{X}}\nb\n", values: Values{"X": "one {\n    two\n\n}"},
			want: "a:\n    one {\n        two\n\n    }\nb\n",
		},
		"LinesWithAnEnd": {
			reason: "the last line break of a value makes no line more",
			text:   "{{X}}\nb\n", values: Values{"X": "one\n"},
			want: "one\nb\n",
		},
		"Nothing": {
			reason: "an empty value takes its line away, and only that",
			text:   "a\n\n  {{X}}\n\nb", values: Values{"X": ""},
			want: "a\n\n\nb",
		},
		"ValueWithAName": {
			reason: "what a value holds is nobody's name",
			text:   "{{X}} {{Y}}", values: Values{"X": "{{Y}}", "Y": "$1"},
			want: "{{Y}} $1",
		},
		"NoValue": {
			reason: "a name that nobody gave would go to a file as it is",
			text:   "{{X}}", fails: true,
		},
		"NoPlace": {
			reason: "a value that is used nowhere is a mistake in the text",
			text:   "a", values: Values{"X": "1"}, want: "a", fails: true,
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := Fill(tc.text, tc.values)
			if (err != nil) != tc.fails {
				t.Fatalf("%s: error %v", tc.reason, err)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("%s: -want +got\n%s", tc.reason, diff)
			}
		})
	}
}
