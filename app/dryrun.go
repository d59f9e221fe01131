package app

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/hactl/hactl/phases/host"
)

// DryRunReport lists what a run would have changed: on the machine in order,
// in the cluster by kind and name, since objects are put at the same time.
type DryRunReport struct {
	Machine []MachineChange `json:"machine"`
	Objects []ObjectChange  `json:"objects"`
}

// MachineChange is one file, directory, command or service action. What is
// in a file is not shown: many hold keys.
type MachineChange struct {
	Action string `json:"action"` // "write", "mkdir", "remove", "run", or a service's
	Target string `json:"target"`
	Mode   string `json:"mode,omitempty"`
}

// ObjectChange is one write to the API.
type ObjectChange struct {
	Verb      string `json:"verb"`
	Kind      string `json:"kind"`
	Namespace string `json:"namespace,omitempty"`
	Name      string `json:"name"`
}

// report is nil for a real run.
func (m *machine) report() *DryRunReport {
	if m.files == nil {
		return nil
	}
	r := &DryRunReport{Machine: []MachineChange{}, Objects: []ObjectChange{}}
	for _, c := range m.files.Changes() {
		r.Machine = append(r.Machine, machineChange(c))
	}
	for _, c := range m.objects.Changes() {
		r.Objects = append(r.Objects, ObjectChange{
			Verb: string(c.Verb), Kind: c.Object.GetObjectKind().GroupVersionKind().Kind,
			Namespace: c.Object.GetNamespace(), Name: c.Object.GetName(),
		})
	}
	sortObjects(r.Objects)
	return r
}

func sortObjects(list []ObjectChange) {
	slices.SortStableFunc(list, func(a, b ObjectChange) int {
		return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name))
	})
}

func (r *DryRunReport) text(p *printer) {
	p.line("")
	if len(r.Machine)+len(r.Objects) == 0 {
		p.line("A real run would change nothing.")
		return
	}
	p.line("A real run would do this on the machine:")
	for _, c := range r.Machine {
		p.line("  %-8s %-4s %s", c.Action, c.Mode, c.Target)
	}
	if len(r.Machine) == 0 {
		p.line("  nothing")
	}
	p.line("")
	p.line("and this in the cluster:")
	for _, o := range r.Objects {
		name := o.Name
		if o.Namespace != "" {
			name = o.Namespace + "/" + o.Name
		}
		p.line("  %-8s %s %s", o.Verb, o.Kind, name)
	}
	if len(r.Objects) == 0 {
		p.line("  nothing")
	}
}

func mode(c host.Change) string {
	if c.Mode == 0 {
		return ""
	}
	return fmt.Sprintf("%04o", c.Mode.Perm())
}

func machineChange(c host.Change) MachineChange {
	switch c.Kind {
	case host.FileWritten:
		return MachineChange{Action: "write", Target: c.Path, Mode: mode(c)}
	case host.DirMade:
		return MachineChange{Action: "mkdir", Target: c.Path, Mode: mode(c)}
	case host.PathRemoved:
		return MachineChange{Action: "remove", Target: c.Path}
	case host.ServiceChanged:
		return MachineChange{Action: string(c.Action), Target: c.Unit}
	default:
		return MachineChange{Action: "run", Target: strings.Join(c.Argv, " ")}
	}
}
