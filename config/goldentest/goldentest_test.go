package goldentest

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// failing is a test that notes why it failed and goes on.
type failing struct {
	testing.TB
	why []string
}

func (f *failing) Errorf(format string, args ...any) {
	f.why = append(f.why, fmt.Sprintf(format, args...))
}
func (f *failing) Fatalf(format string, args ...any) { f.Errorf(format, args...); panic(f) }

// check says why Check failed, "" if it did not.
func check(t *testing.T, name, got string) (why string) {
	t.Helper()
	f := &failing{TB: t}
	defer func() {
		if r := recover(); r != nil && r != any(f) {
			panic(r)
		}
		why = strings.Join(f.why, "\n")
	}()
	Check(f, name, got)
	return ""
}

func TestCheck(t *testing.T) {
	for name, c := range map[string]struct {
		reason    string
		file, got string // what is there ("" for none) and what the test made
		update    bool
		why       []string // parts of the failure, none if it passes
		after     string
	}{
		"Same":    {"nothing differs", "a\nb\n", "a\nb\n", false, nil, "a\nb\n"},
		"Differs": {"the difference is told, and how to accept it", "a\n", "b\n", false, []string{"testdata/sub/x.golden", "-update", "a", "b"}, "a\n"},
		"NewLine": {"a missing line end is a difference", "a\n", "a", false, []string{"differs"}, "a\n"},
		"Missing": {"a new file is not made by itself", "", "a\n", false, []string{"testdata/sub/x.golden", "-update"}, ""},
		"Updated": {"the file is what the test made", "a\n", "b\n", true, nil, "b\n"},
		"Made":    {"with its directory", "", "b\n", true, nil, "b\n"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Chdir(t.TempDir())
			before := *update
			t.Cleanup(func() { *update = before })
			*update = c.update
			path := filepath.Join("testdata", "sub", "x.golden")
			if c.file != "" {
				if err := write(path, []byte(c.file)); err != nil {
					t.Fatal(err)
				}
			}
			why := check(t, "sub/x.golden", c.got)
			if (why == "") != (c.why == nil) {
				t.Errorf("%s: it fails with %q", c.reason, why)
			}
			for _, part := range c.why {
				if !strings.Contains(why, part) {
					t.Errorf("%s: the failure lacks %q: %s", c.reason, part, why)
				}
			}
			if data, _ := os.ReadFile(path); string(data) != c.after {
				t.Errorf("%s: the file is %q, want %q", c.reason, data, c.after)
			}
		})
	}
}
