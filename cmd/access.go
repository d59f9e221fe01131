package cmd

import (
	"os"
	"path/filepath"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/hactl/hactl/app"
	"github.com/hactl/hactl/config"
	"github.com/hactl/hactl/config/kubeadm"
	"github.com/hactl/hactl/phases"
)

// typedOnly marks flags that no settings file and no environment sets: they
// mean something else to the command than to init and join.
const typedOnly = "typed-only"

func onlyTyped(c *cobra.Command, flags ...string) {
	for _, name := range flags {
		f := c.Flags().Lookup(name)
		if f.Annotations == nil {
			f.Annotations = map[string][]string{}
		}
		f.Annotations[typedOnly] = []string{"yes"}
	}
}

// accessFlags say how to reach a cluster that runs.
type accessFlags struct {
	kubeconfig string
	dryRun     bool
}

func (f *accessFlags) register(s *pflag.FlagSet) {
	s.StringVar(&f.kubeconfig, "kubeconfig", "", "kubeconfig file of an administrator (default: the first that exists of $KUBECONFIG or ~/.kube/config, and "+adminConf+")")
	s.BoolVar(&f.dryRun, "dry-run", false, "show what would be done and change nothing")
}

const adminConf = config.KubernetesDir + "/admin.conf"

// access looks for a kubeconfig where kubeadm does (v1.37,
// cmd/util/cmdutil.go).
func (f *accessFlags) access() app.Access {
	a := app.Access{DryRun: f.dryRun}
	switch {
	case f.kubeconfig != "":
		a.Kubeconfigs = []string{f.kubeconfig}
	case os.Getenv("KUBECONFIG") != "":
		a.Kubeconfigs = append(filepath.SplitList(os.Getenv("KUBECONFIG")), adminConf)
	default:
		if home, err := os.UserHomeDir(); err == nil {
			a.Kubeconfigs = append(a.Kubeconfigs, filepath.Join(home, ".kube", "config"))
		}
		a.Kubeconfigs = append(a.Kubeconfigs, adminConf)
	}
	for i, file := range a.Kubeconfigs {
		if abs, err := filepath.Abs(file); err == nil {
			a.Kubeconfigs[i] = abs
		}
	}
	return a
}

// initFile reads what a configuration file says of init.
func initFile(file string, streams Streams) (*kubeadm.Documents, error) {
	data, err := readInput(file, streams)
	if err != nil {
		return nil, err
	}
	docs, err := kubeadm.Load(name(file), data)
	if err != nil {
		return nil, err
	}
	if docs.Init == nil {
		return nil, &phases.Fault{
			What:  name(file) + " has neither an InitConfiguration nor a ClusterConfiguration",
			Fixes: []string{"begin with what this prints: hactl config print init-defaults"},
			Exit:  phases.CodeUsage,
		}
	}
	return docs, nil
}
