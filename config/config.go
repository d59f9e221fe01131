// Package config holds the internal model of what users can configure:
// parsed values, defaults, derived values and validation. It reads no file
// and no network; the wire formats are in config/kubeadm.
package config

import (
	"net/netip"
	"time"

	kubeproxy "k8s.io/kube-proxy/config/v1alpha1"
	kubelet "k8s.io/kubelet/config/v1beta1"

	corev1 "k8s.io/api/core/v1"
)

// Init is all that `hactl init` works from.
type Init struct {
	Cluster        Cluster
	Node           Node
	Local          Endpoint // where this node's API server listens
	Tokens         []Token
	CertificateKey Secret // 64 hex digits, or "" to make one
	SkipPhases     []string
	PatchesDir     string
	DryRun         bool
	Timeouts       Timeouts

	// Networks are those that this machine is in, set by Resolve and known
	// to no file.
	Networks []netip.Prefix
}

// NewInit returns an Init with what a file that says nothing gives: images
// are pulled one by one.
func NewInit() *Init { return &Init{Node: Node{PullSerial: true}} }

// Cluster is what all nodes share; it is kept in the cluster as ConfigMap
// kube-system/kubeadm-config.
type Cluster struct {
	Version              string // "v1.37.1", or a label such as "stable-1"
	Name                 string
	ControlPlaneEndpoint HostPort // zero: the first node's own address
	Networking           Networking
	Etcd                 Etcd
	APIServer            Component
	APIServerSANs        []string
	ControllerManager    Component
	Scheduler            Component
	DNS                  DNS
	ProxyDisabled        bool
	CertificatesDir      string
	ImageRepository      string
	FeatureGates         map[string]bool
	EncryptionAlgorithm  string // "RSA-2048", …
	CertificateValidity  time.Duration
	CAValidity           time.Duration

	// Kubelet and KubeProxy are the component configurations that go into
	// the cluster; the fields that are not set get defaults. Given says that
	// they come from the user.
	Kubelet        kubelet.KubeletConfiguration
	KubeletGiven   bool
	KubeProxy      kubeproxy.KubeProxyConfiguration
	KubeProxyGiven bool

	// LoadBalancer is nil where others balance in front of the control
	// planes. Kubeadm does not know it.
	LoadBalancer *LoadBalancer
}

// Endpoint is an address that this node listens at.
type Endpoint struct {
	Address netip.Addr // invalid until Resolve
	Port    uint16
}

// String is "10.0.0.1:6443".
func (e Endpoint) String() string { return netip.AddrPortFrom(e.Address, e.Port).String() }

// URL is "https://10.0.0.1:6443".
func (e Endpoint) URL() string { return "https://" + e.String() }

// Networking is the cluster's networks.
type Networking struct {
	ServiceSubnets []netip.Prefix // one, or one of each family
	PodSubnets     []netip.Prefix // none, one, or one of each family
	DNSDomain      string
}

// Etcd is either local (stacked) or external.
type Etcd struct {
	Local    *LocalEtcd
	External *ExternalEtcd
}

// LocalEtcd is the member that runs on each control-plane node.
type LocalEtcd struct {
	ImageRepository, ImageTag    string
	DataDir                      string
	ExtraArgs                    []Arg
	ExtraEnvs                    []corev1.EnvVar
	ServerCertSANs, PeerCertSANs []string
}

// ExternalEtcd is an etcd cluster that hactl does not run.
type ExternalEtcd struct {
	Endpoints, HTTPEndpoints  []string
	CAFile, CertFile, KeyFile string
}

// Component is what users can add to a control-plane component.
type Component struct {
	ExtraArgs    []Arg
	ExtraVolumes []HostPathMount
	ExtraEnvs    []corev1.EnvVar
}

// Arg is one flag of a component; a name may come more than once.
type Arg struct {
	Name, Value string
	Merge       ArgMerge
}

// ArgMerge is what becomes of the flag of the same name that hactl sets
// itself (kubeadm.k8s.io/v1). With MergeAppend and MergePrepend the value is
// written behind or before that flag's value, as it stands, and the argument
// is not used if hactl sets no such flag.
type ArgMerge string

// The ways to merge.
const (
	MergeReplace ArgMerge = ""
	MergeAppend  ArgMerge = "append"
	MergePrepend ArgMerge = "prepend"
)

// HostPathMount is a file or directory of the node that a component sees.
type HostPathMount struct {
	Name, HostPath, MountPath string
	ReadOnly                  bool
	PathType                  corev1.HostPathType
}

// DNS is the CoreDNS addon.
type DNS struct {
	ImageRepository, ImageTag string
	Disabled                  bool
}

// Node is this node as the cluster sees it.
type Node struct {
	Name string
	// Hostname is the machine's own name; the kubelet is told the node name
	// only where the two differ.
	Hostname        string
	CRISocket       string // "unix:///…"
	Taints          []corev1.Taint
	KubeletArgs     []Arg
	IgnorePreflight []string
	PullPolicy      corev1.PullPolicy
	PullSerial      bool
}

// Token is a bootstrap token.
type Token struct {
	Value       Secret // "abcdef.0123456789abcdef"
	Description string
	TTL         time.Duration // zero: never expires
	Expires     time.Time     // used instead of TTL if not zero
	Usages      []string
	Groups      []string
}

// Timeouts are the longest waits.
type Timeouts struct {
	ControlPlane     time.Duration // controlPlaneComponentHealthCheck
	Kubelet          time.Duration // kubeletHealthCheck
	KubernetesAPI    time.Duration // kubernetesAPICall
	Etcd             time.Duration // etcdAPICall
	TLSBootstrap     time.Duration
	Discovery        time.Duration
	UpgradeManifests time.Duration
}
