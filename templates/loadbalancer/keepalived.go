package loadbalancer

import (
	"errors"
	"fmt"
	"net/netip"
)

// State is how a host begins, in VRRP's words.
type State string

// The states. Exactly one host of a virtual address begins as the first.
const (
	Main   State = "MASTER"
	Backup State = "BACKUP"
)

// Keepalived is what keepalived.conf is made from. All hosts of one virtual
// address have the same parameters but for State, Priority, and Source and
// Peers.
type Keepalived struct {
	// Process is the program that balances here ("haproxy"), Port where it
	// listens.
	Process   string
	Port      uint16
	Check     Check
	Interface string
	State     State
	Priority  int          // 1 to 254, of each host another
	RouterID  int          // 1 to 255, the same on all hosts, of no other VRRP group in the network
	Address   netip.Prefix // the virtual address
	// Source and Peers, if set, are this host's address and those of the
	// others: they talk to each other only, for networks without multicast.
	Source netip.Addr
	Peers  []netip.Addr
}

// The priorities of the guide: the first host has the higher one, the last
// the lower one.
const (
	highest = 200
	lowest  = 100
)

// Priority is that of a host by its place among all, from 0: the first has
// 200, the last 100, those between them what is between.
func Priority(place, hosts int) int {
	if hosts < 2 {
		return highest
	}
	return highest - place*(highest-lowest)/(hosts-1)
}

// Render returns the file.
func (k Keepalived) Render() ([]byte, error) {
	if err := errors.Join(
		within("the priority", k.Priority, 254), within("the router ID", k.RouterID, 255)); err != nil {
		return nil, err
	}
	if !k.Address.IsValid() || k.Interface == "" {
		return nil, errors.New("a virtual address needs its network and its interface")
	}
	return signed("keepalived.conf", k)
}

func within(what string, n, most int) error {
	if n < 1 || n > most {
		return fmt.Errorf("%s is %d, not 1 to %d", what, n, most)
	}
	return nil
}

// Penalty is taken from the priority while no API server answers here. It is
// more than the priorities of two hosts differ by, so that every host that
// reaches an API server comes before every one that does not.
func (Keepalived) Penalty() int { return highest - lowest + 20 }

// Probe is the address to check this host's balancer at.
func (k Keepalived) Probe() string {
	host := "127.0.0.1"
	if k.Address.Addr().Is6() {
		host = "[::1]"
	}
	return fmt.Sprintf("https://%s:%d/readyz", host, k.Port)
}

// Readyz says whether an API server must say that it is ready, not only
// answer.
func (k Keepalived) Readyz() bool { return k.Check != CheckTCP }
