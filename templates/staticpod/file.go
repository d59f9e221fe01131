package staticpod

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"sigs.k8s.io/yaml"
)

// Files is the part of the machine that holds the manifests.
type Files interface {
	ReadFile(ctx context.Context, path string) ([]byte, error)
	WriteFile(ctx context.Context, path string, data []byte, perm fs.FileMode) error
}

// Path returns the manifest file of a component.
func Path(dir, name string) string { return path.Join(dir, name+".yaml") }

// OnDisk says whether the manifest on disk means the same pod: the order of
// fields and comments do not count. What the component's account needs must
// be there, too.
func (p Pod) OnDisk(ctx context.Context, files Files, dir string) (bool, error) {
	live, err := Read(ctx, files, dir, p.Name)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if p.Accounts != nil {
		if p.account, err = p.Accounts.Find(ctx, p.Name); err != nil || p.account == nil {
			return false, err
		}
	}
	want, err := p.Patched()
	return err == nil && equality.Semantic.DeepEqual(live, want), err
}

// Replacer writes a manifest over an earlier one of the component: write does
// it, and what the kubelet would not see to by itself is done around it.
type Replacer func(ctx context.Context, component string, write func() error) error

// Write writes the manifest with mode 0600, after the component has got its
// account. One that is there is replaced by p.Replace, if that is set.
func (p Pod) Write(ctx context.Context, files Files, dir string) (err error) {
	if p.Accounts != nil {
		if p.account, err = p.Accounts.Give(ctx, p.Name); err != nil {
			return err
		}
	}
	data, err := p.YAML()
	if err != nil {
		return err
	}
	write := func() error { return files.WriteFile(ctx, Path(dir, p.Name), data, 0o600) }
	if p.Replace != nil {
		_, err := files.ReadFile(ctx, Path(dir, p.Name))
		if err == nil {
			return p.Replace(ctx, p.Name, write)
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return write()
}

// Read reads a component's manifest. The error satisfies errors.Is(err,
// fs.ErrNotExist) if there is none.
func Read(ctx context.Context, files Files, dir, name string) (*corev1.Pod, error) {
	data, err := files.ReadFile(ctx, Path(dir, name))
	if err != nil {
		return nil, err
	}
	pod := &corev1.Pod{}
	if err := yaml.UnmarshalStrict(data, pod); err != nil {
		return nil, fmt.Errorf("read %s: %w", Path(dir, name), err)
	}
	return pod, nil
}

// Flag returns the value of a flag in a pod's command.
func Flag(pod *corev1.Pod, name string) (string, bool) {
	for _, c := range pod.Spec.Containers {
		for _, arg := range slices.Backward(c.Command) {
			if value, ok := cutFlag(arg, name); ok {
				return value, true
			}
		}
	}
	return "", false
}

func cutFlag(arg, name string) (string, bool) {
	prefix := "--" + name + "="
	if len(arg) >= len(prefix) && arg[:len(prefix)] == prefix {
		return arg[len(prefix):], true
	}
	return "", false
}
