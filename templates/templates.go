// Package templates owns the form of the objects that hactl creates in the
// cluster: embedded files that are filled from typed parameters and returned
// as typed objects. They are the same objects that kubeadm v1.37 creates, so
// either tool can go on with what the other began. The package talks to no
// cluster, and knows nothing of what is there already.
package templates

import (
	"crypto/sha256"
	"embed"
	"fmt"
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"github.com/hactl/hactl/templates/form"
)

//go:embed coredns kubeproxy
var files embed.FS

// HashAnnotation marks a ConfigMap whose component configuration nobody
// wrote by hand, so that an upgrade may write it anew (kubeadm v1.37,
// constants/constants.go).
const HashAnnotation = "kubeadm.kubernetes.io/component-config.hash"

// Sign sets HashAnnotation to the checksum of the content, as kubeadm
// computes it (v1.37, componentconfigs/checksums.go).
func Sign(cm *corev1.ConfigMap) {
	metav1.SetMetaDataAnnotation(&cm.ObjectMeta, HashAnnotation, checksum(cm))
}

// Signed says whether the content is still what Sign saw.
func Signed(cm *corev1.ConfigMap) bool {
	return cm.Annotations[HashAnnotation] == checksum(cm)
}

func checksum(cm *corev1.ConfigMap) string {
	sum := sha256.New()
	for _, key := range slices.Sorted(maps.Keys(cm.Data)) {
		sum.Write([]byte(cm.Data[key]))
	}
	for _, key := range slices.Sorted(maps.Keys(cm.BinaryData)) {
		sum.Write(cm.BinaryData[key])
	}
	return fmt.Sprintf("sha256:%x", sum.Sum(nil))
}

// fill renders one embedded file.
func fill(name string, values form.Values) (string, error) {
	text, err := files.ReadFile(name)
	if err != nil {
		return "", err
	}
	filled, err := form.Fill(string(text), values)
	if err != nil {
		return "", fmt.Errorf("template %s: %w", name, err)
	}
	return filled, nil
}

// object renders one embedded file into a typed object.
func object[T any](into **T, name string, values form.Values) error {
	text, err := fill(name, values)
	if err != nil {
		return err
	}
	*into = new(T)
	if err := yaml.UnmarshalStrict([]byte(text), *into); err != nil {
		return fmt.Errorf("template %s: %w", name, err)
	}
	return nil
}
