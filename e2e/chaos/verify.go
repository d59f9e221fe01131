package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"golang.org/x/sync/errgroup"
)

// registry is where etcd holds the objects of the load.
const registry = "/registry/configmaps/" + space + "/"

// catchUp is how long a member that is healthy may take to have everything.
const catchUp = 20 * time.Second

// view is what one member says of the cluster and of itself.
type view struct {
	cluster, self, leader uint64
	members               []string // name and ID; a learner has a star, one that never started a question mark
	revision              int64
}

// observe asks every member by itself. It is an error unless all of them
// answer, say the same, and are exactly the control planes, all with a vote.
func (c *cluster) observe(ctx context.Context) ([]view, error) {
	views := make([]view, len(planes))
	asking, ctx := errgroup.WithContext(ctx)
	for i, name := range planes {
		asking.Go(func() (err error) {
			views[i], err = c.view(ctx, name)
			return about("etcd on "+name, err)
		})
	}
	if err := asking.Wait(); err != nil {
		return nil, err
	}
	return views, agree(views, planes)
}

func (c *cluster) view(ctx context.Context, name string) (v view, err error) {
	ctx, cancel := context.WithTimeout(ctx, 2*answerLimit)
	defer cancel()
	etcd, err := c.client.member(c.node(name))
	if err != nil {
		return v, err
	}
	defer etcd.Close()
	list, err := etcd.MemberList(ctx)
	if err != nil {
		return v, err
	}
	status, err := etcd.Status(ctx, etcd.Endpoints()[0])
	if err != nil {
		return v, err
	}
	if len(status.Errors) > 0 {
		return v, errors.New(strings.Join(status.Errors, "; "))
	}
	v = view{cluster: list.Header.ClusterId, self: status.Header.MemberId, leader: status.Leader, revision: status.Header.Revision}
	for _, m := range list.Members {
		v.members = append(v.members, fmt.Sprintf("%s/%x", described(m.Name, m.IsLearner), m.ID))
	}
	slices.Sort(v.members)
	return v, nil
}

func described(name string, learner bool) string {
	if name == "" {
		name = "?"
	}
	if learner {
		name += "*"
	}
	return name
}

// agree is an error unless the members are exactly those, in one cluster that
// all of them see alike.
func agree(views []view, want []string) error {
	var names []string
	for _, m := range views[0].members {
		name, _, _ := strings.Cut(m, "/")
		names = append(names, name)
	}
	if err := same("members of etcd", names, want); err != nil {
		return err
	}
	for i, v := range views {
		switch {
		case v.cluster != views[0].cluster:
			return fmt.Errorf("two clusters: the member on %s is in %x, that on %s in %x", want[0], views[0].cluster, want[i], v.cluster)
		case !slices.Equal(v.members, views[0].members):
			return fmt.Errorf("%s and %s list different members of etcd: %v and %v", want[0], want[i], views[0].members, v.members)
		case v.leader == 0 || v.leader != views[0].leader:
			return fmt.Errorf("%s and %s follow different leaders of etcd", want[0], want[i])
		}
	}
	return nil
}

// verify looks for what must never be, whatever has happened.
func (c *cluster) verify(ctx context.Context) error {
	views, err := c.observe(ctx)
	if err != nil {
		return err
	}
	if c.id == 0 {
		c.id = views[0].cluster
	}
	if c.id != views[0].cluster {
		return fmt.Errorf("etcd is another cluster: %x, it was %x", views[0].cluster, c.id)
	}
	if err := c.sameAPI(ctx); err != nil {
		return err
	}
	written := c.load.all()
	for _, name := range planes {
		err := until(ctx, catchUp, "the member on "+name+" has every acknowledged write", func(ctx context.Context) error {
			return c.has(ctx, name, written)
		})
		if err != nil {
			return err
		}
	}
	return until(ctx, catchUp, "all members have the same data", c.sameHash)
}

// sameAPI wants every API server to know the namespace that there was at
// first.
func (c *cluster) sameAPI(ctx context.Context) error {
	type namespace struct{ Metadata struct{ UID string } }
	for _, name := range planes {
		n, err := read[namespace](ctx, c.client, c.node(name).Address().String()+":6443", "/api/v1/namespaces/kube-system")
		if err != nil {
			return about("kube-apiserver on "+name, err)
		}
		if c.space == "" {
			c.space = n.Metadata.UID
		}
		if n.Metadata.UID != c.space {
			return fmt.Errorf("the API on %s is another cluster's: kube-system has UID %s, it had %s", name, n.Metadata.UID, c.space)
		}
	}
	return nil
}

// has asks one member, which answers from its own data alone, for all
// acknowledged writes.
func (c *cluster) has(ctx context.Context, name string, written []int) error {
	etcd, err := c.client.member(c.node(name))
	if err != nil {
		return err
	}
	defer etcd.Close()
	ctx, cancel := context.WithTimeout(ctx, 5*answerLimit)
	defer cancel()
	answer, err := etcd.Get(ctx, registry, clientv3.WithPrefix(), clientv3.WithKeysOnly(), clientv3.WithSerializable())
	if err != nil {
		return err
	}
	there := make(map[string]bool, len(answer.Kvs))
	for _, kv := range answer.Kvs {
		there[strings.TrimPrefix(string(kv.Key), registry)] = true
	}
	return lost(written, there)
}

// lost names the acknowledged writes that are not there.
func lost(written []int, there map[string]bool) error {
	var gone []string
	for _, n := range written {
		if name := objectName(n); !there[name] {
			gone = append(gone, name)
		}
	}
	if len(gone) > 0 {
		return fmt.Errorf("%d of %d acknowledged writes are not there: %s", len(gone), len(written), strings.Join(gone[:min(len(gone), 10)], " "))
	}
	return nil
}

// sameHash compares what all members hold at one revision.
func (c *cluster) sameHash(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 5*answerLimit)
	defer cancel()
	type hash struct {
		sum       uint32
		compacted int64
	}
	var first hash
	var revision int64
	for i, name := range planes {
		etcd, err := c.client.member(c.node(name))
		if err != nil {
			return err
		}
		defer etcd.Close()
		answer, err := etcd.HashKV(ctx, etcd.Endpoints()[0], revision)
		if err != nil {
			return about("etcd on "+name, err)
		}
		if i == 0 {
			// The others are asked for the same revision; one that is behind
			// refuses to answer.
			revision = answer.HashRevision
			first = hash{answer.Hash, answer.CompactRevision}
			continue
		}
		if h := (hash{answer.Hash, answer.CompactRevision}); h != first {
			return fmt.Errorf("%s and %s differ at revision %d: %+v and %+v", planes[0], name, revision, first, h)
		}
	}
	return nil
}
