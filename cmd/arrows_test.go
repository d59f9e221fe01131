package cmd

import (
	"encoding/json"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/hactl/hactl/"

// ports are the packages that every phase family may use: they reach out of the
// process, or are what several families do alike.
var ports = []string{"phases", "phases/host", "phases/kube", "phases/wait", "phases/cri", "phases/symptom", "phases/membership"}

// leaves know nothing of phases.
var leaves = []string{"certs", "etcd", "templates", "templates/staticpod", "templates/patch", "templates/loadbalancer", "config", "config/kubeadm"}

// mayImport says which packages of ours a package may import; the second
// result is false for a package that no rule covers.
func mayImport(pkg string) ([]string, bool) {
	switch {
	case pkg == "cmd/hactl":
		return []string{"cmd", "app"}, true
	case pkg == "cmd" || strings.HasPrefix(pkg, "cmd/"):
		return []string{"app", "phases", "config", "config/kubeadm", "cmd/render"}, true
	case pkg == "app":
		return nil, true // checked by appImport
	case pkg == "phases", pkg == "certs", pkg == "etcd", pkg == "config":
		return nil, true
	case pkg == "config/goldentest":
		return nil, true // for tests only
	case pkg == "etcd/etcdtest":
		return []string{"etcd"}, true
	case pkg == "config/kubeadm":
		return []string{"config"}, true
	case pkg == "config/kubeadm/kubeadmtest":
		return []string{"config", "config/kubeadm"}, true
	case strings.HasPrefix(pkg, "templates"):
		return []string{"config", "templates/form", "templates/staticpod", "templates/patch"}, true
	case pkg == "phases/cri":
		return []string{"phases", "phases/host"}, true
	case pkg == "phases/symptom": // of units and of containers
		return []string{"phases", "phases/host", "phases/cri"}, true
	case pkg == "phases/membership":
		return []string{"phases", "phases/host", "phases/wait", "config", "etcd"}, true
	case pkg == "phases/kube":
		return []string{"phases", "phases/wait"}, true
	case slices.Contains(ports, pkg):
		return []string{"phases"}, true
	case strings.HasPrefix(pkg, "phases/"):
		if parent := pkg[:strings.LastIndex(pkg, "/")]; slices.Contains(ports, parent) && parent != "phases" {
			return append([]string{parent}, ports...), true // a port's test suite
		}
		return append(slices.Clone(ports), leaves...), true
	}
	return nil, false
}

type listed struct {
	ImportPath string
	Imports    []string
}

// TestArrows keeps cmd → app → phases → {certs, etcd, templates} → config.
func TestArrows(t *testing.T) {
	for _, p := range goList(t, "./...") {
		pkg := strings.TrimPrefix(p.ImportPath, module)
		if strings.HasPrefix(pkg, "e2e") {
			continue // the lab uses the binary
		}
		allowed, known := mayImport(pkg)
		if !known {
			t.Errorf("%s: no arrow begins here; add the package to ARCHITECTURE.md and to this test", pkg)
		}
		for _, i := range p.Imports {
			to, ours := strings.CutPrefix(i, module)
			if !ours {
				continue
			}
			if pkg == "app" && !strings.HasPrefix(to, "cmd") && !strings.HasPrefix(to, "e2e") {
				continue
			}
			if !slices.Contains(allowed, to) {
				t.Errorf("%s imports %s, against the arrows of ARCHITECTURE.md: move the code, not the rule", pkg, to)
			}
		}
	}
}

// TestNoKubernetes keeps k8s.io/kubernetes out: only the lab builds it.
func TestNoKubernetes(t *testing.T) {
	for _, p := range goList(t, "-deps", "./cmd/hactl") {
		if strings.HasPrefix(p.ImportPath, "k8s.io/kubernetes") {
			t.Errorf("hactl imports %s", p.ImportPath)
		}
	}
}

func goList(t *testing.T, args ...string) []listed {
	t.Helper()
	c := exec.Command("go", append([]string{"list", "-json=ImportPath,Imports"}, args...)...)
	c.Dir = ".."
	out, err := c.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	var list []listed
	for d := json.NewDecoder(strings.NewReader(string(out))); d.More(); {
		var p listed
		if err := d.Decode(&p); err != nil {
			t.Fatal(err)
		}
		list = append(list, p)
	}
	return list
}
