package cmd

import (
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/hactl/hactl/app"
	"github.com/hactl/hactl/config"
	"github.com/hactl/hactl/config/kubeadm"
	"github.com/hactl/hactl/phases"
)

// initFlags are the flags of init, by kubeadm's names.
type initFlags struct {
	config, kubeconfig string

	advertiseAddress, endpoint         string
	bindPort                           int
	certSANs                           []string
	certDir, imageRepository, version  string
	podCIDR, serviceCIDR, dnsDomain    string
	featureGates                       string
	nodeName, criSocket                string
	ignore, skip                       []string
	token                              string
	tokenTTL                           time.Duration
	certificateKey, certificateKeyFile string
	patches                            string

	// Of phases alone only.
	apiServerArgs, controllerManagerArgs, schedulerArgs []string
	kubeconfigDir                                       string
	printManifest                                       bool

	uploadCerts, dryRun, skipTokenPrint, skipKeyPrint bool

	etcd    etcdFlags
	virtual virtualFlags

	docs *kubeadm.Documents // what --config holds; nil without it
}

// beside are the flags that may stand beside --config (kubeadm v1.37,
// apis/kubeadm/validation/validation.go).
var beside = []string{
	"config", "ignore-preflight-errors", "dry-run", "kubeconfig", "node-name", "kubeconfig-dir", "upload-certs",
	"print-manifest", "output", "print-join-command", "skip-phases", "skip-token-print", "skip-certificate-key-print", "certificate-key-file",
}

func (f *initFlags) register(s *pflag.FlagSet) {
	s.StringVar(&f.config, "config", "", "kubeadm configuration file, or - for standard input")
	s.StringVar(&f.advertiseAddress, "apiserver-advertise-address", "", "address that the other nodes reach this one by (default: of the interface with the default route)")
	s.IntVar(&f.bindPort, "apiserver-bind-port", config.DefaultBindPort, "port of this node's API server")
	s.StringSliceVar(&f.certSANs, "apiserver-cert-extra-sans", nil, "further names and addresses in the API server's certificate")
	s.StringVar(&f.certDir, "cert-dir", config.DefaultCertsDir, "directory of the certificates")
	s.StringVar(&f.certificateKey, "certificate-key", "", "key that encrypts the uploaded certificates, 64 hexadecimal digits; it shows in the process list: rather use --certificate-key-file")
	s.StringVar(&f.certificateKeyFile, "certificate-key-file", "", "file that holds the certificate key, or - for standard input")
	s.StringVar(&f.endpoint, "control-plane-endpoint", "", "host or host:port of the load balancer in front of all control planes")
	s.StringVar(&f.criSocket, "cri-socket", "", "socket of the container runtime (default: found by itself)")
	f.etcd.register(s)
	s.BoolVar(&f.dryRun, "dry-run", false, "show what would be done and change nothing")
	s.StringVar(&f.featureGates, "feature-gates", "", "feature gates, as name=true,name=false")
	s.StringSliceVar(&f.ignore, "ignore-preflight-errors", nil, "preflight checks whose failures are only warnings; all for every check")
	s.StringVar(&f.imageRepository, "image-repository", config.DefaultImageRepository, "where the images come from")
	s.StringVar(&f.kubeconfig, "kubeconfig", "", "kubeconfig file of an administrator (default: /etc/kubernetes/super-admin.conf or admin.conf)")
	s.StringVar(&f.version, "kubernetes-version", config.DefaultVersion, "Kubernetes version, or a label such as stable-1")
	s.StringVar(&f.nodeName, "node-name", "", "name of this node (default: the host name)")
	s.StringVar(&f.patches, "patches", "", "directory of patches for what hactl writes: target[suffix][+type].yaml, such as kube-apiserver0+merge.yaml")
	s.StringVar(&f.podCIDR, "pod-network-cidr", "", "range of the pods' addresses; each node gets a part of it")
	s.StringVar(&f.serviceCIDR, "service-cidr", "10.96.0.0/12", "range of the Services' addresses")
	s.StringVar(&f.dnsDomain, "service-dns-domain", "cluster.local", "DNS domain of the Services")
	s.BoolVar(&f.skipKeyPrint, "skip-certificate-key-print", false, "do not show the certificate key, neither in the text nor in JSON and the join command")
	s.StringSliceVar(&f.skip, "skip-phases", nil, "phases to leave out, such as addon/kube-proxy")
	s.BoolVar(&f.skipTokenPrint, "skip-token-print", false, "do not show the bootstrap token")
	s.StringVar(&f.token, "token", "", "bootstrap token that other nodes join with (default: made by hactl)")
	s.DurationVar(&f.tokenTTL, "token-ttl", config.DefaultTokenTTL, "how long the token lives; 0 for ever")
	f.virtual.register(s)
	s.BoolVar(&f.uploadCerts, "upload-certs", false, "keep the certificates, encrypted, in the cluster for two hours, so that further control planes can join; the result, also in JSON, then has the key that opens them")
}

func (f *initFlags) output(c *cobra.Command) string {
	o, _ := c.Flags().GetString("output")
	return o
}

// input makes the use case's input from the configuration file or the flags.
func (f *initFlags) input(flags *pflag.FlagSet, streams Streams) (app.InitInput, error) {
	in := app.InitInput{
		Kubeconfig:    f.kubeconfig,
		KubeconfigDir: f.kubeconfigDir,
		UploadCerts:   f.uploadCerts,
		AllowEtcdData: f.etcd.allowData,
		HideToken:     f.skipTokenPrint,
		HideKey:       f.skipKeyPrint,
		Skip:          f.skip,
		Environ:       os.Environ(),
	}
	var err error
	if f.config != "" {
		in.Config, in.Warnings, err = f.fromFile(flags, streams)
	} else {
		in.Config, err = f.fromFlags()
		in.Told = append([]string{}, changed(flags)...)
	}
	if err != nil {
		return in, err
	}
	if f.certificateKeyFile != "" {
		key, err := readInput(f.certificateKeyFile, streams)
		if err != nil {
			return in, err
		}
		in.Config.CertificateKey = config.Secret(strings.TrimSpace(string(key)))
	}
	in.Config.PatchesDir = absolute(in.Config.PatchesDir)
	in.Config.DryRun = in.Config.DryRun || f.dryRun
	in.Skip = append(in.Skip, in.Config.SkipPhases...)
	return in, nil
}

func (f *initFlags) fromFile(flags *pflag.FlagSet, streams Streams) (*config.Init, []string, error) {
	if err := refuseBesideConfig(flags, etcdNames...); err != nil {
		return nil, nil, err
	}
	data, err := readInput(f.config, streams)
	if err != nil {
		return nil, nil, err
	}
	docs, err := kubeadm.Load(f.config, data)
	if err != nil {
		return nil, nil, err
	}
	c := docs.Init
	if c == nil {
		return nil, nil, &phases.Fault{
			What:  f.config + " has neither an InitConfiguration nor a ClusterConfiguration",
			Fixes: []string{"begin with what this prints: hactl config print init-defaults"},
			Exit:  phases.CodeUsage,
		}
	}
	f.docs = docs
	if err := f.etcd.beside(&c.Cluster); err != nil {
		return nil, nil, err
	}
	if f.nodeName != "" {
		c.Node.Name = f.nodeName
	}
	c.Node.IgnorePreflight = ignored(c.Node.IgnorePreflight, f.ignore)
	return c, docs.Warnings, nil
}

// ignored joins what the file and the flag ignore; all in one of them is all.
func ignored(file, flag []string) []string {
	for _, list := range [][]string{file, flag} {
		if len(list) == 1 && strings.EqualFold(list[0], "all") {
			return list
		}
	}
	return append(file, flag...)
}

// refuseBesideConfig refuses flags that would contradict the file; also are
// further ones that do not.
func refuseBesideConfig(flags *pflag.FlagSet, also ...string) error {
	for _, name := range changed(flags) {
		if slices.Contains(beside, name) || slices.Contains(also, name) {
			continue
		}
		fix := "set it in the file, or leave --config out"
		if name == "certificate-key" {
			fix = "set certificateKey in InitConfiguration (controlPlane.certificateKey in JoinConfiguration), or use --certificate-key-file"
		}
		return &phases.Fault{
			What:  "--" + name + " cannot stand beside --config: the two could say different things",
			Fixes: []string{fix},
			Exit:  phases.CodeUsage,
		}
	}
	return nil
}

// fromFlags parses the flags into the model; every problem is reported.
func (f *initFlags) fromFlags() (*config.Init, error) {
	p := &parser{}
	c := &config.Init{
		Cluster: config.Cluster{
			Version:              f.version,
			ControlPlaneEndpoint: p.hostPort("--control-plane-endpoint", f.endpoint),
			APIServerSANs:        f.certSANs,
			CertificatesDir:      f.certDir,
			ImageRepository:      f.imageRepository,
			FeatureGates:         p.gates("--feature-gates", f.featureGates),
			Networking: config.Networking{
				PodSubnets:     p.prefixes("--pod-network-cidr", f.podCIDR),
				ServiceSubnets: p.prefixes("--service-cidr", f.serviceCIDR),
				DNSDomain:      f.dnsDomain,
			},
		},
		Node:           config.Node{Name: f.nodeName, CRISocket: socketURL(f.criSocket), IgnorePreflight: f.ignore},
		Local:          config.Endpoint{Address: p.address("--apiserver-advertise-address", f.advertiseAddress), Port: p.port("--apiserver-bind-port", f.bindPort)},
		Tokens:         []config.Token{{Value: config.Secret(f.token), TTL: f.tokenTTL}},
		CertificateKey: config.Secret(f.certificateKey),
		PatchesDir:     f.patches,
	}
	c.Cluster.Etcd.External = f.etcd.external(p, f.certDir)
	c.Cluster.LoadBalancer = f.virtual.balancer(p)
	c.Cluster.APIServer.ExtraArgs = p.args("--apiserver-extra-args", f.apiServerArgs)
	c.Cluster.ControllerManager.ExtraArgs = p.args("--controller-manager-extra-args", f.controllerManagerArgs)
	c.Cluster.Scheduler.ExtraArgs = p.args("--scheduler-extra-args", f.schedulerArgs)
	if len(p.problems) == 0 {
		return c, nil
	}
	// What is wrong with the other flags is said at the same time.
	c.Default()
	for _, further := range c.Validate() {
		if flag, ok := flagOf[further.Path]; ok && !p.has(flag) {
			p.add(flag, further.What, further.Fix)
		}
	}
	return nil, &config.InvalidError{Problems: p.problems}
}

// flagOf are the flags of settings, for those who have no file to look into.
var flagOf = map[string]string{
	"bootstrapTokens[0].token":          "--token",
	"bootstrapTokens[0].ttl":            "--token-ttl",
	"certificateKey":                    "--certificate-key",
	"certificatesDir":                   "--cert-dir",
	"controlPlaneEndpoint":              "--control-plane-endpoint",
	"kubernetesVersion":                 "--kubernetes-version",
	"loadBalancer.interface":            "--virtual-ip-interface",
	"loadBalancer.routerID":             "--virtual-router-id",
	"loadBalancer.virtualIP":            "--virtual-ip",
	"localAPIEndpoint.advertiseAddress": "--apiserver-advertise-address",
	"networking.dnsDomain":              "--service-dns-domain",
	"networking.podSubnet":              "--pod-network-cidr",
	"networking.serviceSubnet":          "--service-cidr",
	"nodeRegistration.criSocket":        "--cri-socket",
	"nodeRegistration.name":             "--node-name",
}

// placed says where the user wrote what is wrong with the configuration.
func (f *initFlags) placed(err error) error { return placed(err, f.docs, flagOf) }

// placed says where the user wrote what is wrong with the configuration: at a
// place in the file or, without one, in a flag.
func placed(err error, docs *kubeadm.Documents, flagOf map[string]string) error {
	var invalid *config.InvalidError
	if !errors.As(err, &invalid) {
		return err
	}
	if docs != nil {
		docs.Locate(invalid.Problems)
		return err
	}
	for i, p := range invalid.Problems {
		if flag, ok := flagOf[p.Path]; ok {
			invalid.Problems[i].Path = flag
		}
	}
	return err
}

// parser collects what is wrong with flags.
type parser struct{ problems []config.Problem }

func (p *parser) add(flag, what, fix string) {
	p.problems = append(p.problems, config.Problem{Path: flag, What: what, Fix: fix})
}

func (p *parser) has(flag string) bool {
	return slices.ContainsFunc(p.problems, func(q config.Problem) bool { return q.Path == flag })
}

func (p *parser) hostPort(flag, s string) config.HostPort {
	if s == "" {
		return config.HostPort{}
	}
	hp, err := config.ParseHostPort(s)
	if err != nil {
		p.add(flag, err.Error(), "write it as lb.example.com:6443")
	}
	return hp
}

func (p *parser) address(flag, s string) netip.Addr {
	if s == "" {
		return netip.Addr{}
	}
	a, err := netip.ParseAddr(s)
	if err != nil {
		p.add(flag, fmt.Sprintf("%q is not an IP address", s), "write it as 10.0.0.11")
	}
	return a.Unmap()
}

func (p *parser) port(flag string, n int) uint16 {
	if n < 1 || n > 65535 {
		p.add(flag, fmt.Sprintf("%d is not a port: a number from 1 to 65535", n), "")
		return 0
	}
	return uint16(n)
}

func (p *parser) prefixes(flag, s string) []netip.Prefix {
	if s == "" {
		return nil
	}
	var list []netip.Prefix
	for part := range strings.SplitSeq(s, ",") {
		prefix, err := netip.ParsePrefix(strings.TrimSpace(part))
		if err != nil {
			p.add(flag, fmt.Sprintf("%q is not a range of addresses", part), "write it as 10.244.0.0/16")
			continue
		}
		list = append(list, prefix)
	}
	return list
}

func (p *parser) args(flag string, list []string) []config.Arg {
	var args []config.Arg
	for _, pair := range list {
		name, value, ok := strings.Cut(pair, "=")
		if !ok || name == "" {
			p.add(flag, fmt.Sprintf("%q is not name=value", pair), "")
			continue
		}
		args = append(args, config.Arg{Name: name, Value: value})
	}
	return args
}

func (p *parser) gates(flag, s string) map[string]bool {
	if s == "" {
		return nil
	}
	gates := map[string]bool{}
	for part := range strings.SplitSeq(s, ",") {
		name, value, _ := strings.Cut(part, "=")
		if name == "" || (value != "true" && value != "false") {
			p.add(flag, fmt.Sprintf("%q is not name=true or name=false", part), "")
			continue
		}
		gates[name] = value == "true"
	}
	return gates
}

// socketURL lets people write the path alone.
func socketURL(s string) string {
	if strings.HasPrefix(s, "/") {
		return "unix://" + s
	}
	return s
}

// readInput reads a file, or standard input for "-".
func readInput(name string, streams Streams) ([]byte, error) {
	if name == "-" {
		return io.ReadAll(streams.In)
	}
	data, err := os.ReadFile(name)
	if err != nil {
		return nil, &phases.Fault{
			What: "cannot read " + name, Why: err,
			Fixes: []string{"see whether the file is there, on this node: ls -l " + name}, Exit: phases.CodeUsage,
		}
	}
	return data, nil
}
