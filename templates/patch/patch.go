// Package patch applies the patches that users keep in a directory to what
// hactl writes: files target[suffix][+type].extension, as kubeadm v1.37 reads
// them (util/patches/patches.go).
package patch

import (
	"encoding/json"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"

	jsonpatch "github.com/evanphx/json-patch/v5"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/strategicpatch"
	kubelet "k8s.io/kubelet/config/v1beta1"
	"sigs.k8s.io/yaml"
)

// The targets that a file can name.
const (
	APIServer            = "kube-apiserver"
	ControllerManager    = "kube-controller-manager"
	Scheduler            = "kube-scheduler"
	Etcd                 = "etcd"
	KubeletConfiguration = "kubeletconfiguration"
	CoreDNS              = "corednsdeployment"
	KubeProxy            = "kubeproxydaemonset"
)

// shapes are the targets and the types whose tags tell a strategic merge how
// lists are merged.
var shapes = map[string]any{
	APIServer: corev1.Pod{}, ControllerManager: corev1.Pod{}, Scheduler: corev1.Pod{}, Etcd: corev1.Pod{},
	KubeletConfiguration: kubelet.KubeletConfiguration{},
	CoreDNS:              appsv1.Deployment{}, KubeProxy: appsv1.DaemonSet{},
}

// Targets returns the names that a file can begin with, sorted.
func Targets() []string {
	return []string{CoreDNS, Etcd, APIServer, ControllerManager, Scheduler, KubeletConfiguration, KubeProxy}
}

// Set is the patches of one directory.
type Set struct {
	patches []file
	// Ignored names the files that are no patches, each with the reason.
	Ignored []string
}

type file struct {
	name, target, kind string
	docs               [][]byte // JSON
}

// Parse reads the files of a directory, by name. A file whose name names no
// target is ignored and listed; one with an unknown type or without a valid
// patch in it is an error.
func Parse(files map[string][]byte) (*Set, error) {
	s := &Set{}
	for _, name := range sortedNames(files) {
		target, kind, ignored := parseName(name)
		if ignored != "" {
			s.Ignored = append(s.Ignored, name+": "+ignored)
			continue
		}
		if !slices.Contains([]string{"strategic", "merge", "json"}, kind) {
			return nil, fmt.Errorf("%s: there is no patch type %q; use strategic, merge or json", name, kind)
		}
		docs, err := documents(files[name])
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		s.patches = append(s.patches, file{name: name, target: target, kind: kind, docs: docs})
	}
	return s, nil
}

func parseName(name string) (target, kind, ignored string) {
	base := path.Base(name)
	if !strings.HasSuffix(base, ".json") && !strings.HasSuffix(base, ".yaml") {
		return "", "", "the extension is neither json nor yaml"
	}
	// The longest target counts: none is the beginning of another, but a
	// suffix may look like one.
	for _, t := range Targets() {
		if !strings.HasPrefix(base, t) {
			continue
		}
		rest := base[len(t) : len(base)-len(".json")]
		suffix, typed, given := strings.Cut(rest, "+")
		if strings.Contains(suffix, ".") {
			break
		}
		if !given {
			typed = "strategic"
		}
		return t, typed, ""
	}
	return "", "", "the name begins with no target: " + strings.Join(Targets(), ", ")
}

// documents splits a file into its patches, as JSON.
func documents(data []byte) ([][]byte, error) {
	var docs [][]byte
	for _, doc := range regexp.MustCompile(`(?m)^---\s*$`).Split(string(data), -1) {
		if strings.TrimSpace(doc) == "" {
			continue
		}
		out, err := yaml.YAMLToJSONStrict([]byte(doc))
		if err != nil {
			return nil, err
		}
		if string(out) != "null" {
			docs = append(docs, out)
		}
	}
	return docs, nil
}

// Apply applies the patches of a target to a manifest in JSON, in the order
// of the file names, and returns JSON. Without patches it returns the
// manifest itself. A nil Set has none.
func (s *Set) Apply(target string, manifest []byte) ([]byte, error) {
	if s == nil {
		return manifest, nil
	}
	for _, f := range s.patches {
		if f.target != target {
			continue
		}
		for _, doc := range f.docs {
			out, err := apply(f.kind, target, manifest, doc)
			if err != nil {
				return nil, fmt.Errorf("apply patch %s: %w", f.name, err)
			}
			manifest = out
		}
	}
	return manifest, nil
}

func apply(kind, target string, manifest, doc []byte) ([]byte, error) {
	switch kind {
	case "json":
		p, err := jsonpatch.DecodePatch(doc)
		if err != nil {
			return nil, err
		}
		return p.Apply(manifest)
	case "merge":
		return jsonpatch.MergePatch(manifest, doc)
	}
	return strategicpatch.StrategicMergePatch(manifest, doc, shapes[target])
}

// ApplyTo is Apply for a typed object: it is changed in place. What the
// patches leave behind must still be of the type.
func ApplyTo[T any](s *Set, target string, object *T) error {
	if s == nil {
		return nil
	}
	before, err := json.Marshal(object)
	if err != nil {
		return err
	}
	after, err := s.Apply(target, before)
	if err != nil {
		return err
	}
	var patched T
	if err := yaml.UnmarshalStrict(after, &patched); err != nil {
		return fmt.Errorf("the patches of %s leave something that is not valid: %w", target, err)
	}
	*object = patched
	return nil
}

func sortedNames(files map[string][]byte) []string {
	var names []string
	for name := range files {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}
