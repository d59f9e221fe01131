//go:build e2e

package e2e

import (
	"archive/tar"
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"

	"k8s.io/client-go/tools/clientcmd"

	"github.com/hactl/hactl/e2e/nodes"
)

// kinds are those of the objects that init makes or changes.
const kinds = "configmaps,secrets,roles,rolebindings,clusterroles,clusterrolebindings,serviceaccounts,services,deployments,daemonsets,nodes,pods"

// object is one of the cluster, as kubectl prints it.
type object = map[string]any

// list gets the objects of all namespaces.
func list(t *testing.T, n *nodes.Node, resources string, flags ...string) []object {
	t.Helper()
	var l struct{ Items []object }
	text := kubectl(t, n, append([]string{"get", resources, "--all-namespaces", "-o", "json"}, flags...)...)
	if err := json.Unmarshal([]byte(text), &l); err != nil {
		t.Fatal(err)
	}
	return l.Items
}

// field is a string inside an object, "" if it is not there.
func field(o object, names ...string) string {
	for _, name := range names[:len(names)-1] {
		o, _ = o[name].(object)
	}
	s, _ := o[names[len(names)-1]].(string)
	return s
}

// nameOf is what tells an object from all others.
func nameOf(o object) string {
	return path.Join(field(o, "kind"), field(o, "metadata", "namespace"), field(o, "metadata", "name"))
}

// owner is the kind of the object's first owner.
func owner(o object) string {
	meta, _ := o["metadata"].(object)
	refs, _ := meta["ownerReferences"].([]any)
	if len(refs) == 0 {
		return ""
	}
	ref, _ := refs[0].(object)
	return field(ref, "kind")
}

// clusterState is every object of the cluster by its name, without what
// differs between two clusters that were made alike.
func clusterState(t *testing.T, n *nodes.Node) map[string]string {
	t.Helper()
	same := alike(t, n)
	out := map[string]string{}
	for _, o := range list(t, n, kinds) {
		if field(o, "kind") == "Pod" && owner(o) != "Node" {
			continue // of a Deployment or a DaemonSet, which are compared
		}
		delete(o, "status")
		meta := o["metadata"].(object)
		for _, name := range []string{"uid", "resourceVersion", "creationTimestamp", "generation"} {
			delete(meta, name)
		}
		if notes, ok := meta["annotations"].(object); ok {
			for _, name := range []string{"kubernetes.io/config.hash", "kubernetes.io/config.mirror", "kubernetes.io/config.seen", "kubeadm.kubernetes.io/component-config.hash", "hactl.io/key-fingerprint", "hactl.io/expires"} {
				if notes[name] != nil {
					notes[name] = "…"
				}
			}
		}
		refs, _ := meta["ownerReferences"].([]any)
		for _, ref := range refs {
			ref.(object)["uid"] = "…"
		}
		hide(o)
		name := same(nameOf(o))
		if token, ok := o["data"].(object); ok && strings.Contains(name, "<id>") && token["usage-bootstrap-signing"] == nil {
			name += " of the certificates"
		}
		out[name] = same(text(t, o))
	}
	return out
}

// hide takes values out that are random or sealed; their keys stay.
func hide(o object) {
	data, _ := o["data"].(object)
	for key := range data {
		sealed := field(o, "metadata", "name") == "kubeadm-certs"
		if sealed || key == "token-secret" || key == "expiration" || key == "token-id" || strings.HasPrefix(key, "jws-kubeconfig-") {
			data[key] = "…"
		}
	}
}

// text is indented JSON, with the keys in order.
func text(t *testing.T, v any) string {
	t.Helper()
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(v); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// alike returns what makes the texts of two clusters comparable: the node's
// name and address, its CAs and the ids of its tokens get names.
func alike(t *testing.T, n *nodes.Node) func(string) string {
	t.Helper()
	pairs := []string{n.Name(), "<node>", n.Address().String(), "<address>"}
	for _, name := range []string{"ca.crt", "front-proxy-ca.crt"} {
		data, err := n.ReadFile(t.Context(), "/etc/kubernetes/pki/"+name)
		if err != nil {
			t.Fatal(err)
		}
		escaped := strings.ReplaceAll(string(data), "\n", `\n`)
		pairs = append(pairs, escaped, "<"+name+">", base64.StdEncoding.EncodeToString(data), "<"+name+">")
	}
	replacer := strings.NewReplacer(pairs...)
	id := regexp.MustCompile(`(bootstrap-token-|jws-kubeconfig-)[a-z0-9]{6}`)
	return func(s string) string { return replacer.Replace(id.ReplaceAllString(s, "${1}<id>")) }
}

// written are the files that init leaves on a machine.
var written = []string{"etc/kubernetes", "var/lib/kubelet/config.yaml", "var/lib/kubelet/instance-config.yaml", "var/lib/kubelet/kubeadm-flags.env"}

// fileState is every file that init writes by its path: its mode and what it
// means.
func fileState(t *testing.T, n *nodes.Node) map[string]string {
	t.Helper()
	r, err := n.Run(t.Context(), append([]string{"tar", "-C", "/", "-cf", "-"}, written...)...)
	if err != nil {
		t.Fatal(err)
	}
	same := alike(t, n)
	out := map[string]string{}
	for archive := tar.NewReader(bytes.NewReader(r.Stdout)); ; {
		h, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return out
		}
		if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(archive)
		if err != nil {
			t.Fatal(err)
		}
		out["/"+h.Name] = same(text(t, meaning(t, h, data)))
	}
}

// meaning is what a file says, but for what is made anew each time.
func meaning(t *testing.T, h *tar.Header, data []byte) any {
	t.Helper()
	dir, ext := path.Dir(h.Name), path.Ext(h.Name)
	switch {
	case h.Typeflag != tar.TypeReg:
		return []any{fmt.Sprintf("%o", h.Mode), string(h.Typeflag), h.Linkname}
	case ext == ".crt" || ext == ".key" || ext == ".pub" || ext == ".yaml" && path.Base(dir) == "manifests":
		return described(t, h, data)
	case ext == ".conf" && dir == "etc/kubernetes":
		return kubeconfigMeaning(t, h, data)
	}
	return []any{fmt.Sprintf("%o", h.Mode), string(data)}
}

func kubeconfigMeaning(t *testing.T, h *tar.Header, data []byte) any {
	t.Helper()
	c, err := clientcmd.Load(data)
	if err != nil {
		t.Fatal(err)
	}
	out := []any{fmt.Sprintf("%o", h.Mode), c.CurrentContext, c.Contexts}
	for name, cluster := range c.Clusters {
		ca := &tar.Header{Name: "ca.crt"}
		out = append(out, name, cluster.Server, described(t, ca, cluster.CertificateAuthorityData))
	}
	for name, user := range c.AuthInfos {
		out = append(out, name, user.ClientCertificate, user.ClientKey)
		if len(user.ClientCertificateData) > 0 {
			out = append(out, described(t, &tar.Header{Name: "client.crt"}, user.ClientCertificateData), described(t, &tar.Header{Name: "client.key"}, user.ClientKeyData))
		}
	}
	return out
}

// event is a line that hactl prints with -o json.
type event struct {
	Type, Phase, Kind, Reason, Error string
	Result                           json.RawMessage
	Code                             int
	Fix                              []string
}

// events reads the lines.
func events(t *testing.T, stdout string) []event {
	t.Helper()
	var list []event
	for line := range strings.Lines(stdout) {
		list = append(list, parseEvent(t, line))
	}
	return list
}

func parseEvent(t *testing.T, line string) event {
	t.Helper()
	var e event
	if err := json.Unmarshal([]byte(line), &e); err != nil {
		t.Fatalf("%v in line %s", err, line)
	}
	return e
}

// result reads the result line into v.
func result(t *testing.T, stdout string, v any) {
	t.Helper()
	list := events(t, stdout)
	i := slices.IndexFunc(list, func(e event) bool { return e.Type == "result" })
	if i < 0 {
		t.Fatalf("no result in\n%s", stdout)
	}
	if err := json.Unmarshal(list[i].Result, v); err != nil {
		t.Fatal(err)
	}
}
