package render_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"testing"
	"time"

	"github.com/hactl/hactl/app"
	"github.com/hactl/hactl/cmd/render"
	"github.com/hactl/hactl/config/goldentest"
	"github.com/hactl/hactl/phases"
)

type result struct {
	Endpoint string `json:"endpoint"`
}

func (r result) Text(w io.Writer) error {
	_, err := fmt.Fprintf(w, "\nThe control plane of %s is up.\n", r.Endpoint)
	return err
}

// recorder makes events as the engine does.
type recorder struct {
	now    time.Time
	events []phases.Event
}

func (r *recorder) at(e phases.Event, after time.Duration) {
	r.now = r.now.Add(after)
	e.At = r.now
	r.events = append(r.events, e)
}

// fresh is a run in which most things are new.
func fresh() []phases.Event {
	const ms = time.Millisecond
	r := &recorder{now: time.Date(2026, 11, 21, 4, 0, 0, 0, time.UTC)}
	type E = phases.Event
	r.at(E{Phase: "config", Kind: phases.Warning, Reason: "stable-1 could not be looked up: using v1.37.1"}, 0)
	r.at(E{Phase: "preflight", Title: "check the machine", Kind: phases.Started}, 0)
	r.at(E{Phase: "preflight", Title: "check the machine", Kind: phases.Progress, Reason: "pulling 7 images", Elapsed: 400 * ms}, 400*ms)
	r.at(E{Phase: "preflight", Title: "check the machine", Kind: phases.Progress, Reason: "pulled one (1 of 7)", Elapsed: 500 * ms}, 100*ms)
	r.at(E{Phase: "preflight", Title: "check the machine", Kind: phases.Progress, Reason: "pulled another with a name that is longer than the terminal is wide (7 of 7)", Elapsed: 3 * time.Second}, 2500*ms)
	r.at(E{Phase: "preflight", Title: "check the machine", Kind: phases.Warning, Reason: "Firewalld: firewalld is active:\nopen port 6443", Elapsed: 3 * time.Second}, 0)
	r.at(E{Phase: "preflight", Title: "check the machine", Kind: phases.Finished, Elapsed: 3100 * ms}, 100*ms)
	r.at(E{Phase: "certs", Title: "make the certificates", Group: true, Kind: phases.Started}, 0)
	for _, sub := range []struct {
		name string
		kind phases.Kind
	}{{"ca", phases.Unchanged}, {"apiserver", phases.Finished}, {"etcd-ca", phases.Skipped}, {"sa", phases.Finished}} {
		e := E{Phase: "certs/" + sub.name, Title: "make " + sub.name, Depth: 1, Kind: phases.Started}
		if sub.kind != phases.Skipped {
			r.at(e, 0)
		}
		e.Kind, e.Elapsed = sub.kind, 20*ms
		if sub.kind == phases.Skipped {
			e.Reason = "etcd is external"
		}
		r.at(e, 20*ms)
	}
	r.at(E{Phase: "certs", Title: "make the certificates", Group: true, Kind: phases.Finished, Elapsed: 80 * ms}, 0)
	r.at(E{Phase: "kubeconfig", Title: "make the kubeconfig files", Group: true, Kind: phases.Started}, 0)
	r.at(E{Phase: "kubeconfig/admin", Depth: 1, Kind: phases.Started}, 0)
	r.at(E{Phase: "kubeconfig/admin", Depth: 1, Kind: phases.Unchanged, Elapsed: ms}, ms)
	r.at(E{Phase: "kubeconfig", Title: "make the kubeconfig files", Group: true, Kind: phases.Unchanged, Elapsed: ms}, 0)
	r.at(E{Phase: "etcd", Group: true, Kind: phases.Skipped, Reason: "etcd is external"}, 0)
	r.at(E{Phase: "kubelet-start", Title: "start the kubelet", Kind: phases.Started}, 0)
	r.at(E{Phase: "kubelet-start", Title: "start the kubelet", Kind: phases.Unchanged, Elapsed: ms}, ms)
	r.at(E{Phase: "upload-certs", Kind: phases.Skipped, Reason: "--skip-phases"}, 0)
	return r.events
}

// broken goes on until the control plane does not come up; what was made for
// others to see is taken back.
func broken() []phases.Event {
	err := errors.New("kube-apiserver does not stay up")
	r := &recorder{now: fresh()[len(fresh())-1].At}
	type E = phases.Event
	r.at(E{Phase: "control-plane", Title: "static pods", Group: true, Kind: phases.Started}, 0)
	r.at(E{Phase: "control-plane/apiserver", Title: "manifest", Depth: 1, Kind: phases.Started}, 0)
	r.at(E{Phase: "control-plane/apiserver", Title: "manifest", Depth: 1, Kind: phases.Finished, Elapsed: time.Second}, time.Second)
	r.at(E{Phase: "control-plane/wait", Title: "is healthy", Depth: 1, Kind: phases.Started}, 0)
	r.at(E{Phase: "control-plane/wait", Title: "is healthy", Depth: 1, Kind: phases.Failed, Err: err, Elapsed: 4 * time.Second}, 4*time.Second)
	r.at(E{Phase: "control-plane", Title: "static pods", Group: true, Kind: phases.Failed, Err: err, Elapsed: 5 * time.Second}, 0)
	r.at(E{Phase: "control-plane/apiserver", Title: "manifest", Depth: 1, Kind: phases.Undone, Elapsed: 5 * time.Second}, 0)
	return append(fresh(), r.events...)
}

func TestRenderers(t *testing.T) {
	explanation := app.Explanation{
		What: "kube-apiserver does not stay up", Phase: "control-plane/wait",
		Why:  "kube-apiserver ended 3 times; its last lines:\n  bind: address already in use",
		Fix:  []string{"free the port: ss -ltnp", "then run the same command again"},
		Code: phases.CodeFailed,
	}
	cases := map[string]struct {
		reason string
		format render.Format
		width  int
		events []phases.Event
		fails  bool
		golden string
	}{
		"Pipe":           {"without a terminal no line is written over, and not each progress has one", render.Text, 0, fresh(), false, "text"},
		"Terminal":       {"the live line is as wide as the terminal", render.Text, 60, fresh(), false, "text-60"},
		"PipeFailed":     {"the phase that failed, what was taken back, the warnings and the error", render.Text, 0, broken(), true, "text-failed"},
		"TerminalFailed": {"the live line is gone before the error", render.Text, 60, broken(), true, "text-60-failed"},
		"YAML":           {"only the result differs from text", render.YAML, 0, fresh(), false, "yaml"},
		"YAMLFailed":     {"an error is for people", render.YAML, 0, broken(), true, "text-failed"},
		"JSON":           {"one object a line", render.JSON, 60, fresh(), false, "json"},
		"JSONFailed":     {"the error is an object too", render.JSON, 0, broken(), true, "json-failed"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			var out, err bytes.Buffer
			r, bad := render.New(c.format, &out, &err, func() int { return c.width })
			if bad != nil {
				t.Fatal(bad)
			}
			r.Title("init of cp-1 (10.0.0.11), Kubernetes v1.37.1")
			for _, e := range c.events {
				r.Event(e)
			}
			if c.fails {
				r.Error(explanation)
			} else if bad := r.Result(result{Endpoint: "lb.example.com:6443"}); bad != nil {
				t.Fatal(bad)
			}
			if c.format == render.JSON && err.Len() > 0 {
				t.Errorf("%s: standard error has %q", c.reason, err.String())
			}
			if c.format != render.JSON && c.fails && out.Len() > 0 {
				t.Errorf("%s: standard output has %q", c.reason, out.String())
			}
			goldentest.Check(t, c.golden+".golden", visible(err.String())+"--- standard output\n"+visible(out.String()))
		})
	}
}

// visible shows what a terminal would not, a live line a line.
func visible(s string) string {
	var b bytes.Buffer
	for i, r := range s {
		switch {
		case r == '\r' && i > 0 && s[i-1] != '\n':
			b.WriteString("\n<return>")
		case r == '\r':
			b.WriteString("<return>")
		case r == '\x1b':
			b.WriteString("<escape>")
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

func TestUnknownFormat(t *testing.T) {
	for format, known := range map[render.Format]bool{"": true, "text": true, "json": true, "yaml": true, "xml": false, "JSON": false} {
		r, err := render.New(format, io.Discard, io.Discard, func() int { return 0 })
		if (err == nil) != known || (r != nil) != known {
			t.Errorf("New(%q) = %v, %v, want a renderer: %v", format, r, err, known)
		}
		if err != nil && app.Explain(err).Code != phases.CodeUsage {
			t.Errorf("%q: exit code %d, want %d", format, app.Explain(err).Code, phases.CodeUsage)
		}
	}
}

// A result that cannot be written is an error: a script that reads it must
// not go on with half of it.
func TestResultIsNotWritten(t *testing.T) {
	full := errors.New("no space left")
	for _, format := range []render.Format{render.Text, render.JSON, render.YAML} {
		r, err := render.New(format, failing{full}, io.Discard, func() int { return 0 })
		if err != nil {
			t.Fatal(err)
		}
		if err := r.Result(result{}); !errors.Is(err, full) {
			t.Errorf("%s: Result() = %v, want %v", format, err, full)
		}
	}
}

type failing struct{ err error }

func (f failing) Write([]byte) (int, error) { return 0, f.err }
