package app

import (
	"context"
	"errors"
	"net/netip"
	"path"
	"slices"
	"strings"
	"sync"

	corev1 "k8s.io/api/core/v1"

	"github.com/hactl/hactl/config"
	"github.com/hactl/hactl/phases"
	"github.com/hactl/hactl/phases/host"
	"github.com/hactl/hactl/phases/kube"
	"github.com/hactl/hactl/phases/kubeconfig"
	"github.com/hactl/hactl/phases/pki"
	"github.com/hactl/hactl/phases/preflight"
	"github.com/hactl/hactl/phases/publish"
)

// apiServerAddress is the annotation of kube-apiserver's pod that tells where
// it listens (kubeadm v1.37, constants/constants.go).
const apiServerAddress = "kubeadm.kubernetes.io/kube-apiserver.advertise-address.endpoint"

// rehearsal is what a joining control plane would have after its first
// phases, in memory only: a key that opens nothing is found before anything
// is written, and preflight may ask the cluster what a bootstrap token may
// not.
type rehearsal struct {
	files *host.Overlay
	admin kube.API
}

func (j *joiner) rehearse(ctx context.Context, s *Joining) (*rehearsal, error) {
	r := &rehearsal{files: host.NewOverlay(j.host)}
	download, shared, conf := s.download, s.pki, s.kubeconfig
	download.Host, shared.Host, conf.Host, conf.Keys = r.files, r.files, r.files, nil
	o := phases.Options{Now: j.now}
	if err := phases.Run(ctx, []phases.Phase[publish.Task]{publish.DownloadPhase()}, &download, o); err != nil {
		return nil, inner(err)
	}
	o.Only = []string{"certs/shared"}
	if err := phases.Run(ctx, []phases.Phase[pki.Task]{pki.JoinPhase()}, &shared, o); err != nil {
		return nil, inner(err)
	}
	o.Only = []string{"kubeconfig/admin"}
	if err := phases.Run(ctx, []phases.Phase[kubeconfig.Task]{kubeconfig.JoinPhase()}, &conf, o); err != nil {
		return nil, inner(err)
	}
	r.admin = j.dialAPI(r.files, j.found.Endpoint, []string{path.Join(config.KubernetesDir, "admin.conf")})
	return r, nil
}

// rehearseOnce rehearses for several checks, which run at the same time.
func (j *joiner) rehearseOnce(s *Joining) func(context.Context) (*rehearsal, error) {
	var first sync.Once
	var rehearsed *rehearsal
	var failed error
	return func(ctx context.Context) (*rehearsal, error) {
		first.Do(func() { rehearsed, failed = j.rehearse(ctx, s) })
		return rehearsed, failed
	}
}

// inner is an error without the phase of the rehearsal that it came from.
func inner(err error) error {
	var inPhase *phases.PhaseError
	if errors.As(err, &inPhase) {
		return inPhase.Err
	}
	return err
}

// peers are the cluster's control planes except of this node, as the pods of
// their API servers tell. The pods of a node that was removed stay for a
// minute.
func peers(ctx context.Context, api kube.API, own string, stacked bool) ([]preflight.Peer, error) {
	pods, nodes := &corev1.PodList{}, &corev1.NodeList{}
	if err := api.List(ctx, pods, "kube-system", "component=kube-apiserver,tier=control-plane"); err != nil {
		return nil, err
	}
	if err := api.List(ctx, nodes, "", ""); err != nil {
		return nil, err
	}
	var list []preflight.Peer
	for _, p := range pods.Items {
		at, err := netip.ParseAddrPort(p.Annotations[apiServerAddress])
		there := slices.ContainsFunc(nodes.Items, func(n corev1.Node) bool { return n.Name == p.Spec.NodeName })
		if err != nil || p.Spec.NodeName == own || !there {
			continue
		}
		list = append(list, preflight.Peer{Name: p.Spec.NodeName, Address: at.Addr().Unmap(), APIPort: int(at.Port()), Etcd: stacked})
	}
	slices.SortFunc(list, func(a, b preflight.Peer) int { return strings.Compare(a.Name, b.Name) })
	return list, nil
}
