package host

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"slices"
	"sync"
	"syscall"
)

// ChangeKind says what an Overlay was asked to change.
type ChangeKind string

// The kinds of changes.
const (
	FileWritten    ChangeKind = "file written"   // Path, Mode, Old, New
	DirMade        ChangeKind = "directory made" // Path, Mode
	PathRemoved    ChangeKind = "removed"        // Path, Mode, Old
	TreeRemoved    ChangeKind = "tree removed"   // Path, Mode: with all below it
	PathMoved      ChangeKind = "moved"          // From, Path, Mode
	OwnerChanged   ChangeKind = "owner changed"  // Path, Mode, Owner
	Unmounted      ChangeKind = "unmounted"      // Path
	CommandRun     ChangeKind = "command run"    // Argv
	ServiceChanged ChangeKind = "service"        // Action, Unit
)

// Change is one thing that would change on the machine. Old and New may hold
// private keys: whoever prints them looks at Mode first.
type Change struct {
	Kind     ChangeKind
	Path     string
	From     string      // where it was before a move
	Owner    Owner       // the new one
	Mode     fs.FileMode // of a file: before a removal, else after the change
	Old, New []byte      // contents; Old is nil if there was no file
	Argv     []string
	Action   ServiceAction
	Unit     string
}

// Overlay is a machine on which nothing changes: reads fall through to the
// base, and changes stay in memory, where later reads find them. Probe runs
// on the base; Exec only lists the command.
type Overlay struct {
	base      Host
	mu        sync.Mutex
	nodes     map[string]*node // nil means removed
	hidden    []string         // below these, nothing of the base is seen
	unmounted []string         // once for each mount
	changes   []Change
	services  overlayServices
}

// NewOverlay returns an Overlay over base.
func NewOverlay(base Host) *Overlay {
	o := &Overlay{base: base, nodes: map[string]*node{}}
	o.services = overlayServices{base: base, units: map[string]ServiceStatus{}, record: o.record, made: o.hasUnit}
	o.services.actions = o.services.act
	return o
}

// Changes lists what would have changed on the base, in order. A write of
// what is already there is no change.
func (o *Overlay) Changes() []Change {
	o.mu.Lock()
	defer o.mu.Unlock()
	return slices.Clone(o.changes)
}

func (o *Overlay) record(c Change) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.changes = append(o.changes, c)
}

// unitDir is where the administrator's unit files are, see systemd.unit(5).
const unitDir = "/etc/systemd/system"

// hasUnit says whether a file of the unit was written here.
func (o *Overlay) hasUnit(name string) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	n := o.nodes[joinPath(unitDir, name)]
	return n != nil && n.mode.IsRegular()
}

// Services returns a service manager that lists actions and pretends that
// they succeeded.
func (o *Overlay) Services() Services { return &o.services }

// ReadFile is that of Files.
func (o *Overlay) ReadFile(ctx context.Context, path string) ([]byte, error) {
	path, err := checkPath(ctx, "open", path)
	if err != nil {
		return nil, err
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.read(ctx, path)
}

func (o *Overlay) read(ctx context.Context, path string) ([]byte, error) {
	n, ok := o.nodes[path]
	switch {
	case !ok:
		return o.baseRead(ctx, path)
	case n == nil:
		return nil, &fs.PathError{Op: "open", Path: path, Err: syscall.ENOENT}
	case n.mode.IsDir():
		return nil, &fs.PathError{Op: "read", Path: path, Err: syscall.EISDIR}
	case n.source != "":
		return o.base.ReadFile(ctx, n.source)
	}
	return bytes.Clone(n.data), nil
}

// ReadHead is that of Files.
func (o *Overlay) ReadHead(ctx context.Context, path string, most int) ([]byte, error) {
	data, err := o.ReadFile(ctx, path)
	return data[:min(len(data), most)], err
}

// Stat is that of Files.
func (o *Overlay) Stat(ctx context.Context, path string) (Info, error) {
	path, err := checkPath(ctx, "stat", path)
	if err != nil {
		return Info{}, err
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.stat(ctx, path)
}

// WriteFile is that of Files.
func (o *Overlay) WriteFile(ctx context.Context, path string, data []byte, perm fs.FileMode) error {
	path, err := checkPath(ctx, "write", path)
	if err != nil {
		return err
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	return write(ctx, o, path, data, perm)
}

// Mkdir is that of Files.
func (o *Overlay) Mkdir(ctx context.Context, path string, perm fs.FileMode) error {
	path, err := checkPath(ctx, "mkdir", path)
	if err != nil {
		return err
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	return mkdir(ctx, o, path, perm)
}

// Remove is that of Files.
func (o *Overlay) Remove(ctx context.Context, path string) error {
	path, err := checkPath(ctx, "remove", path)
	if err != nil {
		return err
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.removeOne(ctx, path)
}

func (o *Overlay) removeOne(ctx context.Context, path string) error {
	info, err := o.stat(ctx, path)
	if err != nil || len(info.Names) > 0 && !info.Link {
		return remove(ctx, o, path) // which gives the right answer
	}
	points, err := o.mountPoints(ctx, path)
	if err != nil {
		return err
	}
	if slices.Contains(points, path) {
		return &MountedError{Path: path}
	}
	c := Change{Kind: PathRemoved, Path: path, Mode: info.Mode}
	if info.Mode.IsRegular() && !info.Link {
		if c.Old, err = o.read(ctx, path); err != nil {
			return err
		}
	}
	o.drop(path)
	o.changes = append(o.changes, c)
	return nil
}

// Probe runs the program on the base.
func (o *Overlay) Probe(ctx context.Context, argv ...string) ([]byte, error) {
	return o.base.Probe(ctx, argv...)
}

// Exec lists the command and returns nothing.
func (o *Overlay) Exec(ctx context.Context, argv ...string) ([]byte, error) {
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	o.record(Change{Kind: CommandRun, Argv: slices.Clone(argv)})
	return nil, nil
}

func (o *Overlay) stat(ctx context.Context, path string) (Info, error) {
	n, ok := o.nodes[path]
	if ok && n == nil {
		return Info{}, &fs.PathError{Op: "stat", Path: path, Err: syscall.ENOENT}
	}
	if ok && !n.mode.IsDir() {
		return Info{Mode: n.mode, Size: max(n.size, int64(len(n.data))), Owner: n.owner}, nil
	}
	info, err := o.baseStat(ctx, path)
	switch {
	case ok: // a directory made here, perhaps in place of one that was removed
		info = Info{Mode: n.mode, Owner: n.owner, Names: info.Names}
	case err != nil:
		return Info{}, err
	}
	if info.Mode.IsDir() {
		info.Names = o.names(path, info.Names)
	}
	return info, nil
}

// names returns the entries of dir, given those that the base has.
func (o *Overlay) names(dir string, base []string) []string {
	list := append(names(o.nodes, dir), base...) // never nil
	slices.Sort(list)
	list = slices.Compact(list)
	return slices.DeleteFunc(list, func(name string) bool {
		n, ok := o.nodes[joinPath(dir, name)]
		return ok && n == nil
	})
}

func joinPath(dir, name string) string {
	if dir == "/" {
		return dir + name
	}
	return dir + "/" + name
}

func (o *Overlay) put(ctx context.Context, path string, n *node) error {
	if n.mode.IsDir() {
		o.nodes[path] = n
		o.changes = append(o.changes, Change{Kind: DirMade, Path: path, Mode: n.mode})
		return nil
	}
	c := Change{Kind: FileWritten, Path: path, Mode: n.mode, New: n.data}
	info, err := o.stat(ctx, path)
	if err == nil {
		if c.Old, err = o.read(ctx, path); err != nil {
			return err
		}
		if info.Mode == n.mode && info.Owner == n.owner && bytes.Equal(c.Old, n.data) {
			return nil
		}
		if c.Old == nil {
			c.Old = []byte{}
		}
	} else if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	o.nodes[path] = n
	o.changes = append(o.changes, c)
	return nil
}

func (o *Overlay) drop(path string) { o.nodes[path] = nil }
