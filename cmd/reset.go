package cmd

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"golang.org/x/term"

	"github.com/hactl/hactl/app"
	"github.com/hactl/hactl/cmd/render"
	"github.com/hactl/hactl/config"
	"github.com/hactl/hactl/config/kubeadm"
	"github.com/hactl/hactl/phases"
)

func newReset(streams Streams) *cobra.Command {
	f := &resetFlags{}
	c := &cobra.Command{
		Use:   "reset",
		Short: "Take back what init or join made of this node",
		Long: text(`
			Take back what init or join made of this node, hactl's and kubeadm's alike.

			It says what will be lost and asks. The node's etcd member leaves the cluster
			first, which the members that stay confirm; where that would cost the cluster
			its quorum or its last data, the reset is refused. The data of etcd is moved
			aside and kept. What this node did not make is left alone and named: an
			external etcd, the pod network's files, packet filter rules, kubeconfig files
			in home directories.

			The same command run again continues after an interrupt.
		`) + "\nPhases:\n" + phaseList(app.ResetPhases()),
		Example: examples(`
			# what would be lost?
			hactl reset --dry-run

			# without a question, whatever it costs the cluster
			hactl reset --force

			# only take the etcd member out
			hactl reset phase remove-etcd-member
		`),
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return runReset(c, streams, f, nil)
		},
	}
	f.register(c)
	c.AddCommand(newResetPhase(streams))
	return c
}

// flagsOfResetPhases are those that kubeadm v1.37 gives its phases
// (cmd/kubeadm/app/cmd/phases/reset), and behind the bar some of hactl's own.
var flagsOfResetPhases = map[string]string{
	"preflight":          "ignore-preflight-errors force dry-run | config",
	"remove-etcd-member": "kubeconfig dry-run | config cert-dir force",
	"cleanup-node":       "cert-dir cri-socket cleanup-tmp-dir dry-run | config kubeconfig force",
}

// newResetPhase is `hactl reset phase …`: every phase alone.
func newResetPhase(streams Streams) *cobra.Command {
	c := group("phase", "Run one phase of reset alone", newPhaseList(streams, app.ResetPhases()))
	addPhaseCommands(c, app.ResetPhases(), "", func(path string) *cobra.Command {
		f := &resetFlags{}
		p := &cobra.Command{RunE: func(c *cobra.Command, _ []string) error {
			return runReset(c, streams, f, []string{path})
		}}
		f.register(p)
		own(p, noArgs, strings.Fields(flagsOfResetPhases[path]))
		return p
	})
	return c
}

// resetFlags are the flags of reset, by kubeadm's names.
type resetFlags struct {
	config, kubeconfig, certDir, criSocket string
	cleanupTmpDir, dryRun, force           bool
	ignore, skip                           []string

	docs *kubeadm.Documents // what --config holds; nil without it
}

func (f *resetFlags) register(c *cobra.Command) {
	s := c.Flags()
	s.StringVar(&f.certDir, "cert-dir", "", "directory of the certificates (default: what the node's files tell, or "+config.DefaultCertsDir+")")
	s.BoolVar(&f.cleanupTmpDir, "cleanup-tmp-dir", false, "remove what is in "+config.KubernetesDir+"/tmp too")
	s.StringVar(&f.config, "config", "", "kubeadm configuration file, or - for standard input")
	s.StringVar(&f.criSocket, "cri-socket", "", "socket of the container runtime (default: found by itself)")
	s.BoolVar(&f.dryRun, "dry-run", false, "show what would be done and change nothing")
	s.BoolVarP(&f.force, "force", "f", false, "do not ask, and go on although etcd may lose its quorum or its last data, or keep a dead member (the data is moved aside, not removed), or containers may run on")
	s.StringSliceVar(&f.ignore, "ignore-preflight-errors", nil, "preflight checks whose failures are only warnings; all for every check")
	s.StringVar(&f.kubeconfig, "kubeconfig", "", "kubeconfig file of an administrator (default: "+adminConf+")")
	s.StringSliceVar(&f.skip, "skip-phases", nil, "phases to leave out, such as remove-etcd-member")
	onlyTyped(c, "force")
}

// input makes the use case's input from the configuration file or the flags.
func (f *resetFlags) input(flags *pflag.FlagSet, streams Streams) (app.ResetInput, error) {
	in := app.ResetInput{Config: &config.Reset{}, Kubeconfig: absolute(f.kubeconfig)}
	if f.config != "" {
		if err := f.fromFile(flags, streams, &in); err != nil {
			return in, err
		}
	} else {
		in.Config.CRISocket, in.Config.IgnorePreflight = socketURL(f.criSocket), f.ignore
		if flags.Changed("cert-dir") { // else the node's own files tell
			in.Config.CertificatesDir = absolute(f.certDir)
		}
	}
	c := in.Config
	c.CleanupTmpDir = c.CleanupTmpDir || f.cleanupTmpDir
	c.DryRun, c.Force = c.DryRun || f.dryRun, c.Force || f.force
	in.Skip = append(f.skip, c.SkipPhases...)
	return in, nil
}

// besideResetConfig are further flags that may stand beside --config (kubeadm
// v1.37, apis/kubeadm/validation/validation.go).
var besideResetConfig = []string{"force", "cleanup-tmp-dir"}

func (f *resetFlags) fromFile(flags *pflag.FlagSet, streams Streams, in *app.ResetInput) error {
	if err := refuseBesideConfig(flags, besideResetConfig...); err != nil {
		return err
	}
	data, err := readInput(f.config, streams)
	if err != nil {
		return err
	}
	docs, err := kubeadm.Load(f.config, data)
	if err != nil {
		return err
	}
	if docs.Reset == nil {
		return &phases.Fault{
			What:  f.config + " has no ResetConfiguration",
			Fixes: []string{"begin with what this prints: hactl config print reset-defaults"},
			Exit:  phases.CodeUsage,
		}
	}
	f.docs, in.Config, in.Warnings = docs, docs.Reset, docs.Warnings
	in.Config.IgnorePreflight = ignored(in.Config.IgnorePreflight, f.ignore)
	return nil
}

// flagOfReset are the flags of settings.
var flagOfReset = map[string]string{
	"certificatesDir":       "--cert-dir",
	"criSocket":             "--cri-socket",
	"ignorePreflightErrors": "--ignore-preflight-errors",
}

func runReset(c *cobra.Command, streams Streams, f *resetFlags, only []string) error {
	r, err := renderer(c, streams)
	if err != nil {
		return err
	}
	in, err := f.input(c.Flags(), streams)
	if err != nil {
		return err
	}
	in.Only = only
	in.Ask = func(ctx context.Context, text string) (bool, error) {
		if format, _ := c.Flags().GetString("output"); render.Format(format) == render.JSON {
			return false, app.NeedsForce()
		}
		r.Ask(text + "Reset this node? [y/N] ")
		return confirmed(ctx, streams)
	}
	return show(c.Context(), r, func(ctx context.Context) (render.Result, error) {
		result, err := app.Reset(ctx, in, r.Title, r.Event)
		return result, placed(err, f.docs, flagOfReset)
	})
}

// confirmed reads a line. Only y and yes mean yes.
func confirmed(ctx context.Context, streams Streams) (bool, error) {
	type answer struct {
		text string
		err  error
	}
	answers := make(chan answer, 1)
	go func() {
		line, err := bufio.NewReader(streams.In).ReadString('\n')
		answers <- answer{line, err}
	}()
	select {
	case <-ctx.Done():
		return false, context.Cause(ctx)
	case a := <-answers:
		word := strings.ToLower(strings.TrimSpace(a.text))
		if in, ok := streams.In.(*os.File); !ok || !term.IsTerminal(int(in.Fd())) {
			fmt.Fprintln(streams.Err) // on a terminal, the user has ended the line
		}
		if word == "" && errors.Is(a.err, io.EOF) {
			return false, app.NeedsForce()
		}
		if a.err != nil && !errors.Is(a.err, io.EOF) {
			return false, a.err
		}
		return word == "y" || word == "yes", nil
	}
}
