package config

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"

	"github.com/hactl/hactl/config/goldentest"
)

var facts = Facts{
	Hostname:  "CP-1.example.com\n",
	Address:   netip.MustParseAddr("192.168.7.10"),
	Networks:  []netip.Prefix{netip.MustParsePrefix("192.168.7.10/24")},
	CRISocket: "unix:///run/c.sock",
	Version:   "v1.37.1",
}

func prefixes(list ...string) []netip.Prefix {
	var out []netip.Prefix
	for _, s := range list {
		out = append(out, netip.MustParsePrefix(s))
	}
	return out
}

// valid is a highly available cluster, as hactl works with it.
func valid(change func(*Init)) *Init {
	c := NewInit()
	c.Cluster.ControlPlaneEndpoint = HostPort{Host: "lb.example.com"}
	c.Cluster.Networking.PodSubnets = prefixes("10.244.0.0/16")
	change(c)
	c.Default()
	c.Resolve(facts)
	return c
}

func TestDefaultsAndFacts(t *testing.T) {
	c := valid(func(*Init) {})
	if problems := c.Validate(); len(problems) > 0 {
		t.Error(problems)
	}
	if warnings := c.Warnings(); len(warnings) > 0 {
		t.Error(warnings)
	}
	got := []string{
		c.Node.Name, c.Node.CRISocket, c.Local.String(), c.Endpoint().String(), c.Cluster.ControlPlaneEndpoint.String(),
		c.Cluster.Version, c.Cluster.KubeProxy.BindAddress, c.Cluster.KubeProxy.ClusterCIDR, c.Cluster.Kubelet.ClusterDNS[0],
	}
	want := []string{
		"cp-1.example.com", "unix:///run/c.sock", "192.168.7.10:6443", "lb.example.com:6443", "lb.example.com:6443",
		"v1.37.1", "0.0.0.0", "10.244.0.0/16", "10.96.0.10",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	before := *c
	c.Default()
	c.Resolve(facts)
	if diff := cmp.Diff(before.Cluster.Kubelet, c.Cluster.Kubelet); diff != "" {
		t.Errorf("a second time changes it: %s", diff)
	}
}

func TestProblems(t *testing.T) {
	cases := []struct {
		Reason string
		Change func(*Init)
		Paths  []string // of the problems; nil for none
	}{
		{"the service subnet is in the pod subnet", func(c *Init) { c.Cluster.Networking.PodSubnets = prefixes("10.0.0.0/8") }, []string{podPath}},
		{"the second families overlap", func(c *Init) {
			c.Cluster.Networking = Networking{ServiceSubnets: prefixes("10.96.0.0/16", "fd00::/112"), PodSubnets: prefixes("10.244.0.0/16", "fd00::/56")}
		}, []string{podPath}},
		{"the node network is in the pod subnet", func(c *Init) { c.Cluster.Networking.PodSubnets = prefixes("192.168.0.0/16") }, []string{podPath}},
		{"the service subnet is in the node network", func(c *Init) { c.Cluster.Networking.ServiceSubnets = prefixes("192.168.7.128/25") }, []string{servicePath}},
		{"the endpoint is in the pod subnet", func(c *Init) { c.Cluster.ControlPlaneEndpoint.Host = "10.244.9.9" }, []string{podPath}},
		{"an etcd member is in the service subnet", func(c *Init) {
			c.Cluster.Etcd.External = &ExternalEtcd{Endpoints: []string{"https://10.96.0.5:2379"}}
		}, []string{servicePath}},
		{"two ranges of one family", func(c *Init) { c.Cluster.Networking.ServiceSubnets = prefixes("10.1.0.0/16", "10.2.0.0/16") }, []string{servicePath}},
		{"the service subnet has 2^21 addresses", func(c *Init) { c.Cluster.Networking.ServiceSubnets = prefixes("10.96.0.0/11") }, []string{servicePath}},
		{"the pod subnet has room for two nodes", func(c *Init) { c.Cluster.Networking.PodSubnets = prefixes("10.244.0.0/23") }, []string{podPath}},
		{"nodes take little enough", func(c *Init) {
			c.Cluster.Networking.PodSubnets = prefixes("10.244.0.0/23")
			c.Cluster.ControllerManager.ExtraArgs = []Arg{{Name: "node-cidr-mask-size", Value: "26"}}
		}, nil},
		{"the size is no number", func(c *Init) {
			c.Cluster.ControllerManager.ExtraArgs = []Arg{{Name: "node-cidr-mask-size-ipv4", Value: "big"}}
		}, []string{"controllerManager.extraArgs"}},
		{"2^17 nodes are too many", func(c *Init) { c.Cluster.Networking.PodSubnets = prefixes("fd00::/47") }, []string{podPath}},
		{"a token with groups needs authentication", func(c *Init) { c.Tokens = []Token{{Usages: []string{"signing"}}} }, []string{"bootstrapTokens[0].usages"}},
		{"a token cannot live a negative time", func(c *Init) { c.Tokens = []Token{{TTL: -time.Hour}} }, []string{"bootstrapTokens[0].ttl"}},
		{"a test build", func(c *Init) { c.Cluster.Version = "ci/latest" }, []string{"kubernetesVersion"}},
		{"four numbers look like an address", func(c *Init) { c.Cluster.APIServerSANs = []string{"10.0.0.256"} }, []string{"apiServer.certSANs[0]"}},
		{"only the first label may be a star", func(c *Init) { c.Cluster.APIServerSANs = []string{"*.lb.test", "lb.*.test"} }, []string{"apiServer.certSANs[1]"}},
		{"etcd in two places", func(c *Init) { c.Cluster.Etcd = Etcd{Local: &LocalEtcd{}, External: &ExternalEtcd{}} }, []string{"etcd"}},
		{"a certificate without its key", func(c *Init) {
			c.Cluster.Etcd.External = &ExternalEtcd{Endpoints: []string{"https://e:2379"}, CAFile: "/ca", CertFile: "/crt"}
		}, []string{"etcd.external.certFile"}},
		{"http and https", func(c *Init) {
			c.Cluster.Etcd.External = &ExternalEtcd{Endpoints: []string{"http://e1:2379", "https://e2:2379", "http://e3:2379"}}
		}, []string{"etcd.external.endpoints[1]"}},
		{"an argument of v1", func(c *Init) {
			c.Cluster.Scheduler.ExtraArgs = []Arg{{Name: "v", Merge: MergeAppend}, {Name: "v", Merge: "add"}}
		}, []string{"scheduler.extraArgs[1].mergeMethod"}},
		{"names in capitals are written small", func(c *Init) { c.Node.Name, c.Cluster.APIServerSANs = "CP-1", []string{"LB.Example.com"} }, nil},
		{"an unspecified address is looked up", func(c *Init) { c.Local.Address = netip.IPv4Unspecified() }, nil},
		{"a loopback address", func(c *Init) { c.Local.Address = netip.MustParseAddr("127.0.0.1") }, []string{"localAPIEndpoint.advertiseAddress"}},
		{"unknown feature gates", func(c *Init) { c.Cluster.FeatureGates = map[string]bool{"B": true, "A": true} }, []string{"featureGates.A", "featureGates.B"}},
	}
	for _, c := range cases {
		t.Run(c.Reason, func(t *testing.T) {
			got := paths(valid(c.Change).Validate())
			if diff := cmp.Diff(c.Paths, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestWarnings(t *testing.T) {
	cases := []struct {
		Reason string
		Change func(*Init)
		Paths  []string
	}{
		{"the endpoint is this node's address", func(c *Init) { c.Cluster.ControlPlaneEndpoint.Host = "192.168.7.10" }, []string{"controlPlaneEndpoint"}},
		{"the endpoint is this node's name", func(c *Init) { c.Cluster.ControlPlaneEndpoint.Host = "cp-1.example.com" }, []string{"controlPlaneEndpoint"}},
		{"two members bear no loss", func(c *Init) {
			c.Cluster.Etcd.External = &ExternalEtcd{Endpoints: []string{"https://e1:2379", "https://e2:2379"}}
		}, []string{"etcd.external.endpoints"}},
		{"three members are right", func(c *Init) {
			c.Cluster.Etcd.External = &ExternalEtcd{Endpoints: []string{"https://e1:2379", "https://e2:2379", "https://e3:2379"}}
		}, nil},
		{"a member is named twice", func(c *Init) {
			c.Cluster.Etcd.External = &ExternalEtcd{Endpoints: []string{"https://e1:2379", "https://e1:2379", "https://e3:2379"}}
		}, []string{"etcd.external.endpoints[1]"}},
		{"certificates outlive their CA", func(c *Init) { c.Cluster.CAValidity = time.Hour }, []string{"certificateValidityPeriod"}},
		{"longer than recommended", func(c *Init) { c.Cluster.CertificateValidity, c.Cluster.CAValidity = 9000*time.Hour, 90000*time.Hour },
			[]string{"certificateValidityPeriod", "caCertificateValidityPeriod"}},
		{"a frozen registry", func(c *Init) { c.Cluster.ImageRepository = "k8s.gcr.io" }, []string{"imageRepository"}},
		{"site-local addresses", func(c *Init) { c.Cluster.Networking.PodSubnets = prefixes("fec0::/56") }, []string{"networking"}},
		{"a taint that nothing knows", func(c *Init) {
			c.Node.Taints = []corev1.Taint{{Key: "node-role.kubernetes.io/master", Effect: corev1.TaintEffectNoSchedule}}
		}, []string{"nodeRegistration.taints[0].key"}},
		{"two tokens of one id", func(c *Init) {
			c.Tokens = []Token{{Value: "abcdef.0123456789abcdef"}, {Value: "abcdef.0123456789abcdee"}}
		},
			[]string{"bootstrapTokens[1].token"}},
		{"a kubelet that differs", func(c *Init) {
			c.Cluster.KubeletGiven = true
			c.Cluster.Kubelet.ClusterDNS = []string{"10.96.0.11"}
			c.Cluster.Kubelet.ReadOnlyPort = 10255
		}, []string{"KubeletConfiguration.clusterDNS", "KubeletConfiguration.readOnlyPort"}},
		{"a kube-proxy that differs", func(c *Init) { c.Cluster.KubeProxyGiven, c.Cluster.KubeProxy.Mode = true, "ipvs" }, []string{"KubeProxyConfiguration.mode"}},
	}
	for _, c := range cases {
		t.Run(c.Reason, func(t *testing.T) {
			got := paths(valid(c.Change).Warnings())
			if diff := cmp.Diff(c.Paths, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func paths(list []Problem) []string {
	var out []string
	for _, p := range list {
		if !slices.Contains(out, p.Path) {
			out = append(out, p.Path)
		}
	}
	return out
}

func TestNodeCapacity(t *testing.T) {
	c := valid(func(c *Init) { c.Cluster.Networking.PodSubnets = prefixes("10.244.0.0/20", "fd00::/56") })
	if got := c.Cluster.NodeCapacity(); got != 16 {
		t.Errorf("got %d, want 16: the IPv4 range is the smaller one", got)
	}
	c.Cluster.ControllerManager.ExtraArgs = []Arg{{Name: "allocate-node-cidrs", Value: "false"}}
	if got := c.Cluster.NodeCapacity(); got != 0 {
		t.Errorf("got %d, want 0: nodes take no ranges", got)
	}
}

func TestHostPort(t *testing.T) {
	for given, want := range map[string]string{
		"lb": "lb", "lb:6443": "lb:6443", "lb:": "lb", "10.0.0.1": "10.0.0.1", "FD00::1": "fd00::1", "[fd00::1]:1": "[fd00::1]:1",
		"lb:0": "", "lb:65536": "", "LB": "", "10.0.0.256": "", "https://lb": "", "a b": "", "[lb": "", "fe80::1%eth0": "",
	} {
		got, err := ParseHostPort(given)
		if (err != nil) != (want == "") || got.String() != want {
			t.Errorf("%q is %q (%v), want %q", given, got, err, want)
		}
		if again, err := ParseHostPort(got.String()); want != "" && (err != nil || again != got) {
			t.Errorf("%q does not read as it is written (%v)", got, err)
		}
	}
}

// TestErrorText shows problems with and without a place.
func TestErrorText(t *testing.T) {
	c := valid(func(c *Init) {
		c.Cluster.CertificatesDir = "pki"
		c.Tokens = []Token{{Value: "not-to-be-seen"}}
	})
	e := &InvalidError{Problems: c.Validate()}
	e.Problems[0].Source, e.Problems[0].Line, e.Problems[0].Column = "ha.yaml", 7, 18
	got := e.Error() + "\n"
	if strings.Contains(got, "not-to-be-seen") {
		t.Error("the error shows a token")
	}
	goldentest.Check(t, "invalid.golden", got)
}
