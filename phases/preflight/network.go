package preflight

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/util/validation"
)

const (
	// resolveLimit is how long the endpoint's name may take.
	resolveLimit = 3 * time.Second
	// ownNameLimit is shorter, for an own name that does not resolve only
	// gives a warning.
	ownNameLimit = time.Second
)

// advertised wants the machine to have the address that others will use.
func (t *Task) advertised(context.Context) ([]string, error) {
	have, err := t.Interfaces()
	if err != nil {
		return nil, fmt.Errorf("list the addresses of this machine: %w", err)
	}
	var usable []string
	for _, p := range have {
		if p.Addr().WithZone("") == t.AdvertiseAddress.WithZone("") {
			return nil, nil
		}
		if p.Addr().IsGlobalUnicast() {
			usable = append(usable, p.Addr().String())
		}
	}
	if len(usable) == 0 {
		return nil, fault(fmt.Sprintf("this machine does not have the address %s", t.AdvertiseAddress), errors.New("it has none that others could use"),
			"give it one, and see it with: ip address")
	}
	return nil, fault(fmt.Sprintf("this machine does not have the address %s", t.AdvertiseAddress), fmt.Errorf("it has %s", strings.Join(usable, ", ")),
		"use one that it has: --apiserver-advertise-address "+usable[0])
}

// endpointResolves wants the name of the control-plane endpoint to lead
// somewhere; whether somebody listens there is not asked: the load balancer
// may come later.
func (t *Task) endpointResolves(ctx context.Context) ([]string, error) {
	name := strings.Trim(t.EndpointHost, "[]")
	if _, err := netip.ParseAddr(name); err == nil || name == "" {
		return nil, nil
	}
	ctx, cancel := context.WithTimeoutCause(ctx, resolveLimit, fmt.Errorf("no name server answered in %s", resolveLimit))
	defer cancel()
	addresses, err := t.Resolve(ctx, name)
	switch {
	case err == nil && len(addresses) > 0:
		return nil, nil
	case ctx.Err() != nil:
		err = context.Cause(ctx)
	case err == nil:
		err = errors.New("the name has no address")
	}
	return nil, fault(fmt.Sprintf("the name of the control-plane endpoint %s does not resolve", name), err,
		"add the name to DNS, and see it with: getent hosts "+name,
		fmt.Sprintf("or, on every node: echo 'ADDRESS %s' >> /etc/hosts", name),
		"or check its spelling: --control-plane-endpoint")
}

// hostname wants a name that a Node can have.
func (t *Task) hostname(ctx context.Context) ([]string, error) {
	if bad := validation.IsDNS1123Subdomain(t.NodeName); len(bad) > 0 {
		return nil, fault(fmt.Sprintf("%q cannot be the name of a Node", t.NodeName), errors.New(bad[0]),
			"choose another: --node-name, or hostnamectl set-hostname")
	}
	ctx, cancel := context.WithTimeout(ctx, ownNameLimit)
	defer cancel()
	if addresses, err := t.Resolve(ctx, t.NodeName); err != nil || len(addresses) == 0 {
		return []string{fmt.Sprintf("the name of this node, %s, does not resolve on it; add it to DNS or /etc/hosts", t.NodeName)}, nil
	}
	return nil, nil
}

// firewall warns of a firewall that closes ports by default.
func (t *Task) firewall(ctx context.Context) ([]string, error) {
	status, err := t.Host.Services().Status(ctx, "firewalld.service")
	if err != nil || !status.Exists || !status.Active {
		return nil, nil // without a service manager there is no firewalld
	}
	return []string{fmt.Sprintf("firewalld is active; other nodes must reach the ports %d and %d: firewall-cmd --permanent --add-port=%d/tcp --add-port=%d/tcp && firewall-cmd --reload",
		t.BindPort, kubeletPort, t.BindPort, kubeletPort)}, nil
}

// proxied warns of a proxy between this machine and its own API server.
func (t *Task) proxied(context.Context) ([]string, error) {
	return t.throughProxy(t.AdvertiseAddress, "the API server at "+t.AdvertiseAddress.String())
}

// proxiedSubnets warns of a proxy before Pods and Services.
func (t *Task) proxiedSubnets(context.Context) ([]string, error) {
	var warnings []string
	var errs []error
	for _, p := range t.Subnets {
		w, err := t.throughProxy(p.Masked().Addr().Next(), "the Pods or Services in "+p.String())
		warnings, errs = append(warnings, w...), append(errs, err)
	}
	return warnings, errors.Join(errs...)
}

func (t *Task) throughProxy(to netip.Addr, what string) ([]string, error) {
	if !to.IsValid() {
		return nil, nil // a worker has no API server
	}
	r, err := http.NewRequest(http.MethodGet, "https://"+net.JoinHostPort(to.String(), "1234"), nil)
	if err != nil {
		return nil, err
	}
	proxy, err := t.Proxy(r)
	if err != nil {
		return nil, fault("the proxy settings are not right", err, "see HTTP_PROXY, HTTPS_PROXY and NO_PROXY: env | grep -i proxy")
	}
	if proxy == nil {
		return nil, nil
	}
	return []string{fmt.Sprintf("%s would be reached through the proxy %s; add the addresses to NO_PROXY if that is not meant", what, proxy.Redacted())}, nil
}
