// Package host is the port to the machine: its files, commands and services.
// Phases change the machine through it and through nothing else, so a dry
// run is the same phases over an Overlay.
package host

import (
	"context"
	"io/fs"
)

// Host is one machine.
//
// Errors for a path that does not exist satisfy errors.Is(err,
// fs.ErrNotExist). All methods may be called at the same time.
type Host interface {
	Files
	Owners
	Commands
	Mounts
	// Services returns the machine's service manager.
	Services() Services
}

// Files is the machine's file system. Paths are absolute.
type Files interface {
	ReadFile(ctx context.Context, path string) ([]byte, error)
	// ReadHead reads the first most bytes of the file, or all of a shorter
	// one.
	ReadHead(ctx context.Context, path string, most int) ([]byte, error)
	// Stat follows symbolic links.
	Stat(ctx context.Context, path string) (Info, error)
	// WriteFile replaces the file at once or not at all: readers see the
	// old content or the new, also after a power cut. Missing parent
	// directories are made with mode 0700. The temporary file lies outside
	// the file's own directory when that is watched for manifests.
	WriteFile(ctx context.Context, path string, data []byte, perm fs.FileMode) error
	// Mkdir makes the directory and its parents, all with perm. A directory
	// that exists is left as it is.
	Mkdir(ctx context.Context, path string, perm fs.FileMode) error
	// Remove removes a file or an empty directory. What does not exist is
	// no error; a mount point gives a *MountedError.
	Remove(ctx context.Context, path string) error
	// RemoveAll removes path and all below it. It follows no symbolic link
	// and stops with a *MountedError at a mount point: unmount first. What
	// does not exist is no error; what was removed before an error stays
	// removed.
	RemoveAll(ctx context.Context, path string) error
	// Rename moves a file, a directory with all below it, or a symbolic link
	// at once, also across a power cut. It replaces nothing: what exists at
	// newPath gives fs.ErrExist, and the directory above newPath must exist.
	// A move to another file system gives syscall.EXDEV, that of a mount
	// point syscall.EBUSY.
	Rename(ctx context.Context, oldPath, newPath string) error
}

// Owners says whose files are. What WriteFile and Mkdir make is that of the
// user hactl runs as, also where WriteFile replaces a file of somebody else.
type Owners interface {
	// Chown gives a file or a directory, not what is below it, to owner with
	// the mode perm. It follows symbolic links.
	Chown(ctx context.Context, path string, owner Owner, perm fs.FileMode) error
}

// Owner is a user and a group by their IDs. The zero Owner is root.
type Owner struct {
	User, Group int64
}

// Mounts are the file systems that are mounted on the machine.
type Mounts interface {
	// MountPoints lists the mount points at dir and below it, in the order
	// in which they were mounted, a path once for each mount on it. Where
	// dir is reached over symbolic links, the paths are without them. None
	// is no error, nor is a dir that does not exist.
	MountPoints(ctx context.Context, dir string) ([]string, error)
	// Unmount undoes the last mount on path. It never follows a symbolic
	// link at path. What is not mounted is no error.
	Unmount(ctx context.Context, path string, flags ...UnmountFlag) error
}

// UnmountFlag says how to unmount, in the words of umount2(2).
type UnmountFlag string

// The flags of umount2(2). Unmount always acts as with UnmountNoFollow.
const (
	UnmountForce    UnmountFlag = "MNT_FORCE"
	UnmountDetach   UnmountFlag = "MNT_DETACH"
	UnmountExpire   UnmountFlag = "MNT_EXPIRE"
	UnmountNoFollow UnmountFlag = "UMOUNT_NOFOLLOW"
)

// Info is what Stat tells.
type Info struct {
	Mode  fs.FileMode // with the type bits
	Size  int64
	Owner Owner
	// Link says that the path itself is a symbolic link; all else is of what
	// it points to.
	Link bool
	// Names are the sorted entries of a directory, nil for a file.
	Names []string
}

// Commands runs programs. argv[0] is looked up in PATH; a program that does
// not exist gives an error with errors.Is(err, exec.ErrNotFound). Standard
// output is returned; an *ExitError carries the exit code and the end of
// standard error. Secrets never go into argv.
type Commands interface {
	// Probe runs a program that changes nothing.
	Probe(ctx context.Context, argv ...string) ([]byte, error)
	// Exec runs a program that may change the machine.
	Exec(ctx context.Context, argv ...string) ([]byte, error)
}

// Services is the machine's service manager. Names are unit names with
// their suffix ("kubelet.service").
type Services interface {
	// Status tells of a unit that does not exist with Exists false and no
	// error.
	Status(ctx context.Context, unit string) (ServiceStatus, error)
	// Start returns when the service manager says that the unit is started.
	Start(ctx context.Context, unit string) error
	Stop(ctx context.Context, unit string) error
	// Restart starts the unit if it is not running.
	Restart(ctx context.Context, unit string) error
	Enable(ctx context.Context, unit string) error
	// ReloadUnit makes the running unit read its own configuration anew,
	// without an end of its work. A unit that does not run gives a
	// *JobError.
	ReloadUnit(ctx context.Context, unit string) error
	// Reload makes the service manager read changed unit files.
	Reload(ctx context.Context) error
	// Watch sends after each change of the unit until ctx ends. A slow
	// receiver misses changes, never the last one.
	Watch(ctx context.Context, unit string) (<-chan struct{}, error)
}

// ServiceStatus is what the service manager knows of a unit.
type ServiceStatus struct {
	Exists  bool
	Active  bool // running
	Failed  bool // given up, or between restarts after a failure
	Enabled bool
	// Detail is the service manager's own word ("activating/auto-restart").
	Detail string
	// Restarts counts automatic restarts since the unit was started.
	Restarts int
}
