package health

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"net/http/httptrace"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// endpointAnnotation is where an API server's pod says its own address
// (kubeadm v1.37, constants/constants.go).
const endpointAnnotation = "kubeadm.kubernetes.io/kube-apiserver.advertise-address.endpoint"

// Answer is what an API server said.
type Answer struct {
	// Status is that of HTTP.
	Status int
	// Date is the server's clock to a second, zero if it did not say.
	Date time.Time
}

// Ask gets /readyz from the API server at url, without credentials. Its
// certificate must be valid for the address and signed by one of ca (PEM).
// It uses no proxy and follows nothing.
func Ask(ctx context.Context, url string, ca []byte) (Answer, error) {
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(ca) {
		return Answer{}, errNoCA
	}
	transport := &http.Transport{
		TLSClientConfig:   &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
		DisableKeepAlives: true,
	}
	client := &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimSuffix(url, "/")+"/readyz", nil)
	if err != nil {
		return Answer{}, err
	}
	var secured atomic.Bool
	trace := &httptrace.ClientTrace{TLSHandshakeDone: func(_ tls.ConnectionState, err error) { secured.Store(err == nil) }}
	resp, err := client.Do(req.WithContext(httptrace.WithClientTrace(ctx, trace)))
	if err != nil && secured.Load() && errors.Is(err, context.DeadlineExceeded) {
		return Answer{}, errSilent
	}
	if err != nil {
		return Answer{}, err
	}
	defer resp.Body.Close()
	date, _ := http.ParseTime(resp.Header.Get("Date"))
	return Answer{Status: resp.StatusCode, Date: date}, nil
}

var (
	errNoCA = errors.New("this node has no CA of the cluster to check the certificate with")
	// errSilent is what a server does that waits for its etcd: two seconds
	// is the limit of its own check too (kube-apiserver v1.37,
	// --etcd-readycheck-timeout).
	errSilent = errors.New("the connection works, and /readyz does not answer: so it is while etcd does not")
)

// servers asks the endpoint and this node's API server at once, and the
// others as soon as their addresses are known.
func (t *Task) servers(ctx context.Context, n thisNode, pods *later[[]corev1.Pod]) APIServers {
	ca, _ := t.Files.ReadFile(ctx, n.certDir+"/ca.crt")
	var group sync.WaitGroup
	own := slices.DeleteFunc([]APIServer{{URL: n.endpoint}, {Name: t.Node, URL: n.server}}, func(s APIServer) bool { return s.URL == "" })
	for i := range own {
		group.Go(func() { t.reach(ctx, &own[i], ca) })
	}
	list, err := pods.wait(ctx)
	peers := peers(list, n.server)
	for i := range peers {
		group.Go(func() { t.reach(ctx, &peers[i], ca) })
	}
	group.Wait()
	all := append(own, peers...)
	slices.SortFunc(all, func(a, b APIServer) int { return strings.Compare(a.Name, b.Name) })
	return APIServers{Error: noPods(err), Items: all}
}

// peers are the API servers of the pods, without the one at own.
func peers(pods []corev1.Pod, own string) []APIServer {
	var list []APIServer
	for _, p := range pods {
		url := "https://" + p.Annotations[endpointAnnotation]
		if p.Labels["component"] == apiServerPod && p.Annotations[endpointAnnotation] != "" && url != own {
			list = append(list, APIServer{Name: p.Spec.NodeName, URL: url})
		}
	}
	return list
}

// reach asks one server and fills in what came of it.
func (t *Task) reach(ctx context.Context, s *APIServer, ca []byte) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	asked := t.Ask
	if asked == nil {
		asked = Ask
	}
	began := t.Now()
	answer, err := asked(ctx, s.URL, ca)
	took := t.Now().Sub(began)
	if err != nil {
		s.State, s.Detail = classify(err), err.Error()
		return
	}
	s.State = OK
	switch {
	case answer.Status == http.StatusUnauthorized || answer.Status == http.StatusForbidden:
		// It answers, and lets nobody ask without credentials.
	case answer.Status != http.StatusOK:
		s.State, s.Detail = NotReady, fmt.Sprintf("/readyz answers %d %s", answer.Status, http.StatusText(answer.Status))
	}
	if !answer.Date.IsZero() {
		skew := skew(answer.Date, began.Add(took/2))
		s.SkewSeconds = &skew
	}
}

// skew is in whole seconds. A Date header is cut to the second, so that
// clocks that agree are seen up to one second behind.
func skew(date, now time.Time) int {
	return int(math.Round((date.Sub(now.Truncate(time.Second))).Seconds()))
}

// classify says what an error of the network means.
func classify(err error) Reach {
	var authority x509.UnknownAuthorityError
	var name x509.HostnameError
	var invalid x509.CertificateInvalidError
	var network net.Error
	switch {
	case errors.Is(err, errSilent):
		return NotReady
	case errors.As(err, &authority):
		return OtherCA
	case errors.As(err, &name):
		return OtherName
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return OutOfDate
	case errors.As(err, &invalid):
		return OtherCA
	case errors.Is(err, syscall.ECONNREFUSED):
		return Refused
	case errors.Is(err, io.EOF), errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return Closed
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &network) && network.Timeout():
		return Timeout
	}
	return Unreachable
}
