package external

import (
	"strconv"
	"strings"
)

// silent is for an endpoint that does not answer. What TLS says tells which
// file is the wrong one.
func (t *Task) silent(a answer) error {
	c := t.Config
	causes := []struct {
		says []string // any of them
		fix  string
	}{
		{[]string{"certificate is valid for", "not valid for any names", "doesn't contain any IP SANs"},
			"name the endpoint as its certificate does, or give etcd's certificate that name"},
		{[]string{"has expired or is not yet valid"}, "renew etcd's certificate, and see that the clocks of both machines are right"},
		{[]string{"x509:"}, "use the CA of that etcd cluster as " + c.CAFile},
		{[]string{"remote error: tls:"}, "use a client certificate that the CA of that etcd cluster signed as " + c.CertFile},
		{[]string{"handshake failed: EOF", "does not look like a TLS handshake"}, "let etcd listen with TLS there: --listen-client-urls=" + a.endpoint},
	}
	why := because{a.err}
	for _, cause := range causes {
		for _, says := range cause.says {
			if strings.Contains(why.Error(), says) {
				return fault("etcd does not answer at "+a.endpoint, why, cause.fix)
			}
		}
	}
	return fault("etcd does not answer at "+a.endpoint, why, "see whether etcd runs there, and open its port to this machine")
}

// because is an error without what gRPC says around it.
type because struct{ err error }

// Error is the innermost text.
func (b because) Error() string {
	text := b.err.Error()
	if _, quoted, found := strings.Cut(text, "desc = "); found {
		if plain, err := strconv.Unquote(quoted); err == nil {
			text = plain
		}
	}
	return strings.TrimPrefix(text, "transport: ")
}

// Unwrap returns the whole error.
func (b because) Unwrap() error { return b.err }
