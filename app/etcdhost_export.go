package app

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/netip"
	"path"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/hactl/hactl/certs"
	"github.com/hactl/hactl/config"
	"github.com/hactl/hactl/etcd"
	"github.com/hactl/hactl/phases"
	"github.com/hactl/hactl/phases/bundle"
	"github.com/hactl/hactl/phases/etcdhost"
	"github.com/hactl/hactl/phases/host"
	"github.com/hactl/hactl/phases/pki"
)

// EtcdExportInput is what EtcdExport needs from its caller.
type EtcdExportInput struct {
	EtcdHostInput
	// File is the archive to write. If it is "", Directory is written. Both
	// are absolute.
	File, Directory string
	// Passphrase or else Recipients encrypt the archive.
	Passphrase config.Secret
	Recipients []string
	// Member is a host that is to join, as NAME=ADDRESS; "" writes what API
	// servers need.
	Member string
}

// EtcdExport writes what API servers, or one further etcd host, need of this
// etcd cluster into an archive or a directory: CA, certificates and their
// keys, never the key of the CA. A directory has the shape of
// /etc/kubernetes/pki.
func EtcdExport(ctx context.Context, in EtcdExportInput, notify func(phases.Event)) (*EtcdExportResult, error) {
	p, closePorts := realEtcdHostPorts()
	defer closePorts()
	return etcdExportOver(ctx, p, in, notify)
}

func etcdExportOver(ctx context.Context, p etcdHostPorts, in EtcdExportInput, notify func(phases.Event)) (*EtcdExportResult, error) {
	h, err := newEtcdHoster(p, in.EtcdHostInput)
	if err != nil {
		return nil, err
	}
	defer h.close()
	if err := h.hold(ctx, "hactl etcd credentials export"); err != nil {
		return nil, err
	}
	t := &bundle.Export{Host: h.host, To: cmp.Or(in.File, in.Directory), Now: h.now}
	if in.File != "" {
		t.Lock = &bundle.Lock{Passphrase: in.Passphrase, Recipients: in.Recipients}
	}
	if err := h.mustBeNew(ctx, t.To); err != nil {
		return nil, err
	}
	r := &EtcdExportResult{File: in.File, Directory: in.Directory, Member: in.Member}
	prepare, purpose := h.exportClient, bundle.ForClient
	if in.Member != "" {
		prepare, purpose = h.exportMember, bundle.ForMember
	}
	if t.From, err = prepare(ctx, in, r, notify); err != nil {
		return nil, err
	}
	l := bundle.EtcdLayout(h.in.CertDir, purpose)
	t.Layout, r.Files = &l, l.Names()
	if err := phases.Run(ctx, bundle.ExportPhases(), t, phases.Options{Notify: notify, Now: h.now}); err != nil {
		return nil, err
	}
	r.CACertHash, err = etcdPin(t.Bundle)
	return r, err
}

// etcdPin is the hash of the CA in a bundle of an etcd host.
func etcdPin(b *bundle.Bundle) (string, error) {
	ca, err := certs.ParseCerts(b.Files["etcd/ca.crt"].Data)
	if err != nil {
		return "", err
	}
	return certs.Pin(ca[0]), nil
}

// mustBeNew refuses to mix what is exported with what is there.
func (h *etcdHoster) mustBeNew(ctx context.Context, to string) error {
	info, err := h.host.Stat(ctx, to)
	if errors.Is(err, fs.ErrNotExist) || err == nil && info.Mode.IsDir() && len(info.Names) == 0 {
		return nil
	}
	if err != nil {
		return err
	}
	return &phases.Fault{What: to + " is there already", Fixes: []string{"name another place, --file or --directory, or remove that one"}, Exit: phases.CodeUnsafe}
}

// exportClient makes the pair of the API servers if there is none yet, and
// returns where it lies.
func (h *etcdHoster) exportClient(ctx context.Context, _ EtcdExportInput, r *EtcdExportResult, notify func(phases.Event)) (host.Files, error) {
	t := h.pkiTask()
	list := []phases.Phase[pki.Task]{pki.EtcdClientPhase()}
	err := phases.Run(ctx, list, &t, phases.Options{Now: h.now})
	if errors.Is(err, certs.ErrExternalCA) {
		return nil, &phases.Fault{
			What: "this host can make no certificate for API servers", Why: certs.ErrExternalCA,
			Fixes: []string{"run this on the host where hactl etcd init ran: it has the key of the CA"},
		}
	}
	if err != nil {
		return nil, inner(err)
	}
	r.Endpoints, err = h.endpoints(ctx)
	if err != nil {
		notify(h.warning("etcd does not tell its members, so the endpoints are those that this host knows: " + err.Error()))
	}
	return h.host, nil
}

// endpoints are the client URLs of all voting members; with an error, those
// that this host knows.
func (h *etcdHoster) endpoints(ctx context.Context) ([]string, error) {
	t := h.memberTask()
	known, err := h.known(ctx, &t)
	if err != nil {
		return []string{t.ClientURL()}, err
	}
	cluster, hangUp, err := h.etcd(ctx, known)
	if err != nil {
		return known, err
	}
	defer func() { _ = hangUp() }()
	members, err := cluster.Members(ctx)
	if err != nil {
		return known, err
	}
	return etcd.Endpoints(members), nil
}

// known are the client URLs that this host was told. It has to be an etcd
// host.
func (h *etcdHoster) known(ctx context.Context, t *etcdhost.Task) ([]string, error) {
	have, err := t.Installed(ctx)
	if err != nil {
		return nil, err
	}
	if have == "" {
		return nil, &phases.Fault{
			What:  "this host runs no etcd that hactl etcd init or join set up",
			Fixes: []string{"run this on an etcd host"},
			Exit:  phases.CodeUsage,
		}
	}
	t.Runtime = have
	return t.Known(ctx)
}

// exportMember makes the certificates of another host in memory, and returns
// that memory.
func (h *etcdHoster) exportMember(ctx context.Context, in EtcdExportInput, r *EtcdExportResult, _ func(phases.Event)) (host.Files, error) {
	name, text, _ := strings.Cut(in.Member, "=")
	address, err := netip.ParseAddr(text)
	if bad := validation.IsDNS1123Subdomain(name); err != nil || len(bad) > 0 {
		return nil, usage(fmt.Sprintf("--for-member: %q is not NAME=ADDRESS", in.Member), "write it as etcd-2=10.0.0.32, with the host name that it has")
	}
	there := host.NewMemory()
	ca := map[string]fs.FileMode{"etcd/ca.crt": 0o644, "etcd/ca.key": 0o600}
	for file, mode := range ca {
		data, err := h.host.ReadFile(ctx, path.Join(h.in.CertDir, file))
		if errors.Is(err, fs.ErrNotExist) {
			return nil, &phases.Fault{
				What: path.Join(h.in.CertDir, file) + " is missing, which signs the certificates of members", Why: certs.ErrExternalCA,
				Fixes: []string{"run this on the host where hactl etcd init ran"},
			}
		}
		if err == nil {
			err = there.WriteFile(ctx, path.Join(h.in.CertDir, file), data, mode)
		}
		if err != nil {
			return nil, err
		}
	}
	t := h.pkiTask()
	t.Host, t.NodeName, t.AdvertiseAddress = there, name, address.Unmap()
	list := []phases.Phase[pki.Task]{pki.EtcdMemberPhase()}
	if err := phases.Run(ctx, list, &t, phases.Options{Now: h.now}); err != nil {
		return nil, inner(err)
	}
	r.address = address.String()
	r.url, err = h.ownURL(ctx)
	return there, err
}

func (h *etcdHoster) ownURL(ctx context.Context) (string, error) {
	t := h.memberTask()
	known, err := h.known(ctx, &t)
	if err != nil {
		return "", err
	}
	return known[0], nil
}

// EtcdExportResult is what was written.
type EtcdExportResult struct {
	File      string   `json:"file,omitempty"`
	Directory string   `json:"directory,omitempty"`
	Member    string   `json:"member,omitempty"`
	Files     []string `json:"files"` // below the certificates directory
	// CACertHash is the hash of etcd's CA, which import can compare.
	CACertHash string `json:"caCertHash"`
	// Endpoints are the client URLs of the members that vote.
	Endpoints []string `json:"endpoints,omitempty"`

	address, url string
}

// Text writes the result for people.
func (r *EtcdExportResult) Text(w io.Writer) error {
	p := &printer{w: w}
	there, how, what := "ADDRESS", "encrypted", "what API servers need of this etcd"
	if r.Member != "" {
		there, what = r.address, "the certificates of "+r.Member
	}
	from := cmp.Or(r.File, r.Directory)
	recurse := ""
	if r.Directory != "" {
		how, recurse = "in the clear", "-r "
	}
	p.line("")
	p.line("%s holds, %s, %s. Bring it there, and remove it here:", from, how, what)
	p.line("  scp %s%s root@%s:", recurse, from, there)
	p.line("There:")
	p.line("  hactl etcd credentials import %s --ca-cert-hash %s", path.Base(from), r.CACertHash)
	if r.Member != "" {
		p.line("  hactl etcd join %s", r.url)
		return p.err
	}
	p.line("In the ClusterConfiguration of the first control plane:")
	p.line("  etcd:")
	p.line("    external:")
	p.line("      endpoints:")
	for _, e := range r.Endpoints {
		p.line("      - %s", e)
	}
	files := pki.EtcdClientFiles()
	for i, field := range []string{"caFile", "certFile", "keyFile"} {
		p.line("      %s: %s", field, path.Join(config.DefaultCertsDir, files[i]))
	}
	p.line("or, without a file:")
	p.line("  hactl init --etcd-endpoints %s …", strings.Join(r.Endpoints, ","))
	return p.err
}
