package app

import (
	"context"
	"slices"
	"time"
)

const (
	syncWrites = 50
	syncSize   = 8 << 10 // bytes, about what etcd writes at once
	syncLimit  = 2 * time.Second
)

// syncLatency is how long a small write takes to be safe on the disk of a
// directory: the slowest but one of a hundred, or of as many as there is time
// for. The file that it writes has no name, so that nobody sees it.
func syncLatency(ctx context.Context, dir string) (time.Duration, error) {
	f, err := nameless(dir)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	data := make([]byte, syncSize)
	var took []time.Duration
	for began := time.Now(); len(took) < syncWrites && (len(took) == 0 || time.Since(began) < syncLimit); {
		if ctx.Err() != nil {
			return 0, context.Cause(ctx)
		}
		start := time.Now()
		if _, err := f.Write(data); err != nil {
			return 0, err
		}
		if err := f.Sync(); err != nil {
			return 0, err
		}
		took = append(took, time.Since(start))
	}
	slices.Sort(took)
	return took[len(took)*98/100], nil
}
