// Package health gathers what can be known of a cluster from one
// control-plane node, and says what of it needs attention. It changes
// nothing, and what cannot be asked costs the others nothing: every source
// has its own limit, and all are asked at the same time.
package health

import "time"

// Report is the state of a cluster at one moment. A part that could not be
// had is empty, and its Error says why. Nothing in it is secret.
type Report struct {
	// At is this node's clock when the report was begun.
	At time.Time `json:"at"`
	// Node is the name of this node.
	Node string `json:"node"`
	// Endpoint is the URL that this node's administrator uses.
	Endpoint     string       `json:"endpoint,omitempty"`
	Nodes        Nodes        `json:"nodes"`
	Etcd         Etcd         `json:"etcd"`
	APIServers   APIServers   `json:"apiServers"`
	Certificates Certificates `json:"certificates"`
	Tokens       Tokens       `json:"bootstrapTokens"`
	Uploaded     Uploaded     `json:"uploadedCertificates"`
}

// Nodes are the cluster's nodes, control planes first, by name.
type Nodes struct {
	Error string `json:"error,omitempty"`
	Items []Node `json:"items"`
}

// Node is one node as the API server knows it.
type Node struct {
	Name string `json:"name"`
	// Roles are those of the node's labels; a worker has none.
	Roles []string `json:"roles"`
	Ready bool     `json:"ready"`
	// Reason says why the node is not ready.
	Reason string `json:"reason,omitempty"`
	// Version is the kubelet's.
	Version string `json:"version"`
	// Address is the first internal one.
	Address string `json:"address,omitempty"`
}

// ControlPlane says whether the node has that role.
func (n Node) ControlPlane() bool {
	for _, r := range n.Roles {
		if r == controlPlane {
			return true
		}
	}
	return false
}

const controlPlane = "control-plane"

// Etcd is the etcd cluster.
type Etcd struct {
	Error string `json:"error,omitempty"`
	// External says that other machines run it than the control planes.
	External bool     `json:"external"`
	Members  []Member `json:"members"`
	// Voters is how many members have a vote, and Answering how many of
	// those answered.
	Voters    int `json:"voters"`
	Answering int `json:"answering"`
	// Quorum is how many voters must agree, Tolerance how many of all of
	// them may fail, and MayFail how many more of those that answer; it is
	// negative without a quorum.
	Quorum    int `json:"quorum"`
	Tolerance int `json:"tolerance"`
	MayFail   int `json:"mayFail"`
}

// The roles of members.
const (
	Leader   = "leader"
	Follower = "follower"
	Learner  = "learner"
)

// Member is one etcd member. What it says of itself is missing if it does
// not answer.
type Member struct {
	// ID is hexadecimal, as etcdctl shows it.
	ID string `json:"id"`
	// Name is empty until the member has started for the first time.
	Name string `json:"name,omitempty"`
	// Role is "leader", "follower" or "learner", and for a voter that does
	// not answer, empty.
	Role string `json:"role,omitempty"`
	// Address is the host of the first peer URL.
	Address string `json:"address"`
	Version string `json:"version,omitempty"`
	// Lag is how many raft entries the member is behind the leader.
	Lag uint64 `json:"lag"`
	// Size is that of the database file in bytes, InUse the part in use.
	Size  int64 `json:"sizeBytes"`
	InUse int64 `json:"inUseBytes"`
	// Alarms are etcd's own: NOSPACE, CORRUPT.
	Alarms []string `json:"alarms,omitempty"`
	// Error says why the member does not answer.
	Error string `json:"error,omitempty"`
}

// Title names the member for people, also one that has never started.
func (m Member) Title() string {
	if m.Name != "" {
		return m.Name
	}
	return m.Address
}

// APIServers are the control-plane endpoint and each API server by its own
// address.
type APIServers struct {
	// Error says why not all API servers are known.
	Error string      `json:"error,omitempty"`
	Items []APIServer `json:"items"`
}

// Reach is how an attempt to ask an API server ended.
type Reach string

// The ways it may end. All but OK need attention.
const (
	OK          Reach = "ok"
	NotReady    Reach = "not ready"   // it answers, and says so
	Refused     Reach = "refused"     // nothing listens there
	Timeout     Reach = "timeout"     // no packet comes back
	Closed      Reach = "closed"      // accepted and hung up: a load balancer without backends
	OtherCA     Reach = "other CA"    // the certificate is not of this cluster
	OtherName   Reach = "other name"  // the certificate does not cover the address
	OutOfDate   Reach = "out of date" // the certificate is not valid now
	Unreachable Reach = "unreachable" // no route, no such name, no TLS
)

// APIServer is one way to an API server.
type APIServer struct {
	// Name is the node's; "" for the control-plane endpoint.
	Name string `json:"name,omitempty"`
	// URL is "https://10.0.0.11:6443".
	URL   string `json:"url"`
	State Reach  `json:"state"`
	// Detail is the error, if there is one.
	Detail string `json:"detail,omitempty"`
	// SkewSeconds is how far the server's clock is ahead of this node's, to
	// a second; nil if the server did not say.
	SkewSeconds *int `json:"clockSkewSeconds,omitempty"`
}

// Title names the server for people.
func (s APIServer) Title() string {
	if s.Name == "" {
		return "endpoint"
	}
	return s.Name
}

// Certificates are those of this node, in the order of their end.
type Certificates struct {
	Error string        `json:"error,omitempty"`
	Items []Certificate `json:"items"`
}

// Certificate is one certificate of this node.
type Certificate struct {
	// Name is the file's, in its directory and without its ending:
	// "etcd/server", "admin.conf", "kubelet-client".
	Name string `json:"name"`
	Path string `json:"path"`
	// Begins and Expires are the ends of the validity, nil if the file
	// cannot be read.
	Begins  *time.Time `json:"begins,omitempty"`
	Expires *time.Time `json:"expires,omitempty"`
	// Authority says that it is the certificate of a CA.
	Authority bool   `json:"authority"`
	Error     string `json:"error,omitempty"`
}

// Tokens are the bootstrap tokens, by ID.
type Tokens struct {
	Error string  `json:"error,omitempty"`
	Items []Token `json:"items"`
}

// Token is a bootstrap token without its secret.
type Token struct {
	ID          string `json:"id"`
	Description string `json:"description,omitempty"`
	// Expires is nil for a token that never does.
	Expires *time.Time `json:"expires,omitempty"`
	Usages  []string   `json:"usages"`
}

// Uploaded is Secret kube-system/kubeadm-certs.
type Uploaded struct {
	Error string `json:"error,omitempty"`
	// There says that certificates are uploaded.
	There bool `json:"there"`
	// Expires is when they go away, nil if that is not known.
	Expires *time.Time `json:"expires,omitempty"`
}
