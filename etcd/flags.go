package etcd

import (
	"net"
	"net/netip"
	"net/url"
	"path"
	"strconv"
)

// MetricsPort is where a member serves its metrics and its health, on the
// loopback address only (kubeadm v1.37, constants.go).
const MetricsPort = 2381

// The ports of clients and peers (kubeadm v1.37, constants.go).
const (
	clientPort = 2379
	peerPort   = 2380
)

// ClientURL is where clients reach the member at a host, an address or a name.
func ClientURL(host string) string { return link("https", host, clientPort) }

// PeerURL is where the other members reach the member at a host.
func PeerURL(host string) string { return link("https", host, peerPort) }

// HostOf is the host of a member's URL, an address in its shortest form; "" if
// there is none.
func HostOf(link string) string {
	u, err := url.Parse(link)
	if err != nil {
		return ""
	}
	if a, err := netip.ParseAddr(u.Hostname()); err == nil {
		return a.Unmap().String()
	}
	return u.Hostname()
}

func link(scheme, host string, port int) string {
	return scheme + "://" + net.JoinHostPort(host, strconv.Itoa(port))
}

// Loopback is the loopback address of the same family.
func Loopback(address netip.Addr) string {
	if address.Is6() {
		return "::1"
	}
	return "127.0.0.1"
}

// Setup is how a member is set up.
type Setup struct {
	Name    string
	Address netip.Addr // where clients and peers reach it
	// CertDir is that of etcd's own certificates.
	CertDir, DataDir string
}

// Flags are etcd's command line by names without dashes, wherever it runs.
// The caller may change them.
func (s Setup) Flags(in Initial) map[string]string {
	host, loopback := s.Address.String(), Loopback(s.Address)
	flags := map[string]string{
		"advertise-client-urls":          ClientURL(host),
		"cert-file":                      path.Join(s.CertDir, "server.crt"),
		"client-cert-auth":               "true",
		"data-dir":                       s.DataDir,
		"feature-gates":                  "InitialCorruptCheck=true",
		"initial-advertise-peer-urls":    PeerURL(host),
		"initial-cluster":                in.Cluster,
		"key-file":                       path.Join(s.CertDir, "server.key"),
		"listen-client-urls":             ClientURL(loopback) + "," + ClientURL(host),
		"listen-metrics-urls":            link("http", loopback, MetricsPort),
		"listen-peer-urls":               PeerURL(host),
		"name":                           s.Name,
		"peer-cert-file":                 path.Join(s.CertDir, "peer.crt"),
		"peer-client-cert-auth":          "true",
		"peer-key-file":                  path.Join(s.CertDir, "peer.key"),
		"peer-trusted-ca-file":           path.Join(s.CertDir, "ca.crt"),
		"snapshot-count":                 "10000",
		"trusted-ca-file":                path.Join(s.CertDir, "ca.crt"),
		"watch-progress-notify-interval": "5s",
	}
	if in.State != "" {
		flags["initial-cluster-state"] = in.State
	}
	return flags
}
