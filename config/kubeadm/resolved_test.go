package kubeadm

import (
	"bytes"
	"net/netip"
	"os"
	"testing"

	"sigs.k8s.io/yaml"

	"github.com/hactl/hactl/config"
)

// resolved is the file with its defaults, as hactl works with it; without
// component configurations, as kubeadm writes it.
func resolved(t *testing.T, file string) []byte {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	d, err := Load(file, data)
	if err != nil {
		t.Fatal(err)
	}
	facts := config.Facts{Hostname: "host", Address: netip.MustParseAddr("192.168.7.99"), CRISocket: "unix:///run/containerd/containerd.sock"}
	var out []byte
	switch {
	case d.Init != nil:
		d.Init.Resolve(facts)
		if problems := d.Init.Validate(); len(problems) > 0 {
			t.Error(problems)
		}
		d.Init.Cluster.KubeletGiven, d.Init.Cluster.KubeProxyGiven = false, false
		out, err = EncodeInit(d.Init)
	case d.Join != nil:
		d.Join.Resolve(facts)
		out, err = EncodeJoin(d.Join)
	case d.Reset != nil:
		d.Reset.Resolve(facts)
		out, err = EncodeReset(d.Reset)
	case d.Upgrade != nil:
		out, err = EncodeUpgrade(d.Upgrade)
	}
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// objects decodes documents by their kinds.
func objects(t *testing.T, data []byte) map[string]map[string]any {
	t.Helper()
	all := map[string]map[string]any{}
	for _, doc := range bytes.Split(data, []byte("\n"+separator)) {
		var o map[string]any
		if err := yaml.Unmarshal(doc, &o); err != nil {
			t.Fatal(err)
		}
		kind, _ := o["kind"].(string)
		all[kind] = o
	}
	return all
}
