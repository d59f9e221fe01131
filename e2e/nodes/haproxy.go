//go:build linux

package nodes

import (
	"fmt"
	"strings"
)

const haproxyFile = "/etc/haproxy/haproxy.cfg"

// backend is one API server behind the load balancer.
type backend struct{ name, address string }

func (l *Lab) backends() []backend {
	var all []backend
	for _, n := range l.withRole(ControlPlane) {
		all = append(all, backend{n.name, n.address.String()})
	}
	return all
}

// haproxyConfig passes connections on to API servers that say they are ready.
// Control planes are listed before they exist; the checks keep them out. One
// that stops answering is out within two to three seconds, and its
// connections are cut so that clients do not wait for them.
//
// 401 counts as ready: so answers a cluster that refuses anonymous requests.
func haproxyConfig(backends []backend) []byte {
	var b strings.Builder
	b.WriteString(`global
    stats socket /run/haproxy/admin.sock mode 600 level admin

defaults
    mode tcp
    timeout connect 2s
    timeout client 4h
    timeout server 4h
    option redispatch
    retries 3

frontend api
    bind :6443
    default_backend control-planes

backend control-planes
    balance roundrobin
    option httpchk
    http-check send meth GET uri /readyz
    http-check expect rstatus ^(200|401)$
    timeout check 1s
    default-server check check-ssl verify none inter 500ms fastinter 250ms downinter 500ms fall 2 rise 1 on-marked-down shutdown-sessions
`)
	for _, s := range backends {
		fmt.Fprintf(&b, "    server %s %s:6443\n", s.name, s.address)
	}
	return []byte(b.String())
}
