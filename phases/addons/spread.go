package addons

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hactl/hactl/phases"
	"github.com/hactl/hactl/phases/kube"
	"github.com/hactl/hactl/phases/wait"
)

// Spread is what SpreadPhase works from.
type Spread struct {
	API      kube.API
	NodeName string // of the node that has just joined
	// Limit is how long that node may take to be Ready, before the replicas
	// stay where they are; 20 s is plenty where there is a pod network.
	Limit time.Duration

	gaveUp bool // the node took too long
}

// SpreadPhase moves one of CoreDNS's replicas away when all of them are on
// one node, which they are after an init: nothing else ever would, and the
// loss of that node would take the cluster's DNS with it.
//
// Nodes that join at the same time choose the same replica, so that never
// more than one is missing.
func SpreadPhase() phases.Phase[Spread] {
	return phases.Phase[Spread]{
		Name:    "spread-coredns",
		Title:   "CoreDNS runs on more than one node",
		Reads:   []string{"Pods of CoreDNS"},
		Writes:  []string{"one Pod of CoreDNS is made anew"},
		Hidden:  true,
		Observe: observeSpread,
		Apply:   applySpread,
	}
}

// errNotReady ends the wait for a node that has no pod network yet.
var errNotReady = errors.New("the node is not ready")

func observeSpread(ctx context.Context, s *Spread) (phases.State, error) {
	crowd, err := s.crowd(ctx)
	if err != nil || len(crowd) < 2 || s.gaveUp {
		return phases.Done, err
	}
	networked, err := s.networked(ctx)
	if err != nil || !networked {
		// Without a pod network no replica runs anywhere yet.
		return phases.Done, err
	}
	return phases.Missing, nil
}

// crowd are the replicas, if all of them are on one other node.
func (s *Spread) crowd(ctx context.Context) ([]corev1.Pod, error) {
	pods := &corev1.PodList{}
	if err := s.API.List(ctx, pods, metav1.NamespaceSystem, "k8s-app=kube-dns"); err != nil {
		return nil, fmt.Errorf("list the replicas of CoreDNS: %w", err)
	}
	var list []corev1.Pod
	for _, p := range pods.Items {
		if p.DeletionTimestamp == nil {
			list = append(list, p)
		}
	}
	if len(list) == 0 || list[0].Spec.NodeName == s.NodeName {
		return nil, nil
	}
	for _, p := range list {
		if p.Spec.NodeName == "" || p.Spec.NodeName != list[0].Spec.NodeName {
			return nil, nil
		}
	}
	slices.SortFunc(list, func(a, b corev1.Pod) int { return strings.Compare(a.Name, b.Name) })
	return list, nil
}

// networked says whether any node is Ready.
func (s *Spread) networked(ctx context.Context) (bool, error) {
	nodes := &corev1.NodeList{}
	if err := s.API.List(ctx, nodes, "", ""); err != nil {
		return false, fmt.Errorf("list the nodes: %w", err)
	}
	return slices.ContainsFunc(nodes.Items, ready), nil
}

func ready(n corev1.Node) bool {
	return slices.ContainsFunc(n.Status.Conditions, func(c corev1.NodeCondition) bool {
		return c.Type == corev1.NodeReady && c.Status == corev1.ConditionTrue
	})
}

func applySpread(ctx context.Context, s *Spread) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	c := wait.Condition{
		What: "this node is ready to run one of CoreDNS's replicas",
		Check: func(ctx context.Context) (bool, string, error) {
			n := s.node()
			if err := s.API.Get(ctx, n); err != nil {
				return false, err.Error(), nil
			}
			return ready(*n), errNotReady.Error(), nil
		},
	}
	if changes, err := s.API.Watch(ctx, s.node()); err == nil {
		c.Wake = append(c.Wake, changes)
	}
	var late *wait.TimeoutError
	if err := wait.For(ctx, s.Limit, c); errors.As(err, &late) {
		s.gaveUp = true
		phases.Warn(ctx, "all replicas of CoreDNS are on one node, and this one is not ready to take one; spread them later: kubectl -n kube-system rollout restart deployment/coredns")
		return nil
	} else if err != nil {
		return err
	}
	crowd, err := s.crowd(ctx)
	if err != nil || len(crowd) < 2 {
		return err
	}
	err = s.API.Delete(ctx, &crowd[len(crowd)-1])
	if apierrors.IsNotFound(err) {
		return nil // another node that joins was faster
	}
	return err
}

func (s *Spread) node() *corev1.Node {
	return &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: s.NodeName}}
}
