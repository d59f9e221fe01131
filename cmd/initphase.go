package cmd

import (
	"context"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/hactl/hactl/app"
	"github.com/hactl/hactl/cmd/render"
	"github.com/hactl/hactl/phases"
)

// newInitPhase is `hactl init phase …`: every phase alone.
func newInitPhase(streams Streams) *cobra.Command {
	c := group("phase", "Run one phase of init alone", newPhaseList(streams, app.InitPhases()))
	c.Long = text(`
		Run one phase of init alone.

		A phase needs only what it works from; what is missing is named together
		with the phase that makes it. Without --config, what its flags do not say
		comes from the cluster and from what init noted of this node, once both
		are there; before that, from the defaults.
	`)
	f := &initFlags{}
	flags := pflag.NewFlagSet("", pflag.ContinueOnError)
	f.register(flags)
	f.registerAlone(flags)
	addPhaseCommands(c, app.InitPhases(), "", func(path string) *cobra.Command {
		p := &cobra.Command{RunE: func(c *cobra.Command, _ []string) error {
			if f.printManifest {
				return printManifest(c, streams, f, path)
			}
			return runInit(c, streams, f, []string{path})
		}}
		share(p, flags)
		onlyTyped(p, allowEtcdData)
		own(p, noArgs, initPhaseFlags(path))
		return p
	})
	return c
}

// registerAlone adds the flags that only phases alone have.
func (f *initFlags) registerAlone(s *pflag.FlagSet) {
	s.StringSliceVar(&f.apiServerArgs, "apiserver-extra-args", nil, "further flags of kube-apiserver, as name=value; rather use apiServer.extraArgs in the file")
	s.StringSliceVar(&f.controllerManagerArgs, "controller-manager-extra-args", nil, "further flags of kube-controller-manager, as name=value; rather use controllerManager.extraArgs in the file")
	s.StringSliceVar(&f.schedulerArgs, "scheduler-extra-args", nil, "further flags of kube-scheduler, as name=value; rather use scheduler.extraArgs in the file")
	s.StringVar(&f.kubeconfigDir, "kubeconfig-dir", "", "directory that the kubeconfig files go to (default: /etc/kubernetes)")
	s.BoolVar(&f.printManifest, "print-manifest", false, "print the manifest of the addon and change nothing")
}

// Flags of phases alone: those that kubeadm v1.37 gives the phase of that
// name (cmd/kubeadm/app/cmd/phases/init), and behind the bar some of hactl's
// own that save a configuration file.
const (
	advertiseFlags = "apiserver-advertise-address control-plane-endpoint"
	certFlags      = "cert-dir config kubernetes-version dry-run"
	confFlags      = advertiseFlags + " apiserver-bind-port cert-dir config kubeconfig-dir kubernetes-version dry-run"
	podFlags       = "config cert-dir kubernetes-version image-repository patches dry-run"
	addonFlags     = "config kubeconfig kubernetes-version image-repository dry-run print-manifest | patches"
)

var flagsOfInitPhases = map[string]string{
	"preflight":                        "config image-repository cri-socket ignore-preflight-errors dry-run",
	"certs":                            certFlags,
	"certs/apiserver":                  certFlags + " " + advertiseFlags + " apiserver-cert-extra-sans service-dns-domain service-cidr",
	"kubeconfig":                       confFlags,
	"kubeconfig/kubelet":               confFlags + " node-name",
	"etcd/local":                       "cert-dir config image-repository patches dry-run",
	"control-plane/apiserver":          podFlags + " " + advertiseFlags + " apiserver-bind-port apiserver-extra-args feature-gates service-cidr",
	"control-plane/controller-manager": podFlags + " controller-manager-extra-args pod-network-cidr",
	"control-plane/scheduler":          podFlags + " scheduler-extra-args",
	"kubelet-start":                    "config image-repository cri-socket node-name patches dry-run",
	"wait-control-plane":               "| config kubeconfig apiserver-advertise-address apiserver-bind-port dry-run",
	"upload-config":                    "config cri-socket kubeconfig dry-run",
	"load-balancer":                    "| config kubeconfig dry-run " + advertiseFlags + " apiserver-bind-port node-name " + virtualNames,
	"upload-certs":                     "config kubeconfig upload-certs certificate-key skip-certificate-key-print dry-run | certificate-key-file",
	"mark-control-plane":               "node-name config dry-run | kubeconfig",
	"bootstrap-token":                  "config kubeconfig skip-token-print dry-run | token token-ttl",
	"kubelet-finalize/enable-client-cert-rotation": "config cert-dir dry-run",
	"addon/coredns":     addonFlags + " feature-gates service-dns-domain service-cidr",
	"addon/kube-proxy":  addonFlags + " " + advertiseFlags + " apiserver-bind-port pod-network-cidr",
	"show-join-command": "| config kubeconfig cert-dir control-plane-endpoint skip-token-print skip-certificate-key-print certificate-key-file",
}

// initPhaseFlags are the flags of a phase: its own, or else those of the
// group that it is in. A group has those of all its phases.
func initPhaseFlags(phase string) []string {
	given := flagsOfInitPhases[phase]
	if given == "" && strings.Contains(phase, "/") {
		given = flagsOfInitPhases[path.Dir(phase)]
	}
	list := strings.Fields(given)
	for sub := range flagsOfInitPhases {
		if strings.HasPrefix(sub, phase+"/") {
			list = append(list, strings.Fields(flagsOfInitPhases[sub])...)
		}
	}
	slices.Sort(list)
	list = slices.DeleteFunc(slices.Compact(list), func(name string) bool { return name == "|" })
	if !strings.Contains(phase, "/") { // there is no manifest of a group
		list = slices.DeleteFunc(list, func(name string) bool { return name == "print-manifest" })
	}
	return list
}

// share gives a command all of the flags, and of each a copy to hide or to
// mark. The values are one for all commands that share them, because only one
// of them runs. To register every flag again for each phase would cost a tenth
// of all the memory that init allocates.
func share(c *cobra.Command, flags *pflag.FlagSet) {
	flags.VisitAll(func(f *pflag.Flag) {
		mine := *f
		mine.Annotations = maps.Clone(f.Annotations)
		c.Flags().AddFlag(&mine)
	})
}

// own leaves a command only those of its flags, and the arguments that takes
// lets pass. The others can still come
// from the environment and the settings file: what is written there is true
// for every command.
func own(c *cobra.Command, takes cobra.PositionalArgs, names []string) {
	c.Flags().VisitAll(func(f *pflag.Flag) { f.Hidden = !slices.Contains(names, f.Name) })
	c.Args = func(c *cobra.Command, args []string) error {
		if err := takes(c, args); err != nil {
			return err
		}
		// Settings are not applied yet: what has changed was typed.
		var problem error
		c.LocalNonPersistentFlags().VisitAll(func(f *pflag.Flag) {
			if f.Changed && f.Hidden && problem == nil {
				problem = &phases.Fault{
					What: c.CommandPath() + " has no flag --" + f.Name,
					Fixes: []string{
						"leave it out: the phase does not need it; or set it in a file for --config",
						"see: " + c.CommandPath() + " --help",
					},
					Exit: phases.CodeUsage,
				}
			}
		})
		return problem
	}
}

// printManifest shows what a phase of addon would put into the cluster.
func printManifest(c *cobra.Command, streams Streams, f *initFlags, phase string) error {
	r, err := render.New(render.Format(f.output(c)), streams.Out, streams.Err, streams.width)
	if err != nil {
		return err
	}
	in, err := f.input(c.Flags(), streams)
	if err != nil {
		return err
	}
	in.Only = []string{phase}
	return show(c.Context(), r, func(ctx context.Context) (render.Result, error) {
		result, err := app.AddonManifest(ctx, in, r.Event)
		return result, f.placed(err)
	})
}
