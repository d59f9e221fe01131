package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"time"

	"github.com/hactl/hactl/config"
	"github.com/hactl/hactl/phases/joincommand"
)

// InitResult is what init leaves behind. In JSON it is an object with these
// fields; a secret is there only if it was not asked to be hidden, because
// showing how to join is what the result is for.
type InitResult struct {
	Node              string        `json:"node"`
	KubernetesVersion string        `json:"kubernetesVersion"`
	Endpoint          string        `json:"endpoint"`
	Kubeconfig        string        `json:"kubeconfig"`
	Certificates      []Certificate `json:"certificates,omitempty"`
	Join              *JoinResult   `json:"join,omitempty"`
	CertificateKey    string        `json:"certificateKey,omitempty"`
	// CertificatesExpire is when the uploaded certificates are deleted.
	CertificatesExpire *time.Time    `json:"uploadedCertificatesExpire,omitempty"`
	DryRun             *DryRunReport `json:"dryRun,omitempty"`

	only     bool // a phase ran alone
	external bool // the CA's key is not on this node
}

// Certificate is one file and when it expires.
type Certificate struct {
	Path    string    `json:"path"`
	Expires time.Time `json:"expires"`
}

// JoinResult tells other nodes how to join.
type JoinResult struct {
	Token        string `json:"token,omitempty"`
	CAHash       string `json:"caCertHash"`
	ControlPlane string `json:"controlPlaneCommand,omitempty"`
	Worker       string `json:"workerCommand,omitempty"`
}

// hiddenToken stands in commands whose token is not to be shown.
const hiddenToken = "<token>"

func (m *machine) result(ctx context.Context, in InitInput, s *Initial) (*InitResult, error) {
	c := in.Config
	r := &InitResult{
		Node: c.Node.Name, KubernetesVersion: c.Cluster.Version,
		Endpoint:   c.Endpoint().String(),
		Kubeconfig: path.Join(config.KubernetesDir, "admin.conf"),
		only:       len(in.Only) > 0,
	}
	if _, err := m.host.Stat(ctx, path.Join(c.Cluster.CertificatesDir, "ca.key")); errors.Is(err, fs.ErrNotExist) {
		r.external = true
	}
	r.DryRun = m.report()
	if s.join.Result.Worker != "" {
		r.Join = joinResult(s.join.Result, in.HideToken, in.HideKey)
	}
	if s.publish.Key != "" && in.UploadCerts {
		if !in.HideKey {
			r.CertificateKey = s.publish.Key.Reveal()
		}
		if !s.publish.Expires.IsZero() {
			r.CertificatesExpire = &s.publish.Expires
		}
	}
	if r.only {
		return r, nil
	}
	expiries, err := s.certificates(ctx)
	if err != nil {
		return nil, fmt.Errorf("list the certificates: %w", err)
	}
	r.Certificates = expiries
	return r, nil
}

func joinResult(c joincommand.Commands, hideToken, hideKey bool) *JoinResult {
	shown := c
	if hideToken {
		shown = shown.WithToken(hiddenToken)
	}
	if hideKey {
		shown = shown.WithKey("<certificate key>")
	}
	r := &JoinResult{CAHash: c.CAHash, ControlPlane: shown.ControlPlane.Reveal(), Worker: shown.Worker.Reveal()}
	if !hideToken {
		r.Token = c.Token.Reveal()
	}
	return r
}

// Text writes the result for people.
func (r *InitResult) Text(w io.Writer) error {
	p := &printer{w: w}
	if r.DryRun != nil {
		r.DryRun.text(p)
		return p.err
	}
	if !r.only {
		p.line("")
		p.line("The control plane of %s is up: %s, Kubernetes %s.", r.Endpoint, r.Node, r.KubernetesVersion)
		p.line("")
		p.line("Use the cluster:")
		p.line("  export KUBECONFIG=%s", r.Kubeconfig)
		p.line("  kubectl get nodes")
		p.line("")
		p.line("Pods need a pod network before they can run: apply the one of your choice.")
	}
	if r.only && r.CertificateKey != "" && r.Join == nil {
		p.line("certificate key: %s", r.CertificateKey)
	}
	r.joins(p)
	return p.err
}

func (r *InitResult) joins(p *printer) {
	if r.Join == nil {
		return
	}
	if r.Join.ControlPlane != "" {
		p.line("")
		p.line("Join a further control plane:")
		p.line("  %s", r.Join.ControlPlane)
		if r.CertificatesExpire != nil {
			p.line("  The uploaded certificates are deleted at %s. After that, upload them again:", r.CertificatesExpire.Local().Format(time.DateTime+" MST"))
			p.line("  hactl init phase upload-certs --upload-certs")
		} else if r.external {
			p.line("  First bring it its certificates from the external CA; this makes keys and signing requests there:")
			p.line("  hactl certs generate-csr --config FILE")
		} else {
			p.line("  First upload the certificates, and add the key that this prints as --certificate-key:")
			p.line("  hactl init phase upload-certs --upload-certs")
		}
	}
	p.line("")
	p.line("Join a worker:")
	p.line("  %s", r.Join.Worker)
}

// printer writes lines until one cannot be written.
type printer struct {
	w   io.Writer
	err error
}

func (p *printer) line(format string, args ...any) {
	if p.err == nil {
		_, p.err = fmt.Fprintf(p.w, format+"\n", args...)
	}
}
