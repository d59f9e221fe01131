package cri

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/hactl/hactl/phases/host"
)

// DefaultSocket is the socket that is used when the machine has none of the
// known ones.
const DefaultSocket = "unix:///var/run/containerd/containerd.sock"

// scheme is the only one there is on Linux.
const scheme = "unix://"

// Detect finds the socket of the machine's runtime, with its scheme. With
// none it returns DefaultSocket, so that whoever speaks to it tells what is
// missing. It returns an *AmbiguousError if there are several.
func Detect(ctx context.Context, files host.Files) (string, error) {
	var found []string
	for _, socket := range []string{
		// kubeadm v1.37 cmd/kubeadm/app/constants/constants_unix.go
		DefaultSocket,
		"unix:///var/run/crio/crio.sock",
		"unix:///var/run/cri-dockerd.sock",
	} {
		info, err := files.Stat(ctx, strings.TrimPrefix(socket, scheme))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return "", fmt.Errorf("look for the container runtime: %w", err)
		}
		if info.Mode.Type() == fs.ModeSocket {
			found = append(found, socket)
		}
	}
	switch len(found) {
	case 0:
		return DefaultSocket, nil
	case 1:
		return found[0], nil
	default:
		return "", &AmbiguousError{Sockets: found}
	}
}
