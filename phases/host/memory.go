package host

import (
	"bytes"
	"context"
	"io/fs"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
)

// Memory is a machine in memory: it starts with an empty root directory, no
// programs and no units. It behaves as Local does and is meant for tests.
type Memory struct {
	mu       sync.Mutex
	nodes    map[string]*node
	programs map[string]func(argv []string) ([]byte, error)
	services memoryServices
	mounts   []string // in the order in which they were mounted
	unmount  func(path string, flags []UnmountFlag) error
}

// NewMemory returns a machine in memory.
func NewMemory() *Memory {
	m := &Memory{
		nodes:    map[string]*node{"/": {mode: fs.ModeDir | 0o755}},
		programs: map[string]func([]string) ([]byte, error){},
		services: memoryServices{units: map[string]*unit{}},
	}
	m.services.actions = m.services.act
	return m
}

// Handle makes name a program of the machine: Probe and Exec call f with the
// whole argv and return what it returns.
func (m *Memory) Handle(name string, f func(argv []string) ([]byte, error)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.programs[name] = f
}

// SetService makes the unit exist with this status and wakes its watchers.
func (m *Memory) SetService(name string, status ServiceStatus) {
	m.services.set(name, status)
}

// HandleService makes f run before each action on the unit. If f returns an
// error, the action returns it and changes nothing; f may use SetService.
func (m *Memory) HandleService(name string, f func(ServiceAction) error) {
	m.services.handle(name, f)
}

// Services returns the machine's service manager.
func (m *Memory) Services() Services { return &m.services }

// ReadFile is that of Files.
func (m *Memory) ReadFile(ctx context.Context, path string) ([]byte, error) {
	path, err := checkPath(ctx, "open", path)
	if err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	info, err := m.stat(ctx, path)
	if err != nil {
		return nil, err
	}
	if info.Mode.IsDir() {
		return nil, &fs.PathError{Op: "read", Path: path, Err: syscall.EISDIR}
	}
	return bytes.Clone(m.nodes[path].data), nil
}

// ReadHead is that of Files.
func (m *Memory) ReadHead(ctx context.Context, path string, most int) ([]byte, error) {
	data, err := m.ReadFile(ctx, path)
	return data[:min(len(data), most)], err
}

// Stat is that of Files. There are no symbolic links in memory.
func (m *Memory) Stat(ctx context.Context, path string) (Info, error) {
	path, err := checkPath(ctx, "stat", path)
	if err != nil {
		return Info{}, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.stat(ctx, path)
}

// WriteFile is that of Files.
func (m *Memory) WriteFile(ctx context.Context, path string, data []byte, perm fs.FileMode) error {
	path, err := checkPath(ctx, "write", path)
	if err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return write(ctx, m, path, data, perm)
}

// Mkdir is that of Files.
func (m *Memory) Mkdir(ctx context.Context, path string, perm fs.FileMode) error {
	path, err := checkPath(ctx, "mkdir", path)
	if err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return mkdir(ctx, m, path, perm)
}

// Chown is that of Owners.
func (m *Memory) Chown(ctx context.Context, path string, owner Owner, perm fs.FileMode) error {
	path, err := checkPath(ctx, "chown", path)
	if err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	info, err := m.stat(ctx, path)
	if err != nil {
		return err
	}
	n := *m.nodes[path]
	n.mode, n.owner = info.Mode.Type()|perm.Perm(), owner
	m.nodes[path] = &n
	return nil
}

// Remove is that of Files.
func (m *Memory) Remove(ctx context.Context, path string) error {
	path, err := checkPath(ctx, "remove", path)
	if err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if path == mountOf(m.mounts, path) {
		return &MountedError{Path: path}
	}
	return remove(ctx, m, path)
}

// Probe calls the function that Handle registered for argv[0].
func (m *Memory) Probe(ctx context.Context, argv ...string) ([]byte, error) {
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	m.mu.Lock()
	f := m.programs[argv[0]]
	m.mu.Unlock()
	if f == nil {
		return nil, &exec.Error{Name: argv[0], Err: exec.ErrNotFound}
	}
	return f(argv)
}

// Exec does what Probe does.
func (m *Memory) Exec(ctx context.Context, argv ...string) ([]byte, error) {
	return m.Probe(ctx, argv...)
}

func (m *Memory) stat(_ context.Context, path string) (Info, error) {
	n, ok := m.nodes[path]
	if !ok {
		for dir := filepath.Dir(path); ; dir = filepath.Dir(dir) {
			if up, ok := m.nodes[dir]; ok && !up.mode.IsDir() {
				return Info{}, &fs.PathError{Op: "stat", Path: path, Err: syscall.ENOTDIR}
			} else if ok {
				return Info{}, &fs.PathError{Op: "stat", Path: path, Err: syscall.ENOENT}
			}
		}
	}
	info := Info{Mode: n.mode, Size: int64(len(n.data)), Owner: n.owner}
	if n.mode.IsDir() {
		info.Names = names(m.nodes, path)
	}
	return info, nil
}

func (m *Memory) put(_ context.Context, path string, n *node) error {
	m.nodes[path] = n
	return nil
}

func (m *Memory) drop(path string) { delete(m.nodes, path) }
