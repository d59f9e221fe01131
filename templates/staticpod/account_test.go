package staticpod_test

import (
	"context"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"

	"github.com/hactl/hactl/templates/staticpod"
)

// accounts has one account for all pods, once it is made.
type accounts struct {
	account staticpod.Account
	made    bool
	err     error
}

func (a *accounts) Find(context.Context, string) (*staticpod.Account, error) {
	if !a.made || a.err != nil {
		return nil, a.err
	}
	return &a.account, nil
}

func (a *accounts) Give(ctx context.Context, pod string) (*staticpod.Account, error) {
	a.made = true
	return a.Find(ctx, pod)
}

// The contexts are those of kubeadm v1.37 (util/staticpod/utils_linux.go).
func TestAccounts(t *testing.T) {
	all := []corev1.Capability{"ALL"}
	forbidden := false
	cases := map[string]struct {
		reason  string
		account staticpod.Account
		want    *corev1.SecurityContext
	}{
		"Plain": {"nothing but a user", staticpod.Account{User: 100, Group: 101},
			&corev1.SecurityContext{AllowPrivilegeEscalation: &forbidden, Capabilities: &corev1.Capabilities{Drop: all}}},
		"Groups": {"a further group", staticpod.Account{User: 100, Group: 101, Groups: []int64{102}},
			&corev1.SecurityContext{AllowPrivilegeEscalation: &forbidden, Capabilities: &corev1.Capabilities{Drop: all}}},
		"LowPorts": {"a program with a file capability does not start without it", staticpod.Account{User: 100, Group: 101, LowPorts: true},
			&corev1.SecurityContext{Capabilities: &corev1.Capabilities{Drop: all, Add: []corev1.Capability{"NET_BIND_SERVICE"}}}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			disk, p := &files{}, pod()
			if err := p.Write(t.Context(), disk, "/m"); err != nil { // as root
				t.Fatal(err)
			}
			given := &accounts{account: c.account}
			p.Accounts = given
			if same, err := p.OnDisk(t.Context(), disk, "/m"); same || err != nil || given.made {
				t.Errorf("%s: before: same %v, %v, made %v", c.reason, same, err, given.made)
			}
			if err := p.Write(t.Context(), disk, "/m"); err != nil {
				t.Fatal(err)
			}
			if same, err := p.OnDisk(t.Context(), disk, "/m"); !same || err != nil {
				t.Errorf("%s: after: same %v, %v", c.reason, same, err)
			}
			got, err := staticpod.Read(t.Context(), disk, "/m", p.Name)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, got.Spec.Containers[0].SecurityContext); diff != "" {
				t.Errorf("%s: container: -want +got\n%s", c.reason, diff)
			}
			s := got.Spec.SecurityContext
			if diff := cmp.Diff(c.account, staticpod.Account{User: *s.RunAsUser, Group: *s.RunAsGroup, Groups: s.SupplementalGroups, LowPorts: c.account.LowPorts}); diff != "" {
				t.Errorf("%s: pod: -want +got\n%s", c.reason, diff)
			}
			given.err = errors.New("no such machine")
			if _, err := p.OnDisk(t.Context(), disk, "/m"); !errors.Is(err, given.err) {
				t.Errorf("%s: the error of Find is %v", c.reason, err)
			}
			if err := p.Write(t.Context(), disk, "/m"); !errors.Is(err, given.err) {
				t.Errorf("%s: the error of Give is %v", c.reason, err)
			}
		})
	}
}
