package process

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/bureau-agents/bureau/adapters/internal/forward"
	"github.com/bureau-agents/bureau/ports/egress"
	"github.com/bureau-agents/bureau/ports/runtime"
)

// Config of a Runtime.
type Config struct {
	// Dir holds the sandboxes' files; required. One process holds it at a time.
	Dir string
	// Limits of sandboxes whose Spec has none; zero fields are the port's defaults.
	Limits runtime.Limits
	// Timeout and MaxOutput of commands that have none; 0 is the port's default.
	Timeout   time.Duration
	MaxOutput int
	// EgressAllow opens private addresses to sandboxes with a network, as egress.Config.Allow does.
	EgressAllow []string
	// Paths are further files and directories of this machine that programs may read, such as "/opt/python"; /usr and its like always
	// belong to them.
	Paths []string
	// Hidden are directories that programs must not see even where they lie in /usr or in one of Paths; Dir is always one.
	Hidden []string
	// Unsafe runs programs without isolation where the machine offers none: with the server's rights, for development only.
	Unsafe bool
	// Logger hears of what nobody else is told; default slog.Default().
	Logger *slog.Logger
}

// Runtime runs programs on this machine.
type Runtime struct {
	cfg     Config
	machine *machine

	mu   sync.Mutex
	open map[string]*sandbox
}

var _ runtime.Runtime = (*Runtime)(nil)

// removed begins the names of what is left to delete.
const removed = ".removed-"

// New makes the directory and removes what a server that was killed has left behind. Whether programs can be isolated is found out by
// Check, or by the first Open.
func New(cfg Config) (*Runtime, error) {
	if cfg.Dir == "" {
		return nil, errors.New("process: Config.Dir is required")
	}
	dir, err := filepath.Abs(cfg.Dir)
	if err != nil {
		return nil, err
	}
	cfg.Dir = dir
	if cfg.Limits.Memory < 0 || cfg.Limits.Processes < 0 || cfg.Limits.Disk < 0 {
		return nil, errors.New("process: Config.Limits must not be negative")
	}
	for _, p := range cfg.Paths {
		if !filepath.IsAbs(p) || filepath.Clean(p) == "/" {
			return nil, fmt.Errorf("process: Config.Paths: %q must be an absolute path below /", p)
		}
	}
	if _, err := egress.New(egress.Config{Allow: cfg.EgressAllow}); err != nil {
		return nil, fmt.Errorf("process: Config.EgressAllow: %w", err)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	var hidden []string
	for _, p := range append([]string{dir}, cfg.Hidden...) {
		p, err := filepath.Abs(p)
		if err != nil {
			return nil, err
		}
		hidden = append(hidden, p)
		if real, err := filepath.EvalSymlinks(p); err == nil && real != p {
			hidden = append(hidden, real)
		}
	}
	cfg.Hidden = hidden
	if cfg.Logger == nil {
		cfg.Logger = slog.Default()
	}
	left, err := filepath.Glob(filepath.Join(dir, removed+"*"))
	if err != nil {
		return nil, err
	}
	for _, l := range left {
		if err := discard(l); err != nil {
			cfg.Logger.Warn("the files of a removed sandbox cannot be deleted", slog.String("path", l), slog.Any("error", err))
		}
	}
	return &Runtime{cfg: cfg, machine: newMachine(cfg), open: map[string]*sandbox{}}, nil
}

// Name implements runtime.Runtime.
func (r *Runtime) Name() string { return "process" }

// Check tries whether this machine isolates programs. It returns runtime.ErrIsolation, which says why not, also where Config.Unsafe
// runs them all the same.
func (r *Runtime) Check(ctx context.Context) error { return r.machine.check(ctx) }

// Close ends all programs of all sandboxes; their files stay.
func (r *Runtime) Close() error {
	r.mu.Lock()
	open := slices.Collect(maps.Values(r.open))
	r.mu.Unlock()
	var wg sync.WaitGroup
	for _, s := range open {
		wg.Go(func() { _ = s.Close() })
	}
	wg.Wait()
	r.machine.close()
	return nil
}

var idPattern = regexp.MustCompile(`^[a-z0-9_-]{1,64}$`)

func checkID(id string) error {
	if !idPattern.MatchString(id) {
		return runtime.ErrPath.Withf("%q cannot be the id of a sandbox: it must be 1 to 64 of a-z, 0-9, _ and -", id)
	}
	return nil
}

// Open implements runtime.Runtime.
func (r *Runtime) Open(ctx context.Context, spec runtime.Spec) (runtime.Sandbox, error) {
	if err := checkID(spec.ID); err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if err := r.machine.check(ctx); err != nil && !r.cfg.Unsafe {
		return nil, err
	}
	set, err := r.settings(spec)
	if err != nil {
		return nil, err
	}
	if err := r.lockOpen(ctx, spec.ID); err != nil {
		return nil, err
	}
	defer r.mu.Unlock()
	if s := r.open[spec.ID]; s != nil {
		s.apply(set)
		return s, s.prepare(set)
	}
	s := &sandbox{
		runtime: r, id: spec.ID, base: filepath.Join(r.cfg.Dir, spec.ID), owner: r.machine.owner(spec.ID),
		calls: map[*call]struct{}{}, roots: map[string]*os.Root{}, closed: make(chan struct{}),
	}
	s.apply(set)
	if err := s.create(); err != nil {
		return nil, errors.Join(err, s.closeRoots())
	}
	if err := s.prepare(set); err != nil {
		return nil, errors.Join(err, s.closeRoots())
	}
	s.recount()
	r.open[spec.ID] = s
	return s, nil
}

// lockOpen locks r.mu at a moment when the sandbox is open or not, but not about to be closed.
func (r *Runtime) lockOpen(ctx context.Context, id string) error {
	for {
		r.mu.Lock()
		s := r.open[id]
		if s == nil {
			return nil
		}
		if _, err := s.now(); err == nil {
			return nil
		}
		r.mu.Unlock()
		select {
		case <-s.closed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// settings checks what of spec a sandbox keeps.
func (r *Runtime) settings(spec runtime.Spec) (settings, error) {
	set := settings{spec: spec, limits: spec.Limits.WithDefaults(r.cfg.Limits)}
	if set.limits.Memory < 0 || set.limits.Processes < 0 || set.limits.Disk < 0 {
		return set, runtime.ErrIsolation.Withf("limits must not be negative")
	}
	for i, p := range spec.ReadOnly {
		clean := path.Clean(p)
		if mount, _ := mountOf(clean); mount == "" || !strings.HasPrefix(p, "/") {
			return set, runtime.ErrPath.Withf("%q cannot be read-only: it does not lie in the sandbox", p)
		}
		if i == 0 {
			set.spec.ReadOnly = slices.Clone(spec.ReadOnly)
		}
		set.spec.ReadOnly[i] = clean
	}
	set.spec.Env = maps.Clone(spec.Env)
	switch spec.Network.Mode {
	case runtime.NetworkNone:
		return set, nil
	case runtime.NetworkPublic, runtime.NetworkLimited:
	default:
		return set, runtime.ErrIsolation.Withf("this server knows no network %q", spec.Network.Mode)
	}
	var err error
	set.proxy, err = forward.New(r.cfg.EgressAllow, spec.Network, r.cfg.Logger)
	return set, err
}

// Remove implements runtime.Runtime.
func (r *Runtime) Remove(ctx context.Context, id string) error {
	if err := checkID(id); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	r.mu.Lock()
	for s := r.open[id]; s != nil; s = r.open[id] { // somebody may open it again meanwhile
		r.mu.Unlock()
		if err := s.Close(); err != nil {
			return err
		}
		r.mu.Lock()
	}
	// The name is free at once; what it stood for may take a while to delete.
	trash, err := os.MkdirTemp(r.cfg.Dir, removed)
	if err == nil {
		err = os.Rename(filepath.Join(r.cfg.Dir, id), filepath.Join(trash, id))
	}
	r.mu.Unlock()
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return discard(trash)
}

// List implements runtime.Runtime.
func (r *Runtime) List(ctx context.Context) ([]string, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	entries, err := os.ReadDir(r.cfg.Dir)
	if err != nil {
		return nil, err
	}
	var ids []string
	for _, e := range entries {
		if e.IsDir() && checkID(e.Name()) == nil {
			ids = append(ids, e.Name())
		}
	}
	return ids, nil
}

// discard deletes a tree, also one whose directories its program has closed to its own user.
func discard(dir string) error {
	err := os.RemoveAll(dir)
	if err == nil {
		return nil
	}
	_ = filepath.WalkDir(dir, func(p string, d fs.DirEntry, _ error) error {
		if d != nil && d.IsDir() {
			_ = os.Chmod(p, 0o700) //nolint:gosec // directories must be searched to be emptied
		}
		return nil
	})
	return os.RemoveAll(dir)
}

// The users that sandboxes of a server that is root run as: nobody's, in a range that distributions leave alone.
const (
	firstUser = 61184
	users     = 4000
)

// userOf returns the user of a sandbox. Sandboxes may share one; what keeps them apart are namespaces.
func userOf(id string) int {
	h := fnv.New32a()
	_, _ = h.Write([]byte(id))
	return firstUser + int(h.Sum32()%users)
}

// mountOf returns the directory of the sandbox that p, a clean path, lies in, and the rest. Both are "" when it lies in none.
func mountOf(p string) (mount, rest string) {
	for _, dir := range runtime.Dirs() {
		if p == dir {
			return dir, "."
		}
		if rest, ok := strings.CutPrefix(p, dir+"/"); ok {
			return dir, rest
		}
	}
	return "", ""
}
