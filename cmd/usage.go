package cmd

import (
	"cmp"
	"fmt"
	"io"
	"strings"
	"unicode"

	"github.com/spf13/cobra"
)

// exitCodes stands at the end of every help text.
const exitCodes = `
Settings: a flag beats HACTL_<FLAG> (HACTL_NODE_NAME for --node-name), which
  beats /etc/hactl/config.yaml (keys are flag names), which beats the default.
Exit codes:
  0 done   1 failed   2 usage or configuration   3 preflight   4 timeout
  5 refused as unsafe   130 interrupted
`

// writeHelp is the help of a command. Cobra would take a template as well, at
// the cost that package templates/form tells of.
func writeHelp(c *cobra.Command, _ []string) {
	if text := trimmed(cmp.Or(c.Long, c.Short)); text != "" {
		fmt.Fprintf(c.OutOrStdout(), "%s\n\n", text)
	}
	io.WriteString(c.OutOrStdout(), c.UsageString())
}

func writeUsage(c *cobra.Command) error {
	// These two first: they complete the flags that UseLine looks at.
	local, inherited := c.LocalFlags(), c.InheritedFlags()
	var b strings.Builder
	b.WriteString("Usage:")
	if c.Annotations["group"] == "" {
		b.WriteString("\n  " + c.UseLine())
	}
	if c.HasAvailableSubCommands() {
		b.WriteString("\n  " + c.CommandPath() + " [command]\n\nCommands:")
		for _, sub := range c.Commands() {
			if sub.IsAvailableCommand() {
				fmt.Fprintf(&b, "\n  %-*s %s", sub.NamePadding(), sub.Name(), sub.Short)
			}
		}
	}
	if c.HasExample() {
		b.WriteString("\n\nExamples:\n" + trimmed(c.Example))
	}
	if local.HasAvailableFlags() {
		b.WriteString("\n\nFlags:\n" + trimmed(local.FlagUsages()))
	}
	if inherited.HasAvailableFlags() {
		b.WriteString("\n\nGlobal flags:\n" + trimmed(inherited.FlagUsages()))
	}
	b.WriteString("\n" + exitCodes)
	_, err := io.WriteString(c.OutOrStderr(), b.String())
	return err
}

func trimmed(s string) string { return strings.TrimRightFunc(s, unicode.IsSpace) }
