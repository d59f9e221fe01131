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

// made is what a tool makes of a configuration file, by file name.
func made(t *testing.T, n *nodes.Node, tool string, data []byte, certDir string) map[string]any {
	t.Helper()
	const file = "/root/compare.yaml"
	if err := n.WriteFile(t.Context(), file, data, 0o600); err != nil {
		t.Fatal(err)
	}
	must(t, n, "rm", "-rf", "/etc/kubernetes/manifests", "/etc/kubernetes/pki", "/var/lib/etcd/member", certDir)
	for _, phase := range [][]string{{"certs", "all"}, {"etcd", "local"}, {"control-plane", "all"}} {
		argv := append([]string{tool, "init", "phase"}, append(phase, "--config", file)...)
		if o := run(t, n, argv...); o.code != 0 {
			t.Fatalf("%s: exit code %d\n%s%s", strings.Join(argv, " "), o.code, o.stdout, o.stderr)
		}
	}
	out := map[string]any{}
	r, err := n.Run(t.Context(), "tar", "-C", "/", "-cf", "-", strings.TrimPrefix(certDir, "/"), "etc/kubernetes/manifests")
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

// described is what two files of one purpose have in common.
func described(t *testing.T, h *tar.Header, content []byte) any {
	t.Helper()
	mode := fmt.Sprintf("%o", h.Mode)
	switch path.Ext(h.Name) {
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
