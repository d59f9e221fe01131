package cmd

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"strconv"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// TestMain makes this test program hactl itself when a script calls it, with
// the settings file at $SETTINGS.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"hactl": func() {
			streams := Streams{In: os.Stdin, Out: os.Stdout, Err: os.Stderr}
			os.Exit(execute(context.Background(), streams, os.Getenv("SETTINGS"), os.Args[1:]))
		},
	})
}

// TestScripts runs one file for each behaviour of the command line. None of
// them gets as far as the machine: what they give is refused before that, or
// needs nothing of it.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Setup: func(e *testscript.Env) error {
			e.Setenv("SETTINGS", e.WorkDir+"/settings.yaml")
			e.Setenv("GORACE", "atexit_sleep_ms=0") // else each good end takes a second
			// Should one get through, it must not make this machine a node.
			e.Setenv("HACTL_DRY_RUN", "true")
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"code": code},
	})
}

// code runs hactl and wants an exit code: "code 2 hactl init …".
func code(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: code NUMBER PROGRAM ARGUMENT…")
	}
	got := "0"
	if err := ts.Exec(args[1], args[2:]...); err != nil {
		var exit *exec.ExitError
		if !errors.As(err, &exit) {
			ts.Fatalf("%v", err)
		}
		got = strconv.Itoa(exit.ExitCode())
	}
	if got != args[0] {
		ts.Fatalf("exit code %s, want %s", got, args[0])
	}
}
