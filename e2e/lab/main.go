//go:build linux

// Command lab runs labs: real nodes on this machine for hactl's end-to-end
// tests, and for people who want to look around in them.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"syscall"

	"github.com/hactl/hactl/e2e/build"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err := newCommand().ExecuteContext(ctx)
	if err == nil {
		return
	}
	// What ran on a node has said what was wrong; its code is the answer.
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.ExitCode() > 0 {
		os.Exit(exit.ExitCode())
	}
	fmt.Fprintln(os.Stderr, "lab:", err)
	if errors.Is(err, build.ErrHost) {
		os.Exit(2)
	}
	os.Exit(1)
}
