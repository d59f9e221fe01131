package render

import "sigs.k8s.io/yaml"

// yamlResult is text whose result is YAML.
type yamlResult struct{ text }

func (y *yamlResult) Result(r Result) error {
	y.finish()
	data, err := yaml.Marshal(r)
	if err != nil {
		return err
	}
	_, err = y.out.Write(data)
	return err
}
