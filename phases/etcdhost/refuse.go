package etcdhost

import (
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/hactl/hactl/etcd"
	"github.com/hactl/hactl/phases"
	"github.com/hactl/hactl/phases/wait"
)

const (
	sameAgain = "then run the same command again"
	// credentials is how a host gets what it needs to join.
	credentials = "on the first etcd host: hactl etcd credentials export --for-member NAME=ADDRESS --directory DIR, then copy what is in DIR to /etc/kubernetes/pki here"
)

// removal is the command that takes out a member, on a healthy host. One
// without a name is known by its address.
func removal(m etcd.Member) string {
	name := m.Name
	if name == "" && len(m.PeerURLs) > 0 {
		if u, err := url.Parse(m.PeerURLs[0]); err == nil {
			name = u.Hostname()
		}
	}
	return "hactl etcd remove " + name
}

func missing(what string, fixes ...string) error {
	return &phases.Fault{What: "there is no " + what + " on this host", Fixes: fixes, Exit: phases.CodePreflight}
}

func noRuntime() error {
	return &phases.Fault{
		What: "this host has nothing that could run etcd",
		Fixes: []string{
			"install etcd 3.6 or later, such that root finds it in PATH: it then runs as a service",
			"or install a kubelet and a container runtime: it then runs as a static pod",
		},
		Exit: phases.CodePreflight,
	}
}

func otherRuntime(have, forced Runtime) error {
	return &phases.Fault{
		What:  fmt.Sprintf("etcd is set up on this host with --runtime %s already, not %s", have, forced),
		Fixes: []string{"leave --runtime out", "or take this host's member out first, and its data away: docs/external-etcd.md says how"},
		Exit:  phases.CodeUnsafe,
	}
}

func nodeOfCluster() error {
	return &phases.Fault{
		What:  "the kubelet of this host belongs to a cluster: " + kubeletConf + " is there",
		Why:   errors.New("a static pod beside it would end with that cluster's node, and the kubelet would leave its cluster"),
		Fixes: []string{"install etcd 3.6 or later and run it as a service: --runtime systemd", "or, if this machine is to leave that cluster: hactl reset, " + sameAgain},
		Exit:  phases.CodeUnsafe,
	}
}

func foreignUnit() error {
	return &phases.Fault{
		What:  UnitFile + " is there, and hactl did not write it",
		Fixes: []string{"see what it does: systemctl cat " + Unit, "if it is not needed, move it away, " + sameAgain},
		Exit:  phases.CodeUnsafe,
	}
}

func unitFails(err error) error {
	return &phases.Fault{What: Unit + " does not start", Why: err, Fixes: []string{"look at: journalctl -eu " + Unit, sameAgain}}
}

func (t *Task) otherMember(name, peer string) error {
	return &phases.Fault{
		What: fmt.Sprintf("%s is of another etcd member: %s at %s", t.file(), name, peer),
		Why:  fmt.Errorf("this host's would be %s at %s", t.Name, t.PeerURL()),
		Fixes: []string{
			"give the name and the address that it had: --node-name, --advertise-address",
			"or, if the host has got others, take that member out first: docs/external-etcd.md says how",
		},
		Exit: phases.CodeUnsafe,
	}
}

func (t *Task) otherDirectory(dir string) error {
	return &phases.Fault{
		What:  fmt.Sprintf("etcd keeps its data on this host in %s, not in %s", dir, t.DataDir),
		Fixes: []string{"use that directory: --data-dir " + dir},
		Exit:  phases.CodeUnsafe,
	}
}

func (t *Task) joinedAlready() error {
	return &phases.Fault{
		What:  "this host has joined an etcd cluster already",
		Why:   fmt.Errorf("%s says so (initial-cluster-state=%s)", t.file(), etcd.StateExisting),
		Fixes: []string{"to see how it is: hactl etcd status", "to go on with a join: hactl etcd join, with the URL of a member"},
		Exit:  phases.CodeUnsafe,
	}
}

func (t *Task) foundedHere() error {
	return &phases.Fault{
		What:  "this host began an etcd cluster of its own, with hactl etcd init, and cannot join another one",
		Why:   fmt.Errorf("%s says so", t.file()),
		Fixes: []string{"if that cluster holds nothing that is needed, take it away first: docs/external-etcd.md says how"},
		Exit:  phases.CodeUnsafe,
	}
}

func (t *Task) strayData(data *etcd.Owner) error {
	return &phases.Fault{
		What: t.DataDir + " holds the data of an etcd member, and nothing on this host runs it",
		Why:  fmt.Errorf("it is of member %x of cluster %x", data.Member, data.Cluster),
		Fixes: []string{
			fmt.Sprintf("keep the data, and begin with nothing: mv %s %s.old", t.DataDir, t.DataDir),
			"or use another directory: --data-dir DIR",
		},
		Exit: phases.CodeUnsafe,
	}
}

func (t *Task) unreadableData(file string, err error) error {
	return &phases.Fault{
		What:  fmt.Sprintf("%s holds data, and nothing tells whose", t.DataDir),
		Why:   fmt.Errorf("read %s: %w", file, err),
		Fixes: []string{fmt.Sprintf("keep the data, and go on without: mv %s %s.old", t.DataDir, t.DataDir), sameAgain},
		Exit:  phases.CodeUnsafe,
	}
}

func (t *Task) foreignData(v view) error {
	why := fmt.Sprintf("its data is of member %x of cluster %x, which etcd does not list", v.data.Member, v.data.Cluster)
	if v.report.ClusterID != 0 && v.report.ClusterID != v.data.Cluster {
		why = fmt.Sprintf("its data is of cluster %x, and this join is to cluster %x", v.data.Cluster, v.report.ClusterID)
	}
	return &phases.Fault{
		What:  t.DataDir + " holds data of an etcd member that is not in the cluster",
		Why:   errors.New(why),
		Fixes: []string{fmt.Sprintf("keep the data, and go on without: mv %s %s.old", t.DataDir, t.DataDir), sameAgain},
		Exit:  phases.CodeUnsafe,
	}
}

func (t *Task) nameTaken(m etcd.Member) error {
	return &phases.Fault{
		What: fmt.Sprintf("etcd has another member with the name %s, at %s", t.Name, strings.Join(m.PeerURLs, ", ")),
		Why:  fmt.Errorf("this host's address is %s: another host has the name, or this one had another address", t.PeerURL()),
		Fixes: []string{
			"if that member is gone for good, on a healthy etcd host: " + removal(m), sameAgain,
			"if not, give this one another name: --node-name NAME",
		},
		Exit: phases.CodeUnsafe,
	}
}

func (t *Task) addressTaken(m etcd.Member) error {
	return &phases.Fault{
		What:  fmt.Sprintf("etcd member %s at %s is alive, but %s on this host is empty", m.Name, t.PeerURL(), t.DataDir),
		Why:   errors.New("another machine uses this host's address, or the member's data lies in another directory"),
		Fixes: []string{"give this host its own address: --advertise-address ADDRESS", "or name the directory that has the data: --data-dir DIR"},
		Exit:  phases.CodeUnsafe,
	}
}

func (t *Task) cannotReplace(v view, err error) error {
	return &phases.Fault{
		What:  fmt.Sprintf("etcd member %s at %s has lost its data and cannot be replaced now", v.own.Name, t.PeerURL()),
		Why:   err,
		Fixes: []string{"bring the other members back first: " + etcd.Describe(etcd.Others(v.report.Dead(), v.own.ID)...), sameAgain},
		Exit:  phases.CodeUnsafe,
	}
}

func deadMembers(dead []etcd.MemberHealth) error {
	list := etcd.Others(dead, 0)
	fixes := []string{"bring it back, " + sameAgain}
	for _, m := range list {
		fixes = append(fixes, "or, if it is gone for good, on a healthy etcd host: "+removal(m)+", "+sameAgain)
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
		What:  fmt.Sprintf("etcd has no quorum: %d of %d voting members answer, and it takes %d", healthy, all, etcd.Quorum(all)),
		Why:   fmt.Errorf("no answer from %s", etcd.Describe(etcd.Others(r.Dead(), 0)...)),
		Fixes: []string{"bring back at least one of them: " + lookThere, sameAgain},
	}
}

// lookThere tells where an etcd host says what is wrong with it.
const lookThere = "journalctl -eu " + Unit + " there, or of a static pod: crictl ps -a --name etcd"

func unreachable(endpoints []string, err error) error {
	return &phases.Fault{
		What: "no etcd member can be reached at " + strings.Join(endpoints, ", "),
		Why:  err,
		Fixes: []string{
			"name a member that runs, as https://ADDRESS:2379",
			"open the ports 2379 and 2380 of the etcd hosts to this one",
			"if a certificate is not accepted, this host has those of another cluster: " + credentials,
		},
	}
}

func closedWay(peer string, err error) error {
	return &phases.Fault{
		What:  "etcd's peer at " + peer + " cannot be reached from this host's address",
		Why:   err,
		Fixes: []string{"open the ports 2379 and 2380 between all etcd hosts, both ways", "if this host reaches that network by another address: --advertise-address ADDRESS"},
		Exit:  phases.CodePreflight,
	}
}

func noEndpoint() error {
	return &phases.Fault{
		What:  "no member of the etcd cluster is named",
		Fixes: []string{"name one or several that run: hactl etcd join https://ADDRESS:2379"},
		Exit:  phases.CodeUsage,
	}
}

func noCertificates(err error) error {
	return &phases.Fault{
		What:  "this host has no certificates for etcd yet",
		Why:   err,
		Fixes: []string{"make them: hactl etcd join phase certs, or at init: hactl etcd init phase certs", "what that needs: " + credentials},
	}
}

func tooManyLearners(ahead []etcd.Member, late *wait.TimeoutError) error {
	fixes := []string{"if a join is still running there, wait for it, " + sameAgain}
	for _, m := range ahead {
		fixes = append(fixes, "if it was given up, on a healthy etcd host: "+removal(m)+", "+sameAgain)
	}
	return &phases.Fault{
		What: "etcd takes no further learner, and has one already: " + etcd.Describe(ahead...),
		Why:  late, Fixes: append(fixes, late.Fix()...), Exit: phases.CodeTimeout,
	}
}

// logs tells where this host's etcd says what is wrong.
func (t *Task) logs() []string {
	if t.Runtime == Systemd {
		return []string{"see what etcd says: journalctl -eu " + Unit}
	}
	return []string{
		"see what etcd says: crictl logs $(crictl ps -a --name etcd -q | head -1)",
		"see what the kubelet says: journalctl -xeu kubelet",
	}
}

func (t *Task) notStarted(late *wait.TimeoutError) error {
	return &phases.Fault{
		What:  "this host's etcd member does not come up",
		Why:   late,
		Fixes: append(append(t.logs(), "the other members must reach port 2380 of this host, and this host theirs"), late.Fix()...),
		Exit:  phases.CodeTimeout,
	}
}

func (t *Task) notInSync(late *wait.TimeoutError) error {
	return &phases.Fault{
		What:  "this host's etcd member has started and does not get in sync",
		Why:   late,
		Fixes: append(append(t.logs(), "ports 2380 of all members must be open both ways"), late.Fix()...),
		Exit:  phases.CodeTimeout,
	}
}

func lostMember(err error) error {
	return &phases.Fault{
		What:  "somebody removed this host's etcd member while it was joining",
		Why:   err,
		Fixes: []string{"find out who, " + sameAgain},
	}
}
