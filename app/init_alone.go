package app

import (
	"context"
	"net/netip"
	"slices"
	"strconv"
	"time"

	"github.com/hactl/hactl/config"
	"github.com/hactl/hactl/phases/journal"
	"github.com/hactl/hactl/phases/publish"
)

// answerLimit is how long a phase alone waits for a cluster to say how it is
// configured: at first there is none.
const answerLimit = 2 * time.Second

// clusterFlags take over what a flag says of the cluster.
var clusterFlags = map[string]func(to, from *config.Cluster){
	"apiserver-cert-extra-sans":     func(to, from *config.Cluster) { to.APIServerSANs = from.APIServerSANs },
	"apiserver-extra-args":          func(to, from *config.Cluster) { to.APIServer.ExtraArgs = from.APIServer.ExtraArgs },
	"cert-dir":                      func(to, from *config.Cluster) { to.CertificatesDir = from.CertificatesDir },
	"control-plane-endpoint":        func(to, from *config.Cluster) { to.ControlPlaneEndpoint = from.ControlPlaneEndpoint },
	"controller-manager-extra-args": func(to, from *config.Cluster) { to.ControllerManager.ExtraArgs = from.ControllerManager.ExtraArgs },
	"etcd-cafile":                   takeEtcd,
	"etcd-certfile":                 takeEtcd,
	"etcd-endpoints":                takeEtcd,
	"etcd-keyfile":                  takeEtcd,
	"feature-gates":                 func(to, from *config.Cluster) { to.FeatureGates = from.FeatureGates },
	"image-repository":              func(to, from *config.Cluster) { to.ImageRepository = from.ImageRepository },
	"kubernetes-version":            func(to, from *config.Cluster) { to.Version = from.Version },
	"pod-network-cidr":              func(to, from *config.Cluster) { to.Networking.PodSubnets = from.Networking.PodSubnets },
	"scheduler-extra-args":          func(to, from *config.Cluster) { to.Scheduler.ExtraArgs = from.Scheduler.ExtraArgs },
	"virtual-ip":                    takeBalancer,
	"virtual-ip-interface":          takeBalancer,
	"virtual-ip-unicast":            takeBalancer,
	"virtual-router-id":             takeBalancer,
	"service-cidr":                  func(to, from *config.Cluster) { to.Networking.ServiceSubnets = from.Networking.ServiceSubnets },
	"service-dns-domain":            func(to, from *config.Cluster) { to.Networking.DNSDomain = from.Networking.DNSDomain },
}

// takeEtcd is for the flags that together say which etcd there is.
func takeEtcd(to, from *config.Cluster) { to.Etcd = from.Etcd }

// takeBalancer is for the flags that together say how the control planes
// balance.
func takeBalancer(to, from *config.Cluster) { to.LoadBalancer = from.LoadBalancer }

// complete gives a phase alone what its flags do not say: of the node, from
// the record of the run before; of the cluster, from the cluster itself.
// Else a phase that is told half would undo the other half. Where neither
// is there yet, defaults take their place. It returns whether the cluster
// said how it is configured.
func (m *machine) complete(ctx context.Context, in InitInput) bool {
	if len(in.Only) == 0 || in.Told == nil {
		return false
	}
	c := in.Config
	m.completeNode(in)
	live := m.liveCluster(ctx, in)
	if live == nil {
		return false
	}
	for _, flag := range in.Told {
		if take := clusterFlags[flag]; take != nil {
			take(live, &c.Cluster)
		}
	}
	// Who names an addon wants it.
	live.DNS.Disabled = live.DNS.Disabled && !slices.Contains(in.Only, "addon/coredns")
	live.ProxyDisabled = live.ProxyDisabled && !slices.Contains(in.Only, "addon/kube-proxy")
	if !needs(in.Only, versionedPhases) {
		live.Version = config.Version // the cluster's may be one that this hactl cannot make
	}
	c.Cluster = *live
	return true
}

// completeNode takes over what the record says of the node.
func (m *machine) completeNode(in InitInput) {
	if m.record == nil || m.record.Use != journal.UseInit {
		return
	}
	c := in.Config
	recorded := func(flag, setting string) string {
		if slices.Contains(in.Told, flag) {
			return ""
		}
		return m.record.Config["initConfiguration."+setting]
	}
	if name := recorded("node-name", "nodeRegistration.name"); name != "" {
		c.Node.Name = name
	}
	if socket := recorded("cri-socket", "nodeRegistration.criSocket"); socket != "" {
		c.Node.CRISocket = socket
	}
	if a, err := netip.ParseAddr(recorded("apiserver-advertise-address", "localAPIEndpoint.advertiseAddress")); err == nil {
		c.Local.Address = a
	}
	if n, err := strconv.ParseUint(recorded("apiserver-bind-port", "localAPIEndpoint.bindPort"), 10, 16); err == nil {
		c.Local.Port = uint16(n)
	}
}

// liveCluster is the configuration that the cluster of this node has, nil if
// it does not say.
func (m *machine) liveCluster(ctx context.Context, in InitInput) *config.Cluster {
	files := kubeconfigs(in.Kubeconfig)
	if !m.any(ctx, files) {
		return nil
	}
	server := ""
	if local := in.Config.Local; in.Kubeconfig == "" {
		if !local.Address.IsValid() {
			address, err := m.address()
			if err != nil {
				return nil // settle says it
			}
			local.Address = address
		}
		server = local.URL()
	}
	ctx, cancel := context.WithTimeout(ctx, answerLimit)
	defer cancel()
	api := m.dialAPI(m.host, server, files)
	if _, err := api.Raw(ctx, "/readyz"); err != nil {
		return nil
	}
	cluster, err := publish.FetchJoin(ctx, api, answerLimit)
	if err != nil {
		return nil
	}
	if cluster.LoadBalancer, err = publish.FetchLoadBalancer(ctx, api, answerLimit); err != nil {
		return nil
	}
	return cluster
}
