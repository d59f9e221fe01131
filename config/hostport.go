package config

import (
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation"
)

// HostPort is a DNS name or address with an optional port, as in
// controlPlaneEndpoint.
type HostPort struct {
	Host string // without brackets
	Port uint16 // zero: not given
}

// ParseHostPort reads "name", "name:6443", "10.0.0.1:6443", "fd00::1" or
// "[fd00::1]:6443". As in kubeadm, "name:" has no port.
func ParseHostPort(s string) (HostPort, error) {
	if a, err := netip.ParseAddr(s); err == nil && a.Zone() == "" {
		return HostPort{Host: a.String()}, nil
	}
	host, port := s, ""
	if strings.Contains(s, ":") {
		var err error
		if host, port, err = net.SplitHostPort(s); err != nil {
			return HostPort{}, fmt.Errorf("%q is not host or host:port", s)
		}
	}
	hp := HostPort{Host: host}
	if port != "" {
		n, err := strconv.ParseUint(port, 10, 16)
		if err != nil || n == 0 {
			return HostPort{}, fmt.Errorf("%q has port %q; a port is a number from 1 to 65535", s, port)
		}
		hp.Port = uint16(n)
	}
	if a, err := netip.ParseAddr(host); err == nil && a.Zone() == "" {
		hp.Host = a.String()
		return hp, nil
	}
	if allDigitsAndDots(host) {
		return HostPort{}, fmt.Errorf("%q looks like an IP address, but is none", host)
	}
	if errs := validation.IsDNS1123Subdomain(host); len(errs) > 0 {
		return HostPort{}, fmt.Errorf("%q is neither an IP address nor a DNS name (lower-case letters, digits, '-' and '.')", host)
	}
	return hp, nil
}

// IsZero says whether nothing is given.
func (hp HostPort) IsZero() bool { return hp.Host == "" }

// String is the form that ParseHostPort reads.
func (hp HostPort) String() string {
	switch {
	case hp.IsZero():
		return ""
	case hp.Port == 0:
		return hp.Host
	}
	return net.JoinHostPort(hp.Host, strconv.Itoa(int(hp.Port)))
}

func allDigitsAndDots(s string) bool {
	return s != "" && strings.Trim(s, "0123456789.") == ""
}
