package cmd

import (
	"errors"
	"os"
	"strings"

	"github.com/spf13/pflag"

	"github.com/hactl/hactl/app"
	"github.com/hactl/hactl/config"
	"github.com/hactl/hactl/config/kubeadm"
	"github.com/hactl/hactl/phases"
)

// joinFlags are the flags of join, by kubeadm's names.
type joinFlags struct {
	config string

	advertiseAddress                   string
	bindPort                           int
	controlPlane                       bool
	certificateKey, certificateKeyFile string
	criSocket, nodeName, patches       string
	ignore, skip                       []string

	token, tokenFile              string
	discoveryToken, discoveryFile string
	tlsBootstrapToken             string
	caCertHashes                  []string
	unsafeSkipCA                  bool

	dryRun  bool
	virtual virtualFlags

	docs *kubeadm.Documents // what --config holds; nil without it
}

func (f *joinFlags) register(s *pflag.FlagSet) {
	s.StringVar(&f.config, "config", "", "kubeadm configuration file, or - for standard input")
	s.StringVar(&f.advertiseAddress, "apiserver-advertise-address", "", "address that the other control planes reach this one by (default: of the interface with the default route)")
	s.IntVar(&f.bindPort, "apiserver-bind-port", config.DefaultBindPort, "port of this node's API server")
	s.StringVar(&f.certificateKey, "certificate-key", "", "key that opens the uploaded certificates; it shows in the process list: rather use --certificate-key-file")
	s.StringVar(&f.certificateKeyFile, "certificate-key-file", "", "file that holds the certificate key, or - for standard input")
	s.BoolVar(&f.controlPlane, "control-plane", false, "join as a further control plane, not as a worker")
	s.StringVar(&f.criSocket, "cri-socket", "", "socket of the container runtime (default: found by itself)")
	s.StringVar(&f.discoveryFile, "discovery-file", "", "kubeconfig that tells of the cluster: a file, or an https URL")
	s.StringVar(&f.discoveryToken, "discovery-token", "", "bootstrap token that proves the cluster")
	s.StringSliceVar(&f.caCertHashes, "discovery-token-ca-cert-hash", nil, "hash of the cluster's CA: sha256:…")
	s.BoolVar(&f.unsafeSkipCA, "discovery-token-unsafe-skip-ca-verification", false, "trust the CA of whoever answers: anyone who knows the token can then pass for the cluster")
	s.BoolVar(&f.dryRun, "dry-run", false, "show what would be done and change nothing")
	s.StringSliceVar(&f.ignore, "ignore-preflight-errors", nil, "preflight checks whose failures are only warnings; all for every check")
	s.StringVar(&f.nodeName, "node-name", "", "name of this node (default: the host name)")
	s.StringVar(&f.patches, "patches", "", "directory of patches for what hactl writes: target[suffix][+type].yaml, such as kube-apiserver0+merge.yaml")
	s.StringSliceVar(&f.skip, "skip-phases", nil, "phases to leave out, such as preflight")
	s.StringVar(&f.tlsBootstrapToken, "tls-bootstrap-token", "", "bootstrap token that the kubelet gets in with (default: --token)")
	s.StringVar(&f.token, "token", "", "bootstrap token, for both uses; it shows in the process list: rather use --token-file")
	s.StringVar(&f.tokenFile, "token-file", "", "file that holds the bootstrap token, or - for standard input")
	f.virtual.register(s)
}

// input makes the use case's input from the configuration file or the flags.
func (f *joinFlags) input(flags *pflag.FlagSet, endpoint string, streams Streams) (app.JoinInput, error) {
	in := app.JoinInput{Environ: os.Environ(), Skip: f.skip}
	if err := f.secrets(streams); err != nil {
		return in, err
	}
	var err error
	if f.config != "" {
		err = f.fromFile(&in, flags, endpoint, streams)
	} else {
		in.Config, err = f.fromFlags(endpoint)
	}
	if err != nil {
		return in, err
	}
	if f.certificateKeyFile != "" && in.Config.ControlPlane != nil {
		in.Config.ControlPlane.CertificateKey = config.Secret(f.certificateKey)
	}
	in.Config.DryRun = in.Config.DryRun || f.dryRun
	in.Config.PatchesDir = absolute(in.Config.PatchesDir)
	if d := in.Config.Discovery.File; d != nil && !strings.Contains(d.Kubeconfig, "://") {
		d.Kubeconfig = absolute(d.Kubeconfig)
	}
	in.Skip = append(in.Skip, in.Config.SkipPhases...)
	return in, nil
}

// secrets reads those that are in files.
func (f *joinFlags) secrets(streams Streams) error {
	for _, s := range []struct {
		file string
		into *string
	}{{f.certificateKeyFile, &f.certificateKey}, {f.tokenFile, &f.token}} {
		if s.file == "" {
			continue
		}
		data, err := readInput(s.file, streams)
		if err != nil {
			return err
		}
		*s.into = strings.TrimSpace(string(data))
	}
	return nil
}

func (f *joinFlags) fromFile(in *app.JoinInput, flags *pflag.FlagSet, endpoint string, streams Streams) error {
	if err := refuseBesideConfig(flags); err != nil {
		return err
	}
	if endpoint != "" {
		return &phases.Fault{
			What:  "the argument " + endpoint + " cannot stand beside --config: the two could say different things",
			Fixes: []string{"set discovery.bootstrapToken.apiServerEndpoint in the file, or leave --config out"},
			Exit:  phases.CodeUsage,
		}
	}
	data, err := readInput(f.config, streams)
	if err != nil {
		return err
	}
	docs, err := kubeadm.Load(name(f.config), data)
	if err != nil {
		return err
	}
	if docs.Join == nil {
		return &phases.Fault{
			What:  name(f.config) + " has no JoinConfiguration",
			Fixes: []string{"begin with what this prints: hactl config print join-defaults"},
			Exit:  phases.CodeUsage,
		}
	}
	f.docs = docs
	in.Config, in.Warnings = docs.Join, docs.Warnings
	if docs.Init != nil {
		in.Given = &docs.Init.Cluster
	}
	if f.nodeName != "" {
		in.Config.Node.Name = f.nodeName
	}
	in.Config.Node.IgnorePreflight = ignored(in.Config.Node.IgnorePreflight, f.ignore)
	return nil
}

// fromFlags parses the flags into the model; every problem is reported.
func (f *joinFlags) fromFlags(endpoint string) (*config.JoinNode, error) {
	p := &parser{}
	j := &config.JoinNode{
		Node:       config.Node{Name: f.nodeName, CRISocket: socketURL(f.criSocket), IgnorePreflight: f.ignore},
		PatchesDir: f.patches,
		Discovery:  f.discovery(p, endpoint),
	}
	j.LoadBalancer = f.virtual.balancer(p)
	if f.controlPlane {
		j.ControlPlane = &config.JoinControlPlane{
			Local:          config.Endpoint{Address: p.address("--apiserver-advertise-address", f.advertiseAddress), Port: p.port("--apiserver-bind-port", f.bindPort)},
			CertificateKey: config.Secret(f.certificateKey),
		}
	}
	if len(p.problems) > 0 {
		return nil, &config.InvalidError{Problems: p.problems}
	}
	return j, nil
}

func (f *joinFlags) discovery(p *parser, endpoint string) config.Discovery {
	d := config.Discovery{TLSBootstrapToken: config.Secret(f.tlsBootstrapToken)}
	if f.tlsBootstrapToken == "" {
		d.TLSBootstrapToken = config.Secret(f.token)
	}
	if f.discoveryFile != "" {
		d.File = &config.FileDiscovery{Kubeconfig: f.discoveryFile}
	}
	token := f.discoveryToken
	if token == "" {
		token = f.token
	}
	if f.discoveryFile == "" && (token != "" || endpoint != "") || f.discoveryToken != "" {
		d.Token = &config.TokenDiscovery{
			Token: config.Secret(token), Endpoint: p.hostPort("the API server's endpoint", endpoint),
			CACertHashes: f.caCertHashes, UnsafeSkipCAVerification: f.unsafeSkipCA,
		}
	}
	return d
}

// placed says where the user wrote what is wrong with the configuration.
func (f *joinFlags) placed(err error) error {
	var invalid *config.InvalidError
	if f.docs == nil && errors.As(err, &invalid) {
		for i := range invalid.Problems {
			f.inFlags(&invalid.Problems[i])
		}
	}
	return placed(err, f.docs, joinFlagOf)
}

// inFlags words a problem for those who have no file.
func (f *joinFlags) inFlags(p *config.Problem) {
	p.Path, _, _ = strings.Cut(p.Path, "[") // a flag has no numbers
	switch p.Path {
	case "discovery":
		p.Fix = "take the endpoint, --token and --discovery-token-ca-cert-hash from what this prints on a control-plane node: hactl token create --print-join-command"
	case "discovery.bootstrapToken.caCertHashes":
		p.Fix = strings.Replace(p.Fix, "set unsafeSkipCAVerification: true", "give --discovery-token-unsafe-skip-ca-verification", 1)
	case "discovery.tlsBootstrapToken":
		if f.tlsBootstrapToken == "" {
			p.Path = "discovery.bootstrapToken.token" // whose value it is
		}
	}
}

// joinFlagOf are the flags of join's settings.
var joinFlagOf = map[string]string{
	"controlPlane.certificateKey":                    "--certificate-key",
	"controlPlane.localAPIEndpoint.advertiseAddress": "--apiserver-advertise-address",
	"discovery":                                         "the command",
	"discovery.file":                                    "--discovery-file",
	"discovery.file.kubeConfigPath":                     "--discovery-file",
	"discovery.bootstrapToken.token":                    "--token",
	"discovery.bootstrapToken.apiServerEndpoint":        "the API server's endpoint",
	"discovery.bootstrapToken.caCertHashes":             "--discovery-token-ca-cert-hash",
	"discovery.bootstrapToken.unsafeSkipCAVerification": "--discovery-token-unsafe-skip-ca-verification",
	"discovery.tlsBootstrapToken":                       "--tls-bootstrap-token",
	"loadBalancer.interface":                            "--virtual-ip-interface",
	"loadBalancer.routerID":                             "--virtual-router-id",
	"loadBalancer.virtualIP":                            "--virtual-ip",
	"nodeRegistration.criSocket":                        "--cri-socket",
	"nodeRegistration.name":                             "--node-name",
}
