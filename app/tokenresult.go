package app

import (
	"cmp"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"k8s.io/apimachinery/pkg/util/duration"

	"github.com/hactl/hactl/config"
	"github.com/hactl/hactl/phases"
)

// BootstrapToken is a token as results show it; in JSON it has the fields of
// kubeadm's (output.kubeadm.k8s.io/v1alpha3).
type BootstrapToken struct {
	Token       string     `json:"token"`
	Description string     `json:"description,omitempty"`
	Expires     *time.Time `json:"expires,omitempty"` // nil means never
	Usages      []string   `json:"usages,omitempty"`
	Groups      []string   `json:"groups,omitempty"`
	JoinCommand string     `json:"joinCommand,omitempty"`
}

func shownToken(t config.Token) BootstrapToken {
	s := BootstrapToken{Token: t.Value.Reveal(), Description: t.Description, Usages: t.Usages, Groups: t.Groups}
	if !t.Expires.IsZero() {
		s.Expires = &t.Expires
	}
	return s
}

// TokenResult is what CreateToken has made.
type TokenResult struct {
	BootstrapToken
	// Further are those that a configuration file asks for beside the first.
	Further []BootstrapToken `json:"further,omitempty"`
	// CertificateKey opens the certificates that this run uploaded.
	CertificateKey string `json:"certificateKey,omitempty"`
	// CertificatesExpire is when they are deleted.
	CertificatesExpire *time.Time    `json:"uploadedCertificatesExpire,omitempty"`
	DryRun             *DryRunReport `json:"dryRun,omitempty"`
}

// Text writes for each token its join command, or else the token.
func (r *TokenResult) Text(w io.Writer) error {
	p := &printer{w: w}
	if r.DryRun != nil {
		r.DryRun.text(p)
		return p.err
	}
	for _, t := range append([]BootstrapToken{r.BootstrapToken}, r.Further...) {
		p.line("%s", cmp.Or(t.JoinCommand, t.Token))
	}
	return p.err
}

// DeletedTokens are IDs.
type DeletedTokens struct {
	Deleted  []string      `json:"deleted"`
	NotFound []string      `json:"notFound"`
	DryRun   *DryRunReport `json:"dryRun,omitempty"`
}

// Text writes a line for each, in kubeadm's words.
func (r *DeletedTokens) Text(w io.Writer) error {
	p := &printer{w: w}
	if r.DryRun != nil {
		r.DryRun.text(p)
		return p.err
	}
	for _, id := range r.Deleted {
		p.line("bootstrap token %q deleted", id)
	}
	return p.err
}

// missing is the error of tokens that were not there.
func (r *DeletedTokens) missing() error {
	if len(r.NotFound) == 0 {
		return nil
	}
	return &phases.Fault{
		What:  "the cluster has no bootstrap token with the ID " + strings.Join(r.NotFound, ", "),
		Fixes: []string{"see which there are: hactl token list"},
	}
}

// TokenList are the tokens of a cluster.
type TokenList struct {
	Tokens []BootstrapToken `json:"tokens"`

	now time.Time
}

// Text writes kubeadm's table (v1.37, cmd/token.go), and nothing if there
// are no tokens.
func (l *TokenList) Text(w io.Writer) error {
	if len(l.Tokens) == 0 {
		return nil
	}
	table := tabwriter.NewWriter(w, 10, 4, 3, ' ', 0)
	p := &printer{w: table}
	p.line("TOKEN\tTTL\tEXPIRES\tUSAGES\tDESCRIPTION\tEXTRA GROUPS")
	for _, t := range l.Tokens {
		ttl, expires := "<forever>", "<never>"
		if t.Expires != nil {
			ttl, expires = "<expired>", t.Expires.Format(time.RFC3339)
			if left := t.Expires.Sub(l.now); left > 0 {
				ttl = duration.ShortHumanDuration(left)
			}
		}
		p.line("%s\t%s\t%s\t%s\t%s\t%s", t.Token, ttl, expires,
			cmp.Or(strings.Join(t.Usages, ","), "<none>"),
			cmp.Or(t.Description, "<none>"),
			cmp.Or(strings.Join(t.Groups, ","), "<none>"))
	}
	if p.err != nil {
		return p.err
	}
	return table.Flush()
}
