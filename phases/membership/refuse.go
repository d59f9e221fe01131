package membership

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/hactl/hactl/etcd"
	"github.com/hactl/hactl/phases"
	"github.com/hactl/hactl/phases/wait"
)

// Words are what people call the machines, and what they type on them.
type Words struct {
	Machine string // "node"
	// Peer is another machine that has a member: "control-plane node".
	Peer  string
	Again string // "then run the same join again"
	// Remove is the command that takes out a member of a name, without it;
	// Leave is how this machine's member is taken out.
	Remove, Leave string
	// Address and Directory are how this machine is given another address,
	// and another data directory.
	Address, Directory string
	// MakeRoom says how to get rid of data without losing it by mistake.
	MakeRoom []string
	// Logs says where this machine tells why its member does not start,
	// PeerLogs where another machine does.
	Logs     []string
	PeerLogs string
	// Reach is what helps where no member answers.
	Reach []string
	// Lost is what to do where somebody removed this machine's member.
	Lost string
}

// Removal is the command that takes out a member. One without a name is known
// by its address.
func (w Words) Removal(m etcd.Member) string {
	name := m.Name
	if name == "" && len(m.PeerURLs) > 0 {
		name = etcd.HostOf(m.PeerURLs[0])
	}
	return w.Remove + " " + name
}

func (m *Member) nameTaken(other etcd.Member) error {
	w := m.Words
	return &phases.Fault{
		What: fmt.Sprintf("etcd has another member with the name %s, at %s", m.Name, strings.Join(other.PeerURLs, ", ")),
		Why:  fmt.Errorf("this %s's address is %s: another %s has the name, or this one had another address", w.Machine, m.PeerURL(), w.Machine),
		Fixes: []string{
			"if that member is gone for good, on a healthy " + w.Peer + ": " + w.Removal(other), w.Again,
			"if not, give this " + w.Machine + " another name: --node-name NAME",
		},
		Exit: phases.CodeUnsafe,
	}
}

func (m *Member) addressTaken(other etcd.Member) error {
	w := m.Words
	return &phases.Fault{
		What: fmt.Sprintf("etcd member %s at %s is alive, but %s on this %s is empty", other.Name, m.PeerURL(), m.DataDir, w.Machine),
		Why:  fmt.Errorf("another machine uses this %s's address, or the member's data lies in another directory", w.Machine),
		Fixes: []string{
			"give this " + w.Machine + " its own address: " + w.Address,
			"or name the directory that has the data: " + w.Directory,
		},
		Exit: phases.CodeUnsafe,
	}
}

func (m *Member) foreignData(v View) error {
	why := fmt.Sprintf("its data is of member %x of cluster %x, which etcd does not list", v.Data.Member, v.Data.Cluster)
	if v.Report.ClusterID != 0 && v.Report.ClusterID != v.Data.Cluster {
		why = fmt.Sprintf("its data is of cluster %x, and this join is to cluster %x", v.Data.Cluster, v.Report.ClusterID)
	}
	return &phases.Fault{
		What:  m.DataDir + " holds data of an etcd member that is not in the cluster",
		Why:   errors.New(why),
		Fixes: m.makeRoom(),
		Exit:  phases.CodeUnsafe,
	}
}

func (m *Member) unreadableData(file string, err error) error {
	return &phases.Fault{
		What:  fmt.Sprintf("%s holds data, and nothing tells whose", m.DataDir),
		Why:   fmt.Errorf("read %s: %w", file, err),
		Fixes: m.makeRoom(),
		Exit:  phases.CodeUnsafe,
	}
}

func (m *Member) makeRoom() []string {
	return append(slices.Clone(m.Words.MakeRoom), m.Words.Again)
}

func (m *Member) cannotReplace(v View, err error) error {
	fix := "bring the other members back first"
	if dead := etcd.Others(v.Report.Dead(), v.Own.ID); len(dead) > 0 { // else one died since
		fix += ": " + etcd.Describe(dead...)
	}
	return &phases.Fault{
		What:  fmt.Sprintf("etcd member %s at %s has lost its data and cannot be replaced now", v.Own.Name, m.PeerURL()),
		Why:   err,
		Fixes: []string{fix, m.Words.Again},
		Exit:  phases.CodeUnsafe,
	}
}

// Unreachable is the fault of a cluster of which no member answers.
func (w Words) Unreachable(endpoints []string, err error) error {
	return &phases.Fault{
		What:  "no etcd member can be reached at " + strings.Join(endpoints, ", "),
		Why:   err,
		Fixes: append(slices.Clone(w.Reach), w.Again),
	}
}

func (w Words) deadMembers(dead []etcd.MemberHealth) error {
	list := etcd.Others(dead, 0)
	fixes := []string{"bring it back, " + w.Again}
	for _, m := range list {
		fixes = append(fixes, "or, if it is gone for good, on a healthy "+w.Peer+": "+w.Removal(m)+", "+w.Again)
	}
	return &phases.Fault{
		What:  "an etcd member does not answer, so etcd takes no new one: " + etcd.Describe(list...),
		Why:   errors.New(strings.TrimPrefix(dead[0].Err.Error(), etcd.ErrUnreachable.Error()+": ")),
		Fixes: fixes,
	}
}

func (w Words) noQuorum(r etcd.Report) error {
	all, healthy := r.Voters()
	return &phases.Fault{
		What:  fmt.Sprintf("etcd has no quorum: %d of %d voting members answer, and it takes %d", healthy, all, etcd.Quorum(all)),
		Why:   fmt.Errorf("no answer from %s", etcd.Describe(etcd.Others(r.Dead(), 0)...)),
		Fixes: []string{"bring back at least one of them: " + w.PeerLogs, w.Again},
	}
}

func (w Words) tooManyLearners(ahead []etcd.Member, late *wait.TimeoutError) error {
	fixes := []string{"if a join is still running there, wait for it, " + w.Again}
	for _, m := range ahead {
		fixes = append(fixes, "if it was given up, on a healthy "+w.Peer+": "+w.Removal(m)+", "+w.Again)
	}
	return &phases.Fault{
		What: "etcd takes no further learner, and has one already: " + etcd.Describe(ahead...),
		Why:  late, Fixes: append(fixes, late.Fix()...), Exit: phases.CodeTimeout,
	}
}

func (w Words) notStarted(late *wait.TimeoutError) error {
	return w.tooLate(late, "this "+w.Machine+"'s etcd member was added and does not start",
		"the other members must reach port 2380 of this "+w.Machine+", and this "+w.Machine+" theirs")
}

func (w Words) notInSync(late *wait.TimeoutError) error {
	return w.tooLate(late, "this "+w.Machine+"'s etcd member has started and does not get in sync",
		"ports 2380 of all members must be open both ways")
}

// tooLate is of a member that did not come up in time.
func (w Words) tooLate(late *wait.TimeoutError, what, network string) error {
	fixes := append(slices.Clone(w.Logs), network)
	return &phases.Fault{What: what, Why: late, Fixes: append(fixes, late.Fix()...), Exit: phases.CodeTimeout}
}

func (w Words) lostMember(err error) error {
	return &phases.Fault{
		What:  "somebody removed this " + w.Machine + "'s etcd member while it was joining",
		Why:   err,
		Fixes: []string{w.Lost + ", " + w.Again},
	}
}
