package app

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"strings"
	"time"

	utilnet "k8s.io/apimachinery/pkg/util/net"
	"k8s.io/client-go/rest"

	"github.com/hactl/hactl/config"
	"github.com/hactl/hactl/etcd"
	"github.com/hactl/hactl/phases"
	"github.com/hactl/hactl/phases/cri"
	"github.com/hactl/hactl/phases/discovery"
	"github.com/hactl/hactl/phases/health"
	"github.com/hactl/hactl/phases/host"
	"github.com/hactl/hactl/phases/kube"
	"github.com/hactl/hactl/phases/loadbalancer"
	"github.com/hactl/hactl/phases/preflight"
)

// ports are all the ways out of the process. Use cases get them whole, so
// that tests can put memory in their place.
type ports struct {
	host host.Host
	// dialAPI returns the API that the first existing kubeconfig leads to;
	// server, if not empty, takes the place of the one in the file.
	dialAPI func(files host.Files, server string, kubeconfigs []string) kube.API
	// discovery finds the cluster that a node is to join, and dial returns
	// the API that it leads to.
	discovery func(context.Context, *discovery.Task) (*discovery.Found, error)
	dial      func(load func(context.Context) (*rest.Config, error)) kube.API
	// dialRuntime returns the container runtime behind the socket, and what
	// closes it.
	dialRuntime func(socket string) (cri.Runtime, func())
	// dialEtcd returns the etcd cluster behind the client URLs, with the
	// certificates in certDir, and what closes it.
	dialEtcd func(ctx context.Context, files host.Files, certDir string, endpoints []string) (etcd.Cluster, func() error, error)
	// dialExternalEtcd is dialEtcd for an etcd that others run, with the
	// files of the configuration.
	dialExternalEtcd func(ctx context.Context, files host.Files, x *config.ExternalEtcd) (etcd.Cluster, func() error, error)
	// dialStore opens the same etcd as its user sees it.
	dialStore func(ctx context.Context, files host.Files, x *config.ExternalEtcd) (etcd.Store, func() error, error)
	// healthy asks a health URL of this node.
	healthy func(ctx context.Context, url string) error
	// askServer asks any API server, whose certificate must be of the CA.
	askServer func(ctx context.Context, url string, ca []byte) (health.Answer, error)

	// dialTCP opens a connection to anyone, and resolve finds the
	// addresses of a name.
	dialTCP loadbalancer.Dial
	resolve func(ctx context.Context, name string) ([]netip.Addr, error)
	// listen tries whether an address is free; nil asks the kernel.
	listen     func(address string) error
	interfaces func() ([]lbInterface, error)
	executable func() (string, error) // hactl's own path

	hostname  func() (string, error)
	address   func() (netip.Addr, error)     // of the interface with the default route
	addresses func() ([]netip.Prefix, error) // all that the machine has
	release   func(ctx context.Context, label string) (version string, err error)
	now       func() time.Time
	// lock keeps all other processes of hactl from changing the machine, and
	// says to them who holds it. It never waits.
	lock func(ctx context.Context, holder string) (release func() error, err error)
	// checks says how preflight asks the machine, where that is not the real
	// one.
	checks func(*preflight.Task)
}

// realPorts are those of this machine; the caller calls the function at the
// end.
func realPorts() (ports, func()) {
	local := host.NewLocal("")
	return ports{
		host: local,
		dialAPI: func(files host.Files, server string, kubeconfigs []string) kube.API {
			return kube.NewClient(kube.FromKubeconfig(files, server, kubeconfigs...))
		},
		discovery: discovery.Find,
		dial:      func(load func(context.Context) (*rest.Config, error)) kube.API { return kube.NewClient(load) },
		dialRuntime: func(socket string) (cri.Runtime, func()) {
			client := cri.Dial(socket)
			return client, client.Close
		},
		dialEtcd: dialEtcd, dialExternalEtcd: dialExternalEtcd, dialStore: dialStore,
		askServer: health.Ask,
		healthy:   healthy,
		dialTCP:   (&net.Dialer{}).DialContext,
		resolve: func(ctx context.Context, name string) ([]netip.Addr, error) {
			return net.DefaultResolver.LookupNetIP(ctx, "ip", name)
		},
		interfaces: lbInterfaces,
		executable: os.Executable,
		hostname:   os.Hostname,
		address:    defaultAddress,
		addresses:  preflight.Addresses,
		release:    fetchRelease,
		now:        time.Now,
		lock: func(ctx context.Context, holder string) (func() error, error) {
			return local.Lock(ctx, host.LockPath, holder)
		},
		checks: func(*preflight.Task) {},
	}, local.Close
}

// defaultAddress is the address of the interface with the default route, or
// of the only interface where there is no such route.
func defaultAddress() (netip.Addr, error) {
	ip, err := utilnet.ResolveBindAddress(nil)
	if err == nil {
		if a, ok := netip.AddrFromSlice(ip); ok && !a.IsLoopback() {
			return a.Unmap(), nil
		}
	}
	return netip.Addr{}, &phases.Fault{
		What:  "this machine has no default route that would tell its address",
		Why:   err,
		Fixes: []string{"name the address that the other nodes reach this one by: --apiserver-advertise-address"},
		Exit:  phases.CodeUsage,
	}
}

const versionLimit = 3 * time.Second

// version asks for the version behind a label such as "stable-1". When there
// is no answer, or one that this hactl is too old for, it is the version that
// this hactl is made for.
func (p ports) version(ctx context.Context, label string, notify func(phases.Event)) string {
	ctx, cancel := context.WithTimeout(ctx, versionLimit)
	defer cancel()
	version, err := p.release(ctx, label)
	if err == nil && minor(version) == minor(config.Version) {
		return version
	}
	reason := fmt.Sprintf("%s could not be looked up: using %s; name one with --kubernetes-version", label, config.Version)
	if err == nil {
		reason = fmt.Sprintf("%s is %s, which this hactl does not know: using %s", label, version, config.Version)
	}
	notify(p.warning(reason))
	return config.Version
}

// lookUpVersion is version over the real network.
func lookUpVersion(ctx context.Context, label string, notify func(phases.Event)) string {
	return ports{release: fetchRelease, now: time.Now}.version(ctx, label, notify)
}

// warning is one about the configuration.
func (p ports) warning(reason string) phases.Event {
	return phases.Event{Phase: "config", Kind: phases.Warning, At: p.now(), Reason: reason}
}

// minor is "v1.37" of "v1.37.1".
func minor(version string) string { return version[:max(0, strings.LastIndex(version, "."))] }

// fetchRelease asks for the version behind a label.
func fetchRelease(ctx context.Context, label string) (string, error) {
	url := "https://dl.k8s.io/release/" + label + ".txt"
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return "", err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 64))
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", url, resp.Status)
	}
	return strings.TrimSpace(string(body)), err
}

// healthClient does not check certificates: the components serve their
// health with ones that they make themselves, and nothing secret is sent.
func healthClient() *http.Client {
	return &http.Client{
		Timeout: 2 * time.Second,
		Transport: &http.Transport{
			TLSClientConfig: &tls.Config{InsecureSkipVerify: true},
			DialContext:     (&net.Dialer{Timeout: time.Second}).DialContext,
		},
	}
}

// healthy asks a health URL of this node.
func healthy(ctx context.Context, url string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	client := healthClient()
	defer client.CloseIdleConnections()
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("answers %s", resp.Status)
	}
	return nil
}
