package hosting

import (
	"context"
	"fmt"
	"time"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/runtime"
)

// maxUnanswered is how many checks in a row a program may leave without an answer.
const maxUnanswered = 3

// checking is how many programs are asked at a time: those that do not answer hold up nobody but each other.
const checking = 32

// checkup is what is known of the health of a program that runs. Supervisor.mu guards it.
type checkup struct {
	program    *Deployment // how it is asked, as of its start; nil: not read yet
	next       time.Time   // zero: not planned yet
	busy       bool        // somebody asks
	unanswered int         // in a row
	sick       string      // why it has to be started again; "" it has not
}

// keepProgram remembers how a program is asked that was started, or found running, as d says. A change that waits for a restart is no
// concern of the program that runs: until then it is asked for a connection only.
func (c *checkup) keepProgram(d Deployment) {
	if d.Program != nil && d.NeedsRestart {
		p := *d.Program
		p.HealthPath = ""
		d.Program = &p
	}
	c.program = &d
}

// examine has the programs of agents' own asked that are due. It waits for none of them.
func (s *Supervisor) examine(ctx context.Context, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for a, r := range s.live {
		c := r.check
		if !r.own || c.busy || c.sick != "" {
			continue
		}
		if c.next.IsZero() { // spread, so that agents that were started together are not asked together
			c.next = now.Add(s.cfg.HealthEvery / 256 * time.Duration(1+int(a.UUID()[15])))
		}
		if now.Before(c.next) {
			continue
		}
		select {
		case s.checks <- struct{}{}:
		default:
			return // the next look goes on
		}
		c.busy, c.next = true, now.Add(s.cfg.HealthEvery)
		s.work.Go(func() {
			defer func() { <-s.checks }()
			s.check(ctx, a, r)
		})
	}
}

// check asks one program how it is.
func (s *Supervisor) check(ctx context.Context, a id.Agent, r running) {
	answered, reason := s.ask(ctx, a, r)
	s.mu.Lock()
	c := r.check
	c.busy = false
	if answered {
		c.unanswered = 0
	} else if reason != "" {
		c.unanswered++
	}
	if c.unanswered >= maxUnanswered {
		c.sick = fmt.Sprintf("its program left %d checks in a row without an answer: %s", c.unanswered, reason)
	}
	sick := c.sick != ""
	s.mu.Unlock()
	if sick {
		s.kick(a)
	}
}

// ask probes a program. Neither an answer nor a reason means that nothing is known: what has ended is somebody else's affair, and a host
// that does not answer says nothing about the program.
func (s *Supervisor) ask(ctx context.Context, a id.Agent, r running) (answered bool, reason string) {
	s.mu.Lock()
	d := r.check.program
	s.mu.Unlock()
	if d == nil {
		read, err := s.d.Repository.Get(ctx, account.System(r.tenant), a)
		if err != nil || read.Generation != r.generation {
			return false, ""
		}
		s.mu.Lock()
		r.check.keepProgram(read)
		d = r.check.program
		s.mu.Unlock()
	}
	limited, cancel := context.WithTimeout(ctx, s.cfg.HealthTimeout)
	defer cancel()
	err := s.d.Prober.Probe(limited, *d, InstanceID(a))
	if err == nil {
		return true, ""
	}
	if i, there := s.d.Host.Inspect(ctx, InstanceID(a)); there != nil || i.State != runtime.InstanceRunning || i.Generation != r.generation {
		return false, ""
	}
	return false, answerOf(err)
}

// sickness returns why an agent's program, which runs, has to be started again; "" when it has not.
func (s *Supervisor) sickness(p Placed) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r, ok := s.live[p.Agent]; ok && r.generation == p.Generation {
		return r.check.sick
	}
	return ""
}

// cure ends a program that does not answer, so that it is started again.
func (s *Supervisor) cure(ctx context.Context, p Placed, i runtime.Instance, reason string) error {
	s.setDead(ctx, p.Agent)
	if err := s.halt(ctx, i.ID); err != nil {
		return err
	}
	return s.failed(ctx, p, failure{category: CategoryHealth, reason: reason})
}
