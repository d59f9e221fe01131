package cmd

import (
	"context"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/hactl/hactl/app"
	"github.com/hactl/hactl/cmd/render"
	"github.com/hactl/hactl/phases"
)

func newInit(streams Streams) *cobra.Command {
	f := &initFlags{}
	c := &cobra.Command{
		Use:   "init",
		Short: "Make this node the first control plane of a new cluster",
		Long: text(`
			Make this node the first control plane of a new cluster.

			The phases run in order. Each looks first at what exists, so the same
			command run again continues where it stopped; what is there already and
			right is left unchanged.
		`) + "\nPhases:\n" + phaseList(app.InitPhases()),
		Example: examples(`
			# behind a load balancer, ready for further control planes
			hactl init --control-plane-endpoint lb.example.com:6443 --upload-certs

			# without a load balancer: the control planes hold an address in turn
			hactl init --control-plane-endpoint 10.0.0.100:8443 --virtual-ip 10.0.0.100/24 --upload-certs

			# from a kubeadm configuration file
			hactl init --config cluster.yaml

			# what would it do?
			hactl init --control-plane-endpoint lb.example.com:6443 --dry-run
		`),
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return runInit(c, streams, f, nil)
		},
	}
	f.register(c.Flags())
	onlyTyped(c, allowEtcdData)
	c.AddCommand(newInitPhase(streams))
	return c
}

// addPhaseCommands adds a command for each phase; a phase with sub-phases
// has a further command "all".
func addPhaseCommands[S any](parent *cobra.Command, list []phases.Phase[S], path string, runner func(path string) *cobra.Command) {
	for _, p := range list {
		sub := strings.TrimPrefix(path+"/"+p.Name, "/")
		if !slices.ContainsFunc(p.Phases, func(q phases.Phase[S]) bool { return !q.Hidden }) {
			c := runner(sub)
			c.Use, c.Short, c.Aliases, c.Hidden = p.Name, p.Title, p.Aliases, p.Hidden
			parent.AddCommand(c)
			continue
		}
		c := group(p.Name, p.Title)
		c.Aliases, c.Hidden = p.Aliases, p.Hidden
		all := runner(sub)
		all.Use, all.Short = "all", "All of "+p.Name
		c.AddCommand(all)
		addPhaseCommands(c, p.Phases, sub, runner)
		parent.AddCommand(c)
	}
}

func runInit(c *cobra.Command, streams Streams, f *initFlags, only []string) error {
	r, err := render.New(render.Format(f.output(c)), streams.Out, streams.Err, streams.width)
	if err != nil {
		return err
	}
	in, err := f.input(c.Flags(), streams)
	if err != nil {
		return err
	}
	in.Only = only
	return show(c.Context(), r, func(ctx context.Context) (render.Result, error) {
		result, err := app.Init(ctx, in, r.Title, r.Event)
		return result, f.placed(err)
	})
}

// show runs a use case and shows how it ends.
func show(ctx context.Context, r render.Renderer, run func(context.Context) (render.Result, error)) error {
	result, err := run(ctx)
	if err != nil {
		x := app.Explain(err)
		r.Error(x)
		return &shownError{code: x.Code}
	}
	return r.Result(result)
}

func phaseList[S any](list []phases.Phase[S]) string {
	var b strings.Builder
	phases.Walk(list, func(path string, p *phases.Phase[S]) {
		if !p.Hidden {
			depth := strings.Count(path, "/")
			b.WriteString(strings.Repeat("  ", depth+1) + p.Name + strings.Repeat(" ", max(2, 31-2*depth-len(p.Name))) + p.Title + "\n")
		}
	})
	return b.String()
}

// changed lists the flags that were given, by any of the ways.
func changed(flags *pflag.FlagSet) []string {
	var names []string
	flags.Visit(func(f *pflag.Flag) { names = append(names, f.Name) })
	slices.Sort(names)
	return names
}
