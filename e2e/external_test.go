//go:build e2e

package e2e

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hactl/hactl/e2e/nodes"
)

// TestExternal follows the page on external etcd, from files alone: three etcd
// hosts, three control planes and a worker behind a load balancer. An etcd
// host and a control plane are lost while somebody writes; in the end all
// control planes are reset. The subtests run in order.
func TestExternal(t *testing.T) {
	lab := start(t, nodes.Options{Name: "external", ControlPlanes: 3, Workers: 1, EtcdHosts: 3, LoadBalancers: 1})
	p := openPage(t, lab, "external-etcd.md")
	x := &external{lab: lab, page: p, first: lab.Node("etcd-1"), cp: lab.Node("cp-1")}
	for _, sub := range []struct {
		name string
		test func(*testing.T)
	}{
		{"EtcdHosts", func(t *testing.T) { p.section(t, "1. The etcd hosts") }},
		{"ControlPlanes", x.controlPlanes},
		{"Losses", x.losses},
		{"Reset", x.reset},
		{"HostsLost", x.hostsLost},
	} {
		if !t.Run(sub.name, sub.test) {
			return
		}
	}
}

type external struct {
	lab       *nodes.Lab
	page      *page
	first, cp *nodes.Node
}

// hosts are those of etcd.
func (x *external) hosts() []*nodes.Node {
	return []*nodes.Node{x.first, x.lab.Node("etcd-2"), x.lab.Node("etcd-3")}
}

func (x *external) controlPlanes(t *testing.T) {
	p := x.page
	p.section(t, "2. The first control plane")
	p.section(t, "3. The others")
	network(t, x.lab)
	for i := 1; i <= 3; i++ {
		n := x.lab.Node(fmt.Sprintf("cp-%d", i))
		manifest := must(t, n, "cat", "/etc/kubernetes/manifests/kube-apiserver.yaml")
		for _, h := range x.hosts() {
			if url := fmt.Sprintf("https://%s:2379", h.Address()); !strings.Contains(manifest, url) {
				t.Errorf("the API server of %s does not know %s", n.Name(), url)
			}
		}
		if o := run(t, n, "sh", "-c", "ls /etc/kubernetes/manifests/etcd.yaml /etc/kubernetes/pki/etcd/ca.key"); o.code == 0 {
			t.Errorf("%s has\n%s", n.Name(), o.stdout)
		}
	}
	x.healthy(t)
}

// healthy wants `hactl status` on a control plane to show all etcd hosts, and
// nothing that needs attention.
func (x *external) healthy(t *testing.T) {
	t.Helper()
	eventually(t, 30*time.Second, "nothing needs attention, and all etcd hosts are there", func() (bool, string) {
		s, o := statusOf(t, x.cp)
		var names []string
		for _, m := range s.Etcd.Members {
			names = append(names, m.Name)
		}
		slices.Sort(names)
		return o.code == 0 && len(s.NeedsAttention) == 0 && slices.Equal(names, []string{"etcd-1", "etcd-2", "etcd-3"}), o.stdout
	})
}

// losses takes the power of the leader of etcd, then that of a control plane,
// and gives both back: writes go on all the time.
func (x *external) losses(t *testing.T) {
	w := writes(t, x.cp, x.lab.Endpoint())
	host, cp := x.lab.Node("etcd-3"), x.lab.Node("cp-2")
	x.lead(t, host)
	x.written(t, 5*time.Second)
	for _, n := range []*nodes.Node{host, cp} {
		began := time.Now()
		if err := n.PowerOff(t.Context()); err != nil {
			t.Fatal(err)
		}
		x.written(t, 20*time.Second)
		t.Logf("%s is lost; a write after %.1f s", n.Name(), time.Since(began).Seconds())
	}
	o := hactl(t, x.cp, "status")
	t.Logf("status took %.1f s\n%s", o.took.Seconds(), o.stdout)
	for _, want := range []string{"etcd host etcd-3 does not answer", "cp-2: "} {
		if o.code != 1 || !strings.Contains(o.stdout, want) {
			t.Errorf("status with two machines lost: exit code %d, without %q", o.code, want)
		}
	}
	for _, n := range []*nodes.Node{host, cp} {
		if err := n.Boot(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	network(t, x.lab)
	x.healthy(t)
	w.end()
}

// lead makes a host the leader of etcd: its loss is the worst.
func (x *external) lead(t *testing.T, n *nodes.Node) {
	t.Helper()
	id := memberID(t, x.first, n.Name())
	const move = "cd /etc/kubernetes/pki/etcd && etcdctl --endpoints https://127.0.0.1:2379 --cacert ca.crt --cert healthcheck-client.crt --key healthcheck-client.key move-leader "
	for _, h := range x.hosts() { // only the leader takes the order
		if o := run(t, h, "sh", "-c", move+id); o.code == 0 {
			t.Log(strings.TrimSpace(o.stdout))
			return
		}
	}
	t.Fatal("no etcd host is the leader")
}

// written waits for one more write by anybody.
func (x *external) written(t *testing.T, limit time.Duration) {
	t.Helper()
	eventually(t, limit, "the cluster takes a write", func() (bool, string) {
		o := run(t, x.cp, "env", admin, "kubectl", "annotate", "namespace", "default", "--overwrite", fmt.Sprintf("now=%d", time.Now().UnixNano()), "--request-timeout=2s")
		return o.code == 0, o.stderr
	})
}

// fingerprint is all that an etcd host keeps: the hash of all keys at the
// last revision, the last entry of the log, and each file byte by byte. etcd
// runs meanwhile: had it taken one entry more, of whatever kind, the log and
// the database would be others.
type fingerprint struct {
	Status, Hash, Files string
}

func (x *external) fingerprints(t *testing.T) map[string]fingerprint {
	t.Helper()
	all := map[string]fingerprint{}
	for _, n := range x.hosts() {
		var status []struct {
			Status struct {
				Header                      struct{ Revision uint64 }
				RaftIndex, RaftAppliedIndex uint64
			}
		}
		text := etcdctl(t, n, "endpoint", "status", "-w", "json")
		if err := json.Unmarshal([]byte(text), &status); err != nil {
			t.Fatalf("%v in %s", err, text)
		}
		all[n.Name()] = fingerprint{
			Status: fmt.Sprintf("%+v", status),
			Hash:   etcdctl(t, n, "endpoint", "hashkv"),
			Files:  must(t, n, "sh", "-c", "cd /var/lib/etcd && find . -printf '%p %i %m %U %s\n' | sort && find . -type f -print0 | sort -z | xargs -0 sha256sum"),
		}
	}
	return all
}

// reset takes all nodes out of the cluster: not one byte of etcd changes,
// while it runs and could be reached.
func (x *external) reset(t *testing.T) {
	var members []*nodes.Node
	for _, n := range x.lab.Nodes() {
		if n.Role() == nodes.ControlPlane || n.Role() == nodes.Worker {
			members = append(members, n)
		}
	}
	// Whatever still writes ends first, so that what changes is the resets'.
	for _, n := range members {
		must(t, n, "sh", "-c", "systemctl stop kubelet; pkill -9 -f '^kube-(apiserver|controller-manager|scheduler)'; true")
	}
	// etcd itself writes when a lease ends, as those of the API servers do
	// after 15 s.
	_, leases, _ := strings.Cut(etcdctl(t, x.first, "lease", "list"), "\n")
	for id := range strings.FieldsSeq(leases) {
		etcdctl(t, x.first, "lease", "revoke", id)
	}
	before := x.fingerprints(t)
	if !strings.Contains(before["etcd-1"].Files, "member/snap/db") || before["etcd-1"].Hash == "" {
		t.Fatalf("there is no data in %+v", before)
	}
	var running sync.WaitGroup
	for _, n := range members {
		running.Go(func() {
			o := hactl(t, n, "reset", "--force")
			if o.code != 0 {
				t.Errorf("%s: exit code %d\n%s%s", n.Name(), o.code, o.stdout, o.stderr)
			}
			t.Logf("the reset of %s took %.1f s\n%s", n.Name(), o.took.Seconds(), o.stdout)
		})
	}
	running.Wait()
	if diff := cmp.Diff(before, x.fingerprints(t)); diff != "" {
		t.Errorf("the resets have changed etcd: -before +after\n%s", diff)
	}
	for _, n := range members {
		want := "" // the credentials are the user's, and a note that etcd is external
		if n.Role() == nodes.ControlPlane {
			want = "/etc/kubernetes/pki/apiserver-etcd-client.crt\n/etc/kubernetes/pki/apiserver-etcd-client.key\n/etc/kubernetes/pki/etcd/ca.crt\n/var/lib/kubelet/hactl-reset.yaml"
		}
		left := must(t, n, "sh", "-c", "find /etc/kubernetes/manifests /etc/kubernetes/*.conf /etc/kubernetes/pki /var/lib/kubelet /var/lib/etcd/member -type f 2>/dev/null | sort")
		if diff := cmp.Diff(want, left); diff != "" {
			t.Errorf("left on %s: -want +got\n%s", n.Name(), diff)
		}
	}
	healthyMembers(t, x.first, "etcd-1", "etcd-2", "etcd-3")
}

// hostsLost loses one etcd host, and takes another one away.
func (x *external) hostsLost(t *testing.T) {
	if err := x.lab.Node("etcd-3").PowerOff(t.Context()); err != nil {
		t.Fatal(err)
	}
	x.page.section(t, "When an etcd host is lost")
	healthyMembers(t, x.first, "etcd-1", "etcd-2")
	x.page.section(t, "Taking an etcd host away")
	healthyMembers(t, x.first, "etcd-1")
}
