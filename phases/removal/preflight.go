package removal

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/hactl/hactl/config"
	"github.com/hactl/hactl/etcd"
	"github.com/hactl/hactl/phases"
)

// preflight learns what the other phases need and refuses what is unsafe,
// before anything is changed.
func preflight(ctx context.Context, t *Task) error {
	if slices.Contains(t.Here, t.Name) {
		return t.isHere()
	}
	node, nodes, err := t.look(ctx)
	if err != nil {
		return err
	}
	report, err := t.health(ctx)
	if err != nil {
		return err
	}
	own := t.own(report.Members)
	if node == nil && len(own) == 0 {
		leases, err := t.leases(ctx)
		if err != nil {
			return err
		}
		if len(leases) == 0 { // else an earlier run was interrupted
			return t.unknown(nodes, report)
		}
	}
	voters, _ := report.Voters()
	t.Result.Members, t.Result.VotersBefore, t.Result.VotersAfter = own, voters, voters
	t.Result.Worker = node != nil && len(own) == 0 && !isControlPlane(node)
	for _, m := range own {
		if slices.ContainsFunc(m.PeerURLs, func(u string) bool { return slices.Contains(t.Here, etcd.HostOf(u)) }) {
			return t.isHere()
		}
	}
	if err := t.mayRemove(report, own); err != nil {
		return err
	}
	return t.alive(ctx, node, own)
}

// look returns the node, nil if there is none, and the names of all, and
// remembers the addresses.
func (t *Task) look(ctx context.Context) (*corev1.Node, []string, error) {
	list := &corev1.NodeList{}
	if err := t.call(ctx, "the list of nodes", func(ctx context.Context) error { return t.API.List(ctx, list, "", "") }); err != nil {
		return nil, nil, err
	}
	var node *corev1.Node
	var names []string
	t.Result.others, t.Result.addresses, t.Result.shared = map[string]bool{}, nil, false
	for i := range list.Items {
		n := &list.Items[i]
		names = append(names, n.Name)
		if n.Name == t.Name {
			node, t.Result.addresses = n, addresses(n)
		} else {
			t.Result.others[n.Name] = true
		}
	}
	for i := range list.Items {
		if n := &list.Items[i]; n.Name != t.Name && slices.ContainsFunc(addresses(n), func(a string) bool { return slices.Contains(t.Result.addresses, a) }) {
			t.Result.shared = true
		}
	}
	return node, names, nil
}

func addresses(n *corev1.Node) []string {
	var list []string
	for _, a := range n.Status.Addresses {
		if a.Type == corev1.NodeInternalIP {
			list = append(list, canonical(a.Address))
		}
	}
	return list
}

func isControlPlane(n *corev1.Node) bool {
	_, ok := n.Labels[config.ControlPlaneRole]
	return ok
}

// health is empty if etcd is external.
func (t *Task) health(ctx context.Context) (etcd.Report, error) {
	if t.Etcd == nil {
		return etcd.Report{}, nil
	}
	r, err := t.Etcd.Health(ctx)
	if err != nil {
		return r, &phases.Fault{
			What: "etcd cannot be asked for its members", Why: err,
			Fixes: []string{"run this on a control-plane node whose etcd runs: crictl ps -a --name etcd"},
		}
	}
	return r, nil
}

// CheckQuorum refuses an etcd that cannot change anything.
func CheckQuorum(r etcd.Report) error {
	voters, healthy := r.Voters()
	if healthy >= etcd.Quorum(voters) {
		return nil
	}
	return &phases.Fault{
		What: "etcd has no quorum, so it cannot change its members",
		Why:  fmt.Errorf("%d of %d voting members answer, %d are needed; silent: %s", healthy, voters, etcd.Quorum(voters), silent(r)),
		Fixes: []string{
			"bring back the machine of one of these members",
			"how it stands: hactl status",
		},
		Exit: phases.CodeUnsafe,
	}
}

// mayRemove refuses to remove members that etcd could not do without, one
// after the other.
func (t *Task) mayRemove(r etcd.Report, own []etcd.MemberHealth) error {
	if len(own) > 0 {
		if err := CheckQuorum(r); err != nil {
			return err
		}
	}
	for _, m := range own {
		if err := r.MayRemove(m.ID); err != nil {
			return t.unsafe(m.Member, err)
		}
		r.Members = slices.DeleteFunc(slices.Clone(r.Members), func(o etcd.MemberHealth) bool { return o.ID == m.ID })
	}
	t.Result.VotersAfter, _ = r.Voters()
	return nil
}

// unsafe explains etcd.ErrQuorum and etcd.ErrLastVoter.
func (t *Task) unsafe(m etcd.Member, why error) error {
	n := t.Result.VotersBefore
	f := &phases.Fault{
		What: fmt.Sprintf("etcd would not survive without its member %s", title(m)), Why: why,
		Fixes: []string{
			"first bring back the members that do not answer: hactl status",
			"or join another control plane: hactl token create --control-plane",
		},
		Exit: phases.CodeUnsafe,
	}
	if n > 1 {
		f.Why = fmt.Errorf("%w: %d → %d voting members, of which %d must answer", why, n, n-1, etcd.Quorum(n-1))
	}
	if errors.Is(why, etcd.ErrLastVoter) {
		f.Fixes = []string{"join another control plane first: hactl token create --control-plane"}
	}
	return f
}

func (t *Task) isHere() error {
	return &phases.Fault{
		What:  t.Name + " is this node",
		Why:   errors.New("a node is taken out from here only if it cannot do so itself"),
		Fixes: []string{"hactl reset"},
		Exit:  phases.CodeUsage,
	}
}

// unknown lists what there is instead.
func (t *Task) unknown(nodes []string, r etcd.Report) error {
	f := &phases.Fault{
		What:  fmt.Sprintf("there is neither a node nor an etcd member named %q", t.Name),
		Fixes: []string{"nodes: " + strings.Join(nodes, ", ")},
		Exit:  phases.CodeUsage,
	}
	var members []string
	for _, m := range r.Members {
		members = append(members, title(m.Member))
	}
	if len(members) > 0 {
		f.Fixes = append(f.Fixes, "etcd members: "+strings.Join(members, ", "))
	}
	return f
}

// silent names the voting members that do not answer.
func silent(r etcd.Report) string {
	var names []string
	for _, m := range r.Members {
		if m.Err != nil && !m.Learner {
			names = append(names, title(m.Member))
		}
	}
	return strings.Join(names, ", ")
}

// title is what people know a member by.
func title(m etcd.Member) string {
	if m.Started() || len(m.PeerURLs) == 0 {
		return m.Name
	}
	return etcd.HostOf(m.PeerURLs[0]) + " (never started)"
}

func canonical(host string) string {
	if a, err := netip.ParseAddr(host); err == nil {
		return a.Unmap().String()
	}
	return host
}
