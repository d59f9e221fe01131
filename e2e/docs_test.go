//go:build e2e

package e2e

import (
	"bytes"
	"flag"
	"maps"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/hactl/hactl/e2e/nodes"
	"github.com/hactl/hactl/e2e/pages"
)

// A page runs in the lab with the names that it has, and with these in place
// of what no page can know:
//
//	10.0.0.11 … 19       the addresses of cp-1 … cp-9
//	10.0.0.21 … 29       those of worker-1 …
//	10.0.0.31 … 39       those of etcd-1 …
//	10.0.0.98, .99       those of lb-1 and lb-2
//	10.0.0.100           the lab's spare address, for a virtual address
//	lb.example.com       the address of the lab's load balancer
//	--flag …             what an earlier command of the page printed behind --flag
//	token: …             the same, in a file; and certificateKey, caCertHashes
//
// Commands run in /root, with admin.conf as KUBECONFIG; passphrases are typed.
const typed = "only for this test of hactl"

// page is one of docs/ as a test runs it.
type page struct {
	name   string
	test   string
	lab    *nodes.Lab
	blocks []pages.Block
	run    map[int]bool // by the line of the block

	mu      sync.Mutex
	printed map[string]string // by the flag
}

// openPage reads a page. When the test ends, it must have run all blocks that
// name it. Its nodes may use ssh and scp between each other from then on.
func openPage(t *testing.T, lab *nodes.Lab, name string) *page {
	t.Helper()
	data, err := os.ReadFile(path.Join("../docs", name))
	if err != nil {
		t.Fatal(err)
	}
	blocks, err := pages.Parse(string(data))
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	p := &page{name: name, test: t.Name(), lab: lab, blocks: blocks, run: map[int]bool{}, printed: map[string]string{}}
	befriend(t, lab)
	t.Cleanup(func() {
		for _, b := range p.blocks {
			part := strings.Contains(flag.Lookup("test.run").Value.String(), "/")
			if b.Run(p.test) && !p.run[b.Line] && !t.Failed() && !part {
				t.Errorf("%s:%d names this test, which has not run it", name, b.Line)
			}
		}
	})
	return p
}

// section runs the blocks below a heading that name the test, in order. A
// command that ends with another code than the page tells ends the test.
func (p *page) section(t *testing.T, heading string) {
	t.Helper()
	found := false
	for _, b := range p.blocks {
		if b.Section != heading || !b.Run(p.test) {
			continue
		}
		found, p.run[b.Line] = true, true
		if b.File != "" {
			p.write(t, b)
			continue
		}
		commands, err := b.Commands()
		if err != nil {
			t.Fatalf("%s: %v", p.name, err)
		}
		for _, c := range commands {
			p.command(t, c)
		}
	}
	if !found {
		t.Fatalf("%s has no block for %s below %q", p.name, p.test, heading)
	}
}

// atOnce is section for commands that are started at the same time.
func (p *page) atOnce(t *testing.T, heading string) {
	t.Helper()
	var running sync.WaitGroup
	for _, b := range p.blocks {
		if b.Section != heading || !b.Run(p.test) {
			continue
		}
		p.run[b.Line] = true
		commands, err := b.Commands()
		if err != nil {
			t.Fatalf("%s: %v", p.name, err)
		}
		for _, c := range commands {
			text := p.fill(t, c.Text)
			for _, name := range c.Hosts {
				n := p.host(t, name)
				running.Go(func() { p.on(t, n, c, text) })
			}
		}
	}
	running.Wait()
	if t.Failed() {
		t.FailNow()
	}
}

// know takes what an init printed that no page shows.
func (p *page) know(r initResult) {
	p.printed["--token"], p.printed["--discovery-token-ca-cert-hash"], p.printed["--certificate-key"] = r.Join.Token, r.Join.CACertHash, r.CertificateKey
}

// joins is what the page's init printed, for joins that no page shows.
func (p *page) joins(t *testing.T, endpoint string) initResult {
	t.Helper()
	var r initResult
	r.Endpoint = endpoint
	r.Join.Token, r.Join.CACertHash, r.CertificateKey = p.printed["--token"], p.printed["--discovery-token-ca-cert-hash"], p.printed["--certificate-key"]
	if r.Join.Token == "" || r.Join.CACertHash == "" || r.CertificateKey == "" {
		t.Fatalf("%s: init has not printed all of a join command", p.name)
	}
	r.Join.WorkerCommand = "hactl join " + r.Endpoint + " --token " + r.Join.Token + " --discovery-token-ca-cert-hash " + r.Join.CACertHash
	r.Join.ControlPlaneCommand = r.Join.WorkerCommand + " --control-plane --certificate-key " + r.CertificateKey
	return r
}

func (p *page) write(t *testing.T, b pages.Block) {
	t.Helper()
	for _, h := range b.Hosts {
		file := b.File
		if !path.IsAbs(file) {
			file = path.Join("/root", file)
		}
		if err := p.host(t, h).WriteFile(t.Context(), file, []byte(p.fill(t, b.Text)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func (p *page) host(t *testing.T, name string) *nodes.Node {
	t.Helper()
	n := p.lab.Node(name)
	if n == nil {
		t.Fatalf("%s: the lab has no %s", p.name, name)
	}
	return n
}

// command runs a command on all of its hosts at the same time.
func (p *page) command(t *testing.T, c pages.Command) {
	t.Helper()
	text := p.fill(t, c.Text)
	for i, line := range c.Output {
		c.Output[i] = p.addresses(t, line)
	}
	var running sync.WaitGroup
	for _, name := range c.Hosts {
		n := p.host(t, name)
		running.Go(func() { p.on(t, n, c, text) })
	}
	running.Wait()
	if t.Failed() {
		t.FailNow()
	}
}

func (p *page) on(t *testing.T, n *nodes.Node, c pages.Command, text string) {
	argv, input := []string{"sh", "-c", text}, ""
	if slices.ContainsFunc(c.Output, func(line string) bool { return strings.HasPrefix(line, "Passphrase") }) {
		argv, input = []string{"script", "-qec", text, "/dev/null"}, typed+"\n"+typed+"\n"
	}
	command, err := n.Command(t.Context(), append([]string{"env", "-C", "/root", admin}, argv...)...)
	if err != nil {
		t.Error(err)
		return
	}
	var out bytes.Buffer
	command.Stdin, command.Stdout, command.Stderr = strings.NewReader(input), &out, &out
	began := time.Now()
	if err := command.Run(); err != nil && command.ProcessState == nil {
		t.Error(err)
		return
	}
	printed := strings.ReplaceAll(out.String(), "\r", "")
	t.Logf("%s: %s# %s took %.1f s", p.name, n.Name(), text, time.Since(began).Seconds())
	if code := command.ProcessState.ExitCode(); code != c.Code {
		t.Errorf("exit code %d, want %d\n%s", code, c.Code, printed)
	} else if line := c.Missing(printed); line != "" {
		t.Errorf("the page says that it prints\n%s\nand it prints\n%s", line, printed)
	}
	p.remember(printed)
}

var printedFlag = regexp.MustCompile(`(--[a-z-]+)[ =]([^\s…-][^\s…]*)`)

// remember keeps the values of all flags that a command printed.
func (p *page) remember(printed string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, f := range printedFlag.FindAllStringSubmatch(printed, -1) {
		p.printed[f[1]] = f[2]
	}
}

var (
	documented = regexp.MustCompile(`\b10\.0\.0\.(\d+)\b`)
	leftOut    = regexp.MustCompile(`(--[a-z-]+)([ =])[a-z0-9:]*…`)
	inFile     = regexp.MustCompile(`(\w+)(: \[?"?)(?:sha256:)?…`)
)

// fill puts the lab's values into what the page shows.
func (p *page) fill(t *testing.T, text string) string {
	t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	value := func(flag string) string {
		same := map[string]string{
			"token": "--token", "certificateKey": "--certificate-key",
			"caCertHashes": "--discovery-token-ca-cert-hash", "--ca-cert-hash": "--discovery-token-ca-cert-hash",
		}
		for _, name := range []string{flag, same[flag]} {
			if v := p.printed[name]; v != "" {
				return v
			}
		}
		t.Fatalf("%s: no command has printed what stands behind %s, only %v", p.name, flag, slices.Sorted(maps.Keys(p.printed)))
		return ""
	}
	for _, of := range []*regexp.Regexp{leftOut, inFile} {
		text = of.ReplaceAllStringFunc(text, func(found string) string {
			m := of.FindStringSubmatch(found)
			return m[1] + m[2] + value(m[1])
		})
	}
	return p.addresses(t, text)
}

// addresses puts the lab's addresses in place of the page's.
func (p *page) addresses(t *testing.T, text string) string {
	t.Helper()
	balancer, _, _ := strings.Cut(p.lab.Endpoint(), ":")
	text = strings.ReplaceAll(text, "lb.example.com", balancer)
	return documented.ReplaceAllStringFunc(text, func(found string) string {
		digits := documented.FindStringSubmatch(found)[1]
		if digits == "100" {
			return nodes.SpareAddress.String()
		}
		name := map[string]string{"98": "lb-1", "99": "lb-2"}[digits]
		if role := map[byte]string{'1': "cp-", '2': "worker-", '3': "etcd-"}[digits[0]]; len(digits) == 2 && role != "" {
			name = role + digits[1:]
		}
		address, err := nodes.AddressOf(name)
		if err != nil {
			t.Fatalf("%s: %s stands for no node: %v", p.name, found, err)
		}
		return address.String()
	})
}

// befriend lets all nodes log in on each other as root.
func befriend(t *testing.T, lab *nodes.Lab) {
	t.Helper()
	first := lab.Nodes()[0]
	must(t, first, "sh", "-c", "test -e /root/.ssh/id_ed25519 || ssh-keygen -q -t ed25519 -N '' -f /root/.ssh/id_ed25519")
	key, err := first.ReadFile(t.Context(), "/root/.ssh/id_ed25519")
	if err != nil {
		t.Fatal(err)
	}
	signer, err := ssh.ParsePrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	var running sync.WaitGroup
	for _, n := range lab.Nodes() {
		running.Go(func() {
			for file, data := range map[string][]byte{
				"id_ed25519": key, "authorized_keys": ssh.MarshalAuthorizedKey(signer.PublicKey()),
				"config": []byte("StrictHostKeyChecking no\nUserKnownHostsFile /dev/null\nLogLevel ERROR\n"),
			} {
				if err := n.WriteFile(t.Context(), path.Join("/root/.ssh", file), data, 0o600); err != nil {
					t.Error(err)
				}
			}
			if _, err := n.Run(t.Context(), "systemctl", "start", "ssh"); err != nil {
				t.Error(err)
			}
		})
	}
	running.Wait()
}
