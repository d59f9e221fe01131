package health

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	bootstrap "k8s.io/cluster-bootstrap/token/api"

	"github.com/hactl/hactl/phases/kube"
	"github.com/hactl/hactl/templates"
)

// pick returns the first API that says it is ready, or else one that answers
// at all. The error is that of the best one.
func (t *Task) pick(ctx context.Context) (kube.API, error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	answers := make([]*later[bool], len(t.APIs))
	for i, a := range t.APIs {
		answers[i] = begin(func() (ready bool, err error) {
			_, err = a.Raw(ctx, "/readyz")
			var status apierrors.APIStatus
			if errors.As(err, &status) && !apierrors.IsUnauthorized(err) {
				return false, nil
			}
			return err == nil, err
		})
	}
	return best(ctx, t.APIs, answers)
}

// best waits for the answers in the order in which they come, since one that
// never comes must not keep the others waiting.
func best(ctx context.Context, apis []kube.API, answers []*later[bool]) (kube.API, error) {
	come := make(chan int, len(answers))
	for i, a := range answers {
		go func() {
			_, _ = a.wait(ctx)
			come <- i
		}()
	}
	var second kube.API
	errs := make([]error, len(apis))
	for range answers {
		i := <-come
		ready, err := answers[i].wait(ctx)
		switch {
		case ready:
			return apis[i], nil
		case err == nil:
			second = apis[i]
		default:
			errs[i] = err
		}
	}
	if second != nil {
		return second, nil
	}
	return nil, cmp.Or(append(errs, errors.New("there is no kubeconfig to ask with"))...)
}

// ask makes one call of the chosen API within the limit.
func ask(ctx context.Context, api *later[kube.API], call func(context.Context, kube.API) error) error {
	chosen, err := api.wait(ctx)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	return call(ctx, chosen)
}

// words says for people why something could not be had.
func words(err error) string {
	switch {
	case err == nil:
		return ""
	case errors.Is(err, context.DeadlineExceeded):
		return "no answer within " + limit.String()
	}
	return err.Error()
}

// pods lists the control plane's static pods, which tell where things are.
// Those of a node that was deleted stay for a minute, and tell nothing.
func pods(ctx context.Context, api *later[kube.API]) ([]corev1.Pod, error) {
	list, nodes := &corev1.PodList{}, &corev1.NodeList{}
	err := ask(ctx, api, func(ctx context.Context, a kube.API) error {
		return errors.Join(a.List(ctx, nodes, "", ""), a.List(ctx, list, metav1.NamespaceSystem, "tier=control-plane"))
	})
	return slices.DeleteFunc(list.Items, func(p corev1.Pod) bool {
		return err == nil && !slices.ContainsFunc(nodes.Items, func(n corev1.Node) bool { return n.Name == p.Spec.NodeName })
	}), err
}

func nodes(ctx context.Context, api *later[kube.API]) Nodes {
	list := &corev1.NodeList{}
	err := ask(ctx, api, func(ctx context.Context, a kube.API) error { return a.List(ctx, list, "", "") })
	n := Nodes{Error: words(err), Items: []Node{}}
	for i := range list.Items {
		n.Items = append(n.Items, shown(&list.Items[i]))
	}
	slices.SortFunc(n.Items, func(a, b Node) int {
		return cmp.Or(cmp.Compare(rank(a), rank(b)), cmp.Compare(a.Name, b.Name))
	})
	return n
}

func rank(n Node) int {
	if n.ControlPlane() {
		return 0
	}
	return 1
}

const roleLabel = "node-role.kubernetes.io/"

func shown(n *corev1.Node) Node {
	s := Node{Name: n.Name, Roles: []string{}, Version: n.Status.NodeInfo.KubeletVersion, Reason: "its kubelet has said nothing yet"}
	for label := range n.Labels {
		if role, ok := strings.CutPrefix(label, roleLabel); ok && role != "" {
			s.Roles = append(s.Roles, role)
		}
	}
	slices.Sort(s.Roles)
	for _, a := range n.Status.Addresses {
		if a.Type == corev1.NodeInternalIP && s.Address == "" {
			s.Address = a.Address
		}
	}
	for _, c := range n.Status.Conditions {
		if c.Type != corev1.NodeReady {
			continue
		}
		s.Ready = c.Status == corev1.ConditionTrue
		s.Reason = cmp.Or(c.Message, c.Reason)
		if s.Ready {
			s.Reason = ""
		}
	}
	return s
}

// secrets lists the tokens and looks for the uploaded certificates.
func (t *Task) secrets(ctx context.Context, api *later[kube.API]) (Tokens, Uploaded) {
	list := &corev1.SecretList{}
	err := ask(ctx, api, func(ctx context.Context, a kube.API) error {
		return a.List(ctx, list, metav1.NamespaceSystem, "")
	})
	tokens, uploaded := Tokens{Error: words(err), Items: []Token{}}, Uploaded{Error: words(err)}
	for i := range list.Items {
		s := &list.Items[i]
		if s.Name == templates.CertsSecret {
			uploaded.There = true
			uploaded.Expires = uploadEnds(s, list.Items)
		}
		if s.Type != bootstrap.SecretTypeBootstrapToken {
			continue
		}
		// One without usages only ends the uploaded certificates, and one
		// that cannot be read is none to the API server either.
		if token, err := t.ParseToken(s); err == nil && len(token.Usages) > 0 {
			id, _, _ := strings.Cut(token.Value.Reveal(), ".")
			shown := Token{ID: id, Description: token.Description, Usages: token.Usages}
			if !token.Expires.IsZero() {
				shown.Expires = &token.Expires
			}
			tokens.Items = append(tokens.Items, shown)
		}
	}
	slices.SortFunc(tokens.Items, func(a, b Token) int { return cmp.Compare(a.ID, b.ID) })
	return tokens, uploaded
}

// uploadEnds is when the token that owns the Secret ends, with which it
// goes away.
func uploadEnds(s *corev1.Secret, all []corev1.Secret) *time.Time {
	text := s.Annotations[templates.ExpiresAnnotation]
	if owner := metav1.GetControllerOf(s); owner != nil {
		for i := range all {
			if all[i].Name == owner.Name {
				text = string(all[i].Data[bootstrap.BootstrapTokenExpirationKey])
			}
		}
	}
	ends, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return nil
	}
	ends = ends.UTC()
	return &ends
}

// noPods says why the control plane's pods are not known.
func noPods(err error) string {
	if err == nil {
		return ""
	}
	return fmt.Sprintf("the list of API servers could not be had: %s", words(err))
}
