package bundle

import (
	"archive/tar"
	"bytes"
	"errors"
	"strings"
	"testing"

	"filippo.io/age"
	"filippo.io/age/armor"
	"github.com/google/go-cmp/cmp"

	"github.com/hactl/hactl/config"
	"github.com/hactl/hactl/phases"
)

const knownPassphrase = "correct horse battery staple"

// quick is a lock whose passphrase costs little to try.
func quick() Lock { return Lock{Passphrase: knownPassphrase, work: 4} }

func keyFor(passphrase config.Secret) Key {
	return Key{Passphrase: func() (config.Secret, error) { return passphrase, nil }}
}

func sealed(t *testing.T, l Lock, plain string) []byte {
	t.Helper()
	data, err := Seal(l, []byte(plain))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestUnseal(t *testing.T) {
	mine, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	others, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	to := Lock{Recipients: []string{others.Recipient().String(), mine.Recipient().String()}}
	withPassphrase, withRecipients := sealed(t, quick(), "plain"), sealed(t, to, "plain")
	flip := func(data []byte, at int) []byte {
		data = bytes.Clone(data)
		data[(at+len(data))%len(data)] ^= 1
		return data
	}
	armored := &bytes.Buffer{}
	a := armor.NewWriter(armored)
	if _, err := a.Write(withPassphrase); err != nil || a.Close() != nil {
		t.Fatal(err)
	}
	identity := Key{Identities: []config.Secret{config.Secret("# created\n" + mine.String())}}
	refused := errors.New("interrupted")
	cases := map[string]struct {
		reason string
		key    Key
		data   []byte
		want   error // nil means that it opens
	}{
		"Passphrase":        {"the right one", keyFor(knownPassphrase), withPassphrase, nil},
		"Armored":           {"as mail carries it", keyFor(knownPassphrase), armored.Bytes(), nil},
		"WrongPassphrase":   {"a slip", keyFor("correct horse battery stable"), withPassphrase, ErrWrongPassphrase},
		"NoPassphrase":      {"nobody to ask", Key{}, withPassphrase, &phases.Fault{}},
		"EmptyPassphrase":   {"just return", keyFor(""), withPassphrase, &phases.Fault{}},
		"PassphraseRefused": {"the person gave up", Key{Passphrase: func() (config.Secret, error) { return "", refused }}, withPassphrase, refused},
		"Recipient":         {"one of two", identity, withRecipients, nil},
		"WrongIdentity":     {"another key", Key{Identities: []config.Secret{config.Secret("AGE-SECRET-KEY-1")}}, withRecipients, &phases.Fault{}},
		"NotARecipient":     {"a passphrase does not open it", keyFor(knownPassphrase), withRecipients, ErrWrongIdentity},
		"IdentityForPhrase": {"a key does not open a passphrase", identity, withPassphrase, &phases.Fault{}},
		"HeaderChanged":     {"the header is protected", keyFor(knownPassphrase), flip(withPassphrase, 60), nil},
		"BodyChanged":       {"the body is protected", keyFor(knownPassphrase), flip(withPassphrase, -1), ErrDamaged},
		"Truncated":         {"the end is missing", keyFor(knownPassphrase), withPassphrase[:len(withPassphrase)-5], ErrDamaged},
		"Empty":             {"an empty file", keyFor(knownPassphrase), nil, ErrDamaged},
		"NoArchive":         {"a tar file that is not encrypted", keyFor(knownPassphrase), []byte("ca.crt"), ErrDamaged},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			got, err := Unseal(c.key, c.data)
			if name == "HeaderChanged" {
				// Which error depends on which bit it was; it must be one.
				if err == nil {
					t.Error("a changed header opens")
				}
				return
			}
			var fault *phases.Fault
			if want := c.want; errors.As(want, &fault) {
				if !errors.As(err, &fault) || fault.What == "" || len(fault.Fixes) == 0 {
					t.Errorf("%s: Unseal() = %v, want a fault with a fix", c.reason, err)
				}
			} else if !errors.Is(err, want) || want == nil && string(got) != "plain" {
				t.Errorf("%s: Unseal() = %q, %v, want %v", c.reason, got, err, want)
			}
			if err != nil && (strings.Contains(err.Error(), "correct horse") || strings.Contains(err.Error(), "SECRET-KEY-1Q")) {
				t.Errorf("the error tells a secret: %v", err)
			}
		})
	}
}

func TestSealRefuses(t *testing.T) {
	cases := map[string]struct {
		reason string
		lock   Lock
	}{
		"Short":     {"anyone can try passphrases on a file", Lock{Passphrase: "hunter2"}},
		"Empty":     {"none at all", Lock{}},
		"NoKey":     {"a name", Lock{Recipients: []string{"cp-2"}}},
		"Private":   {"the private key by mistake", Lock{Recipients: []string{"AGE-SECRET-KEY-1QQQQQQQQQQQQQQQQQQQQQQQQQQQ"}}},
		"Commented": {"a comment", Lock{Recipients: []string{"# age1"}}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			_, err := Seal(c.lock, []byte("plain"))
			var fault *phases.Fault
			if !errors.As(err, &fault) || fault.Exit != phases.CodeUsage || len(fault.Fixes) == 0 {
				t.Fatalf("%s: Seal() = %v, want a fault of usage with a fix", c.reason, err)
			}
			if strings.Contains(err.Error(), "QQQQ") || strings.Contains(err.Error(), "hunter2") {
				t.Errorf("the error tells a secret: %v", err)
			}
		})
	}
}

// bundleOf is what export reads on a node.
func bundleOf(n node, l Layout) *Bundle {
	b := &Bundle{Layout: l, Files: Files{}}
	for _, name := range l.Names() {
		if data, ok := n[name]; ok {
			b.Files[name] = Content{Data: data}
		}
	}
	return b
}

func TestRoundTrip(t *testing.T) {
	n := controlPlane(t)
	elsewhere := &config.Cluster{CertificatesDir: dir}
	elsewhere.Etcd.External = &config.ExternalEtcd{CAFile: "/etc/etcd/ca.pem", CertFile: dir + "/etcd.crt", KeyFile: "/etc/etcd/key.pem"}
	for name, l := range map[string]Layout{"Stacked": stacked(dir), "External": externally(dir), "Elsewhere": NewLayout(elsewhere)} {
		t.Run(name, func(t *testing.T) {
			b := bundleOf(n, l)
			b.Files["outside/etc/kubernetes/enc.yaml"] = Content{Data: []byte("kind: EncryptionConfiguration")}
			b.ExternalCA = true
			data, err := b.Encode()
			if err != nil {
				t.Fatal(err)
			}
			got, err := Decode(data)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(b, got, cmp.AllowUnexported(Layout{}, shared{})); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

// archive is a tar file with these members behind a manifest.
func archive(t testing.TB, members ...*tar.Header) []byte {
	t.Helper()
	const head = `{"version":1,"certificatesDir":"/etc/kubernetes/pki"}`
	return tarOf(t, append([]*tar.Header{{Name: manifestName, Typeflag: tar.TypeReg, Linkname: head}}, members...)...)
}

// tarOf writes members; a regular file's Linkname is its content.
func tarOf(t testing.TB, members ...*tar.Header) []byte {
	t.Helper()
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	for _, m := range members {
		h := *m
		var content string
		if h.Typeflag == tar.TypeReg {
			content, h.Linkname, h.Size = h.Linkname, "", int64(len(h.Linkname))
		}
		if err := w.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(content)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func TestDecodeRefuses(t *testing.T) {
	file := func(name, content string) *tar.Header {
		return &tar.Header{Name: name, Typeflag: tar.TypeReg, Linkname: content}
	}
	head := func(content string) []byte { return tarOf(t, file(manifestName, content)) }
	cases := map[string]struct {
		reason string
		data   []byte
	}{
		"Empty":          {"no member", tarOf(t)},
		"NotTar":         {"something else", []byte("hello")},
		"NoManifest":     {"the manifest comes first", tarOf(t, file("ca.crt", "x"))},
		"ManifestBroken": {"cut off", head(`{"version":1`)},
		"Unknown":        {"a field that nobody wrote", head(`{"version":1,"certificatesDir":"/p","x":1}`)},
		"Newer":          {"a version of the future", head(`{"version":2,"certificatesDir":"/p"}`)},
		"RelativeDir":    {"a path that depends on where one stands", head(`{"version":1,"certificatesDir":"pki"}`)},
		"DirUp":          {"a path that is not clean", head(`{"version":1,"certificatesDir":"/p/../etc"}`)},
		"Root":           {"everything lies below the root", head(`{"version":1,"certificatesDir":"/"}`)},
		"EtcdUp":         {"the same for etcd's files", head(`{"version":1,"certificatesDir":"/p","externalEtcd":{"caFile":"/p/../../x"}}`)},
		"EtcdIsCA":       {"two files in one place", head(`{"version":1,"certificatesDir":"/p","externalEtcd":{"caFile":"/p/ca.crt"}}`)},
		"Up":             {"path traversal", archive(t, file("../../root/.ssh/authorized_keys", "x"))},
		"UpInside":       {"path traversal behind a good beginning", archive(t, file("outside/../../x", "x"))},
		"Absolute":       {"an absolute path", archive(t, file("/etc/passwd", "x"))},
		"Backslash":      {"another system's path", archive(t, file(`outside/..\x`, "x"))},
		"Link":           {"a symbolic link", archive(t, &tar.Header{Name: "ca.crt", Typeflag: tar.TypeSymlink, Linkname: "/etc/shadow"})},
		"HardLink":       {"a hard link", archive(t, &tar.Header{Name: "ca.crt", Typeflag: tar.TypeLink, Linkname: "/etc/shadow"})},
		"Directory":      {"a directory", archive(t, &tar.Header{Name: "etcd/", Typeflag: tar.TypeDir})},
		"Device":         {"a device", archive(t, &tar.Header{Name: "ca.crt", Typeflag: tar.TypeChar})},
		"NotShared":      {"what each node makes", archive(t, file("apiserver.crt", "x"))},
		"Manifest":       {"a static pod", archive(t, file("manifests/evil.yaml", "x"))},
		"Twice":          {"which one counts?", archive(t, file("ca.crt", "x"), file("ca.crt", "y"))},
		"Large":          {"no certificate is so large", archive(t, file("ca.crt", strings.Repeat("x", maxFile+1)))},
		"Truncated":      {"the end of a file is missing", archive(t, file("ca.crt", strings.Repeat("x", 4000)))[:3000]},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			if b, err := Decode(c.data); !errors.Is(err, ErrDamaged) {
				t.Errorf("%s: Decode() = %v, %v, want ErrDamaged", c.reason, b, err)
			}
		})
	}
}

// FuzzDecode looks for archives that make the reader fall, or that lead out
// of where they belong.
func FuzzDecode(f *testing.F) {
	file := func(name, content string) *tar.Header {
		return &tar.Header{Name: name, Typeflag: tar.TypeReg, Linkname: content}
	}
	whole, err := bundleOf(controlPlane(f), externally(dir)).Encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(whole)
	f.Add(archive(f, file("ca.crt", "x"), file("outside/etc/kubernetes/enc.yaml", "y")))
	f.Add(archive(f, file("../x", "x")))
	f.Add(tarOf(f, file(manifestName, `{"version":1,"certificatesDir":"/p","externalEtcd":{"caFile":"/etc/x"}}`)))
	f.Fuzz(func(t *testing.T, data []byte) {
		b, err := Decode(data)
		if err != nil {
			if !errors.Is(err, ErrDamaged) {
				t.Errorf("%v is not ErrDamaged", err)
			}
			return
		}
		if err := b.move("/target"); err == nil {
			for name := range b.Files {
				at := b.Layout.Path(name)
				if strings.Contains(at, "..") && strings.Contains("/"+at+"/", "/../") || !strings.HasPrefix(at, "/target/") && !strings.HasPrefix(name, outside+"/") {
					t.Errorf("%q would be written to %s", name, at)
				}
			}
		}
		j := Judge{Layout: b.Layout, Leaves: leavesOf("cp-2", "10.0.0.12"), Travel: true, Now: now}
		j.Files(b.Files)
		again, err := b.Encode()
		if err != nil {
			t.Fatal(err)
		}
		c, err := Decode(again)
		if err != nil {
			t.Fatalf("what was read cannot be read again: %v", err)
		}
		if diff := cmp.Diff(b, c, cmp.AllowUnexported(Layout{}, shared{})); diff != "" {
			t.Errorf("-first +second:\n%s", diff)
		}
	})
}
