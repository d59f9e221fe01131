package health

import (
	"context"
	"errors"
	"net"
	"path"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/clientcmd/api"

	"github.com/hactl/hactl/certs"
	"github.com/hactl/hactl/config"
	"github.com/hactl/hactl/etcd"
	"github.com/hactl/hactl/phases/host"
	"github.com/hactl/hactl/templates/staticpod"
)

// The static pods whose manifests tell where things are.
const (
	etcdPod      = "etcd"
	apiServerPod = "kube-apiserver"
)

// thisNode is what the files of this node tell; what is not there is empty.
type thisNode struct {
	server   string // of this node's API server
	endpoint string
	certDir  string
	etcd     EtcdAccess
}

// readNode never fails: the report says later what could not be asked.
func (t *Task) readNode(ctx context.Context) thisNode {
	n := thisNode{server: LocalServer(ctx, t.Files), etcd: LocalEtcd(ctx, t.Files)}
	n.certDir = n.etcd.CertDir
	if _, cluster, _ := currentContext(ctx, t.Files, t.Kubeconfig); cluster != nil {
		n.endpoint = cluster.Server
	}
	return n
}

// LocalServer returns the URL of this node's API server, "" if this node has
// none.
func LocalServer(ctx context.Context, files host.Files) string {
	pod, err := staticpod.Read(ctx, files, config.ManifestsDir, apiServerPod)
	if err != nil {
		return ""
	}
	return serverURL(pod)
}

func serverURL(pod *corev1.Pod) string {
	address, ok := staticpod.Flag(pod, "advertise-address")
	port, also := staticpod.Flag(pod, "secure-port")
	if !ok || !also {
		return ""
	}
	return "https://" + net.JoinHostPort(address, port)
}

// LocalEtcd is the way to etcd that this node's manifests tell: a member
// here, or else the flags of the API server. Without those, there are no
// endpoints, and the directory is the usual one.
func LocalEtcd(ctx context.Context, files host.Files) EtcdAccess {
	a := EtcdAccess{CertDir: config.DefaultCertsDir}
	server, noServer := staticpod.Read(ctx, files, config.ManifestsDir, apiServerPod)
	if noServer == nil {
		if file, ok := staticpod.Flag(server, "client-ca-file"); ok {
			a.CertDir = path.Dir(file)
		}
	}
	if pod, err := staticpod.Read(ctx, files, config.ManifestsDir, etcdPod); err == nil {
		if urls, ok := staticpod.Flag(pod, "advertise-client-urls"); ok {
			a.Endpoints = strings.Split(urls, ",")
		}
		return a
	}
	if noServer != nil {
		return a
	}
	urls, _ := staticpod.Flag(server, "etcd-servers")
	x := &config.ExternalEtcd{Endpoints: strings.Split(urls, ",")}
	x.CAFile, _ = staticpod.Flag(server, "etcd-cafile")
	x.CertFile, _ = staticpod.Flag(server, "etcd-certfile")
	x.KeyFile, _ = staticpod.Flag(server, "etcd-keyfile")
	if urls == "" || path.Dir(x.CAFile) == path.Join(a.CertDir, "etcd") && loopback(x.Endpoints) {
		return a // stacked, and the manifest of the member has gone
	}
	a.Endpoints, a.External = x.Endpoints, x
	return a
}

func loopback(urls []string) bool {
	for _, u := range urls {
		ip := net.ParseIP(etcd.HostOf(u))
		if ip == nil || !ip.IsLoopback() {
			return false
		}
	}
	return true
}

var errNoContext = errors.New("the current context names no cluster and user of the file")

// currentContext returns the user and the cluster that a kubeconfig file
// leads to.
func currentContext(ctx context.Context, files host.Files, name string) (*api.AuthInfo, *api.Cluster, error) {
	data, err := files.ReadFile(ctx, name)
	if err != nil {
		return nil, nil, err
	}
	c, err := clientcmd.Load(data)
	if err != nil {
		return nil, nil, err
	}
	current := c.Contexts[c.CurrentContext]
	if current == nil || c.Clusters[current.Cluster] == nil || c.AuthInfos[current.AuthInfo] == nil {
		return nil, nil, errNoContext
	}
	return c.AuthInfos[current.AuthInfo], c.Clusters[current.Cluster], nil
}

// Names returns the names that this node goes by in the cluster: the one in
// the kubelet's certificate and that of its etcd member, if they are there.
func Names(ctx context.Context, files host.Files) []string {
	var names []string
	if data, err := files.ReadFile(ctx, kubeletClient); err == nil {
		if list, err := certs.ParseCerts(data); err == nil {
			if name, ok := strings.CutPrefix(list[0].Subject.CommonName, "system:node:"); ok {
				names = append(names, name)
			}
		}
	}
	if pod, err := staticpod.Read(ctx, files, config.ManifestsDir, etcdPod); err == nil {
		if name, ok := staticpod.Flag(pod, "name"); ok {
			names = append(names, name)
		}
	}
	return names
}
