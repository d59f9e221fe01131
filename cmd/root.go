// Package cmd is hactl's command line: flags in, a use case of package app,
// its events and result out. It is the only package that prints.
package cmd

import (
	"context"
	"errors"
	"io"
	"os"
	"strings"

	"github.com/lithammer/dedent"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"golang.org/x/term"

	"github.com/hactl/hactl/app"
	"github.com/hactl/hactl/cmd/render"
	"github.com/hactl/hactl/phases"
)

// Streams are where a command reads and prints.
type Streams struct {
	In  io.Reader
	Out io.Writer // results
	Err io.Writer // progress and errors
}

// width is the number of columns of the terminal behind Err, 0 if there is
// none.
func (s Streams) width() int {
	f, ok := s.Err.(*os.File)
	if !ok || os.Getenv("TERM") == "dumb" || !term.IsTerminal(int(f.Fd())) {
		return 0
	}
	columns, _, err := term.GetSize(int(f.Fd()))
	if err != nil {
		return 0
	}
	return columns
}

// Execute runs hactl with the arguments that follow its name and returns the
// exit code.
func Execute(ctx context.Context, streams Streams, args []string) int {
	return execute(ctx, streams, settingsFile, args)
}

// execute is Execute with the given settings file.
func execute(ctx context.Context, streams Streams, settings string, args []string) int {
	root := newCommand(streams, settings)
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return 0
	}
	var shown *shownError
	if errors.As(err, &shown) {
		return int(shown.code)
	}
	x := app.Explain(err)
	r, formatErr := render.New(errorFormat(root, args), streams.Out, streams.Err, streams.width)
	if formatErr != nil {
		r, _ = render.New(render.Text, streams.Out, streams.Err, streams.width)
	}
	r.Error(x)
	return int(x.Code)
}

// errorFormat is the output format that the user wants, even where other
// arguments cannot be understood.
func errorFormat(root *cobra.Command, args []string) render.Format {
	if f := root.PersistentFlags().Lookup("output"); f.Changed {
		return render.Format(f.Value.String())
	}
	s := pflag.NewFlagSet("", pflag.ContinueOnError)
	s.ParseErrorsAllowlist.UnknownFlags = true
	s.SetOutput(io.Discard)
	s.BoolP("help", "h", false, "")
	format := s.StringP("output", "o", os.Getenv(envName("output")), "")
	_ = s.Parse(args) // its errors are those that root found
	return render.Format(*format)
}

// shownError is an error that a renderer has shown already.
type shownError struct{ code phases.Code }

func (e *shownError) Error() string { return "already shown" }

// NewCommand returns the command hactl.
func NewCommand(streams Streams) *cobra.Command { return newCommand(streams, settingsFile) }

func newCommand(streams Streams, settings string) *cobra.Command {
	root := &cobra.Command{
		Use:   "hactl",
		Short: "Bring up highly available Kubernetes control planes and keep them safe",
		Long: text(`
			hactl brings up highly available Kubernetes control planes and keeps them
			safe. It reads kubeadm's configuration files, takes its flags and writes
			the same files and objects; either tool can work on the other's cluster.
		`),
		Example: examples(`
			# the first control plane, behind a load balancer
			hactl init --control-plane-endpoint lb.example.com:6443 --upload-certs

			# one phase alone
			hactl init phase certs apiserver
		`),
		SilenceErrors: true,
		SilenceUsage:  true,
		PersistentPreRunE: func(c *cobra.Command, _ []string) error {
			return applySettings(c, settings)
		},
		Annotations:       isGroup(),
		Args:              noArgs,
		RunE:              showHelp,
		CompletionOptions: cobra.CompletionOptions{DisableDefaultCmd: true},
	}
	root.SetIn(streams.In)
	root.SetOut(streams.Out)
	root.SetErr(streams.Err)
	root.SetUsageFunc(writeUsage)
	root.SetHelpFunc(writeHelp)
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		return &phases.Fault{What: err.Error(), Fixes: []string{"see: " + c.CommandPath() + " --help"}, Exit: phases.CodeUsage}
	})
	root.PersistentFlags().StringP("output", "o", "text", "text for people, json or yaml for programs")
	root.PersistentFlags().IntP("v", "v", 0, "taken for scripts written for kubeadm, and without effect: all that is done is shown")
	root.PersistentFlags().Lookup("v").Hidden = true
	root.AddCommand(newInit(streams), newJoin(streams), newConfig(streams, settings), newCerts(streams), newToken(streams), newReset(streams), newStatus(streams), newNode(streams), newKubeconfig(streams), newLB(streams), newEtcd(streams), newCompletion(streams), newVersion(streams))
	return root
}

// noArgs refuses arguments with a fault instead of cobra's plain error.
func noArgs(c *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	var fixes []string
	if c.SuggestionsMinimumDistance <= 0 {
		c.SuggestionsMinimumDistance = 2 // cobra's own default
	}
	if near := c.SuggestionsFor(args[0]); len(near) > 0 {
		fixes = append(fixes, "did you mean: "+c.CommandPath()+" "+strings.Join(near, ", "))
	}
	return &phases.Fault{
		What:  "unknown command or argument: " + args[0],
		Fixes: append(fixes, "see: "+c.CommandPath()+" --help"),
		Exit:  phases.CodeUsage,
	}
}

// group is a command that only holds others.
func group(use, short string, commands ...*cobra.Command) *cobra.Command {
	c := &cobra.Command{Use: use, Short: short, Annotations: isGroup(), Args: noArgs, RunE: showHelp}
	c.AddCommand(commands...)
	return c
}

// isGroup tells the help of a command that it does nothing by itself.
func isGroup() map[string]string { return map[string]string{"group": "yes"} }

func showHelp(c *cobra.Command, _ []string) error { return c.Help() }

// text takes a raw string that begins with a line break and is indented with
// the code.
func text(s string) string { return dedent.Dedent(s)[1:] }

// examples is text, indented as the help shows examples.
func examples(s string) string {
	lines := strings.Split(strings.TrimRight(text(s), "\n\t "), "\n")
	for i, line := range lines {
		if line != "" {
			lines[i] = "  " + line
		}
	}
	return strings.Join(lines, "\n")
}
