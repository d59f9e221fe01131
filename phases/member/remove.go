package member

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hactl/hactl/config"
	"github.com/hactl/hactl/etcd"
	"github.com/hactl/hactl/phases"
	"github.com/hactl/hactl/phases/host"
	"github.com/hactl/hactl/phases/kube"
	"github.com/hactl/hactl/phases/membership"
	"github.com/hactl/hactl/phases/wait"
	"github.com/hactl/hactl/templates/staticpod"
)

// RemoveTask is what phase remove-etcd-member of reset works from. It
// remembers what was settled, so a use case hands the same one to every call.
type RemoveTask struct {
	Files    host.Files
	API      kube.API // as administrator; nil if there is no way to ask
	Etcd     membership.Dial
	NodeName string
	Timeouts config.Timeouts
	Dir      string // of the manifests
	// DataDir is that of etcd, as the manifest or the node's record names it.
	DataDir string
	// Advertise is this node's address where it is known, else invalid.
	Advertise netip.Addr
	// Recorded says that this node's record tells of a member, so that it is
	// looked for even without a manifest.
	Recorded bool
	External bool // etcd runs elsewhere
	// Force lets the reset go on although the cluster may not survive it.
	Force bool

	settled bool // removed and confirmed, or left with force
}

// RemovePhase is phase remove-etcd-member of reset: it takes this node's
// member out of etcd and confirms that with the members that stay.
func RemovePhase() phases.Phase[RemoveTask] {
	return phases.Phase[RemoveTask]{
		Name:   "remove-etcd-member",
		Title:  "this node's member taken out of etcd",
		Reads:  []string{staticpod.Path(config.ManifestsDir, Name), "member list and health of etcd"},
		Writes: []string{"member of etcd"},
		Skip: func(t *RemoveTask) string {
			if t.External {
				return "etcd is external"
			}
			return ""
		},
		Observe: observeRemove,
		Apply:   applyRemove,
	}
}

// identity is what is known of this node's member.
type identity struct {
	name  string
	peers []string
	// cluster is the manifest's initial-cluster, client its client URLs.
	cluster, client string
	// nothing says that the member never had data nor any other member.
	nothing bool
}

func (id identity) is(m etcd.Member) bool {
	for _, p := range id.peers {
		if m.HasPeer(p) {
			return true
		}
	}
	return len(id.peers) == 0 && m.Name == id.name
}

// identify returns nil if this node has no member.
func (t *RemoveTask) identify(ctx context.Context) (*identity, error) {
	pod, err := staticpod.Read(ctx, t.Files, t.Dir, Name)
	if errors.Is(err, fs.ErrNotExist) {
		return t.recorded(), nil
	}
	if err != nil {
		return nil, err
	}
	id := &identity{name: t.NodeName}
	if name, ok := staticpod.Flag(pod, "name"); ok {
		id.name = name
	}
	if peers, ok := staticpod.Flag(pod, "initial-advertise-peer-urls"); ok {
		id.peers = strings.Split(peers, ",")
	}
	id.cluster, _ = staticpod.Flag(pod, "initial-cluster")
	id.client, _ = staticpod.Flag(pod, "advertise-client-urls")
	data, err := membership.LogFile(ctx, t.Files, walOf(pod, t.DataDir))
	state, _ := staticpod.Flag(pod, "initial-cluster-state")
	id.nothing = data == "" && state != etcd.StateExisting && len(etcd.InitialPeers(id.cluster)) == 1
	return id, err
}

func (t *RemoveTask) recorded() *identity {
	switch {
	case t.Recorded && t.Advertise.IsValid():
		return &identity{name: t.NodeName, peers: []string{etcd.PeerURL(t.Advertise.String())}}
	case t.Recorded:
		return &identity{name: t.NodeName}
	}
	return nil
}

func observeRemove(ctx context.Context, t *RemoveTask) (phases.State, error) {
	if t.settled {
		return phases.Done, nil
	}
	id, err := t.identify(ctx)
	if err != nil {
		return phases.Missing, err
	}
	if id == nil || id.nothing {
		return phases.Done, nil
	}
	v, err := t.look(ctx, *id)
	if err == nil && v.Own == nil {
		return phases.Done, nil
	}
	return phases.Missing, nil // what an error means is decided in Apply
}

// look asks every endpoint that the cluster or the manifest names.
func (t *RemoveTask) look(ctx context.Context, id identity) (v membership.View, err error) {
	endpoints := t.endpoints(ctx, id)
	if len(endpoints) == 0 {
		return v, etcd.ErrUnreachable
	}
	cluster, hangUp, err := t.Etcd(ctx, endpoints)
	if err != nil {
		return v, err
	}
	defer func() { err = errors.Join(err, hangUp()) }()
	if v, err = membership.Inspect(ctx, cluster, t.Timeouts.Etcd, words()); err != nil {
		return v, err
	}
	if i := slices.IndexFunc(v.Members, id.is); i >= 0 {
		v.Own = &v.Members[i]
	}
	return v, nil
}

// endpoints are those of all members that anybody has named.
func (t *RemoveTask) endpoints(ctx context.Context, id identity) []string {
	var list []string
	if t.API != nil {
		// The manifest names the members too, if the API does not answer.
		found := &corev1.PodList{}
		if err := t.API.List(ctx, found, metav1.NamespaceSystem, "component="+Name); err == nil {
			list = pods(found.Items).urls()
		}
		nodes := &corev1.NodeList{}
		if len(list) == 0 && t.API.List(ctx, nodes, "", controlPlane) == nil {
			list = nodeURLs(nodes.Items)
		}
	}
	more := strings.Split(id.client, ",")
	for _, p := range append(etcd.InitialPeers(id.cluster), id.peers...) {
		more = append(more, etcd.ClientURL(etcd.HostOf(p)))
	}
	for _, u := range more {
		if etcd.HostOf(u) != "" && !slices.ContainsFunc(list, func(have string) bool { return sameHost(have, u) }) {
			list = append(list, u)
		}
	}
	return list
}

func applyRemove(ctx context.Context, t *RemoveTask) error {
	id, err := t.identify(ctx)
	if err != nil || id == nil {
		return err
	}
	v, err := t.look(ctx, *id)
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err != nil {
		return t.unlessForced(ctx, t.cannotAsk(err))
	}
	if v.Own == nil {
		t.settled = true
		return nil
	}
	if err := v.Report.MayRemove(v.Own.ID); err != nil {
		return t.unlessForced(ctx, t.unsafe(v, err))
	}
	return t.remove(ctx, v)
}

// remove asks the members that stay: the one that goes stops answering.
func (t *RemoveTask) remove(ctx context.Context, v membership.View) (err error) {
	cluster, hangUp, err := t.Etcd(ctx, survivors(v))
	if err != nil {
		return t.unlessForced(ctx, t.cannotAsk(err))
	}
	defer func() { err = errors.Join(err, hangUp()) }()
	err = membership.Remove(ctx, cluster, membership.Removal{
		ID: v.Own.ID, What: "the other etcd members confirm that this node's is gone", Limit: t.Timeouts.Etcd,
	})
	var late *wait.TimeoutError
	switch {
	case errors.Is(err, etcd.ErrQuorum) || errors.Is(err, etcd.ErrLastVoter):
		return t.unlessForced(ctx, t.unsafe(v, err)) // a member died meanwhile
	case errors.As(err, &late):
		return t.unlessForced(ctx, t.cannotAsk(err))
	case err != nil:
		return err
	}
	t.settled = true
	if !v.Own.Learner {
		n := etcd.Voters(v.Members)
		phases.Report(ctx, etcd.DescribeChange(n, n-1))
	}
	return nil
}

// survivors are the client URLs of the members that stay and answer.
func survivors(v membership.View) []string {
	var list []string
	for _, m := range v.Report.Members {
		if m.ID != v.Own.ID && m.Err == nil && !m.Learner {
			list = append(list, m.ClientURLs...)
		}
	}
	return list
}

// unlessForced returns the refusal, or tells it as a warning.
func (t *RemoveTask) unlessForced(ctx context.Context, refusal *phases.Fault) error {
	if !t.Force {
		return refusal
	}
	phases.Warn(ctx, "--force: "+refusal.What)
	t.settled = true
	return nil
}

// unsafe refuses a removal that the cluster would not survive.
func (t *RemoveTask) unsafe(v membership.View, err error) *phases.Fault {
	if errors.Is(err, etcd.ErrLastVoter) {
		return &phases.Fault{
			What:  t.NodeName + " holds the only voting member of etcd: with it goes all that the cluster stores",
			Fixes: []string{"if this cluster is to end: hactl reset --force"},
			Exit:  phases.CodeUnsafe,
		}
	}
	all, healthy := v.Report.Voters()
	dead := etcd.Others(v.Report.Dead(), v.Own.ID)
	f := &phases.Fault{
		What: fmt.Sprintf("without %s etcd would lose its quorum: %d of %d voting members answer", t.NodeName, healthy, all),
		Why:  fmt.Errorf("no answer from %s: %w", etcd.Describe(dead...), err),
		Exit: phases.CodeUnsafe,
	}
	for _, m := range dead {
		f.Fixes = append(f.Fixes, "bring "+m.Name+" back, or take it out first: "+words().Removal(m))
	}
	f.Fixes = append(f.Fixes, "to reset all the same, which stops the API of the whole cluster: hactl reset --force")
	return f
}

// cannotAsk refuses to go on where nobody confirms the removal.
func (t *RemoveTask) cannotAsk(err error) *phases.Fault {
	return &phases.Fault{
		What: "etcd cannot take out the member of " + t.NodeName + ", and would go on counting it as dead",
		Why:  err,
		Fixes: []string{
			"see whether etcd runs: crictl ps -a --name etcd, here and on the other control-plane nodes",
			"if the cluster is to end, or the member is taken out later (hactl node remove " + t.NodeName + "): hactl reset --force",
		},
		Exit: phases.CodeUnsafe,
	}
}
