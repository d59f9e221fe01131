package health

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

const (
	// soonLeaf and soonCA are how long before its end a certificate needs
	// attention; one with a short life, in the last tenth of it.
	soonLeaf = 30 * 24 * time.Hour
	soonCA   = 180 * 24 * time.Hour
	// muchSkew is how far clocks may be apart, in seconds. Certificates are
	// dated back by five minutes; etcd complains of a second (v3.7,
	// rafthttp/probing_status.go), less than a Date header can tell.
	muchSkew = 5
	// muchLag is how many raft entries a member may be behind.
	muchLag = 1000
)

// Finding is one thing that needs attention.
type Finding struct {
	// What is wrong, in one line without full stop.
	What string `json:"what"`
	// Fix is how to mend it: commands or instructions, in order.
	Fix []string `json:"fix"`
}

// Judge says what of the report needs attention, the most urgent first. The
// list is empty if all is well.
func Judge(r *Report) []Finding {
	list := slices.Concat(r.etcd(), r.machines(), r.ways(), r.expiries(), r.clocks())
	if list == nil {
		return []Finding{}
	}
	return list
}

// etcd judges the cluster of members as a whole.
func (r *Report) etcd() []Finding {
	e := &r.Etcd
	var list []Finding
	add := func(what string, fix ...string) { list = append(list, Finding{What: what, Fix: fix}) }
	switch {
	case e.Error != "":
		add("etcd cannot be asked: "+e.Error, "on this node: crictl ps -a --name etcd", "then its log: crictl logs CONTAINER")
	case e.Voters == 0:
		return nil
	case e.MayFail < 0:
		add(fmt.Sprintf("etcd has no quorum: %d of %d voting members answer, %d are needed; nothing can be written", e.Answering, e.Voters, e.Quorum),
			"bring back the machines of the members that do not answer, or their etcd: "+dead(e.Members))
	case !slices.ContainsFunc(e.Members, func(m Member) bool { return m.Role == Leader }):
		add("etcd has no leader now", "wait some seconds and look again; then see the members' logs: crictl ps -a --name etcd")
	}
	for _, m := range e.Members {
		r.member(m, add)
	}
	if e.Voters == 2 && e.MayFail >= 0 {
		add("with two voting members, the failure of either stops etcd: that is worse than one alone",
			"add a third control plane; its command: hactl token create --control-plane")
	}
	return list
}

// member judges what a member says of itself, and one without a vote.
func (r *Report) member(m Member, add func(what string, fix ...string)) {
	name := "etcd member " + m.Title()
	for _, a := range m.Alarms {
		fix := "take the member out and let it join again: hactl node remove " + m.Title()
		if a == "NOSPACE" {
			fix = "free space with etcdctl compact and etcdctl defrag, then: etcdctl alarm disarm"
		}
		add(name+" raises the alarm "+a, fix)
	}
	switch {
	case m.Error != "" && r.Etcd.External && m.Role != Learner && !r.hasNode(m):
		// One on a node is told with the node.
		add(fmt.Sprintf("etcd host %s does not answer", m.Title()),
			"bring the machine back, or its etcd; on another etcd host: hactl etcd status",
			"if the machine is gone for good, on another etcd host: hactl etcd remove "+m.Title())
	case m.Role == Learner:
		add(name+" has no vote yet: its node has not finished joining",
			"let the join end, or run it again", "if nobody joins there any more: hactl node remove "+m.Title())
	case m.Lag > muchLag:
		add(fmt.Sprintf("%s is %d entries behind the leader", name, m.Lag), "look at the disk and the network of "+m.Title())
	case !r.Etcd.External && len(r.Nodes.Items) > 0 && !r.hasNode(m):
		add(name+" belongs to no node of the cluster", "if its machine is gone for good: hactl node remove "+m.Title())
	}
}

func (r *Report) hasNode(m Member) bool {
	return slices.ContainsFunc(r.Nodes.Items, func(n Node) bool { return of(m, n) })
}

// of says whether the member runs on the node.
func of(m Member, n Node) bool {
	return m.Name == n.Name || m.Address != "" && m.Address == n.Address
}

// dead names the voting members that do not answer.
func dead(members []Member) string {
	var names []string
	for _, m := range members {
		if m.Error != "" && m.Role != Learner {
			names = append(names, m.Title())
		}
	}
	return strings.Join(names, ", ")
}

// machines judges node by node: what is wrong on one has one cause more
// often than three.
func (r *Report) machines() []Finding {
	var list []Finding
	if r.Nodes.Error != "" {
		list = append(list, Finding{What: "the nodes cannot be listed: " + r.Nodes.Error, Fix: []string{
			"see whether the API server of this node runs: crictl ps -a --name kube-apiserver",
			"and whether etcd has a quorum, above",
		}})
	}
	for _, name := range r.machineNames() {
		if f, ok := r.machine(name); ok {
			list = append(list, f)
		}
	}
	return list
}

// machineNames are those of all nodes, API servers and members.
func (r *Report) machineNames() []string {
	var names []string
	for _, n := range r.Nodes.Items {
		names = append(names, n.Name)
	}
	for _, s := range r.APIServers.Items {
		if s.Name != "" {
			names = append(names, s.Name)
		}
	}
	if !r.Etcd.External {
		for _, m := range r.Etcd.Members {
			if m.Name != "" {
				names = append(names, m.Name)
			}
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// machine joins all that is wrong on one machine.
func (r *Report) machine(name string) (Finding, bool) {
	var what, fix []string
	gone := false
	for _, n := range r.Nodes.Items {
		if n.Name == name && !n.Ready {
			what = append(what, "the node is not ready ("+strings.TrimSuffix(n.Reason, ".")+")")
			if strings.Contains(n.Reason, "NetworkPluginNotReady") { // as its kubelet tells
				fix = append(fix, "look at the pod of the pod network: crictl ps -a; or apply one, if the cluster has none yet")
			} else {
				gone = true
				fix = append(fix, "systemctl status kubelet")
			}
		}
	}
	for _, m := range r.Etcd.Members {
		if m.Name == name && m.Error != "" && m.Role != Learner {
			// The API learns a minute later that a node is not ready.
			gone = true
			what = append(what, "its etcd member does not answer")
			fix = append(fix, "crictl ps -a --name etcd")
		}
	}
	for _, s := range r.APIServers.Items {
		if s.Name == name && s.State != OK {
			what = append(what, "its API server: "+string(s.State))
			fix = append(fix, "crictl ps -a --name kube-apiserver")
		}
	}
	if len(what) == 0 {
		return Finding{}, false
	}
	f := Finding{What: name + ": " + strings.Join(what, "; "), Fix: []string{"on " + name + ": " + fix[0]}}
	if gone && name != r.Node {
		f.Fix = append(f.Fix, "if the machine is gone for good: hactl node remove "+name)
	}
	return f, true
}

// ways judges the control-plane endpoint.
func (r *Report) ways() []Finding {
	for _, s := range r.APIServers.Items {
		if s.Name == "" && s.State != OK {
			return []Finding{{What: fmt.Sprintf("the control-plane endpoint %s: %s", s.URL, s.State), Fix: []string{wayFix(s)}}}
		}
	}
	return nil
}

func wayFix(s APIServer) string {
	at := strings.TrimPrefix(s.URL, "https://")
	switch s.State {
	case Refused:
		return "start the load balancer, or let it listen at " + at
	case Timeout:
		return "see whether " + at + " can be reached from this node, and whether a firewall drops the packets"
	case Closed:
		return "the load balancer has no API server behind it that lives: see its health checks and its list of servers"
	case OtherCA:
		return "let the load balancer pass TCP through to this cluster's API servers; it must not end TLS, and not lead to another cluster"
	case OtherName:
		return "the API servers' certificates lack this name: add it to apiServer.certSANs and make apiserver.crt anew on each control plane"
	case OutOfDate:
		return "compare the clocks (timedatectl) and the end of apiserver.crt on the control planes"
	}
	return "ask it by hand: curl -k " + s.URL + "/readyz?verbose"
}

// expiries judges the certificates of this node.
func (r *Report) expiries() []Finding {
	var list []Finding
	for _, c := range r.Certificates.Items {
		if what := r.expiry(c); what != "" {
			list = append(list, Finding{What: what, Fix: renewal(c)})
		}
	}
	return list
}

func (r *Report) expiry(c Certificate) string {
	if c.Error != "" {
		return c.Path + " cannot be used: " + c.Error
	}
	left := c.Expires.Sub(r.At)
	soon := soonLeaf
	if c.Authority {
		soon = soonCA
	}
	if c.Begins != nil {
		soon = min(soon, c.Expires.Sub(*c.Begins)/10)
	}
	switch {
	case left <= 0:
		return fmt.Sprintf("%s expired at %s", c.Path, c.Expires.Format(time.RFC3339))
	case left < soon:
		return fmt.Sprintf("%s expires in %s, at %s", c.Path, Span(left), c.Expires.Format(time.RFC3339))
	}
	return ""
}

// configHint says where the names come from that a certificate must have.
const configHint = "FILE is the cluster's configuration: kubectl -n kube-system get configmap kubeadm-config -o jsonpath={.data.ClusterConfiguration}"

// renewal says how to make a certificate anew.
func renewal(c Certificate) []string {
	switch {
	case c.Name == KubeletClient || c.Name == "kubelet.conf":
		return []string{
			"see why the kubelet does not renew it: journalctl -u kubelet | grep -i certificate",
			"make it anew: rm /etc/kubernetes/kubelet.conf && hactl init phase kubeconfig kubelet --config FILE && systemctl restart kubelet",
			configHint,
		}
	case c.Authority:
		return []string{"plan a new CA: every certificate that it signed ends with it"}
	case strings.HasSuffix(c.Name, ".conf"):
		return []string{"make it anew: rm " + c.Path + " && hactl init phase kubeconfig " + strings.TrimSuffix(c.Name, ".conf") + " --config FILE", configHint}
	}
	return []string{
		"make it anew: rm " + c.Path + " && hactl init phase certs " + phaseOf(c.Name) + " --config FILE", configHint,
		"then restart what shows it: crictl stop CONTAINER",
	}
}

// phaseOf is the phase that makes a certificate: those of etcd have its name
// before theirs.
func phaseOf(name string) string { return strings.ReplaceAll(name, "/", "-") }

// clocks judges the clock that differs most.
func (r *Report) clocks() []Finding {
	var worst APIServer
	most := 0
	for _, s := range r.APIServers.Items {
		if s.SkewSeconds != nil && abs(*s.SkewSeconds) > most {
			worst, most = s, abs(*s.SkewSeconds)
		}
	}
	if most <= muchSkew {
		return nil
	}
	return []Finding{{
		What: fmt.Sprintf("the clock of %s is %d s from this node's: certificates and tokens are judged by both", worst.Title(), most),
		Fix:  []string{"let all nodes take the time from the same servers; on both: timedatectl"},
	}}
}

func abs(n int) int { return max(n, -n) }

// Advice is what a person should know of the number of members and what
// needs no attention now; "" if there is nothing.
func (e *Etcd) Advice() string {
	if e.Voters > 2 && e.Voters%2 == 0 {
		return fmt.Sprintf("%d voting members tolerate no more failures than %d: one more would make it %d",
			e.Voters, e.Voters-1, e.Tolerance+1)
	}
	return ""
}

// Span is a length of time for people: "364d", "5h", "12m".
func Span(d time.Duration) string {
	switch {
	case d >= 48*time.Hour:
		return fmt.Sprintf("%dd", int(d.Hours()/24))
	case d >= 2*time.Hour:
		return fmt.Sprintf("%dh", int(d.Hours()))
	}
	return fmt.Sprintf("%dm", int(d.Minutes()))
}
