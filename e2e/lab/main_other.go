//go:build !linux

// Command lab says that it runs on Linux only.
package main

import (
	"fmt"
	"os"
)

func main() {
	fmt.Fprintln(os.Stderr, "lab: the lab needs root on Linux with Debian's apt")
	os.Exit(2)
}
