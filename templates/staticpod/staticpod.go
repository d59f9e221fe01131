// Package staticpod renders the manifests of the pods that a kubelet runs
// from files: the control plane and etcd. The shape is that of kubeadm
// v1.37 (util/staticpod/utils.go), so that its upgrade and its health checks
// understand the files.
package staticpod

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"sigs.k8s.io/yaml"

	"github.com/hactl/hactl/config"
	"github.com/hactl/hactl/templates/patch"
)

// probePort is the name of the port that the probes ask at.
const probePort = "probe-port"

// Pod is what differs between the static pods.
type Pod struct {
	Name        string // of the pod, its container and its component label
	Image       string
	Command     []string
	Mounts      []Mount // in the container's order
	Env         []corev1.EnvVar
	Annotations map[string]string
	CPU, Memory string // requests; Memory may be empty
	// Patches are applied last; nil means none.
	Patches *patch.Set
	// Accounts give the component a user of its own; nil means root. OnDisk
	// and Write ask them; Object and Patched are without.
	Accounts Accounts
	// Replace writes over an earlier manifest; nil means as over any file.
	Replace Replacer

	account *Account

	// Where the kubelet asks for health. ReadyPath may be empty.
	ProbeHost                        string
	ProbePort                        int32
	ProbeScheme                      corev1.URIScheme
	LivePath, ReadyPath, StartupPath string
	// StartupLimit is how long the component may take to start.
	StartupLimit time.Duration
}

// Mount is a path of the node that the component sees.
type Mount struct {
	Name, HostPath, MountPath string
	ReadOnly                  bool
	Type                      corev1.HostPathType
}

// Same returns a mount that has the same path on both sides.
func Same(name, path string, readOnly bool, kind corev1.HostPathType) Mount {
	return Mount{Name: name, HostPath: path, MountPath: path, ReadOnly: readOnly, Type: kind}
}

// Patched returns the pod as it lies on disk.
func (p Pod) Patched() (*corev1.Pod, error) {
	pod := p.Object()
	return pod, patch.ApplyTo(p.Patches, p.Name, pod)
}

// Object returns the pod as the API's type, without patches.
func (p Pod) Object() *corev1.Pod {
	critical := int32(2000001000) // the value of class system-node-critical
	pod := &corev1.Pod{
		TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Pod"},
		ObjectMeta: metav1.ObjectMeta{
			Name: p.Name, Namespace: metav1.NamespaceSystem,
			Labels:      map[string]string{"component": p.Name, "tier": "control-plane"},
			Annotations: p.Annotations,
		},
		Spec: corev1.PodSpec{
			Containers:        []corev1.Container{p.container()},
			HostNetwork:       true,
			Priority:          &critical,
			PriorityClassName: "system-node-critical",
			SecurityContext: &corev1.PodSecurityContext{
				SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault},
			},
			Volumes: volumes(p.Mounts),
		},
	}
	if p.account != nil {
		p.account.in(pod)
	}
	return pod
}

// YAML returns the manifest as it lies on disk.
func (p Pod) YAML() ([]byte, error) {
	pod, err := p.Patched()
	if err != nil {
		return nil, err
	}
	data, err := yaml.Marshal(pod)
	if err != nil {
		return nil, fmt.Errorf("encode the manifest of %s: %w", p.Name, err)
	}
	return data, nil
}

func (p Pod) container() corev1.Container {
	c := corev1.Container{
		Name: p.Name, Image: p.Image, ImagePullPolicy: corev1.PullIfNotPresent,
		Command: p.Command, Env: p.Env,
		Ports:     []corev1.ContainerPort{{Name: probePort, ContainerPort: p.ProbePort, Protocol: corev1.ProtocolTCP}},
		Resources: corev1.ResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse(p.CPU)}},
	}
	if p.Memory != "" {
		c.Resources.Requests[corev1.ResourceMemory] = resource.MustParse(p.Memory)
	}
	for _, m := range p.Mounts {
		c.VolumeMounts = append(c.VolumeMounts, corev1.VolumeMount{Name: m.Name, MountPath: m.MountPath, ReadOnly: m.ReadOnly})
	}
	const period = 10
	c.LivenessProbe = p.probe(p.LivePath, period, period, 8)
	c.StartupProbe = p.probe(p.StartupPath, period, period, int32(math.Ceil(p.StartupLimit.Seconds()/period)))
	if p.ReadyPath != "" {
		c.ReadinessProbe = p.probe(p.ReadyPath, 0, 1, 3)
	}
	return c
}

// probe takes its delay and period in seconds.
func (p Pod) probe(path string, delay, period, failures int32) *corev1.Probe {
	return &corev1.Probe{
		ProbeHandler: corev1.ProbeHandler{HTTPGet: &corev1.HTTPGetAction{
			Host: p.ProbeHost, Path: path, Port: intstr.FromString(probePort), Scheme: p.ProbeScheme,
		}},
		InitialDelaySeconds: delay, PeriodSeconds: period, TimeoutSeconds: 15, FailureThreshold: failures,
	}
}

// ByName sorts by name; of two mounts with one name the later one counts, so
// that users can replace one.
func ByName(mounts []Mount) []Mount {
	last := map[string]Mount{}
	for _, m := range mounts {
		last[m.Name] = m
	}
	sorted := make([]Mount, 0, len(last))
	for _, name := range slices.Sorted(maps.Keys(last)) {
		sorted = append(sorted, last[name])
	}
	return sorted
}

func volumes(mounts []Mount) []corev1.Volume {
	var list []corev1.Volume
	for _, m := range ByName(mounts) {
		list = append(list, corev1.Volume{Name: m.Name, VolumeSource: corev1.VolumeSource{
			HostPath: &corev1.HostPathVolumeSource{Path: m.HostPath, Type: &m.Type},
		}})
	}
	return list
}

// Command returns a component's command line: the defaults sorted by name,
// each as extra's last word on it leaves it, then those of extra that replace,
// as they stand (kubeadm v1.37, util/arguments.go).
func Command(program string, defaults map[string]string, extra []config.Arg) []string {
	command := []string{program}
	for _, name := range slices.Sorted(maps.Keys(defaults)) {
		if a, ok := last(extra, name); !ok || a.Merge != config.MergeReplace {
			command = append(command, "--"+name+"="+Merged(defaults[name], extra, name))
		}
	}
	for _, a := range extra {
		if a.Merge == config.MergeReplace {
			command = append(command, "--"+a.Name+"="+a.Value)
		}
	}
	return command
}

// Merged returns the value of a flag whose default is base.
func Merged(base string, extra []config.Arg, name string) string {
	a, ok := last(extra, name)
	switch {
	case !ok:
		return base
	case a.Merge == config.MergeAppend:
		return base + a.Value
	case a.Merge == config.MergePrepend:
		return a.Value + base
	}
	return a.Value
}

// Extra returns the last value that extra gives for a flag.
func Extra(extra []config.Arg, name string) (string, bool) {
	a, ok := last(extra, name)
	return a.Value, ok
}

func last(extra []config.Arg, name string) (config.Arg, bool) {
	for _, a := range slices.Backward(extra) {
		if a.Name == name {
			return a, true
		}
	}
	return config.Arg{}, false
}

// Env returns the proxy variables of environ ("NAME=value" lines, as from
// os.Environ), then extra over them, sorted by name.
func Env(environ []string, extra []corev1.EnvVar) []corev1.EnvVar {
	last := map[string]corev1.EnvVar{}
	for _, line := range environ {
		name, value, _ := strings.Cut(line, "=")
		if strings.HasSuffix(strings.ToLower(name), "_proxy") && value != "" {
			last[name] = corev1.EnvVar{Name: name, Value: value}
		}
	}
	for _, e := range extra {
		last[e.Name] = e
	}
	var list []corev1.EnvVar
	for _, name := range slices.Sorted(maps.Keys(last)) {
		list = append(list, last[name])
	}
	return list
}

// ProbeAddress is where a component that listens at bind can be asked: the
// wildcard addresses stand for "this pod's own".
func ProbeAddress(bind string) string {
	if bind == "0.0.0.0" || bind == "::" {
		return ""
	}
	return bind
}
