package kubelet

import (
	"context"
	"errors"
	"fmt"
	"time"

	certificatesv1 "k8s.io/api/certificates/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/hactl/hactl/certs"
	"github.com/hactl/hactl/config"
	"github.com/hactl/hactl/phases"
	"github.com/hactl/hactl/phases/symptom"
	"github.com/hactl/hactl/phases/wait"
)

const (
	// hopeless is the number of ends during a wait after which the kubelet
	// is taken to be broken and not only early.
	hopeless = 2
	// patience is how long a certificate usually takes; after it, the
	// signing request is looked for, each interval once.
	patience = 3 * time.Second
	interval = 2 * time.Second
)

// crashed returns why the kubelet will not get in, nil if it still can.
func (w *watched) crashed(ctx context.Context) error {
	s, err := w.Host.Services().Status(ctx, config.KubeletUnit)
	if err != nil || !s.Failed {
		return nil
	}
	// The count begins anew when the unit is started by hand.
	ends := s.Restarts
	if s.Restarts >= w.restarts {
		ends -= w.restarts
	}
	if ends < hopeless {
		return nil
	}
	lines := symptom.Journal(ctx, w.Host, config.KubeletUnit)
	return &phases.Fault{
		What:  "the kubelet does not stay up",
		Why:   fmt.Errorf("%s ended again and again (%s)%s", config.KubeletUnit, s.Detail, symptom.Tail(lines)),
		Fixes: append(symptom.Hints(lines), "look at: journalctl -xeu kubelet", "then run the same command again: finished phases are kept"),
	}
}

// signing says what became of the kubelet's signing request, "" if that is
// not known or not interesting yet.
func (w *watched) signing(ctx context.Context) string {
	now := time.Now()
	if w.Join.API == nil || now.Sub(w.began) < patience {
		return ""
	}
	if now.Sub(w.asked) >= interval {
		w.asked = now
		w.request = w.describeRequest(ctx)
	}
	return w.request
}

func (w *watched) describeRequest(ctx context.Context) string {
	list := &certificatesv1.CertificateSigningRequestList{}
	if err := w.Join.API.List(ctx, list, "", ""); err != nil {
		return ""
	}
	var newest *certificatesv1.CertificateSigningRequest
	for i := range list.Items {
		r := &list.Items[i]
		if w.asksFor(r) && (newest == nil || newest.CreationTimestamp.Before(&r.CreationTimestamp)) {
			newest = r
		}
	}
	if newest == nil {
		return "the kubelet has not asked for a certificate"
	}
	return requestState(newest)
}

// asksFor says whether the request is for the client certificate of this
// node's kubelet.
func (w *watched) asksFor(r *certificatesv1.CertificateSigningRequest) bool {
	if r.Spec.SignerName != certificatesv1.KubeAPIServerClientKubeletSignerName {
		return false
	}
	parsed, err := certs.ParseRequest(r.Spec.Request)
	return err == nil && parsed.Subject.CommonName == "system:node:"+w.name()
}

func requestState(r *certificatesv1.CertificateSigningRequest) string {
	approved := false
	for _, c := range r.Status.Conditions {
		if c.Status == corev1.ConditionFalse {
			continue
		}
		switch c.Type {
		case certificatesv1.CertificateDenied:
			return "the signing request " + r.Name + " was denied"
		case certificatesv1.CertificateFailed:
			return "the signing request " + r.Name + " failed: " + c.Message
		case certificatesv1.CertificateApproved:
			approved = true
		}
	}
	switch {
	case !approved:
		return "the signing request " + r.Name + " is not approved"
	case len(r.Status.Certificate) == 0:
		return "the signing request " + r.Name + " is approved, but not signed"
	}
	return ""
}

// notApproved adds to a timeout what can be done about it.
func (w *watched) notApproved(ctx context.Context, err error) error {
	var timeout *wait.TimeoutError
	if !errors.As(err, &timeout) {
		return err
	}
	var why error
	if timeout.Last != "" {
		why = errors.New(timeout.Last + symptom.Tail(symptom.Journal(ctx, w.Host, config.KubeletUnit)))
	}
	return &phases.Fault{
		What: fmt.Sprintf("the kubelet got no certificate in %s", timeout.Limit),
		Why:  why,
		Fixes: append([]string{
			"look at the signing requests, on a control-plane node: kubectl get csr; approve with: kubectl certificate approve NAME",
			"if nobody approves or signs, make the rights anew: hactl init phase bootstrap-token; and look at kube-controller-manager's log",
			"look at: journalctl -xeu kubelet",
		}, timeout.Fix()...),
		Exit: phases.CodeTimeout,
	}
}
