package task

import (
	"context"
	"log/slog"
	"time"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/gate"
	"github.com/bureau-agents/bureau/core/policy"
	"github.com/bureau-agents/bureau/core/session"
	"github.com/bureau-agents/bureau/ports/clock"
	"github.com/bureau-agents/bureau/ports/fault"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/rule"
)

const (
	tendEvery = 2 * time.Second
	tendMost  = 100
)

// hold keeps a run whose start waits for an approval.
func (s *Service) hold(ctx context.Context, sc account.Scope, run Run, req StartRequest) (Run, error) {
	run.Pending, run.Status = true, WaitingApproval
	err := s.d.TX.Do(ctx, func(ctx context.Context) error { return s.open(ctx, sc, run, req, nil) })
	if err != nil {
		// Nobody is to be asked about a run that there is not.
		if _, verr := s.d.Gate.VoidSession(ctx, sc, run.Session, "the run could not be made"); verr != nil {
			s.d.Logger.LogAttrs(ctx, slog.LevelWarn, "start of a run not voided", slog.Any("error", verr))
		}
		return Run{}, err
	}
	return run, nil
}

// MaySend returns ErrWaits for the session of a run whose start waits for an approval: whoever talks to it would start it without one.
func (s *Service) MaySend(ctx context.Context, sc account.Scope, of id.Session) error {
	run, err := s.d.Repository.Get(ctx, sc, RunOf(of))
	switch {
	case fault.KindOf(err) == fault.NotFound:
		return nil
	case err == nil && run.Pending:
		return ErrWaits
	}
	return err
}

// ActEnded implements session.Watcher: starts that waited for an approval are taken up after they have been decided about.
func (s *Service) ActEnded(ctx context.Context, rec gate.Record) {
	if rec.Act.Action == rule.ActionRunStart && !rec.Approval.IsZero() {
		s.d.TX.AfterCommit(ctx, s.wake)
	}
}

// ClientAwaited implements session.Watcher.
func (s *Service) ClientAwaited(ctx context.Context, _ account.Scope, _ id.Session) error {
	s.d.TX.AfterCommit(ctx, s.wake)
	return nil
}

func (s *Service) wake() {
	select {
	case s.nudge <- struct{}{}:
	default:
	}
}

// Run tends runs until ctx ends: at once when this process has learned of one that needs it, and every few seconds, for what other
// processes have learned of or could not do any more. Call it once.
func (s *Service) Run(ctx context.Context) {
	t := time.NewTicker(tendEvery)
	defer t.Stop()
	for {
		if err := s.Tend(ctx); err != nil && ctx.Err() == nil {
			s.d.Logger.LogAttrs(ctx, slog.LevelWarn, "runs not tended", slog.Any("error", err))
		}
		select {
		case <-ctx.Done():
			return
		case <-s.nudge:
		case <-t.C:
		}
	}
}

// Tend ends the runs whose agents wait for a client, and begins, or ends, those whose start has been decided about. Several processes may
// do so at once. A run with which something goes wrong does not keep the others waiting.
func (s *Service) Tend(ctx context.Context) error {
	stalled, err := s.d.Acts.Stalled(ctx, tendMost)
	if err != nil {
		return err
	}
	for _, st := range stalled {
		sc := account.System(st.Tenant)
		err := s.stop(ctx, sc, Run{ID: st.Run, Session: SessionOf(st.Run)},
			"the agent asked for the tool "+st.Tool+", which a client answers, and a run has no client")
		s.warn(ctx, st.Run, err)
	}
	decided, err := s.d.Acts.Decided(ctx, tendMost)
	if err != nil {
		return err
	}
	for _, run := range decided {
		s.warn(ctx, run.ID, s.resume(ctx, account.System(run.Tenant), run))
	}
	return nil
}

func (s *Service) warn(ctx context.Context, run id.Run, err error) {
	if err != nil && ctx.Err() == nil {
		s.d.Logger.LogAttrs(ctx, slog.LevelWarn, "run not tended", slog.String("run_id", run.String()), slog.Any("error", err))
	}
}

// resume begins a run whose start was approved, and ends one whose start was not.
func (s *Service) resume(ctx context.Context, sc account.Scope, run Run) error {
	rec, err := s.d.Gate.Begin(ctx, sc, startAct(run), func(ctx context.Context, rec gate.Record) error {
		left, ok, err := s.d.Repository.Lock(ctx, sc, run.ID)
		if err != nil {
			return err
		}
		if !ok || !left.Pending {
			return ErrEnded
		}
		if err := s.d.Credits.ReserveCredits(ctx, sc, run.ID, leastCredits); err != nil {
			return err
		}
		left.Pending, left.Status, left.StartedAt = false, Running, clock.Stored(s.d.Clock.Now())
		if err := s.d.Repository.Save(ctx, sc, left); err != nil {
			return err
		}
		req := StartRequest{Task: run.Task, Context: run.Context}
		if _, err := s.d.Sessions.Send(ctx, sc, run.Session, []session.Input{{Type: session.UserMessage, Content: req.message()}}); err != nil {
			return err
		}
		return s.begun(ctx, sc, left, rec)
	})
	if fe, ok := fault.As(err); ok && fe.Kind != fault.Internal && fe.Kind != fault.Unavailable { // it can never begin
		return s.abandon(ctx, sc, run, session.TurnEnd{Stopped: true, Reason: fe.Message})
	}
	if err != nil || rec.State == gate.Started {
		return err
	}
	return s.abandon(ctx, sc, run, session.TurnEnd{Stopped: true, Rule: rec.Decision.Rule, Reason: rec.Decision.Reason})
}

// abandon ends a run that never began.
func (s *Service) abandon(ctx context.Context, sc account.Scope, run Run, e session.TurnEnd) error {
	return s.d.TX.Do(ctx, func(ctx context.Context) error {
		if _, err := s.d.Gate.VoidSession(ctx, sc, run.Session, e.Reason); err != nil {
			return err
		}
		left, ok, err := s.d.Repository.Lock(ctx, sc, run.ID)
		if err != nil || !ok || !left.Pending {
			return err
		}
		if e.Rule == policy.RuleApproval || e.Rule == policy.RuleExpired {
			facts, err := s.d.Acts.Facts(ctx, sc, run.ID)
			if err != nil {
				return err
			}
			if facts.Refusal != nil {
				e.Rule = facts.Refusal.Rule
			}
		}
		return s.finish(ctx, sc, left, e)
	})
}
