package render

import (
	"fmt"
	"io"
	"strings"
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

	made, unchanged int // sub-phases of the running phase
	live            bool
	progressed      time.Time
	warnings        []string
}

func (t *text) Title(title string) { fmt.Fprintln(t.err, title) }

func (t *text) Event(e phases.Event) {
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

// end counts a sub-phase or writes the line of a phase.
func (t *text) end(e phases.Event) {
	if e.Depth > 0 && e.Kind != phases.Failed {
		switch e.Kind {
		case phases.Unchanged:
			t.unchanged++
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
	if t.made == 0 {
		return "unchanged  " + seconds(e.Elapsed)
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

// show writes the live line.
func (t *text) show(e phases.Event, what string) {
	width := t.terminal()
	if width == 0 {
		return
	}
	line := []rune(fmt.Sprintf("  %-20s %s", top(e.Phase), strings.ReplaceAll(what, "\n", " ")))
	fmt.Fprintf(t.err, "\r\x1b[K%s", string(line[:min(len(line), width-1)]))
	t.live = true
}

// line writes a line that stays.
func (t *text) line(e phases.Event, what string) {
	t.clear()
	fmt.Fprintf(t.err, "  %-20s %s\n", top(e.Phase), strings.TrimRight(what, " "))
}

func (t *text) clear() {
	if t.live {
		fmt.Fprint(t.err, "\r\x1b[K")
		t.live = false
	}
}

func (t *text) warn() {
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
	t.warn()
	return r.Text(t.out)
}

func (t *text) Error(x app.Explanation) {
	t.warn()
	fmt.Fprint(t.err, "\n"+x.String())
}

func top(path string) string {
	name, _, _ := strings.Cut(path, "/")
	return name
}

func seconds(d time.Duration) string { return fmt.Sprintf("%5.1fs", d.Seconds()) }
