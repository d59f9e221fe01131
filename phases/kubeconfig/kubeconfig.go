// Package kubeconfig is the phase family of the kubeconfig files that a
// control-plane node needs: for administrators, the kubelet and the
// components. It owns these files. It refuses to overwrite a file that
// belongs to another cluster or another node.
package kubeconfig

import (
	"context"
	"path"
	"slices"
	"time"

	"github.com/hactl/hactl/certs"
	"github.com/hactl/hactl/phases"
	"github.com/hactl/hactl/phases/host"
)

// Task is what the phases of the family need to know.
type Task struct {
	Host host.Files
	// Dir is where the files are, /etc/kubernetes by default; CertDir is
	// where the cluster's CA is, /etc/kubernetes/pki by default.
	Dir, CertDir string
	ClusterName  string
	// Endpoint is the URL of the control plane ("https://lb:6443"),
	// LocalEndpoint that of this node's kube-apiserver.
	Endpoint, LocalEndpoint string
	NodeName                string
	Algorithm               certs.Algorithm
	// Validity is how long new client certificates are valid; zero means
	// certs.DefaultValidity.
	Validity time.Duration

	// Keys gives new keys. Nil makes each when it is needed.
	Keys *certs.KeyPool
	// Now is the clock; nil means time.Now.
	Now func() time.Time
}

func (t *Task) now() time.Time {
	if t.Now == nil {
		return time.Now()
	}
	return t.Now()
}

// Phase makes every file of an initial control-plane node.
func Phase() phases.Phase[Task] {
	return family("make the kubeconfig files",
		"hactl init phase certs ca", users())
}

// JoinPhase makes the files of a joining control-plane node; super-admin.conf
// is only on the initial one. The kubelet's is made where the cluster's CA
// can sign it here; without the CA's key it is left to TLS bootstrap.
func JoinPhase() phases.Phase[Task] {
	var list []user
	for _, u := range users() {
		if u.join {
			list = append(list, u)
		}
	}
	const caCommand = "hactl join phase control-plane-prepare download-certs"
	p := family("make the kubeconfig files of this node", caCommand, list)
	for _, u := range users() {
		if u.perNode {
			u.key = certs.ECDSAP256
			kubelet := family("", caCommand, []user{u}).Phases[0]
			// kubeadm's kubelet always bootstraps, and has no such phase.
			kubelet.Hidden = true
			kubelet.Observe = func(ctx context.Context, t *Task) (phases.State, error) {
				return t.observeOptional(ctx, u, caCommand)
			}
			p.Phases = append(p.Phases, kubelet)
		}
	}
	return p
}

// Files are the kubeconfigs that Phase makes, each with a key of
// Task.Algorithm.
func Files(t *Task) []string {
	var files []string
	for _, u := range users() {
		files = append(files, t.file(u))
	}
	return files
}

// JoinFiles are those that JoinPhase makes with a key of Task.Algorithm.
func JoinFiles(t *Task) []string {
	var files []string
	for _, u := range users() {
		if u.join {
			files = append(files, t.file(u))
		}
	}
	return files
}

// observeOptional is observe for a file that others make where this node
// cannot.
func (t *Task) observeOptional(ctx context.Context, u user, caCommand string) (phases.State, error) {
	can, err := CanSign(ctx, t)
	switch {
	case err != nil:
		return phases.Missing, err
	case !can:
		return phases.Done, nil
	}
	return t.observe(ctx, u, caCommand)
}

// CanSign says whether the cluster's CA is on this node with its key, so that
// client certificates can be made here. The error is a *phases.Fault if the CA
// cannot be used.
func CanSign(ctx context.Context, t *Task) (bool, error) {
	ca, err := t.loadCA(ctx)
	return err == nil && ca.Cert != nil && ca.Key != nil, err
}

// family makes one sub-phase of each user. caCommand makes a missing CA.
func family(title, caCommand string, list []user) phases.Phase[Task] {
	p := phases.Phase[Task]{Name: "kubeconfig", Title: title}
	for _, u := range list {
		p.Phases = append(p.Phases, phases.Phase[Task]{
			Name: u.name, Title: u.title,
			Reads:  []string{"/etc/kubernetes/pki/ca.crt", "/etc/kubernetes/pki/ca.key"},
			Writes: []string{"/etc/kubernetes/" + u.file()},
			Observe: func(ctx context.Context, t *Task) (phases.State, error) {
				return t.observe(ctx, u, caCommand)
			},
			Apply: func(ctx context.Context, t *Task) error { return t.apply(ctx, u, caCommand) },
		})
	}
	return p
}

// Problems returns everything about existing files that would make Phase
// fail, all at once, and changes nothing. A CA that is not there yet is no
// problem as long as no file needs it. What is wrong with the CA itself is
// left to pki.Problems, so that nothing is told twice.
func Problems(ctx context.Context, t *Task) []error { return t.problems(ctx, users()) }

// JoinProblems is Problems for JoinPhase. The kubelet's file may be missing:
// without the CA's key, the kubelet bootstraps.
func JoinProblems(ctx context.Context, t *Task) []error {
	return t.problems(ctx, slices.DeleteFunc(users(), func(u user) bool {
		if u.perNode {
			data, err := t.read(ctx, t.file(u))
			return err == nil && data == nil
		}
		return !u.join
	}))
}

func (t *Task) problems(ctx context.Context, list []user) []error {
	ca, err := t.loadCA(ctx)
	if err != nil {
		return nil
	}
	var found []error
	var elsewhere []user // to be made with an external CA
	for _, u := range list {
		f, err := t.load(ctx, u)
		switch {
		case err == nil && f == nil && (ca.Cert == nil || ca.Key != nil):
			// Phase makes both.
		case err == nil && ca.Cert == nil:
			found = append(found, t.lostCA(u))
		case err == nil && f == nil:
			elsewhere = append(elsewhere, u)
		case err == nil:
			err = t.compare(ctx, u, f, ca)
		}
		if err != nil {
			found = append(found, t.mend(u, ca, err))
		}
	}
	if len(elsewhere) > 0 {
		found = append(found, t.externalCA(elsewhere...))
	}
	return found
}

func (t *Task) observe(ctx context.Context, u user, caCommand string) (phases.State, error) {
	ca, err := t.loadCA(ctx)
	if err != nil {
		return phases.Missing, err
	}
	if ca.Cert == nil {
		return phases.Missing, t.missingCA(u, caCommand)
	}
	f, err := t.load(ctx, u)
	switch {
	case err != nil:
		return phases.Missing, t.mend(u, ca, err)
	case f == nil && ca.Key == nil:
		return phases.Missing, t.externalCA(u)
	case f == nil:
		return phases.Missing, nil
	}
	if err := t.compare(ctx, u, f, ca); err != nil {
		return phases.Missing, t.mend(u, ca, err)
	}
	return phases.Done, nil
}

func (t *Task) file(u user) string { return path.Join(t.Dir, u.file()) }
func (t *Task) caCert() string     { return path.Join(t.CertDir, "ca.crt") }
func (t *Task) caKey() string      { return path.Join(t.CertDir, "ca.key") }
