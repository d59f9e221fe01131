package token

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	bootstrap "k8s.io/cluster-bootstrap/token/api"
	"k8s.io/cluster-bootstrap/token/util"

	"github.com/hactl/hactl/config"
	"github.com/hactl/hactl/phases/kube"
)

// Generate returns a new random token value.
func Generate() (config.Secret, error) {
	value, err := util.GenerateBootstrapToken()
	if err != nil {
		return "", fmt.Errorf("make a token: %w", err)
	}
	return config.Secret(value), nil
}

// ID returns the part of a token value that is no secret, "" if the value
// does not have the shape of one.
func ID(value config.Secret) string {
	id, _, ok := split(value)
	if !ok {
		return ""
	}
	return id
}

// SecretName returns the name of the Secret in kube-system that keeps the
// token with this ID.
func SecretName(id string) string { return util.BootstrapTokenSecretName(id) }

// Secret returns the Secret that keeps the token. Its TTL, if Expires is not
// given, counts from now. The value must have the shape of a token (see
// config.ValidateToken).
func Secret(t config.Token, now time.Time) *corev1.Secret {
	id, secret, _ := split(t.Value)
	data := map[string][]byte{
		bootstrap.BootstrapTokenIDKey:     []byte(id),
		bootstrap.BootstrapTokenSecretKey: []byte(secret),
	}
	set := func(key, value string) {
		if value != "" {
			data[key] = []byte(value)
		}
	}
	set(bootstrap.BootstrapTokenDescriptionKey, t.Description)
	set(bootstrap.BootstrapTokenExtraGroupsKey, strings.Join(t.Groups, ","))
	expires := t.Expires
	if expires.IsZero() && t.TTL > 0 {
		expires = now.Add(t.TTL)
	}
	if !expires.IsZero() {
		set(bootstrap.BootstrapTokenExpirationKey, expires.UTC().Format(time.RFC3339))
	}
	for _, usage := range t.Usages {
		set(bootstrap.BootstrapTokenUsagePrefix+usage, "true")
	}
	return &corev1.Secret{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "Secret"},
		ObjectMeta: metav1.ObjectMeta{Namespace: metav1.NamespaceSystem, Name: SecretName(id)},
		Type:       bootstrap.SecretTypeBootstrapToken,
		Data:       data,
	}
}

// MalformedError says that a Secret has the type of a bootstrap token and is
// none.
type MalformedError struct {
	Name   string // of the Secret
	Reason string
}

func (e *MalformedError) Error() string {
	return fmt.Sprintf("Secret kube-system/%s is no bootstrap token: %s", e.Name, e.Reason)
}

// Parse reads the token from its Secret. TTL stays zero; Expires is zero for
// a token that never ends. Usages are sorted. It returns a *MalformedError
// for a Secret that is no token.
func Parse(s *corev1.Secret) (config.Token, error) {
	bad := func(format string, args ...any) (config.Token, error) {
		return config.Token{}, &MalformedError{Name: s.Name, Reason: fmt.Sprintf(format, args...)}
	}
	if s.Type != bootstrap.SecretTypeBootstrapToken {
		return bad("its type is %q", s.Type)
	}
	id := string(s.Data[bootstrap.BootstrapTokenIDKey])
	if s.Name != SecretName(id) {
		return bad("its name does not belong to its %s", bootstrap.BootstrapTokenIDKey)
	}
	t := config.Token{
		Value:       config.Secret(util.TokenFromIDAndSecret(id, string(s.Data[bootstrap.BootstrapTokenSecretKey]))),
		Description: string(s.Data[bootstrap.BootstrapTokenDescriptionKey]),
	}
	if _, _, ok := split(t.Value); !ok {
		return bad("its %s and %s do not have the shape of a token", bootstrap.BootstrapTokenIDKey, bootstrap.BootstrapTokenSecretKey)
	}
	if end := string(s.Data[bootstrap.BootstrapTokenExpirationKey]); end != "" {
		var err error
		if t.Expires, err = time.Parse(time.RFC3339, end); err != nil {
			return bad("its %s %q is no time (RFC 3339)", bootstrap.BootstrapTokenExpirationKey, end)
		}
	}
	for _, key := range slices.Sorted(maps.Keys(s.Data)) {
		if usage, ok := strings.CutPrefix(key, bootstrap.BootstrapTokenUsagePrefix); ok && string(s.Data[key]) == "true" {
			t.Usages = append(t.Usages, usage)
		}
	}
	if groups := string(s.Data[bootstrap.BootstrapTokenExtraGroupsKey]); groups != "" {
		t.Groups = strings.Split(groups, ",")
	}
	return t, nil
}

// List returns the tokens of the cluster, sorted by ID; also those that have
// expired and are not cleaned up yet. Secrets that only look like tokens are
// left out, and told in malformed.
func List(ctx context.Context, api kube.API) (tokens []config.Token, malformed []error, err error) {
	secrets := &corev1.SecretList{}
	if err := api.List(ctx, secrets, metav1.NamespaceSystem, ""); err != nil {
		return nil, nil, err
	}
	for i := range secrets.Items {
		s := &secrets.Items[i]
		if s.Type != bootstrap.SecretTypeBootstrapToken {
			continue
		}
		t, err := Parse(s)
		if err != nil {
			malformed = append(malformed, err)
			continue
		}
		tokens = append(tokens, t)
	}
	slices.SortFunc(tokens, func(a, b config.Token) int { return strings.Compare(ID(a.Value), ID(b.Value)) })
	return tokens, malformed, nil
}

func split(value config.Secret) (id, secret string, ok bool) {
	parts := util.BootstrapTokenRegexp.FindStringSubmatch(value.Reveal())
	if len(parts) != 3 {
		return "", "", false
	}
	return parts[1], parts[2], true
}
