// Package preflight looks at a machine before anything on it is changed, and
// says everything that is wrong in one report. It owns the checks that need
// only the machine, its container runtime and name resolution; checks of
// other families come in through Task.Extra. It mends nothing.
package preflight

import (
	"context"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"github.com/hactl/hactl/phases"
	"github.com/hactl/hactl/phases/cri"
	"github.com/hactl/hactl/phases/host"
)

// Task is what the checks need to know. Host and Runtime must be set; where a
// function may be nil, nil means the real machine.
type Task struct {
	Host    host.Host
	Runtime cri.Runtime

	NodeName         string
	AdvertiseAddress netip.Addr
	BindPort         int
	// EndpointHost is the host of the control-plane endpoint, a name or an
	// address; "" if there is none.
	EndpointHost      string
	KubernetesVersion string // "v1.37.1"
	// Newest is the newest Kubernetes that this hactl knows ("v1.37.0"):
	// later minor versions give a warning. "" means do not check.
	Newest string
	// Subnets are those of Pods and Services.
	Subnets []netip.Prefix
	// Bind holds the addresses that extra arguments make components listen
	// on, by port. A port that is absent is tested on all addresses.
	Bind map[int]string

	Manifests   string // the directory of the static Pods
	EtcdDataDir string
	// ExternalEtcd says that this node runs no etcd; ClientFiles are then
	// the files that must be there to speak to it.
	ExternalEtcd bool
	ClientFiles  []string

	Images []string
	// PullPolicy is "IfNotPresent", "Always" or "Never"; "" means the first.
	PullPolicy string
	// PullSerial pulls one image after the other instead of all at the same
	// time.
	PullSerial bool

	// SwapAllowed and CgroupV1Allowed say that the kubelet's configuration
	// has failSwapOn or failCgroupV1 set to false: what would stop the
	// kubelet is then only a warning.
	SwapAllowed, CgroupV1Allowed bool
	// Tools are programs that must be in PATH beside those that the kubelet
	// needs.
	Tools []string

	// Ignore names the checks whose failures are warnings, or is "all".
	Ignore []string
	// Extra are checks of other families. They run with all others.
	Extra []Check
	// DryRun only says which images would be pulled.
	DryRun bool
	// AlreadyInitialised says whether an earlier run on this node is being
	// resumed: its files and the components it started are then no
	// failures. Nil means that there was none.
	AlreadyInitialised func(ctx context.Context) (bool, error)

	// Worker says that the node joins without a control plane; Absent are
	// the files that must then not be there yet.
	Worker bool
	Absent []string
	// Peers tells the control planes that the cluster has already. Nil means
	// do not ask.
	Peers func(ctx context.Context) ([]Peer, error)

	// Resolve looks up a host name.
	Resolve func(ctx context.Context, host string) ([]netip.Addr, error)
	// Interfaces tells the addresses of the machine.
	Interfaces func() ([]netip.Prefix, error)
	// Listen takes a TCP address and gives it back, or returns why it cannot
	// have it (errors.Is syscall.EADDRINUSE).
	Listen func(address string) error
	// Dial opens a TCP connection from one of this machine's addresses and
	// closes it.
	Dial func(ctx context.Context, from netip.Addr, address string) error
	// Verify is SystemVerification: what stops and what does not stop the
	// kubelet of that version ("1.37.1", or "" if it does not matter).
	Verify func(ctx context.Context, kubelet string) (warnings, problems []error)
	// Proxy returns the proxy that a request would take, nil for none.
	Proxy func(*http.Request) (*url.URL, error)
	// Now is the clock.
	Now func() time.Time
	// Path are the directories of programs.
	Path []string
}

// InitPhase is the first phase of an init. Its failure is a *Report.
func InitPhase() phases.Phase[Task] {
	return phases.Phase[Task]{
		Name:  "preflight",
		Title: "check that this machine can become a control-plane node",
		Reads: []string{"the machine", "the container runtime"},
		Apply: func(ctx context.Context, t *Task) error {
			return t.withDefaults().run(ctx, (*Task).initChecks)
		},
	}
}

// withDefaults returns a copy with no function nil.
func (t *Task) withDefaults() *Task {
	c := *t
	if c.AlreadyInitialised == nil {
		c.AlreadyInitialised = func(context.Context) (bool, error) { return false, nil }
	}
	if c.Resolve == nil {
		c.Resolve = func(ctx context.Context, host string) ([]netip.Addr, error) {
			return net.DefaultResolver.LookupNetIP(ctx, "ip", host)
		}
	}
	if c.Interfaces == nil {
		c.Interfaces = Addresses
	}
	if c.Listen == nil {
		c.Listen = listen
	}
	if c.Dial == nil {
		c.Dial = dial
	}
	if c.Verify == nil {
		c.Verify = verify
	}
	if c.Proxy == nil {
		c.Proxy = http.ProxyFromEnvironment
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Path == nil {
		c.Path = filepath.SplitList(os.Getenv("PATH"))
	}
	return &c
}

// Addresses tells the addresses of the real machine.
func Addresses() ([]netip.Prefix, error) {
	list, err := net.InterfaceAddrs()
	if err != nil {
		return nil, err
	}
	var found []netip.Prefix
	for _, a := range list {
		if p, err := netip.ParsePrefix(a.String()); err == nil {
			found = append(found, netip.PrefixFrom(p.Addr().Unmap(), p.Bits()))
		}
	}
	return found, nil
}

// listen takes a port of the real machine for a moment.
func listen(address string) error {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	return l.Close()
}

// dial opens a connection from an address of the real machine for a moment.
func dial(ctx context.Context, from netip.Addr, address string) error {
	d := net.Dialer{LocalAddr: net.TCPAddrFromAddrPort(netip.AddrPortFrom(from, 0))}
	conn, err := d.DialContext(ctx, "tcp", address)
	if err != nil {
		return err
	}
	return conn.Close()
}
