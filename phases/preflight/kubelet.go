package preflight

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"

	"k8s.io/apimachinery/pkg/util/version"
)

// olderKubelet is how many minor versions a kubelet may be behind the API
// server (https://kubernetes.io/releases/version-skew-policy/).
const olderKubelet = 3

// kubeletVersion asks the kubelet, whose answer is "Kubernetes v1.37.1".
func (t *Task) kubeletVersion(ctx context.Context) (*version.Version, error) {
	ctx, cancel := context.WithTimeout(ctx, commandLimit)
	defer cancel()
	out, err := t.Host.Probe(ctx, "kubelet", "--version")
	if err != nil {
		return nil, err
	}
	_, text, found := strings.Cut(strings.TrimSpace(string(out)), " ")
	if !found {
		return nil, fmt.Errorf("kubelet --version says %q", out)
	}
	return version.ParseSemantic(text)
}

// kubeletFits wants a kubelet that can work with the control plane.
func (t *Task) kubeletFits(f *facts) error {
	plane, err := version.ParseSemantic(t.KubernetesVersion)
	if err != nil {
		return fault("the Kubernetes version is not one", err, "--kubernetes-version v1.37.1, for example")
	}
	install := fmt.Sprintf("install the kubelet of Kubernetes v%d.%d: the package kubelet, or the program with its systemd unit", plane.Major(), plane.Minor())
	kubelet, err := f.kubelet()
	switch {
	case errors.Is(err, exec.ErrNotFound):
		return fault("the kubelet is not installed", err, install)
	case err != nil:
		return fault("the kubelet does not tell its version", err, "try it: kubelet --version", install)
	}
	difference := int(plane.Minor()) - int(kubelet.Minor())
	switch {
	case kubelet.Major() > plane.Major() || difference < 0:
		return fault(fmt.Sprintf("the kubelet is too new: v%s", kubelet), fmt.Errorf("the control plane will be %s, and a kubelet is never newer", t.KubernetesVersion),
			install, fmt.Sprintf("or set up a newer control plane: --kubernetes-version v%s", kubelet))
	case kubelet.Major() < plane.Major() || difference > olderKubelet:
		return fault(fmt.Sprintf("the kubelet is too old: v%s", kubelet), fmt.Errorf("with a control plane of %s it is v%d.%d or newer", t.KubernetesVersion, plane.Major(), plane.Minor()-olderKubelet),
			install)
	}
	return nil
}

// kubeletService wants a unit that can be started.
func (t *Task) kubeletService(ctx context.Context) ([]string, error) {
	const unit = "kubelet.service"
	status, err := t.Host.Services().Status(ctx, unit)
	switch {
	case err != nil:
		return []string{fmt.Sprintf("it cannot be seen whether the kubelet is a service of this machine: %v", err)}, nil
	case !status.Exists:
		return nil, fault("the kubelet is no service of this machine", errors.New("systemd has no unit "+unit),
			"install the package kubelet, which brings the unit, or write one to /etc/systemd/system/"+unit,
			"then: systemctl daemon-reload")
	case !status.Enabled:
		return []string{"the kubelet will not start after a reboot: systemctl enable " + unit}, nil
	}
	return nil, nil
}

// newest warns of a Kubernetes that was not known when this hactl was made.
func (t *Task) newest(context.Context) ([]string, error) {
	if t.Newest == "" {
		return nil, nil
	}
	known, err := version.ParseSemantic(t.Newest)
	if err != nil {
		return nil, err
	}
	wanted, err := version.ParseSemantic(t.KubernetesVersion)
	if err != nil {
		return nil, nil // KubeletVersion says so
	}
	if wanted.Major() > known.Major() || wanted.Minor() > known.Minor() {
		return []string{fmt.Sprintf("%s is newer than this hactl, which knows Kubernetes up to v%d.%d", t.KubernetesVersion, known.Major(), known.Minor())}, nil
	}
	return nil, nil
}

// system is SystemVerification: kernel, cgroups, operating system.
func (t *Task) system(ctx context.Context, f *facts) ([]string, error) {
	kubelet := ""
	// The version only matters for cgroup v1, which a kubelet from 1.35 on
	// refuses unless it is told otherwise. A kubelet that cannot be asked is
	// another check's word.
	if v, err := f.kubelet(); err == nil && !t.CgroupV1Allowed {
		kubelet = v.String()
	}
	warned, problems := t.Verify(ctx, kubelet)
	var warnings []string
	for _, w := range warned {
		if isCgroupV1(w) {
			w = errors.New("this machine has cgroup v1, which a coming Kubernetes will no longer support")
		}
		warnings = append(warnings, w.Error())
	}
	var errs []error
	for _, p := range problems {
		switch {
		case isCgroupV1(p):
			errs = append(errs, fault("this machine has cgroup v1", fmt.Errorf("a kubelet of v%s does not start with it", kubelet),
				"boot with cgroup v2: systemd.unified_cgroup_hierarchy=1 on the kernel's command line",
				"or let the kubelet live with it: failCgroupV1: false in a KubeletConfiguration in the file of --config"))
		case isUnknownKernel(p):
			warnings = append(warnings, fmt.Sprintf("it cannot be seen how this kernel was built: %v", p))
		default:
			errs = append(errs, fault("the system cannot run Kubernetes", p,
				"use a kernel that has it, or load its module; how this one was built: zcat /proc/config.gz, or /boot/config-$(uname -r)"))
		}
	}
	return warnings, errors.Join(errs...)
}

// The library returns plain errors, so its words are all there is to go by
// (k8s.io/system-validators v1.12.1 cgroup_validator_linux.go,
// kernel_validator.go).
func isCgroupV1(err error) bool { return strings.HasPrefix(err.Error(), "cgroups v1 support") }

func isUnknownKernel(err error) bool {
	return strings.HasPrefix(err.Error(), "failed to parse kernel config")
}
