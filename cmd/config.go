package cmd

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"net/netip"
	"strings"

	"github.com/spf13/cobra"

	"github.com/hactl/hactl/app"
	"github.com/hactl/hactl/cmd/render"
	"github.com/hactl/hactl/config"
	"github.com/hactl/hactl/config/kubeadm"
	"github.com/hactl/hactl/phases"
)

func newConfig(streams Streams, settings string) *cobra.Command {
	return group("config", "Work with configuration files",
		newConfigPrint(streams), newConfigValidate(streams), newConfigMigrate(streams), newConfigImages(streams), newConfigView(streams, settings))
}

func newConfigPrint(streams Streams) *cobra.Command {
	return group("print", "Print a configuration file with every default",
		printDefaults(streams, "init", initDefaults),
		printDefaults(streams, "join", func([]string) ([]byte, error) { return kubeadm.EncodeJoin(joinDefaults()) }),
		printDefaults(streams, "reset", func([]string) ([]byte, error) {
			r := &config.Reset{CRISocket: placeholderSocket}
			r.Default()
			return kubeadm.EncodeReset(r)
		}),
		printDefaults(streams, "upgrade", func([]string) ([]byte, error) {
			u := config.NewUpgrade()
			u.Default()
			return kubeadm.EncodeUpgrade(u)
		}),
	)
}

func printDefaults(streams Streams, name string, encode func(components []string) ([]byte, error)) *cobra.Command {
	var components []string
	c := &cobra.Command{
		Use:     name + "-defaults",
		Short:   "Print the defaults of hactl " + name,
		Long:    "Print the defaults of hactl " + name + " as a configuration file. Addresses, names and\ntokens in it are placeholders.\n",
		Example: "  hactl config print " + name + "-defaults > " + name + ".yaml",
		Args:    noArgs,
		RunE: func(*cobra.Command, []string) error {
			data, err := encode(components)
			if err != nil {
				return err
			}
			_, err = streams.Out.Write(data)
			return err
		},
	}
	if name == "init" || name == "join" {
		c.Flags().StringSliceVar(&components, "component-configs", nil, "component configurations to print too: KubeletConfiguration, KubeProxyConfiguration")
	}
	return c
}

// Placeholders, the same as kubeadm prints.
const (
	placeholderSocket = "unix:///var/run/containerd/containerd.sock"
	placeholderToken  = config.Secret("abcdef.0123456789abcdef")
)

func initDefaults(components []string) ([]byte, error) {
	c := config.NewInit()
	c.Tokens = []config.Token{{Value: placeholderToken, TTL: config.DefaultTokenTTL}}
	c.Cluster.Version = config.Version
	c.Local.Address = netip.MustParseAddr("1.2.3.4")
	c.Default()
	c.Resolve(config.Facts{Hostname: "node", CRISocket: placeholderSocket})
	c.Node.Taints = nil
	for _, name := range components {
		switch name {
		case kubeadm.KindKubelet:
			c.Cluster.KubeletGiven = true
		case kubeadm.KindKubeProxy:
			c.Cluster.KubeProxyGiven = true
		default:
			return nil, &phases.Fault{
				What:  fmt.Sprintf("there is no component configuration %q", name),
				Fixes: []string{"use " + kubeadm.KindKubelet + ", " + kubeadm.KindKubeProxy},
				Exit:  phases.CodeUsage,
			}
		}
	}
	return kubeadm.EncodeInit(c)
}

func joinDefaults() *config.JoinNode {
	j := config.NewJoin()
	j.Discovery.Token = &config.TokenDiscovery{Token: placeholderToken, Endpoint: config.HostPort{Host: "kube-apiserver", Port: config.DefaultBindPort}, UnsafeSkipCAVerification: true}
	j.Default()
	j.Resolve(config.Facts{Hostname: "node", CRISocket: placeholderSocket})
	j.Node.Taints = nil
	return j
}

func newConfigValidate(streams Streams) *cobra.Command {
	var file string
	c := &cobra.Command{
		Use:   "validate",
		Short: "Report every mistake in a configuration file",
		Long: text(`
			Report every mistake in a configuration file at once, with line, column and
			what to write instead. Exit code 2 if there is one. What depends on the
			machine is checked by init and join.
		`),
		Example: examples(`
			hactl config validate --config cluster.yaml
		`),
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			data, err := readInput(file, streams)
			if err != nil {
				return err
			}
			docs, err := kubeadm.Load(name(file), data)
			if err != nil {
				return err
			}
			return result(c, streams, validated{Valid: true, Warnings: docs.Warnings})
		},
	}
	required(c, &file, "config", "configuration file, or - for standard input")
	c.Flags().Bool("allow-experimental-api", false, "taken for kubeadm's sake: every version that hactl reads is allowed")
	c.Flags().Bool("allow-deprecated-api", false, "taken for kubeadm's sake: every version that hactl reads is allowed")
	return c
}

// validated is the result of config validate.
type validated struct {
	Valid    bool     `json:"valid"`
	Warnings []string `json:"warnings,omitempty"`
}

// Text writes ok and the warnings.
func (v validated) Text(w io.Writer) error {
	for _, warning := range v.Warnings {
		if _, err := fmt.Fprintln(w, "warning:", warning); err != nil {
			return err
		}
	}
	_, err := fmt.Fprintln(w, "ok")
	return err
}

func newConfigMigrate(streams Streams) *cobra.Command {
	var old, target string
	c := &cobra.Command{
		Use:   "migrate",
		Short: "Rewrite an old configuration file for v1beta4",
		Long: text(`
			Rewrite a file of v1beta2, v1beta3 or v1 for v1beta4. The order of the
			documents and their comments stay. What is renamed or dropped is told on
			standard error. hactl itself needs no migration: it reads old files.
		`),
		Example: examples(`
			hactl config migrate --old-config old.yaml --new-config new.yaml
		`),
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			data, err := readInput(old, streams)
			if err != nil {
				return err
			}
			out, notes, err := kubeadm.Migrate(name(old), data)
			if err != nil {
				return err
			}
			for _, n := range notes {
				fmt.Fprintln(streams.Err, n)
			}
			if target == "" || target == "-" {
				_, err = streams.Out.Write(out)
				return err
			}
			return app.WriteFile(c.Context(), target, out)
		},
	}
	required(c, &old, "old-config", "file to read, or - for standard input")
	c.Flags().StringVar(&target, "new-config", "", "file to write (default: standard output)")
	c.Flags().Bool("allow-experimental-api", false, "taken for kubeadm's sake: every version that hactl reads is allowed")
	return c
}

// name is what a file is called in messages.
func name(file string) string {
	if file == "-" {
		return "standard input"
	}
	return file
}

// required adds a flag that must be given, by any of the ways.
func required(c *cobra.Command, value *string, flag, usage string) {
	c.Flags().StringVar(value, flag, "", usage)
	c.PreRunE = func(*cobra.Command, []string) error {
		if *value == "" {
			return &phases.Fault{What: "--" + flag + " is missing", Fixes: []string{"see: " + c.CommandPath() + " --help"}, Exit: phases.CodeUsage}
		}
		return nil
	}
}

// result shows a result in the format that the user asked for.
func result(c *cobra.Command, streams Streams, r render.Result) error {
	format, _ := c.Flags().GetString("output")
	renderer, err := render.New(render.Format(format), streams.Out, streams.Err, streams.width)
	if err != nil {
		return err
	}
	return renderer.Result(r)
}

func newConfigImages(streams Streams) *cobra.Command {
	return group("images", "List or pull the images of a control plane", newImagesList(streams), newImagesPull(streams))
}

// imageFlags choose the images.
type imageFlags struct{ config, repository, version, gates, socket string }

func (f *imageFlags) register(c *cobra.Command) {
	c.Flags().StringVar(&f.config, "config", "", "configuration file, or - for standard input")
	c.Flags().StringVar(&f.repository, "image-repository", config.DefaultImageRepository, "where the images come from")
	c.Flags().StringVar(&f.version, "kubernetes-version", config.DefaultVersion, "Kubernetes version, or a label such as stable-1")
	c.Flags().StringVar(&f.gates, "feature-gates", "", "feature gates, as name=true,name=false")
}

func (f *imageFlags) init(streams Streams) (*config.Init, error) {
	c := config.NewInit()
	c.Cluster.ImageRepository, c.Cluster.Version = f.repository, f.version
	if f.config != "" {
		data, err := readInput(f.config, streams)
		if err != nil {
			return nil, err
		}
		docs, err := kubeadm.Load(name(f.config), data)
		if err != nil {
			return nil, err
		}
		if docs.Init != nil {
			c = docs.Init
		}
	}
	c.Node.CRISocket = cmp.Or(socketURL(f.socket), c.Node.CRISocket)
	return c, nil
}

func newImagesList(streams Streams) *cobra.Command {
	f := &imageFlags{}
	c := &cobra.Command{
		Use:     "list",
		Short:   "List the images that a control-plane node needs",
		Example: "  hactl config images list --kubernetes-version v1.37.1",
		Args:    noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			in, err := f.init(streams)
			if err != nil {
				return err
			}
			list, warnings, err := app.Images(c.Context(), in)
			for _, w := range warnings {
				fmt.Fprintln(streams.Err, "warning:", w)
			}
			if err != nil {
				return err
			}
			return result(c, streams, images{list})
		},
	}
	f.register(c)
	return c
}

// images is the result of config images list.
type images struct {
	Images []string `json:"images"`
}

// Text writes an image a line.
func (i images) Text(w io.Writer) error {
	_, err := io.WriteString(w, strings.Join(i.Images, "\n")+"\n")
	return err
}

func newImagesPull(streams Streams) *cobra.Command {
	f := &imageFlags{}
	c := &cobra.Command{
		Use:     "pull",
		Short:   "Pull the images that a control-plane node needs",
		Long:    "Pull the images that a control-plane node needs, all at the same time.\n",
		Example: "  hactl config images pull --config cluster.yaml",
		Args:    noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			in, err := f.init(streams)
			if err != nil {
				return err
			}
			format, _ := c.Flags().GetString("output")
			r, err := render.New(render.Format(format), streams.Out, streams.Err, streams.width)
			if err != nil {
				return err
			}
			return show(c.Context(), r, func(ctx context.Context) (render.Result, error) {
				list, err := app.PullImages(ctx, in, r.Event)
				return images{list}, err
			})
		},
	}
	f.register(c)
	c.Flags().StringVar(&f.socket, "cri-socket", "", "socket of the container runtime (default: found by itself)")
	return c
}
