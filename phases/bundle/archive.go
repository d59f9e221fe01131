package bundle

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strings"
	"time"

	"github.com/hactl/hactl/config"
)

const (
	// manifestName is the first member of an archive.
	manifestName    = "hactl-certs.json"
	manifestVersion = 1
)

// Bundle is what travels.
type Bundle struct {
	Layout Layout
	Files  Files
	// ExternalCA says that the node it comes from has no key of some CA.
	ExternalCA bool
}

// manifest says how to read the members behind it. Paths are those of the
// node that the archive comes from.
type manifest struct {
	Version         int       `json:"version"`
	CertificatesDir string    `json:"certificatesDir"`
	ExternalEtcd    *external `json:"externalEtcd,omitempty"`
	ExternalCA      bool      `json:"externalCA,omitempty"`
	// Etcd is set for credentials of an etcd cluster.
	Etcd Purpose `json:"etcd,omitempty"`
}

// external are the files of an external etcd.
type external struct {
	CAFile   string `json:"caFile,omitempty"`
	CertFile string `json:"certFile,omitempty"`
	KeyFile  string `json:"keyFile,omitempty"`
}

func (b *Bundle) manifest() manifest {
	m := manifest{Version: manifestVersion, CertificatesDir: b.Layout.Dir, ExternalCA: b.ExternalCA, Etcd: b.Layout.purpose}
	if b.Layout.External {
		m.ExternalEtcd = &external{
			CAFile: b.Layout.pathOf("external-etcd-ca.crt"), CertFile: b.Layout.pathOf("external-etcd.crt"), KeyFile: b.Layout.pathOf("external-etcd.key"),
		}
	}
	return m
}

// pathOf is the file of the node that Secret kubeadm-certs has under key.
func (l Layout) pathOf(key string) string {
	if name := l.at(key); name != "" {
		return l.Path(name)
	}
	return ""
}

func (m manifest) layout() (Layout, error) {
	paths := []string{m.CertificatesDir}
	c := &config.Cluster{CertificatesDir: m.CertificatesDir}
	if e := m.ExternalEtcd; e != nil {
		c.Etcd.External = &config.ExternalEtcd{CAFile: e.CAFile, CertFile: e.CertFile, KeyFile: e.KeyFile}
		paths = append(paths, e.CAFile, e.CertFile, e.KeyFile)
	}
	for i, p := range paths {
		if (i == 0 || p != "") && (!path.IsAbs(p) || path.Clean(p) != p || p == "/") {
			return Layout{}, fmt.Errorf("%w: %q is no path of a file", ErrDamaged, p)
		}
	}
	if m.Etcd != "" {
		if m.Etcd.issued() == nil {
			return Layout{}, fmt.Errorf("%w: it is for %q, which this hactl does not know", ErrDamaged, m.Etcd)
		}
		return EtcdLayout(m.CertificatesDir, m.Etcd), nil
	}
	l := NewLayout(c)
	seen := map[string]bool{}
	for _, name := range l.Names() {
		if seen[name] {
			return Layout{}, fmt.Errorf("%w: two files have the name %q", ErrDamaged, name)
		}
		seen[name] = true
	}
	return l, nil
}

// Encode writes the bundle as the archive that Seal encrypts: a tar file with
// a manifest first, the same bytes for the same bundle.
func (b *Bundle) Encode() ([]byte, error) {
	head, err := json.Marshal(b.manifest())
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	add := func(name string, data []byte) error {
		h := &tar.Header{Typeflag: tar.TypeReg, Name: name, Size: int64(len(data)), Mode: 0o600, ModTime: time.Unix(0, 0), Format: tar.FormatPAX}
		if err := w.WriteHeader(h); err != nil {
			return err
		}
		_, err := w.Write(data)
		return err
	}
	if err := add(manifestName, head); err != nil {
		return nil, fmt.Errorf("write the archive: %w", err)
	}
	for _, name := range b.Files.names() {
		if err := add(name, b.Files[name].Data); err != nil {
			return nil, fmt.Errorf("write the archive: %s: %w", name, err)
		}
	}
	if err := w.Close(); err != nil {
		return nil, fmt.Errorf("write the archive: %w", err)
	}
	return out.Bytes(), nil
}

// Decode reads what Encode wrote. It takes regular files only, each once,
// none larger than 256 KiB, and none with a name that leads out of where it
// belongs; what the manifest does not call for must lie below "outside". Any
// other archive gives an error that wraps ErrDamaged.
func Decode(data []byte) (*Bundle, error) {
	if len(data) > maxTotal {
		return nil, fmt.Errorf("%w: it holds more than %d bytes", ErrDamaged, maxTotal)
	}
	r := tar.NewReader(bytes.NewReader(data))
	name, head, err := member(r)
	if err != nil {
		return nil, damaged(err)
	}
	if name != manifestName {
		return nil, fmt.Errorf("%w: it begins with %q, not with %s", ErrDamaged, name, manifestName)
	}
	b, err := newBundle(head)
	if err != nil {
		return nil, err
	}
	for {
		name, content, err := member(r)
		if errors.Is(err, io.EOF) {
			return b, nil
		}
		if err != nil {
			return nil, damaged(err)
		}
		switch {
		case b.Files.has(name):
			return nil, fmt.Errorf("%w: it holds %q twice", ErrDamaged, name)
		case len(b.Files) >= maxFiles:
			return nil, fmt.Errorf("%w: it holds more than %d files", ErrDamaged, maxFiles)
		case !b.Layout.knows(name) && (b.Layout.purpose != "" || !strings.HasPrefix(name, outside+"/")):
			return nil, fmt.Errorf("%w: it holds %q, which nodes do not share", ErrDamaged, name)
		}
		b.Files[name] = Content{Data: content}
	}
}

func newBundle(head []byte) (*Bundle, error) {
	var m manifest
	d := json.NewDecoder(bytes.NewReader(head))
	d.DisallowUnknownFields()
	if err := d.Decode(&m); err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrDamaged, manifestName, err)
	}
	if m.Version != manifestVersion {
		return nil, fmt.Errorf("%w: it has version %d, and this hactl knows version %d", ErrDamaged, m.Version, manifestVersion)
	}
	l, err := m.layout()
	return &Bundle{Layout: l, Files: Files{}, ExternalCA: m.ExternalCA}, err
}

// member reads the next file; io.EOF says that there is none.
func member(r *tar.Reader) (string, []byte, error) {
	h, err := r.Next()
	if err != nil {
		return "", nil, err
	}
	switch {
	case h.Typeflag != tar.TypeReg:
		return "", nil, fmt.Errorf("%q is no regular file", h.Name)
	case !fs.ValidPath(h.Name) || h.Name == "." || strings.ContainsAny(h.Name, "\\\x00\n"):
		return "", nil, fmt.Errorf("%q leads out of the certificates directory", h.Name)
	case h.Size > maxFile:
		return "", nil, fmt.Errorf("%q has %d bytes, the limit is %d", h.Name, h.Size, maxFile)
	}
	data, err := io.ReadAll(io.LimitReader(r, maxFile+1))
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return h.Name, data, err
}

func damaged(err error) error { return fmt.Errorf("%w: %w", ErrDamaged, err) }

// Paths lists where the files of the bundle lie on a node, in the order of
// the layout, then the others.
func (b *Bundle) Paths() []string {
	var list []string
	for _, name := range b.Layout.Names() {
		if b.Files.has(name) {
			list = append(list, b.Layout.Path(name))
		}
	}
	return append(list, b.Extras()...)
}
