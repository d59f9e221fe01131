package pki

import (
	"context"
	"fmt"
	"strings"

	"github.com/hactl/hactl/certs"
	"github.com/hactl/hactl/config"
	"github.com/hactl/hactl/phases"
)

// fromEtcdHost is how a host gets what it needs to join an etcd cluster.
const fromEtcdHost = "on the first etcd host: hactl etcd credentials export --for-member %s=%s, and here with that archive: hactl etcd credentials import FILE%s"

// EtcdHostPhase makes what the first host of an etcd cluster needs that has
// hosts of its own: the CA, the host's certificates, and that of the API
// servers, which is copied to them.
func EtcdHostPhase() phases.Phase[Task] {
	p := phases.Phase[Task]{Name: "certs", Title: "make the certificates of etcd"}
	for _, it := range items() {
		switch {
		case it.name == "etcd-ca":
			p.Phases = append(p.Phases, authorityPhase(it))
		case it.etcd():
			p.Phases = append(p.Phases, leafPhase(it, func(ca item) string { return "make it: hactl etcd init phase certs " + ca.name }))
		}
	}
	return p
}

// EtcdMemberPhase makes what a further host of such a cluster needs for
// itself. The CA is the cluster's: it is verified, and never made. Without its
// key, the host's certificates must be there already.
func EtcdMemberPhase() phases.Phase[Task] {
	p := phases.Phase[Task]{Name: "certs", Title: "make the certificates of this host"}
	p.Phases = append(p.Phases, phases.Phase[Task]{
		Name: "shared", Title: "verify the CA of the cluster", Hidden: true, Apply: checkEtcdCA,
	})
	for _, it := range members() {
		p.Phases = append(p.Phases, leafPhase(it, func(item) string { return "bring it here" }))
	}
	return p
}

// EtcdClientPhase makes the certificate with which API servers call etcd,
// where it is not there yet.
func EtcdClientPhase() phases.Phase[Task] {
	it, _ := lookup("apiserver-etcd-client")
	return leafPhase(it, func(item) string {
		return "run this on the host where hactl etcd init ran: it has the CA"
	})
}

// EtcdClientFiles are what API servers need of an etcd that is not theirs, and
// EtcdMemberFiles what one of its hosts needs that shall not have the key of
// the CA; below the certificates directory.
func EtcdClientFiles() []string {
	ca, _ := lookup("etcd-ca")
	it, _ := lookup("apiserver-etcd-client")
	return []string{ca.cert(), it.cert(), it.key()}
}

// EtcdMemberFiles is described at EtcdClientFiles.
func EtcdMemberFiles() []string {
	ca, _ := lookup("etcd-ca")
	files := []string{ca.cert()}
	for _, it := range members() {
		files = append(files, it.cert(), it.key())
	}
	return files
}

// members are the certificates of one etcd host.
func members() []item {
	var list []item
	for _, it := range items() {
		if it.ca == "etcd-ca" && it.name != "apiserver-etcd-client" {
			list = append(list, it)
		}
	}
	return list
}

// checkEtcdCA wants the CA, and its key or else all of the host's certificates.
func checkEtcdCA(ctx context.Context, t *Task) error {
	ca, _ := lookup("etcd-ca")
	p, err := t.load(ctx, ca)
	if err != nil {
		return err
	}
	dir := ""
	if t.Dir != config.DefaultCertsDir {
		dir = " --cert-dir " + t.Dir
	}
	bring := fmt.Sprintf(fromEtcdHost, t.NodeName, t.AdvertiseAddress, dir)
	if p.Cert == nil {
		return &phases.Fault{
			What:  t.path(ca.cert()) + " is missing on this host: it is the etcd cluster's",
			Fixes: []string{bring, fmt.Sprintf("or copy %s and %s from there, if this host may have the key", t.path(ca.cert()), t.path(ca.key()))},
		}
	}
	if problems := certs.VerifyAuthority(p, t.now()); len(problems) > 0 {
		return &phases.Fault{What: t.path(ca.cert()) + " is not a CA of etcd", Why: problems, Fixes: []string{bring}}
	}
	if p.Key != nil {
		return nil
	}
	var missing []string
	for _, it := range members() {
		leaf, err := t.load(ctx, it)
		if err != nil {
			return err
		}
		if leaf.Cert == nil {
			missing = append(missing, t.path(it.cert()))
		}
	}
	if len(missing) == 0 {
		return nil
	}
	return &phases.Fault{
		What:  "certificates of this host are missing: " + strings.Join(missing, ", "),
		Why:   fmt.Errorf("the key of etcd's CA is not here to make them: %w", certs.ErrExternalCA),
		Fixes: []string{bring, "or copy " + t.path(ca.key()) + " from there, if this host may have the key"},
	}
}
