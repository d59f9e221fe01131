package cmd

import (
	"path/filepath"
	"testing"

	"github.com/spf13/pflag"
)

// TestPatchesFromHere: people type a directory as they see it from where they
// are; what hactl works with does not depend on that.
func TestPatchesFromHere(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	for _, typed := range []string{"patches", "./patches", filepath.Join(dir, "patches")} {
		flags := pflag.NewFlagSet("init", pflag.ContinueOnError)
		f := &initFlags{}
		f.register(flags)
		if err := flags.Parse([]string{"--patches", typed}); err != nil {
			t.Fatal(err)
		}
		in, err := f.input(flags, Streams{})
		if err != nil {
			t.Fatal(err)
		}
		want, err := filepath.Abs("patches")
		if err != nil {
			t.Fatal(err)
		}
		if in.Config.PatchesDir != want {
			t.Errorf("--patches %s is %s, want %s", typed, in.Config.PatchesDir, want)
		}
	}
}
