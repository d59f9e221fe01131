package app

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"

	"github.com/hactl/hactl/phases"
	"github.com/hactl/hactl/phases/journal"
)

// noInit refuses a join on a node that init has begun to make: of its own
// cluster it is a member already, and another one must not take its place
// unasked. A phase alone may mend a member.
func (j *joiner) noInit(ctx context.Context) error {
	if j.record == nil || j.record.Use != journal.UseInit || !j.begun(ctx) {
		return nil
	}
	file := path.Join(j.record.Config["clusterConfiguration.certificatesDir"], "ca.crt")
	ca, err := j.host.ReadFile(ctx, file)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if !sameCA(ca, j.found.CA) {
		return &phases.Fault{
			What: "this machine is a node of another cluster, which hactl init made",
			Why:  fmt.Errorf("%s says so, and %s is not the CA of the cluster at %s", journal.Path, file, j.found.Endpoint),
			Fixes: []string{
				"if that cluster is no longer wanted, which deletes its data on this machine, etcd's too: hactl reset, then run the same command again",
			},
			Exit: phases.CodeUnsafe,
		}
	}
	if len(j.in.Only) > 0 {
		return nil
	}
	return &phases.Fault{
		What: "this machine is a member of the cluster already: hactl init made it its first control plane",
		Why:  fmt.Errorf("%s says so, and %s is the cluster's CA", journal.Path, file),
		Fixes: []string{
			"see it: hactl status",
			"if that init was interrupted, run it again: finished phases are kept",
		},
		Exit: phases.CodeUnsafe,
	}
}
