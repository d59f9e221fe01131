package member

import (
	"errors"
	"fmt"

	corev1 "k8s.io/api/core/v1"

	"github.com/hactl/hactl/etcd"
	"github.com/hactl/hactl/phases"
	"github.com/hactl/hactl/phases/membership"
	"github.com/hactl/hactl/templates/staticpod"
)

// joinAgain is how every refusal of a join ends.
const joinAgain = "then run the same join again"

// words are what people call this node and the others, and what they type
// there.
func (t *JoinTask) words() membership.Words {
	w := words()
	w.MakeRoom = []string{
		"if this node need not keep anything: hactl reset",
		"to keep the data, move it aside: " + etcd.SetAside(t.Cluster.Etcd.Local.DataDir),
	}
	return w
}

// words are those that need no join.
func words() membership.Words {
	return membership.Words{
		Machine: "node", Peer: "control-plane node", Again: joinAgain,
		Remove: "hactl node remove", Leave: "hactl reset", Lost: "hactl reset on this node",
		Address: "--apiserver-advertise-address ADDRESS", Directory: "etcd.local.dataDir",
		Logs: []string{
			"see what etcd says: crictl logs $(crictl ps -a --name etcd -q | head -1)",
			"see what the kubelet says: journalctl -xeu kubelet",
		},
		PeerLogs: "systemctl status kubelet, crictl ps -a --name etcd on that node",
		Reach: []string{
			"open port 2379 of the control-plane nodes to this node",
			"see whether etcd runs there: crictl ps -a --name etcd",
		},
	}
}

func (t *JoinTask) otherLearners(p *corev1.Pod, own string) error {
	return &phases.Fault{
		What: fmt.Sprintf("etcd on this node would have --%s=%s, and %s has %s", maxLearners, own, p.Name, learnersOf(p)),
		Why:  errors.New("with another value than the others, a member may count other voting members than they do, and both parts of a divided cluster may go on writing"),
		Fixes: []string{
			fmt.Sprintf("set etcd.local.extraArgs in ConfigMap kube-system/kubeadm-config so that this node gets --%s=%s too, and give no patch that changes it, %s", maxLearners, learnersOf(p), joinAgain),
		},
		Exit: phases.CodeUnsafe,
	}
}

func (t *JoinTask) otherManifest(name, peer string) error {
	return &phases.Fault{
		What: fmt.Sprintf("%s is of another etcd member: %s at %s", staticpod.Path(t.Dir, Name), name, peer),
		Why:  fmt.Errorf("this node's would be %s at %s", t.NodeName, t.peerURL()),
		Fixes: []string{
			"if the node has got another name or address: hactl reset, " + joinAgain,
			"if not, give the ones it had: --node-name, --apiserver-advertise-address",
		},
		Exit: phases.CodeUnsafe,
	}
}

func noEndpoints() error {
	return &phases.Fault{
		What: "the cluster has no etcd that this node could join",
		Why:  fmt.Errorf("no pod in kube-system has the label component=%s, and no node the label %s", Name, controlPlane),
		Fixes: []string{
			"wait until the first control-plane node is ready, " + joinAgain,
			"if the cluster's etcd is external, ConfigMap kube-system/kubeadm-config must say so: etcd.external",
		},
	}
}
