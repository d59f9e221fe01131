package cmd

import (
	"errors"
	"io/fs"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"github.com/spf13/viper"

	"github.com/hactl/hactl/phases"
)

const (
	settingsFile = "/etc/hactl/config.yaml"
	envPrefix    = "HACTL"
)

// applySettings gives each flag that is not on the command line the value of
// its environment variable (HACTL_POD_NETWORK_CIDR for --pod-network-cidr),
// or else of the settings file, whose keys are flag names.
func applySettings(c *cobra.Command) error {
	v := viper.New()
	v.SetEnvPrefix(envPrefix)
	v.SetEnvKeyReplacer(strings.NewReplacer("-", "_"))
	v.AutomaticEnv()
	v.SetConfigFile(settingsFile)
	if err := v.ReadInConfig(); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return &phases.Fault{What: settingsFile + " cannot be read", Why: err, Exit: phases.CodeUsage}
	}
	var problem error
	c.Flags().VisitAll(func(f *pflag.Flag) {
		if problem != nil || f.Changed || !settable(f.Name) || !v.IsSet(f.Name) {
			return
		}
		value := v.GetString(f.Name)
		if _, isList := f.Value.(pflag.SliceValue); isList {
			value = strings.Join(v.GetStringSlice(f.Name), ",")
		}
		if err := c.Flags().Set(f.Name, value); err != nil {
			problem = &phases.Fault{What: "the setting of --" + f.Name + " is not valid", Why: err, Fixes: []string{"correct " + source(f.Name)}, Exit: phases.CodeUsage}
		}
	})
	return problem
}

// settable leaves out flags that only mean something on a command line.
func settable(name string) bool { return name != "help" && name != "config" }

// source names where the setting of a flag comes from.
func source(flag string) string {
	name := envPrefix + "_" + strings.ToUpper(strings.ReplaceAll(flag, "-", "_"))
	if _, ok := os.LookupEnv(name); ok {
		return "environment variable " + name
	}
	return settingsFile
}
