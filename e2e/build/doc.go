// Package build makes what the lab's nodes consist of: the Kubernetes,
// etcd, containerd, CNI and CoreDNS binaries, the container images, the Debian
// root file system, and a containerd directory that holds all images.
//
// Everything lands in a cache outside the repository, keyed by what it was
// made from, so that a second run builds nothing. Nothing here starts a node;
// that is package nodes. Modules and packages come through the machine's own
// Go and apt configuration: no mirror is named here.
package build
