package app

import (
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
	"github.com/hactl/hactl/phases/etcdhost"
	"github.com/hactl/hactl/phases/host"
	"github.com/hactl/hactl/phases/pki"
)

// EtcdExportInput is what EtcdExport needs from its caller.
type EtcdExportInput struct {
	EtcdHostInput
	// Directory is the absolute path of the directory to make.
	Directory string
	// Member is a host that is to join, as NAME=ADDRESS; "" writes what API
	// servers need.
	Member string
}

// EtcdExport writes what API servers, or one further etcd host, need of this
// etcd cluster into a new directory: CA, certificates and their keys, never
// the key of the CA. The directory has the shape of /etc/kubernetes/pki.
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
	if err := h.mustBeNew(ctx, in.Directory); err != nil {
		return nil, err
	}
	r := &EtcdExportResult{Directory: in.Directory, Member: in.Member, Files: []string{}}
	if in.Member != "" {
		return r, h.exportMember(ctx, in, r)
	}
	return r, h.exportClient(ctx, in, r, notify)
}

// mustBeNew refuses to mix what is exported with what is there.
func (h *etcdHoster) mustBeNew(ctx context.Context, dir string) error {
	info, err := h.host.Stat(ctx, dir)
	if errors.Is(err, fs.ErrNotExist) || err == nil && info.Mode.IsDir() && len(info.Names) == 0 {
		return nil
	}
	if err != nil {
		return err
	}
	return &phases.Fault{What: dir + " is there already", Fixes: []string{"name a new directory, or remove that one"}, Exit: phases.CodeUnsafe}
}

// exportClient writes the pair of the API servers; it makes one if there is
// none yet.
func (h *etcdHoster) exportClient(ctx context.Context, in EtcdExportInput, r *EtcdExportResult, notify func(phases.Event)) error {
	t := h.pkiTask()
	list := []phases.Phase[pki.Task]{pki.EtcdClientPhase()}
	err := phases.Run(ctx, list, &t, phases.Options{Now: h.now})
	if errors.Is(err, certs.ErrExternalCA) {
		return &phases.Fault{
			What: "this host can make no certificate for API servers", Why: certs.ErrExternalCA,
			Fixes: []string{"run this on the host where hactl etcd init ran: it has the key of the CA"},
		}
	}
	if err != nil {
		return inner(err)
	}
	if r.Files, err = h.copyOut(ctx, h.host, pki.EtcdClientFiles(), in.Directory); err != nil {
		return err
	}
	r.Endpoints, err = h.endpoints(ctx)
	if err != nil {
		notify(h.warning("etcd does not tell its members, so the endpoints are those that this host knows: " + err.Error()))
	}
	return nil
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

// exportMember makes the certificates of another host in memory, where the
// key of the CA stays.
func (h *etcdHoster) exportMember(ctx context.Context, in EtcdExportInput, r *EtcdExportResult) error {
	name, text, _ := strings.Cut(in.Member, "=")
	address, err := netip.ParseAddr(text)
	if bad := validation.IsDNS1123Subdomain(name); err != nil || len(bad) > 0 {
		return usage(fmt.Sprintf("--for-member: %q is not NAME=ADDRESS", in.Member), "write it as etcd-2=10.0.0.32, with the host name that it has")
	}
	there := host.NewMemory()
	ca := map[string]fs.FileMode{"etcd/ca.crt": 0o644, "etcd/ca.key": 0o600}
	for file, mode := range ca {
		data, err := h.host.ReadFile(ctx, path.Join(h.in.CertDir, file))
		if errors.Is(err, fs.ErrNotExist) {
			return &phases.Fault{
				What: path.Join(h.in.CertDir, file) + " is missing, which signs the certificates of members", Why: certs.ErrExternalCA,
				Fixes: []string{"run this on the host where hactl etcd init ran"},
			}
		}
		if err == nil {
			err = there.WriteFile(ctx, path.Join(h.in.CertDir, file), data, mode)
		}
		if err != nil {
			return err
		}
	}
	t := h.pkiTask()
	t.Host, t.NodeName, t.AdvertiseAddress = there, name, address.Unmap()
	list := []phases.Phase[pki.Task]{pki.EtcdMemberPhase()}
	if err := phases.Run(ctx, list, &t, phases.Options{Now: h.now}); err != nil {
		return inner(err)
	}
	r.address, r.certDir = address.String(), h.in.CertDir
	if r.url, err = h.ownURL(ctx); err != nil {
		return err
	}
	r.Files, err = h.copyOut(ctx, there, pki.EtcdMemberFiles(), in.Directory)
	return err
}

func (h *etcdHoster) ownURL(ctx context.Context) (string, error) {
	t := h.memberTask()
	known, err := h.known(ctx, &t)
	if err != nil {
		return "", err
	}
	return known[0], nil
}

// copyOut writes files of a certificates directory into a directory that only
// root may read, and returns their names.
func (h *etcdHoster) copyOut(ctx context.Context, from host.Files, names []string, dir string) ([]string, error) {
	for _, name := range names {
		data, err := from.ReadFile(ctx, path.Join(h.in.CertDir, name))
		if err != nil {
			return nil, fmt.Errorf("export %s: %w", name, err)
		}
		if err := h.host.WriteFile(ctx, path.Join(dir, name), data, 0o600); err != nil {
			return nil, fmt.Errorf("export %s: %w", name, err)
		}
	}
	return names, nil
}

// EtcdExportResult is what was written.
type EtcdExportResult struct {
	Directory string   `json:"directory"`
	Member    string   `json:"member,omitempty"`
	Files     []string `json:"files"` // below the directory
	// Endpoints are the client URLs of the members that vote.
	Endpoints []string `json:"endpoints,omitempty"`

	address, certDir, url string
}

// Text writes the result for people.
func (r *EtcdExportResult) Text(w io.Writer) error {
	p := &printer{w: w}
	p.line("")
	if r.Member != "" {
		p.line("%s holds, in the clear, the certificates of %s. Bring them there and remove them here:", r.Directory, r.Member)
		p.line("  ssh root@%[2]s mkdir -p %[3]s && scp -r %[1]s/. root@%[2]s:%[3]s/ && rm -r %[1]s", r.Directory, r.address, r.certDir)
		p.line("There:")
		p.line("  hactl etcd join %s", r.url)
		return p.err
	}
	dir := config.DefaultCertsDir
	p.line("%s holds, in the clear, what API servers need of this etcd. Bring it to the first control plane and remove it here:", r.Directory)
	p.line("  ssh root@ADDRESS mkdir -p %[2]s && scp -r %[1]s/. root@ADDRESS:%[2]s/ && rm -r %[1]s", r.Directory, dir)
	p.line("In its ClusterConfiguration:")
	p.line("  etcd:")
	p.line("    external:")
	p.line("      endpoints:")
	for _, e := range r.Endpoints {
		p.line("      - %s", e)
	}
	files := pki.EtcdClientFiles()
	for i, field := range []string{"caFile", "certFile", "keyFile"} {
		p.line("      %s: %s", field, path.Join(dir, files[i]))
	}
	p.line("or, without a file:")
	p.line("  hactl init --etcd-endpoints %s …", strings.Join(r.Endpoints, ","))
	return p.err
}
