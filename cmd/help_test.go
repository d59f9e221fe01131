package cmd

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// golden compares got with testdata/name.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s differs (-want +got); rewrite it with -update:\n%s", path, diff)
	}
}

// output runs hactl as on a machine without settings and returns what it
// prints.
func output(t *testing.T, args ...string) string {
	t.Helper()
	var out, err bytes.Buffer
	code := execute(t.Context(), Streams{In: strings.NewReader(""), Out: &out, Err: &err}, filepath.Join(t.TempDir(), "none.yaml"), args)
	if code != 0 || err.Len() > 0 {
		t.Fatalf("hactl %s: exit code %d\n%s", strings.Join(args, " "), code, err.String())
	}
	return out.String()
}

// commands calls visit for each command that hactl has of its own.
func commands(c *cobra.Command, visit func(*cobra.Command)) {
	if c.Name() == "help" {
		return
	}
	visit(c)
	for _, sub := range c.Commands() {
		commands(sub, visit)
	}
}

// alone says that a command runs one phase.
func alone(c *cobra.Command) bool {
	return strings.HasPrefix(c.CommandPath(), "hactl init phase ") && !c.HasSubCommands() && c.Name() != "list"
}

func TestHelp(t *testing.T) {
	made := map[string]bool{}
	commands(NewCommand(Streams{}), func(c *cobra.Command) {
		if alone(c) {
			return // see TestPhasesTakeTheFlagsOfInit
		}
		name := strings.ReplaceAll(c.CommandPath(), " ", "-") + ".txt"
		made[name] = true
		t.Run(c.CommandPath(), func(t *testing.T) {
			help := output(t, append(strings.Fields(c.CommandPath())[1:], "--help")...)
			golden(t, filepath.Join("help", name), help)
			for _, must := range []string{"Usage:\n  hactl", "\nExit codes:\n  0 done   1 failed"} {
				if !strings.Contains(help, must) {
					t.Errorf("%s --help does not say %q", c.CommandPath(), must)
				}
			}
		})
	})
	entries, err := os.ReadDir("testdata/help")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if !made[e.Name()] {
			t.Errorf("testdata/help/%s is of no command: remove it", e.Name())
		}
	}
}

func TestPhasesTakeTheFlagsOfInit(t *testing.T) {
	root := NewCommand(Streams{})
	flags := func(c *cobra.Command) (list []string) {
		c.LocalNonPersistentFlags().VisitAll(func(f *pflag.Flag) { list = append(list, f.Name+"="+f.DefValue) })
		return list
	}
	init, _, err := root.Find([]string{"init"})
	if err != nil {
		t.Fatal(err)
	}
	count := 0
	commands(root, func(c *cobra.Command) {
		if !alone(c) {
			return
		}
		count++
		if diff := cmp.Diff(flags(init), flags(c)); diff != "" {
			t.Errorf("%s: flags -init +phase:\n%s", c.CommandPath(), diff)
		}
	})
	if count < 14 {
		t.Errorf("only %d phases run alone", count)
	}
}

func TestEveryCommandIsDescribed(t *testing.T) {
	commands(NewCommand(Streams{}), func(c *cobra.Command) {
		if c.Short == "" || strings.HasSuffix(c.Short, ".") {
			t.Errorf("%s: the short help is %q, want some words without a full stop", c.CommandPath(), c.Short)
		}
		if c.RunE == nil || c.Args == nil {
			t.Errorf("%s: has no RunE or takes arguments", c.CommandPath())
		}
		c.LocalFlags().VisitAll(func(f *pflag.Flag) {
			if f.Usage == "" {
				t.Errorf("%s: --%s says nothing of itself", c.CommandPath(), f.Name)
			}
		})
	})
}

func TestPhaseList(t *testing.T) { golden(t, "phase-list.txt", output(t, "init", "phase", "list")) }
