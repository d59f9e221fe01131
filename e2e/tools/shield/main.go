//go:build linux

// Command shield starts kube-proxy with private copies of the two settings of
// connection tracking that belong to the whole machine. A lab node shares its
// kernel with the machine and with every other node: there kube-proxy may not
// set them (only the first network namespace can), and must not.
//
// It is the lab image's /usr/local/bin/kube-proxy, and runs the real one with
// the same arguments. Both settings are written only when they differ from
// what kube-proxy wants, see pkg/proxy/conntrack/sysctls.go of Kubernetes 1.37.
package main

import (
	"fmt"
	"os"
	"path/filepath"
	"syscall"
)

// program is where the lab's image keeps the real kube-proxy.
const program = "/usr/local/lib/hactl-lab/kube-proxy"

var shared = []string{
	"/proc/sys/net/netfilter/nf_conntrack_max",
	"/sys/module/nf_conntrack/parameters/hashsize",
}

func main() {
	for _, path := range shared {
		if err := cover(path); err != nil {
			fmt.Fprintln(os.Stderr, "shield:", err)
		}
	}
	err := syscall.Exec(program, os.Args, os.Environ())
	fmt.Fprintln(os.Stderr, "shield:", program, err)
	os.Exit(1)
}

// cover puts an ordinary writable file with the same content over path. The
// mount is private to the container and goes away with it.
func cover(path string) error {
	data, err := os.ReadFile(path)
	if os.IsNotExist(err) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := os.MkdirAll("/run/shield", 0o755); err != nil {
		return err
	}
	copied := filepath.Join("/run/shield", filepath.Base(path))
	if err := os.WriteFile(copied, data, 0o644); err != nil {
		return err
	}
	return syscall.Mount(copied, path, "", syscall.MS_BIND, "")
}
