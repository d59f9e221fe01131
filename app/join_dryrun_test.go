package app

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hactl/hactl/config"
	"github.com/hactl/hactl/config/goldentest"
	"github.com/hactl/hactl/phases"
)

// dryJoin runs join in a world and checks that nothing happened to it.
func dryJoin(t *testing.T, w *joinWorld, in JoinInput) (*Joined, *log) {
	t.Helper()
	in.Config.DryRun = true
	before := w.everything()
	r, l, err := w.join(t.Context(), in, nil)
	if err != nil {
		t.Fatal(Explain(err))
	}
	if diff := cmp.Diff(before, w.everything()); diff != "" {
		t.Errorf("a dry run changes something: -before +after\n%s", diff)
	}
	return r, l
}

// promised are the changes of a report, by the names of joinWorld.done.
func promised(r *DryRunReport) []string {
	var list []string
	for _, c := range r.Machine {
		list = append(list, c.Action+" "+c.Target)
	}
	for _, o := range r.Objects {
		list = append(list, o.Verb+" "+o.title())
	}
	slices.Sort(list)
	return slices.Compact(list)
}

// What a dry run lists is what the real run then does.
func TestJoinDryRun(t *testing.T) {
	for _, c := range ways() {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newJoinWorld(t)
				c.before(w)
				dry, _ := dryJoin(t, w, c.in())
				clear(w.done)
				w.mustJoin(c.in())
				got := promised(dry.DryRun)
				// In a dry run no kubelet gets in, so its first way in is not closed.
				delete(w.done, "remove "+bootstrapConf)
				want := slices.Sorted(maps.Keys(w.done))
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("%s: -done +promised\n%s", c.reason, diff)
				}

				again, l := dryJoin(t, w, c.in())
				if list := promised(again.DryRun); len(list) > 0 {
					t.Errorf("%s: a second run would do %q", c.reason, list)
				}
				ends := c.ends(phases.Unchanged)
				ends["kubelet-wait-bootstrap"] = phases.Skipped
				if diff := cmp.Diff(ends, l.ends()); diff != "" {
					t.Errorf("%s: a dry run of a second run: -want +got\n%s", c.reason, diff)
				}
			})
		})
	}
}

// TestJoinDryRunGoesOn: an earlier run added the member and was killed before
// it wrote what starts it.
func TestJoinDryRunGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newJoinWorld(t)
		if _, err := w.etcd.AddLearner(t.Context(), "https://10.0.0.12:2380"); err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		r, _ := dryJoin(t, w, plane())
		if took := time.Since(began); took > 10*time.Second {
			t.Errorf("it waited %s for a member that nothing starts", took)
		}
		var members []string
		for _, change := range promised(r.DryRun) {
			if strings.Contains(change, "etcd member") {
				members = append(members, change)
			}
		}
		if diff := cmp.Diff([]string{"promote etcd member cp-2"}, members); diff != "" {
			t.Errorf("-want +got\n%s", diff)
		}
	})
}

// What people see of it.
func TestJoinDryRunText(t *testing.T) {
	for name, in := range map[string]func() JoinInput{"worker": worker, "plane": plane} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r, _ := dryJoin(t, newJoinWorld(t), in())
				var text bytes.Buffer
				if err := r.Text(&text); err != nil {
					t.Fatal(err)
				}
				goldentest.Check(t, "dryrun-join-"+name+".golden", text.String())
			})
		})
	}
}

// Nothing that is told holds what the user gave, or a private key.
func TestJoinTellsNoSecrets(t *testing.T) {
	for _, c := range ways() {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newJoinWorld(t)
				c.before(w)
				dry := func() JoinInput { return with(c.in(), func(c *config.JoinNode) { c.DryRun = true }) }
				told := &bytes.Buffer{}
				for _, in := range []JoinInput{dry(), c.in(), dry()} {
					w.tell(told, in)
				}
				secrets := append(w.secrets(), w.first.secrets()...)
				w.breakEach(func() { w.tell(told, c.in()) })
				w.lost = lost()
				w.tell(told, c.in())
				w.tell(told, with(c.in(), func(c *config.JoinNode) {
					c.Discovery.Token.Token = "abcdef.secretsecret0000x"
					if c.ControlPlane != nil {
						c.ControlPlane.CertificateKey = config.Secret("short" + knownKey)
					}
				}))
				for _, s := range append(secrets, "secretsecret0000") {
					if i := strings.Index(told.String(), s); i >= 0 {
						t.Errorf("%s: a secret is told: …%s", c.reason, told.String()[max(0, i-300):i+len(s)])
					}
				}
				if len(secrets) < 10 {
					t.Errorf("only %d secrets are looked for", len(secrets))
				}
			})
		})
	}
}

// tell runs join and writes all that it tells: events, result, error.
func (w *joinWorld) tell(told *bytes.Buffer, in JoinInput) {
	w.t.Helper()
	r, l, err := w.join(w.t.Context(), in, nil)
	for _, e := range l.events {
		fmt.Fprintf(told, "%+v %q %v\n", e, e.Reason, e.Err)
	}
	if err != nil {
		fmt.Fprintf(told, "%v %+v %#v\n", err, Explain(err), Explain(err))
		return
	}
	data, err := json.Marshal(r)
	if err != nil {
		w.t.Fatal(err)
	}
	told.Write(data)
	if err := r.Text(told); err != nil {
		w.t.Fatal(err)
	}
}

// breakEach breaks each file of the node in turn, and mends it: errors must
// not quote what they read.
func (w *joinWorld) breakEach(run func()) {
	for name, content := range w.snapshot() {
		if !strings.HasPrefix(name, "/etc/kubernetes/") || strings.HasPrefix(content, "d") {
			continue
		}
		_, body, _ := strings.Cut(content, " ")
		w.file(name, "\tsecrets: {"+knownKey+"\n"+body, 0o600)
		run()
		w.file(name, body, 0o600)
	}
}
