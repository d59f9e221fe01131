package app

import (
	"os"

	"golang.org/x/sys/unix"
)

// nameless opens a file without a name, which is gone when it is closed
// (open(2), O_TMPFILE).
func nameless(dir string) (*os.File, error) {
	return os.OpenFile(dir, os.O_WRONLY|unix.O_TMPFILE, 0o600)
}
