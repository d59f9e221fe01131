package phases_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/hactl/hactl/phases"
)

// world is what test phases change.
type world struct {
	done  map[string]bool
	calls []string
}

func newWorld(done ...string) *world {
	w := &world{done: map[string]bool{}}
	for _, name := range done {
		w.done[name] = true
	}
	return w
}

var errBroken = errors.New("broken")

// task makes w.done[name] true, and notes each call.
func task(name string) phases.Phase[world] {
	return phases.Phase[world]{
		Name: name,
		Observe: func(_ context.Context, w *world) (phases.State, error) {
			w.calls = append(w.calls, "observe "+name)
			if w.done[name] {
				return phases.Done, nil
			}
			return phases.Missing, nil
		},
		Apply: func(_ context.Context, w *world) error {
			w.calls = append(w.calls, "apply "+name)
			w.done[name] = true
			return nil
		},
		Undo: func(ctx context.Context, w *world) error {
			w.calls = append(w.calls, "undo "+name)
			w.done[name] = false
			return ctx.Err()
		},
	}
}

// check runs f each time.
func check(name string, f func() error) phases.Phase[world] {
	return phases.Phase[world]{Name: name, Apply: func(_ context.Context, w *world) error {
		w.calls = append(w.calls, "check "+name)
		return f()
	}}
}

func group(name string, sub ...phases.Phase[world]) phases.Phase[world] {
	return phases.Phase[world]{Name: name, Phases: sub}
}

func fine() error   { return nil }
func broken() error { return errBroken }

func tree() []phases.Phase[world] {
	return []phases.Phase[world]{
		check("preflight", fine),
		group("certs", task("ca"), group("etcd", task("server"), task("peer"))),
		task("kubelet"),
	}
}

func TestRunOrder(t *testing.T) {
	swallow := task("swallow")
	swallow.Apply = func(context.Context, *world) error { return nil }
	skipped := task("skipped")
	skipped.Skip = func(*world) string { return "not for this node" }
	noUndo := task("own")
	noUndo.Undo = nil
	badUndo := task("bad")
	badUndo.Undo = func(_ context.Context, w *world) error {
		w.calls = append(w.calls, "undo bad")
		return errBroken
	}
	cases := map[string]struct {
		reason string
		list   []phases.Phase[world]
		world  *world
		opts   phases.Options
		calls  []string
		phase  string // of the error
		err    error
	}{
		"All": {
			reason: "phases run top to bottom; each observes, applies and observes",
			list:   tree(), world: newWorld(),
			calls: []string{"check preflight", "observe ca", "apply ca", "observe ca",
				"observe server", "apply server", "observe server",
				"observe peer", "apply peer", "observe peer",
				"observe kubelet", "apply kubelet", "observe kubelet"},
		},
		"Resume": {
			reason: "what is done is only observed; checks run every time",
			list:   tree(), world: newWorld("ca", "server", "peer"),
			calls: []string{"check preflight", "observe ca", "observe server", "observe peer",
				"observe kubelet", "apply kubelet", "observe kubelet"},
		},
		"OnlyLeaf": {
			reason: "one phase alone runs without the others",
			list:   tree(), world: newWorld("peer"), opts: phases.Options{Only: []string{"certs/etcd/peer"}},
			calls: []string{"observe peer"},
		},
		"OnlyGroup": {
			reason: "a group brings its sub-phases",
			list:   tree(), world: newWorld("server", "peer"), opts: phases.Options{Only: []string{"certs/etcd"}},
			calls: []string{"observe server", "observe peer"},
		},
		"SkipInsideOnly": {
			reason: "skip takes out of only",
			list:   tree(), world: newWorld("ca", "server", "peer"),
			opts:  phases.Options{Only: []string{"certs"}, Skip: []string{"certs/etcd"}},
			calls: []string{"observe ca"},
		},
		"SkipByPhase": {
			reason: "a phase with a reason to skip does nothing",
			list:   []phases.Phase[world]{skipped, task("x")}, world: newWorld("x"),
			calls: []string{"observe x"},
		},
		"Unfinished": {
			reason: "an apply that makes nothing is a failure, and is taken back",
			list:   []phases.Phase[world]{swallow, task("x")}, world: newWorld(),
			calls: []string{"observe swallow", "observe swallow", "undo swallow"},
			phase: "swallow", err: &phases.UnfinishedError{},
		},
		"Undo": {
			reason: "a failure takes back in reverse order what this run applied, and nothing else",
			list:   []phases.Phase[world]{task("a"), task("b"), noUndo, group("g", task("c"), check("check", broken)), task("d")},
			world:  newWorld("b"),
			calls: []string{"observe a", "apply a", "observe a", "observe b",
				"observe own", "apply own", "observe own",
				"observe c", "apply c", "observe c", "check check", "undo c", "undo a"},
			phase: "g/check", err: errBroken,
		},
		"UndoFails": {
			reason: "one that cannot be taken back does not stop the others",
			list:   []phases.Phase[world]{task("a"), badUndo, check("check", broken)}, world: newWorld(),
			calls: []string{"observe a", "apply a", "observe a", "observe bad", "apply bad", "observe bad",
				"check check", "undo bad", "undo a"},
			phase: "check", err: errBroken,
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			err := phases.Run(t.Context(), c.list, c.world, c.opts)
			if diff := cmp.Diff(c.calls, c.world.calls); diff != "" {
				t.Errorf("%s: -want +got\n%s", c.reason, diff)
			}
			wantFailure(t, err, c.phase, c.err)
		})
	}
}

func wantFailure(t *testing.T, err error, phase string, want error) {
	t.Helper()
	if phase == "" {
		if err != nil {
			t.Errorf("want no error, got %v", err)
		}
		return
	}
	var failed *phases.PhaseError
	if !errors.As(err, &failed) || failed.Phase != phase {
		t.Fatalf("want a failure of %s, got %v", phase, err)
	}
	var unfinished *phases.UnfinishedError
	if errors.As(want, &unfinished) {
		want, err = nil, nil
		if !errors.As(failed, &unfinished) {
			t.Errorf("want *UnfinishedError, got %v", failed)
		}
	}
	if !errors.Is(err, want) {
		t.Errorf("want %v, got %v", want, err)
	}
}

func TestRunObserveFails(t *testing.T) {
	p := task("x")
	p.Observe = func(context.Context, *world) (phases.State, error) { return phases.Missing, errBroken }
	w := newWorld()
	wantFailure(t, phases.Run(t.Context(), []phases.Phase[world]{p}, w, phases.Options{}), "x", errBroken)
	if len(w.calls) > 0 {
		t.Errorf("nothing is applied and nothing taken back, got %v", w.calls)
	}
}

func TestRunInterrupted(t *testing.T) {
	interrupt := errors.New("interrupted")
	ctx, cancel := context.WithCancelCause(t.Context())
	stop := check("stop", func() error { cancel(interrupt); return nil })
	w := newWorld()
	err := phases.Run(ctx, []phases.Phase[world]{task("a"), stop, task("b")}, w, phases.Options{})
	wantFailure(t, err, "b", interrupt)
	want := []string{"observe a", "apply a", "observe a", "check stop", "undo a"}
	if diff := cmp.Diff(want, w.calls); diff != "" {
		t.Errorf("after an interrupt: -want +got\n%s", diff)
	}
	if w.done["a"] {
		t.Error("a was not taken back: Undo needs a context that has not ended")
	}
}

func TestUndoHasALimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := task("a")
		p.Undo = func(ctx context.Context, _ *world) error { <-ctx.Done(); return ctx.Err() }
		began := time.Now()
		err := phases.Run(t.Context(), []phases.Phase[world]{p, check("check", broken)}, newWorld(), phases.Options{})
		wantFailure(t, err, "check", errBroken)
		if got := time.Since(began); got != 30*time.Second {
			t.Errorf("want 30s, got %s", got)
		}
	})
}

func TestRunEvents(t *testing.T) {
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	now := start
	clock := func() time.Time { now = now.Add(time.Second); return now }
	work := task("work")
	work.Title = "do the work"
	work.Apply = func(ctx context.Context, w *world) error {
		phases.Report(ctx, " half done\n")
		phases.Warn(ctx, "look here")
		w.done["work"] = true
		return nil
	}
	skip := task("skip")
	skip.Skip = func(*world) string { return "no etcd here" }
	badUndo := task("bad")
	badUndo.Undo = func(context.Context, *world) error { return errBroken }
	list := []phases.Phase[world]{group("g", work, task("old")), skip, task("typed"), badUndo, check("end", broken)}
	var got []phases.Event
	o := phases.Options{Skip: []string{"typed"}, Now: clock, Notify: func(e phases.Event) { got = append(got, e) }}
	wantFailure(t, phases.Run(t.Context(), list, newWorld("old"), o), "end", errBroken)
	type E = phases.Event
	want := []E{
		{Phase: "g", Group: true, Kind: phases.Started},
		{Phase: "g/work", Title: "do the work", Depth: 1, Kind: phases.Started},
		{Phase: "g/work", Title: "do the work", Depth: 1, Kind: phases.Progress, Reason: "half done"},
		{Phase: "g/work", Title: "do the work", Depth: 1, Kind: phases.Warning, Reason: "look here"},
		{Phase: "g/work", Title: "do the work", Depth: 1, Kind: phases.Finished, Elapsed: 3 * time.Second},
		{Phase: "g/old", Depth: 1, Kind: phases.Started},
		{Phase: "g/old", Depth: 1, Kind: phases.Unchanged},
		{Phase: "g", Group: true, Kind: phases.Finished},
		{Phase: "skip", Kind: phases.Skipped, Reason: "no etcd here"},
		{Phase: "typed", Kind: phases.Skipped, Reason: "--skip-phases"},
		{Phase: "bad", Kind: phases.Started},
		{Phase: "bad", Kind: phases.Finished},
		{Phase: "end", Kind: phases.Started},
		{Phase: "end", Kind: phases.Failed, Err: errBroken},
		{Phase: "bad", Kind: phases.Warning, Reason: "not taken back: broken"},
		{Phase: "g/work", Title: "do the work", Depth: 1, Kind: phases.Undone},
	}
	ignore := cmpopts.IgnoreFields(E{}, "At", "Elapsed")
	if diff := cmp.Diff(want, got, ignore, cmpopts.EquateErrors()); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	for i, e := range got {
		if i > 0 && !e.At.After(got[i-1].At) {
			t.Errorf("event %d is not later than the one before it", i)
		}
	}
	if got[0].Elapsed != 0 || got[4].Elapsed != 3*time.Second {
		t.Errorf("elapsed: want 0 and 3s, got %s and %s", got[0].Elapsed, got[4].Elapsed)
	}
}

func TestReportOutsideARun(t *testing.T) {
	phases.Report(t.Context(), "nobody listens")
	phases.Warn(t.Context(), "nobody listens")
}

func TestLift(t *testing.T) {
	type big struct{ part *world }
	inner := group("g", task("a"), task("b"))
	inner.Aliases, inner.Title, inner.Hidden = []string{"group"}, "title", true
	inner.Reads, inner.Writes = []string{"r"}, []string{"w"}
	inner.Phases[1].Skip = func(w *world) string {
		if w.done["a"] {
			return "a is there"
		}
		return ""
	}
	p := phases.Lift(inner, func(b *big) *world { return b.part })
	b := &big{}
	late := phases.Phase[big]{Name: "late", Apply: func(_ context.Context, b *big) error {
		b.part = newWorld() // the view is taken after this
		return nil
	}}
	fail := phases.Phase[big]{Name: "fail", Apply: func(context.Context, *big) error { return errBroken }}
	err := phases.Run(t.Context(), []phases.Phase[big]{late, p, fail}, b, phases.Options{})
	wantFailure(t, err, "fail", errBroken)
	want := []string{"observe a", "apply a", "observe a", "undo a"}
	if diff := cmp.Diff(want, b.part.calls); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	want = []string{"g", "group", "title", "r", "w"}
	got := slices.Concat([]string{p.Name}, p.Aliases, []string{p.Title}, p.Reads, p.Writes)
	if diff := cmp.Diff(want, got); diff != "" || !p.Hidden || p.Observe != nil || p.Apply != nil {
		t.Errorf("what describes the phase stays: -want +got\n%s", diff)
	}
}

func TestResolve(t *testing.T) {
	list := tree()
	list[1].Aliases = []string{"certificates"}
	list[1].Phases[0].Aliases = []string{"authority"}
	list[2].Hidden = true
	cases := map[string]struct {
		reason string
		typed  []string
		want   []string
		bad    string
	}{
		"Exact":    {reason: "a path stands for itself", typed: []string{"certs/etcd/peer"}, want: []string{"certs/etcd/peer"}},
		"Alias":    {reason: "aliases work at every level", typed: []string{"certificates/authority"}, want: []string{"certs/ca"}},
		"All":      {reason: "all stands for its group", typed: []string{"certs/all", "certs/etcd/all"}, want: []string{"certs", "certs/etcd"}},
		"Twice":    {reason: "a phase is named once", typed: []string{"certs", "certificates", "certs/all"}, want: []string{"certs"}},
		"Case":     {reason: "upper and lower case are one, as in kubeadm", typed: []string{"Certs/CA", "Certificates"}, want: []string{"certs/ca", "certs"}},
		"Slashes":  {reason: "slashes at the ends do not matter", typed: []string{"/certs/"}, want: []string{"certs"}},
		"Hidden":   {reason: "a hidden phase can be named", typed: []string{"kubelet"}, want: []string{"kubelet"}},
		"Unknown":  {reason: "an unknown name is an error", typed: []string{"certs", "cert"}, bad: "cert"},
		"TooDeep":  {reason: "a leaf has no sub-phases", typed: []string{"kubelet/all"}, bad: "kubelet/all"},
		"Empty":    {reason: "nothing names no phase", typed: []string{""}, bad: ""},
		"NotAlone": {reason: "all alone names no phase", typed: []string{"all"}, bad: "all"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			got, err := phases.Resolve(list, c.typed)
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("%s: -want +got\n%s", c.reason, diff)
			}
			if c.want != nil {
				if err != nil {
					t.Errorf("%s: %v", c.reason, err)
				}
				return
			}
			want := &phases.UnknownPhaseError{Typed: c.bad, Known: []string{
				"preflight", "certs", "certs/ca", "certs/etcd", "certs/etcd/server", "certs/etcd/peer"}}
			var unknown *phases.UnknownPhaseError
			if !errors.As(err, &unknown) {
				t.Fatalf("%s: got %v", c.reason, err)
			}
			if diff := cmp.Diff(want, unknown); diff != "" {
				t.Errorf("%s: -want +got\n%s", c.reason, diff)
			}
		})
	}
}
