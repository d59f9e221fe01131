package discovery

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"syscall"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/hactl/hactl/certs"
	"github.com/hactl/hactl/phases"
	"github.com/hactl/hactl/phases/kube"
)

const (
	newToken = "make a new token, and take the whole command it prints: hactl token create --print-join-command (on a control-plane node)"
	takeAnew = "take the join command anew, from a control-plane node: hactl token create --print-join-command"
)

// explain says why there is no answer, and whether another try may help.
func explain(url string, a *answer, err error) *verdict {
	if a == nil {
		if fault := untrusted(url, err); fault != nil {
			return &verdict{fault: fault}
		}
		return noConnection(url, cause(err))
	}
	return refusal(url, err)
}

// refusal explains what a server answers instead of cluster-info.
func refusal(url string, err error) *verdict {
	switch {
	case errors.Is(err, errNotAPI):
		return &verdict{fault: notAPI(url, err)}
	case apierrors.IsNotFound(err):
		return &verdict{status: "no ConfigMap cluster-info yet", patience: young, fault: &phases.Fault{
			What: "the cluster at " + url + " does not tell who it is: there is no ConfigMap kube-public/cluster-info",
			Why:  err,
			Fixes: []string{
				"make it, on a control-plane node: hactl init phase bootstrap-token",
				"or find the cluster by a kubeconfig: --discovery-file",
			},
		}}
	case apierrors.IsForbidden(err), apierrors.IsUnauthorized(err):
		return &verdict{status: "not allowed to read ConfigMap cluster-info yet", patience: young, fault: &phases.Fault{
			What: "the cluster at " + url + " does not let strangers read ConfigMap kube-public/cluster-info",
			Why:  err,
			Fixes: []string{
				"give everybody that right, on a control-plane node: hactl init phase bootstrap-token",
				"where anonymous requests are turned off, find the cluster by a kubeconfig: --discovery-file",
			},
		}}
	}
	v := &verdict{status: "not ready: " + err.Error(), patience: always, fault: &phases.Fault{
		What:  url + " answers, but no API server behind it is ready",
		Why:   err,
		Fixes: []string{"look at the control plane: kubectl get --raw /readyz?verbose (on a control-plane node)"},
	}}
	if apierrors.IsBadRequest(err) || apierrors.IsMethodNotSupported(err) {
		v.patience = settle
	}
	return v
}

// noConnection explains why nobody answers.
func noConnection(url string, err error) *verdict {
	address := strings.TrimPrefix(url, "https://")
	host, port, splitErr := net.SplitHostPort(address)
	if splitErr != nil {
		host, port = address, "443"
	}
	say := func(patience time.Duration, status, what string, fixes ...string) *verdict {
		return &verdict{status: status, patience: patience, fault: &phases.Fault{What: what, Why: err, Fixes: fixes}}
	}
	var dns *net.DNSError
	var dialled *net.OpError
	switch {
	case errors.As(err, &dialled) && dialled.Op == "proxyconnect":
		return say(settle, "the proxy does not answer", "the proxy that this node is to use does not answer",
			"take the cluster out of what goes through it: export NO_PROXY="+host,
			"or set HTTPS_PROXY right")
	case errors.As(err, &dns) && dns.IsNotFound:
		return say(settle, "the name "+host+" is not known", "nobody knows the name "+host,
			"check the endpoint of the join command, and the name: getent hosts "+host)
	case errors.Is(err, syscall.ECONNREFUSED):
		return say(always, "connection refused", address+" refuses connections",
			"check the endpoint of the join command; is kube-apiserver there: ss -ltn 'sport = :"+port+"'",
			"if it is a load balancer, let it forward port "+port+" to a control-plane node that runs")
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH):
		return say(always, "no route to "+host, "there is no way from this node to "+host,
			"check the route: ip route get "+host)
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, syscall.ECONNRESET):
		return say(always, "the connection is closed", address+" takes connections and closes them",
			"if it is a load balancer, it has no healthy control-plane node to forward to: check its health checks")
	case kube.Unreachable(err):
		return say(always, "no answer", address+" does not answer",
			"try from this node: nc -vz "+host+" "+port,
			"a firewall, a security group or a load balancer without targets may drop the packets")
	}
	return say(settle, err.Error(), "no API server could be asked at "+address,
		"check the endpoint of the join command, and HTTPS_PROXY and NO_PROXY")
}

func notAPI(url string, err error) *phases.Fault {
	return &phases.Fault{
		What:  url + " is no Kubernetes API server",
		Why:   err,
		Fixes: []string{"check host and port of the join command; the API server's port is 6443 by default"},
	}
}

// untrusted explains why a server is not believed, nil if that is not so.
func untrusted(url string, err error) *phases.Fault {
	var header tls.RecordHeaderError
	if errors.Is(err, http.ErrSchemeMismatch) || errors.As(err, &header) {
		return notAPI(url, errors.New("it speaks no TLS"))
	}
	var unknown x509.UnknownAuthorityError
	var hostname x509.HostnameError
	var invalid x509.CertificateInvalidError
	switch {
	case errors.As(err, &unknown):
		return unsafe("the server at "+url+" does not belong to the cluster", cause(err),
			"another machine answers in the cluster's place, or the load balancer forwards to another cluster: check where "+url+" leads")
	case errors.As(err, &hostname):
		return unsafe("the certificate of the API server is not valid for "+url, cause(err),
			"use an endpoint that the certificate names",
			"or add the name: certSANs in the ClusterConfiguration, then renew the API server's certificate on each control-plane node")
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return &phases.Fault{
			What: "the certificate of the API server at " + url + " is not valid now", Why: cause(err),
			Fixes: []string{"compare the clocks of both nodes: date -u", "if it has expired, renew it on its control-plane node"},
		}
	case errors.As(err, &invalid):
		return unsafe("the certificate of the API server at "+url+" cannot be used", cause(err), "renew it on its control-plane node")
	}
	return nil
}

// cause takes the request off an error: the URL is said already.
func cause(err error) error {
	var request *url.Error
	if errors.As(err, &request) {
		return request.Err
	}
	return err
}

func unsafe(what string, why error, fixes ...string) *phases.Fault {
	return &phases.Fault{What: what, Why: why, Fixes: fixes, Exit: phases.CodeUnsafe}
}

func wrongPin(url string, cas []*x509.Certificate, want []string) *phases.Fault {
	return unsafe("the CA of the cluster at "+url+" is not the one of the join command", pins(cas, want),
		"compare the hashes with the cluster's: hactl token create --print-join-command (on a control-plane node)",
		"if they are right, somebody who has the token passes for the cluster: find out who answers at "+url)
}

func otherCluster(url string, cas []*x509.Certificate, want []string) *phases.Fault {
	return unsafe("another cluster than that of the join command answers at "+url, pins(cas, want),
		"check where "+url+" leads, a load balancer for one",
		takeAnew)
}

func pins(cas []*x509.Certificate, want []string) error {
	var got []string
	for _, ca := range cas {
		got = append(got, certs.Pin(ca))
	}
	return fmt.Errorf("its CA has the hash %s, not %s", strings.Join(got, ", "), strings.Join(want, ", "))
}

func unknownToken(url, id string, signers []string) *phases.Fault {
	why := errors.New("ConfigMap kube-public/cluster-info is signed for no token at all")
	fixes := []string{newToken}
	if len(signers) > 0 {
		why = fmt.Errorf("ConfigMap kube-public/cluster-info is signed for: %s", strings.Join(signers, ", "))
	} else {
		fixes = append(fixes, "if hactl token list shows the token, kube-controller-manager does not sign: look at its log")
	}
	return &phases.Fault{
		What: fmt.Sprintf("the cluster at %s has no token %q for joining: it has expired, was deleted, or was never there", url, id),
		Why:  why, Fixes: fixes,
	}
}

func badSignature(url, id string) *phases.Fault {
	return unsafe("what "+url+" tells of the cluster was changed, or the token is not the cluster's",
		fmt.Errorf("the signature for token %q does not fit the ConfigMap kube-public/cluster-info", id),
		"check that the token is whole: the part after the dot has 16 characters",
		takeAnew)
}

func changedBetween(url string) *phases.Fault {
	return unsafe("what "+url+" tells of the cluster is another thing once the connection is verified",
		errors.New("two readings of ConfigMap kube-public/cluster-info differ"),
		"run the same command again: the ConfigMap may have been changed just now",
		"if it stays so, somebody sits between this node and the cluster")
}

func badInfo(what string, why error) *phases.Fault {
	return &phases.Fault{
		What:  "ConfigMap kube-public/cluster-info " + what + ", so no node can join with a token",
		Why:   why,
		Fixes: []string{"make it on a control-plane node: hactl init phase bootstrap-token"},
	}
}
