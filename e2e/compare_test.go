//go:build e2e

package e2e

import (
	"archive/tar"
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"

	"github.com/hactl/hactl/config"
	"github.com/hactl/hactl/config/kubeadm"
	"github.com/hactl/hactl/e2e/nodes"
)

// differences are what hactl does otherwise on purpose: by configuration
// file, why.
var differences = map[string]string{}

// TestSameAsKubeadm gives the same configuration files to kubeadm and to
// hactl on one node and compares the certificates and the static pods that
// the two make.
func TestSameAsKubeadm(t *testing.T) {
	lab := start(t, nodes.Options{Name: "compare", ControlPlanes: 1})
	cp := lab.Node("cp-1")
	// A configuration names this directory.
	for name, patch := range map[string]string{
		"kube-apiserver.yaml":           "spec: {containers: [{name: kube-apiserver, env: [{name: PATCHED, value: strategic}]}]}",
		"etcd0+merge.yaml":              "metadata: {annotations: {patched: merge}}",
		"kube-scheduler+json.json":      `[{"op": "add", "path": "/spec/containers/0/command/-", "value": "--v=3"}]`,
		"kube-controller-manager1.yaml": "spec: {dnsPolicy: Default}\n---\nspec: {dnsPolicy: None}",
	} {
		if err := cp.WriteFile(t.Context(), "/etc/patches/"+name, []byte(patch), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	files, err := filepath.Glob("../config/kubeadm/testdata/interop/*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	compared := 0
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		docs, err := kubeadm.Load(file, data)
		if err != nil {
			t.Fatal(err)
		}
		if docs.Init == nil || bytes.Contains(data, []byte("kubeadm.k8s.io/v1\n")) {
			continue // kubeadm's init takes no other kinds and not v1
		}
		// A dry run would leave nothing to compare.
		data = bytes.ReplaceAll(data, []byte("dryRun: true\n"), nil)
		compared++
		t.Run(filepath.Base(file), func(t *testing.T) {
			theirs, ours := made(t, cp, "kubeadm", data, docs.Init.Cluster.CertificatesDir), made(t, cp, "hactl", data, docs.Init.Cluster.CertificatesDir)
			if l := docs.Init.Cluster.Etcd.Local; docs.Init.Cluster.Etcd.External == nil && (l == nil || l.ImageTag == "" && !hasArg(l.ExtraArgs, "max-learners")) {
				withoutLearners(t, ours)
			}
			diff := cmp.Diff(theirs, ours)
			if why, ok := differences[filepath.Base(file)]; ok {
				if diff == "" {
					t.Error("no longer different: " + why)
				}
				return
			}
			if diff != "" {
				t.Errorf("-kubeadm +hactl\n%s", diff)
			}
		})
	}
	if compared < 40 {
		t.Errorf("compared %d files", compared)
	}
	t.Logf("compared %d of %d files", compared, len(files))
}

// withoutLearners takes out the one flag that hactl gives etcd on purpose and
// kubeadm does not (phases/member/DESIGN.md). It must be there, once.
func withoutLearners(t *testing.T, made map[string]any) {
	t.Helper()
	const flag = "--max-learners=4"
	found := 0
	if of, ok := made["etc/kubernetes/manifests/etcd.yaml"].([]any); ok {
		if pod, ok := of[1].(*corev1.Pod); ok {
			c := &pod.Spec.Containers[0]
			before := len(c.Command)
			c.Command = slices.DeleteFunc(c.Command, func(arg string) bool { return arg == flag })
			found = before - len(c.Command)
		}
	}
	if found != 1 {
		t.Errorf("hactl's etcd has %s %d times, want once", flag, found)
	}
}

func hasArg(args []config.Arg, name string) bool {
	return slices.ContainsFunc(args, func(a config.Arg) bool { return a.Name == name })
}

// made is what a tool makes of a configuration file, by file name.
func made(t *testing.T, n *nodes.Node, tool string, data []byte, certDir string) map[string]any {
	t.Helper()
	const file = "/root/compare.yaml"
	if err := n.WriteFile(t.Context(), file, data, 0o600); err != nil {
		t.Fatal(err)
	}
	must(t, n, "rm", "-rf", "/etc/kubernetes/manifests", "/etc/kubernetes/pki", "/var/lib/etcd/member", certDir)
	// The users of a control plane without root are made anew, too.
	must(t, n, "sed", "-i", "/^kubeadm-/d", "/etc/passwd", "/etc/group")
	must(t, n, "find", "/var/lib/etcd", "-maxdepth", "0", "-exec", "chown", "0:0", "{}", "+")
	confs := []string{"etc/kubernetes/controller-manager.conf", "etc/kubernetes/scheduler.conf"}
	must(t, n, "rm", "-f", "/"+confs[0], "/"+confs[1])
	list := [][]string{{"certs", "all"}, {"etcd", "local"}, {"control-plane", "all"}}
	archived := []string{strings.TrimPrefix(certDir, "/"), "etc/kubernetes/manifests"}
	rootless := bytes.Contains(data, []byte("RootlessControlPlane: true"))
	if rootless {
		list = slices.Insert(list, 1, []string{"kubeconfig", "controller-manager"}, []string{"kubeconfig", "scheduler"})
		archived = slices.Concat(archived, confs, []string{"etc/passwd", "etc/group", "var/lib/etcd"})
	}
	for _, phase := range list {
		argv := append([]string{tool, "init", "phase"}, append(phase, "--config", file)...)
		if o := run(t, n, argv...); o.code != 0 {
			t.Fatalf("%s: exit code %d\n%s%s", strings.Join(argv, " "), o.code, o.stdout, o.stderr)
		}
	}
	out := map[string]any{}
	r, err := n.Run(t.Context(), append([]string{"tar", "-C", "/", "-cf", "-"}, archived...)...)
	if err != nil {
		t.Fatal(err)
	}
	for archive := tar.NewReader(bytes.NewReader(r.Stdout)); ; {
		h, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return out
		}
		if err != nil {
			t.Fatal(err)
		}
		if rootless && h.Typeflag == tar.TypeDir {
			out[h.Name] = owned(h)
		}
		if h.Typeflag != tar.TypeReg {
			continue
		}
		content, err := io.ReadAll(archive)
		if err != nil {
			t.Fatal(err)
		}
		out[h.Name] = described(t, h, content)
	}
}

// owned is the mode of a file, and whose it is.
func owned(h *tar.Header) string { return fmt.Sprintf("%o %d:%d", h.Mode, h.Uid, h.Gid) }

// described is what two files of one purpose have in common.
func described(t *testing.T, h *tar.Header, content []byte) any {
	t.Helper()
	mode := owned(h)
	switch path.Ext(h.Name) {
	case "": // users and groups
		return []any{mode, string(content)}
	case ".conf":
		return mode
	case ".yaml":
		pod := &corev1.Pod{}
		if err := yaml.UnmarshalStrict(content, pod); err != nil {
			t.Fatal(err)
		}
		return []any{mode, pod}
	case ".crt":
		block, _ := pem.Decode(content)
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			t.Fatal(err)
		}
		slices.Sort(c.DNSNames)
		var ips []string
		for _, ip := range c.IPAddresses {
			ips = append(ips, ip.String())
		}
		slices.Sort(ips)
		return []any{
			mode, c.Subject.String(), c.Issuer.String(), c.DNSNames, ips, c.KeyUsage, c.ExtKeyUsage, c.IsCA, c.BasicConstraintsValid,
			c.PublicKeyAlgorithm.String(), c.NotAfter.Sub(c.NotBefore).Round(time.Minute).String(),
		}
	}
	block, _ := pem.Decode(content)
	return []any{mode, block.Type}
}
