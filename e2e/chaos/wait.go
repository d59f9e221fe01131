package main

import (
	"context"
	"time"

	"github.com/hactl/hactl/phases/wait"
)

// until tries until there is no error, for at most the limit. The error says
// what the last try said.
func until(ctx context.Context, limit time.Duration, what string, try func(context.Context) error) error {
	return wait.For(ctx, limit, wait.Condition{What: what, Check: func(ctx context.Context) (bool, string, error) {
		err := try(ctx)
		if err == nil {
			return true, "", nil
		}
		return false, err.Error(), nil
	}})
}

// pass lets time go by.
func pass(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}
