package loadbalancer

import (
	"context"
	"errors"
	"fmt"
	"net/netip"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hactl/hactl/phases/kube"
	"github.com/hactl/hactl/templates/loadbalancer"
)

// ErrNoServers says that a cluster names no API server. It is never a reason
// to empty a balancer's list.
var ErrNoServers = errors.New("EndpointSlice default/kubernetes lists no API server")

// apiService is the Service whose endpoints the API servers keep themselves:
// each adds itself, and one that has not been heard of for 15 s is taken out
// (kube-apiserver v1.37, --endpoint-reconciler-type=lease).
const apiService = "kubernetes"

// slice is the one object that a balancer's host has to read.
func slice() *discoveryv1.EndpointSlice {
	return &discoveryv1.EndpointSlice{ObjectMeta: metav1.ObjectMeta{Namespace: metav1.NamespaceDefault, Name: apiService}}
}

// Servers asks the cluster for its API servers. Names come from known, by
// address; others get one made of the address. It returns ErrNoServers for an
// empty list.
func Servers(ctx context.Context, api kube.API, known []loadbalancer.Server) ([]loadbalancer.Server, error) {
	s := slice()
	if err := api.Get(ctx, s); err != nil {
		return nil, err
	}
	port := securePort(s)
	var list []loadbalancer.Server
	for _, e := range s.Endpoints {
		if e.Conditions.Ready != nil && !*e.Conditions.Ready {
			continue
		}
		for _, a := range e.Addresses {
			address, err := netip.ParseAddr(a)
			if err != nil {
				return nil, fmt.Errorf("EndpointSlice default/kubernetes: %w", err)
			}
			list = append(list, loadbalancer.Server{Address: netip.AddrPortFrom(address.Unmap(), port)})
		}
	}
	if len(list) == 0 || port == 0 {
		return nil, ErrNoServers
	}
	return loadbalancer.Sort(named(list, known))
}

func securePort(s *discoveryv1.EndpointSlice) uint16 {
	for _, p := range s.Ports {
		if p.Port != nil && (p.Name == nil || *p.Name == "https" || len(s.Ports) == 1) {
			return uint16(*p.Port)
		}
	}
	return 0
}

// named gives names to servers of which the address is known. A node that
// came back with another's address does not get two servers one name.
func named(list, known []loadbalancer.Server) []loadbalancer.Server {
	names, taken := map[netip.Addr]string{}, map[string]bool{}
	for _, k := range known {
		names[k.Address.Addr()] = k.Name
	}
	for i, s := range list {
		name := names[s.Address.Addr()]
		if name == "" || taken[name] {
			name = loadbalancer.NameOf(s.Address.Addr())
		}
		list[i].Name, taken[name] = name, true
	}
	return list
}

// endpointAnnotation is where an API server's pod says its own address
// (kubeadm v1.37, constants/constants.go).
const endpointAnnotation = "kubeadm.kubernetes.io/kube-apiserver.advertise-address.endpoint"

// Names asks the cluster for the names of the nodes that its API servers run
// on. It needs the right to list pods; what cannot be had is left out.
func Names(ctx context.Context, api kube.API) []loadbalancer.Server {
	pods := &corev1.PodList{}
	if err := api.List(ctx, pods, metav1.NamespaceSystem, "component=kube-apiserver"); err != nil {
		return nil
	}
	var list []loadbalancer.Server
	for _, p := range pods.Items {
		if s, err := loadbalancer.ParseServer(p.Spec.NodeName + "=" + p.Annotations[endpointAnnotation]); err == nil {
			list = append(list, s)
		}
	}
	return list
}
