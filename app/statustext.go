package app

import (
	"cmp"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/hactl/hactl/phases/health"
)

// textWidth is how wide running text may get, in columns.
const textWidth = 90

// Text writes tables that fit into 100 columns as long as names are of
// usual length, then what needs attention.
func (r *StatusResult) Text(w io.Writer) error {
	p := &printer{w: w}
	p.line("%s, seen from %s at %s", cmp.Or(bare(r.Endpoint), "the cluster"), r.Node, r.At.Format("2006-01-02 15:04:05 MST"))
	for _, part := range []func(*printer){r.nodes, r.members, r.servers, r.certificates, r.joining, r.attention} {
		p.line("")
		part(p)
	}
	return p.err
}

// bare is a URL without what all of them have.
func bare(url string) string { return strings.TrimPrefix(url, "https://") }

// rows writes an aligned table.
func rows(p *printer, header string, fill func(row func(cells ...string))) {
	if p.err != nil {
		return
	}
	var b strings.Builder
	t := tabwriter.NewWriter(&b, 0, 8, 2, ' ', 0)
	fmt.Fprintln(t, header)
	fill(func(cells ...string) { fmt.Fprintln(t, strings.Join(cells, "\t")) })
	p.err = t.Flush()
	for line := range strings.Lines(b.String()) {
		p.line("%s", strings.TrimRight(line, " \n"))
	}
}

// missing says why a table is not there.
func missing(p *printer, what, why string) bool {
	if why != "" {
		p.line("%s  %s", what, why)
	}
	return why != ""
}

func (r *StatusResult) nodes(p *printer) {
	if missing(p, "NODES", r.Nodes.Error) {
		return
	}
	rows(p, "NODE\tROLES\tREADY\tVERSION\tADDRESS", func(row func(...string)) {
		for _, n := range r.Nodes.Items {
			ready := "yes"
			if !n.Ready {
				ready = "no"
			}
			row(n.Name, cmp.Or(strings.Join(n.Roles, ","), "-"), ready, cmp.Or(n.Version, "-"), cmp.Or(n.Address, "-"))
		}
	})
}

func (r *StatusResult) members(p *printer) {
	e := &r.Etcd
	if missing(p, "ETCD", e.Error) && len(e.Members) == 0 {
		return
	}
	rows(p, "ETCD\tROLE\tVERSION\tLAG\tSIZE\tADDRESS\tSTATE", func(row func(...string)) {
		for _, m := range e.Members {
			if m.Error != "" {
				row(cmp.Or(m.Name, "-"), cmp.Or(m.Role, "-"), "-", "-", "-", m.Address, memberState(m))
				continue
			}
			row(cmp.Or(m.Name, "-"), m.Role, m.Version, fmt.Sprint(m.Lag), size(m.Size), m.Address, memberState(m))
		}
	})
	p.line("%s", quorum(e))
}

// memberState is one or two words; the whole error stands in JSON.
func memberState(m health.Member) string {
	switch {
	case m.Error != "" && m.Name == "":
		return "never started"
	case m.Error != "":
		return "no answer"
	case len(m.Alarms) > 0:
		return strings.Join(m.Alarms, ",")
	}
	return "ok"
}

func quorum(e *health.Etcd) string {
	s := fmt.Sprintf("%d of %s, quorum %d: ", e.Answering, voting(e.Voters)+" answer", e.Quorum)
	switch {
	case e.MayFail < 0:
		return s + "no quorum"
	case e.MayFail == e.Tolerance:
		return s + fmt.Sprintf("%d may fail", e.Tolerance)
	}
	return s + fmt.Sprintf("%d may fail now, %d once all answer", e.MayFail, e.Tolerance)
}

// voting is "1 voting member" or "3 voting members".
func voting(n int) string {
	if n == 1 {
		return "1 voting member"
	}
	return fmt.Sprintf("%d voting members", n)
}

func (r *StatusResult) servers(p *printer) {
	rows(p, "API SERVER\tADDRESS\tSTATE\tCLOCK", func(row func(...string)) {
		for _, s := range r.APIServers.Items {
			clock := "-"
			if s.SkewSeconds != nil {
				clock = fmt.Sprintf("%+ds", *s.SkewSeconds)
			}
			row(s.Title(), bare(s.URL), string(s.State), clock)
		}
	})
	if r.APIServers.Error != "" {
		p.line("%s", r.APIServers.Error)
	}
}

// certificates puts those that end on the same day into one line.
func (r *StatusResult) certificates(p *printer) {
	if missing(p, "CERTIFICATES", r.Certificates.Error) && len(r.Certificates.Items) == 0 {
		return
	}
	rows(p, "EXPIRES\tLEFT\tCERTIFICATES OF THIS NODE", func(row func(...string)) {
		items := r.Certificates.Items
		for len(items) > 0 {
			n := 1
			for n < len(items) && day(items[n]) == day(items[0]) {
				n++
			}
			left := "-"
			if items[0].Expires != nil {
				left = remaining(items[0].Expires.Sub(r.At))
			}
			for i, line := range certificateNames(items[:n]) {
				if i == 0 {
					row(day(items[0]), left, line)
				} else {
					row("", "", line)
				}
			}
			items = items[n:]
		}
	})
}

func day(c health.Certificate) string {
	if c.Expires == nil {
		return "unreadable"
	}
	return c.Expires.Format(time.DateOnly)
}

func remaining(left time.Duration) string {
	if left <= 0 {
		return "expired"
	}
	return health.Span(left)
}

// certificateNames are those of the list, in lines that fit behind the two
// columns before them.
func certificateNames(list []health.Certificate) []string {
	words := make([]string, len(list))
	for i, c := range list {
		words[i] = c.Name
	}
	return folded(words, textWidth-20)
}

// folded puts words into lines of at most width columns.
func folded(words []string, width int) []string {
	var lines []string
	for _, word := range words {
		if n := len(lines); n > 0 && len(lines[n-1])+1+len(word) <= width {
			lines[n-1] += " " + word
		} else {
			lines = append(lines, word)
		}
	}
	return lines
}

// joining is what nodes can join with now.
func (r *StatusResult) joining(p *printer) {
	if missing(p, "TOKENS", r.Tokens.Error) {
		return
	}
	var list []string
	for _, t := range r.Tokens.Items {
		ends := "for ever"
		if t.Expires != nil {
			ends = remaining(t.Expires.Sub(r.At))
		}
		list = append(list, t.ID+" ("+ends+")")
	}
	p.line("tokens                 %s", cmp.Or(strings.Join(list, ", "), "none"))
	uploaded := "none"
	if r.Uploaded.There {
		uploaded = "yes"
		if r.Uploaded.Expires != nil {
			uploaded += " (" + remaining(r.Uploaded.Expires.Sub(r.At)) + ")"
		}
	}
	p.line("uploaded certificates  %s", uploaded)
}

func (r *StatusResult) attention(p *printer) {
	for _, a := range r.Advice {
		p.line("advice: %s", a)
	}
	if r.Healthy {
		p.line("Nothing needs attention.")
		return
	}
	p.line("needs attention:")
	for _, f := range r.Findings {
		for i, line := range folded(strings.Fields(f.What), textWidth) {
			p.line("%s%s", strings.Repeat("  ", 1+min(i, 1)), line)
		}
		for _, fix := range f.Fix {
			p.line("    fix  %s", fix)
		}
	}
}

// size is a size for people, in powers of 1000.
func size(n int64) string {
	switch {
	case n >= 1e9:
		return fmt.Sprintf("%.1f GB", float64(n)/1e9)
	case n >= 1e6:
		return fmt.Sprintf("%.1f MB", float64(n)/1e6)
	}
	return fmt.Sprintf("%.0f kB", float64(n)/1e3)
}
