package process

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/bureau-agents/bureau/adapters/internal/forward"
	"github.com/bureau-agents/bureau/adapters/runtime/internal/workerd"
	"github.com/bureau-agents/bureau/adapters/runtime/process/internal/child"
	"github.com/bureau-agents/bureau/adapters/runtime/process/internal/measure"
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

// owned are the directories that a program has.
func owned() []string { return []string{runtime.WorkDir, runtime.TempDir, runtime.HomeDir} }

// start is what a server writes down before it starts an instance.
type start struct {
	Token      string
	Generation int64
	Labels     map[string]string
	Worker     bool
	Port       int
	Network    runtime.Network
	Memory     int64
	Given      []string // the files that it was given
}

// entry is an instance as its directory shows it.
type entry struct {
	id    string
	start start
	kept  child.State // of this start, or of an earlier one
	held  bool        // its lock
	seen  time.Time   // when it last gave a sign of life; of one that has ended without a word
}

// current says whether the state is that of the newest start.
func (e *entry) current() bool { return e.kept.Token == e.start.Token }

func (e *entry) state() runtime.InstanceState {
	switch {
	case !e.held || e.current() && e.kept.ExitedAt != "":
		return runtime.InstanceExited
	case !e.current():
		return runtime.InstanceStarting
	}
	return runtime.InstanceRunning
}

// instance says what is known.
func (e *entry) instance() runtime.Instance {
	in := runtime.Instance{ID: e.id, Generation: e.start.Generation, State: e.state()}
	if in.State == runtime.InstanceStarting {
		return in
	}
	if e.kept.Token == "" {
		in.ExitedAt, in.Code, in.Reason = e.seen, -1, "the server ended before it was started"
		return in
	}
	in.Generation = e.kept.Generation
	in.StartedAt, _ = time.Parse(time.RFC3339Nano, e.kept.StartedAt)
	if in.State == runtime.InstanceRunning {
		in.PID = e.kept.Top
		return in
	}
	in.ExitedAt, _ = time.Parse(time.RFC3339Nano, e.kept.ExitedAt)
	in.Code, in.Memory, in.Reason = e.kept.Code, e.kept.Memory, e.kept.Reason
	if e.kept.ExitedAt == "" {
		if in.ExitedAt = e.seen; in.ExitedAt.Before(in.StartedAt) { // files have a coarser clock
			in.ExitedAt = in.StartedAt
		}
		in.Code, in.Reason = -1, "it was killed together with its keeper, or the machine was restarted"
	}
	return in
}

// maxState bounds what is read of a state.
const maxState = 64 << 10

// load reads what is known about an instance.
func (h *Host) load(id string) (*entry, error) {
	if !instancePattern.MatchString(id) {
		return nil, runtime.ErrNoInstance
	}
	e := &entry{id: id}
	// The lock comes first: what has ended since is known by its state.
	e.held = locked(filepath.Join(h.base(id), lockFile))
	raw, err := os.ReadFile(filepath.Join(h.base(id), startFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, runtime.ErrNoInstance
	}
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(raw, &e.start); err != nil {
		return nil, fmt.Errorf("the instance %s: %w", id, err)
	}
	root, err := os.OpenRoot(filepath.Join(h.base(id), keeperDir))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, runtime.ErrNoInstance
	}
	if err != nil {
		return nil, err
	}
	defer root.Close() //nolint:errcheck // nothing was written
	if info, err := root.Lstat(child.StateFile); err == nil && info.Mode().IsRegular() && info.Size() <= maxState {
		e.seen = info.ModTime().UTC()
		if raw, err := root.ReadFile(child.StateFile); err == nil {
			_ = json.Unmarshal(raw, &e.kept)
		}
	} else if info, err := os.Stat(filepath.Join(h.base(id), startFile)); err == nil {
		e.seen = info.ModTime().UTC()
	}
	if dir, err := os.Open(filepath.Join(h.base(id), keeperDir, child.LogDir)); err == nil {
		e.seen = newest(dir, e.seen)
		_ = dir.Close()
	}
	if e.current() && e.kept.Boot != measure.Boot() {
		e.held = false
	}
	return e, nil
}

// settled loads an instance on which nobody operates. A server that was killed may have started it a moment ago: then its keeper either
// knows all that it needs, and goes on, or notices that it does not, and ends.
func (h *Host) settled(ctx context.Context, id string) (*entry, error) {
	ctx, cancel := context.WithTimeout(ctx, lastBreath)
	defer cancel()
	for {
		e, err := h.load(id)
		if err != nil || e.state() != runtime.InstanceStarting {
			return e, err
		}
		select {
		case <-time.After(lockEvery):
		case <-ctx.Done():
			return nil, fmt.Errorf("the instance %s is neither started nor not: %w", id, ctx.Err())
		}
	}
}

// newest returns when a file of a directory was last written, if that is later.
func newest(dir *os.File, than time.Time) time.Time {
	entries, _ := dir.ReadDir(-1)
	for _, e := range entries {
		if info, err := e.Info(); err == nil && info.Mode().IsRegular() && info.ModTime().After(than) {
			than = info.ModTime().UTC()
		}
	}
	return than
}

// Inspect implements runtime.Host.
func (h *Host) Inspect(ctx context.Context, id string) (runtime.Instance, error) {
	if err := ctx.Err(); err != nil {
		return runtime.Instance{}, err
	}
	e, err := h.load(id)
	if err != nil {
		return runtime.Instance{}, err
	}
	return e.instance(), nil
}

// List implements runtime.Host.
func (h *Host) List(ctx context.Context) ([]runtime.Instance, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	ids, err := h.ids()
	if err != nil {
		return nil, err
	}
	var list []runtime.Instance
	for _, id := range ids {
		e, err := h.load(id)
		if errors.Is(err, runtime.ErrNoInstance) {
			continue
		}
		if err != nil {
			return nil, err
		}
		list = append(list, e.instance())
	}
	return list, nil
}

const (
	// replaceGrace is how long one generation has to end before the next is started.
	replaceGrace = 5 * time.Second
	// lastBreath is how long what is dead may take until nothing of it is left.
	lastBreath = 10 * time.Second
)

// Start implements runtime.Host.
func (h *Host) Start(ctx context.Context, spec runtime.InstanceSpec) (runtime.Instance, error) {
	spec, err := h.cfg.complete(spec)
	if err != nil {
		return runtime.Instance{}, err
	}
	if err := ctx.Err(); err != nil {
		return runtime.Instance{}, err
	}
	if err := h.machine.check(ctx); err != nil {
		return runtime.Instance{}, err
	}
	done, err := h.operate(ctx, spec.ID)
	if err != nil {
		return runtime.Instance{}, err
	}
	defer done()
	before, err := h.settled(ctx, spec.ID)
	if err != nil && !errors.Is(err, runtime.ErrNoInstance) {
		return runtime.Instance{}, err
	}
	if before != nil && before.state() == runtime.InstanceRunning {
		if before.start.Generation == spec.Generation {
			return before.instance(), nil
		}
		if err := h.end(ctx, before, replaceGrace); err != nil {
			return runtime.Instance{}, err
		}
	}
	if err := h.begin(ctx, spec, before); err != nil {
		if before == nil {
			err = errors.Join(err, h.undo(spec.ID))
		}
		return runtime.Instance{}, err
	}
	e, err := h.load(spec.ID)
	if err != nil {
		return runtime.Instance{}, err
	}
	h.serveProxy(e)
	return e.instance(), nil
}

// undo deletes what is left of a first start that failed, unless the instance runs all the same: whoever waited for it may have gone in
// the moment in which its keeper had been told everything.
func (h *Host) undo(id string) error {
	e, err := h.settled(context.Background(), id)
	if err != nil && !errors.Is(err, runtime.ErrNoInstance) || e != nil && e.state() == runtime.InstanceRunning {
		return err
	}
	return h.discard(id)
}

// begin starts an instance of which nothing runs.
func (h *Host) begin(ctx context.Context, spec runtime.InstanceSpec, before *entry) error {
	owner := h.machine.owner("instance-" + spec.ID)
	base := h.base(spec.ID)
	if err := h.prepare(base, owner); err != nil {
		return err
	}
	lockedFile, err := h.claim(ctx, base, before)
	if err != nil {
		return err
	}
	defer lockedFile.Close()
	st := start{
		Token: rand.Text(), Generation: spec.Generation, Labels: spec.Labels, Worker: len(spec.Command) == 0, Port: spec.Port,
		Network: spec.Network, Memory: spec.Limits.Memory,
	}
	var given []string
	if before != nil {
		given = before.start.Given
	}
	if st.Given, err = give(base, owner, given, spec.Files); err != nil {
		return err
	}
	raw, err := json.Marshal(st)
	if err != nil {
		return err
	}
	if err := replaceFile(filepath.Join(base, startFile), raw); err != nil {
		return err
	}
	var g *group
	if groups := h.machine.place(); groups != nil {
		if g, err = groups.instance(spec.ID, spec.Limits); err != nil {
			return runtime.ErrIsolation.Withf("the instance's control group cannot be made: %v", err)
		}
	}
	listener, err := listenAt(base)
	if err != nil {
		return err
	}
	defer listener.Close()
	keep, setup := h.keep(spec, st, owner, g)
	if err := h.spawn(ctx, keep, setup, g, lockedFile, listener); err != nil {
		if g != nil {
			g.remove()
		}
		return err
	}
	return nil
}

// prepare makes an instance's directories.
func (h *Host) prepare(base string, owner owner) error {
	for _, dir := range []string{rootDir, filesDir, keeperDir} {
		if err := os.MkdirAll(filepath.Join(base, dir), 0o700); err != nil {
			return err
		}
	}
	theirs := []string{filepath.Join(base, keeperDir), filepath.Join(base, keeperDir, child.LogDir)}
	for _, dir := range owned() {
		theirs = append(theirs, filepath.Join(base, filesDir, dir))
	}
	for i, dir := range theirs {
		mode := fs.FileMode(0o755)
		if i < 2 {
			mode = 0o700
		}
		if err := os.MkdirAll(dir, mode); err != nil {
			return err
		}
		if owner.change {
			if err := os.Lchown(dir, owner.uid, owner.gid); err != nil {
				return err
			}
		}
	}
	return nil
}

// claim takes the lock that says that an instance lives. The keeper will have it from here, so that there is no moment without.
func (h *Host) claim(ctx context.Context, base string, before *entry) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(base, lockFile), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, lastBreath)
	defer cancel()
	began := time.Now()
	for {
		err := lock(f)
		if err == nil {
			if before == nil || !h.lives(before.kept.Boot, before.kept.Top, before.kept.TopStart) {
				return f, nil
			}
			if time.Since(began) > lastBreath/4 { // it ends by itself when its keeper has, unless somebody holds it up
				err = h.kill(before.kept.Boot, before.kept.Top, before.kept.TopStart)
			}
		}
		select {
		case <-time.After(lockEvery):
		case <-ctx.Done():
			_ = f.Close()
			return nil, errors.Join(errors.New("something of the instance still runs"), err, ctx.Err())
		}
	}
}

// lives says whether a process is there that was started then.
func (h *Host) lives(boot string, pid int, started uint64) bool {
	return pid > 0 && started > 0 && boot == measure.Boot() && measure.Started(pid) == started
}

func replaceFile(name string, raw []byte) error {
	if err := os.WriteFile(name+".new", raw, 0o600); err != nil {
		return err
	}
	return os.Rename(name+".new", name)
}

// through names a file by its directory's descriptor: names of sockets must be short.
func through(dir *os.File, name string) string {
	return fmt.Sprintf("/proc/self/fd/%d/%s", dir.Fd(), name)
}

// listenAt makes the socket on which the keeper listens.
func listenAt(base string) (*os.File, error) {
	if err := os.Remove(filepath.Join(base, socketFile)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	dir, err := os.Open(base)
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	f := os.NewFile(uintptr(fd), socketFile)
	err = unix.Bind(fd, &unix.SockaddrUnix{Name: through(dir, socketFile)})
	if err == nil {
		err = errors.Join(os.Chmod(filepath.Join(base, socketFile), 0o600), unix.Listen(fd, unix.SOMAXCONN))
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// keep says what the keeper is to do, and, for one that is the worker, where it is to do it.
func (h *Host) keep(spec runtime.InstanceSpec, st start, owner owner, g *group) (child.Keep, *child.Setup) {
	base := h.base(spec.ID)
	k := child.Keep{
		Token: st.Token, Generation: st.Generation, Boot: measure.Boot(), Dir: filepath.Join(base, keeperDir), Root: owner.change,
		UID: owner.uid, GID: owner.gid, Worker: st.Worker,
	}
	setup := child.Setup{
		Base: filepath.Join(base, rootDir), UID: owner.uid, GID: owner.gid, Shm: shmSize, Nice: niceness, Hidden: h.cfg.Hidden,
		Limits: instanceLimits(spec.Limits, g != nil),
	}
	if !owner.change {
		setup.UID, setup.GID = child.UserID, child.UserID
	}
	for _, dir := range owned() {
		setup.Mounts = append(setup.Mounts, child.Mount{Source: filepath.Join(base, filesDir, dir), Target: dir, ReadOnly: st.Worker})
	}
	if st.Worker {
		k.WorkDir, k.Secret = runtime.WorkDir, spec.Env[workerd.TokenEnv]
		k.Dir = keeperAt
		if !owner.change { // it executes itself once more, for which it may need the machine's libraries
			setup.System = system
		}
		setup.Mounts = append(setup.Mounts, child.Mount{Source: filepath.Join(base, keeperDir), Target: keeperAt})
		return k, &setup
	}
	setup.System, setup.Files, setup.Proxy = slices.Concat(system, h.cfg.Paths), etc(setup.UID, setup.GID), st.Network.Mode != runtime.NetworkNone
	setup.OOM = instanceOOM
	k.Setup = setup
	set := settings{spec: runtime.Spec{Env: spec.Env}}
	if setup.Proxy {
		set.proxy = &forward.Proxy{} // that there is one tells programs where it is; it is served by whoever serves
	}
	k.Program = child.Program{Args: spec.Command, Env: variables(set, runtime.Command{}), Dir: runtime.WorkDir}
	k.Disk = spec.Limits.Disk
	for _, dir := range owned() {
		k.Watched = append(k.Watched, filepath.Join(base, filesDir, dir))
	}
	if files(k.Watched) >= k.Disk { // it can read and delete
		k.Full = true
		k.Setup.Limits = append(k.Setup.Limits, child.Limit{Resource: unix.RLIMIT_FSIZE, Value: 0})
	}
	if g == nil {
		k.Memory, k.Program.Data = spec.Limits.Memory, dataLimit(spec.Limits.Memory)
	} else {
		k.Groups, k.Kills = g.doors(), g.events()
	}
	if g == nil || g.cpu == "" {
		k.CPU = spec.Limits.CPU
	}
	return k, nil
}

// dataLimit returns how much a process may map for itself where it is watched, not counted. It bounds how far a fast one gets between two
// looks at it; it must not be so little that programs fail, and nobody knows why, before they use what they may.
func dataLimit(memory int64) uint64 { return 4*uint64(memory) + 256<<20 }

// instanceOOM has programs go before the server where the machine runs out of memory, and after those of sandboxes. Workers are too small
// to be worth it.
const instanceOOM = 500

// files returns what the files of directories take.
func files(dirs []string) int64 {
	var roots []*os.Root
	for _, dir := range dirs {
		if root, err := os.OpenRoot(dir); err == nil {
			defer root.Close() //nolint:errcheck // nothing was written
			roots = append(roots, root)
		}
	}
	return measure.Files(roots)
}

// instanceLimits are those of each process.
func instanceLimits(l runtime.InstanceLimits, counted bool) []child.Limit {
	list := limits(l.Limits, false, counted)
	for i := range list {
		switch list[i].Resource {
		case unix.RLIMIT_NOFILE:
			list[i].Value = uint64(l.OpenFiles)
		case unix.RLIMIT_NPROC: // the keeper and the launcher have the same user
			list[i].Value += 2 * helperTasks
		}
	}
	return list
}

// spawn starts a keeper, and returns when the instance runs. The keeper has the lock, and the listener, from the moment it is there.
func (h *Host) spawn(ctx context.Context, keep child.Keep, setup *child.Setup, g *group, lock, listener *os.File) error {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	ours, theirs := os.NewFile(uintptr(fds[0]), "keeper"), os.NewFile(uintptr(fds[1]), "keeper")
	defer theirs.Close()
	conn, err := net.FileConn(ours)
	_ = ours.Close()
	if err != nil {
		return err
	}
	defer conn.Close()                                          //nolint:errcheck // what was sent is answered
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() }) // the keeper ends, unless it knows all it needs
	defer stop()
	_ = conn.SetDeadline(time.Now().Add(setupTimeout))
	cmd := &exec.Cmd{
		Path: "/proc/self/exe", Args: []string{child.NameKeeper}, Dir: "/",
		Env:         []string{"GOMAXPROCS=1", "GOGC=25", "GOTRACEBACK=none"}, // nothing of the server's; it lives long and does little
		ExtraFiles:  []*os.File{theirs, lock, listener},                      // child.SocketFD and so on
		SysProcAttr: &syscall.SysProcAttr{Setsid: true, Pgid: 0},
	}
	switch {
	case setup != nil && keep.Root:
		cmd.Args[0], cmd.SysProcAttr.Cloneflags = child.NameKeeperInit, child.Namespaces
	case setup != nil:
		cmd.Args[0] = child.NameKeeperLauncher
	}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start the keeper: %w", err)
	}
	keep.PID = cmd.Process.Pid
	keep.Start = measure.Started(keep.PID)
	go func() { _ = cmd.Wait() }()
	_ = theirs.Close()
	if cmd.Args[0] == child.NameKeeperLauncher {
		s, err := answer(conn)
		if err != nil {
			return err
		}
		keep.PID, keep.Start = s.PID, measure.Started(s.PID)
	}
	if setup != nil {
		if g != nil {
			if err := g.add(keep.PID); err != nil {
				return err
			}
		}
		if err := child.Send(conn, setup); err != nil {
			return gone(err)
		}
		if _, err := answer(conn); err != nil {
			return err
		}
	}
	if err := child.Send(conn, keep); err != nil {
		return gone(err)
	}
	_, err = answer(conn)
	return err
}

// answer reads a status.
func answer(conn net.Conn) (child.Status, error) {
	var s child.Status
	if err := child.Receive(conn, &s); err != nil {
		return s, gone(err)
	}
	switch {
	case s.Refused:
		return s, runtime.ErrImage.Withf("%s", s.Failed)
	case s.Failed != "":
		return s, errors.New(s.Failed)
	}
	return s, nil
}

// Stop implements runtime.Host.
func (h *Host) Stop(ctx context.Context, id string, grace time.Duration) error {
	if !instancePattern.MatchString(id) {
		return runtime.ErrNoInstance
	}
	done, err := h.operate(ctx, id)
	if err != nil {
		return err
	}
	defer done()
	e, err := h.settled(ctx, id)
	if err != nil {
		return err
	}
	return h.end(ctx, e, grace)
}

// end ends what runs of an instance.
func (h *Host) end(ctx context.Context, e *entry, grace time.Duration) error {
	if e.state() == runtime.InstanceRunning {
		if err := h.ask(ctx, e, grace); err != nil {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			h.cfg.Logger.WarnContext(ctx, "the keeper of an instance does not answer and is killed", "instance", e.id, "error", err)
			if err := h.kill(e.kept.Boot, e.kept.PID, e.kept.Start); err != nil {
				return err
			}
		}
	}
	f, err := h.claim(ctx, h.base(e.id), e)
	if err != nil {
		return err
	}
	_ = f.Close()
	if groups := h.machine.place(); groups != nil {
		groups.find(e.id).remove()
	}
	return nil
}

// ask asks the keeper to end the instance.
func (h *Host) ask(ctx context.Context, e *entry, grace time.Duration) error {
	conn, err := h.request(ctx, e, child.Request{Op: child.RequestStop, Grace: int64(max(grace, 0))})
	if err != nil {
		return err
	}
	defer conn.Close() //nolint:errcheck // what was sent is answered
	_ = conn.SetDeadline(time.Now().Add(max(grace, 0) + lastBreath))
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer stop()
	_, err = answer(conn)
	if now, failed := h.load(e.id); err != nil && failed == nil && now.state() == runtime.InstanceExited {
		return nil // it has ended by itself meanwhile
	}
	return err
}

// kill ends a process, if it is still the one that was started then. The rest of an instance ends with its keeper, whose socket its
// helper reads.
func (h *Host) kill(boot string, pid int, started uint64) error {
	fd, err := unix.PidfdOpen(pid, 0)
	if errors.Is(err, unix.ESRCH) {
		return nil
	}
	if err != nil {
		return err
	}
	defer unix.Close(fd) //nolint:errcheck // nothing was written
	// From here on the descriptor stands for one process; only now it can be said which.
	if !h.lives(boot, pid, started) {
		return nil
	}
	return unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0)
}

// request connects to a keeper and asks it for something.
func (h *Host) request(ctx context.Context, e *entry, r child.Request) (*net.UnixConn, error) {
	dir, err := os.Open(h.base(e.id))
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	var d net.Dialer
	conn, err := d.DialContext(ctx, "unix", through(dir, socketFile))
	if err != nil {
		return nil, err
	}
	r.Token = e.start.Token
	_ = conn.SetDeadline(time.Now().Add(setupTimeout))
	if err := child.Send(conn, r); err != nil {
		_ = conn.Close()
		return nil, err
	}
	return conn.(*net.UnixConn), nil
}

// Remove implements runtime.Host.
func (h *Host) Remove(ctx context.Context, id string) error {
	if !instancePattern.MatchString(id) {
		return ctx.Err()
	}
	done, err := h.operate(ctx, id)
	if err != nil {
		return err
	}
	defer done()
	e, err := h.settled(ctx, id)
	if err == nil {
		err = h.end(ctx, e, 0)
	}
	if err != nil && !errors.Is(err, runtime.ErrNoInstance) {
		return err
	}
	return h.discard(id)
}

// discard deletes the files of an instance of which nothing runs. Its name is free at once.
func (h *Host) discard(id string) error {
	h.mu.Lock()
	delete(h.samples, id)
	h.mu.Unlock()
	trash, err := os.MkdirTemp(h.cfg.Dir, removed)
	if err == nil {
		err = os.Rename(h.base(id), filepath.Join(trash, id))
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return discard(trash)
}

// sample is what was known about an instance's use of the cores at a time.
type sample struct {
	token string
	at    time.Time
	used  time.Duration
}

// sampleAge is how far apart measurements of the cores' use are, at least: the kernel counts in hundredths of a second.
const sampleAge = 500 * time.Millisecond

// Stats implements runtime.Host.
func (h *Host) Stats(ctx context.Context, id string) (runtime.Stats, error) {
	if err := ctx.Err(); err != nil {
		return runtime.Stats{}, err
	}
	e, err := h.load(id)
	if err != nil {
		return runtime.Stats{}, err
	}
	top := e.kept.Top
	if e.state() != runtime.InstanceRunning || !h.lives(e.kept.Boot, top, e.kept.TopStart) {
		return runtime.Stats{}, runtime.ErrNotRunning
	}
	now := sample{token: e.start.Token, at: time.Now(), used: measure.CPU(top)}
	s := runtime.Stats{MemoryLimit: e.start.Memory, Processes: measure.Count(top), At: now.at.UTC()}
	if !e.start.Worker { // the helper is none of the instance's
		s.Processes--
		if !h.machine.owner(id).change {
			s.Processes-- // nor is the launcher
		}
	}
	s.Processes = max(s.Processes, 0)
	err = errors.ErrUnsupported
	if groups := h.machine.place(); groups != nil {
		s.Memory, err = groups.find(id).used()
	}
	if err != nil {
		s.Memory = measure.Resident(top)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	kept := h.samples[id]
	if kept[1].token != now.token {
		began, _ := time.Parse(time.RFC3339Nano, e.kept.StartedAt)
		first := sample{token: now.token, at: began}
		kept = [2]sample{first, first}
	}
	if now.at.Sub(kept[1].at) >= sampleAge {
		kept = [2]sample{kept[1], now}
		h.samples[id] = kept
	}
	if passed := now.at.Sub(kept[0].at); passed > 0 {
		s.CPUPercent = max(100*float64(now.used-kept[0].used)/float64(passed), 0)
	}
	return s, nil
}
