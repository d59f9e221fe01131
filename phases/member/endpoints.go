package member

import (
	"context"
	"slices"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hactl/hactl/etcd"
	"github.com/hactl/hactl/phases/kube"
	"github.com/hactl/hactl/phases/wait"
	"github.com/hactl/hactl/templates/staticpod"
)

// controlPlane is the label of the nodes that may run etcd.
const controlPlane = "node-role.kubernetes.io/control-plane"

// pods are those of etcd, as the API server knows them.
type pods []corev1.Pod

// etcdPods lists the cluster's etcd pods.
func (t *JoinTask) etcdPods(ctx context.Context) (pods, error) {
	list := &corev1.PodList{}
	err := t.ask(ctx, "the API tells the pods of etcd", func(ctx context.Context) error {
		return t.API.List(ctx, list, metav1.NamespaceSystem, "component="+Name)
	})
	return list.Items, err
}

// ask repeats a question until an API server answers.
func (t *JoinTask) ask(ctx context.Context, what string, question func(context.Context) error) error {
	return wait.For(ctx, t.Timeouts.KubernetesAPI, wait.Condition{
		What: what, LimitName: "timeouts.kubernetesAPICall",
		Check: func(ctx context.Context) (bool, string, error) {
			err := question(ctx)
			if kube.Unreachable(err) {
				return false, err.Error(), nil
			}
			return err == nil, "", err
		},
	})
}

// others returns the client URLs of the other nodes' members, or this
// node's own one if it is the only one.
func (t *JoinTask) others(ctx context.Context, ps pods) ([]string, error) {
	urls := ps.urls()
	if len(urls) == 0 {
		list := &corev1.NodeList{}
		err := t.ask(ctx, "the API tells the control-plane nodes", func(ctx context.Context) error {
			return t.API.List(ctx, list, "", controlPlane)
		})
		if err != nil {
			return nil, err
		}
		urls = nodeURLs(list.Items)
	}
	if len(urls) == 0 {
		return nil, noEndpoints()
	}
	own := t.clientURL()
	others := slices.DeleteFunc(slices.Clone(urls), func(u string) bool { return sameHost(u, own) })
	if len(others) == 0 {
		return urls, nil
	}
	return others, nil
}

// urls are the addresses that the pods announce.
func (ps pods) urls() []string {
	var urls []string
	for _, p := range ps {
		if u := p.Annotations[clientURLs]; u != "" && !slices.Contains(urls, u) {
			urls = append(urls, u)
		}
	}
	return urls
}

// maxLearners is the flag that must be the same on all members: see DESIGN.md.
const maxLearners = "max-learners"

// learnersOf is how many learners the member in a pod takes at a time, as
// its flag says it.
func learnersOf(p *corev1.Pod) string {
	if value, ok := staticpod.Flag(p, maxLearners); ok {
		return value
	}
	return "1"
}

// learnersAtOnce is how many learners every member is known to take at a
// time. A member whose pod the API does not show yet was made with the
// cluster's configuration, as this node's is: the kubelet of a first control
// plane needs some seconds to show its pods.
func (j *joiner) learnersAtOnce() int {
	least := 0
	if len(j.pods) == 0 {
		if own, err := j.pod(etcd.Initial{}).Patched(); err == nil {
			least, _ = strconv.Atoi(learnersOf(own)) // zero if it is not set
		}
	}
	for i := range j.pods {
		n, err := strconv.Atoi(learnersOf(&j.pods[i]))
		if err != nil {
			return 1
		}
		if i == 0 || n < least {
			least = n
		}
	}
	return least
}

// sameLearners refuses a member that would take more or fewer learners at a
// time than the others do.
func (j *joiner) sameLearners() error {
	own, err := j.pod(etcd.Initial{}).Patched()
	if err != nil {
		return err
	}
	for i := range j.pods {
		p := &j.pods[i]
		if sameHost(p.Annotations[clientURLs], j.clientURL()) {
			continue // what this node ran before
		}
		if learnersOf(p) != learnersOf(own) {
			return j.otherLearners(p, learnersOf(own))
		}
	}
	return nil
}

// nodeURLs are where etcd usually listens on the nodes.
func nodeURLs(nodes []corev1.Node) []string {
	var urls []string
	for _, n := range nodes {
		for _, a := range n.Status.Addresses {
			if a.Type != corev1.NodeInternalIP {
				continue
			}
			urls = append(urls, etcd.ClientURL(a.Address))
			break
		}
	}
	return urls
}

// sameHost says whether two URLs name the same host.
func sameHost(a, b string) bool { return etcd.HostOf(a) == etcd.HostOf(b) && etcd.HostOf(a) != "" }
