package member

import (
	"errors"
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/hactl/hactl/etcd"
	"github.com/hactl/hactl/phases"
	"github.com/hactl/hactl/phases/wait"
	"github.com/hactl/hactl/templates/staticpod"
)

// joinAgain is how every refusal of a join ends.
const joinAgain = "then run the same join again"

// removal is the command that takes out a member, on a healthy node. One
// without a name is known by its address.
func removal(m etcd.Member) string {
	name := m.Name
	if name == "" && len(m.PeerURLs) > 0 {
		name = hostOf(m.PeerURLs[0])
	}
	return "hactl node remove " + name
}

func (t *JoinTask) nameTaken(m etcd.Member) error {
	return &phases.Fault{
		What: fmt.Sprintf("etcd has another member with the name %s, at %s", t.NodeName, strings.Join(m.PeerURLs, ", ")),
		Why:  fmt.Errorf("this node's address is %s: another node has the name, or this one had another address", t.peerURL()),
		Fixes: []string{
			"if that member is gone for good, on a healthy control-plane node: " + removal(m), joinAgain,
			"if not, give this node another name: --node-name NAME",
		},
		Exit: phases.CodeUnsafe,
	}
}

func (t *JoinTask) addressTaken(m etcd.Member) error {
	return &phases.Fault{
		What: fmt.Sprintf("etcd member %s at %s is alive, but %s on this node is empty", m.Name, t.peerURL(), t.Cluster.Etcd.Local.DataDir),
		Why:  errors.New("another machine uses this node's address, or the member's data lies in another directory"),
		Fixes: []string{
			"give this node its own address: --apiserver-advertise-address ADDRESS",
			"or name the directory that has the data: etcd.local.dataDir",
		},
		Exit: phases.CodeUnsafe,
	}
}

func (t *JoinTask) otherLearners(p *corev1.Pod, own string) error {
	return &phases.Fault{
		What: fmt.Sprintf("etcd on this node would have --%s=%s, and %s has %s", maxLearners, own, p.Name, learnersOf(p)),
		Why:  errors.New("with another value than the others, a member may count other voting members than they do, and both parts of a divided cluster may go on writing"),
		Fixes: []string{
			fmt.Sprintf("set etcd.local.extraArgs in ConfigMap kube-system/kubeadm-config so that this node gets --%s=%s too, and give no patch that changes it, %s", maxLearners, learnersOf(p), joinAgain),
		},
		Exit: phases.CodeUnsafe,
	}
}

func (t *JoinTask) foreignData(v view) error {
	dir := t.Cluster.Etcd.Local.DataDir
	why := fmt.Sprintf("its data is of member %x of cluster %x, which etcd does not list", v.data.Member, v.data.Cluster)
	if v.report.ClusterID != 0 && v.report.ClusterID != v.data.Cluster {
		why = fmt.Sprintf("its data is of cluster %x, and this join is to cluster %x", v.data.Cluster, v.report.ClusterID)
	}
	return &phases.Fault{
		What:  dir + " holds data of an etcd member that is not in the cluster",
		Why:   errors.New(why),
		Fixes: append(t.makeRoom(), joinAgain),
		Exit:  phases.CodeUnsafe,
	}
}

func (t *JoinTask) unreadableData(file string, err error) error {
	return &phases.Fault{
		What:  fmt.Sprintf("%s holds data, and nothing tells whose", t.Cluster.Etcd.Local.DataDir),
		Why:   fmt.Errorf("read %s: %w", file, err),
		Fixes: append(t.makeRoom(), joinAgain),
		Exit:  phases.CodeUnsafe,
	}
}

// makeRoom says how to get rid of data without losing it by mistake.
func (t *JoinTask) makeRoom() []string {
	dir := t.Cluster.Etcd.Local.DataDir
	return []string{
		"if this node need not keep anything: hactl reset",
		fmt.Sprintf("to keep the data, move it aside: mv %s %s.old", dir, dir),
	}
}

func (t *JoinTask) otherManifest(name, peer string) error {
	return &phases.Fault{
		What: fmt.Sprintf("%s is of another etcd member: %s at %s", staticpod.Path(t.Dir, Name), name, peer),
		Why:  fmt.Errorf("this node's would be %s at %s", t.NodeName, t.peerURL()),
		Fixes: []string{
			"if the node has got another name or address: hactl reset, " + joinAgain,
			"if not, give the ones it had: --node-name, --apiserver-advertise-address",
		},
		Exit: phases.CodeUnsafe,
	}
}

func (t *JoinTask) cannotReplace(v view, err error) error {
	return &phases.Fault{
		What: fmt.Sprintf("etcd member %s at %s has lost its data and cannot be replaced now", v.own.Name, t.peerURL()),
		Why:  err,
		Fixes: []string{
			"bring the other members back first: " + etcd.Describe(etcd.Others(v.report.Dead(), v.own.ID)...),
			joinAgain,
		},
		Exit: phases.CodeUnsafe,
	}
}

func deadMembers(dead []etcd.MemberHealth) error {
	list := etcd.Others(dead, 0)
	fixes := []string{"bring it back, " + joinAgain}
	for _, m := range list {
		fixes = append(fixes, "or, if it is gone for good, on a healthy control-plane node: "+removal(m)+", "+joinAgain)
	}
	return &phases.Fault{
		What:  "an etcd member does not answer, so etcd takes no new one: " + etcd.Describe(list...),
		Why:   errors.New(strings.TrimPrefix(dead[0].Err.Error(), etcd.ErrUnreachable.Error()+": ")),
		Fixes: fixes,
	}
}

func noQuorum(r etcd.Report) error {
	all, healthy := r.Voters()
	return &phases.Fault{
		What: fmt.Sprintf("etcd has no quorum: %d of %d voting members answer, and it takes %d", healthy, all, etcd.Quorum(all)),
		Why:  fmt.Errorf("no answer from %s", etcd.Describe(etcd.Others(r.Dead(), 0)...)),
		Fixes: []string{
			"bring back at least one of them: systemctl status kubelet, crictl ps -a --name etcd on that node",
			joinAgain,
		},
	}
}

func unreachable(endpoints []string, err error) error {
	return &phases.Fault{
		What: "no etcd member can be reached at " + strings.Join(endpoints, ", "),
		Why:  err,
		Fixes: []string{
			"open port 2379 of the control-plane nodes to this node",
			"see whether etcd runs there: crictl ps -a --name etcd",
			joinAgain,
		},
	}
}

func noEndpoints() error {
	return &phases.Fault{
		What: "the cluster has no etcd that this node could join",
		Why:  fmt.Errorf("no pod in kube-system has the label component=%s, and no node the label %s", Name, controlPlane),
		Fixes: []string{
			"wait until the first control-plane node is ready, " + joinAgain,
			"if the cluster's etcd is external, ConfigMap kube-system/kubeadm-config must say so: etcd.external",
		},
	}
}

func tooManyLearners(ahead []etcd.Member, late *wait.TimeoutError) error {
	fixes := []string{"if a join is still running there, wait for it, " + joinAgain}
	for _, m := range ahead {
		fixes = append(fixes, "if it was given up, on a healthy control-plane node: "+removal(m)+", "+joinAgain)
	}
	return &phases.Fault{
		What: "etcd takes no further learner, and has one already: " + etcd.Describe(ahead...),
		Why:  late, Fixes: append(fixes, late.Fix()...), Exit: phases.CodeTimeout,
	}
}

func notStarted(late *wait.TimeoutError) error {
	return &phases.Fault{
		What: "this node's etcd member was added and does not start",
		Why:  late,
		Fixes: append([]string{
			"see what etcd says: crictl logs $(crictl ps -a --name etcd -q | head -1)",
			"see what the kubelet says: journalctl -xeu kubelet",
			"the other members must reach port 2380 of this node, and this node theirs",
		}, late.Fix()...),
		Exit: phases.CodeTimeout,
	}
}

func notInSync(late *wait.TimeoutError) error {
	return &phases.Fault{
		What: "this node's etcd member has started and does not get in sync",
		Why:  late,
		Fixes: append([]string{
			"see what etcd says: crictl logs $(crictl ps -a --name etcd -q | head -1)",
			"ports 2380 of all members must be open both ways",
		}, late.Fix()...),
		Exit: phases.CodeTimeout,
	}
}

func lostMember(err error) error {
	return &phases.Fault{
		What:  "somebody removed this node's etcd member while it was joining",
		Why:   err,
		Fixes: []string{"hactl reset on this node, " + joinAgain},
	}
}
