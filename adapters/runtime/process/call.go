package process

import (
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"github.com/bureau-agents/bureau/ports/runtime"
)

// call is a program that runs in a sandbox.
type call struct {
	sandbox *sandbox
	kill    func()
	ended   chan struct{} // closed when it and all that it started are dead

	code   int // once ended is closed
	memory atomic.Bool
	disk   atomic.Bool
}

func (c *call) result() runtime.Result {
	return runtime.Result{Code: c.code, Memory: c.memory.Load(), Disk: c.disk.Load()}
}

// enter counts a call in, and returns the sandbox's control group.
func (s *sandbox) enter(c *call, set settings) (*group, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.gone {
		return nil, runtime.ErrGone
	}
	if groups := s.runtime.machine.place(); s.group == nil && groups != nil {
		g, err := groups.make(s.id, set.limits)
		if err != nil {
			return nil, runtime.ErrIsolation.Withf("the sandbox's control group cannot be made: %v", err)
		}
		s.group = g
	}
	s.calls[c] = struct{}{}
	if s.group != nil {
		s.group.processes(set.limits.Processes, len(s.calls))
	}
	return s.group, nil
}

// leave counts a call out.
func (s *sandbox) leave(c *call, g *group) {
	s.mu.Lock()
	delete(s.calls, c)
	left := len(s.calls)
	limit := s.settings.limits.Processes
	s.mu.Unlock()
	if g != nil {
		g.processes(limit, left)
	}
	s.recount()
}

// outside returns the directory and the variables of a command that runs without isolation: it finds the sandbox's directories where
// they lie on the host, and no proxy, which would have to listen where everybody can connect.
func (s *sandbox) outside(set settings, c runtime.Command) (dir string, env []string) {
	set.proxy = nil
	dir = c.Dir
	if mount, rest := mountOf(dir); mount != "" {
		dir = filepath.Join(s.host(mount), rest)
	}
	env = variables(set, c)
	for i, v := range env {
		name, value, _ := strings.Cut(v, "=")
		if mount, rest := mountOf(value); mount != "" && (name == "HOME" || name == "TMPDIR") {
			env[i] = name + "=" + filepath.Join(s.host(mount), rest)
		}
	}
	return dir, env
}

// How often a running call's files are counted; more seldom where counting takes long. Memory is looked at more often: it fills faster.
const (
	firstCount  = 250 * time.Millisecond
	nextCount   = 500 * time.Millisecond
	countShare  = 10
	memoryCount = 50 * time.Millisecond
)
