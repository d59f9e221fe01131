// Command hactl brings up highly available Kubernetes control planes and
// keeps them safe.
package main

import (
	"context"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"

	"github.com/hactl/hactl/app"
	"github.com/hactl/hactl/cmd"
)

// heapGrowth is by how many percent the heap may grow before it is collected.
// The heap is small, so that half of Go's default costs no time that could be
// measured; it is 1.5 MB less on a machine that holds a control plane.
const heapGrowth = 50

func main() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(heapGrowth)
	}
	ctx, cancel := context.WithCancelCause(context.Background())
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() {
		<-signals
		// What others can see is taken back; a second signal ends at once.
		cancel(app.ErrInterrupted)
		<-signals
		os.Exit(130)
	}()
	os.Exit(cmd.Execute(ctx, cmd.Streams{In: os.Stdin, Out: os.Stdout, Err: os.Stderr}, os.Args[1:]))
}
