package kubeadm

import (
	"bytes"
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"github.com/hactl/hactl/config"
)

// EncodeCluster writes a ClusterConfiguration of v1beta4 for ConfigMap
// kube-system/kubeadm-config: what kubeadm v1.37 uploads for the same
// cluster, byte for byte the same for the same values. Give it a
// configuration that has its defaults.
func EncodeCluster(c *config.Cluster) ([]byte, error) {
	return marshal(KindCluster, clusterTo(c))
}

// EncodeKubelet writes the KubeletConfiguration for ConfigMap
// kube-system/kubelet-config.
func EncodeKubelet(c *config.Cluster) ([]byte, error) {
	k := c.Kubelet.DeepCopy()
	k.APIVersion, k.Kind = kubeletGroup+"/v1beta1", KindKubelet
	return marshal(KindKubelet, k)
}

// EncodeKubeProxy writes the KubeProxyConfiguration for key config.conf of
// ConfigMap kube-system/kube-proxy.
func EncodeKubeProxy(c *config.Cluster) ([]byte, error) {
	p := c.KubeProxy.DeepCopy()
	p.APIVersion, p.Kind = kubeProxyGroup+"/v1alpha1", KindKubeProxy
	return marshal(KindKubeProxy, p)
}

// EncodeInit writes an InitConfiguration and a ClusterConfiguration of
// v1beta4, the component configurations that the user gave, and hactl's own
// document where there is something to say in it. Tokens and the certificate key stand in it in clear.
func EncodeInit(c *config.Init) ([]byte, error) {
	init, err := marshal(KindInit, initTo(c))
	if err != nil {
		return nil, err
	}
	docs := [][]byte{init}
	own := func(c *config.Cluster) ([]byte, error) { return EncodeOwn(c.LoadBalancer) }
	parts := []struct {
		wanted bool
		encode func(*config.Cluster) ([]byte, error)
	}{
		{true, EncodeCluster}, {c.Cluster.KubeletGiven, EncodeKubelet}, {c.Cluster.KubeProxyGiven, EncodeKubeProxy},
		{c.Cluster.LoadBalancer != nil, own},
	}
	for _, part := range parts {
		if part.wanted {
			doc, err := part.encode(&c.Cluster)
			if err != nil {
				return nil, err
			}
			docs = append(docs, doc)
		}
	}
	return bytes.Join(docs, []byte(separator)), nil
}

// EncodeJoin writes a JoinConfiguration of v1beta4, and hactl's own document
// where there is something to say in it. Tokens and the certificate key stand
// in it in clear.
func EncodeJoin(j *config.JoinNode) ([]byte, error) {
	join, err := marshal(KindJoin, joinTo(j))
	if err != nil || j.LoadBalancer == nil {
		return join, err
	}
	own, err := EncodeOwn(j.LoadBalancer)
	return bytes.Join([][]byte{join, own}, []byte(separator)), err
}

// EncodeReset writes a ResetConfiguration of v1beta4.
func EncodeReset(r *config.Reset) ([]byte, error) { return marshal(KindReset, resetTo(r)) }

// EncodeUpgrade writes an UpgradeConfiguration of v1beta4.
func EncodeUpgrade(u *config.Upgrade) ([]byte, error) { return marshal(KindUpgrade, upgradeTo(u)) }

func marshal(kind string, v any) ([]byte, error) {
	data, err := yaml.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("write %s: %w", kind, err)
	}
	return data, nil
}

func meta(kind string) typeMeta { return typeMeta{Kind: kind, APIVersion: group + "/" + Version} }

func clusterTo(c *config.Cluster) *clusterConfiguration {
	return &clusterConfiguration{
		typeMeta:             meta(KindCluster),
		KubernetesVersion:    c.Version,
		ClusterName:          c.Name,
		ControlPlaneEndpoint: c.ControlPlaneEndpoint.String(),
		Networking: networking{
			ServiceSubnet: config.Join(c.Networking.ServiceSubnets),
			PodSubnet:     config.Join(c.Networking.PodSubnets),
			DNSDomain:     c.Networking.DNSDomain,
		},
		Etcd:                        etcdTo(c.Etcd),
		APIServer:                   apiServer{component: componentTo(c.APIServer), CertSANs: c.APIServerSANs},
		ControllerManager:           componentTo(c.ControllerManager),
		Scheduler:                   componentTo(c.Scheduler),
		DNS:                         dns{imageMeta: imageMeta{c.DNS.ImageRepository, c.DNS.ImageTag}, Disabled: c.DNS.Disabled},
		Proxy:                       proxy{Disabled: c.ProxyDisabled},
		CertificatesDir:             c.CertificatesDir,
		ImageRepository:             c.ImageRepository,
		FeatureGates:                c.FeatureGates,
		EncryptionAlgorithm:         c.EncryptionAlgorithm,
		CertificateValidityPeriod:   duration(c.CertificateValidity),
		CACertificateValidityPeriod: duration(c.CAValidity),
	}
}

func etcdTo(e config.Etcd) etcd {
	var out etcd
	if l := e.Local; l != nil {
		out.Local = &localEtcd{
			imageMeta: imageMeta{l.ImageRepository, l.ImageTag}, DataDir: l.DataDir,
			ExtraArgs: argsTo(l.ExtraArgs), ExtraEnvs: l.ExtraEnvs,
			ServerCertSANs: l.ServerCertSANs, PeerCertSANs: l.PeerCertSANs,
		}
	}
	if x := e.External; x != nil {
		out.External = &externalEtcd{
			Endpoints: x.Endpoints, HTTPEndpoints: x.HTTPEndpoints,
			CAFile: x.CAFile, CertFile: x.CertFile, KeyFile: x.KeyFile,
		}
	}
	return out
}

func componentTo(c config.Component) component {
	out := component{ExtraArgs: argsTo(c.ExtraArgs), ExtraEnvs: c.ExtraEnvs}
	for _, v := range c.ExtraVolumes {
		out.ExtraVolumes = append(out.ExtraVolumes, hostPathMount(v))
	}
	return out
}

// argsTo leaves out the way to merge, which v1beta4 does not have.
func argsTo(in []config.Arg) argList {
	var out argList
	for _, a := range in {
		out = append(out, arg{Name: a.Name, Value: a.Value})
	}
	return out
}

func duration(d time.Duration) *metav1.Duration {
	if d == 0 {
		return nil
	}
	return &metav1.Duration{Duration: d}
}
