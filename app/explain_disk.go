package app

import (
	"errors"
	"io/fs"
	"os"
	"path"
	"syscall"
)

// diskFix is how to mend an error of the disk, whatever phase it stopped. It
// is nil for all other errors.
func diskFix(err error) []string {
	dir := diskPlace(err)
	if dir == "" {
		return nil
	}
	const again = "then run the same command again: it continues"
	switch {
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		// The file system may also have no room for one more name.
		return []string{"make room; what is left: df -h " + dir + "; df -i " + dir, again}
	case errors.Is(err, syscall.EROFS):
		return []string{
			"find out why nothing can be written, often a broken disk: findmnt --target " + dir + "; dmesg | tail",
			"make it writable: mount -o remount,rw and the TARGET that findmnt shows", again,
		}
	case errors.Is(err, syscall.EIO):
		return []string{"the disk is broken: dmesg | tail", "on a disk that works, run the same command again"}
	}
	return nil
}

// diskPlace is the directory in which an operation failed, or "".
func diskPlace(err error) string {
	var one *fs.PathError
	var two *os.LinkError
	switch {
	case errors.As(err, &one):
		return path.Dir(one.Path)
	case errors.As(err, &two):
		return path.Dir(two.New)
	}
	return ""
}
