package app

import (
	"context"
	"crypto/x509"
	"encoding/binary"
	"io/fs"
	"path"
	"slices"
	"strings"
	"syscall"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/clientcmd/api"

	"github.com/hactl/hactl/certs"
	"github.com/hactl/hactl/config"
	"github.com/hactl/hactl/phases/host"
	"github.com/hactl/hactl/phases/kube"
	"github.com/hactl/hactl/templates/staticpod"
)

const (
	kubeletConf   = "/etc/kubernetes/kubelet.conf"
	bootstrapConf = "/etc/kubernetes/bootstrap-kubelet.conf"
	clientPEM     = "/var/lib/kubelet/pki/kubelet-client-current.pem"
	etcdLog       = "/var/lib/etcd/member/wal/0000000000000000-0000000000000000.wal"
)

// joinHost is the machine as its hactl sees it. Its kubelet sees manifests.
type joinHost struct {
	counted
	w *joinWorld
}

func (h joinHost) WriteFile(ctx context.Context, name string, data []byte, perm fs.FileMode) error {
	if err := h.w.changed("write " + name); err != nil {
		return err
	}
	if strings.HasPrefix(name, config.ManifestsDir) {
		h.w.later()
	}
	h.parents(name)
	return h.Memory.WriteFile(ctx, name, data, perm)
}

func (h joinHost) Mkdir(ctx context.Context, name string, perm fs.FileMode) error {
	if info, err := h.Stat(ctx, name); err != nil || info.Mode.Perm() != perm {
		if err := h.w.changed("mkdir " + name); err != nil {
			return err
		}
	}
	h.parents(name)
	return h.Memory.Mkdir(ctx, name, perm)
}

// parents notes the directories that come to be with a path.
func (h joinHost) parents(name string) {
	h.w.mu.Lock()
	defer h.w.mu.Unlock()
	for dir := path.Dir(name); !h.w.has(dir); dir = path.Dir(dir) {
		h.w.done["mkdir "+dir] = true
	}
}

func (h joinHost) Remove(ctx context.Context, name string) error {
	if _, err := h.Stat(ctx, name); err == nil {
		if err := h.w.changed("remove " + name); err != nil {
			return err
		}
	}
	if name == etcdManifest {
		_ = h.w.etcd.Kill(h.w.nodeName) // if it runs
	}
	return h.Memory.Remove(ctx, name)
}

func (h joinHost) RemoveAll(ctx context.Context, name string) error {
	if err := h.w.changed("remove " + name); err != nil {
		return err
	}
	return h.Memory.RemoveAll(ctx, name)
}

// ownServer is the API by this machine's own server.
type ownServer struct {
	kube.API
	w *joinWorld
}

func (s ownServer) refused() error {
	if s.w.serving.Load() {
		return nil
	}
	return syscall.ECONNREFUSED
}

func (s ownServer) Get(ctx context.Context, obj kube.Object) error {
	if err := s.refused(); err != nil {
		return err
	}
	return s.API.Get(ctx, obj)
}

func (s ownServer) List(ctx context.Context, list runtime.Object, namespace, selector string) error {
	if err := s.refused(); err != nil {
		return err
	}
	return s.API.List(ctx, list, namespace, selector)
}

func (s ownServer) Update(ctx context.Context, obj kube.Object) error {
	if err := s.refused(); err != nil {
		return err
	}
	return s.API.Update(ctx, obj)
}

func (s ownServer) Raw(ctx context.Context, path string) ([]byte, error) {
	if err := s.refused(); err != nil {
		return nil, err
	}
	return s.API.Raw(ctx, path)
}

// has says whether a file is on the machine.
func (w *joinWorld) has(name string) bool {
	_, err := w.host.Stat(context.Background(), name)
	return err == nil
}

// kubelet does what it would do once it has seen what is there: it gets its
// certificate, runs the static pods, and registers the node.
func (w *joinWorld) kubelet() {
	if !w.running.Load() || !w.has("/var/lib/kubelet/config.yaml") {
		return
	}
	if !w.has(kubeletConf) && !w.has(bootstrapConf) {
		return
	}
	if w.has(etcdManifest) && !w.bootEtcd() {
		return
	}
	if w.has("/etc/kubernetes/manifests/kube-apiserver.yaml") {
		if !w.has(etcdManifest) {
			return // its API server has no etcd yet
		}
		w.serving.Store(true)
		w.mirror(w.host, w.nodeName, "kube-apiserver")
	}
	w.bootstrap()
	n := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: w.nodeName}}
	if w.api.Get(context.Background(), n) == nil {
		return
	}
	n.Status.Addresses = []corev1.NodeAddress{{Type: corev1.NodeInternalIP, Address: w.addr}}
	if err := w.api.Set(n); err != nil {
		w.t.Error(err)
	}
}

// bootEtcd starts the member of the manifest if it was added. Without data,
// it wants to be told of all members.
func (w *joinWorld) bootEtcd() bool {
	ctx := context.Background()
	pod, err := staticpod.Read(ctx, w.host, config.ManifestsDir, "etcd")
	if err != nil {
		return false
	}
	own, _ := staticpod.Flag(pod, "initial-advertise-peer-urls")
	told, _ := staticpod.Flag(pod, "initial-cluster")
	list, err := w.etcd.Members(ctx)
	if err != nil {
		return false
	}
	for _, m := range list {
		if !w.has(etcdLog) && !strings.Contains(told, m.PeerURLs[0]) {
			return false
		}
	}
	for _, m := range list {
		if !m.HasPeer(own) {
			continue
		}
		if !w.has(etcdLog) {
			w.file(etcdLog, string(walHead(m.ID)), 0o600)
			w.ownData(pod)
		}
		if w.etcd.Start(own, w.nodeName) != nil || w.etcd.Sync(w.nodeName) != nil {
			return false
		}
		w.mirror(w.host, w.nodeName, "etcd")
		return true
	}
	return false
}

// ownData makes what etcd has written its user's, if the pod has one.
func (w *joinWorld) ownData(pod *corev1.Pod) {
	s := pod.Spec.SecurityContext
	for file := etcdLog; s.RunAsUser != nil && file != "/var/lib/etcd"; file = path.Dir(file) {
		if err := w.host.Chown(w.t.Context(), file, host.Owner{User: *s.RunAsUser, Group: *s.RunAsGroup}, 0o700); err != nil {
			w.t.Error(err)
		}
	}
}

// walHead is the head of a log of the cluster that etcd.Memory is, which says
// whose it is.
func walHead(id uint64) []byte {
	meta := binary.AppendUvarint([]byte{1 << 3}, id)
	meta = binary.AppendUvarint(append(meta, 2<<3), 0xcdf818194e3a8c32)
	record := append([]byte{1 << 3, 1, 2 << 3, 0, 3<<3 | 2, byte(len(meta))}, meta...)
	var log []byte
	for _, r := range [][]byte{{1 << 3, 4, 2 << 3, 0}, record} {
		pad := (8 - len(r)%8) % 8
		head := uint64(len(r))
		if pad > 0 {
			head |= uint64(0x80|pad) << 56
		}
		log = binary.LittleEndian.AppendUint64(log, head)
		log = append(append(log, r...), make([]byte, pad)...)
	}
	return log
}

// mirror shows the static pod of a node in the API.
func (w *joinWorld) mirror(files host.Files, node, name string) {
	pod, err := staticpod.Read(context.Background(), files, config.ManifestsDir, name)
	if err != nil {
		w.t.Error(err)
		return
	}
	pod.Name, pod.Spec.NodeName = name+"-"+node, node
	if err := w.api.Set(pod); err != nil {
		w.t.Error(err)
	}
}

// bootstrap gives the kubelet its certificate, signed by the cluster.
func (w *joinWorld) bootstrap() {
	ctx := context.Background()
	if w.has(clientPEM) {
		return
	}
	key, err := certs.NewKey(certs.ECDSAP256)
	if err != nil {
		w.t.Error(err)
		return
	}
	pair, err := w.authority().Issue(certs.Leaf{
		CommonName: "system:node:" + w.nodeName, Organizations: []string{"system:nodes"}, Usages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}, key, w.now())
	if err != nil {
		w.t.Error(err)
		return
	}
	private, err := certs.EncodeKey(key)
	if err != nil {
		w.t.Error(err)
		return
	}
	w.file(clientPEM, string(slices.Concat(certs.EncodeCert(pair.Cert), private)), 0o600)
	if w.has(kubeletConf) {
		return
	}
	data, err := w.host.ReadFile(ctx, bootstrapConf)
	if err != nil {
		w.t.Error(err)
		return
	}
	conf, err := clientcmd.Load(data)
	if err != nil {
		w.t.Error(err)
		return
	}
	cluster := conf.Clusters[conf.Contexts[conf.CurrentContext].Cluster]
	user := &api.AuthInfo{ClientCertificate: clientPEM, ClientKey: clientPEM}
	w.file(kubeletConf, kubeconfigText(w.t, kubeconfigOf(cluster.Server, cluster.CertificateAuthorityData, user)), 0o600)
}

// waiting is a worker whose kubelet has written its file and has no
// certificate yet.
func (w *joinWorld) waiting() {
	ca := w.read(w.first.host, "/etc/kubernetes/pki/ca.crt")
	user := &api.AuthInfo{ClientCertificate: clientPEM, ClientKey: clientPEM}
	w.file(kubeletConf, kubeconfigText(w.t, kubeconfigOf("https://lb.example.com:6443", ca, user)), 0o600)
	w.file(bootstrapConf, kubeconfigText(w.t, kubeconfigOf("https://lb.example.com:6443", ca, &api.AuthInfo{Token: knownToken})), 0o600)
}
