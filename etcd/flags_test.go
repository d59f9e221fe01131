package etcd_test

import (
	"testing"

	"github.com/hactl/hactl/etcd"
)

func TestHostOf(t *testing.T) {
	cases := map[string]struct{ reason, url, want string }{
		"IPv4":   {"as it is written", "https://10.0.0.11:2380", "10.0.0.11"},
		"IPv6":   {"in its shortest form, without brackets", "https://[fd00:0::11]:2380", "fd00::11"},
		"Mapped": {"an IPv4 address in the form of IPv6 is the same host", "https://[::ffff:10.0.0.11]:2380", "10.0.0.11"},
		"Name":   {"a name is one", "https://etcd-1.lab:2379", "etcd-1.lab"},
		"NoURL":  {"what cannot be read has none", "https://%zz", ""},
		"None":   {"it has none", "", ""},
	}
	for name, c := range cases {
		if got := etcd.HostOf(c.url); got != c.want {
			t.Errorf("%s: %s: want %q, got %q", name, c.reason, c.want, got)
		}
	}
}
