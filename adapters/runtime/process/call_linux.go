package process

import (
	"context"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/bureau-agents/bureau/adapters/runtime/process/internal/child"
	"github.com/bureau-agents/bureau/adapters/runtime/process/internal/measure"
	"github.com/bureau-agents/bureau/ports/fault"
	"github.com/bureau-agents/bureau/ports/runtime"
)

// setup describes the sandbox to its helper.
func (s *sandbox) setup(set settings, full bool) child.Setup {
	u := child.Setup{
		Base: filepath.Join(s.base, "root"), UID: s.owner.uid, GID: s.owner.gid, Proxy: set.proxy != nil, Shm: shmSize, Nice: niceness, OOM: sandboxOOM,
		System: slices.Concat(system, s.runtime.cfg.Paths), Files: etc(s.owner.uid, s.owner.gid),
		Hidden: s.runtime.cfg.Hidden,
	}
	if !s.owner.change {
		u.UID, u.GID = child.UserID, child.UserID
		u.Files = etc(u.UID, u.GID)
	}
	for _, dir := range runtime.Dirs() {
		u.Mounts = append(u.Mounts, child.Mount{Source: s.host(dir), Target: dir, ReadOnly: slices.Contains(set.spec.ReadOnly, dir)})
	}
	for _, dir := range slices.Sorted(slices.Values(set.spec.ReadOnly)) {
		if _, rest := mountOf(dir); rest != "." {
			u.ReadOnly = append(u.ReadOnly, dir)
		}
	}
	u.Limits = limits(set.limits, full, s.runtime.machine.place() != nil)
	return u
}

// begin starts a program. It is killed when ctx ends. The files stay the caller's.
func (s *sandbox) begin(ctx context.Context, c runtime.Command, stdin, stdout, stderr *os.File) (*call, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	set, err := s.now()
	if err != nil {
		return nil, err
	}
	full := s.usage() >= set.limits.Disk
	running := &call{sandbox: s, kill: func() {}, ended: make(chan struct{}), code: -1}
	if s.runtime.machine.isolation() != nil { // Open has refused it unless it may be unsafe
		return running, s.beginUnsafe(ctx, running, set, c, [3]*os.File{stdin, stdout, stderr})
	}
	group, err := s.enter(running, set)
	if err != nil {
		return nil, err
	}
	var kills int
	place := func(int) error { return nil }
	if group != nil {
		kills = group.kills()
		place = group.add
	}
	h, err := spawn(s.owner.change, [3]*os.File{stdin, stdout, stderr}, place)
	if err != nil {
		s.leave(running, group)
		close(running.ended)
		return nil, s.why(err)
	}
	s.mu.Lock()
	running.kill = h.kill
	closed := s.gone
	s.mu.Unlock()
	if closed {
		h.kill()
	}
	stop := context.AfterFunc(ctx, h.kill)
	listener, err := h.build(s.setup(set, full))
	if err == nil {
		err = h.run(program(set, c, group != nil))
	}
	var server *http.Server
	if err == nil && listener != nil {
		server = set.proxy.Serve(listener)
	}
	if err != nil {
		h.kill()
	}
	finish := func() {
		if err == nil {
			if status, err := h.status(); err == nil {
				running.code = status.Code
			}
		}
		h.wait()
		stop()
		if server != nil {
			_ = server.Close()
		} else if listener != nil {
			_ = listener.Close()
		}
		if full && running.code != 0 {
			running.disk.Store(true)
		}
		if group != nil && group.kills() > kills {
			running.memory.Store(true)
		}
		s.leave(running, group)
		close(running.ended)
	}
	if err != nil {
		finish()
		if running.memory.Load() { // of what it would have started with
			return running, nil
		}
		return nil, s.why(err)
	}
	go finish()
	go s.watch(running, h.cmd.Process.Pid, set, full, group == nil)
	return running, nil
}

// why says why a program could not be started on a machine that has started others.
func (s *sandbox) why(err error) error {
	if _, closed := s.now(); closed != nil {
		return closed
	}
	if _, ok := fault.As(err); ok {
		return err
	}
	return runtime.ErrBusy.Wrap(err)
}

func program(set settings, c runtime.Command, counted bool) child.Program {
	p := child.Program{Args: c.Args, Env: variables(set, c), Dir: c.Dir}
	if !counted {
		p.Data = uint64(set.limits.Memory)
	}
	return p
}

// isolation returns the reason why programs are not isolated here, if they are not.
func (m *machine) isolation() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.checked {
		return nil
	}
	return m.err
}

// watch ends a call that fills the disk, or, without control groups, the memory.
func (s *sandbox) watch(c *call, pid int, set settings, full, memory bool) {
	tick := firstCount
	if memory {
		tick = memoryCount
	}
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	next := time.Now().Add(firstCount)
	for {
		select {
		case <-c.ended:
			return
		case <-ticker.C:
		}
		if memory && measure.Resident(pid) > set.limits.Memory {
			c.memory.Store(true)
			c.kill()
		}
		began := time.Now()
		if full || began.Before(next) {
			continue
		}
		if s.count()+s.deleted(pid) > set.limits.Disk {
			c.disk.Store(true)
			c.kill()
		}
		next = time.Now().Add(max(nextCount, countShare*time.Since(began)))
	}
}

// helperTasks is how many threads a helper has, at most: they count, too.
const helperTasks = 16

// limits of each process. A sandbox that is full may not write any file.
func limits(l runtime.Limits, full, counted bool) []child.Limit {
	size := uint64(l.Disk)
	if full {
		size = 0
	}
	list := []child.Limit{
		{Resource: unix.RLIMIT_CORE, Value: 1}, // 0 would not keep the kernel from passing cores on to a program: core(5)
		{Resource: unix.RLIMIT_FSIZE, Value: size},
		{Resource: unix.RLIMIT_NOFILE, Value: openFiles},
		{Resource: unix.RLIMIT_MEMLOCK, Value: 64 << 10},
		{Resource: unix.RLIMIT_MSGQUEUE, Value: 1 << 20},
	}
	if !counted {
		list = append(list, child.Limit{Resource: unix.RLIMIT_NPROC, Value: uint64(l.Processes + helperTasks)})
	}
	return list
}

// beginUnsafe starts a program with the server's rights.
func (s *sandbox) beginUnsafe(ctx context.Context, c *call, set settings, command runtime.Command, files [3]*os.File) error {
	dir, env := s.outside(set, command)
	if _, err := s.enter(c, set); err != nil {
		return err
	}
	cmd := exec.Command(command.Args[0], command.Args[1:]...)
	cmd.Dir, cmd.Env, cmd.Stdin, cmd.Stdout, cmd.Stderr = dir, env, files[0], files[1], files[2]
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		s.leave(c, nil)
		close(c.ended)
		return runtime.ErrProgram.Withf("%s: %v", command.Args[0], err)
	}
	kill := func() { _ = unix.Kill(-cmd.Process.Pid, unix.SIGKILL) }
	s.mu.Lock()
	c.kill = kill
	closed := s.gone
	s.mu.Unlock()
	if closed {
		kill()
	}
	stop := context.AfterFunc(ctx, kill)
	go func() {
		_ = cmd.Wait()
		kill() // what it has left behind
		stop()
		c.code = cmd.ProcessState.ExitCode()
		s.leave(c, nil)
		close(c.ended)
	}()
	go s.watch(c, cmd.Process.Pid, set, false, true)
	return nil
}
