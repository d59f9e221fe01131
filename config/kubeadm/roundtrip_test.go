package kubeadm

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"
)

// TestRoundTrip makes files of every kind and version: what was read, is
// written and read again, stays the same.
func TestRoundTrip(t *testing.T) {
	for _, version := range allVersions {
		for _, k := range kinds {
			if !slices.Contains(k.versions, version) {
				continue
			}
			t.Run(version+"/"+k.name, func(t *testing.T) {
				for seed := range uint64(100) {
					g := generator{rand.New(rand.NewPCG(seed, 1)), version}
					m := g.object(k.typ)
					m["apiVersion"], m["kind"] = group+"/"+version, k.name
					if k.name == KindCluster && g.IntN(2) == 0 { // one of the two
						m["etcd"] = map[string]any{"external": g.object(reflect.TypeFor[externalEtcd]())}
					}
					data, err := yaml.Marshal(m)
					if err != nil {
						t.Fatal(err)
					}
					roundTrip(t, data)
				}
			})
		}
	}
}

func roundTrip(t *testing.T, data []byte) {
	t.Helper()
	first, err := Decode("first", data)
	if err != nil {
		t.Fatalf("%v\n%s", err, data)
	}
	text := encodeAll(t, first)
	second, err := Decode("second", text)
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	if !sameModels(first, second) {
		t.Fatalf("not the same (-first +second):\n%s\n%s", cmp.Diff(string(text), string(encodeAll(t, second))), data)
	}
	if again := encodeAll(t, second); string(again) != string(text) {
		t.Fatalf("the text is not stable:\n%s", cmp.Diff(string(text), string(again)))
	}
}

func sameModels(a, b *Documents) bool {
	return reflect.DeepEqual(a.Init, b.Init) && reflect.DeepEqual(a.Join, b.Join) &&
		reflect.DeepEqual(a.Reset, b.Reset) && reflect.DeepEqual(a.Upgrade, b.Upgrade)
}

func encodeAll(t *testing.T, d *Documents) []byte {
	t.Helper()
	var out []byte
	add := func(data []byte, err error) {
		if err != nil {
			t.Fatal(err)
		}
		out = append(append(out, data...), separator...)
	}
	if d.Init != nil {
		add(EncodeInit(d.Init))
	}
	if d.Join != nil {
		add(EncodeJoin(d.Join))
	}
	if d.Reset != nil {
		add(EncodeReset(d.Reset))
	}
	if d.Upgrade != nil {
		add(EncodeUpgrade(d.Upgrade))
	}
	return out
}

// generator makes values of wire types as one version writes them.
type generator struct {
	*rand.Rand
	version string
}

func (g generator) object(t reflect.Type) map[string]any {
	m := map[string]any{}
	for _, f := range fieldsOf(t) {
		skip := f.name == "kind" || f.name == "apiVersion" || f.name == "mergeMethod" || f.name == "external"
		if skip || !f.in(g.version) || g.IntN(3) == 0 {
			continue
		}
		m[f.name] = g.value(f.name, f.typ)
	}
	if m["expires"] != nil {
		delete(m, "ttl")
	}
	return m
}

func (g generator) value(name string, t reflect.Type) any {
	switch {
	case t.Kind() == reflect.Pointer:
		return g.value(name, t.Elem())
	case t == reflect.TypeFor[metav1.Duration]():
		return fmt.Sprintf("%dm%ds", 1+g.IntN(100), g.IntN(60))
	case t == reflect.TypeFor[metav1.Time]():
		return fmt.Sprintf("20%02d-01-02T03:04:05Z", 30+g.IntN(60))
	case t == reflect.TypeFor[argList]() && (g.version == "v1beta2" || g.version == "v1beta3"):
		return map[string]string{g.word(): g.text(), g.word(): g.text()}
	case t == reflect.TypeFor[corev1.Taint]():
		return map[string]any{"key": g.word(), "value": g.word(), "effect": "NoExecute"}
	case t == reflect.TypeFor[corev1.EnvVar]():
		return map[string]any{"name": g.word(), "valueFrom": map[string]any{"fieldRef": map[string]any{"fieldPath": "status.podIP"}}}
	case t.Kind() == reflect.Slice:
		list := []any{}
		for range g.IntN(3) {
			list = append(list, g.value(name, t.Elem()))
		}
		return list
	case t.Kind() == reflect.Map:
		return map[string]bool{"RootlessControlPlane": g.IntN(2) == 0}
	case t.Kind() == reflect.Struct:
		return g.object(t)
	case t.Kind() == reflect.Bool:
		return g.IntN(2) == 0
	case t.Kind() == reflect.Int || t.Kind() == reflect.Int32:
		return g.IntN(65536)
	}
	return g.string(name)
}

func (g generator) string(name string) string {
	one := func(list ...string) string { return list[g.IntN(len(list))] }
	switch name {
	case "serviceSubnet", "podSubnet":
		return one("10.1.0.0/16", "10.2.3.4/20", "fd00:1::/64", "10.1.0.0/16,fd00:1::/112", "fd00:1::/112,10.1.0.0/16")
	case "controlPlaneEndpoint", "apiServerEndpoint":
		return one("lb.test:6443", "lb.test", "10.1.2.3:7443", "10.1.2.3", "[fd00::1]:6443", "fd00::1")
	case "advertiseAddress":
		return one("10.1.2.3", "fd00::1", "0.0.0.0")
	case "criSocket":
		return one("unix:///run/c.sock", "/run/c.sock")
	case "type":
		return "CoreDNS"
	}
	return g.text()
}

func (g generator) word() string {
	return string(rune('a'+g.IntN(26))) + string(rune('a'+g.IntN(26))) + string(rune('0'+g.IntN(10)))
}

// text is what YAML readers like to take for something else.
func (g generator) text() string {
	list := []string{"yes", "1.37", "0x10", "null", "~", "a: b", "# no comment", "- x", " spaces ", "two\nlines", "ünï", "\"quoted\"", "{}", "*a", "&a", "1e3", "012", "12:30", "", "2026-01-01", "%"}
	if g.IntN(2) == 0 {
		return g.word()
	}
	return list[g.IntN(len(list))]
}
