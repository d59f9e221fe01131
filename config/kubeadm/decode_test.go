package kubeadm

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hactl/hactl/config"
)

const (
	clusterHead = "apiVersion: kubeadm.k8s.io/v1beta4\nkind: ClusterConfiguration\n"
	resetHead   = "apiVersion: kubeadm.k8s.io/v1beta4\nkind: ResetConfiguration\n"
)

// TestDecode is about the forms that a file may have.
func TestDecode(t *testing.T) {
	cases := []struct {
		Reason string
		File   string
		Kinds  string
	}{
		{"comments and empty documents say nothing", "# a\n---\n\n--- # b\n" + resetHead + "---\n", "ResetConfiguration"},
		{"windows line ends", strings.ReplaceAll(resetHead+"force: true\n", "\n", "\r\n"), "ResetConfiguration"},
		{"a byte order mark", "\ufeff" + resetHead, "ResetConfiguration"},
		{"JSON documents behind each other", `{"apiVersion":"kubeadm.k8s.io/v1beta4","kind":"ResetConfiguration"}
			{"apiVersion":"kubeadm.k8s.io/v1beta4","kind":"UpgradeConfiguration"}`, "ResetConfiguration UpgradeConfiguration"},
		{"JSON with tabs, between YAML", resetHead + "---\n{\n\t\"apiVersion\": \"kubeadm.k8s.io/v1beta4\",\n\t\"kind\": \"UpgradeConfiguration\"\n}\n", "ResetConfiguration UpgradeConfiguration"},
		{"a document end and a start with a tag", resetHead + "...\n--- !!map\napiVersion: kubeadm.k8s.io/v1beta4\nkind: UpgradeConfiguration\n", "ResetConfiguration UpgradeConfiguration"},
		{"empty values are not given", clusterHead + "networking:\netcd: ~\nclusterName: null\n", "ClusterConfiguration"},
	}
	for _, c := range cases {
		t.Run(c.Reason, func(t *testing.T) {
			d, err := Decode("f", []byte(c.File))
			if err != nil {
				t.Fatal(err)
			}
			if got := strings.Join(d.Kinds, " "); got != c.Kinds {
				t.Errorf("kinds are %s, want %s", got, c.Kinds)
			}
		})
	}
}

// TestMistakes is about mistakes that the table of fields does not have.
func TestMistakes(t *testing.T) {
	cases := []struct{ Reason, File, Place, Path string }{
		{"nothing to read", "# empty\n", "f", ""},
		{"a list is no document", "- a\n", "f:1:1", ""},
		{"a scalar is no document", "hello\n", "f:1:1", ""},
		{"a field twice in a list item", clusterHead + "apiServer:\n  extraArgs:\n  - name: a\n    name: b\n    value: c\n", "f:6:5", "apiServer.extraArgs[0].name"},
		{"a merge key with a mistake", clusterHead + "scheduler: &s {extraArg: []}\ncontrollerManager: {<<: *s}\n", "f:3:16", "scheduler.extraArg"},
		{"an alias that leads to itself", clusterHead + "scheduler: &s {extraArgs: [*s]}\n", "f:3:16", "scheduler.extraArgs[0].extraArgs"},
		{"a map as a key", clusterHead + "{a: b}: c\n", "f:3:1", ""},
		{"two documents of one kind in two versions", clusterHead + "---\n" + strings.Replace(clusterHead, "v1beta4", "v1beta3", 1), "f:4:1", "kind"},
		{"ours, in a foreign group", "apiVersion: cluster.x-k8s.io/v1\nkind: ClusterConfiguration\n", "f:1:13", "apiVersion"},
		{"ttl beside expires", "apiVersion: kubeadm.k8s.io/v1beta4\nkind: InitConfiguration\nbootstrapTokens:\n- ttl: 1h\n  expires: 2099-01-01T00:00:00Z\n", "f:5:12", "bootstrapTokens[0].expires"},
		{"mergeMethod is v1's", clusterHead + "scheduler: {extraArgs: [{name: v, value: '4', mergeMethod: append}]}\n", "f:3:47", "scheduler.extraArgs[0].mergeMethod"},
		{"an unknown anchor", clusterHead + "scheduler: *nothing\n", "f:1:1", ""},
	}
	for _, c := range cases {
		t.Run(c.Reason, func(t *testing.T) {
			_, err := Decode("f", []byte(c.File))
			var e *Error
			if !errors.As(err, &e) {
				t.Fatalf("got %v, want an *Error", err)
			}
			if p := e.Problems[0]; p.Place() != c.Place || p.Path != c.Path {
				t.Errorf("problem is at %s, %s, want %s, %s: %s", p.Place(), p.Path, c.Place, c.Path, err)
			}
		})
	}
}

// TestBomb is a few lines that stand for 9^20 values.
func TestBomb(t *testing.T) {
	file := clusterHead + "featureGates: &a {x: true}\n"
	for name := 'b'; name < 'v'; name++ {
		refs := strings.Repeat("*"+string(name-1)+",", 9)
		file += string(name) + ": &" + string(name) + " {<<: [" + strings.TrimSuffix(refs, ",") + "]}\n"
	}
	_, err := Decode("f", []byte(file+"networking: *u\n"))
	var e *Error
	if !errors.As(err, &e) {
		t.Errorf("got %v, want an *Error", err)
	}
}

// TestSecretsStayHidden looks for secrets in every error.
func TestSecretsStayHidden(t *testing.T) {
	const secret = "1234567"
	for _, field := range []string{"certificateKey: " + secret, "bootstrapTokens: [{token: " + secret + "}]", "bootstrapTokens: [{token: x" + secret + "}]", "certificateKey: [" + secret + "]"} {
		_, err := Load("f", []byte("apiVersion: kubeadm.k8s.io/v1beta4\nkind: InitConfiguration\n"+field+"\n"))
		if err == nil || strings.Contains(err.Error(), secret) {
			t.Errorf("%s: %v", field, err)
		}
	}
}

func TestDecodeWarnings(t *testing.T) {
	d, err := Load("f", []byte("apiVersion: policy/v1\nkind: PodDisruptionBudget\n---\n"+
		"apiVersion: kubeadm.k8s.io/v1\nkind: ClusterConfiguration\ncontrolPlaneEndpoint: 10.1.2.3\n"+
		"networking: {serviceSubnet: 010.96.0.0/16}\ncertificateValidityPeriod: 0s\n---\n"+
		"apiVersion: kubeadm.k8s.io/v1beta4\nkind: InitConfiguration\nnodeRegistration: {criSocket: /run/c.sock}\nlocalAPIEndpoint: {advertiseAddress: 10.1.2.3}\n"))
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"f:1:1: PodDisruptionBudget of policy/v1 is not read and is ignored",
		"f:4:1: apiVersion: kubeadm.k8s.io/v1 is experimental in kubeadm v1.37; v1beta4 is the version to use",
		"f:7:29: networking.serviceSubnet: \"010.96.0.0/16\" has leading zeros; write 10.96.0.0/16",
		"f:8:28: certificateValidityPeriod: 0s is of no use; the default is taken; remove it, or write a longer one",
		"f:12:31: nodeRegistration.criSocket: a path is read as a URL; write unix:///run/c.sock",
		"f:6:23: controlPlaneEndpoint: 10.1.2.3 is this node's own: the cluster is not highly available, and is gone when this node is; use the address of a load balancer, or a virtual one",
	}
	if diff := cmp.Diff(want, d.Warnings); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestLocate(t *testing.T) {
	d, err := Decode("f", []byte(clusterHead+"networking:\n  podSubnet: 10.1.0.0/16\n"))
	if err != nil {
		t.Fatal(err)
	}
	got := d.Locate([]config.Problem{{Path: "networking.podSubnet"}, {Path: "networking.dnsDomain"}, {Path: "nodeRegistration.name"}})
	for i, want := range []string{"f:4:14", "f:4:3", ""} {
		if got[i].Place() != want {
			t.Errorf("%s is at %q, want %q", got[i].Path, got[i].Place(), want)
		}
	}
}
