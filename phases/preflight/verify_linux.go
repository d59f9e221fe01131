package preflight

import (
	"context"

	system "k8s.io/system-validators/validators"
)

// silent drops the report line by line: the errors name what is wrong.
type silent struct{}

func (silent) Report(string, string, system.ValidationResultType) error { return nil }

// verify asks the real machine. The library leaves no trace, though on cgroup
// v2 it makes and removes a group to see whether groups can be frozen.
func verify(_ context.Context, kubelet string) (warnings, problems []error) {
	for _, v := range []system.Validator{
		&system.KernelValidator{Reporter: silent{}},
		&system.OSValidator{Reporter: silent{}},
		&system.CgroupsValidator{Reporter: silent{}, KubeletVersion: kubelet},
	} {
		w, p := v.Validate(system.DefaultSysSpec)
		warnings, problems = append(warnings, w...), append(problems, p...)
	}
	return warnings, problems
}
