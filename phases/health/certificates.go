package health

import (
	"cmp"
	"context"
	"errors"
	"io/fs"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/hactl/hactl/certs"
	"github.com/hactl/hactl/config"
)

// kubeletClient is the kubelet's own certificate, which it renews itself.
const kubeletClient = config.KubeletDir + "/pki/kubelet-client-current.pem"

// KubeletClient is the name in the report of the kubelet's own certificate.
const KubeletClient = "kubelet-client"

// certificates lists those in the certificates directory, in the kubeconfig
// files of the node's components, and the kubelet's.
func (t *Task) certificates(ctx context.Context, n thisNode) Certificates {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	c := Certificates{Items: []Certificate{}}
	for _, dir := range []string{"", "etcd"} {
		at := path.Join(n.certDir, dir)
		for _, name := range t.entries(ctx, at, ".crt") {
			c.Items = append(c.Items, t.certificate(ctx, path.Join(dir, strings.TrimSuffix(name, ".crt")), path.Join(at, name)))
		}
	}
	if len(c.Items) == 0 {
		c.Error = "there are no certificates in " + n.certDir
	}
	kubelet, pointed := kubeletClient, false
	for _, name := range t.entries(ctx, config.KubernetesDir, ".conf") {
		entry, file := t.kubeconfig(ctx, name)
		if name == "kubelet.conf" && file != "" {
			kubelet, pointed = file, true
		}
		if entry.Expires != nil || entry.Error != "" {
			c.Items = append(c.Items, entry)
		}
	}
	// Without a kubelet there is none, and before it first renews it, the
	// certificate is in kubelet.conf itself.
	if _, err := t.Files.Stat(ctx, kubelet); err == nil || pointed {
		c.Items = append(c.Items, t.certificate(ctx, KubeletClient, kubelet))
	}
	slices.SortStableFunc(c.Items, func(a, b Certificate) int {
		return cmp.Or(end(a).Compare(end(b)), cmp.Compare(a.Name, b.Name))
	})
	return c
}

// end is that of the validity; what cannot be read comes first.
func end(c Certificate) time.Time {
	if c.Expires == nil {
		return time.Time{}
	}
	return *c.Expires
}

// entries lists the files of a directory that end with suffix.
func (t *Task) entries(ctx context.Context, dir, suffix string) []string {
	info, err := t.Files.Stat(ctx, dir)
	if err != nil {
		return nil
	}
	return slices.DeleteFunc(slices.Clone(info.Names), func(n string) bool { return !strings.HasSuffix(n, suffix) })
}

func (t *Task) certificate(ctx context.Context, name, file string) Certificate {
	c := Certificate{Name: name, Path: file}
	data, err := t.Files.ReadFile(ctx, file)
	if err != nil {
		c.Error = readError(err)
		return c
	}
	c.fill(data)
	return c
}

// readError leaves out the path, which the report has.
func readError(err error) string {
	var inPath *fs.PathError
	if errors.As(err, &inPath) {
		return inPath.Err.Error()
	}
	return err.Error()
}

// fill reads the first certificate of PEM data.
func (c *Certificate) fill(data []byte) {
	list, err := certs.ParseCerts(data)
	if err != nil {
		c.Error = err.Error()
		return
	}
	begins, expires := list[0].NotBefore.UTC(), list[0].NotAfter.UTC()
	c.Begins, c.Expires, c.Authority = &begins, &expires, list[0].IsCA
}

// kubeconfig returns the certificate in a kubeconfig file or, where the file
// only points to one, its path. A file without certificate has neither.
func (t *Task) kubeconfig(ctx context.Context, name string) (c Certificate, file string) {
	c = Certificate{Name: name, Path: path.Join(config.KubernetesDir, name)}
	user, _, err := currentContext(ctx, t.Files, c.Path)
	switch {
	case err != nil:
		c.Error = readError(err)
	case len(user.ClientCertificateData) > 0:
		c.fill(user.ClientCertificateData)
	case user.ClientCertificate != "" && name != "kubelet.conf":
		return t.certificate(ctx, name, absolute(user.ClientCertificate)), ""
	case user.ClientCertificate != "":
		return c, absolute(user.ClientCertificate)
	}
	return c, ""
}

// absolute resolves a path as client-go does.
func absolute(file string) string {
	if path.IsAbs(file) {
		return file
	}
	return path.Join(config.KubernetesDir, file)
}
