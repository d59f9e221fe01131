package kube

import (
	"context"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

// Matches says whether the object is in the cluster with everything that is
// set in want, so that Put would change nothing. Zero fields of want that
// JSON leaves out are not set. Fields that others added, such as defaults of
// the server, data keys or labels, do not matter; fields that an earlier Put
// set and want no longer has do. It is false for an object that is not there.
func Matches(ctx context.Context, api API, want Object) (bool, error) {
	k, err := kinds(table()).named(want)
	if err != nil {
		return false, err
	}
	live := k.fresh()
	live.SetName(want.GetName())
	live.SetNamespace(want.GetNamespace())
	if err := api.Get(ctx, live); apierrors.IsNotFound(err) {
		return false, nil
	} else if err != nil {
		return false, err
	}
	liveTree, err := encode(k, live)
	if err != nil {
		return false, err
	}
	wantTree, err := desired(k, want)
	if err != nil {
		return false, err
	}
	return matches(liveTree, wantTree), nil
}
