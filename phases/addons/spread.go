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
	// Limit is how long that node may take to be Ready, and the API server to
	// answer, before the replicas stay where they are; 20 s is plenty where
	// there is a pod network.
	Limit time.Duration

	// What took too long; "" while nothing did. The node has joined, so it
	// fails nothing.
	gaveUp string
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
	if s.gaveUp != "" {
		return phases.Done, nil
	}
	crowd, err := s.crowd(ctx)
	if err == nil && len(crowd) < 2 {
		return phases.Done, nil
	}
	networked := false
	if err == nil {
		networked, err = s.networked(ctx)
	}
	switch {
	case s.late(err, unanswered):
		return phases.Missing, nil
	case err != nil || !networked:
		// Without a pod network no replica runs anywhere yet.
		return phases.Done, err
	}
	return phases.Missing, nil
}

const (
	unready    = "all replicas of CoreDNS are on one node, and this one is not ready to take one"
	unanswered = "all replicas of CoreDNS may be on one node: the API server did not answer"
)

// late notes why the replicas stay where they are, if err is a limit.
func (s *Spread) late(err error, why string) bool {
	var limit *wait.TimeoutError
	if errors.As(err, &limit) && s.gaveUp == "" {
		s.gaveUp = why
	}
	return s.gaveUp != ""
}

// crowd are the replicas, if all of them are on one other node.
func (s *Spread) crowd(ctx context.Context) ([]corev1.Pod, error) {
	pods := &corev1.PodList{}
	err := s.insist(ctx, "the replicas of CoreDNS", func(ctx context.Context) error {
		return s.API.List(ctx, pods, metav1.NamespaceSystem, "k8s-app=kube-dns")
	})
	if err != nil {
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
	err := s.insist(ctx, "the nodes", func(ctx context.Context) error { return s.API.List(ctx, nodes, "", "") })
	if err != nil {
		return false, fmt.Errorf("list the nodes: %w", err)
	}
	return slices.ContainsFunc(nodes.Items, ready), nil
}

// insist makes a call of an API server that may be away for a moment: another
// control plane may join or end at the same time.
func (s *Spread) insist(ctx context.Context, name string, call func(context.Context) error) error {
	return kube.Insist(ctx, s.API, s.Limit, name, call)
}

func ready(n corev1.Node) bool {
	return slices.ContainsFunc(n.Status.Conditions, func(c corev1.NodeCondition) bool {
		return c.Type == corev1.NodeReady && c.Status == corev1.ConditionTrue
	})
}

func applySpread(ctx context.Context, s *Spread) error {
	err := s.spread(ctx)
	if s.late(err, unanswered) {
		phases.Warn(ctx, s.gaveUp+"; spread them later: kubectl -n kube-system rollout restart deployment/coredns")
		return nil
	}
	return err
}

func (s *Spread) spread(ctx context.Context) error {
	if s.gaveUp != "" {
		return nil
	}
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
	if err := wait.For(ctx, s.Limit, c); err != nil {
		s.late(err, unready)
		return err
	}
	crowd, err := s.crowd(ctx)
	if err != nil || len(crowd) < 2 {
		return err
	}
	replica := &crowd[len(crowd)-1]
	err = s.insist(ctx, "Pod "+replica.Namespace+"/"+replica.Name, func(ctx context.Context) error {
		return s.API.Delete(ctx, replica)
	})
	if apierrors.IsNotFound(err) {
		return nil // another node that joins was faster
	}
	return err
}

func (s *Spread) node() *corev1.Node {
	return &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: s.NodeName}}
}
