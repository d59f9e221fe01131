package app

import (
	"context"
	"errors"
	"io/fs"
	"strings"

	"github.com/hactl/hactl/certs"
)

// keysFor makes a key for each of these files that is to be written, while
// preflight waits for the machine. No key more: an RSA key is what a run takes
// most of its processor time for.
func (m *machine) keysFor(ctx context.Context, algorithm certs.Algorithm, files []string) *certs.KeyPool {
	missing := 0
	for _, file := range files {
		_, err := m.host.Stat(ctx, file)
		// A certificate without its key is somebody else's to sign with.
		if errors.Is(err, fs.ErrNotExist) && !m.any(ctx, []string{strings.TrimSuffix(file, ".key") + ".crt"}) {
			missing++
		}
	}
	return certs.NewPool(algorithm, missing)
}
