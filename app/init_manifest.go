package app

import (
	"context"
	"io"
	"path"

	"github.com/hactl/hactl/phases"
	"github.com/hactl/hactl/phases/addons"
)

// Manifest is what an addon is made of.
type Manifest struct {
	Manifest string `json:"manifest"` // YAML documents
}

// Text writes the documents.
func (m *Manifest) Text(w io.Writer) error {
	_, err := io.WriteString(w, m.Manifest)
	return err
}

// AddonManifest returns what the one phase of addon that in names would put
// into the cluster. It needs neither a cluster nor a container runtime and
// changes nothing.
func AddonManifest(ctx context.Context, in InitInput, notify func(phases.Event)) (*Manifest, error) {
	p, closePorts := realPorts()
	defer closePorts()
	return addonManifestOver(ctx, p, in, notify)
}

func addonManifestOver(ctx context.Context, p ports, in InitInput, notify func(phases.Event)) (*Manifest, error) {
	only, err := phases.Resolve(InitPhases(), in.Only)
	if err != nil {
		return nil, err
	}
	in.Only = only
	m := newMachine(p, true)
	defer m.close()
	if err := m.remember(ctx); err != nil {
		return nil, err
	}
	m.complete(ctx, in)
	c := in.Config
	if err := m.settleFiles(c); err != nil {
		return nil, err
	}
	if c.Cluster.VersionIsLabel() {
		c.Cluster.Version = m.initVersion(ctx, in, c.Cluster.Version, notify)
	}
	set, err := m.patches(ctx, c.PatchesDir, notify)
	if err != nil {
		return nil, err
	}
	s := m.initial(ctx, in)
	defer s.pki.Keys.Close()
	s.patch(set)
	data, err := addons.Manifests(ctx, &s.addons, path.Base(in.Only[0]))
	if err != nil {
		return nil, err
	}
	return &Manifest{Manifest: string(data)}, nil
}
