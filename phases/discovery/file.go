package discovery

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"path"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"github.com/hactl/hactl/certs"
	"github.com/hactl/hactl/config"
	"github.com/hactl/hactl/phases"
)

// byFile believes a kubeconfig, as the user does, and makes sure that the
// server that it names belongs to the CA that it names. The credentials are
// those of the file, or the TLS bootstrap token where one is given (kubeadm
// v1.37, discovery/discovery.go and discovery/file).
func (t *Task) byFile(ctx context.Context) (*Found, error) {
	conf, err := t.readKubeconfig(ctx)
	if err != nil {
		return nil, err
	}
	name := shown(t.Discovery.File.Kubeconfig)
	cluster := currentCluster(conf)
	if err := usable(name, cluster); err != nil {
		return nil, err
	}
	if cluster.CertificateAuthorityData, err = t.embed(ctx, cluster.CertificateAuthorityData, &cluster.CertificateAuthority); err != nil {
		return nil, err
	}
	if conf, err = t.credentials(ctx, conf, cluster); err != nil {
		return nil, err
	}
	p := place{url: strings.TrimSuffix(cluster.Server, "/"), proxy: cluster.ProxyURL}
	if p.tls, err = t.trust(name, cluster); err != nil {
		return nil, err
	}
	a, err := t.until(ctx, p, func(a *answer, err error) *verdict {
		// The server has proved who it is; cluster-info would only add to it.
		if err == nil || apierrors.IsForbidden(err) || apierrors.IsUnauthorized(err) || apierrors.IsNotFound(err) {
			return nil
		}
		return explain(p.url, a, err)
	})
	if err != nil {
		return nil, err
	}
	if err := refresh(ctx, name, cluster, a); err != nil {
		return nil, err
	}
	return &Found{
		Server: cluster.Server, Endpoint: cluster.Server, CA: cluster.CertificateAuthorityData,
		Token: tokenOf(conf), Kubeconfig: conf, Skew: a.skew,
	}, nil
}

// refresh takes from cluster-info what the kubeconfig does not say.
func refresh(ctx context.Context, name string, cluster *clientcmdapi.Cluster, a *answer) error {
	info, _, err := readInfo(a.kubeconfig())
	switch {
	case err == nil && len(cluster.CertificateAuthorityData) == 0:
		cluster.CertificateAuthorityData = info.CertificateAuthorityData
	case err == nil && info.Server != cluster.Server:
		phases.Warn(ctx, fmt.Sprintf("the cluster says that it is at %s; this node uses %s, as %s says", info.Server, cluster.Server, name))
	case err != nil && len(cluster.CertificateAuthorityData) == 0:
		return unsafe(name+" names no certificate authority, and the cluster does not tell its own", err,
			"put it into the file: certificate-authority-data")
	}
	return nil
}

// readKubeconfig reads the file or the URL. What the decoder says of a bad one
// is not told: it may quote secrets.
func (t *Task) readKubeconfig(ctx context.Context) (*clientcmdapi.Config, error) {
	name := t.Discovery.File.Kubeconfig
	var data []byte
	var err error
	if isURL(name) {
		data, err = t.download(ctx, name)
	} else {
		data, err = t.Files.ReadFile(ctx, name)
	}
	if err != nil {
		return nil, &phases.Fault{
			What:  "the kubeconfig to find the cluster by cannot be read: " + shown(name),
			Why:   cause(err),
			Fixes: []string{"check the path or the https URL that --discovery-file names"},
		}
	}
	conf, err := clientcmd.Load(data)
	if err != nil {
		return nil, badFile(shown(name), "is no kubeconfig")
	}
	return conf, nil
}

func (t *Task) download(ctx context.Context, address string) ([]byte, error) {
	resp, body, err := t.get(ctx, place{tls: &tls.Config{RootCAs: t.Roots}}, address)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("the server answers %s", resp.Status)
	}
	return body, nil
}

func isURL(name string) bool { return strings.HasPrefix(strings.ToLower(name), "https://") }

// shown is the name without a password that may be in a URL.
func shown(name string) string {
	if u, err := url.Parse(name); err == nil && u.User != nil {
		return u.Redacted()
	}
	return name
}

func badFile(name, what string) *phases.Fault {
	return &phases.Fault{
		What:  "the kubeconfig " + name + " " + what,
		Fixes: []string{"use the content of the cluster's own: kubectl get configmap cluster-info -n kube-public -o jsonpath={.data.kubeconfig} (on a control-plane node)"},
		Exit:  phases.CodeUsage,
	}
}

func usable(name string, cluster *clientcmdapi.Cluster) error {
	switch {
	case cluster == nil:
		return badFile(name, "has no current context with a cluster")
	case !strings.HasPrefix(cluster.Server, "https://"):
		return badFile(name, "names no server with an https URL")
	case cluster.InsecureSkipTLSVerify:
		return unsafe("the kubeconfig "+name+" says insecure-skip-tls-verify: anyone on the network could pass for the cluster", nil,
			"put the cluster's CA into it: certificate-authority-data",
			"or use a token and trust the network: --discovery-token-unsafe-skip-ca-verification")
	}
	return nil
}

// trust says whom to believe that the server is the cluster's.
func (t *Task) trust(name string, cluster *clientcmdapi.Cluster) (*tls.Config, error) {
	if len(cluster.CertificateAuthorityData) == 0 {
		return &tls.Config{RootCAs: t.Roots, ServerName: cluster.TLSServerName}, nil
	}
	cas, err := certs.ParseCerts(cluster.CertificateAuthorityData)
	if err != nil {
		fault := badFile(name, "has a certificate authority that cannot be read")
		fault.Why = err
		return nil, fault
	}
	return verified(cas, cluster.TLSServerName), nil
}

// credentials returns the kubeconfig that the kubelet gets, everything inside:
// it is stored elsewhere.
func (t *Task) credentials(ctx context.Context, conf *clientcmdapi.Config, cluster *clientcmdapi.Cluster) (*clientcmdapi.Config, error) {
	if t.Discovery.TLSBootstrapToken != "" {
		return withToken(cluster, t.Discovery.TLSBootstrapToken), nil
	}
	user := currentUser(conf)
	if user == nil || !loggedIn(user) {
		return nil, &phases.Fault{
			What: "the kubeconfig " + shown(t.Discovery.File.Kubeconfig) + " has no credentials, and there is no token to join with",
			Fixes: []string{
				"give a token: --tls-bootstrap-token, or tlsBootstrapToken in the discovery part of a JoinConfiguration",
				"make one on a control-plane node: hactl token create",
			},
			Exit: phases.CodeUsage,
		}
	}
	return conf, errors.Join(t.embedUser(ctx, user)...)
}

func (t *Task) embedUser(ctx context.Context, user *clientcmdapi.AuthInfo) (errs []error) {
	add := func(err error) {
		if err != nil {
			errs = append(errs, err)
		}
	}
	var err error
	user.ClientCertificateData, err = t.embed(ctx, user.ClientCertificateData, &user.ClientCertificate)
	add(err)
	user.ClientKeyData, err = t.embed(ctx, user.ClientKeyData, &user.ClientKey)
	add(err)
	if user.Token == "" && user.TokenFile != "" {
		token, err := t.embed(ctx, nil, &user.TokenFile)
		add(err)
		user.Token = strings.TrimSpace(string(token))
	}
	return errs
}

// embed returns data, or the content of the file, which is named no more
// after. A file beside the kubeconfig is found as kubectl finds it.
func (t *Task) embed(ctx context.Context, data []byte, file *string) ([]byte, error) {
	name := *file
	*file = ""
	if len(data) > 0 || name == "" {
		return data, nil
	}
	from := t.Discovery.File.Kubeconfig
	if !path.IsAbs(name) {
		if isURL(from) {
			return nil, badFile(shown(from), "names the file "+name+", which is not on this node")
		}
		name = path.Join(path.Dir(from), name)
	}
	data, err := t.Files.ReadFile(ctx, name)
	if err != nil {
		fault := badFile(shown(from), "names a file that cannot be read")
		fault.Why = err
		return nil, fault
	}
	return data, nil
}

func currentUser(conf *clientcmdapi.Config) *clientcmdapi.AuthInfo {
	if current := conf.Contexts[conf.CurrentContext]; current != nil {
		return conf.AuthInfos[current.AuthInfo]
	}
	return nil
}

// loggedIn says whether a user has any credentials.
func loggedIn(u *clientcmdapi.AuthInfo) bool {
	certificate := len(u.ClientCertificateData) > 0 || u.ClientCertificate != ""
	key := len(u.ClientKeyData) > 0 || u.ClientKey != ""
	return u.Token != "" || u.TokenFile != "" || certificate && key || u.Exec != nil || u.AuthProvider != nil
}

func tokenOf(conf *clientcmdapi.Config) config.Secret {
	if u := currentUser(conf); u != nil {
		return config.Secret(u.Token)
	}
	return ""
}
