package app

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/hactl/hactl/config"
	"github.com/hactl/hactl/config/kubeadm"
	"github.com/hactl/hactl/phases/journal"
)

// clusterDifferences lists what a given ClusterConfiguration asks for and the
// cluster does not have, one line each. What the given one leaves at its
// default asks for nothing.
func clusterDifferences(given, cluster *config.Cluster) ([]string, error) {
	plain := config.NewInit()
	plain.Default()
	var flat [3]map[string]string
	for i, c := range []*config.Cluster{given, cluster, &plain.Cluster} {
		one := *c
		one.LoadBalancer = nil // sameBalancer compares it
		docs, err := kubeadm.EncodeInit(&config.Init{Cluster: one})
		if err != nil {
			return nil, err
		}
		if flat[i], err = journal.Flatten(docs, unrecorded...); err != nil {
			return nil, err
		}
	}
	asked, has, usual := flat[0], flat[1], flat[2]
	var list []string
	for _, path := range slices.Sorted(maps.Keys(asked)) {
		_, setting, _ := strings.Cut(path, ".")
		switch {
		case strings.HasPrefix(path, "initConfiguration."), asked[path] == usual[path], asked[path] == has[path]:
		case setting == "kubernetesVersion" && given.VersionIsLabel():
		case has[path] == "":
			list = append(list, fmt.Sprintf("%s: the file says %s, the cluster does not set it", setting, asked[path]))
		default:
			list = append(list, fmt.Sprintf("%s: the file says %s, the cluster has %s", setting, asked[path], has[path]))
		}
	}
	return list, nil
}
