package cri

import (
	"context"
	"errors"
	"io/fs"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hactl/hactl/phases"
	"github.com/hactl/hactl/phases/host"
)

// sockets is a machine on which the named paths are sockets.
type sockets struct {
	host.Files
	at   map[string]fs.FileMode
	fail error
}

func (s sockets) Stat(_ context.Context, path string) (host.Info, error) {
	if s.fail != nil {
		return host.Info{}, s.fail
	}
	mode, ok := s.at[path]
	if !ok {
		return host.Info{}, &fs.PathError{Op: "stat", Path: path, Err: fs.ErrNotExist}
	}
	return host.Info{Mode: mode}, nil
}

func TestDetect(t *testing.T) {
	const (
		containerd = "/var/run/containerd/containerd.sock"
		crio       = "/var/run/crio/crio.sock"
	)
	socket := fs.ModeSocket | 0o660
	for _, tt := range []struct {
		reason    string
		files     sockets
		want      string
		ambiguous []string
		fails     bool
	}{
		{reason: "without a socket the default tells what is missing", want: DefaultSocket},
		{
			reason: "the only socket is taken",
			files:  sockets{at: map[string]fs.FileMode{crio: socket}},
			want:   "unix:///var/run/crio/crio.sock",
		},
		{
			reason: "a plain file is no socket",
			files:  sockets{at: map[string]fs.FileMode{crio: 0o600, containerd: socket}},
			want:   DefaultSocket,
		},
		{
			reason:    "several sockets need a choice",
			files:     sockets{at: map[string]fs.FileMode{crio: socket, containerd: socket}},
			ambiguous: []string{DefaultSocket, "unix:///var/run/crio/crio.sock"},
			fails:     true,
		},
		{
			reason: "a machine that cannot be read is not taken for an empty one",
			files:  sockets{fail: fs.ErrPermission},
			fails:  true,
		},
	} {
		got, err := Detect(t.Context(), tt.files)
		if got != tt.want || (err != nil) != tt.fails {
			t.Errorf("Detect() = %q, %v, want %q, an error %v: %s", got, err, tt.want, tt.fails, tt.reason)
		}
		var several *AmbiguousError
		if !errors.As(err, &several) {
			several = &AmbiguousError{}
		}
		if diff := cmp.Diff(tt.ambiguous, several.Sockets); diff != "" {
			t.Errorf("%s: -want +got:\n%s", tt.reason, diff)
		}
		if len(several.Sockets) > 0 && (len(several.Fix()) != len(several.Sockets) || several.Code() != phases.CodeUsage) {
			t.Errorf("%s: fixes %q, code %d, want one for each socket and %d", tt.reason, several.Fix(), several.Code(), phases.CodeUsage)
		}
	}
}

func TestOrder(t *testing.T) {
	at := func(s int64) time.Time { return time.Unix(s, 0) }
	list := []Container{
		{ID: "a", Pod: "p", Name: "etcd", CreatedAt: at(1)},
		{ID: "b", Pod: "p", Name: "etcd", CreatedAt: at(9), Attempt: 1},
		{ID: "c", Pod: "o", Name: "etcd", CreatedAt: at(1)},
		{ID: "d", Pod: "p", Name: "apiserver", CreatedAt: at(1)},
	}
	order(list)
	var got []string
	for _, c := range list {
		got = append(got, c.ID)
	}
	if diff := cmp.Diff([]string{"c", "d", "b", "a"}, got); diff != "" {
		t.Errorf("by pod and name, the newest first: -want +got:\n%s", diff)
	}
}

func TestParseLog(t *testing.T) {
	for _, tt := range []struct {
		reason, log string
		want        []string
	}{
		{"an empty log has no lines", "", nil},
		{
			"time, stream and tag are taken off",
			"2026-11-21T03:00:00.1Z stderr F bind: address already in use\n",
			[]string{"bind: address already in use"},
		},
		{"an empty line is a line", "2026-11-21T03:00:00.1Z stdout F \n2026-11-21T03:00:00.1Z stdout F\n", []string{"", ""}},
		{
			"a cut line is put together, whatever the other stream says between",
			"T stdout P one \nT stderr F other\nT stdout F two\n",
			[]string{"other", "one two"},
		},
		{"further tags are ignored", "T stdout F:X text\n", []string{"text"}},
		{"a log that ends in a cut line keeps it", "T stdout P half", []string{"half"}},
		{"what is not in the format stays as it is", "{\"log\":\"x\"}\n\nT stdout X y\n", []string{`{"log":"x"}`, "T stdout X y"}},
	} {
		if diff := cmp.Diff(tt.want, ParseLog([]byte(tt.log))); diff != "" {
			t.Errorf("%s: -want +got:\n%s", tt.reason, diff)
		}
	}
}

func FuzzParseLog(f *testing.F) {
	f.Add([]byte("2026-11-21T03:00:00.1Z stdout P a\n2026-11-21T03:00:00.1Z stdout F b\n"))
	f.Add([]byte("plain\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		var in, out int
		for _, l := range ParseLog(data) {
			out += len(l)
		}
		if in = len(data); out > in {
			t.Errorf("%d bytes out of %d", out, in)
		}
	})
}
