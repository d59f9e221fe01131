package cmd

import (
	"path"
	"slices"
	"strings"

	"github.com/spf13/pflag"

	"github.com/hactl/hactl/config"
	"github.com/hactl/hactl/phases"
)

// etcdFlags say which etcd a cluster uses that is not its own. As settings
// they are HACTL_ETCD_ENDPOINTS, HACTL_ETCD_CAFILE, HACTL_ETCD_CERTFILE and
// HACTL_ETCD_KEYFILE.
type etcdFlags struct {
	endpoints                 []string
	caFile, certFile, keyFile string
	allowData                 bool
}

// etcdNames are the flags that also stand beside --config.
var etcdNames = []string{"etcd-endpoints", "etcd-cafile", "etcd-certfile", "etcd-keyfile", allowEtcdData}

const allowEtcdData = "allow-existing-etcd-data"

func (f *etcdFlags) register(s *pflag.FlagSet) {
	s.BoolVar(&f.allowData, allowEtcdData, false, "begin on an external etcd that holds data already; if that is another cluster's, both break")
	s.StringVar(&f.caFile, "etcd-cafile", "", "CA of the external etcd (default: etcd/ca.crt below --cert-dir)")
	s.StringVar(&f.certFile, "etcd-certfile", "", "client certificate for the external etcd (default: apiserver-etcd-client.crt below --cert-dir)")
	s.StringSliceVar(&f.endpoints, "etcd-endpoints", nil, "client URLs of an external etcd, such as https://10.0.0.31:2379,https://10.0.0.32:2379")
	s.StringVar(&f.keyFile, "etcd-keyfile", "", "private key of --etcd-certfile (default: apiserver-etcd-client.key below --cert-dir)")
}

// external parses the flags; nil without endpoints. Files that nobody names
// lie where they usually do.
func (f *etcdFlags) external(p *parser, certDir string) *config.ExternalEtcd {
	x := &config.ExternalEtcd{CAFile: f.caFile, CertFile: f.certFile, KeyFile: f.keyFile}
	for _, e := range f.endpoints {
		if e = strings.TrimSpace(e); e != "" {
			x.Endpoints = append(x.Endpoints, e)
		}
	}
	files := f.caFile + f.certFile + f.keyFile
	secure := func(e string) bool { return strings.HasPrefix(e, "https://") }
	switch {
	case len(x.Endpoints) == 0 && files == "":
		return nil
	case len(x.Endpoints) == 0:
		p.add("--etcd-cafile, --etcd-certfile, --etcd-keyfile", "files of an external etcd without its endpoints", "name them: --etcd-endpoints https://10.0.0.31:2379")
		return nil
	case slices.ContainsFunc(x.Endpoints, secure) && slices.ContainsFunc(x.Endpoints, func(e string) bool { return !secure(e) }):
		p.add("--etcd-endpoints", strings.Join(x.Endpoints, ",")+" are not all https URLs", "use one scheme for all")
		return nil
	case f.certFile != "" && f.keyFile == "":
		p.add("--etcd-certfile", "a certificate without its key", "name it: --etcd-keyfile FILE")
		return nil
	case f.certFile == "" && f.keyFile != "":
		p.add("--etcd-keyfile", "a key without its certificate", "name it: --etcd-certfile FILE")
		return nil
	}
	if files == "" && secure(x.Endpoints[0]) {
		x.CAFile = path.Join(certDir, "etcd/ca.crt")
		x.CertFile = path.Join(certDir, "apiserver-etcd-client.crt")
		x.KeyFile = path.Join(certDir, "apiserver-etcd-client.key")
	}
	return x
}

// beside puts the flags into what a file says, unless that says something
// else.
func (f *etcdFlags) beside(c *config.Cluster) error {
	p := &parser{}
	dir := c.CertificatesDir
	if dir == "" {
		dir = config.DefaultCertsDir
	}
	x := f.external(p, dir)
	if len(p.problems) > 0 {
		return &config.InvalidError{Problems: p.problems}
	}
	switch {
	case x == nil:
		return nil
	case !isPlain(c.Etcd.Local) || c.Etcd.External != nil && !sameEtcd(c.Etcd.External, x):
		return &phases.Fault{
			What:  "the file of --config names another etcd than --etcd-endpoints (HACTL_ETCD_ENDPOINTS)",
			Fixes: []string{"leave out one of the two: etcd in the file, or the flags and settings"},
			Exit:  phases.CodeUsage,
		}
	}
	c.Etcd.Local, c.Etcd.External = nil, x
	return nil
}

// isPlain says that a file has said nothing of a local etcd.
func isPlain(l *config.LocalEtcd) bool {
	return l == nil || l.DataDir == config.DefaultEtcdDir && l.ImageRepository+l.ImageTag == "" &&
		len(l.ExtraArgs)+len(l.ExtraEnvs)+len(l.ServerCertSANs)+len(l.PeerCertSANs) == 0
}

func sameEtcd(a, b *config.ExternalEtcd) bool {
	return slices.Equal(a.Endpoints, b.Endpoints) && a.CAFile == b.CAFile && a.CertFile == b.CertFile && a.KeyFile == b.KeyFile
}
