package kubeadm

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/hactl/hactl/config"
)

// document is one YAML or JSON document of a file.
type document struct {
	root  *yaml.Node // of the mapping; its lines count from the file's start
	whole *yaml.Node // root, with the comments around it
	text  []byte     // as it stands in the file, nil if it cannot be told
	line  int        // of the file, where text begins, from 1
	gvk   groupVersionKind
}

type groupVersionKind struct{ group, version, kind string }

func (g groupVersionKind) apiVersion() string {
	if g.group == "" {
		return g.version
	}
	return g.group + "/" + g.version
}

// parse splits data into its documents. What cannot be parsed is a problem,
// and the documents after it are parsed all the same.
func parse(data []byte) ([]document, []config.Problem) {
	var docs []document
	var problems []config.Problem
	for _, c := range split(data) {
		roots, err := c.parse()
		if err != nil {
			problems = append(problems, c.syntaxProblem(err))
			continue
		}
		for i, root := range roots {
			doc := document{root: root.Content[0], whole: root, text: c.text, line: c.line}
			if i > 0 || len(roots) > 1 { // without a separator line
				doc.text = nil
			}
			docs = append(docs, doc)
		}
	}
	return docs, problems
}

// chunk is the text between two separator lines.
type chunk struct {
	text []byte
	line int
}

// split cuts at the lines that begin with "---", as kubeadm does, and
// between JSON documents that follow each other without one.
func split(data []byte) []chunk {
	var chunks []chunk
	start, line, first := 0, 1, 1
	flush := func(end int) {
		c := chunk{text: data[start:end], line: first}
		chunks = append(chunks, c.splitJSON()...)
	}
	for at := 0; at < len(data); line++ {
		end := len(data)
		if i := bytes.IndexByte(data[at:], '\n'); i >= 0 {
			end = at + i + 1
		}
		if isSeparator(data[at:end]) {
			flush(at)
			start, first = end, line+1
		}
		at = end
	}
	flush(len(data))
	return chunks
}

// isSeparator says whether the line only parts two documents; "--- {}" does
// more than that.
func isSeparator(line []byte) bool {
	rest, ok := bytes.CutPrefix(line, []byte("---"))
	rest = bytes.TrimSpace(rest)
	return ok && (len(rest) == 0 || rest[0] == '#')
}

func (c chunk) splitJSON() []chunk {
	if !bytes.HasPrefix(bytes.TrimSpace(c.text), []byte("{")) {
		return []chunk{c}
	}
	var chunks []chunk
	d := json.NewDecoder(bytes.NewReader(c.text))
	at := 0
	for {
		var raw json.RawMessage
		if err := d.Decode(&raw); err != nil {
			break
		}
		end := int(d.InputOffset())
		start := end - len(raw) // without the space before, which YAML may not like
		chunks = append(chunks, chunk{c.text[start:end], c.line + bytes.Count(c.text[:start], []byte("\n"))})
		at = end
	}
	if len(bytes.TrimSpace(c.text[at:])) > 0 { // not JSON, or not only
		return []chunk{c}
	}
	return chunks
}

// parse returns document nodes, those without content left out.
func (c chunk) parse() ([]*yaml.Node, error) {
	var roots []*yaml.Node
	d := yaml.NewDecoder(bytes.NewReader(c.text))
	for {
		var n yaml.Node
		err := d.Decode(&n)
		if errors.Is(err, io.EOF) {
			return roots, nil
		}
		if err != nil {
			return nil, err
		}
		if len(n.Content) == 0 || isNull(n.Content[0]) {
			continue
		}
		move(&n, c.line-1)
		roots = append(roots, &n)
	}
}

func isNull(n *yaml.Node) bool {
	return n.Kind == yaml.ScalarNode && classify(n) == nullScalar
}

// move shifts the lines of a tree. Aliases are not followed: what they
// point to is in the tree already.
func move(n *yaml.Node, lines int) {
	n.Line += lines
	for _, child := range n.Content {
		move(child, lines)
	}
}

var (
	syntaxLine = regexp.MustCompile(`^yaml: line (\d+): `)
	// parserWords begin the errors whose lines count from 0
	// (go.yaml.in/yaml/v3 v3.0.4, decode.go: fail counts from 1 for the
	// scanner's errors only).
	parserWords = regexp.MustCompile(`^did not find expected (<|node|'-'|key|',')`)
)

// syntaxProblem gives the parser's words, at the first word of the line that
// they name.
func (c chunk) syntaxProblem(err error) config.Problem {
	what := strings.TrimPrefix(err.Error(), "yaml: ")
	line := 1
	if m := syntaxLine.FindStringSubmatch(err.Error()); m != nil {
		line, _ = strconv.Atoi(m[1])
		what = strings.TrimPrefix(err.Error(), m[0])
		if parserWords.MatchString(what) {
			line++
		}
	}
	p := config.Problem{What: "is not YAML: " + what, Line: c.line + line - 1, Column: 1}
	lines := bytes.Split(c.text, []byte("\n"))
	if line >= 1 && line <= len(lines) {
		text := string(lines[line-1])
		p.Column = len(text) - len(strings.TrimLeft(text, " \t")) + 1
		if strings.HasPrefix(strings.TrimLeft(text, " "), "\t") {
			p.Fix = "indent with spaces; this line has a tab"
		}
	}
	return p
}

// identify reads apiVersion and kind.
func (d *document) identify() *config.Problem {
	if d.root.Kind != yaml.MappingNode {
		return &config.Problem{
			What: fmt.Sprintf("expected a document with apiVersion and kind, got %s", describe(d.root, plainValue)),
			Line: d.root.Line, Column: d.root.Column,
		}
	}
	for _, e := range entries(d.root) {
		if resolve(e.value).Kind != yaml.ScalarNode {
			continue
		}
		switch value := resolve(e.value).Value; e.key.Value {
		case "kind":
			d.gvk.kind = value
		case "apiVersion":
			group, version, ok := strings.Cut(value, "/")
			if !ok {
				group, version = "", value
			}
			d.gvk.group, d.gvk.version = group, version
		}
	}
	for name, value := range map[string]string{"apiVersion": d.gvk.version, "kind": d.gvk.kind} {
		if value == "" {
			return &config.Problem{
				What: "the document has no " + name, Line: d.root.Line, Column: d.root.Column,
				Fix: "begin it with, for instance: apiVersion: kubeadm.k8s.io/v1beta4 and kind: ClusterConfiguration",
			}
		}
	}
	return nil
}
