package etcd

import (
	"fmt"
	"strings"
)

// Describe names members for people, "" if there are none.
func Describe(members ...Member) string {
	var list []string
	for _, m := range members {
		at := strings.Join(m.PeerURLs, ", ")
		if m.Name == "" {
			list = append(list, fmt.Sprintf("the learner at %s that has never started", at))
		} else {
			list = append(list, fmt.Sprintf("%s at %s", m.Name, at))
		}
	}
	return strings.Join(list, "; ")
}

// DescribeChange tells people what another number of voting members is worth.
func DescribeChange(before, after int) string {
	return fmt.Sprintf("etcd: %d → %d voting members, tolerates %d → %d failures",
		before, after, Tolerance(before), Tolerance(after))
}
