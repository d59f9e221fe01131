package cmd

import (
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/hactl/hactl/phases"
)

func newCompletion(streams Streams) *cobra.Command {
	shells := map[string]func(root *cobra.Command) error{
		"bash":       func(root *cobra.Command) error { return root.GenBashCompletionV2(streams.Out, true) },
		"zsh":        func(root *cobra.Command) error { return root.GenZshCompletion(streams.Out) },
		"fish":       func(root *cobra.Command) error { return root.GenFishCompletion(streams.Out, true) },
		"powershell": func(root *cobra.Command) error { return root.GenPowerShellCompletionWithDesc(streams.Out) },
	}
	names := slices.Sorted(maps.Keys(shells))
	return &cobra.Command{
		Use:   "completion " + strings.Join(names, "|"),
		Short: "Print the code that completes hactl's commands in a shell",
		Long: text(`
			Print the code that completes hactl's commands and flags in a shell. It must
			be read by the shell that you use; bash needs the package bash-completion.
		`),
		Example: examples(`
			# in this shell only
			source <(hactl completion bash)

			# in every new shell
			hactl completion bash > /etc/bash_completion.d/hactl
			hactl completion zsh > "${fpath[1]}/_hactl"
			hactl completion fish > ~/.config/fish/completions/hactl.fish
			hactl completion powershell | Out-String | Invoke-Expression
		`),
		ValidArgs:             names,
		DisableFlagsInUseLine: true,
		Args: func(c *cobra.Command, args []string) error {
			what := "no shell is named"
			switch {
			case len(args) == 1 && shells[args[0]] != nil:
				return nil
			case len(args) > 1:
				what = "more than one shell is named"
			case len(args) == 1:
				what = "there is no completion for " + args[0]
			}
			return &phases.Fault{What: what, Fixes: []string{"use one of: " + strings.Join(names, " ")}, Exit: phases.CodeUsage}
		},
		RunE: func(c *cobra.Command, args []string) error { return shells[args[0]](c.Root()) },
	}
}
