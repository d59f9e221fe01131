package app

import (
	"bytes"
	"context"
	"errors"
	"net"
	"net/netip"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hactl/hactl/config"
	"github.com/hactl/hactl/config/goldentest"
	"github.com/hactl/hactl/phases"
	"github.com/hactl/hactl/phases/host"
	"github.com/hactl/hactl/phases/kube"
	lbfiles "github.com/hactl/hactl/templates/loadbalancer"
)

// lbWorld is a load balancer host in memory. Nobody else can be reached but
// the cluster.
type lbWorld struct {
	host  *host.Memory
	api   *kube.Memory
	asked []string // the URLs that the cluster was asked at
	told  []string
	*world
}

func newLBWorld(t *testing.T) *lbWorld {
	w := &lbWorld{host: host.NewMemory(), api: kube.NewMemory(), world: &world{t: t}}
	for _, name := range []string{"haproxy", "keepalived", "killall", "curl", "nginx"} {
		w.host.Handle(name, func([]string) ([]byte, error) { return nil, nil })
		w.host.SetService(name+".service", host.ServiceStatus{})
	}
	return w
}

func (w *lbWorld) ports() ports {
	p := w.world.ports()
	p.host = w.host
	p.dialAPI = func(_ host.Files, server string, _ []string) kube.API {
		w.asked = append(w.asked, server)
		return w.api
	}
	p.dialTCP = func(_ context.Context, _, address string) (net.Conn, error) {
		if address != "127.0.0.1:6443" {
			return nil, &net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}
		}
		a, _ := net.Pipe()
		return a, nil
	}
	p.listen = func(string) error { return nil }
	p.interfaces = func() ([]lbInterface, error) {
		return []lbInterface{
			{"lo", []netip.Prefix{netip.MustParsePrefix("127.0.0.1/8")}},
			{"eth0", []netip.Prefix{netip.MustParsePrefix("192.168.1.5/24")}},
			{"eth1", []netip.Prefix{netip.MustParsePrefix("10.0.0.99/24")}},
		}, nil
	}
	p.executable = func() (string, error) { return "/usr/local/bin/hactl", nil }
	return p
}

func (w *lbWorld) notify(e phases.Event) { w.told = append(w.told, string(e.Kind)+" "+e.Reason) }

func (w *lbWorld) read(t *testing.T, path string) string {
	t.Helper()
	data, err := w.host.ReadFile(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// cluster makes the cluster name API servers at these addresses.
func (w *lbWorld) cluster(t *testing.T, addresses ...string) {
	t.Helper()
	setServers(t, w.api, addresses...)
}

// setServers makes a cluster name API servers at these addresses.
func setServers(t *testing.T, api *kube.Memory, addresses ...string) {
	t.Helper()
	port := int32(6443)
	s := &discoveryv1.EndpointSlice{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "kubernetes"}, Ports: []discoveryv1.EndpointPort{{Port: &port}}}
	for _, a := range addresses {
		s.Endpoints = append(s.Endpoints, discoveryv1.Endpoint{Addresses: []string{a}})
	}
	if err := api.Set(s); err != nil {
		t.Fatal(err)
	}
}

func lbEndpoint() config.HostPort { return config.HostPort{Host: "10.0.0.100", Port: 6443} }

// The place of a host among all gives it a priority of its own.
func TestLBAddress(t *testing.T) {
	cases := map[string]struct {
		reason string
		in     LBInput
		want   lbfiles.Keepalived
		code   phases.Code // of the refusal
	}{
		"Second": {
			reason: "the same command on every host",
			in:     LBInput{Endpoint: lbEndpoint(), RouterID: 51, Balancers: []string{"10.0.0.98", "10.0.0.99"}},
			want:   lbfiles.Keepalived{State: lbfiles.Backup, Priority: 100, Interface: "eth1", RouterID: 51},
		},
		"First": {
			reason: "the order counts",
			in:     LBInput{Endpoint: lbEndpoint(), RouterID: 51, Balancers: []string{"10.0.0.99", "10.0.0.98"}},
			want:   lbfiles.Keepalived{State: lbfiles.Main, Priority: 200, Interface: "eth1", RouterID: 51},
		},
		"Unicast": {
			reason: "the others are its peers",
			in:     LBInput{Endpoint: lbEndpoint(), RouterID: 7, Balancers: []string{"10.0.0.98", "10.0.0.99", "10.0.0.97"}, Unicast: true},
			want: lbfiles.Keepalived{
				State: lbfiles.Backup, Priority: 150, Interface: "eth1", RouterID: 7,
				Source: netip.MustParseAddr("10.0.0.99"), Peers: []netip.Addr{netip.MustParseAddr("10.0.0.98"), netip.MustParseAddr("10.0.0.97")},
			},
		},
		"State": {
			reason: "said by hand", in: LBInput{Endpoint: lbEndpoint(), RouterID: 51, State: "MASTER"},
			want: lbfiles.Keepalived{State: lbfiles.Main, Priority: 200, Interface: "eth1", RouterID: 51},
		},
		"Priority": {
			reason: "a lower one begins as a backup", in: LBInput{Endpoint: lbEndpoint(), RouterID: 51, Priority: 150, Interface: "eth0", VirtualIP: "10.0.0.100/24"},
			want: lbfiles.Keepalived{State: lbfiles.Backup, Priority: 150, Interface: "eth0", RouterID: 51},
		},
		"NotAmong":  {reason: "another host's command", in: LBInput{Endpoint: lbEndpoint(), Balancers: []string{"10.0.0.97", "10.0.0.98"}}, code: phases.CodeUsage},
		"Twice":     {reason: "one host twice", in: LBInput{Endpoint: lbEndpoint(), Balancers: []string{"10.0.0.99", "10.0.0.99"}}, code: phases.CodeUsage},
		"NoAddress": {reason: "a name is no address", in: LBInput{Endpoint: config.HostPort{Host: "lb.lab"}, State: "MASTER"}, code: phases.CodeUsage},
		"Elsewhere": {reason: "no interface has the network", in: LBInput{VirtualIP: "172.16.0.1", State: "MASTER"}, code: phases.CodeUsage},
		"NoNetwork": {reason: "the network is not known", in: LBInput{VirtualIP: "172.16.0.1", Interface: "eth0", State: "MASTER"}, code: phases.CodeUsage},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			w := newLBWorld(t)
			c.in.Program = "keepalived"
			m := newMachine(w.ports(), false)
			b, err := settleBalancer(t.Context(), m, w.ports(), c.in)
			if c.code != 0 {
				if err == nil || Explain(err).Code != c.code || len(Explain(err).Fix) == 0 && name != "Twice" {
					t.Errorf("%s: %v", c.reason, err)
				}
				return
			}
			if err != nil {
				t.Fatal(Explain(err))
			}
			c.want.Process, c.want.Port, c.want.Check, c.want.Address = "haproxy", 6443, lbfiles.CheckReadyz, netip.MustParsePrefix("10.0.0.100/24")
			same := cmp.Comparer(func(a, b netip.Addr) bool { return a == b })
			if diff := cmp.Diff(c.want, b.keep, same, cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })); diff != "" {
				t.Errorf("%s: -want +got\n%s", c.reason, diff)
			}
		})
	}
}

// What is known of the servers, the best first: the cluster, the flags, the
// configuration, the file.
func TestLBServers(t *testing.T) {
	cases := map[string]struct {
		reason string
		in     LBInput
		before func(*testing.T, *lbWorld)
		want   []string
		warns  string
	}{
		"Flags": {"as given", LBInput{Servers: []string{"b=10.0.0.12:6443", "10.0.0.11:6443"}}, nil, []string{"cp-10-0-0-11=10.0.0.11:6443", "b=10.0.0.12:6443"}, "without --kubeconfig"},
		"Config": {"the first control plane", LBInput{Config: &config.Init{
			Node: config.Node{Name: "cp-1"}, Local: config.Endpoint{Address: netip.MustParseAddr("10.0.0.11"), Port: 7443},
		}}, nil, []string{"cp-1=10.0.0.11:7443"}, "without --kubeconfig"},
		"Cluster": {"it knows better, and the flags know the names", LBInput{Kubeconfig: "/lb.conf", Servers: []string{"a=10.0.0.11:6443"}},
			func(t *testing.T, w *lbWorld) { w.cluster(t, "10.0.0.11", "10.0.0.12") }, []string{"a=10.0.0.11:6443", "cp-10-0-0-12=10.0.0.12:6443"}, ""},
		"ClusterDown": {"the flags stay", LBInput{Kubeconfig: "/lb.conf", Servers: []string{"a=10.0.0.11:6443"}},
			func(t *testing.T, w *lbWorld) { w.cluster(t) }, []string{"a=10.0.0.11:6443"}, "does not tell its API servers"},
		"File": {"what the balancer has", LBInput{Kubeconfig: "/lb.conf"}, func(t *testing.T, w *lbWorld) {
			data, err := lbfiles.HAProxy{Port: 6443, Servers: []lbfiles.Server{{Name: "x", Address: netip.MustParseAddrPort("10.0.0.13:6443")}}}.Render()
			if err := errors.Join(err, w.host.WriteFile(t.Context(), "/etc/haproxy/haproxy.cfg", data, 0o644)); err != nil {
				t.Fatal(err)
			}
		}, []string{"x=10.0.0.13:6443"}, "does not tell its API servers"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			w := newLBWorld(t)
			if c.before != nil {
				c.before(t, w)
			}
			c.in.Program = "haproxy"
			r, err := lbRenderOver(t.Context(), w.ports(), c.in, w.notify)
			if err != nil {
				t.Fatal(Explain(err))
			}
			if diff := cmp.Diff(c.want, r.Servers); diff != "" {
				t.Errorf("%s: -want +got\n%s", c.reason, diff)
			}
			if told := strings.Join(w.told, "\n"); !strings.Contains(told, c.warns) || c.warns == "" && told != "" {
				t.Errorf("%s: told %q, want %q", c.reason, told, c.warns)
			}
		})
	}
}

func TestLBInstall(t *testing.T) {
	w := newLBWorld(t)
	w.host.SetService("hactl-lb-sync.service", host.ServiceStatus{})
	w.cluster(t, "10.0.0.11", "10.0.0.12")
	in := LBInstallInput{LBInput: LBInput{Program: "haproxy", Endpoint: lbEndpoint(), Kubeconfig: "/etc/hactl/lb.conf"}, Sync: true}
	dry := in
	dry.DryRun = true
	r, err := lbInstallOver(t.Context(), w.ports(), dry, func(string) {}, w.notify)
	if err != nil {
		t.Fatal(Explain(err))
	}
	var done []string
	for _, c := range r.DryRun.Machine {
		done = append(done, c.Action+" "+c.Target)
	}
	for _, want := range []string{"run haproxy -c -f /etc/haproxy/haproxy.cfg.hactl-new", "write /etc/haproxy/haproxy.cfg", "restart haproxy.service", "restart hactl-lb-sync.service"} {
		if !slices.Contains(done, want) {
			t.Errorf("a dry run does not list %q: %q", want, done)
		}
	}
	if info, err := w.host.Stat(t.Context(), "/"); err != nil || len(info.Names) > 0 {
		t.Errorf("a dry run left %v, %v", info.Names, err)
	}
	var text bytes.Buffer
	if err := r.Text(&text); err != nil || strings.Contains(text.String(), "hactl-new") == false {
		t.Errorf("text %q, %v", text.String(), err)
	}
	r, err = lbInstallOver(t.Context(), w.ports(), in, func(string) {}, w.notify)
	if err != nil {
		t.Fatal(Explain(err))
	}
	if want := []string{"cp-10-0-0-11=10.0.0.11:6443", "cp-10-0-0-12=10.0.0.12:6443"}; !slices.Equal(r.Servers, want) {
		t.Errorf("servers %v, want %v", r.Servers, want)
	}
	unit := w.read(t, "/etc/systemd/system/hactl-lb-sync.service")
	want := `ExecStart="/usr/local/bin/hactl" "lb" "sync" "haproxy" "--bind-port=6443" "--check=readyz" "--kubeconfig=/etc/hactl/lb.conf"`
	if !strings.Contains(unit, want) {
		t.Errorf("the unit runs something else than %s:\n%s", want, unit)
	}

	other := in
	other.Sync, other.BindPort = false, 7443
	if _, err := lbInstallOver(t.Context(), w.ports(), other, func(string) {}, w.notify); Explain(err).Code != phases.CodeUnsafe {
		t.Errorf("another port, which the unit would take back: %v", err)
	}
	t.Run("Sync", func(t *testing.T) { lbSync(t, w) })
}

// lbSync follows the cluster of a balancer that is set up.
func lbSync(t *testing.T, w *lbWorld) {
	const file = "/etc/haproxy/haproxy.cfg"
	var reloads int
	w.host.HandleService("haproxy.service", func(a host.ServiceAction) error {
		if a != host.ReloadService && a != host.EnableService {
			t.Errorf("%s drops connections", a)
		}
		if a == host.ReloadService {
			reloads++
		}
		return nil
	})
	sync := func() (*LBSyncResult, error) {
		in := LBSyncInput{LBInput: LBInput{Program: "haproxy", BindPort: 6443, Kubeconfig: "/etc/hactl/lb.conf"}, Once: true}
		return lbSyncOver(t.Context(), w.ports(), in, w.notify)
	}
	before := w.read(t, file)
	if r, err := sync(); err != nil || r.Changed || reloads != 0 || w.read(t, file) != before {
		t.Errorf("nothing changed in the cluster, and sync says %+v, %v after %d reloads", r, err, reloads)
	}
	w.cluster(t, "10.0.0.12", "10.0.0.13")
	r, err := sync()
	if err != nil || !r.Changed || reloads != 1 || !strings.Contains(w.read(t, file), "10.0.0.13:6443 check") || strings.Contains(w.read(t, file), "10.0.0.11") {
		t.Errorf("one joined and one left, and sync says %+v, %v after %d reloads:\n%s", r, err, reloads, w.read(t, file))
	}
	w.cluster(t)
	if _, err := sync(); err == nil || reloads != 1 || lbfiles.OriginOf([]byte(w.read(t, file))) != lbfiles.Own {
		t.Errorf("an empty list: %v after %d reloads", err, reloads)
	}
	if err := w.host.WriteFile(t.Context(), file, []byte(w.read(t, file)+"# mine\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	w.cluster(t, "10.0.0.14")
	if _, err := sync(); Explain(err).Code != phases.CodeUnsafe || reloads != 1 || !strings.HasSuffix(w.read(t, file), "# mine\n") {
		t.Errorf("somebody changed the file: %v after %d reloads", err, reloads)
	}
}

// The certificate of a unit that runs for years is renewed.
func TestLBSyncRenewed(t *testing.T) {
	w := newLBWorld(t)
	p := w.ports()
	way := &routes{machine: newMachine(p, false), kubeconfig: "/etc/hactl/lb.conf"}
	known := []lbfiles.Server{{Name: "cp-1", Address: netip.MustParseAddrPort("10.0.0.11:6443")}}
	for _, c := range []struct {
		reason, file string
		want         int // dialled until then
	}{
		{"the first time", "old", 2}, {"again", "old", 2}, {"renewed", "new", 4},
	} {
		if err := w.host.WriteFile(t.Context(), "/etc/hactl/lb.conf", []byte(c.file), 0o600); err != nil {
			t.Fatal(err)
		}
		if n := len(way.apis(t.Context(), known)); n != 2 || len(w.asked) != c.want {
			t.Errorf("%s: %d ways, dialled %q", c.reason, n, w.asked)
		}
	}
	if err := w.host.Remove(t.Context(), "/etc/hactl/lb.conf"); err != nil {
		t.Fatal(err)
	}
	if way.apis(t.Context(), known); len(w.asked) != 4 {
		t.Errorf("the file is being replaced: dialled %q", w.asked)
	}
}

func TestLBCheck(t *testing.T) {
	w := newLBWorld(t)
	in := LBCheckInput{Address: "10.0.0.100", Servers: []string{"cp-1=10.0.0.11:6443"}}
	r, err := lbCheckOver(t.Context(), w.ports(), in, w.notify)
	if err != nil {
		t.Fatal(Explain(err))
	}
	if r.Code() != phases.CodePreflight || r.Address != "10.0.0.100:6443" {
		t.Errorf("nobody listens, and the answer is %+v", r.Report)
	}
	var text bytes.Buffer
	if err := r.Text(&text); err != nil {
		t.Fatal(err)
	}
	goldentest.Check(t, "lb-check.txt", text.String())
}
