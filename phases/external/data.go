package external

import (
	"bytes"
	"cmp"
	"context"
	"encoding/pem"
	"errors"
	"fmt"
	"path"
	"strings"

	"github.com/hactl/hactl/etcd"
)

// owner is whose data there is below the prefix.
type owner int

const (
	nobody  owner = iota // there is none
	ours                 // of a cluster with this node's CA
	another              // of a cluster with another CA
	unknown              // it does not tell
)

// witnesses are objects that hold the cluster's CA: the API server writes the
// first as soon as it runs (kube-apiserver v1.37, clusterauthentication), the
// controller manager the other.
var witnesses = []string{
	"configmaps/kube-system/extension-apiserver-authentication",
	"configmaps/kube-system/kube-root-ca.crt",
}

// prefix is how all keys of the cluster begin, with a slash at the end.
func (t *Task) prefix() string { return path.Join("/", cmp.Or(t.Prefix, DefaultPrefix)) + "/" }

// data refuses to use what belongs to another cluster. Nobody tells etcd whose
// its keys are, so the CA does: it is what makes a cluster the one it is.
func (t *Task) data(ctx context.Context) ([]string, error) {
	if _, err := t.probe(ctx); err != nil {
		return nil, nil // another check says it
	}
	store, hangUp, err := t.Dial(ctx)
	if err != nil {
		return nil, err
	}
	keys, whose, err := t.look(ctx, store)
	if err = errors.Join(err, hangUp()); err != nil {
		if errors.Is(err, etcd.ErrUnreachable) {
			return nil, nil // that, too
		}
		return nil, fault("it cannot be seen whose data the etcd cluster holds", err, "see how it is: etcdctl endpoint status --cluster")
	}
	if t.Joining {
		return nil, t.mustBeOurs(whose)
	}
	return t.mayInit(keys, whose)
}

// look counts the keys, and says whose they are.
func (t *Task) look(ctx context.Context, store etcd.Store) (int64, owner, error) {
	keys, err := store.Count(ctx, t.prefix())
	if err != nil || keys == 0 {
		return 0, nobody, err
	}
	ca, err := t.CA(ctx)
	if err != nil {
		return keys, unknown, err
	}
	whose := unknown
	for _, w := range witnesses {
		value, found, err := store.Read(ctx, t.prefix()+w)
		if err != nil {
			return keys, unknown, err
		}
		// What is encrypted at rest shows nothing.
		if !found || !bytes.Contains(value, []byte("BEGIN CERTIFICATE")) {
			continue
		}
		if holds(value, ca) {
			return keys, ours, nil
		}
		whose = another
	}
	return keys, whose, nil
}

// holds says whether a stored object has all certificates of ca in it. Objects
// are stored as protocol buffers or as JSON, where line breaks are others.
func holds(value, ca []byte) bool {
	found := false
	for block, rest := pem.Decode(ca); block != nil; block, rest = pem.Decode(rest) {
		text := string(pem.EncodeToMemory(&pem.Block{Type: block.Type, Bytes: block.Bytes}))
		for line := range strings.Lines(text) {
			if line = strings.TrimSpace(line); !strings.HasPrefix(line, "-----") && !bytes.Contains(value, []byte(line)) {
				return false
			}
		}
		found = true
	}
	return found
}

// mayInit lets an init go on that has begun, and no other begin beside data.
func (t *Task) mayInit(keys int64, whose owner) ([]string, error) {
	if whose == nobody {
		return nil, nil
	}
	if whose != another && t.Begun != nil {
		if begun, err := t.Begun(); begun || err != nil {
			return nil, err
		}
	}
	if t.AllowData {
		return []string{fmt.Sprintf("--allow-existing-etcd-data: this control plane goes on with %d keys below %s: %s", keys, t.prefix(), whose)}, nil
	}
	what := fmt.Sprintf("the etcd cluster holds data already: %d keys below %s", keys, t.prefix())
	if whose == ours {
		return nil, fault(what, errors.New(whose.String()),
			"to make this machine a further control plane of that cluster, run on one of its control planes: hactl token create --control-plane",
			"if all of its control planes are lost, and this one is to go on with the data: --allow-existing-etcd-data")
	}
	return nil, fault(what, errors.New(whose.String()),
		"name another etcd cluster, or share this one by another prefix: apiServer.extraArgs etcd-prefix",
		"if nobody needs the data, delete it, from an etcd host: etcdctl del --prefix "+t.prefix(),
		"if this control plane is to go on with the data, and has the keys of its cluster: --allow-existing-etcd-data")
}

// mustBeOurs refuses a join to an etcd that has another cluster's data, or
// none. Data that does not tell is taken for the cluster's own: the cluster
// itself named this etcd.
func (t *Task) mustBeOurs(whose owner) error {
	switch whose {
	case nobody:
		return fault("the etcd cluster has no data below "+t.prefix(), errors.New("the API servers of the cluster must store it elsewhere"),
			"see etcd.external in the cluster's configuration: hactl config view", "and the flags of a running API server: --etcd-servers, --etcd-prefix")
	case another:
		return fault("the etcd cluster holds the data of another Kubernetes cluster", errors.New(whose.String()),
			"see etcd.external in the cluster's configuration: hactl config view")
	}
	return nil
}

// String says it for people.
func (o owner) String() string {
	switch o {
	case ours:
		return "it is of a cluster with this node's CA, so that cluster exists"
	case another:
		return "it is of a cluster with another CA"
	case unknown:
		return "it does not tell of which cluster it is"
	}
	return "there is none"
}
