package pages

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const sample = "# Page\n\n## First\n\n```yaml TestA cp-1,cp-2:a.yaml\nkind: X\n```\n\n## Second\n\n```console TestA TestB\n" +
	"cp-1# hactl x \\\n        --y\nDone: …\ncp-1,lb-2# false # exit code 1: why\n```\n"

func TestParse(t *testing.T) {
	got, err := Parse(sample)
	if err != nil {
		t.Fatal(err)
	}
	want := []Block{
		{Section: "First", Line: 5, Language: "yaml", Tests: []string{"TestA"}, Hosts: []string{"cp-1", "cp-2"}, File: "a.yaml", Text: "kind: X\n"},
		{
			Section: "Second", Line: 11, Language: "console", Tests: []string{"TestA", "TestB"},
			Text: "cp-1# hactl x \\\n        --y\nDone: …\ncp-1,lb-2# false # exit code 1: why\n",
		},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	commands, err := got[1].Commands()
	if err != nil {
		t.Fatal(err)
	}
	wantCommands := []Command{
		{Hosts: []string{"cp-1"}, Text: "hactl x \\\n        --y", Output: []string{"Done: …"}},
		{Hosts: []string{"cp-1", "lb-2"}, Text: "false # exit code 1: why", Code: 1},
	}
	if diff := cmp.Diff(wantCommands, commands); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

func TestParseRefuses(t *testing.T) {
	cases := map[string]struct{ reason, page string }{
		"Open": {"the fence was forgotten", "```console TestA\ncp-1# x\n"},
		"Word": {"a slip in the name of a test", "```console testA\ncp-1# x\n```\n"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			if got, err := Parse(c.page); err == nil {
				t.Errorf("%s: %+v", c.reason, got)
			}
		})
	}
	if _, err := (Block{Text: "hactl init\n"}).Commands(); err == nil {
		t.Error("a command without a host is accepted")
	}
}

func TestMissing(t *testing.T) {
	const printed = "one\n  two 2\nthree\n"
	cases := map[string]struct {
		reason string
		output []string
		want   string
	}{
		"All":      {"word for word", []string{"one", "two 2", "three"}, ""},
		"Some":     {"pages show what matters", []string{"two 2"}, ""},
		"Dots":     {"what no page can know", []string{"o…", "…", "t… 2"}, ""},
		"Order":    {"the page shows another order", []string{"three", "one"}, "one"},
		"NotThere": {"the program says something else now", []string{"one", "four"}, "four"},
		"Part":     {"a line counts as a whole", []string{"two"}, "two"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			if got := (Command{Output: c.output}).Missing(printed); got != c.want {
				t.Errorf("%s: %q is missing, want %q", c.reason, got, c.want)
			}
		})
	}
}

// TestEachBlockIsRun: what the pages show is what the end-to-end tests run.
func TestEachBlockIsRun(t *testing.T) {
	files, err := filepath.Glob("../../docs/*.md")
	if err != nil || len(files) == 0 {
		t.Fatalf("no pages: %v", err)
	}
	sources, err := filepath.Glob("../*_test.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		page, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		blocks, err := Parse(string(page))
		if err != nil {
			t.Errorf("%s: %v", file, err)
		}
		for _, b := range blocks {
			if len(b.Tests) == 0 {
				t.Errorf("%s:%d: no test runs this block; name it behind the language", file, b.Line)
			}
			for _, test := range b.Tests {
				if !opens(t, sources, test, filepath.Base(file)) {
					t.Errorf("%s:%d: there is no %s that opens this page", file, b.Line, test)
				}
			}
			if b.Language == "console" {
				if _, err := b.Commands(); err != nil {
					t.Errorf("%s: %v", file, err)
				}
			} else if b.File == "" {
				t.Errorf("%s:%d: a block is a file, HOST:FILE, or has the language console", file, b.Line)
			}
		}
	}
}

// opens says whether a test opens a page; openPage then wants each of the
// page's blocks that name the test to be run.
func opens(t *testing.T, sources []string, test, page string) bool {
	t.Helper()
	for _, source := range sources {
		text, err := os.ReadFile(source)
		if err != nil {
			t.Fatal(err)
		}
		_, body, found := strings.Cut(string(text), "func "+test+"(t *testing.T) {")
		body, _, _ = strings.Cut(body, "\n}\n")
		if found && strings.Contains(body, `openPage(t, lab, "`+page+`")`) {
			return true
		}
	}
	return false
}
