//go:build linux

package build

import (
	"fmt"
	"io"
	"sync"
	"time"
)

// quiet is the longest that a long action says nothing.
const quiet = 15 * time.Second

// reporter prints one line per event, with the time since the start.
// It may be used by several goroutines.
type reporter struct {
	mu    sync.Mutex
	w     io.Writer
	start time.Time
}

func newReporter(w io.Writer) *reporter {
	if w == nil {
		w = io.Discard
	}
	return &reporter{w: w, start: time.Now()}
}

func (r *reporter) printf(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	fmt.Fprintf(r.w, "[%7s] %s\n", elapsed(time.Since(r.start)), fmt.Sprintf(format, args...))
}

// during prints title now and again each time quiet has passed, together with
// what status returns, until the caller calls done. status may be nil.
func (r *reporter) during(title string, status func() string) (done func()) {
	r.printf("%s", title)
	begin := time.Now()
	stop := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		tick := time.NewTicker(quiet)
		defer tick.Stop()
		for {
			select {
			case <-stop:
				return
			case now := <-tick.C:
				note := ""
				if status != nil {
					note = ", " + status()
				}
				r.printf("  still %s: %s%s", title, elapsed(now.Sub(begin)), note)
			}
		}
	})
	return func() {
		close(stop)
		wg.Wait()
	}
}

// elapsed writes a duration as people say it: 7.4s, 3m20s.
func elapsed(d time.Duration) string {
	if d < 10*time.Second {
		return fmt.Sprintf("%.1fs", d.Seconds())
	}
	return d.Round(time.Second).String()
}
