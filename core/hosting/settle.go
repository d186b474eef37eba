package hosting

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/ports/clock"
	"github.com/bureau-agents/bureau/ports/fault"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/runtime"
)

// errSuperseded ends work on what somebody has asked otherwise for meanwhile; whoever asked has asked for more work, too.
var errSuperseded = errors.New("hosting: something else is wanted by now")

// settle makes of an agent's instance what is wanted of it.
func (s *Supervisor) settle(ctx context.Context, a id.Agent) error {
	found, err := s.d.Sites.At(ctx, s.cfg.Site, a)
	if err != nil {
		return err
	}
	if len(found) == 0 { // destroyed, or at another site by now
		s.setDead(ctx, a)
		s.mu.Lock()
		delete(s.starts, a)
		s.mu.Unlock()
		return s.d.Host.Remove(ctx, InstanceID(a))
	}
	p := found[0]
	i, err := s.d.Host.Inspect(ctx, InstanceID(a))
	there := !errors.Is(err, runtime.ErrNoInstance)
	if err != nil && there {
		return err
	}
	if err := s.close(ctx, p, i, there); !errors.Is(err, errSuperseded) {
		return err
	}
	return nil
}

// close closes the difference between p and its instance i, if that is there.
func (s *Supervisor) close(ctx context.Context, p Placed, i runtime.Instance, there bool) error {
	there = there && (i.Generation == p.Generation || !p.wants())
	switch {
	case !p.wants():
		return s.end(ctx, p, i, there)
	case there && i.State == runtime.InstanceRunning:
		if sick := s.sickness(p); sick != "" && p.Status == Running {
			return s.cure(ctx, p, i, sick)
		}
		return s.adopt(ctx, p, i)
	case there && i.State == runtime.InstanceExited && p.Status == Running:
		s.setDead(ctx, p.Agent)
		return s.failed(ctx, p, exitOf(i))
	case s.d.Clock.Now().Before(p.RetryAt):
		return nil
	}
	s.setDead(ctx, p.Agent)
	return s.start(ctx, p)
}

// end ends an instance that is not wanted.
func (s *Supervisor) end(ctx context.Context, p Placed, i runtime.Instance, there bool) error {
	s.setDead(ctx, p.Agent)
	if there && i.State != runtime.InstanceExited {
		if err := s.halt(ctx, i.ID); err != nil {
			return err
		}
	}
	if p.Status == Error || p.Status == Stopped {
		return nil
	}
	return s.mark(ctx, p, func(d *Deployment) {
		d.Status, d.StoppedAt, d.NeedsRestart, d.RetryAt = Stopped, s.now(), false, time.Time{}
	})
}

// halt ends an instance, once there is room.
func (s *Supervisor) halt(ctx context.Context, instance string) error {
	leave, err := s.enter(ctx)
	if err != nil {
		return err
	}
	defer leave()
	if err := s.d.Host.Stop(ctx, instance, s.cfg.Grace); err != nil && !errors.Is(err, runtime.ErrNoInstance) {
		return err
	}
	return nil
}

// enter waits until there is room to have the host do something.
func (s *Supervisor) enter(ctx context.Context) (leave func(), err error) {
	select {
	case s.slots <- struct{}{}:
		return func() { <-s.slots }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// adopt takes an instance that runs as it should.
func (s *Supervisor) adopt(ctx context.Context, p Placed, i runtime.Instance) error {
	if p.Status == Running {
		s.setLive(ctx, p, nil)
		return nil
	}
	return s.ready(ctx, p, i)
}

// start starts an instance with what the agent has now.
func (s *Supervisor) start(ctx context.Context, p Placed) error {
	sc := account.System(p.Tenant)
	again := false
	var d Deployment
	err := s.mark(ctx, p, func(row *Deployment) {
		again = len(row.Failures) > 0
		if row.Status != Provisioning {
			row.Status = Starting
		}
		row.RetryAt, row.SpecAt, row.NeedsRestart = time.Time{}, s.now(), false
		d = row.Clone()
	})
	if err != nil {
		return err
	}
	spec, err := s.spec(ctx, sc, d)
	if err != nil {
		return s.failed(ctx, p, failure{category: CategoryRuntime, reason: "its files could not be read: " + err.Error()})
	}
	s.mu.Lock()
	s.starts[p.Agent]++ // after its secrets were read, and before it can tell them
	s.mu.Unlock()
	leave, err := s.enter(ctx)
	if err != nil {
		return err
	}
	limited, cancel := context.WithTimeout(ctx, s.cfg.StartTimeout)
	i, err := s.d.Host.Start(limited, spec)
	cancel()
	leave()
	if err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return s.failed(ctx, p, failureOf(err))
	}
	if again {
		s.restarts.Add(1)
	}
	return s.ready(ctx, p, i)
}

// spec describes the instance of a deployment.
func (s *Supervisor) spec(ctx context.Context, sc account.Scope, d Deployment) (runtime.InstanceSpec, error) {
	spec := runtime.InstanceSpec{
		ID: InstanceID(d.Agent), Generation: d.Generation, Limits: d.Limits,
		Labels: map[string]string{"tenant": d.Tenant.UUID().String(), "agent": d.Agent.UUID().String()},
	}
	var err error
	if spec.Files, err = s.d.Documents.Files(ctx, sc, d.Agent); err != nil {
		return spec, err
	}
	if err := s.d.Secrets.Starting(ctx, sc, d.Agent); err != nil || d.Program == nil {
		return spec, err
	}
	spec.Image, spec.Command, spec.Port, spec.Network = d.Program.Image, d.Program.Command, d.Program.Port, d.Program.Network
	spec.Env, err = s.d.Secrets.Environment(ctx, sc, d.Agent)
	return spec, err
}

// The pauses between two probes of an instance that does not answer yet.
const (
	probeFirst = 5 * time.Millisecond
	probeMost  = 500 * time.Millisecond
)

// ready waits until an instance answers.
func (s *Supervisor) ready(ctx context.Context, p Placed, i runtime.Instance) error {
	d, err := s.d.Repository.Get(ctx, account.System(p.Tenant), p.Agent)
	if err != nil {
		return err
	}
	limited, cancel := context.WithTimeout(ctx, s.cfg.StartTimeout)
	defer cancel()
	for pause := probeFirst; ; pause = min(2*pause, probeMost) {
		probed := s.d.Prober.Probe(limited, d, i.ID)
		if probed == nil {
			break
		}
		rest := time.NewTimer(pause)
		select {
		case <-rest.C:
		case <-limited.Done():
			rest.Stop()
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		now, err := s.d.Host.Inspect(ctx, i.ID)
		switch {
		case errors.Is(err, runtime.ErrNoInstance):
			return errSuperseded
		case err == nil && now.Generation != p.Generation:
			return errSuperseded
		case err == nil && now.State == runtime.InstanceExited:
			return s.failed(ctx, p, exitOf(now))
		case limited.Err() != nil:
			if err := s.halt(ctx, i.ID); err != nil {
				return err
			}
			return s.failed(ctx, p, failure{
				category: CategoryHealth, reason: fmt.Sprintf("its program does not answer within %s: %s", s.cfg.StartTimeout, answerOf(probed)),
			})
		}
		if found, err := s.d.Sites.At(ctx, s.cfg.Site, p.Agent); err == nil && (len(found) == 0 || found[0].Generation != p.Generation || !found[0].wants()) {
			s.kick(p.Agent)
			return errSuperseded
		}
	}
	startedAt := clock.Stored(i.StartedAt)
	if i.StartedAt.IsZero() {
		startedAt = s.now()
	}
	if err := s.mark(ctx, p, func(d *Deployment) {
		d.Status, d.StartedAt, d.StoppedAt, d.RetryAt = Running, startedAt, time.Time{}, time.Time{}
	}); err != nil {
		return err
	}
	s.setLive(ctx, p, &d)
	s.d.Logger.InfoContext(ctx, "a hosted agent runs", "tenant_id", p.Tenant, "agent_id", p.Agent, "generation", p.Generation)
	return nil
}

// mark changes a deployment of which p is wanted still; errSuperseded otherwise.
func (s *Supervisor) mark(ctx context.Context, p Placed, change func(d *Deployment)) error {
	_, err := s.d.Repository.Update(ctx, account.System(p.Tenant), p.Agent, func(d *Deployment) error {
		if d.CreatedAt.IsZero() || d.Site != s.cfg.Site || d.Generation != p.Generation || d.Desired != p.Desired {
			return errSuperseded
		}
		change(d)
		d.UpdatedAt = s.now()
		return nil
	})
	if err == nil {
		s.d.TX.AfterCommit(ctx, func() { s.told(p.Agent) })
	}
	return err
}

// failure is why an instance does not run.
type failure struct {
	category ErrorCategory
	reason   string // for people
	final    bool   // trying again changes nothing
}

// exitOf is the failure of an instance that has ended by itself.
func exitOf(i runtime.Instance) failure {
	f := failure{category: CategoryCrashLoop, reason: i.Reason}
	switch {
	case i.Memory:
		f.category = CategoryMemory
		if f.reason == "" {
			f.reason = "its program used more memory than it may"
		}
	case f.reason == "" && i.Code < 0:
		f.reason = "its program was killed"
	case f.reason == "":
		f.reason = fmt.Sprintf("its program ended with status %d", i.Code)
	}
	return f
}

// failureOf is the failure of a start that its host refused.
func failureOf(err error) failure {
	f := failure{category: CategoryRuntime, reason: messageOf(err)}
	switch {
	case errors.Is(err, runtime.ErrImage):
		f.category, f.final = CategoryImage, true
	case errors.Is(err, runtime.ErrIsolation):
		f.final = true
	}
	return f
}

// messageOf is what of a host's error may be told.
func messageOf(err error) string {
	text := answerOf(err)
	if f, ok := fault.As(err); (!ok || f.Kind == fault.Internal) && text == err.Error() {
		return "the host said: " + text
	}
	return text
}

// answerOf is what may be told of the error of a probe.
func answerOf(err error) string {
	if f, ok := fault.As(err); ok && f.Kind != fault.Internal {
		return f.Message
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return "it took too long"
	}
	return err.Error()
}

// maxReason bounds what is kept of a reason, in bytes.
const maxReason = 2000

// failed notes that an instance does not run, and when it is tried again, if at all.
func (s *Supervisor) failed(ctx context.Context, p Placed, f failure) error {
	redactor, err := s.d.Secrets.Redactor(ctx, account.System(p.Tenant), p.Agent)
	if err != nil {
		return err
	}
	if f.reason = redactor.Redact(f.reason); len(f.reason) > maxReason { // cut before, a secret might not be known by what is left of it
		f.reason = strings.ToValidUTF8(f.reason[:maxReason], "") + "..."
	}
	s.setDead(ctx, p.Agent)
	given := false
	var wait time.Duration
	err = s.d.TX.Do(ctx, func(ctx context.Context) error {
		err := s.mark(ctx, p, func(d *Deployment) {
			now := s.now()
			recent := []time.Time{}
			for _, at := range d.Failures {
				if now.Sub(at) < s.cfg.Window {
					recent = append(recent, at)
				}
			}
			d.Failures = append(recent, now)
			d.LastError, d.ErrorCategory = f.reason, f.category
			if given = f.final || len(d.Failures) >= s.cfg.MaxFailures; given {
				d.Status, d.NeedsRestart, d.RetryAt = Error, false, time.Time{}
				return
			}
			wait = s.cfg.Backoff
			for range len(d.Failures) - 1 {
				wait = min(2*wait, s.cfg.MaxBackoff)
			}
			d.Status, d.RetryAt = Starting, now.Add(wait)
		})
		if err != nil || !given {
			return err
		}
		return s.d.Trail.Note(ctx, account.System(p.Tenant), "agent_failed", p.Agent, map[string]any{
			"generation": p.Generation, "category": string(f.category), "reason": f.reason,
		})
	})
	if err != nil {
		return err
	}
	attrs := []slog.Attr{
		slog.String("tenant_id", p.Tenant.String()), slog.String("agent_id", p.Agent.String()), slog.String("category", string(f.category)),
		slog.String("reason", f.reason),
	}
	if given {
		s.d.Logger.LogAttrs(ctx, slog.LevelWarn, "a hosted agent is given up", attrs...)
		return nil
	}
	s.d.Logger.LogAttrs(ctx, slog.LevelWarn, "a hosted agent has ended and will be started again", append(attrs, slog.Duration("in", wait))...)
	s.later(ctx, p.Agent, wait)
	return nil
}

// later works on an agent again after a while.
func (s *Supervisor) later(ctx context.Context, a id.Agent, wait time.Duration) {
	s.work.Go(func() {
		rest := time.NewTimer(wait)
		defer rest.Stop()
		select {
		case <-rest.C:
			s.kick(a)
		case <-ctx.Done():
		}
	})
}

func (s *Supervisor) now() time.Time { return clock.Stored(s.d.Clock.Now()) }
