package kubeadm

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hactl/hactl/config/goldentest"
)

// beside is the golden file of a file of testdata.
func beside(file string) string {
	return strings.TrimPrefix(strings.TrimSuffix(file, ".yaml"), "testdata/") + ".golden"
}

// TestBadFiles shows what a person reads about mistakes.
func TestBadFiles(t *testing.T) {
	for _, file := range glob(t, "testdata/bad/*.yaml") {
		t.Run(filepath.Base(file), func(t *testing.T) {
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			_, err = Load(filepath.Base(file), data)
			var e *Error
			if !errors.As(err, &e) {
				t.Fatalf("got %v, want an *Error", err)
			}
			for _, p := range e.Problems {
				if p.Line == 0 {
					t.Errorf("no place: %s", p)
				}
			}
			goldentest.Check(t, beside(file), err.Error()+"\n")
		})
	}
}

// TestMigrateFiles shows what becomes of old files, and what is said of it.
func TestMigrateFiles(t *testing.T) {
	for _, file := range glob(t, "testdata/migrate/*.yaml") {
		t.Run(filepath.Base(file), func(t *testing.T) {
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			out, notes, err := Migrate(filepath.Base(file), data)
			if err != nil {
				t.Fatal(err)
			}
			text := "# " + strings.Join(notes, "\n# ") + "\n" + separator + string(out)
			goldentest.Check(t, beside(file), text)
			again, notes, err := Migrate("again", out)
			if err != nil || len(notes) > 0 || string(again) != string(out) {
				t.Errorf("a second run changes it: %v %v\n%s", err, notes, cmp.Diff(string(out), string(again)))
			}
		})
	}
}

func glob(t testing.TB, pattern string) []string {
	t.Helper()
	files, err := filepath.Glob(pattern)
	if err != nil || len(files) == 0 {
		t.Fatalf("%s: %d files (%v)", pattern, len(files), err)
	}
	return files
}
