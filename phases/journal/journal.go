// Package journal keeps what hactl made of this node: the use case, its
// settled configuration and what it owns. The truth is on the disk and in
// the cluster; the journal only refuses to go on under another configuration
// and says what reset may remove.
package journal

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"

	"sigs.k8s.io/yaml"

	"github.com/hactl/hactl/phases"
	"github.com/hactl/hactl/phases/host"
)

// Path is where the record is. It lies in the kubelet's directory, so that
// `kubeadm reset` removes it too.
const Path = "/var/lib/kubelet/hactl.yaml"

// The use cases that a record can name.
const (
	UseInit = "init"
	UseJoin = "join"
)

// version is that of the record's format.
const version = 1

// Record is the journal's content. It holds no secrets.
type Record struct {
	Version int    `json:"version"` // 1
	Use     string `json:"use"`     // "init" or "join"
	Node    string `json:"node"`
	// Config is the settled configuration, path to value
	// ("clusterConfiguration.networking.podSubnet": "10.244.0.0/16").
	Config map[string]string `json:"config,omitempty"`
	// EtcdDataDir is the data directory that this node made, "" for none.
	EtcdDataDir string `json:"etcdDataDir,omitempty"`
	// Patches are the users' patch files, name to content.
	Patches map[string]string `json:"patches,omitempty"`
}

// Read returns the record, nil if there is none. What cannot be understood
// is a *phases.Fault; other errors are those of the file.
func Read(ctx context.Context, files host.Files) (*Record, error) {
	data, err := files.ReadFile(ctx, Path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", Path, err)
	}
	r := &Record{}
	if err := yaml.Unmarshal(data, r); err != nil || r.Version < 1 {
		return nil, &phases.Fault{
			What: Path + " does not say what was done to this node",
			// The error of the decoder may quote the file.
			Why:   errors.New("it is not as hactl writes it: it was changed by hand or is damaged"),
			Fixes: []string{"move it away; hactl then looks at the node's other files only: mv " + Path + " " + Path + ".old"},
		}
	}
	if r.Version > version {
		return nil, &phases.Fault{
			What:  fmt.Sprintf("%s is written by a newer hactl (format %d; this one knows %d)", Path, r.Version, version),
			Fixes: []string{"use that hactl on this node"},
		}
	}
	return r, nil
}

// Write replaces the record, with mode 0600. It sets the version.
func Write(ctx context.Context, files host.Files, r Record) error {
	data, err := r.encode()
	if err != nil {
		return err
	}
	if err := files.WriteFile(ctx, Path, data, 0o600); err != nil {
		return fmt.Errorf("write %s: %w", Path, err)
	}
	return nil
}

func (r Record) encode() ([]byte, error) {
	r.Version = version
	data, err := yaml.Marshal(r)
	if err != nil {
		return nil, fmt.Errorf("encode the journal: %w", err)
	}
	return data, nil
}

// Difference is one setting that two records do not share.
type Difference struct {
	// Path is that of Record.Config, or "patches/" and the name of a file.
	Path string
	// Recorded and Given are the values, "" where it is not set. That of a
	// patch, and of what may be secret, is a fingerprint.
	Recorded, Given string
}

// String says what differs, in words for a person.
func (d Difference) String() string {
	switch {
	case d.Recorded == "":
		return d.Path + " was not set and is now " + d.Given
	case d.Given == "":
		return d.Path + " was " + d.Recorded + " and is now not set"
	}
	return d.Path + " was " + d.Recorded + " and is now " + d.Given
}

// Differ lists the settings and patches that two records do not share, by
// path. Neither may be nil. Use, node and data directory do not count: they
// follow from the configuration.
func Differ(recorded, given *Record) []Difference {
	return append(differ(recorded.Config, given.Config), differ(printed(recorded.Patches), printed(given.Patches))...)
}

func differ(recorded, given map[string]string) []Difference {
	paths := slices.Collect(maps.Keys(recorded))
	paths = slices.AppendSeq(paths, maps.Keys(given))
	slices.Sort(paths)
	var list []Difference
	for _, p := range slices.Compact(paths) {
		if recorded[p] != given[p] {
			list = append(list, Difference{Path: p, Recorded: recorded[p], Given: given[p]})
		}
	}
	return list
}

// printed are patches as they are compared: by fingerprint.
func printed(patches map[string]string) map[string]string {
	out := map[string]string{}
	for name, content := range patches {
		out["patches/"+name] = fingerprint(content)
	}
	return out
}

// Task is what the phase works from.
type Task struct {
	Files host.Files
	// Record is what the run would leave behind.
	Record Record
}

// Phase is hidden phase journal: the record is there before anything else is
// changed. Whoever runs it has compared the records before.
func Phase() phases.Phase[Task] {
	return phases.Phase[Task]{
		Name: "journal", Title: "note the configuration", Hidden: true, Writes: []string{Path},
		Skip: func(t *Task) string {
			if t.Record.Use == "" {
				return "only a whole run has a configuration to note"
			}
			return ""
		},
		Observe: func(ctx context.Context, t *Task) (phases.State, error) {
			live, err := t.Files.ReadFile(ctx, Path)
			if errors.Is(err, fs.ErrNotExist) {
				return phases.Missing, nil
			}
			want, encodeErr := t.Record.encode()
			if err := errors.Join(err, encodeErr); err != nil {
				return phases.Missing, err
			}
			if bytes.Equal(live, want) {
				return phases.Done, nil
			}
			return phases.Missing, nil
		},
		Apply: func(ctx context.Context, t *Task) error { return Write(ctx, t.Files, t.Record) },
	}
}
