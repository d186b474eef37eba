package host

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/stats"
	"google.golang.org/grpc/status"

	"github.com/bureau-agents/bureau/core/skill"
	"github.com/bureau-agents/bureau/plugins/wire"
)

// slot supervises the process of one binary: it starts one when there is work, at most one at a time, and stops it when there is
// none.
type slot struct {
	h *Host
	b skill.Binary
	m skill.Manifest

	mu       sync.Mutex
	proc     *process // nil while none runs
	starting *attempt // nil while none is being started
	inFlight int
	idle     *time.Timer
	failures int       // starts and processes that went wrong in a row
	notUntil time.Time // the circuit is open until then
	lastErr  error     // why
	strikes  atomic.Int32
}

// attempt is one start that several callers wait for.
type attempt struct {
	done chan struct{}
	err  error // set before done is closed
}

// call runs fn with the slot's process.
func (s *slot) call(ctx context.Context, fn func(context.Context, grpc.ClientConnInterface) error) error {
	p, err := s.acquire(ctx)
	if err != nil {
		return err
	}
	defer s.release(p)
	var sent atomic.Bool
	err = fn(context.WithValue(ctx, sentKey{}, &sent), p.conn)
	switch {
	case err == nil:
		s.strikes.Store(0)
		return nil
	case errors.Is(err, context.Canceled) && ctx.Err() == nil: // its connection was closed under the call
		return &failure{cause: errors.New("the process was stopped"), unsent: !sent.Load()}
	case errors.Is(err, context.DeadlineExceeded) || ctx.Err() != nil:
		if errors.Is(err, context.DeadlineExceeded) && s.strikes.Add(1) >= maxStrikes {
			s.h.cfg.Logger.WarnContext(ctx, "plugin is stuck and is killed", "plugin", s.b.Name, "timeouts", maxStrikes)
			go p.kill()
		}
		return err
	}
	if st, ok := status.FromError(err); ok {
		switch st.Code() {
		case codes.Unavailable:
			p.await(time.Second) // the connection breaks a moment before the process is seen to be gone
			return &failure{cause: fmt.Errorf("the process ended: %w", err), unsent: !sent.Load()}
		case codes.ResourceExhausted:
			return wire.ErrAnswer.Withf("it answered more than %d bytes", s.h.cfg.MaxResultBytes).Wrap(err)
		}
		return wire.ErrAnswer.Withf("it answered with the status %s: %s", st.Code(), st.Message()).Wrap(err)
	}
	return err
}

// acquire returns the running process, starting it and waiting for it where needed; release must follow.
func (s *slot) acquire(ctx context.Context) (*process, error) {
	for {
		s.mu.Lock()
		if p := s.proc; p != nil {
			if !p.exited() {
				s.inFlight++
				if s.idle != nil {
					s.idle.Stop()
				}
				s.mu.Unlock()
				return p, nil
			}
			s.mu.Unlock()
			select {
			case <-p.recorded: // the crash counts before anything is started in its place
				continue
			case <-ctx.Done():
				return nil, ctx.Err()
			}
		}
		a := s.starting
		if a == nil {
			if wait := time.Until(s.notUntil); wait > 0 {
				err := s.lastErr
				s.mu.Unlock()
				return nil, &failure{
					cause: fmt.Errorf("it failed %d times in a row and is left alone for now: %w", s.failures, err), unsent: true, retry: wait,
				}
			}
			if !s.h.begin() {
				s.mu.Unlock()
				return nil, &failure{cause: errStopped, unsent: true}
			}
			a = &attempt{done: make(chan struct{})}
			s.starting = a
			go s.start(a)
		}
		s.mu.Unlock()
		select {
		case <-a.done:
			if a.err != nil {
				return nil, &failure{cause: a.err, unsent: true, retry: s.retry()}
			}
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// retry returns how long the circuit stays open, and at least a moment so that a caller who tries at once is not one.
func (s *slot) retry() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	return max(time.Until(s.notUntil), s.h.cfg.Backoff)
}

func (s *slot) release(p *process) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.inFlight--; s.inFlight > 0 || s.proc != p {
		return
	}
	if s.idle == nil {
		s.idle = time.AfterFunc(s.h.cfg.IdleTimeout, s.stopIdle)
	} else {
		s.idle.Reset(s.h.cfg.IdleTimeout)
	}
}

func (s *slot) stopIdle() {
	s.mu.Lock()
	p := s.proc
	if s.inFlight > 0 || p == nil {
		s.mu.Unlock()
		return
	}
	s.proc = nil // the next call starts another one; this one is on its way out
	s.mu.Unlock()
	s.h.cfg.Logger.Debug("plugin stopped", "plugin", s.b.Name, "reason", "idle")
	p.kill()
}

// begin counts one more supervisor, unless the host stops.
func (h *Host) begin() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.closed {
		h.live.Add(1)
	}
	return !h.closed
}

// start makes one attempt and then watches over the process until it ends. It runs detached from any caller: the first one may
// give up while others wait.
func (s *slot) start(a *attempt) {
	defer s.h.live.Done()
	ctx, cancel := context.WithTimeout(context.Background(), 2*s.h.cfg.StartTimeout)
	p, err := s.h.launch(ctx, s.b)
	if err == nil {
		err = s.check(ctx, p)
	}
	cancel()
	began := time.Now()
	s.mu.Lock()
	if err == nil && s.h.stopping() {
		err = errStopped
	}
	s.starting = nil
	if err != nil {
		s.failed(err, true)
		a.err = err
	} else {
		s.proc = p
		s.strikes.Store(0)
	}
	s.mu.Unlock()
	close(a.done)
	if err != nil {
		if p != nil {
			p.kill()
		}
		s.h.cfg.Logger.Warn("plugin did not start", "plugin", s.b.Name, "digest", s.b.Digest, "error", err)
		return
	}
	s.h.cfg.Logger.Debug("plugin started", "plugin", s.b.Name, "pid", p.pid)

	<-p.done
	s.mu.Lock()
	if s.proc == p { // otherwise it was told to end
		s.proc = nil
		if time.Since(began) >= stableAfter {
			s.failures = 0
		}
		s.failed(errors.New("it crashed"), false)
		s.h.cfg.Logger.Warn("plugin crashed", "plugin", s.b.Name, "pid", p.pid, "failures", s.failures)
	}
	s.mu.Unlock()
	close(p.recorded)
	p.kill() // closes what the process left open
}

// failed opens the circuit: not for a first crash, which may be an accident, and then twice as long each time. s.mu is held.
func (s *slot) failed(err error, start bool) {
	s.failures++
	s.lastErr = err
	n := s.failures - 1
	if start {
		n++
	}
	if n < 1 {
		s.notUntil = time.Time{}
		return
	}
	wait := s.h.cfg.Backoff << min(n-1, 20)
	if wait <= 0 || wait > maxBackoff {
		wait = maxBackoff
	}
	s.notUntil = time.Now().Add(wait)
}

// check makes sure that the process is what its signed manifest says.
func (s *slot) check(ctx context.Context, p *process) error {
	d, err := describe(ctx, p)
	if err != nil {
		return err
	}
	if d.Kind != s.m.Kind || d.Program != s.m.Program {
		return wire.ErrAnswer.Withf("it says that it is the %s %q, and was installed as the %s %q", d.Kind, d.Program, s.m.Kind, s.m.Program)
	}
	return nil
}

func (s *slot) running() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.proc != nil && !s.proc.exited()
}

// stop ends the process, if there is one; calls that it is answering fail.
func (s *slot) stop(reason string) {
	s.mu.Lock()
	p := s.proc
	s.proc = nil
	if s.idle != nil {
		s.idle.Stop()
	}
	s.mu.Unlock()
	if p != nil {
		s.h.cfg.Logger.Debug("plugin stopped", "plugin", s.b.Name, "reason", reason)
		p.kill()
	}
}

func (h *Host) stopping() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.closed
}

// sentKey is the context key of an *atomic.Bool that becomes true when a request was handed to the connection.
type sentKey struct{}

// sentTracker is a stats.Handler that keeps it.
type sentTracker struct{}

func (sentTracker) TagRPC(ctx context.Context, _ *stats.RPCTagInfo) context.Context { return ctx }

func (sentTracker) HandleRPC(ctx context.Context, s stats.RPCStats) {
	if _, ok := s.(*stats.OutPayload); !ok {
		return
	}
	if sent, ok := ctx.Value(sentKey{}).(*atomic.Bool); ok {
		sent.Store(true)
	}
}

func (sentTracker) TagConn(ctx context.Context, _ *stats.ConnTagInfo) context.Context { return ctx }

func (sentTracker) HandleConn(context.Context, stats.ConnStats) {}
