//go:build !linux

package process

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"os/exec"

	"github.com/bureau-agents/bureau/ports/runtime"
)

// machine is a system that has no isolation that this package knows.
type machine struct{}

func newMachine(Config) *machine { return &machine{} }

func (*machine) owner(string) owner { return owner{uid: os.Geteuid(), gid: os.Getegid()} }

func (*machine) close() {}

func (*machine) place() *groups { return nil }

func (*machine) check(context.Context) error {
	return runtime.ErrIsolation.Withf("this server cannot isolate programs: that needs Linux; BUREAU_UNSAFE_SANDBOX=1 runs programs with the server's own rights")
}

// groups and group are control groups, which only Linux has.
type groups struct{}

func (*groups) make(string, runtime.Limits) (*group, error) { return nil, errors.ErrUnsupported }

type group struct{}

func (*group) limit(runtime.Limits) error { return nil }
func (*group) processes(int, int)         {}
func (*group) remove()                    {}

// begin starts a program with the server's rights: without isolation no sandbox is open unless that is wanted.
func (s *sandbox) begin(ctx context.Context, c runtime.Command, stdin, stdout, stderr *os.File) (*call, error) {
	set, err := s.now()
	if err != nil {
		return nil, err
	}
	running := &call{sandbox: s, kill: func() {}, ended: make(chan struct{}), code: -1}
	if _, err := s.enter(running, set); err != nil {
		return nil, err
	}
	cmd := exec.Command(c.Args[0], c.Args[1:]...)
	cmd.Dir, cmd.Env = s.outside(set, c)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = stdin, stdout, stderr
	if err := cmd.Start(); err != nil {
		s.leave(running, nil)
		close(running.ended)
		return nil, runtime.ErrProgram.Withf("%s: %v", c.Args[0], err)
	}
	kill := func() { _ = cmd.Process.Kill() }
	s.mu.Lock()
	running.kill = kill
	closed := s.gone
	s.mu.Unlock()
	if closed {
		kill()
	}
	stop := context.AfterFunc(ctx, kill)
	go func() {
		_ = cmd.Wait()
		stop()
		running.code = cmd.ProcessState.ExitCode()
		s.leave(running, nil)
		close(running.ended)
	}()
	return running, nil
}

// measureRoots returns what the files of all directories take.
func measureRoots(roots map[string]*os.Root) int64 {
	var sum int64
	for _, root := range roots {
		_ = fs.WalkDir(root.FS(), ".", func(_ string, d fs.DirEntry, err error) error {
			if err != nil {
				return nil //nolint:nilerr // it is gone
			}
			if info, err := d.Info(); err == nil {
				sum += max(info.Size(), blockSize)
			}
			return nil
		})
	}
	return sum
}
