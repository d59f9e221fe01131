package etcdhost

import (
	"errors"
	"fmt"

	"github.com/hactl/hactl/etcd"
	"github.com/hactl/hactl/phases"
	"github.com/hactl/hactl/phases/membership"
	"github.com/hactl/hactl/phases/wait"
)

const (
	sameAgain = "then run the same command again"
	// credentials is how a host gets what it needs to join.
	credentials = "on the first etcd host: hactl etcd credentials export --for-member NAME=ADDRESS, and here with that archive: hactl etcd credentials import FILE"
)

// words are what people call this host and the others, and what they type
// there.
func (t *Task) words() membership.Words {
	return membership.Words{
		Machine: "host", Peer: "etcd host", Again: sameAgain,
		Remove: "hactl etcd remove", Leave: "on another etcd host: hactl etcd remove " + t.Name, Lost: "find out who",
		Address: "--advertise-address ADDRESS", Directory: "--data-dir DIR",
		MakeRoom: []string{"keep the data, and go on without: " + etcd.SetAside(t.DataDir)},
		Logs:     t.logs(),
		PeerLogs: "journalctl -eu " + Unit + " there, or of a static pod: crictl ps -a --name etcd",
		Reach: []string{
			"name a member that runs, as https://ADDRESS:2379",
			"open the ports 2379 and 2380 of the etcd hosts to this one",
			"if a certificate is not accepted, this host has those of another cluster: " + credentials,
		},
	}
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
			"keep the data, and begin with nothing: " + etcd.SetAside(t.DataDir),
			"or use another directory: --data-dir DIR",
		},
		Exit: phases.CodeUnsafe,
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
