package discovery

import (
	"fmt"
	"net/http"
	"time"

	"github.com/hactl/hactl/phases"
)

const (
	// skewError is by how much new certificates are backdated (kubeadm
	// v1.37, util/pkiutil): beyond it, one side takes the other's for not
	// valid yet.
	skewError   = 5 * time.Minute
	skewWarning = time.Minute
)

// skew is how far the clock that wrote the Date header is ahead of ours; zero
// if there is no such header. The header has whole seconds only.
func skew(date string, sent, received time.Time) time.Duration {
	theirs, err := http.ParseTime(date)
	if err != nil {
		return 0
	}
	ours := sent.Add(received.Sub(sent) / 2)
	return theirs.Add(500 * time.Millisecond).Sub(ours).Truncate(time.Second)
}

func skewText(s time.Duration) string {
	if s > 0 {
		return fmt.Sprintf("this node's clock is %s behind the cluster's", s)
	}
	return fmt.Sprintf("this node's clock is %s ahead of the cluster's", -s)
}

// tooSkewed is the refusal of a clock with which no certificate works.
func tooSkewed(a *answer) error {
	if a == nil || a.skew.Abs() <= skewError {
		return nil
	}
	return &phases.Fault{
		What: skewText(a.skew),
		Why:  fmt.Errorf("certificates are valid from %s before they are made: with more between the clocks, one side takes those of the other for not valid yet", skewError),
		Fixes: []string{
			"set the clock: timedatectl set-ntp true, or chronyc makestep",
			"compare with a control-plane node: date -u",
		},
		Exit: phases.CodePreflight,
	}
}
