package token

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/cluster-bootstrap/token/util"

	"github.com/hactl/hactl/config"
	"github.com/hactl/hactl/phases"
	"github.com/hactl/hactl/phases/kube"
)

// Creation is what CreatePhase works from.
type Creation struct {
	API kube.API
	Now func() time.Time
	// Tokens are valid (see config.ValidateToken). The phase sets Value where
	// it is empty, and Expires.
	Tokens []config.Token
}

// CreatePhase adds tokens to the cluster, each one new: it refuses to change
// a token that is there.
func CreatePhase() phases.Phase[Creation] {
	return phases.Phase[Creation]{
		Name: "token", Title: "make the bootstrap token",
		Writes: []string{"Secret kube-system/bootstrap-token-…"},
		Apply:  create,
	}
}

func create(ctx context.Context, c *Creation) error {
	for i := range c.Tokens {
		if err := (wanted{&c.Tokens[i]}).complete(c.Now()); err != nil {
			return err
		}
		id := ID(c.Tokens[i].Value)
		err := c.API.Get(ctx, tokenSecret(id))
		if err == nil {
			return taken(id)
		}
		if !apierrors.IsNotFound(err) {
			return err
		}
	}
	for _, t := range c.Tokens {
		if err := c.API.Put(ctx, Secret(t, c.Now())); err != nil {
			return err
		}
	}
	return signLive(ctx, c.API, signLimit, c.Tokens)
}

// signLimit is how long the API server may take to take the signatures; the
// controller-manager adds them, too.
const signLimit = 10 * time.Second

func taken(id string) error {
	return &phases.Fault{
		What: fmt.Sprintf("the cluster has a bootstrap token with the ID %q already", id),
		Fixes: []string{
			"leave the token out, and hactl makes another one",
			"or delete the one that is there: hactl token delete " + id,
		},
	}
}

// Delete removes the token with this ID. It returns an error with
// apierrors.IsNotFound if there is none.
func Delete(ctx context.Context, api kube.API, id string) error {
	return api.Delete(ctx, tokenSecret(id))
}

// ParseID returns the ID in what a user typed: an ID or a whole token. It is
// "" for anything else.
func ParseID(typed config.Secret) string {
	if util.IsValidBootstrapTokenID(typed.Reveal()) {
		return typed.Reveal()
	}
	return ID(typed)
}

func tokenSecret(id string) *corev1.Secret {
	return &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: metav1.NamespaceSystem, Name: SecretName(id)}}
}
