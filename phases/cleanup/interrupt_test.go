package cleanup

import (
	"context"
	"errors"
	"io/fs"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hactl/hactl/phases/host"
)

// fused is a machine on which one change fails: before it is made, or after.
type fused struct {
	*host.Memory
	left  *int
	after bool
	blown context.CancelCauseFunc
}

var errFuse = errors.New("interrupted")

func (f fused) change(do func() error) error {
	*f.left--
	if *f.left != 0 {
		return do()
	}
	if f.after {
		if err := do(); err != nil {
			*f.left++ // it was none
			return err
		}
	}
	f.blown(errFuse)
	return errFuse
}

func (f fused) WriteFile(ctx context.Context, p string, data []byte, perm fs.FileMode) error {
	return f.change(func() error { return f.Memory.WriteFile(ctx, p, data, perm) })
}

func (f fused) Mkdir(ctx context.Context, p string, perm fs.FileMode) error {
	return f.change(func() error { return f.Memory.Mkdir(ctx, p, perm) })
}

func (f fused) Remove(ctx context.Context, p string) error {
	return f.change(func() error { return f.Memory.Remove(ctx, p) })
}

func (f fused) RemoveAll(ctx context.Context, p string) error {
	return f.change(func() error { return f.Memory.RemoveAll(ctx, p) })
}

func (f fused) Rename(ctx context.Context, a, b string) error {
	return f.change(func() error { return f.Memory.Rename(ctx, a, b) })
}

func (f fused) Unmount(ctx context.Context, p string, flags ...host.UnmountFlag) error {
	return f.change(func() error { return f.Memory.Unmount(ctx, p, flags...) })
}

// Interrupted at every change, the same command again ends as if it had never
// been interrupted.
func TestInterrupts(t *testing.T) {
	setups := map[string]func(*node){
		"Stacked":  func(n *node) { n.stacked() },
		"Mounted":  func(n *node) { n.host.SetMount("/var/lib/etcd"); n.stacked() },
		"External": func(n *node) { n.controlPlane(externalServer); n.files("/var/lib/etcd/member/x", "x") },
	}
	for name, setup := range setups {
		for _, after := range []bool{false, true} {
			whole := newNode(t)
			setup(whole)
			if _, err := run(t.Context(), whole.task(whole.host), Phase()); err != nil {
				t.Fatal(err)
			}
			want := whole.snapshot()
			points := 0
			for stop := 1; ; stop++ {
				n, left := newNode(t), stop
				setup(n)
				ctx, cancel := context.WithCancelCause(t.Context())
				n.host.HandleService(unit, func(host.ServiceAction) error {
					return fused{n.host, &left, false, cancel}.change(func() error { return nil })
				})
				_, err := run(ctx, n.task(fused{n.host, &left, after, cancel}), Phase())
				if err == nil {
					break
				}
				if !errors.Is(err, errFuse) {
					t.Fatalf("%s: interrupt %d: %v", name, stop, err)
				}
				points++
				n.host.HandleService(unit, nil)
				if _, err := run(t.Context(), n.task(n.host), Phase()); err != nil {
					t.Fatalf("%s: again after interrupt %d: %v", name, stop, err)
				}
				if diff := cmp.Diff(want, n.snapshot()); diff != "" {
					t.Errorf("%s: after interrupt %d (after=%v) and again: -want +got\n%s", name, stop, after, diff)
				}
			}
			if points < 20 {
				t.Errorf("%s: only %d interrupts", name, points)
			}
		}
	}
}

// What one run has seen of etcd, the next one need not see again: by then the
// way to the other members may be gone.
func TestMemberStaysGone(t *testing.T) {
	n := newNode(t).stacked()
	ctx, cancel := context.WithCancelCause(t.Context())
	left := 7 // in the middle of the pods, which do not count, or after
	if _, err := run(ctx, n.task(fused{n.host, &left, false, cancel}), Phase()); !errors.Is(err, errFuse) {
		t.Fatalf("the first run ends with %v", err)
	}
	task := n.task(n.host)
	task.MemberGone = func(context.Context) (bool, error) { return false, errors.New("etcd does not answer") }
	of, err := LookEtcd(t.Context(), task)
	if diff := cmp.Diff(Etcd{DataDir: "/var/lib/etcd", Data: true, MemberGone: true}, of); diff != "" || err != nil {
		t.Errorf("%v; -want +got\n%s", err, diff)
	}
	if _, err := run(t.Context(), task, Phase()); err != nil {
		t.Errorf("the second run ends with %v", err)
	}
}

// A node that began anew after a reset that was never ended has a member
// again.
func TestStaleEvidence(t *testing.T) {
	n := newNode(t).stacked()
	n.files("/var/lib/kubelet/hactl-reset.yaml", "etcdDataDir: /somewhere/else\nmemberGone: true\nexternalEtcd: true\n")
	of, err := LookEtcd(t.Context(), n.task(n.host))
	if diff := cmp.Diff(Etcd{DataDir: "/var/lib/etcd", Data: true}, of); diff != "" || err != nil {
		t.Errorf("%v; -want +got\n%s", err, diff)
	}
}
