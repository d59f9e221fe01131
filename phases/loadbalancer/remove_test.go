package loadbalancer_test

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hactl/hactl/phases"
	"github.com/hactl/hactl/phases/host"
	"github.com/hactl/hactl/phases/loadbalancer"
	lbfiles "github.com/hactl/hactl/templates/loadbalancer"
)

// ofNode is a file that init or join made.
func ofNode(t *testing.T) []byte {
	t.Helper()
	server, err := lbfiles.ParseServer("cp-1=10.0.0.11:6443")
	if err != nil {
		t.Fatal(err)
	}
	data, err := lbfiles.HAProxy{Port: 8443, Servers: []lbfiles.Server{server}, OfNode: true}.Render()
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestRemove(t *testing.T) {
	byHand, err := lbfiles.HAProxy{Port: 8443, Servers: lbfiles.Servers(ofNode(t))}.Render()
	if err != nil {
		t.Fatal(err)
	}
	cases := map[string]struct {
		reason string
		file   []byte
		gone   bool
	}{
		"OfNode":  {"init made it", ofNode(t), true},
		"ByHand":  {"lb install made it", byHand, false},
		"Edited":  {"somebody changed it", append(ofNode(t), "# mine\n"...), false},
		"Foreign": {"somebody wrote it", []byte(other), false},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			h := newHost(t)
			h.write(cfg, string(c.file))
			h.write("/run/hactl/lb/haproxy.service.loaded", "sum")
			h.SetService("haproxy.service", host.ServiceStatus{Exists: true, Active: true, Enabled: true})
			var disabled []string
			h.Handle("systemctl", func(argv []string) ([]byte, error) {
				disabled = append(disabled, argv[1:]...)
				return nil, nil
			})
			if made, err := loadbalancer.Made(t.Context(), h); made != c.gone || err != nil {
				t.Errorf("%s: something to take away: %v, %v", c.reason, made, err)
			}
			list := []phases.Phase[loadbalancer.Removal]{loadbalancer.RemovePhase()}
			for range 2 {
				if err := phases.Run(t.Context(), list, &loadbalancer.Removal{Host: h}, phases.Options{}); err != nil {
					t.Fatalf("%s: %v", c.reason, err)
				}
			}
			if gone := h.file(cfg) == ""; gone != c.gone {
				t.Errorf("%s: gone: %v", c.reason, gone)
			}
			stopped := slices.Contains(h.actions, host.StopService)
			if stopped != c.gone {
				t.Errorf("%s: stopped: %v", c.reason, stopped)
			}
			want := []string{"disable", "haproxy.service"}
			if !c.gone {
				want = nil
			}
			if diff := cmp.Diff(want, disabled); diff != "" {
				t.Errorf("%s: -want +got\n%s", c.reason, diff)
			}
		})
	}
}
