package preflight

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"regexp"
	"strconv"
	"strings"
	"syscall"
)

// The ports of a control-plane node (kubeadm v1.37
// cmd/kubeadm/app/constants/constants.go).
const (
	schedulerPort  = 10259
	managerPort    = 10257
	kubeletPort    = 10250
	etcdClientPort = 2379
	etcdPeerPort   = 2380
)

// port is a port that a component will listen on.
type port struct {
	number    int
	component string // the name of its program
	on        []string
	fix       string // another way out, may be empty
}

func (t *Task) portChecks(f *facts) []Check {
	list := []port{
		{number: t.BindPort, component: "kube-apiserver", fix: "or let kube-apiserver use another port: --apiserver-bind-port"},
		{number: schedulerPort, component: "kube-scheduler"},
		{number: managerPort, component: "kube-controller-manager"},
		{number: kubeletPort, component: "kubelet"},
	}
	if !t.ExternalEtcd {
		// etcd listens on these two, see KUBEADM.md 1.8.
		on := []string{t.AdvertiseAddress.String(), "127.0.0.1"}
		if t.AdvertiseAddress.Is6() {
			on[1] = "::1"
		}
		list = append(list,
			port{number: etcdClientPort, component: "etcd", on: on},
			port{number: etcdPeerPort, component: "etcd", on: on[:1]})
	}
	var checks []Check
	for _, p := range list {
		if p.on == nil {
			p.on = []string{t.Bind[p.number]}
		}
		checks = append(checks, Check{fmt.Sprintf("Port-%d", p.number), func(ctx context.Context) ([]string, error) {
			return nil, t.free(ctx, f, p)
		}})
	}
	return checks
}

// free wants the port to be free, or taken by this node's own component.
func (t *Task) free(ctx context.Context, f *facts, p port) error {
	for _, address := range p.on {
		err := t.Listen(net.JoinHostPort(address, strconv.Itoa(p.number)))
		switch {
		case err == nil, errors.Is(err, syscall.EADDRNOTAVAIL):
			// That the machine lacks the address is another check's word.
		case errors.Is(err, syscall.EADDRINUSE):
			holders := t.holders(ctx, p.number)
			if f.resumed && ownedBy(p.component, holders) {
				return nil
			}
			return taken(p, holders)
		case errors.Is(err, fs.ErrPermission):
			return fault(fmt.Sprintf("port %d may not be used", p.number), err, "run hactl as root")
		default:
			return fault(fmt.Sprintf("port %d cannot be used", p.number), err, find(p.number))
		}
	}
	return nil
}

// holder is a process that listens.
type holder struct {
	name string // as the kernel keeps it, 15 bytes at most
	pid  string
}

// holders are the processes that listen on the port, as far as ss knows them;
// none if it does not tell.
func (t *Task) holders(ctx context.Context, number int) []holder {
	ctx, cancel := context.WithTimeout(ctx, commandLimit)
	defer cancel()
	out, err := t.Host.Probe(ctx, "ss", "-Hltnp", fmt.Sprintf("sport = :%d", number))
	if err != nil {
		return nil
	}
	var list []holder
	for _, m := range regexp.MustCompile(`\("([^"]+)",pid=(\d+)`).FindAllStringSubmatch(string(out), -1) {
		h := holder{name: m[1], pid: m[2]}
		if len(list) == 0 || list[len(list)-1] != h {
			list = append(list, h)
		}
	}
	return list
}

// ownedBy says whether nobody but the component can be seen to listen.
func ownedBy(component string, holders []holder) bool {
	for _, h := range holders {
		if h.name == "" || !strings.HasPrefix(component, h.name) {
			return false
		}
	}
	return true
}

func taken(p port, holders []holder) error {
	what := fmt.Sprintf("port %d is taken", p.number)
	fixes := []string{find(p.number)}
	var why error
	if len(holders) > 0 {
		h := holders[0]
		why = fmt.Errorf("%s (pid %s) listens on it", h.name, h.pid)
		fixes = []string{fmt.Sprintf("stop %s; this tells the service it belongs to: systemctl status %s", h.name, h.pid)}
		if ownedBy(p.component, holders) {
			fixes = []string{"if this machine is a node already and should not be: hactl reset"}
		}
	}
	if p.fix != "" {
		fixes = append(fixes, p.fix)
	}
	return fault(what, why, fixes...)
}

func find(number int) string {
	return fmt.Sprintf("find out who listens, and stop it: ss -ltnp 'sport = :%d'", number)
}
