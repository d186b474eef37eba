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
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/bureau-agents/bureau/adapters/internal/forward"
	"github.com/bureau-agents/bureau/adapters/runtime/internal/workerd"
	"github.com/bureau-agents/bureau/adapters/runtime/process/internal/child"
	"github.com/bureau-agents/bureau/adapters/runtime/process/internal/measure"
	"github.com/bureau-agents/bureau/ports/runtime"
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
