package preflight

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/hactl/hactl/phases"
)

// allChecks is the word for every check. It stands alone.
const allChecks = "all"

// others are names that no check of this run may have, most of them
// kubeadm's: a script that sets them for join or upgrade as well makes no
// mistake
// (kubeadm v1.37 cmd/kubeadm/app/preflight and phases/upgrade).
func others() []string {
	return []string{
		"FileAvailable--etc-kubernetes-kubelet.conf",
		"FileAvailable--etc-kubernetes-bootstrap-kubelet.conf",
		"FileAvailable--etc-kubernetes-pki-ca.crt",
		"FileContent--proc-sys-net-ipv4-ip_forward",
		"FileContent--proc-sys-net-ipv6-conf-default-forwarding",
		"FileContent--proc-sys-net-bridge-bridge-nf-call-iptables",
		"FileExisting-conntrack", "FileExisting-crictl", "FileExisting-tc", "FileExisting-ethtool",
		"FileExisting-ip", "FileExisting-iptables", "FileExisting-socat", "FileExisting-touch",
		"DirAvailable--var-lib-etcd", "Port-2379", "Port-2380",
		"ExternalEtcdVersion", "ExternalEtcdClientCertificates",
		"HTTPProxyCIDR", "CoreDNSUnsupportedPlugins", "CoreDNSMigration", "CreateJob",
		"ControlPlaneNodesReady", "StaticPodManifest", "ControlPlaneEndpoint", imagePull,
		"SystemVerification", "Swap", // of nodes, not of hosts that run etcd only
		"LoadBalancer", // hactl's own, of init only
	}
}

// ignore holds names of checks in lower case.
type ignore []string

// newIgnore refuses "all" beside other names.
func newIgnore(names []string) (ignore, error) {
	var i ignore
	for _, n := range names {
		if n = strings.ToLower(strings.TrimSpace(n)); n != "" {
			i = append(i, n)
		}
	}
	if slices.Contains(i, allChecks) && len(i) > 1 {
		return nil, &phases.Fault{
			What:  `"all" stands for every preflight check, so nothing else can stand beside it`,
			Fixes: []string{"--ignore-preflight-errors=all, or only the names of checks"},
			Exit:  phases.CodeUsage,
		}
	}
	return i, nil
}

func (i ignore) has(check string) bool {
	return slices.Contains(i, allChecks) || slices.Contains(i, strings.ToLower(check))
}

// warnUnknown warns of names that are no check.
func (i ignore) warnUnknown(ctx context.Context, checks []Check) {
	known := others()
	for _, c := range checks {
		known = append(known, c.Name)
	}
	for _, typed := range i {
		if typed == allChecks || slices.ContainsFunc(known, func(k string) bool { return strings.EqualFold(k, typed) }) {
			continue
		}
		text := fmt.Sprintf("there is no preflight check %q to ignore", typed)
		if near := nearest(typed, known); near != "" {
			text += fmt.Sprintf("; did you mean %s?", near)
		}
		phases.Warn(ctx, text)
	}
}

// nearest returns the known name that a few keystrokes make of typed, or "".
func nearest(typed string, known []string) string {
	best, least := "", len(typed)/3+1
	for _, k := range known {
		if d := distance(typed, strings.ToLower(k)); d < least {
			best, least = k, d
		}
	}
	return best
}

// distance is the edit distance of Levenshtein.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := diagonal
			if a[i] != b[j] {
				change++
			}
			diagonal = row[j+1]
			row[j+1] = min(change, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
