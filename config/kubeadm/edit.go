package kubeadm

import (
	"strings"

	"go.yaml.in/yaml/v3"
)

func scalar(value string) *yaml.Node {
	return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: value}
}

// child returns a key of a mapping and its value, or nil.
func child(n *yaml.Node, name string) (key, value *yaml.Node) {
	if n.Kind != yaml.MappingNode {
		return nil, nil
	}
	for _, e := range entries(n) {
		if e.key.Value == name {
			return e.key, e.value
		}
	}
	return nil, nil
}

// at follows a path such as "etcd.local.extraArgs"; it follows no alias.
func at(n *yaml.Node, path string) (key, value *yaml.Node) {
	value = n
	for _, name := range strings.Split(path, ".") {
		if value == nil {
			return nil, nil
		}
		key, value = child(value, name)
	}
	return key, value
}

// remove takes a field out of a mapping; it returns nil if it is not there.
func remove(n *yaml.Node, path string) (key, value *yaml.Node) {
	if i := strings.LastIndex(path, "."); i >= 0 {
		if _, n = at(n, path[:i]); n == nil {
			return nil, nil
		}
		path = path[i+1:]
	}
	if n.Kind != yaml.MappingNode {
		return nil, nil
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == path {
			key, value = n.Content[i], n.Content[i+1]
			n.Content = append(n.Content[:i:i], n.Content[i+2:]...)
			return key, value
		}
	}
	return nil, nil
}

// set writes a field, with the maps around it and the comments of the key
// that it had.
func set(n *yaml.Node, path string, old, value *yaml.Node) {
	names := strings.Split(path, ".")
	for _, name := range names[:len(names)-1] {
		_, inner := child(n, name)
		if inner == nil || inner.Kind != yaml.MappingNode {
			remove(n, name)
			inner = &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map"}
			n.Content = append(n.Content, scalar(name), inner)
		}
		n = inner
	}
	key := scalar(names[len(names)-1])
	key.HeadComment, key.LineComment, key.FootComment = old.HeadComment, old.LineComment, old.FootComment
	remove(n, key.Value)
	n.Content = append(n.Content, key, value)
}
