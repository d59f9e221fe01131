//go:build e2e

package e2e

import (
	"bufio"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// checkResult is what the tests need of `hactl lb check -o json`.
type checkResult struct {
	Answer             string
	Problems, Warnings []struct{ Answer, What string }
	Backends           []struct {
		Name, Address string
		Connections   int
	}
	Failover struct {
		Seconds       float64
		Tries, Failed int
		Open          bool
	}
}

// found says whether there is such a problem or warning.
func (r checkResult) found(answer string) bool {
	is := func(f struct{ Answer, What string }) bool { return f.Answer == answer }
	return slices.ContainsFunc(r.Problems, is) || slices.ContainsFunc(r.Warnings, is)
}

// check is one run of `hactl lb check` on cp-1.
type check struct {
	want    string
	code    int
	address string
	more    []string
}

func (b *balancers) check(t *testing.T, c check) checkResult {
	t.Helper()
	o := hactl(t, b.cp, append([]string{"lb", "check", c.address, "-o", "json"}, c.more...)...)
	var r checkResult
	result(t, o.stdout, &r)
	if r.Answer != c.want || o.code != c.code {
		t.Errorf("check of %s: %q with exit code %d, want %q and %d\n%s", c.address, r.Answer, o.code, c.want, c.code, o.stdout)
	}
	return r
}

// gap is how long clients were cut off, and what the check said to it.
type gap struct {
	Seconds float64
	answer  string
	code    int
}

// measure runs a check that measures, and fail once it has begun.
func (b *balancers) measure(t *testing.T, fail func()) gap {
	t.Helper()
	c, err := b.cp.Command(t.Context(), "hactl", "lb", "check", b.endpoint, "--failover=20s", "-o", "json")
	if err != nil {
		t.Fatal(err)
	}
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	var all strings.Builder
	var failed sync.WaitGroup
	for lines := bufio.NewScanner(out); lines.Scan(); {
		all.WriteString(lines.Text() + "\n")
		if strings.Contains(lines.Text(), "measuring for") {
			failed.Go(fail)
		}
	}
	failed.Wait()
	if err := c.Wait(); err != nil && c.ProcessState == nil {
		t.Fatal(err)
	}
	var r checkResult
	result(t, all.String(), &r)
	return gap{r.Failover.Seconds, r.Answer, c.ProcessState.ExitCode()}
}

// answers provokes what a check can say of a cluster that runs. Those of a
// balancer without a cluster are in install.
func (b *balancers) answers(t *testing.T) {
	second := b.hosts[1].Address().String()
	t.Run("OtherCA", func(t *testing.T) {
		must(t, b.cp, "sh", "-c", "openssl req -x509 -newkey rsa:2048 -nodes -keyout /dev/null -subj /CN=kubernetes -days 1 -out /tmp/other.crt 2>/dev/null")
		b.check(t, check{want: "other-ca", code: 5, address: b.endpoint, more: []string{"--ca-file=/tmp/other.crt"}})
		b.check(t, check{want: "other-ca", code: 5, address: b.endpoint, more: []string{"--ca-cert-hash=sha256:" + "00000000000000000000000000000000" + "00000000000000000000000000000000"}})
		b.check(t, check{want: "good", address: b.endpoint, more: []string{"--ca-cert-hash=" + b.result.Join.CACertHash}})
	})
	t.Run("NameMissing", func(t *testing.T) {
		// The guide's trap: the certificates are for the virtual address, and
		// clients use a balancer's own.
		b.check(t, check{want: "name-missing", code: 1, address: second + ":6443"})
	})
	t.Run("NginxKnowsOne", func(t *testing.T) {
		o := hactl(t, b.hosts[1], "lb", "install", "nginx", "--bind-port=8443", "--server=cp-1="+b.cp.Address().String()+":6443", "--endpoint="+b.endpoint)
		if o.code != 0 {
			t.Fatalf("exit code %d\n%s%s", o.code, o.stdout, o.stderr)
		}
		if want := "single point of failure"; !strings.Contains(o.stderr, want) {
			t.Errorf("nginx alone is %s, and nobody says so:\n%s", want, o.stderr)
		}
		r := b.check(t, check{want: "name-missing", code: 1, address: second + ":8443"})
		if !r.found("backend-missing") || !r.found("single-balancer") {
			t.Errorf("nginx lists cp-1 only and is alone; found %+v %+v", r.Problems, r.Warnings)
		}
	})
	t.Run("SlowFailover", func(t *testing.T) {
		g := b.measure(t, func() {
			for _, n := range b.hosts {
				if err := n.CutOff(t.Context()); err != nil {
					t.Error(err)
				}
			}
			<-time.After(7 * time.Second)
			for _, n := range b.hosts {
				if err := n.Reconnect(t.Context()); err != nil {
					t.Error(err)
				}
			}
		})
		t.Logf("both hosts cut off for 7 s: clients for %.1f s", g.Seconds)
		if g.answer != "slow-failover" || g.code != 1 {
			t.Errorf("the answer is %q with exit code %d", g.answer, g.code)
		}
	})
}
