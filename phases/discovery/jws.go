package discovery

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"strings"

	"k8s.io/cluster-bootstrap/token/util"

	"github.com/hactl/hactl/config"
)

// signed says whether signature is that of the content by the holder of the
// token: a JWS with detached content (RFC 7515, appendix F), made with
// HMAC-SHA-256 and the secret part of the token as key, as the
// controller-manager's bootstrapsigner writes it (k8s.io/cluster-bootstrap,
// token/jws).
func signed(signature, content string, token config.Secret) bool {
	id, secret, ok := split(token)
	if !ok {
		return false
	}
	header, sum, ok := strings.Cut(signature, "..")
	if !ok {
		return false
	}
	decoded, err := base64.RawURLEncoding.DecodeString(header)
	if err != nil {
		return false
	}
	var h struct{ Alg, Kid string }
	if err := json.Unmarshal(decoded, &h); err != nil || h.Alg != "HS256" || h.Kid != id {
		return false
	}
	got, err := base64.RawURLEncoding.DecodeString(sum)
	if err != nil {
		return false
	}
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(header + "." + base64.RawURLEncoding.EncodeToString([]byte(content))))
	return hmac.Equal(got, mac.Sum(nil))
}

func split(token config.Secret) (id, secret string, ok bool) {
	parts := util.BootstrapTokenRegexp.FindStringSubmatch(token.Reveal())
	if len(parts) != 3 {
		return "", "", false
	}
	return parts[1], parts[2], true
}
