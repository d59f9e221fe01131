package cmd

import (
	"github.com/spf13/cobra"

	"github.com/hactl/hactl/app"
)

func newToken(streams Streams) *cobra.Command {
	return group("token", "Work with bootstrap tokens", &cobra.Command{
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
	})
}
