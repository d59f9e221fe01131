package kubeadm

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"

	"github.com/hactl/hactl/config"
)

// fieldCase says what one field of v1beta4 does. Values are YAML.
type fieldCase struct {
	Path    string
	Default string // what the field is if it is not given; "" for absent
	Valid   string // a value that is kept as it is
	Invalid string // a value that is refused; "" if there is none of the type
	Reason  string // why Invalid is refused
	Looser  bool   // kubeadm v1.37 takes Invalid all the same
	With    string // what else the file must have

	// Stricter says that kubeadm v1.37 refuses Valid: it sets ttl beside
	// every expires, and then refuses the two.
	Stricter bool
}

// bases are the smallest files of each kind that work on any machine.
var bases = map[string]string{
	KindInit:    "localAPIEndpoint: {advertiseAddress: 192.168.7.10}\nnodeRegistration: {name: cp-1, criSocket: 'unix:///run/c.sock'}",
	KindCluster: "kubernetesVersion: v1.37.1",
	KindJoin: "discovery: {bootstrapToken: {token: abcdef.0123456789abcdef, apiServerEndpoint: 'lb:6443', unsafeSkipCAVerification: true}}\n" +
		"nodeRegistration: {name: w-1, criSocket: 'unix:///run/c.sock'}",
	KindReset:   "criSocket: unix:///run/c.sock",
	KindUpgrade: "{}",
}

func TestFields(t *testing.T) {
	for kind, cases := range fieldCases {
		for _, c := range cases {
			t.Run(kind+"/"+c.Path, func(t *testing.T) {
				if c.Default != "-" {
					given := file(t, kind, c.With, "", "")
					if got := effective(t, given, kind, c.Path); got != canonical(t, c.Default) {
						t.Errorf("default is %q, want %q", got, canonical(t, c.Default))
					}
				}
				given := file(t, kind, c.With, c.Path, c.Valid)
				if got := effective(t, given, kind, c.Path); got != canonical(t, c.Valid) {
					t.Errorf("%s became %s", canonical(t, c.Valid), got)
				}
				accepts(t, given, !c.Stricter)
				if c.Invalid != "" {
					given := file(t, kind, c.With, c.Path, c.Invalid)
					refuses(t, given, c.Path, c.Reason)
					accepts(t, given, c.Looser)
				}
			})
		}
	}
}

// TestFieldsAreAllTested compares the table with the wire types.
func TestFieldsAreAllTested(t *testing.T) {
	for _, k := range kinds {
		if k.group != group {
			continue
		}
		var want, got []string
		leaves(k.typ, "", &want)
		for _, c := range fieldCases[k.name] {
			got = append(got, c.Path)
		}
		slices.Sort(want)
		slices.Sort(got)
		if diff := cmp.Diff(want, slices.Compact(got)); diff != "" {
			t.Errorf("fields of %s and tests (-want +got):\n%s", k.name, diff)
		}
	}
}

// leaves are the paths of the fields that v1beta4 has and that are no
// structs of ours.
func leaves(t reflect.Type, prefix string, out *[]string) {
	for _, f := range fieldsOf(t) {
		if !f.in(Version) || f.name == "kind" || f.name == "apiVersion" {
			continue
		}
		path, inner := prefix+f.name, f.typ
		if inner.Kind() == reflect.Pointer {
			inner = inner.Elem()
		}
		if inner.Kind() == reflect.Slice {
			inner, path = inner.Elem(), path+"[0]"
		}
		if inner.Kind() == reflect.Struct && strings.HasSuffix(inner.PkgPath(), "config/kubeadm") {
			leaves(inner, path+".", out)
			continue
		}
		*out = append(*out, strings.TrimSuffix(path, "[0]"))
	}
}

// file makes a file with one field set.
func file(t *testing.T, kind, with, path, value string) []byte {
	t.Helper()
	docs := []string{kind}
	if kind == KindCluster {
		docs = append(docs, KindInit)
	}
	var out []byte
	for i, k := range docs {
		m := map[string]any{"apiVersion": group + "/" + Version, "kind": k}
		mustYAML(t, bases[k], &m)
		if i == 0 && with != "" {
			mustYAML(t, with, &m)
		}
		if i == 0 && path != "" {
			var v any
			mustYAML(t, value, &v)
			put(m, path, v)
		}
		text, err := yaml.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		out = append(append(out, text...), separator...)
	}
	return out
}

func mustYAML(t *testing.T, text string, into any) {
	t.Helper()
	if err := yaml.Unmarshal([]byte(text), into); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
}

var stepShape = regexp.MustCompile(`^(\w+)(\[(\d+)\])?$`)

// put sets a path such as "bootstrapTokens[0].ttl".
func put(m map[string]any, path string, value any) {
	name, rest, more := strings.Cut(path, ".")
	step := stepShape.FindStringSubmatch(name)
	if step[2] == "" && !more {
		m[name] = value
		return
	}
	inner, _ := m[step[1]].(map[string]any)
	if step[2] != "" {
		list, _ := m[step[1]].([]any)
		for i, _ := strconv.Atoi(step[3]); len(list) <= i; {
			list = append(list, map[string]any{})
		}
		m[step[1]] = list
		i, _ := strconv.Atoi(step[3])
		if !more {
			list[i] = value
			return
		}
		inner, _ = list[i].(map[string]any)
	} else if inner == nil {
		inner = map[string]any{}
		m[step[1]] = inner
	}
	put(inner, rest, value)
}

// effective is the JSON of a field after defaults, "" if it is absent.
func effective(t *testing.T, given []byte, kind, path string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "file.yaml")
	if err := os.WriteFile(name, given, 0o600); err != nil {
		t.Fatal(err)
	}
	value := any(objects(t, resolved(t, name))[kind])
	for _, part := range strings.Split(path, ".") {
		step := stepShape.FindStringSubmatch(part)
		m, _ := value.(map[string]any)
		value = m[step[1]]
		if step[2] != "" {
			i, _ := strconv.Atoi(step[3])
			list, _ := value.([]any)
			if i >= len(list) {
				return ""
			}
			value = list[i]
		}
	}
	if value == nil {
		return ""
	}
	text, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func canonical(t *testing.T, text string) string {
	t.Helper()
	if text == "" {
		return ""
	}
	data, err := yaml.YAMLToJSON([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func refuses(t *testing.T, given []byte, path, reason string) {
	t.Helper()
	_, err := Load("file.yaml", given)
	var e *Error
	if !errors.As(err, &e) {
		t.Fatalf("accepted, but %s:\n%s", reason, given)
	}
	for _, p := range e.Problems {
		if within(p.Path, path) && p.Line > 0 && p.Source == "file.yaml" {
			return
		}
	}
	t.Errorf("no problem at %s with a place, though %s: %v", path, reason, err)
}

// accepts checks a claim about kubeadm, where there is one.
func accepts(t *testing.T, given []byte, want bool) {
	t.Helper()
	kubeadm := os.Getenv("HACTL_KUBEADM")
	if kubeadm == "" {
		return
	}
	name := filepath.Join(t.TempDir(), "file.yaml")
	if err := os.WriteFile(name, given, 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.CommandContext(t.Context(), kubeadm, "config", "validate", "--config", name).CombinedOutput()
	if got := err == nil; got != want {
		t.Errorf("kubeadm accepts: %t, want %t:\n%s\n%s", got, want, out, given)
	}
}

func TestEndpointGetsTheLocalPort(t *testing.T) {
	d, err := Load("file.yaml", file(t, KindCluster, "", "controlPlaneEndpoint", "lb"))
	if err != nil {
		t.Fatal(err)
	}
	d.Init.Local.Port = 7443
	d.Init.Resolve(config.Facts{Address: netip.MustParseAddr("192.168.7.10")})
	if got, want := fmt.Sprint(d.Init.Cluster.ControlPlaneEndpoint), "lb:7443"; got != want {
		t.Errorf("endpoint is %s, want %s", got, want)
	}
}
