package main

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/hactl/hactl/e2e/nodes"
)

const (
	podCIDR    = "10.244.0.0/16"
	kubeconfig = "KUBECONFIG=/etc/kubernetes/admin.conf"
	// keyFile is where each control plane finds the certificate key.
	keyFile = "/root/certificate-key"
)

// kubeletFile makes the kubelets start a component again two seconds after it
// has ended at most. Otherwise the back-off for one that ends again and again
// would be measured here, five minutes in the end.
const (
	kubeletFile = "/etc/hactl-lab/kubelet.conf.d/30-chaos.conf"
	kubeletText = `apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
featureGates: {KubeletCrashLoopBackOffMax: true}
crashLoopBackOff: {maxContainerRestartPeriod: 2s}
`
)

// balancerFile lets systemd start HAProxy again soon after all of its
// processes were killed. With control groups of version 1 systemd is not told
// that they are gone, and waits for them for a minute and a half.
const (
	balancerFile = "/etc/systemd/system/haproxy.service.d/chaos.conf"
	balancerText = "[Service]\nTimeoutStopSec=1s\n"
)

// wholeJoin is less than a join takes that has anything to do.
const wholeJoin = 3 * time.Second

var (
	planes  = []string{"cp-1", "cp-2", "cp-3"}
	workers = []string{"worker-1"}
	members = append(planes[:len(planes):len(planes)], workers...) // all that joins or inits
)

const balancer = "lb-1"

// cluster is what the faults happen to.
type cluster struct {
	lab    *nodes.Lab
	log    *journal
	hactl  string // the program to test
	clock  string // the same with a clock that can be off, see buildClock
	used   bool   // the nodes are no longer fresh
	client *client
	load   *load // nil while the cluster is being made
	joins  joinCommands
	usual  map[string]time.Duration // by command; how long it took last

	id     uint64    // etcd's own name of the cluster
	space  string    // the UID of kube-system: the API's
	lifted time.Time // when the last fault was over
}

// joinCommands are what init has returned.
type joinCommands struct {
	CertificateKey string
	Join           struct{ ControlPlaneCommand, WorkerCommand string }
}

func newCluster(lab *nodes.Lab, log *journal, hactl string) *cluster {
	return &cluster{lab: lab, log: log, hactl: hactl, usual: map[string]time.Duration{
		"init": 6 * time.Second, "join": 8 * time.Second, "reset": 3 * time.Second,
	}}
}

func (c *cluster) node(name string) *nodes.Node { return c.lab.Node(name) }

// lift notes that the fault is over: the time until all is healthy counts
// from here.
func (c *cluster) lift() { c.lifted = time.Now() }

// fresh makes all nodes as they were at first.
func (c *cluster) fresh(ctx context.Context) error {
	if c.used {
		var wiping errgroup.Group
		for _, n := range c.lab.Nodes() {
			wiping.Go(func() error { return n.Wipe(ctx) })
		}
		if err := wiping.Wait(); err != nil {
			return err
		}
	}
	c.used = true
	c.client, c.load, c.id, c.space = nil, nil, 0, ""
	if err := c.lab.InstallHactl(ctx, c.hactl); err != nil {
		return err
	}
	for _, name := range members {
		if err := c.node(name).WriteFile(ctx, kubeletFile, []byte(kubeletText), 0o644); err != nil {
			return err
		}
	}
	lb := c.node(balancer)
	if err := lb.WriteFile(ctx, balancerFile, []byte(balancerText), 0o644); err != nil {
		return err
	}
	if _, err := lb.Run(ctx, "systemctl", "daemon-reload"); err != nil {
		return err
	}
	return c.lab.PodNetwork(ctx, podCIDR)
}

// initArgs make the first control plane.
func (c *cluster) initArgs() []string {
	return []string{"init", "--control-plane-endpoint", c.lab.Endpoint(), "--upload-certs", "--pod-network-cidr", podCIDR}
}

// begun takes over what init has made, and begins the load.
func (c *cluster) begun(ctx context.Context, o outcome) (err error) {
	if err := json.Unmarshal(o.result, &c.joins); err != nil {
		return err
	}
	c.usual["init"] = o.took
	for _, name := range planes {
		if err := c.node(name).WriteFile(ctx, keyFile, []byte(c.joins.CertificateKey+"\n"), 0o600); err != nil {
			return err
		}
	}
	if c.client, err = newClient(ctx, c.lab, c.node(planes[0])); err != nil {
		return err
	}
	c.load, err = startLoad(ctx, c.client, c.lab.Endpoint())
	return err
}

// others lets all other nodes join at the same time.
func (c *cluster) others(ctx context.Context) error {
	var joining errgroup.Group
	for _, name := range members[1:] {
		joining.Go(func() error {
			_, err := c.must(ctx, c.node(name), c.joinArgs(name)...)
			return err
		})
	}
	return joining.Wait()
}

// make makes a cluster without a fault.
func (c *cluster) make(ctx context.Context) error {
	if err := c.fresh(ctx); err != nil {
		return err
	}
	o, err := c.must(ctx, c.node(planes[0]), c.initArgs()...)
	if err != nil {
		return err
	}
	if err := errors.Join(c.begun(ctx, o), c.others(ctx)); err != nil {
		return err
	}
	c.lift()
	return c.settle(ctx, planes[0])
}

// joinArgs is the command that init has printed for the node's kind.
func (c *cluster) joinArgs(name string) []string {
	command := c.joins.Join.WorkerCommand
	if c.node(name).Role() == nodes.ControlPlane {
		command = c.joins.Join.ControlPlaneCommand
	}
	return strings.Fields(command)[1:]
}

// rejoin runs the same join (again), which has to end well.
func (c *cluster) rejoin(ctx context.Context, name string) error {
	o, err := c.must(ctx, c.node(name), c.joinArgs(name)...)
	if err != nil {
		return err
	}
	if o.took > wholeJoin {
		c.usual["join"] = o.took
	}
	return o.leftovers(ctx, c.node(name))
}

// leave takes a node out of the cluster, ready to join again.
func (c *cluster) leave(ctx context.Context, name string) error {
	o, err := c.must(ctx, c.node(name), "reset", "--force")
	if err != nil {
		return err
	}
	c.usual["reset"] = o.took
	return c.lab.PodNetwork(ctx, podCIDR)
}

// leftovers is an error if a run has left half-written files behind.
func (o outcome) leftovers(ctx context.Context, n *nodes.Node) error {
	if o.code != 0 {
		return nil
	}
	r, err := n.Run(ctx, "find", "/etc", "/var/lib/kubelet", "/var/lib/hactl", "/opt", "-xdev", "-name", "*.hactl-*")
	if left := strings.TrimSpace(string(r.Stdout)); left != "" {
		return errors.New(n.Name() + ": half-written files are left: " + left)
	}
	var exit *nodes.ExitError
	if errors.As(err, &exit) {
		return nil // a directory is not there
	}
	return err
}

// another is the next control plane after this one.
func another(name string) string {
	for i, p := range planes {
		if p == name {
			return planes[(i+1)%len(planes)]
		}
	}
	return planes[0]
}
