package cmd

import (
	"context"
	"errors"
	"strings"

	"github.com/spf13/cobra"

	"github.com/hactl/hactl/app"
	"github.com/hactl/hactl/cmd/render"
	"github.com/hactl/hactl/config"
	"github.com/hactl/hactl/phases"
)

func newToken(streams Streams) *cobra.Command {
	f := &accessFlags{}
	c := group("token", "Work with bootstrap tokens",
		newTokenCreate(streams, f), newTokenList(streams, f), newTokenDelete(streams, f), newTokenGenerate(streams))
	c.Long = text(`
		Work with bootstrap tokens, with which nodes join a cluster. A token is a
		Secret in namespace kube-system; its ID, the part before the dot, is no
		secret.
	`)
	f.register(c.PersistentFlags())
	return c
}

func newTokenGenerate(streams Streams) *cobra.Command {
	return &cobra.Command{
		Use:   "generate",
		Short: "Make a bootstrap token, without adding it to a cluster",
		Example: examples(`
			hactl token generate
		`),
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			value, err := app.NewToken()
			if err != nil {
				return err
			}
			return printValue(c, streams, "token", value.Reveal())
		},
	}
}

func newTokenList(streams Streams, f *accessFlags) *cobra.Command {
	c := &cobra.Command{
		Use:   "list",
		Short: "List the bootstrap tokens of the cluster",
		Long: text(`
			List the bootstrap tokens of the cluster, by ID. The tokens are shown
			whole: whoever sees the list can join nodes.
		`),
		Example: examples(`
			hactl token list
			hactl token list -o json
		`),
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			r, err := renderer(c, streams)
			if err != nil {
				return err
			}
			return show(c.Context(), r, func(ctx context.Context) (render.Result, error) {
				return app.ListTokens(ctx, f.access(), r.Event)
			})
		},
	}
	c.Flags().Bool("allow-missing-template-keys", false, "taken for kubeadm's sake: hactl has no templates")
	c.Flags().Bool("show-managed-fields", false, "taken for kubeadm's sake: tokens have no managed fields")
	return c
}

func newTokenDelete(streams Streams, f *accessFlags) *cobra.Command {
	return &cobra.Command{
		Use:   "delete TOKEN-OR-ID…",
		Short: "Delete bootstrap tokens from the cluster",
		Long: text(`
			Delete bootstrap tokens from the cluster, by their IDs or whole. Nodes that
			have joined are not affected. Those that are not there are told, and the
			exit code is then 1; the others are deleted all the same.
		`),
		Example: examples(`
			hactl token delete abcdef
			hactl token delete abcdef 012345.0123456789abcdef
		`),
		Args: func(c *cobra.Command, args []string) error {
			if len(args) > 0 {
				return nil
			}
			return &phases.Fault{What: "no token is named", Fixes: []string{"see which there are: hactl token list"}, Exit: phases.CodeUsage}
		},
		RunE: func(c *cobra.Command, args []string) error {
			r, err := renderer(c, streams)
			if err != nil {
				return err
			}
			typed := make([]config.Secret, len(args))
			for i, a := range args {
				typed[i] = config.Secret(a)
			}
			done, err := app.DeleteTokens(c.Context(), f.access(), typed)
			if done != nil {
				if err := r.Result(done); err != nil {
					return err
				}
			}
			return err
		},
	}
}

// renderer is the one that the user asked for.
func renderer(c *cobra.Command, streams Streams) (render.Renderer, error) {
	format, _ := c.Flags().GetString("output")
	return render.New(render.Format(format), streams.Out, streams.Err, streams.width)
}

// named replaces the paths of problems by what the user typed.
func named(err error, flags map[string]string) error {
	var invalid *config.InvalidError
	if !errors.As(err, &invalid) {
		return err
	}
	for i, p := range invalid.Problems {
		path, _, _ := strings.Cut(p.Path, "[")
		if flag, ok := flags[path]; ok {
			invalid.Problems[i].Path = flag
		}
	}
	return err
}
