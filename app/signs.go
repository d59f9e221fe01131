package app

import (
	"net/netip"

	"github.com/hactl/hactl/certs"
	"github.com/hactl/hactl/config"
	"github.com/hactl/hactl/phases/kubeconfig"
	"github.com/hactl/hactl/phases/pki"
)

// signs are the tasks of what a control plane signs for itself. Their Keys are
// for the caller to set, if keys are to be made ahead.
func (m *machine) signs(c *config.Init, algorithm certs.Algorithm) (pki.Task, kubeconfig.Task) {
	cl := &c.Cluster
	p := pki.Task{
		Host: m.host, Dir: cl.CertificatesDir, Algorithm: algorithm,
		CAValidity: cl.CAValidity, Validity: cl.CertificateValidity,
		NodeName: c.Node.Name, AdvertiseAddress: c.Local.Address, EndpointHost: cl.ControlPlaneEndpoint.Host,
		ServiceDomain: cl.Networking.DNSDomain, FirstServiceIPs: []netip.Addr{cl.FirstServiceAddress()},
		APIServerSANs: cl.APIServerSANs, ExternalEtcd: cl.Etcd.External != nil, Now: m.now,
	}
	if l := cl.Etcd.Local; l != nil {
		p.EtcdServerSANs, p.EtcdPeerSANs = l.ServerCertSANs, l.PeerCertSANs
	}
	k := kubeconfig.Task{
		Host: m.host, Dir: config.KubernetesDir, CertDir: cl.CertificatesDir, ClusterName: cl.Name,
		Endpoint: "https://" + c.Endpoint().String(), LocalEndpoint: c.Local.URL(),
		NodeName: c.Node.Name, Algorithm: algorithm, Validity: cl.CertificateValidity, Now: m.now,
	}
	return p, k
}
