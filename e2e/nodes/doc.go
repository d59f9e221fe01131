// Package nodes runs labs: machines with systemd, containerd and a kubelet,
// on which real Kubernetes comes up, as systemd-nspawn containers of this one.
//
// A lab lives in process, mount and network namespaces of its own, held by one
// process, the keeper (see e2e/tools/keeper). Its bridge, its links, its
// mounts and all its processes are inside; outside there are one control group
// per controller and one directory of state. So two labs cannot meet, the
// machine's network and firewall are never touched, and when the keeper ends
// for whatever reason, the kernel takes the rest away.
//
// A lab has no way out: every image and program is on the nodes already.
//
// All methods may be called at the same time from several goroutines, except
// that two changes to one node's power, disk or network must not overlap.
package nodes
