package bundle

import (
	"cmp"
	"crypto"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/hactl/hactl/certs"
)

// DefaultSoon is how long before its end a certificate "ends soon".
const DefaultSoon = 30 * 24 * time.Hour

// Judge says what is right and what is wrong with a set of files.
type Judge struct {
	Layout Layout
	// Dir is where the files lie, for the texts; "" for an archive.
	Dir string
	// Leaves are what the node that the files are for makes for itself.
	Leaves []Leaf
	// Travel says that the files are to come from another node: what a node
	// makes for itself is unwanted then, and so is what is unknown.
	Travel bool
	// ExternalCA says that the keys of CAs may be kept elsewhere.
	ExternalCA bool
	// Pins are hashes as certs.Pin makes them; the cluster's CA must have
	// one of them. None means any.
	Pins []string
	// Soon is DefaultSoon if zero.
	Soon time.Duration
	Now  time.Time
}

// inquest is one judgement under way.
type inquest struct {
	*Judge
	files    Files
	moved    map[string]string // where files lie that are not in their place
	cas      map[string]*x509.Certificate
	findings Findings
}

// Files judges a set of files. It looks at permissions only where the files
// have any.
func (j *Judge) Files(files Files) Findings {
	q := &inquest{Judge: j, cas: map[string]*x509.Certificate{}}
	q.files, q.moved = j.Layout.unfold(files)
	if j.Layout.purpose != "" {
		q.etcd()
	} else {
		q.shared()
	}
	q.exposed()
	for _, name := range q.files.names() {
		from, moved := q.moved[name]
		switch {
		case moved && !j.Travel: // else it is put into its place
			q.say(name, Misplaced, "its place is "+name, q.commandf("mkdir -p %s && mv %s %s", path.Dir(q.in(name)), q.in(from), q.in(name)))
		case !slices.ContainsFunc(q.findings, func(f Finding) bool { return f.File == cmp.Or(from, name) }):
			q.say(name, Good, "", "")
		}
	}
	q.sort()
	return q.findings
}

// shared judges what the control-plane nodes of one cluster share.
func (q *inquest) shared() {
	for _, a := range q.Layout.authorities() {
		q.authority(a)
	}
	q.account()
	q.client()
	for _, l := range q.ordered() {
		q.leaf(l)
	}
	q.others()
}

// sort puts the layout's files first, in its order, then the others by name.
func (q *inquest) sort() {
	order := q.Layout.Names()
	rank := func(f Finding) int {
		name := f.File
		for to, from := range q.moved {
			if from == name {
				name = to
			}
		}
		if i := slices.Index(order, name); i >= 0 {
			return i
		}
		return len(order)
	}
	slices.SortStableFunc(q.findings, func(a, b Finding) int {
		return cmp.Or(cmp.Compare(rank(a), rank(b)), cmp.Compare(a.File, b.File))
	})
}

// say adds a finding.
func (q *inquest) say(name string, s State, why, fix string) {
	f := Finding{File: name, State: s, Why: why, Fix: fix}
	switch s {
	case Good, Soon, Elsewhere:
	case Unknown:
		f.Problem = q.Travel
	default:
		f.Problem = true
	}
	if from, ok := q.moved[name]; ok {
		f.File = from
	}
	if strings.HasSuffix(name, ".crt") {
		if list, err := certs.ParseCerts(q.files[name].Data); err == nil {
			end := list[0].NotAfter.UTC()
			f.Expires = &end
		}
	}
	q.findings = append(q.findings, f)
}

// in is the path of a file of the set, and commandf a command on such paths;
// "" for an archive, in which nobody can mend a single file.
func (q *inquest) in(name string) string { return path.Join(q.Dir, name) }

func (q *inquest) commandf(format string, a ...any) string {
	if q.Dir == "" {
		return ""
	}
	return fmt.Sprintf(format, a...)
}

// data returns the content of a file that is there and can be looked at.
func (q *inquest) data(name string) ([]byte, bool) {
	c, ok := q.files[name]
	if !ok || name == "" {
		return nil, false
	}
	if c.Unread != "" {
		q.say(name, Wrong, c.Unread, q.again())
		return nil, false
	}
	return c.Data, true
}

// again is the fix for what was copied badly.
func (q *inquest) again() string {
	if q.Layout.purpose != "" {
		return "bring the files here again, from the first etcd host: " + q.Layout.export()
	}
	return "copy the files again, from a control-plane node that works: " + q.Layout.export()
}

// missing tells of a file that the set should have.
func (q *inquest) missing(name string) { q.say(name, Missing, "", q.again()) }

// load reads a pair; a file that cannot be read is a finding, and so is a
// certificate that is not there. Ok says that there is a certificate.
func (q *inquest) load(p pair) (pair certs.Pair, ok bool) {
	if data, there := q.data(p.cert); there {
		chain, err := certs.ParseCerts(data)
		if err != nil {
			q.say(p.cert, Wrong, "it holds no certificate: "+err.Error(), q.again())
		} else {
			pair.Cert, pair.Chain, ok = chain[0], chain[1:], true
		}
	} else if !q.files.has(p.cert) {
		q.missing(p.cert)
	}
	if data, there := q.data(p.key); there {
		key, err := certs.ParseKey(data)
		if err != nil {
			q.say(p.key, Wrong, "it holds no private key: "+err.Error(), q.again())
		}
		pair.Key = key
	}
	return pair, ok
}

func (q *inquest) authority(a pair) {
	p, ok := q.load(a)
	if a.key != "" && !q.files.has(a.key) {
		if q.ExternalCA {
			q.say(a.key, Elsewhere, "this CA is run elsewhere: bring the node its own certificates from there", "")
		} else {
			q.say(a.key, Missing, "without it this node cannot make its own certificates; where the CA is run elsewhere on purpose: --external-ca", q.again())
		}
	}
	if !ok {
		return
	}
	q.cas[strings.TrimSuffix(a.cert, ".crt")] = p.Cert
	for _, err := range certs.VerifyAuthority(p, q.Now) {
		q.fault(a, err)
	}
	cn := p.Cert.Subject.CommonName
	for _, other := range q.Layout.authorities() {
		// All pairs are whole after two of them change places. The names
		// tell, where nobody chose others.
		if other.cn != "" && cn == other.cn && cn != a.cn && a.cn != "" {
			q.say(a.cert, Wrong, fmt.Sprintf("this is the CA %q, which belongs into %s", cn, other.cert), q.again())
		}
	}
	q.pinned(a.cert, p.Cert)
	q.soon(a.cert, p.Cert)
}

// pinned compares the CA that stands for the cluster with the pins.
func (q *inquest) pinned(name string, ca *x509.Certificate) {
	root, fix := "ca.crt", "take the files from a control-plane node of the cluster that the join command is for"
	if q.Layout.purpose != "" {
		root, fix = etcdCA, q.again()
	}
	if name == root && len(q.Pins) > 0 && !slices.Contains(q.Pins, certs.Pin(ca)) {
		q.say(name, Wrong, fmt.Sprintf("this is the CA of another cluster: its hash is %s, not %s", certs.Pin(ca), strings.Join(q.Pins, " or ")), fix)
	}
}

// fault tells of one problem of a pair.
func (q *inquest) fault(p pair, err error) {
	var expired *certs.ExpiredError
	var early *certs.NotYetValidError
	switch {
	case errors.As(err, &expired):
		q.say(p.cert, Expired, err.Error(), "make a new one on a control-plane node of the cluster, then copy it from there")
	case errors.As(err, &early):
		q.say(p.cert, Expired, err.Error(), "set the clock of this machine: timedatectl")
	case errors.Is(err, certs.ErrKeyMismatch):
		q.say(p.key, Wrong, "it is not the private key of "+p.cert, q.again())
	default:
		q.say(p.cert, Wrong, err.Error(), q.again())
	}
}

func (q *inquest) soon(name string, c *x509.Certificate) {
	if !q.Now.After(c.NotAfter) && certs.ExpiresWithin(c, cmp.Or(q.Soon, DefaultSoon), q.Now) {
		q.say(name, Soon, "it ends at "+c.NotAfter.UTC().Format(time.RFC3339), "")
	}
}

// account judges the key pair of service accounts.
func (q *inquest) account() {
	key, pub := q.Layout.at("sa.key"), q.Layout.at("sa.pub")
	for _, name := range []string{key, pub} {
		if !q.files.has(name) {
			q.missing(name)
		}
	}
	keyData, haveKey := q.data(key)
	pubData, havePub := q.data(pub)
	if !haveKey || !havePub {
		return
	}
	private, err := certs.ParseKey(keyData)
	if err != nil {
		q.say(key, Wrong, "it holds no private key: "+err.Error(), q.again())
	}
	public, pubErr := certs.ParsePublicKeys(pubData)
	if pubErr != nil {
		q.say(pub, Wrong, "it holds no public key: "+pubErr.Error(), q.again())
	}
	// After a rotation the file also holds older public keys.
	if err == nil && pubErr == nil && !slices.ContainsFunc(public, func(k crypto.PublicKey) bool { return certs.SamePublicKey(k, private.Public()) }) {
		q.say(pub, Wrong, "it is not the public key of "+key, q.again())
	}
}

// client judges what an external etcd wants of kube-apiserver.
func (q *inquest) client() {
	c := pair{cert: q.Layout.at("external-etcd.crt"), key: q.Layout.at("external-etcd.key")}
	if c.cert == "" || c.key == "" {
		return
	}
	q.issued(issued{c, []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}, q.cas[strings.TrimSuffix(q.Layout.at("external-etcd-ca.crt"), ".crt")])
}

// isIssuer says that a certificate is not of the CA.
func isIssuer(err error) bool {
	var issuer *certs.IssuerError
	return errors.As(err, &issuer)
}

// exposed looks at the permissions of what is secret.
func (q *inquest) exposed() {
	for _, name := range q.files.names() {
		mode := q.files[name].Mode.Perm()
		at := name
		if from, ok := q.moved[name]; ok {
			at = from
		}
		switch {
		case q.Travel: // what is installed gets modes of its own
		case strings.HasSuffix(name, ".key") && mode&^widest(name)&0o077 != 0:
			q.say(name, Exposed, fmt.Sprintf("its mode is %04o, so others can read the private key", mode), q.commandf("chmod 600 %s", q.in(at)))
		case strings.HasSuffix(name, ".crt") && mode&0o022 != 0:
			q.say(name, Exposed, fmt.Sprintf("its mode is %04o, so others can change it", mode), q.commandf("chmod 644 %s", q.in(at)))
		}
	}
}

// widest is the mode that a file may have at most. Components that run
// without root read the service accounts' key by its group.
func widest(name string) fs.FileMode {
	if name == "sa.key" {
		return 0o640
	}
	return modeOf(name)
}

// modeOf is the mode of a file that is installed.
func modeOf(name string) fs.FileMode {
	if strings.HasSuffix(name, ".crt") || strings.HasSuffix(name, ".pub") {
		return 0o644
	}
	return 0o600
}
