package app

import (
	"bytes"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io/fs"
	"regexp"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/diff"
	"sigs.k8s.io/yaml"

	"github.com/hactl/hactl/certs"
	"github.com/hactl/hactl/config"
	"github.com/hactl/hactl/phases/host"
	"github.com/hactl/hactl/phases/kube"
)

// shower makes what a dry run shows. Tokens and the data of Secrets become
// hidden. Keys and certificates, which a real run makes anew, become words.
type shower struct {
	secrets []config.Secret // known ones, wherever they stand
}

const hidden = "[redacted]"

// unseen is the diff of what differs only where nothing is shown.
const unseen = "[what changes is not shown]\n"

func (s shower) machine(c host.Change) MachineChange {
	switch c.Kind {
	case host.FileWritten:
		m := MachineChange{Action: "write", Target: c.Path, Mode: mode(c.Mode)}
		m.Content, m.Diff = s.compare(c.Path, c.Old, c.New)
		return m
	case host.DirMade:
		return MachineChange{Action: "mkdir", Target: c.Path, Mode: mode(c.Mode)}
	case host.PathRemoved, host.TreeRemoved:
		return MachineChange{Action: "remove", Target: c.Path}
	case host.PathMoved:
		return MachineChange{Action: "move", Target: c.Path, From: c.From}
	case host.OwnerChanged:
		return MachineChange{Action: "chown", Target: c.Path, Mode: mode(c.Mode), Owner: fmt.Sprintf("%d:%d", c.Owner.User, c.Owner.Group)}
	case host.Unmounted:
		return MachineChange{Action: "unmount", Target: c.Path}
	case host.ServiceChanged:
		return MachineChange{Action: string(c.Action), Target: c.Unit}
	case host.CommandRun:
		return MachineChange{Action: "run", Target: strings.Join(c.Argv, " ")}
	default:
		return MachineChange{Action: string(c.Kind), Target: c.Path}
	}
}

func mode(m fs.FileMode) string {
	if m == 0 {
		return ""
	}
	return fmt.Sprintf("%04o", m.Perm())
}

func (s shower) object(c kube.Change) ObjectChange {
	o := ObjectChange{
		Verb: string(c.Verb), Kind: c.Object.GetObjectKind().GroupVersionKind().Kind,
		Namespace: c.Object.GetNamespace(), Name: c.Object.GetName(),
	}
	if c.Verb == kube.Delete {
		return o
	}
	var before []byte
	after, err := document(c.Object)
	if err == nil && c.Old != nil {
		before, err = document(c.Old)
	}
	if err != nil {
		o.Content = "[cannot be shown: " + err.Error() + "]\n"
		return o
	}
	o.Content, o.Diff = s.compare(o.title(), before, after)
	if c.Old != nil && o.Diff == "" {
		o.Diff = unseen
	}
	return o
}

// compare shows a new content (old is nil) or the difference to the old one,
// "" if only a file's mode differs.
func (s shower) compare(name string, old, now []byte) (content, difference string) {
	if old == nil {
		return s.text(now), ""
	}
	if bytes.Equal(old, now) {
		return "", ""
	}
	d := diff.Diff(name, []byte(s.text(old)), name, []byte(s.text(now)))
	if d == nil {
		return "", unseen
	}
	_, unified, _ := strings.Cut(string(d), "\n") // "diff NAME NAME" says nothing more
	return "", unified
}

var (
	pemBlock = regexp.MustCompile(`(?s)-----BEGIN ([A-Z0-9 ]+)-----\n(.*?)-----END [A-Z0-9 ]+-----`)
	// The same in base64, as kubeconfigs hold it: this is "-----BEGIN".
	encodedBlock = regexp.MustCompile(`LS0tLS1CRUdJTi[A-Za-z0-9+/=]+`)
	// A real run signs another kubeconfig, with another CA.
	signature   = regexp.MustCompile(`(?m)^(\s*jws-kubeconfig-[a-z0-9]{6}: ).*$`)
	secretField = regexp.MustCompile(`(?m)^(\s*(?:- )?"?(?:client-key-data|token|password)"?: ).*$`)
)

// text is data without what must not or cannot be shown.
func (s shower) text(data []byte) string {
	text := blocks(string(data))
	text = signature.ReplaceAllString(text, "${1}[signature]")
	text = encodedBlock.ReplaceAllStringFunc(text, func(encoded string) string {
		block, err := base64.StdEncoding.DecodeString(encoded)
		if err != nil {
			return hidden
		}
		return strings.TrimSpace(blocks(string(block)))
	})
	text = secretField.ReplaceAllString(text, "${1}"+hidden)
	for _, secret := range s.secrets {
		if secret != "" {
			text = strings.ReplaceAll(text, secret.Reveal(), hidden)
		}
	}
	return text
}

// blocks replaces PEM blocks with words. Where there is a key that is none,
// nothing is shown.
func blocks(text string) string {
	text = pemBlock.ReplaceAllStringFunc(text, func(block string) string {
		return "[" + inside(pemBlock.FindStringSubmatch(block)[1], []byte(block)) + "]"
	})
	if strings.Contains(text, "PRIVATE KEY") {
		return hidden + "\n"
	}
	return text
}

// inside says what is in a PEM block.
func inside(kind string, block []byte) string {
	switch {
	case kind != "CERTIFICATE":
		return strings.ToLower(kind)
	}
	list, err := certs.ParseCerts(block)
	if err != nil {
		return "a certificate that cannot be read"
	}
	return certificateWords(list[0])
}

func certificateWords(c *x509.Certificate) string {
	words := []string{"certificate of " + c.Subject.String()}
	if c.IsCA {
		words[0] = "CA " + c.Subject.CommonName
	} else {
		words = append(words, "signed by "+c.Issuer.CommonName)
	}
	words = append(words, "valid until "+c.NotAfter.UTC().Format(time.DateOnly))
	names := c.DNSNames
	for _, ip := range c.IPAddresses {
		names = append(names, ip.String())
	}
	if len(names) > 0 {
		words = append(words, "for "+strings.Join(names, " "))
	}
	return strings.Join(words, ", ")
}

// document is an object in YAML without what the API server adds to it. The
// data of a Secret is hidden.
func document(o kube.Object) ([]byte, error) {
	data, err := json.Marshal(o)
	if err != nil {
		return nil, err
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(data, &fields); err != nil {
		return nil, err
	}
	delete(fields, "status")
	var meta map[string]json.RawMessage
	if err := json.Unmarshal(fields["metadata"], &meta); err != nil {
		return nil, err
	}
	for _, name := range []string{"creationTimestamp", "generation", "managedFields", "resourceVersion", "uid"} {
		delete(meta, name)
	}
	if fields["metadata"], err = json.Marshal(meta); err != nil {
		return nil, err
	}
	if o.GetObjectKind().GroupVersionKind().Kind == "Secret" {
		if err := hideData(fields); err != nil {
			return nil, err
		}
	}
	if data, err = json.Marshal(fields); err != nil {
		return nil, err
	}
	return yaml.JSONToYAML(data)
}

// hideData hides the values of a Secret and keeps the names.
func hideData(fields map[string]json.RawMessage) error {
	for _, name := range []string{"data", "stringData"} {
		if fields[name] == nil {
			continue
		}
		var values map[string]string
		if err := json.Unmarshal(fields[name], &values); err != nil {
			return fmt.Errorf("the %s of a Secret is no list of values", name)
		}
		for key := range values {
			values[key] = hidden
		}
		data, err := json.Marshal(values)
		if err != nil {
			return err
		}
		fields[name] = data
	}
	return nil
}
