package main

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var zero = time.Date(2030, 1, 1, 12, 0, 0, 0, time.UTC)

// after is a line that came some seconds after zero.
func after(seconds float64, text string) line {
	return line{At: zero.Add(time.Duration(seconds * float64(time.Second))), Text: text}
}

func TestHactlSpans(t *testing.T) {
	lines := []line{
		after(0, `{"type":"event","time":"2030-01-01T12:00:01Z","phase":"preflight","kind":"started","seconds":0}`),
		after(0, `{"type":"event","time":"2030-01-01T12:00:02Z","phase":"preflight","kind":"progress","seconds":1}`),
		after(0, `{"type":"event","time":"2030-01-01T12:00:03Z","phase":"preflight","kind":"finished","seconds":2}`),
		after(0, `{"type":"event","time":"2030-01-01T12:00:03Z","phase":"certs","kind":"started","seconds":0}`),
		after(0, `{"type":"event","time":"2030-01-01T12:00:03.5Z","phase":"certs/ca","kind":"unchanged","seconds":0.5}`),
		after(0, `{"type":"event","time":"2030-01-01T12:00:03.5Z","phase":"certs/etcd","kind":"skipped","seconds":0}`),
		after(0, `{"type":"event","time":"2030-01-01T12:00:03.5Z","phase":"certs","kind":"finished","seconds":0.5}`),
		after(0, `{"type":"result","result":{}}`),
	}
	got, err := hactlSpans(lines, zero)
	if err != nil {
		t.Fatal(err)
	}
	want := []span{{"preflight", 1, 3}, {"certs/ca", 3, 3.5}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	if _, err := hactlSpans([]line{after(0, "no JSON")}, zero); err == nil {
		t.Error("no error for what is not JSON")
	}
}

func TestKubeadmSpans(t *testing.T) {
	for _, c := range []struct {
		name, reason string
		lines        []line
		want         []span
	}{
		{"NextEndsTheLast", "a phase lasts until another speaks, the last until the end", []line{
			after(0.5, "[init] Using Kubernetes version: v1.37.1"), after(1, "[preflight] Running pre-flight checks"),
			after(2, "[preflight] Pulling images"), after(4, `[certs] Generating "ca" certificate and key`),
		}, []span{{"init", 0.5, 1}, {"preflight", 1, 4}, {"certs", 4, 9}}},
		{"OtherLines", "warnings and prose are no phases", []line{
			after(1, "W0101 12:00:00.000000 [not] a phase"), after(2, "\t[WARNING SystemVerification]: cgroups v1"), after(3, "[unclosed"), after(4, "[certs] a"), after(5, ""),
			after(6, "Your Kubernetes control-plane has initialized successfully!"),
		}, []span{{"certs", 4, 9}}},
		{"Nothing", "no output", nil, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			if diff := cmp.Diff(c.want, kubeadmSpans(c.lines, zero, zero.Add(9*time.Second))); diff != "" {
				t.Errorf("%s: -want +got\n%s", c.reason, diff)
			}
		})
	}
}

func TestKubeadmJoins(t *testing.T) {
	lines := []line{
		after(0, "You can now join any number of control-plane nodes running the following command on each as root:"),
		after(0, "  kubeadm join 10.0.0.1:6443 --token a.b \\"),
		after(0, "\t--discovery-token-ca-cert-hash sha256:c \\"),
		after(0, "\t--control-plane --certificate-key d"),
		after(0, ""),
		after(0, "kubeadm join 10.0.0.1:6443 --token a.b \\"),
		after(0, "\t--discovery-token-ca-cert-hash sha256:c "),
	}
	got, err := kubeadmJoins(lines)
	if err != nil {
		t.Fatal(err)
	}
	const secretless = "kubeadm join 10.0.0.1:6443 --token … --discovery-token-ca-cert-hash …"
	if got := withoutSecrets(got.worker); got != secretless {
		t.Errorf("worker: %s", got)
	}
	if got := withoutSecrets(got.controlPlane); got != secretless+" --control-plane --certificate-key …" {
		t.Errorf("control plane: %s", got)
	}
	if _, err := kubeadmJoins(lines[:4]); err == nil {
		t.Error("no error without a command for workers")
	}
}

func TestHactlJoins(t *testing.T) {
	got, err := hactlJoins([]line{after(0, `{"type":"result","result":{"join":{"controlPlaneCommand":"hactl join a --control-plane","workerCommand":"hactl join a"}}}`)})
	if err != nil {
		t.Fatal(err)
	}
	want := joinCommands{controlPlane: []string{"hactl", "join", "a", "--control-plane"}, worker: []string{"hactl", "join", "a"}}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(joinCommands{})); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	if _, err := hactlJoins(nil); err == nil {
		t.Error("no error without a result")
	}
}

func TestNoteReady(t *testing.T) {
	since := map[string]time.Time{}
	for i, l := range []string{"cp-1 False", "cp-2 True", "cp-1 True", "cp-2 True", "cp-3 True", "cp-3 Unknown", "worker-1 "} {
		noteReady(since, l, zero.Add(time.Duration(i)*time.Second))
	}
	want := map[string]time.Time{"cp-2": zero.Add(time.Second), "cp-1": zero.Add(2 * time.Second)}
	if diff := cmp.Diff(want, since); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	if allReady(since) {
		t.Error("all are Ready")
	}
}
