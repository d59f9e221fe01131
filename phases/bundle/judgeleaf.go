package bundle

import (
	"errors"
	"net/netip"
	"path"
	"slices"
	"strings"

	"github.com/hactl/hactl/certs"
)

// apiserver names its node, and is there on every control-plane node.
const apiserver = "apiserver"

// ordered puts the certificates that name their node before those that do
// not: whose the others are follows from them.
func (q *inquest) ordered() []Leaf {
	list := slices.Clone(q.Leaves)
	slices.SortStableFunc(list, func(a, b Leaf) int { return rank(a) - rank(b) })
	return list
}

func rank(l Leaf) int {
	switch {
	case l.Base == apiserver:
		return 0
	case names(l):
		return 1
	}
	return 2
}

// names says whether the certificate names its node.
func names(l Leaf) bool { return len(l.Want.DNSNames)+len(l.Want.IPs) > 0 }

// leaf judges what each node makes for itself.
func (q *inquest) leaf(l Leaf) {
	p := pair{cert: l.Base + ".crt", key: l.Base + ".key"}
	if q.Layout.knows(p.cert) || !q.files.has(p.cert) && !q.files.has(p.key) {
		return
	}
	if q.Layout.External && strings.HasPrefix(l.Base, "etcd/") {
		q.unwanted(p, "etcd is external: this belongs to a host of etcd", "if no member of etcd runs on this node: ")
		return
	}
	why, stranger := q.foreign(l, p)
	switch {
	case stranger:
		q.unwanted(p, why, "")
	case q.Travel:
		q.unwanted(p, "each node makes its own", "")
	case !q.files.has(p.cert):
		q.say(p.key, Wrong, "its certificate "+p.cert+" is not here", q.remove(p))
	default:
		q.own(l, p)
	}
}

// foreign says whether the certificate is another node's, and how that shows.
func (q *inquest) foreign(l Leaf, p pair) (string, bool) {
	if !names(l) {
		server := q.stateOf(apiserver + ".crt")
		switch {
		case server == Unwanted:
			return "it came with another node's " + apiserver + ".crt; each node makes its own", true
		case server == "":
			return "each node makes its own, and nothing shows that this one is this node's", true
		}
		return "", false
	}
	list, err := certs.ParseCerts(q.files[p.cert].Data)
	if err != nil {
		return "", false
	}
	var sans *certs.MissingSANError
	for _, err := range certs.Verify(certs.Pair{Cert: list[0]}, list[0], l.Want, q.Now) {
		if errors.As(err, &sans) {
			return "it is another node's: " + sans.Error() + "; it names " + strings.Join(named(list[0].DNSNames, list[0].IPAddresses), ", "), true
		}
	}
	return "", false
}

// named lists what a certificate is valid for, without what those of all
// nodes have.
func named[IP interface{ String() string }](dns []string, ips []IP) []string {
	list := slices.DeleteFunc(slices.Clone(dns), func(n string) bool {
		return n == "localhost" || n == "kubernetes" || strings.HasPrefix(n, "kubernetes.default")
	})
	for _, ip := range ips {
		if a, err := netip.ParseAddr(ip.String()); err != nil || !a.IsLoopback() {
			list = append(list, ip.String())
		}
	}
	if len(list) == 0 {
		return []string{"nothing"}
	}
	return list
}

// stateOf is the first finding about a file that was judged; "" if it is not
// there, Good if nothing was found.
func (q *inquest) stateOf(name string) State {
	if !q.files.has(name) {
		return ""
	}
	for _, f := range q.findings {
		if f.File == name {
			return f.State
		}
	}
	return Good
}

// own judges a certificate that is this node's.
func (q *inquest) own(l Leaf, p pair) {
	loaded, ok := q.load(p)
	if !q.files.has(p.key) {
		q.say(p.key, Missing, "its certificate is here", q.remove(p))
	}
	ca := q.cas[l.Authority]
	if !ok || ca == nil {
		return
	}
	for _, err := range certs.Verify(loaded, ca, l.Want, q.Now) {
		var expired *certs.ExpiredError
		switch {
		case errors.As(err, &expired):
			q.say(p.cert, Expired, err.Error(), q.remove(p))
		case errors.Is(err, certs.ErrKeyMismatch):
			q.say(p.key, Wrong, "it is not the private key of "+p.cert, q.remove(p))
		default:
			q.say(p.cert, Wrong, err.Error(), q.remove(p))
		}
	}
	q.soon(p.cert, loaded.Cert)
}

// unwanted tells of a pair that must not be there; where is what to look at
// before it is removed.
func (q *inquest) unwanted(p pair, why, where string) {
	for _, name := range []string{p.cert, p.key} {
		if q.files.has(name) {
			q.say(name, Unwanted, why, q.commandf("%s%s", where, q.remove(p)))
		}
	}
}

// remove is the fix for what the node makes anew by itself.
func (q *inquest) remove(p pair) string {
	var list []string
	for _, name := range []string{p.cert, p.key} {
		if q.files.has(name) {
			list = append(list, q.in(name))
		}
	}
	return q.commandf("rm %s", strings.Join(list, " "))
}

// others judges what is neither of the layout nor a certificate of the node.
func (q *inquest) others() {
	leaves := map[string]bool{}
	for _, l := range q.Leaves {
		leaves[l.Base+".crt"], leaves[l.Base+".key"] = true, true
	}
	for _, name := range q.files.names() {
		switch {
		case q.Layout.knows(name) || leaves[name]:
		case strings.HasPrefix(name, outside+"/"):
		case q.Layout.External && (name == "etcd/ca.key" || name == "etcd-ca.key"):
			q.say(name, Unwanted, "etcd is external: only its own hosts may have the key of its CA",
				q.commandf("if no member of etcd runs on this node: rm %s", q.in(name)))
		case slices.ContainsFunc(q.Layout.files, func(f shared) bool { return f.key == name }):
			q.say(name, Misplaced, "its place has a file already", q.commandf("rm %s", q.in(name)))
		case path.Ext(name) == ".conf":
			q.say(name, Unwanted, "a kubeconfig file belongs to one node or one person", q.commandf("rm %s", q.in(name)))
		default:
			q.say(name, Unknown, "it is no file that control-plane nodes share", q.unknownFix(name))
		}
	}
}

func (q *inquest) unknownFix(name string) string {
	if !q.Travel {
		return ""
	}
	return q.commandf("mv %s elsewhere", q.in(name))
}
