package controlplane

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/hactl/hactl/config"
	"github.com/hactl/hactl/phases"
	"github.com/hactl/hactl/templates/staticpod"
)

// systemCertDirs hold CA certificates on some distributions; links in
// /etc/ssl/certs point into them (kubeadm v1.37, phases/controlplane/volumes.go).
var systemCertDirs = [...]string{
	"/etc/pki/ca-trust", "/etc/pki/tls/certs", "/etc/ca-certificates",
	"/usr/share/ca-certificates", "/usr/local/share/ca-certificates",
}

func (t *Task) apiServer(ctx context.Context) (staticpod.Pod, error) {
	c := t.Cluster
	flags := t.apiServerFlags()
	if err := t.etcdFlags(flags); err != nil {
		return staticpod.Pod{}, err
	}
	extra := c.APIServer.ExtraArgs
	if _, ok := staticpod.Extra(extra, "authorization-config"); !ok {
		flags["authorization-mode"] = "Node,RBAC"
	}
	mounts := append(t.certMounts(ctx), t.etcdMounts()...)
	return staticpod.Pod{
		Name: APIServer, Image: c.Image(APIServer),
		Command:     staticpod.Command(APIServer, flags, extra),
		Mounts:      withExtra(mounts, c.APIServer),
		Env:         staticpod.Env(t.Environ, c.APIServer.ExtraEnvs),
		Annotations: map[string]string{"kubeadm.kubernetes.io/kube-apiserver.advertise-address.endpoint": t.Local.String()},
		CPU:         "250m",
		ProbeHost:   staticpod.ProbeAddress(t.Local.Address.String()), ProbePort: int32(t.Local.Port), ProbeScheme: corev1.URISchemeHTTPS,
		LivePath: "/livez", ReadyPath: "/readyz", StartupPath: "/livez",
		StartupLimit: t.Timeouts.ControlPlane,
	}, nil
}

func (t *Task) apiServerFlags() map[string]string {
	c := t.Cluster
	pki := func(name string) string { return path.Join(c.CertificatesDir, name) }
	return map[string]string{
		"advertise-address":                  t.Local.Address.String(),
		"allow-privileged":                   "true",
		"client-ca-file":                     pki("ca.crt"),
		"enable-admission-plugins":           "NodeRestriction",
		"enable-bootstrap-token-auth":        "true",
		"kubelet-client-certificate":         pki("apiserver-kubelet-client.crt"),
		"kubelet-client-key":                 pki("apiserver-kubelet-client.key"),
		"kubelet-preferred-address-types":    "InternalIP,ExternalIP,Hostname",
		"proxy-client-cert-file":             pki("front-proxy-client.crt"),
		"proxy-client-key-file":              pki("front-proxy-client.key"),
		"requestheader-allowed-names":        "front-proxy-client",
		"requestheader-client-ca-file":       pki("front-proxy-ca.crt"),
		"requestheader-extra-headers-prefix": "X-Remote-Extra-",
		"requestheader-group-headers":        "X-Remote-Group",
		"requestheader-username-headers":     "X-Remote-User",
		"secure-port":                        strconv.Itoa(int(t.Local.Port)),
		"service-account-issuer":             "https://kubernetes.default.svc." + c.Networking.DNSDomain,
		"service-account-key-file":           pki("sa.pub"),
		"service-account-signing-key-file":   pki("sa.key"),
		"service-cluster-ip-range":           config.Join(c.Networking.ServiceSubnets),
		"tls-cert-file":                      pki("apiserver.crt"),
		"tls-private-key-file":               pki("apiserver.key"),
	}
}

// etcdFlags points the API server at its own node's member, and only there,
// or at every endpoint of an external cluster.
func (t *Task) etcdFlags(flags map[string]string) error {
	e := t.Cluster.Etcd
	if x := e.External; x != nil {
		flags["etcd-servers"] = strings.Join(x.Endpoints, ",")
		for name, file := range map[string]string{"etcd-cafile": x.CAFile, "etcd-certfile": x.CertFile, "etcd-keyfile": x.KeyFile} {
			if file != "" {
				flags[name] = file
			}
		}
		return nil
	}
	if e.Local == nil {
		return &phases.Fault{What: "the configuration says neither etcd.local nor etcd.external", Exit: phases.CodeUsage}
	}
	server := "https://127.0.0.1:2379"
	if t.Local.Address.Is6() {
		server = "https://[::1]:2379"
	}
	flags["etcd-servers"] = staticpod.Merged(server, e.Local.ExtraArgs, "advertise-client-urls")
	flags["etcd-cafile"] = path.Join(t.Cluster.CertificatesDir, "etcd/ca.crt")
	flags["etcd-certfile"] = path.Join(t.Cluster.CertificatesDir, "apiserver-etcd-client.crt")
	flags["etcd-keyfile"] = path.Join(t.Cluster.CertificatesDir, "apiserver-etcd-client.key")
	return nil
}

// etcdMounts are the directories of an external cluster's credentials that
// the other mounts do not hold.
func (t *Task) etcdMounts() []staticpod.Mount {
	x := t.Cluster.Etcd.External
	if x == nil {
		return nil
	}
	mounted := append(slices.Clone(systemCertDirs[:]), t.Cluster.CertificatesDir, "/etc/ssl/certs")
	var dirs []string
	for _, file := range []string{x.CAFile, x.CertFile, x.KeyFile} {
		if dir := path.Dir(file); file != "" && !slices.ContainsFunc(append(dirs, mounted...), holds(dir)) {
			dirs = append(dirs, dir)
		}
	}
	slices.Sort(dirs) // parents before what they hold
	var mounts []staticpod.Mount
	for i, dir := range dirs {
		if !slices.ContainsFunc(dirs[:i], holds(dir)) {
			mounts = append(mounts, staticpod.Same(fmt.Sprintf("etcd-certs-%d", len(mounts)), dir, true, corev1.HostPathDirectoryOrCreate))
		}
	}
	return mounts
}

// holds says whether a directory is dir or above it.
func holds(dir string) func(parent string) bool {
	return func(parent string) bool { return dir == parent || strings.HasPrefix(dir, parent+"/") }
}

func (t *Task) controllerManager(ctx context.Context) (staticpod.Pod, error) {
	c := t.Cluster
	kubeconfig := path.Join(config.KubernetesDir, "controller-manager.conf")
	ca := path.Join(c.CertificatesDir, "ca.crt")
	flags := map[string]string{
		"authentication-kubeconfig":        kubeconfig,
		"authorization-kubeconfig":         kubeconfig,
		"bind-address":                     "127.0.0.1",
		"client-ca-file":                   ca,
		"cluster-signing-cert-file":        ca,
		"cluster-signing-key-file":         path.Join(c.CertificatesDir, "ca.key"),
		"controllers":                      "*,bootstrapsigner,tokencleaner",
		"kubeconfig":                       kubeconfig,
		"leader-elect":                     "true",
		"requestheader-client-ca-file":     path.Join(c.CertificatesDir, "front-proxy-ca.crt"),
		"root-ca-file":                     ca,
		"service-account-private-key-file": path.Join(c.CertificatesDir, "sa.key"),
		"use-service-account-credentials":  "true",
	}
	if external, err := t.externalCA(ctx); err != nil {
		return staticpod.Pod{}, err
	} else if external {
		// Without the key nothing can be signed: the signer must stay off.
		flags["cluster-signing-cert-file"], flags["cluster-signing-key-file"] = "", ""
	}
	if len(c.Networking.PodSubnets) > 0 {
		flags["allocate-node-cidrs"] = "true"
		flags["cluster-cidr"] = config.Join(c.Networking.PodSubnets)
		flags["service-cluster-ip-range"] = config.Join(c.Networking.ServiceSubnets)
	}
	if c.Name != "" {
		flags["cluster-name"] = c.Name
	}
	mounts := append(t.certMounts(ctx), staticpod.Same("kubeconfig", kubeconfig, true, corev1.HostPathFileOrCreate))
	p := t.listener(ControllerManager, c.ControllerManager, ControllerManagerPort)
	p.Command = staticpod.Command(ControllerManager, flags, c.ControllerManager.ExtraArgs)
	p.Mounts = withExtra(mounts, c.ControllerManager)
	p.CPU, p.LivePath, p.StartupPath = "200m", "/healthz", "/healthz"
	return p, nil
}

func (t *Task) scheduler(context.Context) (staticpod.Pod, error) {
	c := t.Cluster
	kubeconfig := path.Join(config.KubernetesDir, "scheduler.conf")
	flags := map[string]string{
		"authentication-kubeconfig": kubeconfig,
		"authorization-kubeconfig":  kubeconfig,
		"bind-address":              "127.0.0.1",
		"kubeconfig":                kubeconfig,
		"leader-elect":              "true",
	}
	p := t.listener(Scheduler, c.Scheduler, SchedulerPort)
	p.Command = staticpod.Command(Scheduler, flags, c.Scheduler.ExtraArgs)
	p.Mounts = withExtra([]staticpod.Mount{staticpod.Same("kubeconfig", kubeconfig, true, corev1.HostPathFileOrCreate)}, c.Scheduler)
	p.CPU, p.LivePath, p.ReadyPath, p.StartupPath = "100m", "/livez", "/readyz", "/livez"
	return p, nil
}

// listener is what the two components that listen at loopback have in common.
func (t *Task) listener(name string, c config.Component, port int32) staticpod.Pod {
	bind := "127.0.0.1"
	if given, ok := staticpod.Extra(c.ExtraArgs, "bind-address"); ok {
		bind = given
	}
	return staticpod.Pod{
		Name: name, Image: t.Cluster.Image(name),
		Env:       staticpod.Env(t.Environ, c.ExtraEnvs),
		ProbeHost: staticpod.ProbeAddress(bind), ProbePort: port, ProbeScheme: corev1.URISchemeHTTPS,
		StartupLimit: t.Timeouts.ControlPlane,
	}
}

// certMounts are the cluster's certificates and the CAs of the system.
func (t *Task) certMounts(ctx context.Context) []staticpod.Mount {
	mounts := []staticpod.Mount{
		staticpod.Same("k8s-certs", t.Cluster.CertificatesDir, true, corev1.HostPathDirectoryOrCreate),
		staticpod.Same("ca-certs", "/etc/ssl/certs", true, corev1.HostPathDirectoryOrCreate),
	}
	for _, dir := range systemCertDirs {
		if _, err := t.Files.Stat(ctx, dir); err == nil {
			mounts = append(mounts, staticpod.Same(strings.ReplaceAll(dir[1:], "/", "-"), dir, true, corev1.HostPathDirectoryOrCreate))
		}
	}
	return mounts
}

// externalCA says that the CA's certificate is here and its key is not.
func (t *Task) externalCA(ctx context.Context) (bool, error) {
	_, certErr := t.Files.Stat(ctx, path.Join(t.Cluster.CertificatesDir, "ca.crt"))
	_, keyErr := t.Files.Stat(ctx, path.Join(t.Cluster.CertificatesDir, "ca.key"))
	for _, err := range []error{certErr, keyErr} {
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return false, err
		}
	}
	return certErr == nil && keyErr != nil, nil
}

// withExtra adds the user's mounts, which may replace others by name.
func withExtra(mounts []staticpod.Mount, c config.Component) []staticpod.Mount {
	for _, v := range c.ExtraVolumes {
		mounts = append(mounts, staticpod.Mount{Name: v.Name, HostPath: v.HostPath, MountPath: v.MountPath, ReadOnly: v.ReadOnly, Type: v.PathType})
	}
	return staticpod.ByName(mounts)
}
