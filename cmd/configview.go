package cmd

import (
	"fmt"
	"io"
	"maps"
	"slices"

	"github.com/spf13/cobra"

	"github.com/hactl/hactl/config"
)

func newConfigView(streams Streams, settings string) *cobra.Command {
	return &cobra.Command{
		Use:   "view",
		Short: "Show each setting in force and where it comes from",
		Long: text(`
			Show each setting in force and where it comes from. A flag beats its
			environment variable (HACTL_POD_NETWORK_CIDR for --pod-network-cidr), which
			beats /etc/hactl/config.yaml (keys are flag names), which beats the default.
			Secrets are not shown.
		`),
		Example: examples(`
			hactl config view
			HACTL_NODE_NAME=cp-1 hactl config view -o json
		`),
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			v, err := readSettings(c.Root(), settings)
			if err != nil {
				return err
			}
			flags := allFlags(c.Root())
			var list settingList
			for _, name := range slices.Sorted(maps.Keys(flags)) {
				f := flags[name]
				s := settingLine{Name: name, Value: f.DefValue, From: "default"}
				if v.IsSet(name) {
					s.Value, s.From = setting(v, f), source(name, settings)
				}
				if secret(name) {
					s.Value = config.Secret(s.Value).String()
				}
				list.Settings = append(list.Settings, s)
			}
			return result(c, streams, list)
		},
	}
}

// secret says whether a flag's value is one.
func secret(flag string) bool {
	return slices.Contains([]string{"token", "certificate-key", "discovery-token", "tls-bootstrap-token"}, flag)
}

// settingList is the result of config view.
type settingList struct {
	Settings []settingLine `json:"settings"`
}

type settingLine struct {
	Name  string `json:"name"`
	Value string `json:"value"`
	From  string `json:"from"`
}

// Text writes a table, by name.
func (l settingList) Text(w io.Writer) error {
	width, values := 0, 0
	for _, s := range l.Settings {
		width, values = max(width, len(s.Name)), max(values, len(s.Value))
	}
	for _, s := range l.Settings {
		if _, err := fmt.Fprintf(w, "%-*s  %-*s  %s\n", width, s.Name, values, s.Value, s.From); err != nil {
			return err
		}
	}
	return nil
}
