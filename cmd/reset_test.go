package cmd

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/hactl/hactl/app"
	"github.com/hactl/hactl/phases"
)

func TestConfirmed(t *testing.T) {
	broken := errors.New("broken")
	cases := map[string]struct {
		reason string
		in     io.Reader
		want   bool
		code   phases.Code // zero for no error
	}{
		"Yes":        {reason: "the whole word", in: strings.NewReader("Yes\n"), want: true},
		"Y":          {reason: "kubeadm's own answer", in: strings.NewReader("y\n"), want: true},
		"WithoutEnd": {reason: "as printf pipes it", in: strings.NewReader("y"), want: true},
		"No":         {reason: "a no", in: strings.NewReader("n\n")},
		"Enter":      {reason: "only a yes is one", in: strings.NewReader("\n")},
		"Other":      {reason: "only a yes is one", in: strings.NewReader("yesterday\n")},
		"Nobody":     {reason: "nobody is there to answer", in: strings.NewReader(""), code: phases.CodeUsage},
		"Broken":     {reason: "the answer cannot be read", in: io.MultiReader(strings.NewReader("y"), failing{broken}), code: phases.CodeFailed},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			got, err := confirmed(t.Context(), Streams{In: c.in, Err: &bytes.Buffer{}})
			if got != c.want || (err != nil) != (c.code != 0) || err != nil && app.Explain(err).Code != c.code {
				t.Errorf("%s: got %v, %v, want %v, code %d", c.reason, got, err, c.want, c.code)
			}
		})
	}
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

func TestConfirmedEndsWithContext(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(app.ErrInterrupted)
	in, out := io.Pipe()
	t.Cleanup(func() { _ = out.Close() })
	if _, err := confirmed(ctx, Streams{In: in, Err: &bytes.Buffer{}}); !errors.Is(err, app.ErrInterrupted) {
		t.Errorf("want %v, got %v", app.ErrInterrupted, err)
	}
}
