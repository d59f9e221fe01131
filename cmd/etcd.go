package cmd

import (
	"context"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/hactl/hactl/app"
	"github.com/hactl/hactl/cmd/render"
	"github.com/hactl/hactl/config"
	"github.com/hactl/hactl/phases"
)

func newEtcd(streams Streams) *cobra.Command {
	return group("etcd", "Work with an etcd cluster that has hosts of its own",
		newEtcdInit(streams), newEtcdJoin(streams), newEtcdCredentials(streams), newEtcdStatus(streams), newEtcdRemove(streams))
}

// etcdHostFlags say what an etcd host is.
type etcdHostFlags struct {
	address, name, certDir, dataDir string
	sans, ignore, skip              []string
	runtime, criSocket, images      string
	dryRun                          bool
}

// registerHost adds the flags by which a host knows itself.
func (f *etcdHostFlags) registerHost(s *pflag.FlagSet) {
	s.StringVar(&f.address, "advertise-address", "", "address where the other hosts and the API servers reach this one (default: of the interface with the default route)")
	s.StringVar(&f.certDir, "cert-dir", config.DefaultCertsDir, "directory of the certificates")
	s.StringVar(&f.name, "node-name", "", "name of this host (default: the host name)")
}

// register adds all flags of init and join.
func (f *etcdHostFlags) register(s *pflag.FlagSet) {
	f.registerHost(s)
	s.StringSliceVar(&f.sans, "cert-extra-sans", nil, "further names and addresses in this host's certificates")
	s.StringVar(&f.criSocket, "cri-socket", "", "socket of the container runtime, for a static pod (default: found by itself)")
	s.StringVar(&f.dataDir, "data-dir", config.DefaultEtcdDir, "directory of etcd's data, best on a disk of its own")
	s.BoolVar(&f.dryRun, "dry-run", false, "show what would be done and change nothing")
	s.StringSliceVar(&f.ignore, "ignore-preflight-errors", nil, "preflight checks whose failures are only warnings; all for every check")
	s.StringVar(&f.images, "image-repository", config.DefaultImageRepository, "where the image of a static pod comes from")
	s.StringVar(&f.runtime, "runtime", "", "static-pod, under a kubelet without a cluster, or systemd, for an installed etcd (default: systemd if etcd is installed)")
	s.StringSliceVar(&f.skip, "skip-phases", nil, "phases to leave out, such as preflight")
}

// input makes the use case's input.
func (f *etcdHostFlags) input() (app.EtcdHostInput, error) {
	p := &parser{}
	in := app.EtcdHostInput{
		Name: f.name, Address: p.address("--advertise-address", f.address), SANs: f.sans,
		CertDir: f.certDir, DataDir: f.dataDir, Runtime: f.runtime, CRISocket: socketURL(f.criSocket), ImageRepository: f.images,
		Ignore: f.ignore, Skip: f.skip, DryRun: f.dryRun,
	}
	if len(p.problems) > 0 {
		return in, &config.InvalidError{Problems: p.problems}
	}
	return in, nil
}

// etcdHostRun is app.EtcdInit or app.EtcdJoin.
type etcdHostRun func(context.Context, app.EtcdHostInput, func(string), func(phases.Event)) (*app.EtcdHostResult, error)

// run runs one of the two; with only, one phase of it.
func (f *etcdHostFlags) run(c *cobra.Command, streams Streams, do etcdHostRun, endpoints, only []string) error {
	r, err := renderer(c, streams)
	if err != nil {
		return err
	}
	in, err := f.input()
	if err != nil {
		return err
	}
	in.Endpoints, in.Only = endpoints, only
	return show(c.Context(), r, func(ctx context.Context) (render.Result, error) { return do(ctx, in, r.Title, r.Event) })
}

func newEtcdInit(streams Streams) *cobra.Command {
	f := &etcdHostFlags{}
	c := &cobra.Command{
		Use:   "init",
		Short: "Make this host the first member of an etcd cluster of its own",
		Long: text(`
			Make this host the first member of an etcd cluster that has hosts of its own,
			for control planes to use as external etcd. The CA is made here, and its key
			stays here.

			etcd runs as a service if it is installed, else as a static pod under a kubelet
			that belongs to no cluster. The phases run in order; the same command run again
			continues where it stopped.
		`) + "\nPhases:\n" + phaseList(app.EtcdInitPhases()),
		Example: examples(`
			hactl etcd init

			# what would it do?
			hactl etcd init --dry-run
		`),
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error { return f.run(c, streams, app.EtcdInit, nil, nil) },
	}
	f.register(c.Flags())
	onlyTyped(c, "runtime", "data-dir")
	c.AddCommand(newEtcdPhases(streams, "Run one phase of etcd init alone", app.EtcdInitPhases(), func(c *cobra.Command, f *etcdHostFlags, path string) {
		c.Args = noArgs
		c.RunE = func(c *cobra.Command, _ []string) error { return f.run(c, streams, app.EtcdInit, nil, []string{path}) }
	}))
	return c
}

func newEtcdJoin(streams Streams) *cobra.Command {
	f := &etcdHostFlags{}
	c := &cobra.Command{
		Use:   "join ENDPOINT…",
		Short: "Make this host a further member of an etcd cluster",
		Long: text(`
			Make this host a further member of the etcd cluster that has a member at
			ENDPOINT, such as https://10.0.0.31:2379. First bring the certificates here
			that hactl etcd credentials export --for-member makes on the first host.

			The member begins as a learner and gets its vote when it is in sync. Several
			hosts may join at the same time: each waits until etcd takes its member. How
			many members may fail is told before and after. The same command run again
			continues where it stopped.
		`) + "\nPhases:\n" + phaseList(app.EtcdJoinPhases()),
		Example: examples(`
			hactl etcd join https://10.0.0.31:2379
		`),
		Args: etcdEndpoints,
		RunE: func(c *cobra.Command, args []string) error { return f.run(c, streams, app.EtcdJoin, args, nil) },
	}
	f.register(c.Flags())
	onlyTyped(c, "runtime", "data-dir")
	c.AddCommand(newEtcdPhases(streams, "Run one phase of etcd join alone", app.EtcdJoinPhases(), func(c *cobra.Command, f *etcdHostFlags, path string) {
		c.Example = "  hactl etcd join phase " + strings.ReplaceAll(path, "/", " ") + " https://10.0.0.31:2379"
		c.Args = etcdEndpoints
		c.RunE = func(c *cobra.Command, args []string) error {
			return f.run(c, streams, app.EtcdJoin, args, []string{path})
		}
	}))
	return c
}

// flagsOfEtcdPhases are the flags of a phase alone, beside those of all.
var flagsOfEtcdPhases = map[string]string{
	"preflight":  "data-dir runtime cri-socket image-repository ignore-preflight-errors",
	"certs":      "cert-extra-sans",
	"check-etcd": "data-dir runtime",
	"kubelet":    "runtime cri-socket",
	"member":     "data-dir runtime cri-socket image-repository",
	"etcd-join":  "data-dir runtime cri-socket image-repository",
	"wait-etcd":  "data-dir runtime",
}

// newEtcdPhases is `… phase …`: every phase alone. Finish gives a command what
// it does.
func newEtcdPhases[S any](streams Streams, short string, list []phases.Phase[S], finish func(c *cobra.Command, f *etcdHostFlags, path string)) *cobra.Command {
	c := group("phase", short, newPhaseList(streams, list))
	f := &etcdHostFlags{}
	flags := pflag.NewFlagSet("", pflag.ContinueOnError)
	f.register(flags)
	addPhaseCommands(c, list, "", func(path string) *cobra.Command {
		p := &cobra.Command{}
		share(p, flags)
		onlyTyped(p, "runtime", "data-dir")
		finish(p, f, path)
		top, _, _ := strings.Cut(path, "/")
		own(p, p.Args, strings.Fields("advertise-address cert-dir dry-run node-name "+flagsOfEtcdPhases[top]))
		return p
	})
	return c
}

// etcdEndpoints wants one endpoint or several.
func etcdEndpoints(c *cobra.Command, args []string) error {
	for _, a := range args {
		if strings.TrimSpace(a) == "" {
			args = nil
		}
	}
	if len(args) > 0 {
		return nil
	}
	return &phases.Fault{
		What:  "no member of the etcd cluster is named",
		Fixes: []string{"name one or several that run: hactl etcd join https://10.0.0.31:2379", "see: " + c.CommandPath() + " --help"},
		Exit:  phases.CodeUsage,
	}
}
