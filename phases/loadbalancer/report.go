package loadbalancer

import (
	"slices"
	"time"

	"github.com/hactl/hactl/phases"
)

// Answer is what a check found, in one word for programs.
type Answer string

// The answers.
const (
	// Good says that everything asked for is right.
	Good Answer = "good"
	// Refused says that nothing listens: right before init, wrong after it.
	Refused Answer = "refused"
	// NothingBehind says that a balancer listens, and has no API server to
	// pass connections on to: right before init, wrong after it.
	NothingBehind Answer = "nothing-behind"
	// Timeout says that connections come to no end: the balancer cannot
	// reach its nodes, or a filter swallows the packets.
	Timeout Answer = "timeout"
	// Unreachable says that no connection came about for another reason.
	Unreachable Answer = "unreachable"
	// NoAPIServer says that something else answers than an API server.
	NoAPIServer Answer = "no-api-server"
	// OtherCA says that the API server of another cluster answers.
	OtherCA Answer = "other-ca"
	// Expired says that a certificate is not valid now.
	Expired Answer = "expired"
	// NameMissing says that a certificate is not valid for the address.
	NameMissing Answer = "name-missing"
	// NotReady says that an API server answers that is not ready.
	NotReady Answer = "not-ready"
	// BackendMissing says that an API server answers by itself and gets no
	// connections through the address.
	BackendMissing Answer = "backend-missing"
	// SlowFailover says that clients were cut off for too long.
	SlowFailover Answer = "slow-failover"

	// The rest are warnings.

	// BackendDown says that an API server answers neither way.
	BackendDown Answer = "backend-down"
	// SingleBalancer says that nothing shows that a second balancer would
	// take over.
	SingleBalancer Answer = "single-balancer"
	// Unverified says that no CA was at hand to compare with.
	Unverified Answer = "unverified"
)

// Code is the exit code of an answer: zero for what needs nothing.
func (a Answer) Code() phases.Code {
	switch a {
	case Good, BackendDown, SingleBalancer, Unverified:
		return 0
	case Refused, NothingBehind:
		return phases.CodePreflight
	case Timeout:
		return phases.CodeTimeout
	case OtherCA:
		return phases.CodeUnsafe
	}
	return phases.CodeFailed
}

// Finding is one thing that a person should look at.
type Finding struct {
	Answer Answer   `json:"answer"`
	What   string   `json:"what"`
	Why    string   `json:"why,omitempty"`
	Fix    []string `json:"fix,omitempty"`
}

// Backend is one API server, seen through the address.
type Backend struct {
	Name    string `json:"name"`
	Address string `json:"address,omitempty"`
	// Connections is how many of those that were made ended there.
	Connections int `json:"connections"`
}

// Gap is how long clients were cut off while failover was measured.
type Gap struct {
	Seconds float64       `json:"seconds"` // the longest one, 0 for none
	Tries   int           `json:"tries"`
	Failed  int           `json:"failed"`
	Watched time.Duration `json:"-"`
	// Open says that it had not ended when the measurement ended.
	Open bool `json:"open,omitempty"`
}

// Report is what a check found.
type Report struct {
	Address string `json:"address"`
	// Addresses are those that the name leads to.
	Addresses []string `json:"addresses,omitempty"`
	// Answer is the first problem's, or Good.
	Answer   Answer    `json:"answer"`
	Problems []Finding `json:"problems,omitempty"`
	Warnings []Finding `json:"warnings,omitempty"`
	Backends []Backend `json:"backends,omitempty"`
	Failover *Gap      `json:"failover,omitempty"`
}

// Code is the exit code of the report: that of the first problem.
func (r *Report) Code() phases.Code { return r.Answer.Code() }

// add files a finding once: the same thing may be found at each connection.
func (r *Report) add(f Finding) {
	list := &r.Problems
	if f.Answer.Code() == 0 {
		list = &r.Warnings
	}
	for _, have := range *list {
		if have.Answer == f.Answer && have.What == f.What {
			return
		}
	}
	*list = append(*list, f)
}

func rank(a Answer) int {
	if a == OtherCA {
		return 0
	}
	return 1
}

// close sets the answer. What explains the rest comes first: nothing can be
// said of another cluster's names.
func (r *Report) close() {
	slices.SortStableFunc(r.Problems, func(a, b Finding) int {
		return rank(a.Answer) - rank(b.Answer)
	})
	r.Answer = Good
	if len(r.Problems) > 0 {
		r.Answer = r.Problems[0].Answer
	}
}
