package etcd

import "testing"

func TestTolerance(t *testing.T) {
	// Requirement E2: adding one to an odd cluster raises the quorum and
	// not the tolerance.
	for n, want := range []int{0, 0, 0, 1, 1, 2, 2, 3} {
		if got := Tolerance(n); got != want {
			t.Errorf("Tolerance(%d) = %d, want %d", n, got, want)
		}
	}
}
