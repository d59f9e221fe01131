package render

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/hactl/hactl/app"
	"github.com/hactl/hactl/phases"
)

// quiet is the shortest time between two progress lines where lines cannot
// be written over.
const quiet = 2 * time.Second

// text writes one line for each phase of the list, with its time. On a
// terminal the line of the running phase is live; elsewhere, progress has
// lines of its own. Warnings are kept for the end.
type text struct {
	out, err io.Writer
	terminal Terminal

	mu              sync.Mutex // the clock draws too
	made, unchanged int        // sub-phases of the running phase
	live            *live
	clock           *time.Ticker
	stopped         chan struct{}
	progressed      time.Time
	warnings        []string
}

func (t *text) Title(title string) { fmt.Fprintln(t.err, title) }

func (t *text) Event(e phases.Event) {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch e.Kind {
	case phases.Started:
		if e.Depth == 0 {
			t.made, t.unchanged = 0, 0
		}
		t.show(e, e.Title)
	case phases.Progress:
		t.progress(e)
	case phases.Warning:
		t.warnings = append(t.warnings, e.Phase+": "+e.Reason)
	case phases.Undone:
		t.line(e, "taken back")
	default:
		t.end(e)
	}
}

// Ask is where the live line was: no clock draws over the answer.
func (t *text) Ask(question string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.clear()
	fmt.Fprint(t.err, question)
}

// end counts a sub-phase or writes the line of a phase.
func (t *text) end(e phases.Event) {
	if e.Depth > 0 && e.Kind != phases.Failed {
		switch e.Kind {
		case phases.Unchanged:
			if !e.Group {
				t.unchanged++
			}
		case phases.Finished:
			if !e.Group {
				t.made++
			}
		}
		return
	}
	if e.Depth > 0 {
		return
	}
	switch e.Kind {
	case phases.Skipped:
		t.line(e, "skipped    "+e.Reason)
	case phases.Failed:
		t.line(e, "failed     "+seconds(e.Elapsed))
	case phases.Unchanged:
		t.line(e, "unchanged  "+seconds(e.Elapsed))
	default:
		t.line(e, t.finished(e))
	}
}

func (t *text) finished(e phases.Event) string {
	if !e.Group || t.made+t.unchanged == 0 {
		return "done       " + seconds(e.Elapsed)
	}
	s := "done       " + seconds(e.Elapsed)
	if t.unchanged > 0 {
		s += fmt.Sprintf("  %d made, %d unchanged", t.made, t.unchanged)
	}
	return s
}

func (t *text) progress(e phases.Event) {
	if t.terminal() > 0 {
		t.show(e, e.Reason)
		return
	}
	if e.At.Sub(t.progressed) < quiet {
		return
	}
	t.progressed = e.At
	t.line(e, "…          "+seconds(e.Elapsed)+"  "+e.Reason)
}

// show makes the live line tell what the phase does, and for how long: a
// clock keeps it moving while nothing else happens.
func (t *text) show(e phases.Event, what string) {
	if t.terminal() == 0 {
		return
	}
	t.live = &live{phase: top(e.Phase), what: strings.ReplaceAll(what, "\n", " "), since: time.Now().Add(-e.Elapsed)}
	t.draw()
	if t.clock == nil {
		t.clock = time.NewTicker(time.Second)
		t.stopped = make(chan struct{})
		go t.tick(t.clock.C, t.stopped)
	}
}

// live is the line of the running phase.
type live struct {
	phase, what string
	since       time.Time
}

func (t *text) tick(clock <-chan time.Time, stopped <-chan struct{}) {
	for {
		select {
		case <-stopped:
			return
		case <-clock:
			t.mu.Lock()
			t.draw()
			t.mu.Unlock()
		}
	}
}

func (t *text) draw() {
	width := t.terminal()
	if t.live == nil || width == 0 {
		return
	}
	line := []rune(fmt.Sprintf("  %-20s %s  %s", t.live.phase, seconds(time.Since(t.live.since)), t.live.what))
	fmt.Fprintf(t.err, "\r\x1b[K%s", string(line[:min(len(line), width-1)]))
}

// line writes a line that stays.
func (t *text) line(e phases.Event, what string) {
	t.clear()
	fmt.Fprintf(t.err, "  %-20s %s\n", top(e.Phase), strings.TrimRight(what, " "))
}

func (t *text) clear() {
	if t.live != nil {
		fmt.Fprint(t.err, "\r\x1b[K")
		t.live = nil
	}
}

// finish stops the clock and shows the warnings.
func (t *text) finish() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.clock != nil {
		t.clock.Stop()
		close(t.stopped)
		t.clock = nil
	}
	t.clear()
	for i, w := range t.warnings {
		if i == 0 {
			fmt.Fprintln(t.err, "\nwarnings:")
		}
		fmt.Fprintln(t.err, "  "+strings.ReplaceAll(w, "\n", "\n    "))
	}
	t.warnings = nil
}

func (t *text) Result(r Result) error {
	t.finish()
	return r.Text(t.out)
}

func (t *text) Error(x app.Explanation) {
	t.finish()
	fmt.Fprint(t.err, "\n"+x.String())
}

func top(path string) string {
	name, _, _ := strings.Cut(path, "/")
	return name
}

func seconds(d time.Duration) string { return fmt.Sprintf("%5.1fs", d.Seconds()) }
