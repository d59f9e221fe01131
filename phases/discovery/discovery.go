// Package discovery finds the cluster that a node is to join, and makes sure
// that it is the right one. It reads only: nothing of the node or the cluster
// is changed. What cannot be verified is refused, unless the user said that
// it need not be.
package discovery

import (
	"context"
	"crypto/x509"
	"fmt"
	"net"
	"time"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"github.com/hactl/hactl/config"
	"github.com/hactl/hactl/phases/host"
)

// Task is what Find works from.
type Task struct {
	// Discovery has its defaults and is valid.
	Discovery config.Discovery
	// Files are the node's; only discovery by file reads them.
	Files host.Files
	// Limit is how long a cluster that does not answer is asked again
	// (timeouts.discovery); zero means for ever. Answers that another try
	// would hardly change end the search within 10 s.
	Limit time.Duration
	// Now is the clock that is compared with the cluster's; nil means
	// time.Now.
	Now func() time.Time
	// Dial makes connections, never to a proxy; nil means the network.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	// Roots verify the server of a kubeconfig's https URL, and a cluster
	// whose kubeconfig names no CA; nil means those of the system.
	Roots *x509.CertPool
}

// Found is a cluster whose identity is verified.
type Found struct {
	// Server is where the cluster says that it is ("https://lb:6443"); it
	// belongs into the kubelet's files.
	Server string
	// Endpoint is the URL that answered, and that Connect leads to: Server,
	// or what the user named. A load balancer that does not forward yet is
	// not needed to read from the cluster.
	Endpoint string
	// CA is the cluster's bundle of authorities in PEM, at least one.
	CA []byte
	// Token is the one that the kubelet bootstraps with, "" if Kubeconfig
	// has other credentials.
	Token config.Secret
	// Kubeconfig leads to Server, with CA and credentials inside. It is what
	// bootstrap-kubelet.conf holds, and a secret: write it to files of mode
	// 0600 only.
	Kubeconfig *clientcmdapi.Config
	// Skew is how far the cluster's clock is ahead of the node's, to about a
	// second; zero if it is not known.
	Skew time.Duration
}

// Connect returns how to reach the cluster, at Endpoint, as the user that the
// kubelet bootstraps as. It is made for kube.NewClient.
func (f *Found) Connect(context.Context) (*rest.Config, error) {
	c, err := clientcmd.NewDefaultClientConfig(*f.Kubeconfig, &clientcmd.ConfigOverrides{}).ClientConfig()
	if err != nil {
		return nil, fmt.Errorf("use what discovery found: %w", err)
	}
	c.Host = f.Endpoint
	return c, nil
}

// Find finds the cluster and verifies it. Errors are *phases.Fault, with
// phases.CodeUnsafe where something or someone is not what it claims to be,
// or the cause of ctx's end. It reports what it waits for, and warns of what
// is not verified and of a clock that is off.
func Find(ctx context.Context, t *Task) (*Found, error) {
	find := t.byToken
	if t.Discovery.File != nil {
		find = t.byFile
	}
	return find(ctx)
}

func (t *Task) now() time.Time {
	if t.Now == nil {
		return time.Now()
	}
	return t.Now()
}

// The names that kubeadm v1.37 gives in bootstrap-kubelet.conf
// (cmd/kubeadm/app/discovery/discovery.go).
const (
	bootstrapUser    = "tls-bootstrap-token-user"
	bootstrapCluster = "kubernetes"
	bootstrapContext = bootstrapUser + "@" + bootstrapCluster
)

// withToken is the kubeconfig of the holder of a bootstrap token.
func withToken(cluster *clientcmdapi.Cluster, token config.Secret) *clientcmdapi.Config {
	c := clientcmdapi.NewConfig()
	c.Clusters[bootstrapCluster] = cluster
	c.AuthInfos[bootstrapUser] = &clientcmdapi.AuthInfo{Token: token.Reveal()}
	c.Contexts[bootstrapContext] = &clientcmdapi.Context{Cluster: bootstrapCluster, AuthInfo: bootstrapUser}
	c.CurrentContext = bootstrapContext
	return c
}
