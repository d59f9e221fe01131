package main

import (
	"encoding/xml"
	"errors"
	"io"
	"strings"
	"testing"
)

func TestDrawn(t *testing.T) {
	svg, err := drawn(timeline{Title: "A title", Panels: []panel{{
		Title: "one tool", Ready: 42.25,
		Rows: []row{
			{Node: "cp-1", End: 20, Bars: []bar{{"wide-phase", "wait", 0, 19}, {"narrow-phase", "files", 19, 19.1}}},
			{Node: "worker-1", Start: 20, End: 42, Bars: []bar{{"<odd>", "no such kind", 20, 42}}},
		},
	}}})
	if err != nil {
		t.Fatal(err)
	}
	text := words(t, string(svg))
	for _, want := range []string{"A title", "one tool", "cp-1", "worker-1", "wide-phase", "<odd>", "all Ready: 42.2 s", "checks"} {
		if !strings.Contains(text, want+"\n") {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	if strings.Contains(text, "narrow-phase") {
		t.Error("a name is wider than its bar")
	}
}

// words is what the picture says, word by word. It fails the test if the
// picture is not XML.
func words(t *testing.T, svg string) string {
	t.Helper()
	var b strings.Builder
	for d := xml.NewDecoder(strings.NewReader(svg)); ; {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return b.String()
		}
		if err != nil {
			t.Fatal(err)
		}
		if data, ok := token.(xml.CharData); ok {
			b.WriteString(strings.TrimSpace(string(data)) + "\n")
		}
	}
}

func TestNothingMeasured(t *testing.T) {
	if _, err := drawn(timeline{Title: "nothing"}); err != nil {
		t.Error(err)
	}
}
