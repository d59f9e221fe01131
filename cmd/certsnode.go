package cmd

import (
	"net/netip"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/hactl/hactl/app"
	"github.com/hactl/hactl/phases"
)

// certsFlags say which certificates a command is about, and for which node.
type certsFlags struct {
	config, certDir, node, address string
	pins                           []string
	externalCA                     bool
}

func (f *certsFlags) register(s *pflag.FlagSet) {
	s.StringVar(&f.config, "config", "", "kubeadm configuration file, or - for standard input")
	s.StringVar(&f.certDir, "cert-dir", "", "directory of the node's certificates (default: that of --config, of this node's API server, or /etc/kubernetes/pki)")
}

// registerNode adds what commands need that judge for a node.
func (f *certsFlags) registerNode(s *pflag.FlagSet) {
	f.register(s)
	s.StringVar(&f.node, "node-name", "", "name of the node that the certificates are for (default: this machine)")
	s.StringVar(&f.address, "apiserver-advertise-address", "", "address of that node's API server (default: this machine)")
	s.StringSliceVar(&f.pins, "ca-cert-hash", nil, "hash that the cluster's CA must have, as in the join command: sha256:…")
	s.BoolVar(&f.externalCA, "external-ca", false, "accept CAs without their keys, because they are run elsewhere")
}

// input reads the configuration; the second result is what there is to warn
// of.
func (f *certsFlags) input(streams Streams) (app.CertsNode, []string, error) {
	in := app.CertsNode{CertDir: absolute(f.certDir), Name: f.node, ExternalCA: f.externalCA}
	var err error
	if in.Pins, err = parsePins(f.pins, "copy it from the join command, or ask a control plane: hactl token create --print-join-command"); err != nil {
		return in, nil, err
	}
	if f.address != "" {
		a, err := netip.ParseAddr(f.address)
		if err != nil {
			return in, nil, &phases.Fault{What: "--apiserver-advertise-address is no address", Why: err, Fixes: []string{"write it as 10.0.0.12"}, Exit: phases.CodeUsage}
		}
		in.Address = a
	}
	if f.config == "" {
		return in, nil, nil
	}
	docs, err := initFile(f.config, streams)
	if err != nil {
		return in, nil, err
	}
	in.Config = docs.Init
	return in, docs.Warnings, nil
}

// parsePins reads the hashes of CAs; whence says where to get them.
func parsePins(pins []string, whence string) ([]string, error) {
	var list []string
	for _, pin := range pins {
		if !pinShape.MatchString(pin) {
			return nil, &phases.Fault{What: "--ca-cert-hash: it is not sha256: and 64 hexadecimal digits", Fixes: []string{whence}, Exit: phases.CodeUsage}
		}
		list = append(list, strings.ToLower(pin))
	}
	return list, nil
}

// oneInput refuses to read standard input twice.
func oneInput(files ...string) error {
	n := 0
	for _, f := range files {
		if f == "-" {
			n++
		}
	}
	if n <= 1 {
		return nil
	}
	return &phases.Fault{What: "standard input cannot be read twice", Fixes: []string{"put one of them into a file"}, Exit: phases.CodeUsage}
}

// oneArgument wants exactly one argument; what says what it is.
func oneArgument(what string) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		if len(args) == 1 && args[0] != "" {
			return nil
		}
		return &phases.Fault{What: "name exactly one " + what, Fixes: []string{"see: " + c.CommandPath() + " --help"}, Exit: phases.CodeUsage}
	}
}
