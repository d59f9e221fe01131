package journal

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode"

	"sigs.k8s.io/yaml"
)

// Flatten makes path and value out of configuration documents in YAML
// ("clusterConfiguration.networking.podSubnet"), as Record.Config holds them.
// The first element of a path is the document's kind. A list of plain values
// is one value; elements with a name are told apart by it
// ("apiServer.extraArgs[v].value"). Paths that without names, and what lies
// below them, are left out: secrets, and what may change from run to run. The
// values of environment variables and HTTP headers, which may be secret, are
// fingerprints.
func Flatten(documents []byte, without ...string) (map[string]string, error) {
	f := flattener{out: map[string]string{}, without: without}
	for _, doc := range bytes.Split(documents, []byte("\n---\n")) {
		var head struct {
			Kind string `json:"kind"`
		}
		if err := yaml.Unmarshal(doc, &head); err != nil {
			return nil, fmt.Errorf("flatten the configuration: %w", err)
		}
		if head.Kind == "" {
			continue
		}
		kind := []rune(head.Kind)
		kind[0] = unicode.ToLower(kind[0])
		data, err := yaml.YAMLToJSON(doc)
		if err != nil {
			return nil, fmt.Errorf("flatten the configuration: %w", err)
		}
		if err := f.value(string(kind), data); err != nil {
			return nil, fmt.Errorf("flatten the configuration: %w", err)
		}
	}
	return f.out, nil
}

type flattener struct {
	out     map[string]string
	without []string
}

func (f *flattener) value(path string, data json.RawMessage) error {
	if slices.ContainsFunc(f.without, func(w string) bool {
		return path == w || strings.HasPrefix(path, w+".") || strings.HasPrefix(path, w+"[")
	}) {
		return nil
	}
	switch data[0] {
	case '{':
		return f.fields(path, data)
	case '[':
		return f.elements(path, data)
	}
	f.set(path, plain(data))
	return nil
}

func (f *flattener) fields(path string, data json.RawMessage) error {
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(data, &fields); err != nil {
		return err
	}
	for name, value := range fields {
		if name == "apiVersion" || name == "kind" {
			continue
		}
		if err := f.value(path+"."+name, value); err != nil {
			return err
		}
	}
	return nil
}

func (f *flattener) elements(path string, data json.RawMessage) error {
	var list []json.RawMessage
	if err := json.Unmarshal(data, &list); err != nil {
		return err
	}
	var words []string
	seen := map[string]int{}
	for i, element := range list {
		if element[0] != '{' && element[0] != '[' {
			words = append(words, plain(element))
			continue
		}
		if err := f.value(path+"["+index(element, i, seen)+"]", element); err != nil {
			return err
		}
	}
	if len(words) > 0 {
		f.set(path, strings.Join(words, ","))
	}
	return nil
}

// index tells an element from the others: by its name and how often the name
// came before, or by its place.
func index(element json.RawMessage, place int, seen map[string]int) string {
	var named struct {
		Name string `json:"name"`
	}
	if json.Unmarshal(element, &named) != nil || named.Name == "" {
		return fmt.Sprint(place)
	}
	seen[named.Name]++
	if n := seen[named.Name]; n > 1 {
		return fmt.Sprintf("%s#%d", named.Name, n)
	}
	return named.Name
}

// hidden are values that may be secret.
var hidden = regexp.MustCompile(`\.extraEnvs\[[^\]]*\]\.value$|\.staticPodURLHeader\.`)

// set leaves out what is not set.
func (f *flattener) set(path, value string) {
	if value == "" || value == "null" {
		return
	}
	if hidden.MatchString(path) {
		value = fingerprint(value)
	}
	f.out[path] = value
}

// plain is a value without quotes.
func plain(data json.RawMessage) string {
	var text string
	if json.Unmarshal(data, &text) == nil && data[0] == '"' {
		return text
	}
	return string(data)
}

// fingerprint tells contents apart without showing them.
func fingerprint(content string) string {
	sum := sha256.Sum256([]byte(content))
	return "sha256:" + hex.EncodeToString(sum[:8])
}
