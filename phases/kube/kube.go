// Package kube is the port to the Kubernetes API. Phases read and change
// the cluster through it and through nothing else, so a dry run is the same
// phases over an Overlay.
package kube

import (
	"context"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

// Object is a typed Kubernetes object. The kinds that hactl uses are in this
// package's table; another kind gives an error.
type Object interface {
	metav1.Object
	runtime.Object
}

// API is the API server. Errors are those of
// k8s.io/apimachinery/pkg/api/errors, so callers test them with
// apierrors.IsNotFound and so on. All methods may be called at the same
// time; none retries.
type API interface {
	// Get fills obj, whose name and namespace are set.
	Get(ctx context.Context, obj Object) error
	// List fills list (*corev1.NodeList, …); an empty namespace means all,
	// an empty selector everything.
	List(ctx context.Context, list runtime.Object, namespace, selector string) error
	// Put makes the object be as given: it creates it, or changes the
	// fields that are set (server-side apply, KEP-555, with field manager
	// "hactl" and force).
	Put(ctx context.Context, obj Object) error
	// Update replaces the object if its resourceVersion is still the one
	// given; otherwise apierrors.IsConflict.
	Update(ctx context.Context, obj Object) error
	// Delete removes the object; apierrors.IsNotFound if it is not there.
	Delete(ctx context.Context, obj Object) error
	// Watch sends after each change to objects of obj's kind, in its
	// namespace and, if its name is set, of its name, until ctx ends. A
	// slow receiver misses changes, never the last one. A connection that
	// breaks is made again.
	Watch(ctx context.Context, obj Object) (<-chan struct{}, error)
	// Raw gets a path such as /readyz?verbose and returns the body, also
	// with an error status.
	Raw(ctx context.Context, path string) ([]byte, error)
}
