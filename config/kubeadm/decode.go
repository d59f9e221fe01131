package kubeadm

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/hactl/hactl/config"
)

// Documents is what a file says. What it does not say is not set: defaults
// are package config's.
type Documents struct {
	// Init is set if there is an InitConfiguration or a ClusterConfiguration.
	// The component configurations of the file are in it.
	Init    *config.Init
	Join    *config.JoinNode
	Reset   *config.Reset
	Upgrade *config.Upgrade
	// LoadBalancer is that of hactl's own document. It is in Init and in Join,
	// too, where the file has these.
	LoadBalancer *config.LoadBalancer

	// Kinds are the kinds that the file has, in its order.
	Kinds []string

	// Warnings are what a person should know, with the place in the file.
	Warnings []string

	source string
	places map[string]places // by kind
}

// places are the values of a document by their paths.
type places map[string]*yaml.Node

// Decode reads YAML or JSON documents, strictly. The source names the data
// in errors and warnings, as in "ha.yaml". It returns an *Error with every
// mistake of the file. Whether the values make sense is checked by the
// Validate methods of package config; Load does both.
func Decode(source string, data []byte) (*Documents, error) {
	r := read(source, data)
	docs := r.documents()
	if err := newError(source, r.problems); err != nil {
		return nil, err
	}
	return docs, nil
}

// reader collects what the documents of a file say, as wire types of
// v1beta4.
type reader struct {
	source   string
	docs     []document
	problems []config.Problem
	warnings []config.Problem
	places   map[string]places
	versions map[string]string // of the kinds

	init      *initConfiguration
	cluster   *clusterConfiguration
	join      *joinConfiguration
	reset     *resetConfiguration
	upgrade   *upgradeConfiguration
	kubelet   *kubeletConfiguration
	kubeProxy *kubeProxyConfiguration
	own       *highAvailability
}

func read(source string, data []byte) *reader {
	r := &reader{source: source, places: map[string]places{}, versions: map[string]string{}}
	docs, problems := parse(data)
	r.problems = problems
	first := map[string]document{}
	for i := range docs {
		d := &docs[i]
		if p := d.identify(); p != nil {
			r.problems = append(r.problems, *p)
			continue
		}
		if other, ok := first[d.gvk.kind]; ok && known(d.gvk) {
			r.problem(d.root, "kind", "keep one of them", "a second %s; the first is in line %d", d.gvk.kind, other.root.Line)
			continue
		}
		first[d.gvk.kind] = *d
		r.document(d)
	}
	r.docs = docs
	return r
}

func known(g groupVersionKind) bool {
	_, ok := kindNamed(g.kind)
	return ok && ours(g.group)
}

func (r *reader) problem(n *yaml.Node, path, fix, format string, args ...any) {
	r.problems = append(r.problems, config.Problem{
		Path: path, What: fmt.Sprintf(format, args...), Fix: fix, Line: n.Line, Column: n.Column,
	})
}

func (r *reader) warn(n *yaml.Node, path, fix, format string, args ...any) {
	r.warnings = append(r.warnings, config.Problem{
		Path: path, What: fmt.Sprintf(format, args...), Fix: fix, Line: n.Line, Column: n.Column,
	})
}

// document decodes one document into its wire type.
func (r *reader) document(d *document) {
	if !r.wanted(d) {
		return
	}
	switch d.gvk.kind {
	case KindInit:
		r.init = decodeInto[initConfiguration](r, d)
	case KindCluster:
		r.cluster = decodeInto[clusterConfiguration](r, d)
	case KindJoin:
		r.join = decodeInto[joinConfiguration](r, d)
	case KindReset:
		r.reset = decodeInto[resetConfiguration](r, d)
	case KindUpgrade:
		r.upgrade = decodeInto[upgradeConfiguration](r, d)
	case KindKubelet:
		r.kubelet = decodeInto[kubeletConfiguration](r, d)
	case KindKubeProxy:
		r.kubeProxy = decodeInto[kubeProxyConfiguration](r, d)
	case KindOwn:
		r.own = decodeInto[highAvailability](r, d)
	}
}

func decodeInto[T any](r *reader, d *document) *T {
	v := new(T)
	s, problems := decode(d, v)
	r.problems = append(r.problems, problems...)
	r.places[d.gvk.kind], r.versions[d.gvk.kind] = s.places, d.gvk.version
	return v
}

// wanted says whether a document is of a kind and version that is read, and
// reports those that are not.
func (r *reader) wanted(d *document) bool {
	g := d.gvk
	k, isKind := kindNamed(g.kind)
	switch {
	case isKind && k.group == g.group && slices.Contains(k.versions, g.version):
		if g.group == group && g.version == "v1" {
			r.warn(d.root, "apiVersion", "", "%s is experimental in kubeadm v1.37; v1beta4 is the version to use", g.apiVersion())
		}
		return true
	case isKind && k.group == g.group:
		r.problem(versionNode(d), "apiVersion", r.versionFix(k, g), "%s is not read for %s; %s", g.apiVersion(), g.kind, versionsOf(k))
	case isKind:
		r.problem(versionNode(d), "apiVersion", "write "+k.group+"/"+k.versions[0], "%s has no %s", g.apiVersion(), g.kind)
	case g.group == group && g.kind == kindStatus:
		r.warn(d.root, "", "remove the document", "%s is not used any more and is ignored", kindStatus)
	case ours(g.group):
		var names []string
		for _, k := range kinds {
			if k.group == g.group {
				names = append(names, k.name)
			}
		}
		fix := ""
		if near := nearest(g.kind, names); near != "" {
			fix = "did you mean " + near + "?"
		}
		r.problem(kindNode(d), "kind", fix, "%s has no kind %s; it has %s", g.group, g.kind, strings.Join(names, ", "))
	case nearest(g.group, groups) != "":
		r.problem(versionNode(d), "apiVersion", "did you mean "+nearest(g.group, groups)+"?",
			"%s is not an API group that is read", g.group)
	default:
		r.warn(d.root, "", "", "%s of %s is not read and is ignored", g.kind, g.apiVersion())
	}
	return false
}

func versionsOf(k kind) string {
	if len(k.versions) == 1 {
		return "the version read is " + k.versions[0]
	}
	return "the versions read are " + strings.Join(k.versions, ", ")
}

func (r *reader) versionFix(k kind, g groupVersionKind) string {
	if k.group == group && slices.Contains([]string{"v1alpha1", "v1alpha2", "v1alpha3", "v1beta1"}, g.version) {
		return "it is older than Kubernetes v1.15; write the file anew, beginning with: hactl config print init-defaults"
	}
	return "write " + k.group + "/" + k.versions[0]
}

func versionNode(d *document) *yaml.Node { return nodeOf(d, "apiVersion") }
func kindNode(d *document) *yaml.Node    { return nodeOf(d, "kind") }

func nodeOf(d *document, name string) *yaml.Node {
	for _, e := range entries(d.root) {
		if e.key.Value == name {
			return e.value
		}
	}
	return d.root
}

// documents converts what was read to the internal model.
func (r *reader) documents() *Documents {
	d := &Documents{source: r.source, places: r.places}
	for _, doc := range r.docs {
		if known(doc.gvk) && !slices.Contains(d.Kinds, doc.gvk.kind) {
			d.Kinds = append(d.Kinds, doc.gvk.kind)
		}
	}
	r.raise()
	if r.init != nil || r.cluster != nil {
		d.Init = r.convertInit()
	}
	if r.join != nil {
		d.Join = r.convertJoin()
	}
	if r.reset != nil {
		d.Reset = r.convertReset()
	}
	if r.upgrade != nil {
		d.Upgrade = r.convertUpgrade()
	}
	r.convertOwn(d)
	if len(d.Kinds) == 0 && len(r.problems) == 0 {
		r.problems = append(r.problems, config.Problem{
			What: "has no configuration", Fix: "begin with what this prints: hactl config print init-defaults",
		})
	}
	for i := range r.warnings {
		r.warnings[i].Source = r.source
	}
	sortByPlace(r.warnings)
	for _, w := range r.warnings {
		d.Warnings = append(d.Warnings, w.String())
	}
	return d
}

func sortByPlace(list []config.Problem) {
	slices.SortStableFunc(list, func(a, b config.Problem) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
}
