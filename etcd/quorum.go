package etcd

// Quorum is how many of n voting members must agree.
func Quorum(n int) int { return n/2 + 1 }

// Tolerance is how many of n voting members may fail while the cluster goes
// on. It is 0 for n below 3.
func Tolerance(n int) int {
	if n < 1 {
		return 0
	}
	return n - Quorum(n)
}
