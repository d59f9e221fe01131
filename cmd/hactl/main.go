// Command hactl brings up highly available Kubernetes control planes and
// keeps them safe.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/hactl/hactl/app"
	"github.com/hactl/hactl/cmd"
)

func main() {
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
