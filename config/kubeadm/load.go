package kubeadm

import (
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/hactl/hactl/config"
)

// Load is Decode, and then defaults and validation of all that the file has:
// every mistake is in one *Error, with its place in the file. What depends
// on the machine is not set and not checked; call Resolve and Validate for
// that.
func Load(source string, data []byte) (*Documents, error) {
	r := read(source, data)
	docs := r.documents()
	problems := r.problems
	for _, v := range docs.models() {
		v.Default()
		for _, p := range fresh(r.problems, v.Validate()) {
			if !slices.Contains(problems, p) { // a document may be of several models
				problems = append(problems, p)
			}
		}
	}
	docs.locate(problems)
	if err := newError(source, problems); err != nil {
		return nil, err
	}
	docs.Warnings = append(docs.Warnings, docs.further()...)
	return docs, nil
}

// model is what every kind of configuration can do.
type model interface {
	Default()
	Validate() []config.Problem
}

func (d *Documents) models() []model {
	var list []model
	if d.Init != nil {
		list = append(list, d.Init)
	}
	if d.Join != nil {
		list = append(list, d.Join)
	}
	if d.Reset != nil {
		list = append(list, d.Reset)
	}
	if d.Upgrade != nil {
		list = append(list, d.Upgrade)
	}
	if d.LoadBalancer != nil && d.Init == nil && d.Join == nil {
		list = append(list, d.LoadBalancer)
	}
	return list
}

// further are the warnings about values.
func (d *Documents) further() []string {
	var list []config.Problem
	if d.Init != nil {
		list = append(list, d.Init.Warnings()...)
	}
	if d.Join != nil {
		list = append(list, d.Join.Warnings()...)
	}
	d.locate(list)
	var out []string
	for _, p := range list {
		out = append(out, p.String())
	}
	return out
}

// fresh leaves out what follows from a mistake that is known already: a
// value that could not be read is not set, and may look as if it were
// missing.
func fresh(known, list []config.Problem) []config.Problem {
	var out []config.Problem
	for _, p := range list {
		follows := false
		for _, k := range known {
			if k.Path != "" && (within(p.Path, k.Path) || within(k.Path, p.Path)) {
				follows = true
			}
		}
		if !follows {
			out = append(out, p)
		}
	}
	return out
}

func within(path, outer string) bool {
	rest, ok := strings.CutPrefix(path, outer)
	return ok && (rest == "" || rest[0] == '.' || rest[0] == '[')
}

// Locate sets the place in the file of problems that have a path and no
// place yet, such as those of Validate after Resolve.
func (d *Documents) Locate(problems []config.Problem) []config.Problem {
	d.locate(problems)
	return problems
}

func (d *Documents) locate(problems []config.Problem) {
	for i := range problems {
		p := &problems[i]
		if p.Line != 0 || p.Path == "" {
			continue
		}
		if n := d.find(p.Path); n != nil {
			p.Source, p.Line, p.Column = d.source, n.Line, n.Column
		}
	}
}

// find looks for a path in the documents of the file.
func (d *Documents) find(path string) *yaml.Node {
	for _, kind := range []string{KindKubelet, KindKubeProxy} {
		if inner, ok := strings.CutPrefix(path, kind+"."); ok {
			return d.places[kind].nearest(inner)
		}
	}
	for _, kind := range d.Kinds {
		if n := d.places[kind][path]; n != nil {
			return n
		}
	}
	for _, kind := range d.Kinds {
		if n := d.places[kind].nearest(path); n != nil && n != d.places[kind][""] {
			return n
		}
	}
	return nil
}

// nearest is the place of a path, or of what is around it.
func (p places) nearest(path string) *yaml.Node {
	for {
		if n := p[path]; n != nil {
			return n
		}
		if path == "" {
			return nil
		}
		path = path[:max(strings.LastIndexAny(path, ".["), 0)]
	}
}
