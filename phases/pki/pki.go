// Package pki is the phase family of the cluster's certificates: the
// authorities, the certificates they issue for one control-plane node, and
// the service account key. It owns the files below the certificates
// directory. It refuses to overwrite a file that a person or another cluster
// made, and never makes an authority anew while certificates of the old one
// are there.
package pki

import (
	"net/netip"
	"path"
	"time"

	"github.com/hactl/hactl/certs"
	"github.com/hactl/hactl/phases"
	"github.com/hactl/hactl/phases/host"
)

// defaultDir only serves the texts that phases show about themselves.
const defaultDir = "/etc/kubernetes/pki"

// The commands that make what a phase run alone can miss.
const (
	initPhase    = "hactl init phase certs "
	downloadText = "download the shared certificates, with --certificate-key (alone: hactl join phase control-plane-prepare download-certs); " +
		"this prints the key, on a control-plane node: hactl init phase upload-certs --upload-certs; or copy them from another control-plane node"
)

// Task is what the phases of the family need to know.
type Task struct {
	Host host.Files
	// Dir is the certificates directory, /etc/kubernetes/pki by default.
	Dir       string
	Algorithm certs.Algorithm
	// CAValidity and Validity are how long new authorities and new leafs
	// are valid; zero means the defaults of package certs.
	CAValidity, Validity time.Duration

	NodeName         string
	AdvertiseAddress netip.Addr
	// EndpointHost is the host of the control-plane endpoint, a name or an
	// address; "" if there is none.
	EndpointHost  string
	ServiceDomain string
	// FirstServiceIPs are the addresses of the kubernetes Service.
	FirstServiceIPs []netip.Addr
	// APIServerSANs, EtcdServerSANs and EtcdPeerSANs are names and
	// addresses that users add.
	APIServerSANs, EtcdServerSANs, EtcdPeerSANs []string
	// ExternalEtcd leaves out everything that the etcd CA signs.
	ExternalEtcd bool

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

func (t *Task) path(name string) string { return path.Join(t.Dir, name) }

// Phase makes everything an initial control-plane node needs.
func Phase() phases.Phase[Task] {
	p := phases.Phase[Task]{Name: "certs", Title: "make the certificates"}
	for _, it := range items() {
		if it.authority() {
			p.Phases = append(p.Phases, authorityPhase(it))
		} else {
			p.Phases = append(p.Phases, leafPhase(it, initSource))
		}
	}
	p.Phases = append(p.Phases, accountPhase())
	return p
}

// JoinPhase makes what is a joining control-plane node's own. The
// authorities and the service account key are the cluster's: the phase
// verifies them and never makes them.
func JoinPhase() phases.Phase[Task] {
	p := phases.Phase[Task]{Name: "certs", Title: "make the certificates of this node"}
	p.Phases = append(p.Phases, phases.Phase[Task]{
		Name: "shared", Title: "verify the certificates of the cluster", Hidden: true, Apply: checkShared,
	})
	for _, it := range items() {
		if !it.authority() {
			p.Phases = append(p.Phases, leafPhase(it, joinSource))
		}
	}
	return p
}

// source says where a missing authority comes from.
type source func(ca item) string

func initSource(ca item) string { return "make it: " + initPhase + ca.name }

func joinSource(item) string { return downloadText }
