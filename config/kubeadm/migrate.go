package kubeadm

import (
	"bytes"
	"cmp"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/hactl/hactl/config"
)

// Migrate rewrites a file for v1beta4: its documents in their order, with
// their comments. The notes say what was renamed, moved or dropped. Documents
// of v1beta4, component configurations and documents of other API groups stay
// as they are. It returns an *Error if Decode would.
func Migrate(source string, data []byte) (out []byte, notes []string, err error) {
	r := read(source, data)
	before := r.documents()
	if err := newError(source, r.problems); err != nil {
		return nil, nil, err
	}
	m := &migration{reader: r}
	out, err = m.edit()
	if err != nil || !m.same(before, out) {
		m.notes = append(m.notes, note{text: "the documents are written anew, without their comments: they use anchors or merge keys"})
		if out, err = m.rewrite(); err != nil {
			return nil, nil, err
		}
	}
	slices.SortStableFunc(m.notes, func(a, b note) int { return cmp.Compare(a.line, b.line) })
	for _, n := range m.notes {
		notes = append(notes, n.text)
	}
	return out, notes, nil
}

// migration edits the trees of the documents.
type migration struct {
	*reader
	notes []note
}

type note struct {
	line int
	text string
}

func (m *migration) note(n *yaml.Node, path, format string, args ...any) {
	text := fmt.Sprintf("line %d: %s: %s", n.Line, path, fmt.Sprintf(format, args...))
	m.notes = append(m.notes, note{n.Line, text})
}

// edit returns the file with its trees edited.
func (m *migration) edit() ([]byte, error) {
	changed := map[*yaml.Node]bool{}
	for _, d := range slices.Clone(m.docs) { // a document may be added
		if d.gvk.group == group && d.gvk.version != Version && d.gvk.kind != kindStatus {
			changed[d.root] = true
			m.document(&d, changed)
		}
	}
	var out [][]byte
	for i := range m.docs {
		d := &m.docs[i]
		if d.gvk.kind == kindStatus && d.gvk.group == group {
			m.note(d.root, kindStatus, "dropped; nothing uses it any more")
			continue
		}
		text, err := d.write(changed[d.root])
		if err != nil {
			return nil, err
		}
		out = append(out, text)
	}
	return bytes.Join(out, []byte(separator)), nil
}

// write returns the text of a document; that of a changed one is made anew.
func (d *document) write(changed bool) ([]byte, error) {
	if d.text != nil && !changed {
		return append(bytes.TrimRight(d.text, "\n"), '\n'), nil
	}
	var b bytes.Buffer
	e := yaml.NewEncoder(&b)
	e.SetIndent(2)
	if err := e.Encode(d.whole); err != nil {
		return nil, fmt.Errorf("write %s: %w", d.gvk.kind, err)
	}
	return b.Bytes(), e.Close()
}

// document raises one document of an older version.
func (m *migration) document(d *document, changed map[*yaml.Node]bool) {
	old := d.gvk.apiVersion()
	if _, v := child(d.root, "apiVersion"); v != nil {
		v.Value = group + "/" + Version
		m.note(v, "apiVersion", "%s is now %s", old, v.Value)
	}
	for _, path := range argPaths[d.gvk.kind] {
		m.args(d, path)
	}
	switch d.gvk.kind {
	case KindCluster:
		m.cluster(d, changed)
	case KindJoin:
		if t := take(d.root, "discovery.timeout"); t != nil {
			m.put(t, d.root, "timeouts.discovery")
		}
	}
}

// argPaths are where the kinds have arguments.
var argPaths = map[string][]string{
	KindInit:    {"nodeRegistration.kubeletExtraArgs"},
	KindJoin:    {"nodeRegistration.kubeletExtraArgs"},
	KindCluster: {"apiServer.extraArgs", "controllerManager.extraArgs", "scheduler.extraArgs", "etcd.local.extraArgs"},
}

// args makes a list of a map of arguments, and takes the way to merge from
// the arguments of v1.
func (m *migration) args(d *document, path string) {
	_, n := at(d.root, path)
	if n == nil {
		return
	}
	if n.Kind == yaml.SequenceNode {
		for i, item := range n.Content {
			if key, value := remove(item, "mergeMethod"); key != nil {
				m.note(key, fmt.Sprintf("%s[%d].mergeMethod", path, i),
					"%s dropped: v1beta4 has none. The value now replaces the whole argument: complete it", value.Value)
			}
		}
		return
	}
	if n.Kind != yaml.MappingNode {
		return
	}
	values := map[string]entry{}
	names := map[string]string{}
	for _, e := range entries(n) {
		values[e.key.Value], names[e.key.Value] = e, ""
	}
	m.note(n, path, "a list of name and value now")
	n.Kind, n.Tag, n.Content, n.Style = yaml.SequenceNode, "!!seq", nil, 0
	for _, a := range argsOf(names) {
		e := values[a.Name]
		item := &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map", HeadComment: e.key.HeadComment, Content: []*yaml.Node{
			scalar("name"), {Kind: yaml.ScalarNode, Tag: "!!str", Value: e.key.Value, Style: e.key.Style},
			scalar("value"), e.value,
		}}
		n.Content = append(n.Content, item)
	}
}

func (m *migration) cluster(d *document, changed map[*yaml.Node]bool) {
	if t := take(d.root, "apiServer.timeoutForControlPlane"); t != nil {
		init := m.initRoot(d)
		changed[init] = true
		m.put(t, init, "timeouts.controlPlaneComponentHealthCheck")
	}
	for _, path := range []string{"useHyperKubeImage", "dns.type"} {
		if t := take(d.root, path); t != nil {
			m.note(t.key, path, "%s dropped", t.value.Value)
		}
	}
	if d.gvk.version == "v1" {
		return
	}
	for _, name := range gone {
		if t := take(d.root, "featureGates."+name); t != nil {
			m.note(t.key, t.path, "%s dropped; what it turned on is always on", t.value.Value)
		}
	}
	if t := take(d.root, "featureGates.PublicKeysECDSA"); t != nil {
		if on, _ := parseBool(t.value.Value); on {
			set(d.root, "encryptionAlgorithm", t.key, scalar("ECDSA-P256"))
			m.note(t.key, t.path, "encryptionAlgorithm: ECDSA-P256 now")
		} else {
			m.note(t.key, t.path, "%s dropped", t.value.Value)
		}
	}
}

// initRoot is the InitConfiguration of the file, or a new one before the
// given document.
func (m *migration) initRoot(d *document) *yaml.Node {
	for i := range m.docs {
		if m.docs[i].gvk.kind == KindInit && m.docs[i].gvk.group == group {
			return m.docs[i].root
		}
	}
	root := &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map", Content: []*yaml.Node{
		scalar("apiVersion"), scalar(group + "/" + Version), scalar("kind"), scalar(KindInit),
	}}
	added := document{root: root, whole: root, gvk: groupVersionKind{group, Version, KindInit}}
	for i := range m.docs {
		if m.docs[i].root == d.root {
			m.docs = append(m.docs[:i:i], append([]document{added}, m.docs[i:]...)...)
			break
		}
	}
	return root
}

// moved is a field that was taken from its place.
type moved struct {
	root       *yaml.Node // of its document
	path       string
	key, value *yaml.Node
}

// take removes a field, and the map around it if that is empty then. It
// returns nil if there is no such field.
func take(root *yaml.Node, path string) *moved {
	key, value := remove(root, path)
	if key == nil {
		return nil
	}
	if i := strings.LastIndex(path, "."); i >= 0 {
		if _, outer := at(root, path[:i]); len(outer.Content) == 0 {
			remove(root, path[:i])
		}
	}
	return &moved{root, path, key, value}
}

// put moves a field of one document to a path of another.
func (m *migration) put(from *moved, to *yaml.Node, path string) {
	where := path
	if from.root != to {
		where += " of " + KindInit
	}
	if _, there := at(to, path); there != nil {
		m.note(from.key, from.path, "dropped; %s is set", where)
		return
	}
	m.note(from.key, from.path, "is now %s", where)
	set(to, path, from.key, from.value)
}

// same says whether the new text means what the old one did.
func (m *migration) same(before *Documents, out []byte) bool {
	after, err := Decode(m.source, out)
	if err != nil {
		return false
	}
	replaceMerges(before)
	return reflect.DeepEqual(before.Init, after.Init) && reflect.DeepEqual(before.Join, after.Join) &&
		reflect.DeepEqual(before.Reset, after.Reset) && reflect.DeepEqual(before.Upgrade, after.Upgrade) &&
		reflect.DeepEqual(before.LoadBalancer, after.LoadBalancer)
}

// replaceMerges takes from the arguments what v1beta4 cannot say.
func replaceMerges(d *Documents) {
	var lists [][]config.Arg
	if c := d.Init; c != nil {
		lists = append(lists, c.Node.KubeletArgs, c.Cluster.APIServer.ExtraArgs, c.Cluster.ControllerManager.ExtraArgs, c.Cluster.Scheduler.ExtraArgs)
		if l := c.Cluster.Etcd.Local; l != nil {
			lists = append(lists, l.ExtraArgs)
		}
	}
	if d.Join != nil {
		lists = append(lists, d.Join.Node.KubeletArgs)
	}
	for _, args := range lists {
		for i := range args {
			args[i].Merge = config.MergeReplace
		}
	}
}

// rewrite writes the documents from what was read of them.
func (m *migration) rewrite() ([]byte, error) {
	var out [][]byte
	for i := range m.docs {
		d := &m.docs[i]
		var text []byte
		var err error
		switch wire := m.wire(d.gvk); {
		case wire != nil:
			text, err = marshal(d.gvk.kind, wire)
		case d.gvk.kind == kindStatus && d.gvk.group == group:
			continue
		default:
			text, err = d.write(false)
		}
		if err != nil {
			return nil, err
		}
		out = append(out, text)
	}
	return bytes.Join(out, []byte(separator)), nil
}

func (m *migration) wire(g groupVersionKind) any {
	switch {
	case g.group != group:
		return nil
	case g.kind == KindInit:
		m.init.typeMeta = meta(KindInit)
		return m.init
	case g.kind == KindCluster:
		m.reader.cluster.typeMeta = meta(KindCluster)
		return m.reader.cluster
	case g.kind == KindJoin:
		m.join.typeMeta = meta(KindJoin)
		return m.join
	case g.kind == KindReset:
		m.reset.typeMeta = meta(KindReset)
		return m.reset
	case g.kind == KindUpgrade:
		m.upgrade.typeMeta = meta(KindUpgrade)
		return m.upgrade
	}
	return nil
}
