//go:build linux

package nodes

import (
	"errors"
	"fmt"
	"net/netip"
	"regexp"
	"strconv"
	"strings"
)

// Role says what a node is for.
type Role string

// The roles, as they begin the nodes' names.
const (
	ControlPlane Role = "cp"     // containerd and kubelet
	Worker       Role = "worker" // the same; only tests treat it differently
	LoadBalancer Role = "lb"     // HAProxy in front of the control planes
	EtcdHost     Role = "etcd"   // as a worker; for etcd outside of the cluster
)

// Every lab uses the same addresses: no two labs can see each other.
var (
	subnet  = netip.MustParsePrefix("10.77.0.0/24")
	gateway = netip.MustParseAddr("10.77.0.1")
)

// bridge is the name of the lab's switch, inside the lab's namespace.
const bridge = "lab0"

// block is where the addresses of a role begin, and how many there are.
var blocks = map[Role]struct{ first, count int }{
	LoadBalancer: {11, 9},
	ControlPlane: {21, 79},
	Worker:       {101, 100},
	EtcdHost:     {201, 50},
}

// SpareAddress is an address that no node ever has, for virtual IP addresses.
var SpareAddress = netip.MustParseAddr("10.77.0.5")

var labName = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,22}[a-z0-9])?$`)

func checkName(name string) error {
	if !labName.MatchString(name) {
		return fmt.Errorf("lab name %q: want 1 to 24 of a-z, 0-9 and -, not at an end", name)
	}
	return nil
}

// address is the node's place in the subnet, decided by its name alone, so
// that it survives everything that happens to the node.
func address(role Role, number int) (netip.Addr, error) {
	block, ok := blocks[role]
	if !ok || number < 1 || number > block.count {
		return netip.Addr{}, fmt.Errorf("no address for node %s-%d: want 1 to %d", role, number, block.count)
	}
	ip := subnet.Addr().As4()
	ip[3] = byte(block.first + number - 1)
	return netip.AddrFrom4(ip), nil
}

// AddressOf is the address of the node of that name, in every lab that has
// one.
func AddressOf(name string) (netip.Addr, error) {
	role, number, err := parseName(name)
	if err != nil {
		return netip.Addr{}, err
	}
	return address(role, number)
}

// parseName splits a node's name into its role and number.
func parseName(name string) (Role, int, error) {
	role, digits, _ := strings.Cut(name, "-")
	number, err := strconv.Atoi(digits)
	if err != nil || strconv.Itoa(number) != digits {
		return "", 0, fmt.Errorf("node name %q: want cp-1, worker-1, etcd-1, lb-1 or the like", name)
	}
	_, err = address(Role(role), number)
	return Role(role), number, err
}

// podSubnet is the /24 of the pods of the node with this address.
func podSubnet(pods netip.Prefix, node netip.Addr) (netip.Prefix, error) {
	if !pods.IsValid() || !pods.Addr().Is4() || pods.Bits() > 16 {
		return netip.Prefix{}, errors.New("the lab's pod network wants an IPv4 range of /16 or larger, such as 10.244.0.0/16")
	}
	ip := pods.Masked().Addr().As4()
	ip[2] = node.As4()[3]
	return netip.PrefixFrom(netip.AddrFrom4(ip), 24), nil
}

// plan lists the names of the nodes that o asks for, control planes first.
func (o Options) plan() ([]string, error) {
	var names []string
	for _, part := range []struct {
		role  Role
		count int
	}{{ControlPlane, o.ControlPlanes}, {Worker, o.Workers}, {EtcdHost, o.EtcdHosts}, {LoadBalancer, o.LoadBalancers}} {
		if part.count < 0 {
			return nil, fmt.Errorf("%d nodes of role %s", part.count, part.role)
		}
		for number := 1; number <= part.count; number++ {
			if _, err := address(part.role, number); err != nil {
				return nil, err
			}
			names = append(names, fmt.Sprintf("%s-%d", part.role, number))
		}
	}
	if len(names) == 0 {
		return nil, errors.New("a lab needs at least one node")
	}
	return names, nil
}
