//go:build linux

package build

import (
	"archive/tar"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// sources makes two files and a second name for the first.
func sources(t *testing.T) (one, again, two string) {
	t.Helper()
	dir := t.TempDir()
	one, again, two = filepath.Join(dir, "one"), filepath.Join(dir, "again"), filepath.Join(dir, "two")
	if err := errors.Join(os.WriteFile(one, []byte("1"), 0o755), os.Link(one, again), os.WriteFile(two, []byte("2"), 0o644)); err != nil {
		t.Fatal(err)
	}
	return one, again, two
}

// entry is what matters of one member of a tar file.
type entry struct {
	Name, Link string
	Type       byte
	Mode       int64
	Data       string
}

func readTar(t *testing.T, file string) []entry {
	t.Helper()
	in, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	var entries []entry
	for r := tar.NewReader(in); ; {
		h, err := r.Next()
		if err == io.EOF {
			return entries
		}
		if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		entries = append(entries, entry{h.Name, h.Linkname, h.Typeflag, h.Mode, string(data)})
	}
}

func TestWriteLayer(t *testing.T) {
	one, again, two := sources(t)
	l := layer{
		files: map[string]string{"usr/bin/one": one, "usr/bin/two": two, "usr/lib/again": again},
		links: map[string]string{"bin": "usr/bin"},
		dirs:  map[string]os.FileMode{"tmp": 0o1777},
	}
	first, err := writeLayer(filepath.Join(t.TempDir(), "first"), l)
	if err != nil {
		t.Fatal(err)
	}
	second, err := writeLayer(filepath.Join(t.TempDir(), "second"), l)
	if err != nil {
		t.Fatal(err)
	}
	if first.digest != second.digest {
		t.Error("the same files do not give the same layer")
	}
	want := []entry{
		{Name: "tmp/", Type: tar.TypeDir, Mode: 0o1777},
		{Name: "usr/", Type: tar.TypeDir, Mode: 0o755},
		{Name: "usr/bin/", Type: tar.TypeDir, Mode: 0o755},
		{Name: "usr/lib/", Type: tar.TypeDir, Mode: 0o755},
		{Name: "usr/bin/one", Type: tar.TypeReg, Mode: 0o755, Data: "1"},
		{Name: "usr/bin/two", Type: tar.TypeReg, Mode: 0o644, Data: "2"},
		{Name: "usr/lib/again", Link: "usr/bin/one", Type: tar.TypeLink, Mode: 0o755},
		{Name: "bin", Link: "usr/bin", Type: tar.TypeSymlink, Mode: 0o777},
	}
	if diff := cmp.Diff(want, readTar(t, first.file)); diff != "" {
		t.Errorf("layer (-want +got):\n%s", diff)
	}
}

func TestWriteArchiveSharesLayers(t *testing.T) {
	one, _, two := sources(t)
	dir := t.TempDir()
	file := filepath.Join(dir, "images.tar")
	err := writeArchive(file, dir, "amd64",
		map[string]layer{"base": {files: map[string]string{"one": one}}, "top": {files: map[string]string{"two": two}}},
		[]image{{name: "a:1", layers: []string{"base"}}, {name: "b:1", layers: []string{"base"}}, {name: "c:1", layers: []string{"base", "top"}}})
	if err != nil {
		t.Fatal(err)
	}
	var layers int
	var manifests []manifest
	for _, e := range readTar(t, file) {
		switch {
		case filepath.Base(e.Name) == "layer.tar":
			layers++
		case e.Name == "manifest.json":
			if err := json.Unmarshal([]byte(e.Data), &manifests); err != nil {
				t.Fatal(err)
			}
		}
	}
	if layers != 2 || len(manifests) != 3 {
		t.Fatalf("%d layers and %d images, want 2 and 3", layers, len(manifests))
	}
	if manifests[0].Config == manifests[1].Config {
		t.Error("two images with the same layers have the same ID")
	}
	if diff := cmp.Diff(manifests[0].Layers, manifests[2].Layers[:1]); diff != "" {
		t.Errorf("the base layer is not shared:\n%s", diff)
	}
}
