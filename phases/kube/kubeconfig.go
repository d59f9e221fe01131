package kube

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

// Reader reads files of the machine; host.Host is one.
type Reader interface {
	ReadFile(ctx context.Context, path string) ([]byte, error)
}

// FromKubeconfig returns a load function for NewClient: it reads the first
// of the files that exists. A server that is not empty ("https://10.0.0.1:6443")
// takes the place of the one in the file. It returns a *KubeconfigError if no
// file exists.
func FromKubeconfig(files Reader, server string, paths ...string) func(context.Context) (*rest.Config, error) {
	return func(ctx context.Context) (*rest.Config, error) {
		for _, path := range paths {
			data, err := files.ReadFile(ctx, path)
			if errors.Is(err, fs.ErrNotExist) {
				continue
			}
			if err != nil {
				return nil, err
			}
			config, err := clientcmd.RESTConfigFromKubeConfig(data)
			if err != nil {
				return nil, fmt.Errorf("read kubeconfig %s: %w", path, err)
			}
			if server != "" {
				config.Host = server
			}
			return config, nil
		}
		return nil, &KubeconfigError{Paths: paths}
	}
}
