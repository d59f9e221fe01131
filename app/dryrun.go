package app

import (
	"cmp"
	"slices"
	"strings"

	"github.com/hactl/hactl/etcd"
)

// DryRunReport lists what a run would have changed: on the machine in order,
// in the cluster by kind and name, since objects are put at the same time.
type DryRunReport struct {
	Machine []MachineChange `json:"machine"`
	Objects []ObjectChange  `json:"objects"`
}

// MachineChange is one file, directory, command or service action. What is
// in files is shown without secrets: see shown.
type MachineChange struct {
	// Action is "write", "mkdir", "remove" (of a tree with all below it),
	// "move", "chown", "unmount", "run", or what is done to a service.
	Action string `json:"action"`
	Target string `json:"target"`
	From   string `json:"from,omitempty"`  // of a move
	Owner  string `json:"owner,omitempty"` // after chown, "USER:GROUP" by IDs
	Mode   string `json:"mode,omitempty"`
	// Content is all of a new file; Diff is what changes in a file that is
	// there, in unified format.
	Content string `json:"content,omitempty"`
	Diff    string `json:"diff,omitempty"`
}

// ObjectChange is one write to the API.
type ObjectChange struct {
	Verb      string `json:"verb"`
	Kind      string `json:"kind"`
	Namespace string `json:"namespace,omitempty"`
	Name      string `json:"name"`
	// Content is a new object in YAML; Diff is what changes in one that is
	// there. Both are without secrets.
	Content string `json:"content,omitempty"`
	Diff    string `json:"diff,omitempty"`
}

// memberChanges are those of etcd's members.
func memberChanges(o *etcd.Overlay) []ObjectChange {
	if o == nil {
		return nil
	}
	var list []ObjectChange
	for _, c := range o.Changes() {
		list = append(list, ObjectChange{Verb: c.Verb, Kind: "etcd member", Name: c.Member})
	}
	return list
}

// report is nil for a real run. The machine's secrets are in no part of it.
func (m *machine) report() *DryRunReport {
	if m.files == nil {
		return nil
	}
	show := shower{secrets: m.secrets}
	r := &DryRunReport{Machine: []MachineChange{}, Objects: []ObjectChange{}}
	for _, c := range m.files.Changes() {
		r.Machine = append(r.Machine, show.machine(c))
	}
	if m.objects == nil { // the run has no cluster
		return r
	}
	for _, c := range m.objects.Changes() {
		r.Objects = append(r.Objects, show.object(c))
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
		p.line("  %-8s %-4s %s", c.Action, c.Mode, c.what())
	}
	if len(r.Machine) == 0 {
		p.line("  nothing")
	}
	p.line("")
	p.line("and this in the cluster:")
	for _, o := range r.Objects {
		p.line("  %-8s %s", o.Verb, o.title())
	}
	if len(r.Objects) == 0 {
		p.line("  nothing")
	}
	r.detail(p)
}

// what is the target, with where it was before or whose it is then.
func (c MachineChange) what() string {
	return strings.TrimSuffix(strings.TrimPrefix(c.From+" to "+c.Target+" to "+c.Owner, " to "), " to ")
}

// detail is what is in files and objects, where anything is.
func (r *DryRunReport) detail(p *printer) {
	if !slices.ContainsFunc(r.Machine, func(c MachineChange) bool { return c.Content+c.Diff != "" }) &&
		!slices.ContainsFunc(r.Objects, func(o ObjectChange) bool { return o.Content+o.Diff != "" }) {
		return
	}
	p.line("")
	p.line("In detail, without secrets:")
	for _, c := range r.Machine {
		p.block(c.Target, c.Content, c.Diff)
	}
	for _, o := range r.Objects {
		p.block(o.title(), o.Content, o.Diff)
	}
}

func (o *ObjectChange) title() string {
	if o.Namespace == "" {
		return o.Kind + " " + o.Name
	}
	return o.Kind + " " + o.Namespace + "/" + o.Name
}

// block writes what is in a file or an object, or what changes in it.
func (p *printer) block(title, content, diff string) {
	if content == "" && diff == "" {
		return
	}
	p.line("")
	p.line("  %s", title)
	for line := range strings.Lines(content + diff) {
		p.line("%s", strings.TrimRight("    "+strings.TrimSuffix(line, "\n"), " "))
	}
}
