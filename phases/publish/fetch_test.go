package publish

import (
	"errors"
	"testing"

	"github.com/hactl/hactl/certs"
	"github.com/hactl/hactl/config"
	"github.com/hactl/hactl/phases"
	"github.com/hactl/hactl/phases/kube"
)

func TestFetchCluster(t *testing.T) {
	const head = "apiVersion: kubeadm.k8s.io/v1beta4\nkind: ClusterConfiguration\n"
	cases := map[string]struct {
		reason, content string
		endpoint        string // "-": a fault
	}{
		"Own":     {"of a cluster of this version", head + "controlPlaneEndpoint: lb:6443\nkubernetesVersion: v1.37.1\n", "lb:6443"},
		"Old":     {"of a version that hactl does not install", head + "controlPlaneEndpoint: lb\nkubernetesVersion: v1.31.0\n", "lb"},
		"Garbage": {"it is no YAML", "{", "-"},
		"Other":   {"it is another kind", "apiVersion: kubeadm.k8s.io/v1beta4\nkind: ResetConfiguration\n", "-"},
		"Empty":   {"the key is missing", "", "-"},
		"None":    {"upload-config was skipped", "none", "-"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			api := kube.NewMemory()
			if c.content != "none" {
				if err := api.Set(configMap(clusterConfigMap, clusterKey, []byte(c.content))); err != nil {
					t.Fatal(err)
				}
			}
			got, err := FetchCluster(t.Context(), api)
			var fault *phases.Fault
			if errors.As(err, &fault) != (c.endpoint == "-") {
				t.Fatalf("%s: %v", c.reason, err)
			}
			if err == nil && (got.ControlPlaneEndpoint.String() != c.endpoint || got.CertificatesDir != config.DefaultCertsDir) {
				t.Errorf("%s: %+v", c.reason, got)
			}
		})
	}
}

func TestCheckKey(t *testing.T) {
	task := newTask(t)
	task.Key = testKey
	if err := CheckKey(t.Context(), task.API, testKey); !errors.Is(err, ErrNotUploaded) {
		t.Errorf("before the upload: %v", err)
	}
	if _, _, err := run(t, task, CertsPhase()); err != nil {
		t.Fatal(err)
	}
	if err := CheckKey(t.Context(), task.API, testKey); err != nil {
		t.Errorf("the key of the upload: %v", err)
	}
	if err := CheckKey(t.Context(), task.API, config.Secret(certs.NewCertificateKey())); !errors.Is(err, certs.ErrWrongKey) {
		t.Errorf("another key: %v", err)
	}
	var shape *certs.CertificateKeyError
	if err := CheckKey(t.Context(), task.API, "00"); !errors.As(err, &shape) {
		t.Errorf("a short key: %v", err)
	}
}
