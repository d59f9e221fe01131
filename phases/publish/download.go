package publish

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/hactl/hactl/config"
	"github.com/hactl/hactl/phases"
	"github.com/hactl/hactl/templates"
)

// DownloadPhase is phase download-certs, below control-plane-prepare: the
// certificates that all control-plane nodes share come to this node. It works
// from API, Cluster, Host, Now, Key and CA.
//
// Everything is opened and verified before anything is written. A file that
// is there with another content is refused. Once all files are there and
// belong together, the phase is done, also when what was uploaded has ended.
func DownloadPhase() phases.Phase[Task] {
	return phases.Phase[Task]{
		Name:  "download-certs",
		Title: "get the certificates that control-plane nodes share",
		Reads: []string{"Secret kube-system/" + templates.CertsSecret},
		Writes: []string{
			path.Join(config.DefaultCertsDir, "{ca,front-proxy-ca,etcd/ca}.{crt,key}"),
			path.Join(config.DefaultCertsDir, "sa.{pub,key}"),
		},
		Skip: func(t *Task) string {
			if t.Key == "" {
				return "no certificate key is given, so the shared certificates must be on this node already"
			}
			return ""
		},
		Observe: func(ctx context.Context, t *Task) (phases.State, error) {
			missing, err := t.download(ctx)
			if err != nil || len(missing) > 0 {
				return phases.Missing, err
			}
			return phases.Done, nil
		},
		Apply: applyDownload,
	}
}

func applyDownload(ctx context.Context, t *Task) error {
	missing, err := t.download(ctx)
	if err != nil {
		return err
	}
	for _, f := range missing {
		perm := fs.FileMode(0o644)
		if strings.HasSuffix(f.Key, ".key") {
			perm = 0o600
		}
		if err := t.Host.WriteFile(ctx, f.Path, f.data, perm); err != nil {
			return fmt.Errorf("write %s: %w", f.Path, err)
		}
	}
	return nil
}

// download is a file to be written.
type download struct {
	templates.SharedFile
	data []byte
}

// download returns what is not on this node yet.
func (t *Task) download(ctx context.Context) ([]download, error) {
	local, err := t.onDisk(ctx)
	if err != nil {
		return nil, err
	}
	shared, err := openShared(ctx, t.API, t.Key, t.Now())
	if err != nil {
		if t.complete(local) && t.verify(local) == nil {
			return nil, nil
		}
		return nil, err
	}
	if err := t.verify(shared); err != nil {
		return nil, err
	}
	var missing []download
	var foreign []string
	for _, f := range templates.SharedFiles(t.Cluster) {
		want := shared[f.Key]
		got, there := local[f.Key]
		switch {
		case len(want) == 0: // the cluster does without, or its CA is run elsewhere
		case !there:
			missing = append(missing, download{f, want})
		case !bytes.Equal(got, want):
			foreign = append(foreign, f.Path)
		}
	}
	if len(foreign) > 0 {
		return nil, foreignFiles(foreign)
	}
	return missing, nil
}

// onDisk reads the shared files that are there.
func (t *Task) onDisk(ctx context.Context) (map[string][]byte, error) {
	files := map[string][]byte{}
	for _, f := range templates.SharedFiles(t.Cluster) {
		if f.Path == "" {
			continue
		}
		data, err := t.Host.ReadFile(ctx, f.Path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		files[f.Key] = data
	}
	return files, nil
}

// complete says whether every shared file is there.
func (t *Task) complete(files map[string][]byte) bool {
	return !slices.ContainsFunc(templates.SharedFiles(t.Cluster), func(f templates.SharedFile) bool {
		_, there := files[f.Key]
		return f.Path != "" && !there
	})
}

func foreignFiles(paths []string) error {
	return &phases.Fault{
		What: "files on this node are not those of the cluster: " + strings.Join(paths, ", "),
		Why:  errors.New("they differ from what was uploaded, and hactl overwrites nothing"),
		Fixes: []string{
			"if they are left over from another cluster: hactl reset",
			"or move them away, and run the same command again",
		},
		Exit: phases.CodeUnsafe,
	}
}
