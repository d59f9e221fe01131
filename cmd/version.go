package cmd

import (
	"runtime/debug"

	"github.com/spf13/cobra"

	"github.com/hactl/hactl/config"
)

func newVersion(streams Streams) *cobra.Command {
	return &cobra.Command{
		Use:     "version",
		Short:   "Show the version of hactl",
		Example: "  hactl version -o json\n",
		Args:    noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return printValue(c, streams, "version", buildVersion()+" (Kubernetes "+config.Version+")")
		},
	}
}

// buildVersion is the module's version as the Go toolchain recorded it.
func buildVersion() string {
	info, ok := debug.ReadBuildInfo()
	if !ok || info.Main.Version == "" {
		return "(unknown)"
	}
	return info.Main.Version
}
