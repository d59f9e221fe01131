package cmd

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/hactl/hactl/config/goldentest"
)

// output runs hactl as on a machine without settings and returns what it
// prints.
func output(t *testing.T, args ...string) string {
	t.Helper()
	var out, err bytes.Buffer
	code := execute(t.Context(), Streams{In: strings.NewReader(""), Out: &out, Err: &err}, filepath.Join(t.TempDir(), "none.yaml"), args)
	if code != 0 || err.Len() > 0 {
		t.Fatalf("hactl %s: exit code %d\n%s", strings.Join(args, " "), code, err.String())
	}
	return out.String()
}

// commands calls visit for each command that hactl has of its own.
func commands(c *cobra.Command, visit func(*cobra.Command)) {
	if c.Name() == "help" {
		return
	}
	visit(c)
	for _, sub := range c.Commands() {
		commands(sub, visit)
	}
}

// alone says that a command runs one phase.
func alone(c *cobra.Command) bool {
	return strings.HasPrefix(c.CommandPath(), "hactl init phase ") && !c.HasSubCommands() && c.Name() != "list"
}

func TestHelp(t *testing.T) {
	made := map[string]bool{}
	commands(NewCommand(Streams{}), func(c *cobra.Command) {
		if c.Hidden {
			return
		}
		name := strings.ReplaceAll(c.CommandPath(), " ", "-") + ".txt"
		made[name] = true
		t.Run(c.CommandPath(), func(t *testing.T) {
			help := output(t, append(strings.Fields(c.CommandPath())[1:], "--help")...)
			goldentest.Check(t, filepath.Join("help", name), help)
			for _, must := range []string{"Usage:\n  hactl", "\nExit codes:\n  0 done   1 failed"} {
				if !strings.Contains(help, must) {
					t.Errorf("%s --help does not say %q", c.CommandPath(), must)
				}
			}
		})
	})
	entries, err := os.ReadDir("testdata/help")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if !made[e.Name()] {
			t.Errorf("testdata/help/%s is of no command: remove it", e.Name())
		}
	}
}

// kubeadmsFlags are those that kubeadm v1.37.1 gives to each phase of init
// (cmd/kubeadm/app/cmd/phases/init), the group's behind "all".
var kubeadmsFlags = map[string]string{
	"preflight":                        "config image-repository cri-socket ignore-preflight-errors dry-run",
	"certs ca":                         "cert-dir config kubernetes-version dry-run",
	"certs apiserver":                  "cert-dir config kubernetes-version dry-run apiserver-advertise-address control-plane-endpoint apiserver-cert-extra-sans service-dns-domain service-cidr",
	"certs all":                        "cert-dir config kubernetes-version dry-run apiserver-advertise-address control-plane-endpoint apiserver-cert-extra-sans service-dns-domain service-cidr",
	"certs sa":                         "cert-dir config kubernetes-version dry-run",
	"kubeconfig admin":                 "apiserver-advertise-address control-plane-endpoint apiserver-bind-port cert-dir config kubeconfig-dir kubernetes-version dry-run",
	"kubeconfig kubelet":               "apiserver-advertise-address control-plane-endpoint apiserver-bind-port cert-dir config kubeconfig-dir kubernetes-version dry-run node-name",
	"kubeconfig all":                   "apiserver-advertise-address control-plane-endpoint apiserver-bind-port cert-dir config kubeconfig-dir kubernetes-version dry-run node-name",
	"etcd local":                       "cert-dir config image-repository patches dry-run",
	"control-plane all":                "config cert-dir kubernetes-version image-repository patches dry-run apiserver-advertise-address control-plane-endpoint apiserver-bind-port apiserver-extra-args feature-gates service-cidr controller-manager-extra-args pod-network-cidr scheduler-extra-args",
	"control-plane apiserver":          "config cert-dir kubernetes-version image-repository patches dry-run apiserver-advertise-address control-plane-endpoint apiserver-bind-port apiserver-extra-args feature-gates service-cidr",
	"control-plane controller-manager": "config cert-dir kubernetes-version image-repository patches dry-run controller-manager-extra-args pod-network-cidr",
	"control-plane scheduler":          "config cert-dir kubernetes-version image-repository patches dry-run scheduler-extra-args",
	"kubelet-start":                    "config image-repository cri-socket node-name patches dry-run",
	"wait-control-plane":               "",
	"upload-config all":                "config cri-socket kubeconfig dry-run",
	"upload-config kubelet":            "config cri-socket kubeconfig dry-run",
	"upload-certs":                     "config kubeconfig upload-certs certificate-key skip-certificate-key-print dry-run",
	"mark-control-plane":               "node-name config dry-run",
	"bootstrap-token":                  "config kubeconfig skip-token-print dry-run",
	"kubelet-finalize all":             "config cert-dir dry-run",
	"kubelet-finalize enable-client-cert-rotation": "config cert-dir dry-run",
	"addon all":         "config kubeconfig kubernetes-version image-repository dry-run apiserver-advertise-address control-plane-endpoint apiserver-bind-port pod-network-cidr feature-gates service-dns-domain service-cidr",
	"addon coredns":     "config kubeconfig kubernetes-version image-repository dry-run feature-gates service-dns-domain service-cidr print-manifest",
	"addon kube-proxy":  "config kubeconfig kubernetes-version image-repository dry-run apiserver-advertise-address control-plane-endpoint apiserver-bind-port pod-network-cidr print-manifest",
	"show-join-command": "",
}

// extras are flags that only hactl gives to a phase.
var extras = map[string]string{
	"wait-control-plane": "config kubeconfig apiserver-advertise-address apiserver-bind-port dry-run",
	"upload-certs":       "certificate-key-file",
	"mark-control-plane": "kubeconfig",
	"bootstrap-token":    "token token-ttl",
	"addon all":          "patches",
	"addon coredns":      "patches",
	"addon kube-proxy":   "patches",
	"show-join-command":  "config kubeconfig cert-dir control-plane-endpoint skip-token-print skip-certificate-key-print certificate-key-file",
}

func TestPhasesTakeKubeadmsFlags(t *testing.T) {
	root := NewCommand(Streams{})
	for phase, flags := range kubeadmsFlags {
		c, rest, err := root.Find(append([]string{"init", "phase"}, strings.Fields(phase)...))
		if err != nil || len(rest) > 0 {
			t.Errorf("%s: %v, unknown: %v", phase, err, rest)
			continue
		}
		want := append(strings.Fields(flags), strings.Fields(extras[phase])...)
		var got []string
		c.LocalNonPersistentFlags().VisitAll(func(f *pflag.Flag) {
			if !f.Hidden && f.Name != "help" {
				got = append(got, f.Name)
			}
		})
		slices.Sort(want)
		slices.Sort(got)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: -want +got\n%s", phase, diff)
		}
	}
}

// Every phase has flags, whoever adds it.
func TestNoPhaseIsWithoutFlags(t *testing.T) {
	count := 0
	commands(NewCommand(Streams{}), func(c *cobra.Command) {
		if !alone(c) || c.Hidden {
			return
		}
		count++
		if c.Flags().Lookup("config").Hidden {
			t.Errorf("%s has no --config", c.CommandPath())
		}
	})
	if count < 35 {
		t.Errorf("only %d phases run alone", count)
	}
}

func TestEveryCommandIsDescribed(t *testing.T) {
	commands(NewCommand(Streams{}), func(c *cobra.Command) {
		if c.Short == "" || strings.HasSuffix(c.Short, ".") {
			t.Errorf("%s: the short help is %q, want some words without a full stop", c.CommandPath(), c.Short)
		}
		if c.RunE == nil || c.Args == nil {
			t.Errorf("%s: has no RunE or takes arguments", c.CommandPath())
		}
		c.LocalFlags().VisitAll(func(f *pflag.Flag) {
			if f.Usage == "" {
				t.Errorf("%s: --%s says nothing of itself", c.CommandPath(), f.Name)
			}
		})
	})
}

func TestPhaseList(t *testing.T) {
	goldentest.Check(t, "phase-list.txt", output(t, "init", "phase", "list"))
	goldentest.Check(t, "phase-list.json", output(t, "init", "phase", "list", "-o", "json"))
}
