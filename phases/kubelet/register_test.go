package kubelet

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/hactl/hactl/config"
	"github.com/hactl/hactl/phases/host"
)

func TestUntilTry(t *testing.T) {
	for _, c := range []struct{ age, want time.Duration }{
		{0, 100 * time.Millisecond},
		{100 * time.Millisecond, 200 * time.Millisecond},
		{time.Second, 500 * time.Millisecond},
		{6200 * time.Millisecond, 100 * time.Millisecond},
		{6300 * time.Millisecond, 6400 * time.Millisecond},
		{12700 * time.Millisecond, 7 * time.Second},
		{time.Hour, 3700 * time.Millisecond},
	} {
		if got := untilTry(c.age); got != c.want {
			t.Errorf("a kubelet of %s tries again after %s, want %s", c.age, got, c.want)
		}
	}
}

func TestHurryRegistration(t *testing.T) {
	cases := map[string]struct {
		reason string
		age    time.Duration // 0: not started by this run
		want   bool
	}{
		"Soon":  {"the next try is near", 6 * time.Second, false},
		"Late":  {"the next try is 6 s away", 6500 * time.Millisecond, true},
		"Older": {"nothing tells when it tries", 0, true},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := host.NewMemory()
				m.SetService(config.KubeletUnit, host.ServiceStatus{Exists: true, Active: true})
				task := &Task{Host: m}
				if c.age > 0 {
					task.started = time.Now().Add(-c.age)
				}
				for i, want := range []bool{c.want, false} { // a second call finds it young
					if c.age > 0 && !c.want && i > 0 {
						break
					}
					got, err := task.HurryRegistration(t.Context())
					if err != nil || got != want {
						t.Errorf("%s: call %d: got %v, %v; want %v", c.reason, i, got, err, want)
					}
				}
			})
		})
	}
	if _, err := (&Task{Host: host.NewMemory()}).HurryRegistration(t.Context()); err == nil {
		t.Error("no error without a kubelet")
	}
}
