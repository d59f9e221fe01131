//go:build linux

package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/hactl/hactl/e2e/build"
	"github.com/hactl/hactl/e2e/nodes"
)

// defaultName is the lab's name where none is given.
const defaultName = "lab"

func newCommand() *cobra.Command {
	root := &cobra.Command{
		Use:           "lab",
		Short:         "Real Kubernetes nodes on this machine, for hactl's end-to-end tests",
		Long:          "Real Kubernetes nodes on this machine, for hactl's end-to-end tests.\n\nNeeds root. Nothing outside of the lab is touched: see e2e/README.md.",
		SilenceUsage:  true,
		SilenceErrors: true,
		Args:          cobra.NoArgs,
	}
	root.PersistentFlags().String("name", "", "the lab's name (default \"lab\", or the only one that runs)")
	root.AddCommand(newUp(), newList(), newExec(), newNetwork(), newLogs(), newDown(), newBuild())
	return root
}

func newUp() *cobra.Command {
	o := nodes.Options{Keep: true}
	command := &cobra.Command{
		Use:     "up",
		Short:   "Boot a lab",
		Example: "  lab up --control-planes 3 --workers 1 --load-balancers 1",
		Args:    cobra.NoArgs,
	}
	flags := command.Flags()
	flags.IntVar(&o.ControlPlanes, "control-planes", 1, "nodes named cp-1, cp-2, …")
	flags.IntVar(&o.Workers, "workers", 0, "nodes named worker-1, …")
	flags.IntVar(&o.EtcdHosts, "etcd-hosts", 0, "nodes named etcd-1, …, for etcd outside of the cluster")
	flags.IntVar(&o.LoadBalancers, "load-balancers", 0, "nodes named lb-1, …, with HAProxy in front of the control planes")
	command.RunE = func(command *cobra.Command, _ []string) error {
		name, err := command.Flags().GetString("name")
		if err != nil {
			return err
		}
		o.Name = cmp.Or(name, defaultName)
		o.Progress = command.ErrOrStderr()
		lab, err := nodes.Up(command.Context(), o)
		if err != nil {
			return err
		}
		describe(command.OutOrStdout(), lab)
		return nil
	}
	return command
}

func newList() *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "Show the labs and nodes that run",
		Args:  cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			names, err := nodes.List()
			if err != nil {
				return err
			}
			for _, name := range names {
				lab, err := nodes.Open(name)
				if err != nil {
					return err
				}
				describe(command.OutOrStdout(), lab)
			}
			return nil
		},
	}
}

func describe(w io.Writer, lab *nodes.Lab) {
	fmt.Fprintf(w, "%s: API endpoint %s (api.lab:6443), Kubernetes %s\n", lab.Name(), lab.Endpoint(), lab.Versions().Kubernetes)
	for _, n := range lab.Nodes() {
		state := "on"
		if !n.Running() {
			state = "off"
		}
		fmt.Fprintf(w, "  %-10s %-12s %s\n", n.Name(), n.Address(), state)
	}
}

func newExec() *cobra.Command {
	command := &cobra.Command{
		Use:     "exec NODE [-- COMMAND…]",
		Short:   "Run a command on a node, or a shell",
		Example: "  lab exec cp-1\n  lab exec cp-1 -- kubectl get nodes",
		Args:    cobra.MinimumNArgs(1),
	}
	command.RunE = func(command *cobra.Command, args []string) error {
		lab, err := open(command)
		if err != nil {
			return err
		}
		node := lab.Node(args[0])
		if node == nil {
			return fmt.Errorf("lab %s has no node %s; see lab list", lab.Name(), args[0])
		}
		argv := args[1:]
		if len(argv) == 0 {
			argv = []string{"bash"}
		}
		// Ctrl-C is for the command on the node: the terminal sends it there
		// too, and this process has to live to report how it ended.
		signal.Notify(make(chan os.Signal, 1), os.Interrupt, syscall.SIGQUIT)
		child, err := node.Command(context.WithoutCancel(command.Context()), argv...)
		if err != nil {
			return err
		}
		child.Stdin, child.Stdout, child.Stderr = os.Stdin, os.Stdout, os.Stderr
		return child.Run()
	}
	return command
}

func newNetwork() *cobra.Command {
	return &cobra.Command{
		Use:   "pod-network CIDR",
		Short: "Connect the pods of all nodes",
		Long: "Connect the pods of all nodes, as a network add-on does in other clusters.\n" +
			"CIDR is what the cluster was made with (--pod-network-cidr), at least a /16.",
		Example: "  lab pod-network 10.244.0.0/16",
		Args:    cobra.ExactArgs(1),
		RunE: func(command *cobra.Command, args []string) error {
			lab, err := open(command)
			if err != nil {
				return err
			}
			return lab.PodNetwork(command.Context(), args[0])
		},
	}
}

func newLogs() *cobra.Command {
	return &cobra.Command{
		Use:   "logs [DIR]",
		Short: "Collect the logs of all nodes in a folder (default lab-logs)",
		Args:  cobra.MaximumNArgs(1),
		RunE: func(command *cobra.Command, args []string) error {
			lab, err := open(command)
			if err != nil {
				return err
			}
			dir := "lab-logs"
			if len(args) == 1 {
				dir = args[0]
			}
			if err := lab.CollectLogs(command.Context(), dir); err != nil {
				return err
			}
			fmt.Fprintln(command.OutOrStdout(), dir)
			return nil
		},
	}
}

func newDown() *cobra.Command {
	command := &cobra.Command{
		Use:   "down",
		Short: "End a lab and remove everything that is left of it",
		Args:  cobra.NoArgs,
	}
	all := command.Flags().Bool("all", false, "all labs that run")
	command.RunE = func(command *cobra.Command, _ []string) error {
		if !*all {
			name, err := labFor(command)
			if err != nil {
				return err
			}
			return nodes.Down(command.Context(), name)
		}
		names, err := nodes.List()
		if err != nil {
			return err
		}
		for _, name := range names {
			if err := nodes.Down(command.Context(), name); err != nil {
				return err
			}
		}
		return nil
	}
	return command
}

func newBuild() *cobra.Command {
	command := &cobra.Command{
		Use:   "build",
		Short: "Build what labs need, and boot nothing",
		Args:  cobra.NoArgs,
	}
	kubeadm := command.Flags().Bool("kubeadm", false, "print the path of the kubeadm that was built")
	command.RunE = func(command *cobra.Command, _ []string) error {
		artifacts, err := build.Ensure(command.Context(), build.Options{Progress: command.ErrOrStderr()})
		if err == nil && *kubeadm {
			fmt.Fprintln(command.OutOrStdout(), filepath.Join(artifacts.NodeLayer, "usr/bin/kubeadm"))
		}
		return err
	}
	return command
}

// labFor is the lab that a command is about.
func labFor(command *cobra.Command) (string, error) {
	name, err := command.Flags().GetString("name")
	if err != nil || name != "" {
		return name, err
	}
	names, err := nodes.List()
	if err == nil && len(names) == 1 {
		return names[0], nil
	}
	return defaultName, err
}

func open(command *cobra.Command) (*nodes.Lab, error) {
	name, err := labFor(command)
	if err != nil {
		return nil, err
	}
	return nodes.Open(name)
}
