//go:build !linux

package preflight

import (
	"context"
	"errors"
	"runtime"
)

// verify knows only Linux nodes.
func verify(context.Context, string) (warnings, problems []error) {
	return nil, []error{errors.New("a node runs Linux, and this is " + runtime.GOOS)}
}
