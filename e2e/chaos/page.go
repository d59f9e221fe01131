package main

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// page is the record as a page of the documentation, in Markdown.
func (r record) page() string {
	var b strings.Builder
	total := r.sum()
	fmt.Fprintf(&b, "# Faults, counted\n\n")
	fmt.Fprintf(&b, "`make chaos` has written this page. One thing after the other went wrong in real clusters of three control planes with stacked etcd, a worker and HAProxy, and each time hactl and the cluster had to come through: **%d of %d faults of %d kinds were survived.**\n\n",
		total.passed, total.count, len(r.groups()))
	fmt.Fprintf(&b, "| Fault | faults | survived | longest gap between writes | healthy again, median |\n|---|--:|--:|--:|--:|\n")
	for _, g := range r.groups() {
		fmt.Fprintf(&b, "| %s | %d | %d | %.1f s | %.1f s |\n", g.kind, g.count, g.passed, g.gap, g.healthy)
	}
	fmt.Fprintf(&b, "| **all** | **%d** | **%d** | **%.1f s** | |\n", total.count, total.passed, total.gap)
	b.WriteString(meaning)
	r.gaps(&b)
	r.unsurvived(&b)
	fmt.Fprintf(&b, "\n## Run it\n\n    make chaos FAULTS=%d SEED=%d\n", total.count, r.Seed)
	b.WriteString(howTo)
	fmt.Fprintf(&b, "\n## Measured with\n\n- seed %d, faults %d to %d, %.0f minutes\n- %s; all nodes on this one machine\n",
		r.Seed, r.Results[0].Number, r.Results[len(r.Results)-1].Number, r.Took.Minutes(), r.Machine)
	for _, v := range r.Versions {
		fmt.Fprintf(&b, "- %s %s\n", v.Of, v.Is)
	}
	fmt.Fprintf(&b, "- %d acknowledged writes and %d answered reads\n", r.Writes, r.Reads)
	return b.String()
}

var meaning = fmt.Sprintf(`
A gap is the longest time without an acknowledged write through the load balancer. "Healthy again" counts from the end of the fault, including the commands that a person has to run then, until every check below is met.

## What happens

- **A process is killed** with SIGKILL: etcd, kube-apiserver, kubelet, containerd, HAProxy; at rest, or while another control plane joins.
- **A machine loses its power**, at rest, while it joins, while it is reset, or while another joins, and gets it back.
- **The network fails** for some seconds: the cable is out; a node is cut off from its peers or from the load balancer; nothing arrives, or nothing leaves; half of all packets are lost; each packet takes 100 ms longer. At rest, while the node joins, or while it is reset.
- **hactl is killed** at a random moment of init, join or reset.
- **A disk is full**, or a file system becomes read-only, below a join.
- **The uploaded certificates** are deleted or altered before or during a join.
- **Two operators** run join and reset against each other, on one node or on two.
- **The clock** is an hour off for the hactl that joins: all nodes share one machine and its clock, so this hactl is built with another `+"`time`"+` package.

Each %d faults get a new cluster; the first of them happens to its init. Clusters are under load all the time: one write and one read at a time, ten a second at most, each with a connection of its own and a patience of %s. A run with fewer than %.0f answers a second fails.

## What is checked after each fault

- the same command, run again, ends well; one that failed has said what is wrong and how to mend it, with exit code 1, 3, 4 or 5
- every acknowledged write is on every member of etcd, asked one by one, and no read through the load balancer has missed one
- all members have the same hash of all data at the same revision
- the members are exactly the control planes, each with a vote, no learner and no stale one is left, and all of them see the same list, leader and cluster
- the cluster is the same as before: etcd's cluster ID and the UID of kube-system
- every API server and the load balancer are ready, every node is Ready and has its role
- no half-written file is left
- `+"`hactl status`"+` finds nothing that needs attention, within %s
- no gap is longer than %s, but where the only load balancer is what failed, or one of two members with a vote while the third joins
`, epoch, answerLimit, leastRate, settleLimit, maxGap)

const howTo = `
It needs what the lab needs (see e2e/README.md). Which fault comes when follows from the seed, and each fault from the seed and its number alone. A failure prints the command that repeats its fault, such as:

    go run ./e2e/chaos --seed 1 --from 17 --faults 1

The nodes' logs are kept below logs/chaos. logs/chaos.jsonl has a line for everything that happened: each fault with its parameters, each command with its exit code, each result. The components that the kubelet starts again have a back-off of 2 s at most, so that recovery is measured and not the back-off for components that end again and again. A short run with fixed seeds is part of ` + "`make test`" + `.
`

// gaps lists the longest ones.
func (r record) gaps(b *strings.Builder) {
	const many = 5
	sorted := slices.SortedFunc(slices.Values(r.Results), func(x, y result) int { return cmp.Compare(y.Gap, x.Gap) })
	fmt.Fprintf(b, "\n## The longest gaps\n\n| Fault | gap |\n|---|--:|\n")
	for _, x := range sorted[:min(many, len(sorted))] {
		fmt.Fprintf(b, "| %s | %.1f s |\n", x.fault, x.Gap)
	}
}

// unsurvived lists what went wrong, if anything.
func (r record) unsurvived(b *strings.Builder) {
	for _, text := range r.Troubles {
		fmt.Fprintf(b, "\n**Besides, this went wrong:** %s\n", text)
	}
	for i, x := range slices.DeleteFunc(slices.Clone(r.Results), func(x result) bool { return x.Problem == "" }) {
		if i == 0 {
			fmt.Fprintf(b, "\n## Not survived\n\n")
		}
		fmt.Fprintf(b, "- fault %d, %s: %s\n", x.Number, x.fault, x.Problem)
	}
}
