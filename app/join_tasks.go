package app

import (
	"context"
	"errors"
	"path"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hactl/hactl/certs"
	"github.com/hactl/hactl/config"
	"github.com/hactl/hactl/etcd"
	"github.com/hactl/hactl/phases"
	"github.com/hactl/hactl/phases/addons"
	"github.com/hactl/hactl/phases/controlplane"
	"github.com/hactl/hactl/phases/cri"
	"github.com/hactl/hactl/phases/journal"
	"github.com/hactl/hactl/phases/kube"
	"github.com/hactl/hactl/phases/kubeconfig"
	"github.com/hactl/hactl/phases/kubelet"
	"github.com/hactl/hactl/phases/member"
	"github.com/hactl/hactl/phases/node"
	"github.com/hactl/hactl/phases/pki"
	"github.com/hactl/hactl/phases/publish"
	"github.com/hactl/hactl/phases/ready"
	"github.com/hactl/hactl/phases/rootless"
	"github.com/hactl/hactl/phases/symptom"
	"github.com/hactl/hactl/templates/patch"
	"github.com/hactl/hactl/templates/staticpod"
)

// tasks makes the tasks. They share the configuration and the ports.
func (j *joiner) tasks(ctx context.Context, notify func(phases.Event)) (*Joining, error) {
	c := j.settled
	if err := j.remember(ctx); err != nil {
		return nil, err
	}
	if err := j.noInit(ctx); err != nil {
		return nil, err
	}
	var err error
	if j.resumed, err = j.again(ctx); err != nil {
		return nil, err
	}
	var set *patch.Set
	if needs(j.in.Only, joinPatched) {
		if set, err = j.patches(ctx, c.PatchesDir, notify); err != nil {
			return nil, err
		}
	}
	j.openRuntime(c.Node.CRISocket)
	s := &Joining{
		found: j.found, noToken: j.noToken(ctx),
		kubelet: kubelet.Task{
			Host: j.host, Cluster: &c.Cluster, Node: &c.Node, Dir: config.KubeletDir, ConfDir: config.KubernetesDir, Patches: set,
			Join: j.kubeletJoin(),
		},
	}
	if !j.worker() {
		j.controlPlane(ctx, s, set)
	}
	if err := s.enter(ctx); err != nil {
		return nil, err
	}
	s.preflight = j.preflightTask(s)
	if len(j.in.Only) > 0 {
		return s, nil
	}
	s.journal = journal.Task{Files: j.host, Record: j.recordOfJoin()}
	if !j.worker() {
		s.lookout = j.lookout(ctx, j.settled)
	}
	return s, nil
}

// noToken is why the kubelet cannot bootstrap: what an earlier run left lets
// others in. It is nil once the kubelet is in.
func (j *joiner) noToken(ctx context.Context) error {
	if !j.remembered {
		return nil
	}
	if file := path.Join(config.KubernetesDir, "kubelet.conf"); j.any(ctx, []string{file}) {
		data, err := j.host.ReadFile(ctx, file)
		if err != nil {
			return err
		}
		if there, err := foundIn(file, data); err != nil || j.canLogIn(ctx, there) {
			return err
		}
	}
	return &phases.Fault{
		What:  "the kubelet is not in the cluster yet, and no valid token lets it in",
		Why:   errors.New("what an earlier run left on this node is for administrators only"),
		Fixes: []string{"run the same command with a new token; on a control-plane node: hactl token create --print-join-command"},
	}
}

// joinPatched are the phases that write what users can patch.
var joinPatched = []string{"control-plane-prepare", "kubelet-start", "etcd-join"}

func (j *joiner) worker() bool { return j.in.Config.ControlPlane == nil }

func (j *joiner) kubeletJoin() *kubelet.Join {
	k := &kubelet.Join{
		CA: j.found.CA, CACertPath: j.in.Config.CACertPath, Worker: j.worker(),
		API: j.boot, Limit: j.settled.Timeouts.TLSBootstrap, HealthLimit: j.settled.Timeouts.Kubelet, Healthy: j.healthy, Now: j.now, Imagined: j.files != nil,
	}
	if !k.Worker {
		k.Server = j.settled.Local.URL()
	}
	return k
}

// controlPlane makes the tasks that only a control plane has. The load
// balancer need not forward to this node: what concerns the whole cluster
// goes to the API server that was found, what concerns this node to its own.
func (j *joiner) controlPlane(ctx context.Context, s *Joining, set *patch.Set) {
	c := j.settled
	cl := &c.Cluster
	admin := []string{path.Join(config.KubernetesDir, "admin.conf")}
	others, own := j.dialAPI(j.host, j.found.Endpoint, admin), j.dialAPI(j.host, c.Local.URL(), admin)
	if j.files != nil {
		j.objects = kube.NewOverlay(imaginedNode{others, c.Node.Name})
		others, own = j.objects, j.objects
	}
	s.download = publish.Task{API: j.boot, Host: j.host, Cluster: cl, Key: c.CertificateKey, CA: j.found.CA, Limit: c.Timeouts.KubernetesAPI, Now: j.now}
	s.controlPlane = controlplane.Task{Files: j.host, Cluster: cl, Local: c.Local, Timeouts: c.Timeouts, Environ: j.in.Environ, Dir: config.ManifestsDir, Patches: set}
	s.member = member.JoinTask{
		Task: member.Task{
			Files: j.host, Cluster: cl, Local: c.Local, NodeName: c.Node.Name, Timeouts: c.Timeouts, Environ: j.in.Environ,
			Dir: config.ManifestsDir, Patches: set,
		},
		API: others, Etcd: j.etcd, Now: j.now, Restart: j.restartEtcd,
	}
	if j.files == nil {
		s.member.Forget = j.forgetPods
		j.etcdWatch = symptom.NewWatch(j.runtime, member.Name)
		s.member.Crashed = j.etcdWatch.Crashed
	}
	s.member.Accounts = rootless.For(j.host, cl)
	s.controlPlane.Accounts = s.member.Accounts
	s.controlPlane.Replace = j.replacer(own, c.Node.Name, len(j.in.Only) > 0)
	s.ready = ready.Task{Host: j.host, API: own, Runtime: j.runtime, Cluster: cl, Timeouts: c.Timeouts, Dir: config.ManifestsDir, Healthy: j.healthy}
	s.node = node.Task{API: own, Node: &c.Node, Limit: c.Timeouts.Kubelet}
	if j.files == nil {
		s.node.Hurry = s.kubelet.HurryRegistration
	}
	s.spread = addons.Spread{API: others, NodeName: c.Node.Name, Limit: spreadLimit}
	s.balancing = j.balancing(c, func() kube.API { return others })
	j.certificates(ctx, s)
}

// spreadLimit is how long a node with a pod network takes to be Ready, and
// some more.
const spreadLimit = 20 * time.Second

// restartEtcd ends this node's etcd; the kubelet starts it anew.
func (j *joiner) restartEtcd(ctx context.Context) error {
	list, err := j.runtime.Containers(ctx, cri.Filter{Namespace: metav1.NamespaceSystem, Name: member.Name})
	if err != nil {
		return err
	}
	for _, c := range list {
		if c.State == cri.Running {
			if j.etcdWatch != nil {
				j.etcdWatch.Forgive()
			}
			return j.runtime.StopContainer(ctx, c.ID)
		}
	}
	return nil
}

// imaginedNode is a cluster in which the kubelet of a dry run has registered
// its node.
type imaginedNode struct {
	kube.API
	name string
}

func (i imaginedNode) Get(ctx context.Context, obj kube.Object) error {
	err := i.API.Get(ctx, obj)
	n, isNode := obj.(*corev1.Node)
	if isNode && n.Name == i.name && apierrors.IsNotFound(err) {
		*n = corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: i.name, UID: "imagined", ResourceVersion: "1"}}
		return nil
	}
	return err
}

// etcd dials the cluster's etcd; in a dry run, changes stay in memory.
func (j *joiner) etcd(ctx context.Context, endpoints []string) (etcd.Cluster, func() error, error) {
	stay := func() error { return nil }
	if j.members != nil {
		return j.members, stay, nil
	}
	c := j.settled
	cluster, hangUp, err := j.dialEtcd(ctx, j.host, c.Cluster.CertificatesDir, endpoints)
	if err != nil || j.files == nil {
		return cluster, hangUp, err
	}
	j.closers = append(j.closers, func() { _ = hangUp() })
	j.members = j.imagineEtcd(cluster, imaginedMember{
		name: c.Node.Name, address: c.Local.Address.String(),
		starts:   []string{staticpod.Path(config.ManifestsDir, member.Name)},
		learners: learnersAtOnce(&c.Cluster),
	})
	return j.members, stay, nil
}

// recordOfJoin is what a whole run notes of itself.
func (j *joiner) recordOfJoin() journal.Record {
	r := journal.Record{Use: journal.UseJoin, Node: j.settled.Node.Name, Patches: j.patchFiles}
	if l := j.settled.Cluster.Etcd.Local; l != nil && !j.worker() {
		r.EtcdDataDir = l.DataDir
	}
	return r
}

// certificates makes the tasks of what this node signs for itself.
func (j *joiner) certificates(ctx context.Context, s *Joining) {
	c := j.settled
	algorithm, err := certs.ParseAlgorithm(c.Cluster.EncryptionAlgorithm)
	if err != nil {
		algorithm = certs.RSA2048 // what a cluster says that knows more than this hactl
	}
	s.pki, s.kubeconfig = j.signs(c, algorithm)
	pool := j.keysFor(ctx, algorithm, slices.Concat(pki.OwnKeyFiles(&s.pki), kubeconfig.JoinFiles(&s.kubeconfig)))
	s.pki.Keys, s.kubeconfig.Keys = pool, pool
}
