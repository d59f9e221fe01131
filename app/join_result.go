package app

import (
	"context"
	"io"
	"path"

	"github.com/hactl/hactl/config"
	"github.com/hactl/hactl/phases/pki"
)

// Joined is what join leaves behind. In JSON it is an object with these
// fields. It holds no secrets.
type Joined struct {
	Node              string        `json:"node"`
	ControlPlane      bool          `json:"controlPlane"`
	KubernetesVersion string        `json:"kubernetesVersion"`
	Endpoint          string        `json:"endpoint"`
	Kubeconfig        string        `json:"kubeconfig,omitempty"`
	Certificates      []Certificate `json:"certificates,omitempty"`
	DryRun            *DryRunReport `json:"dryRun,omitempty"`

	only bool // a phase ran alone
}

func (j *joiner) result(ctx context.Context, s *Joining) (*Joined, error) {
	c := j.settled
	r := &Joined{
		Node: c.Node.Name, KubernetesVersion: c.Cluster.Version, ControlPlane: j.in.Config.ControlPlane != nil,
		Endpoint: c.Endpoint().String(), DryRun: j.report(), only: len(j.in.Only) > 0,
	}
	if r.DryRun != nil {
		r.DryRun.Objects = append(r.DryRun.Objects, memberChanges(j.members)...)
	}
	if !r.ControlPlane {
		return r, nil
	}
	r.Kubeconfig = path.Join(config.KubernetesDir, "admin.conf")
	if r.only {
		return r, nil
	}
	list, err := pki.Expiry(ctx, &s.pki)
	if err != nil {
		return nil, err
	}
	for _, c := range list {
		r.Certificates = append(r.Certificates, Certificate{Path: c.Path, Expires: c.NotAfter})
	}
	return r, nil
}

// Text writes the result for people.
func (r *Joined) Text(w io.Writer) error {
	p := &printer{w: w}
	switch {
	case r.DryRun != nil:
		r.DryRun.text(p)
	case r.only:
	case r.ControlPlane:
		p.line("")
		p.line("%s is a control plane of %s.", r.Node, r.Endpoint)
		p.line("")
		p.line("See the cluster:")
		p.line("  hactl status")
		p.line("  kubectl --kubeconfig %s get nodes", r.Kubeconfig)
	default:
		p.line("")
		p.line("%s is a worker of %s. See it on a control-plane node:", r.Node, r.Endpoint)
		p.line("  kubectl get nodes")
	}
	return p.err
}
