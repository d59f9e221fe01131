// Package kubeadm reads and writes the files of kubeadm: the kinds of
// kubeadm.k8s.io in versions v1beta2, v1beta3, v1beta4 and v1, and the
// component configurations and hactl's own document beside them. It refuses what it does not know,
// with the place in the file, and gives package config's model; no wire type
// leaves it. It reads no file and no network, and writes only v1beta4.
package kubeadm

import (
	"reflect"
	"slices"

	kubeproxy "k8s.io/kube-proxy/config/v1alpha1"
	kubelet "k8s.io/kubelet/config/v1beta1"
)

const (
	group          = "kubeadm.k8s.io"
	kubeletGroup   = "kubelet.config.k8s.io"
	kubeProxyGroup = "kubeproxy.config.k8s.io"
	ownGroup       = "hactl.io" // kubeadm ignores documents of groups that it does not know

	// Version is the version that is written.
	Version = "v1beta4"

	// ownVersion is that of hactl's own kind.
	ownVersion = "v1alpha1"

	separator = "---\n"
)

// The kinds that are read.
const (
	KindInit      = "InitConfiguration"
	KindCluster   = "ClusterConfiguration"
	KindJoin      = "JoinConfiguration"
	KindReset     = "ResetConfiguration"
	KindUpgrade   = "UpgradeConfiguration"
	KindKubelet   = "KubeletConfiguration"
	KindKubeProxy = "KubeProxyConfiguration"
	KindOwn       = "HighAvailability"

	// kindStatus stood in the cluster until v1beta2; nobody configures it.
	kindStatus = "ClusterStatus"
)

// kind is one kind of document, with the versions of it, newest first.
type kind struct {
	group, name string
	versions    []string
	typ         reflect.Type
}

var (
	allVersions = []string{"v1beta4", "v1beta3", "v1beta2", "v1"}
	newVersions = []string{"v1beta4", "v1"}

	kinds = []kind{
		{group, KindInit, allVersions, reflect.TypeFor[initConfiguration]()},
		{group, KindCluster, allVersions, reflect.TypeFor[clusterConfiguration]()},
		{group, KindJoin, allVersions, reflect.TypeFor[joinConfiguration]()},
		{group, KindReset, newVersions, reflect.TypeFor[resetConfiguration]()},
		{group, KindUpgrade, newVersions, reflect.TypeFor[upgradeConfiguration]()},
		{kubeletGroup, KindKubelet, []string{"v1beta1"}, reflect.TypeFor[kubelet.KubeletConfiguration]()},
		{kubeProxyGroup, KindKubeProxy, []string{"v1alpha1"}, reflect.TypeFor[kubeproxy.KubeProxyConfiguration]()},
		{ownGroup, KindOwn, []string{ownVersion}, reflect.TypeFor[highAvailability]()},
	}
)

func kindNamed(name string) (kind, bool) {
	for _, k := range kinds {
		if k.name == name {
			return k, true
		}
	}
	return kind{}, false
}

// groups are those that are read.
var groups = []string{group, kubeletGroup, kubeProxyGroup, ownGroup}

func ours(apiGroup string) bool { return slices.Contains(groups, apiGroup) }
