package main

import (
	"go/parser"
	"go/token"
	"runtime"
	"strings"
	"testing"
)

func TestTurned(t *testing.T) {
	got, err := turned([]byte("package time\n\nimport (\n\t\"unsafe\"\n)\n\nfunc f() {\n\t" + reading + "\n}\n"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := parser.ParseFile(token.NewFileSet(), "time.go", got, 0); err != nil || !strings.Contains(string(got), reading+"; sec += offClock\n") {
		t.Errorf("%v in\n%s", err, got)
	}
	if _, err := turned([]byte("package time // " + runtime.Version())); err == nil {
		t.Error("a source without a clock was changed")
	}
}

// TestTheClockOfThisGo reads the source of the Go that runs the test.
func TestTheClockOfThisGo(t *testing.T) {
	_, text, err := timeSource(t.Context())
	if err != nil {
		t.Skip("no source of Go here:", err)
	}
	if _, err := turned(text); err != nil {
		t.Error(err)
	}
}
