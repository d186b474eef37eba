package process

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/bureau-agents/bureau/ports/runtime"
)

// Host keeps instances on this machine. Each has a keeper, which is a process of the server's own program in a session of its own: it
// holds the instance's lock, writes its log and its state, and answers servers, so that an instance neither needs nor notices them.
type Host struct {
	cfg     HostConfig
	machine *machine

	mu      sync.Mutex
	busy    map[string]chan struct{} // operations of this process on an instance wait for each other
	samples map[string][2]sample     // the one before, and the newest
	proxies map[string]func()
	closed  bool
}

var _ runtime.Host = (*Host)(nil)

// NewHost makes the directory, and serves the proxies of instances that run in it already. Whether programs can be isolated is found out
// by Check, or by the first Start.
func NewHost(cfg HostConfig) (*Host, error) {
	cfg, err := cfg.checked()
	if err != nil {
		return nil, err
	}
	h := &Host{
		cfg: cfg, machine: newMachine(Config{Dir: cfg.Dir, Logger: cfg.Logger}),
		busy: map[string]chan struct{}{}, samples: map[string][2]sample{}, proxies: map[string]func(){},
	}
	left, err := filepath.Glob(filepath.Join(cfg.Dir, removed+"*"))
	if err != nil {
		return nil, err
	}
	for _, l := range left {
		if info, err := os.Lstat(l); err != nil || time.Since(info.ModTime()) < trashAge {
			continue
		}
		if err := discard(l); err != nil {
			cfg.Logger.Warn("the files of a removed instance cannot be deleted", "path", l, "error", err)
		}
	}
	ids, err := h.ids()
	if err != nil {
		return nil, err
	}
	for _, id := range ids {
		if e, err := h.load(id); err == nil && e.state() == runtime.InstanceRunning {
			h.serveProxy(e)
		}
	}
	return h, nil
}

// trashAge is how old what is to be deleted is when nobody else can be at it: another server, which has just been told to end, may.
const trashAge = time.Minute

// Name implements runtime.Host.
func (h *Host) Name() string { return "process" }

// Check tries whether this machine isolates programs. It returns runtime.ErrIsolation, which says why not.
func (h *Host) Check(ctx context.Context) error { return h.machine.check(ctx) }

// Close ends what this process does for instances, which go on without: their programs' connections to the outside are cut, and wait for
// the next server.
func (h *Host) Close() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.closed = true
	for _, end := range h.proxies {
		end()
	}
	return nil
}

// lockEvery is how often it is tried to get a lock that another process has.
const lockEvery = 5 * time.Millisecond

// operate has operations on an instance wait for each other, also those of other servers on this machine.
func (h *Host) operate(ctx context.Context, id string) (done func(), err error) {
	for {
		h.mu.Lock()
		wait := h.busy[id]
		if wait == nil {
			h.busy[id] = make(chan struct{})
			h.mu.Unlock()
			break
		}
		h.mu.Unlock()
		select {
		case <-wait:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	free := func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		close(h.busy[id])
		delete(h.busy, id)
	}
	name := filepath.Join(h.cfg.Dir, ".lock-"+id)
	for {
		f, err := os.OpenFile(name, os.O_CREATE|os.O_RDWR, 0o600)
		if err != nil {
			free()
			return nil, err
		}
		if lock(f) == nil && same(f, name) {
			return func() {
				if _, err := os.Lstat(h.base(id)); errors.Is(err, fs.ErrNotExist) {
					_ = os.Remove(name)
				}
				_ = f.Close()
				free()
			}, nil
		}
		_ = f.Close()
		select {
		case <-time.After(lockEvery):
		case <-ctx.Done():
			free()
			return nil, ctx.Err()
		}
	}
}

// lock locks a file for as long as it, or a copy of its descriptor in another process, is open.
func lock(f *os.File) error {
	return unix.FcntlFlock(f.Fd(), unix.F_OFD_SETLK, &unix.Flock_t{Type: unix.F_WRLCK})
}

// locked says whether somebody has a file locked.
func locked(name string) bool {
	f, err := os.OpenFile(name, os.O_RDWR, 0)
	if err != nil {
		return false
	}
	defer f.Close()
	l := unix.Flock_t{Type: unix.F_WRLCK}
	return unix.FcntlFlock(f.Fd(), unix.F_OFD_GETLK, &l) != nil || l.Type != unix.F_UNLCK
}

// same says whether a file still has a name.
func same(f *os.File, name string) bool {
	a, err1 := f.Stat()
	b, err2 := os.Stat(name)
	return err1 == nil && err2 == nil && os.SameFile(a, b)
}

func (h *Host) base(id string) string { return filepath.Join(h.cfg.Dir, id) }

// ids returns the instances that there are directories of.
func (h *Host) ids() ([]string, error) {
	entries, err := os.ReadDir(h.cfg.Dir)
	if err != nil {
		return nil, err
	}
	var ids []string
	for _, e := range entries {
		if e.IsDir() && instancePattern.MatchString(e.Name()) {
			ids = append(ids, e.Name())
		}
	}
	return ids, nil
}

// The names in an instance's directory.
const (
	lockFile   = "lock"
	startFile  = "start.json"
	socketFile = "control"
	keeperDir  = "keeper"
	rootDir    = "root"
	filesDir   = "files"
	keeperAt   = "/keeper" // where a keeper that is isolated finds keeperDir
)
