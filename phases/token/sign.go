package token

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	bootstrap "k8s.io/cluster-bootstrap/token/api"

	"github.com/hactl/hactl/config"
	"github.com/hactl/hactl/phases/kube"
)

// sign puts the signatures of the tokens beside what a cluster-info says. The
// controller-manager would do the same, to the byte, once it leads and has
// seen the token: until then no node could join.
func sign(info *corev1.ConfigMap, tokens []config.Token) {
	content := info.Data[infoKey]
	for _, t := range tokens {
		if id, secret, ok := split(t.Value); ok && slices.Contains(t.Usages, "signing") {
			info.Data[bootstrap.JWSSignatureKeyPrefix+id] = signature(content, id, secret)
		}
	}
}

// signature is a JWS with detached content (RFC 7515, appendix F) under
// HMAC-SHA-256, as the bootstrapsigner of Kubernetes v1.37 writes it
// (k8s.io/cluster-bootstrap, token/jws).
func signature(content, id, secret string) string {
	encode := base64.RawURLEncoding.EncodeToString
	header := encode([]byte(`{"alg":"HS256","kid":"` + id + `"}`))
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(header + "." + encode([]byte(content))))
	return header + ".." + encode(mac.Sum(nil))
}

// signLive signs the cluster-info of a running cluster with new tokens.
// Without a cluster-info there is nothing to sign.
func signLive(ctx context.Context, api kube.API, limit time.Duration, tokens []config.Token) error {
	return kube.Insist(ctx, api, limit, "ConfigMap kube-public/"+infoConfigMap, func(ctx context.Context) error {
		cm := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: metav1.NamespacePublic, Name: infoConfigMap}}
		err := api.Get(ctx, cm)
		if apierrors.IsNotFound(err) || err == nil && cm.Data[infoKey] == "" {
			return nil
		}
		if err != nil {
			return err
		}
		before := len(cm.Data)
		sign(cm, tokens)
		if len(cm.Data) == before {
			return nil
		}
		return api.Update(ctx, cm)
	})
}
