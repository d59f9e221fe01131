package app

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/hactl/hactl/certs"
	"github.com/hactl/hactl/config"
	"github.com/hactl/hactl/etcd"
	"github.com/hactl/hactl/phases"
	"github.com/hactl/hactl/phases/cri"
	"github.com/hactl/hactl/phases/etcdhost"
	"github.com/hactl/hactl/phases/pki"
	"github.com/hactl/hactl/phases/preflight"
	"github.com/hactl/hactl/templates/staticpod"
)

// EtcdHostInput is what EtcdInit and EtcdJoin need from their caller.
type EtcdHostInput struct {
	// Name is the member's, "" for the host name; Address is where clients
	// and peers reach it, invalid for that of the default route.
	Name    string
	Address netip.Addr
	// SANs are further names and addresses in the host's certificates.
	SANs []string
	// CertDir and DataDir are absolute; "" means the usual ones.
	CertDir, DataDir string
	// Runtime is "static-pod", "systemd" or "" for what the host has.
	Runtime string
	// CRISocket and ImageRepository are for static pods; "" means found, and
	// the default.
	CRISocket, ImageRepository string
	Ignore                     []string
	DryRun                     bool
	// Endpoints are members of the cluster that a join is to, as people type
	// them; none for EtcdInit.
	Endpoints []string
	// Only and Skip are paths as users type them.
	Only, Skip []string
}

// etcdHost is the data of one run: a task for each phase family.
type etcdHost struct {
	preflight preflight.Task
	pki       pki.Task
	member    etcdhost.Task
}

// EtcdInitPhases is etcd init, from top to bottom.
func EtcdInitPhases() []phases.Phase[etcdHost] {
	return []phases.Phase[etcdHost]{
		phases.Lift(preflight.EtcdHostPhase(), (*etcdHost).preflightTask),
		phases.Lift(pki.EtcdHostPhase(), (*etcdHost).pkiTask),
		phases.Lift(etcdhost.KubeletPhase(), (*etcdHost).memberTask),
		phases.Lift(etcdhost.MemberPhase(), (*etcdHost).memberTask),
		phases.Lift(etcdhost.WaitPhase(), (*etcdHost).memberTask),
	}
}

// EtcdJoinPhases is etcd join, from top to bottom.
func EtcdJoinPhases() []phases.Phase[etcdHost] {
	return []phases.Phase[etcdHost]{
		phases.Lift(preflight.EtcdHostPhase(), (*etcdHost).preflightTask),
		phases.Lift(pki.EtcdMemberPhase(), (*etcdHost).pkiTask),
		phases.Lift(etcdhost.CheckPhase(), (*etcdHost).memberTask),
		phases.Lift(etcdhost.KubeletPhase(), (*etcdHost).memberTask),
		phases.Lift(etcdhost.JoinPhase(), (*etcdHost).memberTask),
		phases.Lift(etcdhost.WaitPhase(), (*etcdHost).memberTask),
	}
}

func (s *etcdHost) preflightTask() *preflight.Task { return &s.preflight }
func (s *etcdHost) pkiTask() *pki.Task             { return &s.pki }
func (s *etcdHost) memberTask() *etcdhost.Task     { return &s.member }

// etcdHostPorts are further ways out of the process, for etcd hosts.
type etcdHostPorts struct {
	ports
	// sync measures a disk, see etcdhost.Probes.
	sync func(ctx context.Context, dir string) (time.Duration, error)
	// reach tries a TCP address; nil asks the network.
	reach func(ctx context.Context, address string) error
	// programs are the directories where programs are looked for.
	programs []string
}

func realEtcdHostPorts() (etcdHostPorts, func()) {
	p, closePorts := realPorts()
	dirs := append(filepath.SplitList(os.Getenv("PATH")), "/usr/local/bin", "/usr/bin")
	return etcdHostPorts{ports: p, sync: syncLatency, programs: dirs}, closePorts
}

// EtcdInit makes this host the first member of an etcd cluster that has hosts
// of its own. Title is told what begins, notify gets the events.
func EtcdInit(ctx context.Context, in EtcdHostInput, title func(string), notify func(phases.Event)) (*EtcdHostResult, error) {
	p, closePorts := realEtcdHostPorts()
	defer closePorts()
	return etcdHostOver(ctx, p, EtcdInitPhases(), in, title, notify)
}

// EtcdJoin makes this host a further member. See EtcdInit.
func EtcdJoin(ctx context.Context, in EtcdHostInput, title func(string), notify func(phases.Event)) (*EtcdHostResult, error) {
	p, closePorts := realEtcdHostPorts()
	defer closePorts()
	if len(in.Endpoints) == 0 {
		return nil, usage("no member of the etcd cluster is named", "name one or several that run: hactl etcd join https://ADDRESS:2379")
	}
	return etcdHostOver(ctx, p, EtcdJoinPhases(), in, title, notify)
}

func etcdHostOver(ctx context.Context, p etcdHostPorts, list []phases.Phase[etcdHost], in EtcdHostInput, title func(string), notify func(phases.Event)) (*EtcdHostResult, error) {
	o, err := options(list, selection{in.Only, in.Skip}, notify, p.now)
	if err != nil {
		return nil, err
	}
	in.Only = o.Only
	h, err := newEtcdHoster(p, in)
	if err != nil {
		return nil, err
	}
	defer h.close()
	if err := h.hold(ctx, command("hactl etcd "+h.verb(), in.Only)); err != nil {
		return nil, err
	}
	s, err := h.tasks(ctx)
	if err != nil {
		return nil, err
	}
	if len(in.Only) == 0 {
		title(fmt.Sprintf("etcd %s of %s (%s)", h.verb(), s.member.Name, s.member.Address))
	}
	if err := phases.Run(ctx, list, s, o); err != nil {
		return nil, err
	}
	return h.result(ctx, s), nil
}

// etcdHoster makes an etcd host.
type etcdHoster struct {
	*machine
	p       etcdHostPorts
	in      EtcdHostInput
	members *etcd.Overlay // nil in a real run, and before it is asked for
}

func newEtcdHoster(p etcdHostPorts, in EtcdHostInput) (*etcdHoster, error) {
	h := &etcdHoster{machine: newMachine(p.ports, in.DryRun), p: p, in: in}
	return h, h.settle()
}

// verb is "init" or "join".
func (h *etcdHoster) verb() string {
	if len(h.in.Endpoints) > 0 {
		return "join"
	}
	return "init"
}

// settle makes the input whole and refuses what could not be written into a
// command line.
func (h *etcdHoster) settle() error {
	in := &h.in
	var err error
	if in.Name == "" {
		name, err := h.hostname()
		if err != nil {
			return fmt.Errorf("ask for the host name: %w", err)
		}
		in.Name = strings.ToLower(strings.TrimSpace(name))
	}
	if bad := validation.IsDNS1123Subdomain(in.Name); len(bad) > 0 {
		return usage(fmt.Sprintf("%q cannot be the name of an etcd host: %s", in.Name, bad[0]), "choose another: --node-name NAME")
	}
	if !in.Address.IsValid() {
		if in.Address, err = h.address(); err != nil {
			return err
		}
	}
	for _, dir := range []struct {
		flag, usual string
		into        *string
	}{{"--cert-dir", config.DefaultCertsDir, &in.CertDir}, {"--data-dir", config.DefaultEtcdDir, &in.DataDir}} {
		if *dir.into == "" {
			*dir.into = dir.usual
		}
		if !filepath.IsAbs(*dir.into) || strings.ContainsAny(*dir.into, " \t\n\"'\\%$") {
			return usage(dir.flag+" cannot be "+*dir.into, "give an absolute path, without white space, quotes, \\, % and $")
		}
		*dir.into = filepath.Clean(*dir.into)
	}
	if in.Runtime != "" && !slices.Contains(etcdhost.Runtimes(), etcdhost.Runtime(in.Runtime)) {
		return usage("--runtime cannot be "+in.Runtime, "use static-pod or systemd")
	}
	for i, e := range in.Endpoints {
		if in.Endpoints[i], err = etcdhost.ParseEndpoint(e); err != nil {
			return err
		}
	}
	return nil
}

// settledRuntime are the phases that need to know how etcd runs.
var settledRuntime = []string{"preflight", "kubelet", "member", "check-etcd", "etcd-join", "wait-etcd"}

func (h *etcdHoster) tasks(ctx context.Context) (*etcdHost, error) {
	s := &etcdHost{member: h.memberTask(), pki: h.pkiTask()}
	t := &s.member
	if needs(h.in.Only, settledRuntime) {
		if err := t.Settle(ctx, etcdhost.Runtime(h.in.Runtime), h.p.programs); err != nil {
			return nil, err
		}
	}
	if t.Runtime == etcdhost.StaticPod {
		if t.CRISocket == "" {
			var err error
			if t.CRISocket, err = cri.Detect(ctx, h.host); err != nil {
				return nil, err
			}
		}
		h.openRuntime(t.CRISocket)
	}
	s.preflight = h.preflightTask(t)
	return s, nil
}

func (h *etcdHoster) memberTask() etcdhost.Task {
	in := h.in
	image := config.Cluster{ImageRepository: in.ImageRepository}
	if image.ImageRepository == "" {
		image.ImageRepository = config.DefaultImageRepository
	}
	t := etcdhost.Task{
		Host: h.host, Name: in.Name, Address: in.Address,
		CertDir: in.CertDir, DataDir: in.DataDir, Manifests: config.ManifestsDir,
		Image: image.EtcdImage(), CRISocket: in.CRISocket,
		Endpoints: in.Endpoints, Etcd: h.etcd, Reach: h.p.reach, Now: h.now, Imagined: h.files != nil,
	}
	t.Timeouts.Default()
	return t
}

// pkiTask makes ECDSA keys: they are made at once, and whoever talks to etcd
// knows them.
func (h *etcdHoster) pkiTask() pki.Task {
	return pki.Task{
		Host: h.host, Dir: h.in.CertDir, Algorithm: certs.ECDSAP256,
		NodeName: h.in.Name, AdvertiseAddress: h.in.Address,
		EtcdServerSANs: h.in.SANs, EtcdPeerSANs: h.in.SANs, Now: h.now,
	}
}

// etcd dials with this host's certificates. A dry run talks to the real
// cluster, and only notes what it would change.
func (h *etcdHoster) etcd(ctx context.Context, endpoints []string) (etcd.Cluster, func() error, error) {
	cluster, hangUp, err := h.dialEtcd(ctx, h.host, h.in.CertDir, endpoints)
	if err != nil || h.files == nil {
		return cluster, hangUp, err
	}
	if h.members == nil {
		h.members = h.imagineEtcd(cluster, imaginedMember{
			name: h.in.Name, address: h.in.Address.String(),
			starts: []string{etcdhost.UnitFile, staticpod.Path(config.ManifestsDir, etcdhost.Name)},
		})
		h.closers = append(h.closers, func() { _ = hangUp() })
		return h.members, func() error { return nil }, nil
	}
	return h.members, hangUp, nil
}

func (h *etcdHoster) preflightTask(t *etcdhost.Task) preflight.Task {
	p := preflight.Task{
		Host: h.host, Runtime: h.runtime, NodeName: t.Name, AdvertiseAddress: t.Address, EtcdDataDir: t.DataDir,
		Ignore: h.in.Ignore, DryRun: h.in.DryRun, Now: h.now,
		AlreadyInitialised: func(ctx context.Context) (bool, error) {
			have, err := t.Installed(ctx)
			return have != "", err
		},
	}
	if t.Runtime == etcdhost.StaticPod {
		p.Images = []string{t.Image}
	}
	probes := etcdhost.Probes{Sync: h.p.sync}
	if h.in.DryRun {
		probes.Sync = nil // it writes
	}
	for _, c := range t.Checks(probes) {
		p.Extra = append(p.Extra, preflight.Check{Name: c.Name, Run: c.Run})
	}
	h.checks(&p)
	return p
}
