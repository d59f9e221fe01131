//go:build linux

package build

import (
	"archive/tar"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// layer is one file system layer of an image.
type layer struct {
	files map[string]string // path in the image → file on this machine
	links map[string]string // path in the image → what the symbolic link says
	dirs  map[string]os.FileMode
}

// image is one container image. Images that share a layer value share its
// bytes in the archive, in containerd and on every node.
type image struct {
	name       string
	entrypoint []string
	layers     []string // names in a map of layers
}

// written is a layer as it stands in the archive.
type written struct{ file, digest string }

// imageConfig and its parts are the fields of the image configuration that
// matter here; see the image specification of the Open Container Initiative.
type imageConfig struct {
	Created      time.Time     `json:"created"`
	Architecture string        `json:"architecture"`
	OS           string        `json:"os"`
	Config       runtimeConfig `json:"config"`
	RootFS       rootFS        `json:"rootfs"`
}

type runtimeConfig struct {
	Entrypoint []string `json:"Entrypoint,omitempty"`
	Env        []string `json:"Env"`
	WorkingDir string   `json:"WorkingDir"`
	// Labels keep images with the same layers apart: an image's ID is the
	// digest of its configuration.
	Labels map[string]string `json:"Labels"`
}

type rootFS struct {
	Type    string   `json:"type"`
	DiffIDs []string `json:"diff_ids"`
}

type manifest struct {
	Config   string
	RepoTags []string
	Layers   []string
}

// writeArchive writes the images as one archive of the form that docker save
// writes and "ctr images import" reads. dir holds the layers meanwhile.
func writeArchive(file, dir, arch string, layers map[string]layer, images []image) error {
	out, err := os.Create(file)
	if err != nil {
		return err
	}
	defer out.Close()
	archive := tar.NewWriter(out)
	done := make(map[string]written)
	for _, name := range sortedKeys(layers) {
		w, err := writeLayer(filepath.Join(dir, name+".tar"), layers[name])
		if err != nil {
			return fmt.Errorf("layer %s: %w", name, err)
		}
		done[name] = w
		if err := addFile(archive, w.file, header(w.digest+"/layer.tar", 0o644)); err != nil {
			return err
		}
		if err := os.Remove(w.file); err != nil {
			return err
		}
	}
	var manifests []manifest
	for _, img := range images {
		m, err := addImage(archive, arch, img, done)
		if err != nil {
			return fmt.Errorf("image %s: %w", img.name, err)
		}
		manifests = append(manifests, m)
	}
	if err := addJSON(archive, "manifest.json", manifests); err != nil {
		return err
	}
	if err := archive.Close(); err != nil {
		return err
	}
	return out.Close()
}

// addImage adds the image's configuration and returns its entry in the
// manifest.
func addImage(archive *tar.Writer, arch string, img image, layers map[string]written) (manifest, error) {
	config := imageConfig{
		Created: time.Unix(0, 0).UTC(), Architecture: arch, OS: "linux",
		Config: runtimeConfig{
			Entrypoint: img.entrypoint,
			Env:        []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"},
			WorkingDir: "/",
			Labels:     map[string]string{"org.opencontainers.image.ref.name": img.name},
		},
		RootFS: rootFS{Type: "layers"},
	}
	m := manifest{RepoTags: []string{img.name}}
	for _, name := range img.layers {
		digest := layers[name].digest
		config.RootFS.DiffIDs = append(config.RootFS.DiffIDs, "sha256:"+digest)
		m.Layers = append(m.Layers, digest+"/layer.tar")
	}
	data, err := json.Marshal(config)
	if err != nil {
		return m, err
	}
	sum := sha256.Sum256(data)
	m.Config = hex.EncodeToString(sum[:]) + ".json"
	return m, addJSON(archive, m.Config, config)
}

// writeLayer writes a layer's tar. The same files give the same bytes.
func writeLayer(file string, l layer) (written, error) {
	out, err := os.Create(file)
	if err != nil {
		return written{}, err
	}
	defer out.Close()
	sum := sha256.New()
	w := tar.NewWriter(io.MultiWriter(out, sum))
	for _, name := range sortedKeys(l.parents()) {
		h := header(name+"/", int64(l.parents()[name]))
		h.Typeflag = tar.TypeDir
		if err := w.WriteHeader(h); err != nil {
			return written{}, err
		}
	}
	first := make(map[uint64]string) // inode → its first name
	for _, name := range sortedKeys(l.files) {
		if err := addOnce(w, l.files[name], name, first); err != nil {
			return written{}, err
		}
	}
	for _, name := range sortedKeys(l.links) {
		h := header(name, 0o777)
		h.Typeflag, h.Linkname = tar.TypeSymlink, l.links[name]
		if err := w.WriteHeader(h); err != nil {
			return written{}, err
		}
	}
	if err := w.Close(); err != nil {
		return written{}, err
	}
	return written{file: file, digest: hex.EncodeToString(sum.Sum(nil))}, out.Close()
}

// parents lists every directory of the layer with its mode.
func (l layer) parents() map[string]os.FileMode {
	all := make(map[string]os.FileMode)
	add := func(name string) {
		for dir := path.Dir(name); dir != "." && dir != "/"; dir = path.Dir(dir) {
			all[dir] = 0o755
		}
	}
	for name := range l.files {
		add(name)
	}
	for name := range l.links {
		add(name)
	}
	for name, mode := range l.dirs {
		add(name)
		all[name] = mode
	}
	return all
}

// addOnce adds a file, or a hard link if the same file is in the layer under
// another name.
func addOnce(w *tar.Writer, source, name string, first map[uint64]string) error {
	info, err := os.Stat(source)
	if err != nil {
		return err
	}
	h := header(name, int64(info.Mode().Perm()))
	if stat, ok := info.Sys().(*syscall.Stat_t); ok {
		if other, seen := first[stat.Ino]; seen {
			h.Typeflag, h.Linkname = tar.TypeLink, other
			return w.WriteHeader(h)
		}
		first[stat.Ino] = name
	}
	return addFile(w, source, h)
}

func addFile(w *tar.Writer, source string, h *tar.Header) error {
	in, err := os.Open(source)
	if err != nil {
		return err
	}
	defer in.Close()
	info, err := in.Stat()
	if err != nil {
		return err
	}
	h.Size = info.Size()
	if err := w.WriteHeader(h); err != nil {
		return err
	}
	_, err = io.Copy(w, in)
	return err
}

func addJSON[T any](w *tar.Writer, name string, value T) error {
	data, err := json.Marshal(value)
	if err != nil {
		return err
	}
	h := header(name, 0o644)
	h.Size = int64(len(data))
	if err := w.WriteHeader(h); err != nil {
		return err
	}
	_, err = w.Write(data)
	return err
}

// header is a regular file of root's from the beginning of time.
func header(name string, mode int64) *tar.Header {
	return &tar.Header{
		Typeflag: tar.TypeReg,
		Name:     strings.TrimPrefix(name, "/"),
		Mode:     mode,
		ModTime:  time.Unix(0, 0),
		Format:   tar.FormatPAX,
	}
}
