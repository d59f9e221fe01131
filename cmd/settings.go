package cmd

import (
	"errors"
	"io/fs"
	"maps"
	"os"
	"slices"
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
func applySettings(c *cobra.Command, file string) error {
	v, err := readSettings(c.Root(), file)
	if err != nil {
		return err
	}
	var problem error
	c.Flags().VisitAll(func(f *pflag.Flag) {
		if problem != nil || f.Changed || !settable(f.Name) || f.Annotations[typedOnly] != nil || !v.IsSet(f.Name) {
			return
		}
		if err := c.Flags().Set(f.Name, setting(v, f)); err != nil {
			problem = &phases.Fault{What: "the setting of --" + f.Name + " is not valid", Why: err, Fixes: []string{"correct " + source(f.Name, file)}, Exit: phases.CodeUsage}
		}
	})
	return problem
}

// readSettings reads the file and the environment.
func readSettings(root *cobra.Command, file string) (*viper.Viper, error) {
	v := viper.New()
	v.SetEnvPrefix(envPrefix)
	v.SetEnvKeyReplacer(strings.NewReplacer("-", "_"))
	v.SetConfigFile(file)
	if err := v.ReadInConfig(); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, &phases.Fault{What: file + " cannot be read", Why: err, Fixes: []string{"write lines such as: node-name: cp-1"}, Exit: phases.CodeUsage}
	}
	if err := knownSettings(root, v, file); err != nil {
		return nil, err
	}
	v.AutomaticEnv()
	return v, nil
}

// setting is the value of a flag as it would be typed.
func setting(v *viper.Viper, f *pflag.Flag) string {
	if _, isList := f.Value.(pflag.SliceValue); isList {
		return strings.Join(v.GetStringSlice(f.Name), ",")
	}
	return v.GetString(f.Name)
}

// allFlags are the flags of all commands below root that can be set
// elsewhere than on the command line, by name.
func allFlags(root *cobra.Command) map[string]*pflag.Flag {
	flags := map[string]*pflag.Flag{}
	add := func(f *pflag.Flag) {
		if settable(f.Name) && f.Annotations[typedOnly] == nil && flags[f.Name] == nil {
			flags[f.Name] = f
		}
	}
	var collect func(*cobra.Command)
	collect = func(c *cobra.Command) {
		c.Flags().VisitAll(add)
		c.PersistentFlags().VisitAll(add)
		for _, sub := range c.Commands() {
			collect(sub)
		}
	}
	collect(root)
	return flags
}

// knownSettings refuses keys that are no flag of any command.
func knownSettings(root *cobra.Command, v *viper.Viper, file string) error {
	keys := slices.Sorted(maps.Keys(v.AllSettings()))
	if len(keys) == 0 {
		return nil // spare most runs the look at all flags
	}
	known := allFlags(root)
	for _, key := range keys {
		if known[key] == nil {
			return &phases.Fault{
				What:  file + ": " + key + " is not a setting",
				Fixes: []string{"the keys are the names of flags; see: " + root.CommandPath() + " init --help"},
				Exit:  phases.CodeUsage,
			}
		}
	}
	return nil
}

// settable leaves out flags that only mean something on a command line.
func settable(name string) bool { return name != "help" && name != "config" }

// source names where the setting of a flag comes from.
func source(flag, file string) string {
	if name := envName(flag); os.Getenv(name) != "" {
		return "environment variable " + name
	}
	return file
}

// envName is the environment variable of a flag.
func envName(flag string) string {
	return envPrefix + "_" + strings.ToUpper(strings.ReplaceAll(flag, "-", "_"))
}
