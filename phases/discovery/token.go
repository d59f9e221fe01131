package discovery

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"maps"
	"slices"
	"strings"
	"time"

	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	bootstrap "k8s.io/cluster-bootstrap/token/api"

	"github.com/hactl/hactl/certs"
	"github.com/hactl/hactl/phases"
)

// byToken reads cluster-info from whoever answers, believes it because the
// token signed it and the CA in it is pinned, and reads it again from a
// server that proves to belong to that CA. Both must be the same.
//
// One thing is stricter than in kubeadm v1.37 (discovery/token): the second
// server must belong to a CA that is pinned itself. An unpinned one beside it
// in the bundle proves nothing, because whoever has a token can sign a bundle.
func (t *Task) byToken(ctx context.Context) (*Found, error) {
	d := t.Discovery.Token
	url := "https://" + d.Endpoint.String()
	if len(d.CACertHashes) == 0 {
		phases.Warn(ctx, "the cluster's CA is not compared with a hash (unsafe-skip-ca-verification): everybody who has the token, a node that joined with it for one, can pass for the cluster and take over this node")
	}
	first, err := t.until(ctx, place{url: url, tls: unverified()}, t.firstAnswer)
	if err != nil {
		return nil, err
	}
	cluster, cas, err := readInfo(first.kubeconfig())
	if err != nil {
		return nil, err
	}
	second, err := t.until(ctx, place{url: url, tls: verified(t.pinned(cas), "")}, func(a *answer, err error) *verdict {
		if err != nil {
			return explain(url, a, err)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	if second.kubeconfig() != first.kubeconfig() {
		return nil, changedBetween(url)
	}
	// Only these two of what the cluster says of itself: the rest of a
	// kubeconfig may weaken what they promise.
	cluster = &clientcmdapi.Cluster{Server: cluster.Server, CertificateAuthorityData: cluster.CertificateAuthorityData}
	return &Found{
		Server: cluster.Server, Endpoint: url, CA: cluster.CertificateAuthorityData,
		Token: t.Discovery.TLSBootstrapToken, Skew: second.skew,
		Kubeconfig: withToken(cluster, t.Discovery.TLSBootstrapToken),
	}, nil
}

// firstAnswer judges what an unverified server tells.
func (t *Task) firstAnswer(a *answer, err error) *verdict {
	d := t.Discovery.Token
	url := "https://" + d.Endpoint.String()
	if err != nil {
		return explain(url, a, err)
	}
	_, cas, err := readInfo(a.kubeconfig())
	if err != nil {
		var fault *phases.Fault
		errors.As(err, &fault)
		return &verdict{status: fault.What, patience: settle, fault: fault}
	}
	id, _, _ := split(d.Token)
	signature, known := a.info.Data[bootstrap.JWSSignatureKeyPrefix+id]
	genuine := known && signed(signature, a.kubeconfig(), d.Token)
	pinned := len(d.CACertHashes) == 0 || len(t.pinned(cas)) > 0
	switch {
	case !pinned && genuine:
		return &verdict{fault: wrongPin(url, cas, d.CACertHashes)}
	case !pinned:
		return &verdict{fault: otherCluster(url, cas, d.CACertHashes)}
	case !known:
		return &verdict{
			status: "no signature for token " + id + " yet", patience: t.signing(a),
			fault: unknownToken(url, id, signers(a)),
		}
	case !genuine:
		return &verdict{fault: badSignature(url, id)}
	}
	return nil
}

// signing is how long the signature for a token may be missing. In a new
// cluster the first one takes longer: the controller-manager that signs is
// still starting, and waits for its leader election.
func (t *Task) signing(a *answer) time.Duration {
	age := t.now().Add(a.skew).Sub(a.info.CreationTimestamp.Time)
	if len(signers(a)) == 0 && age < young {
		return young
	}
	return settle
}

// pinned are the CAs that the user named; without a pin, all.
func (t *Task) pinned(cas []*x509.Certificate) []*x509.Certificate {
	hashes := t.Discovery.Token.CACertHashes
	if len(hashes) == 0 {
		return cas
	}
	var list []*x509.Certificate
	for _, ca := range cas {
		if slices.ContainsFunc(hashes, func(h string) bool { return strings.EqualFold(h, certs.Pin(ca)) }) {
			list = append(list, ca)
		}
	}
	return list
}

// signers are the IDs of the tokens that cluster-info is signed for, sorted.
func signers(a *answer) []string {
	var ids []string
	for _, key := range slices.Sorted(maps.Keys(a.info.Data)) {
		if id, ok := strings.CutPrefix(key, bootstrap.JWSSignatureKeyPrefix); ok {
			ids = append(ids, id)
		}
	}
	return ids
}

// readInfo takes the content of cluster-info apart.
func readInfo(content string) (*clientcmdapi.Cluster, []*x509.Certificate, error) {
	if content == "" {
		return nil, nil, badInfo("has no kubeconfig", nil)
	}
	conf, err := clientcmd.Load([]byte(content))
	if err != nil {
		return nil, nil, badInfo("holds no kubeconfig", err)
	}
	cluster := currentCluster(conf)
	if cluster == nil || !strings.HasPrefix(cluster.Server, "https://") {
		return nil, nil, badInfo("names no cluster with an https URL", nil)
	}
	cas, err := certs.ParseCerts(cluster.CertificateAuthorityData)
	if err != nil {
		return nil, nil, badInfo("names no CA", err)
	}
	return cluster, cas, nil
}

// currentCluster is the nameless cluster of cluster-info, or that of the
// current context; nil if there is neither.
func currentCluster(conf *clientcmdapi.Config) *clientcmdapi.Cluster {
	if c := conf.Clusters[""]; c != nil {
		return c
	}
	if current := conf.Contexts[conf.CurrentContext]; current != nil {
		return conf.Clusters[current.Cluster]
	}
	return nil
}

// unverified is for the first question, to someone whose name nobody knows
// yet; nothing secret is sent.
func unverified() *tls.Config { return &tls.Config{InsecureSkipVerify: true} }

func verified(cas []*x509.Certificate, name string) *tls.Config {
	roots := x509.NewCertPool()
	for _, ca := range cas {
		roots.AddCert(ca)
	}
	return &tls.Config{RootCAs: roots, ServerName: name}
}
