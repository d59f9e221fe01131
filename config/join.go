package config

import (
	"net/url"
	"path"

	corev1 "k8s.io/api/core/v1"
)

// JoinNode is all that `hactl join` works from.
type JoinNode struct {
	Node         Node
	CACertPath   string
	Discovery    Discovery
	ControlPlane *JoinControlPlane // nil: the node joins as a worker
	SkipPhases   []string
	PatchesDir   string
	DryRun       bool
	Timeouts     Timeouts
	// LoadBalancer is what this node is told of it, nil for nothing: what is
	// not set is the cluster's.
	LoadBalancer *LoadBalancer
}

// JoinControlPlane is what a node needs to join as a control plane.
type JoinControlPlane struct {
	Local          Endpoint
	CertificateKey Secret // "": the shared certificates are on the node already
}

// Discovery is how a node finds the cluster and knows that it is the right
// one: either Token or File.
type Discovery struct {
	Token *TokenDiscovery
	File  *FileDiscovery
	// TLSBootstrapToken is the token that the kubelet bootstraps with; by
	// default, the one of Token.
	TLSBootstrapToken Secret
}

// TokenDiscovery finds the cluster with a bootstrap token.
type TokenDiscovery struct {
	Token                    Secret
	Endpoint                 HostPort
	CACertHashes             []string // "sha256:…"
	UnsafeSkipCAVerification bool     // take the CA of whoever answers
}

// FileDiscovery finds the cluster with a kubeconfig.
type FileDiscovery struct {
	Kubeconfig string // a path or an https URL
}

// NewJoin returns a JoinNode with what a file that says nothing gives.
func NewJoin() *JoinNode { return &JoinNode{Node: Node{PullSerial: true}} }

// Default sets every field that is not given and does not depend on this
// machine (kubeadm v1.37, apis/kubeadm/v1beta4/defaults.go).
func (j *JoinNode) Default() {
	j.Node.Default()
	j.Timeouts.Default()
	set(&j.CACertPath, path.Join(DefaultCertsDir, "ca.crt"))
	if j.ControlPlane != nil {
		set(&j.ControlPlane.Local.Port, DefaultBindPort)
		if j.Node.Taints == nil {
			j.Node.Taints = []corev1.Taint{{Key: ControlPlaneRole, Effect: corev1.TaintEffectNoSchedule}}
		}
	}
	if t := j.Discovery.Token; t != nil {
		set(&j.Discovery.TLSBootstrapToken, t.Token)
	}
	if f := j.Discovery.File; f != nil {
		if u, err := url.Parse(f.Kubeconfig); err == nil && u.Scheme == "file" {
			f.Kubeconfig = u.Path
		}
	}
}

// Resolve sets what depends on this machine and is not given.
func (j *JoinNode) Resolve(f Facts) {
	j.Node.resolve(f)
	if j.ControlPlane != nil {
		j.ControlPlane.Local.resolve(f)
	}
}

// Reset is all that `hactl reset` works from.
type Reset struct {
	CleanupTmpDir   bool
	CertificatesDir string
	CRISocket       string
	DryRun, Force   bool
	IgnorePreflight []string
	SkipPhases      []string
	UnmountFlags    []string // "MNT_FORCE", …
	Timeouts        Timeouts
}

// Default sets what is not given.
func (r *Reset) Default() {
	set(&r.CertificatesDir, DefaultCertsDir)
	r.CRISocket = socketURL(r.CRISocket)
	r.Timeouts.Default()
}

// Resolve sets what depends on this machine and is not given.
func (r *Reset) Resolve(f Facts) { set(&r.CRISocket, f.CRISocket) }

// Upgrade is all that the `hactl upgrade` commands work from.
type Upgrade struct {
	Apply    UpgradeApply
	Diff     UpgradeDiff
	Node     UpgradeNode
	Plan     UpgradePlan
	Timeouts Timeouts
}

// UpgradeApply is for `upgrade apply`.
type UpgradeApply struct {
	Version           string
	AllowExperimental bool
	AllowRC           bool
	RenewCertificates bool
	DryRun            bool
	Etcd              bool // upgrade etcd too
	Force             bool
	IgnorePreflight   []string
	PatchesDir        string
	PrintConfig       bool
	SkipPhases        []string
	PullPolicy        corev1.PullPolicy
	PullSerial        bool
}

// UpgradeDiff is for `upgrade diff`.
type UpgradeDiff struct {
	Version      string
	ContextLines int // zero: the flag's
}

// UpgradeNode is for `upgrade node`.
type UpgradeNode struct {
	RenewCertificates bool
	DryRun            bool
	Etcd              bool
	IgnorePreflight   []string
	SkipPhases        []string
	PatchesDir        string
	PullPolicy        corev1.PullPolicy
	PullSerial        bool
}

// UpgradePlan is for `upgrade plan`.
type UpgradePlan struct {
	Version           string
	AllowExperimental bool
	AllowRC           bool
	DryRun            bool
	Etcd              bool
	IgnorePreflight   []string
	PrintConfig       bool
}

// NewUpgrade returns an Upgrade with what a file that says nothing gives:
// certificates are renewed, etcd is upgraded, images are pulled one by one.
func NewUpgrade() *Upgrade {
	return &Upgrade{
		Apply: UpgradeApply{RenewCertificates: true, Etcd: true, PullSerial: true},
		Node:  UpgradeNode{RenewCertificates: true, Etcd: true, PullSerial: true},
		Plan:  UpgradePlan{Etcd: true},
	}
}

// Default sets what is not given.
func (u *Upgrade) Default() {
	set(&u.Apply.PullPolicy, corev1.PullIfNotPresent)
	set(&u.Node.PullPolicy, corev1.PullIfNotPresent)
	u.Timeouts.Default()
}
