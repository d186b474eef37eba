package task

import (
	"context"
	"time"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/session"
	"github.com/bureau-agents/bureau/ports/clock"
	"github.com/bureau-agents/bureau/ports/fault"
)

// The kinds of notices of this package.
const (
	noticeCompleted = "agent.run.completed"
	noticeFailed    = "agent.run.failed"
)

// TurnEnded implements session.Watcher: the first turn of a run's session is the run.
func (s *Service) TurnEnded(ctx context.Context, sc account.Scope, e session.TurnEnd) error {
	run, ok, err := s.d.Repository.Lock(ctx, sc, RunOf(e.Turn.Session))
	if err != nil || !ok {
		return err
	}
	return s.finish(ctx, sc, run, e)
}

// finish ends a locked run: its outcome, its charge, its audit entry and its notice are one with what ended it.
func (s *Service) finish(ctx context.Context, sc account.Scope, run Run, e session.TurnEnd) error {
	facts, err := s.d.Acts.Facts(ctx, sc, run.ID)
	if err != nil {
		return err
	}
	said, err := s.lastMessage(ctx, sc, run)
	if err != nil {
		return err
	}
	run.outcome(e, facts, said)
	now := clock.Stored(s.d.Clock.Now())
	run.CompletedAt, run.Pending = &now, false
	if run.Credits, err = s.d.Credits.SettleCredits(ctx, sc, run.ID, CostOf(run.Acts)); err != nil {
		return err
	}
	if err := s.d.Repository.Save(ctx, sc, run); err != nil {
		return err
	}
	return s.tell(ctx, sc, run)
}

// tell notes the end of a run in the audit trail, and tells people outside.
func (s *Service) tell(ctx context.Context, sc account.Scope, run Run) error {
	action, kind := auditCompleted, noticeCompleted
	data := map[string]any{
		"run_id": run.ID.UUID().String(), "session_id": run.Session.UUID().String(), "status": string(run.Status), "credits": run.Credits,
		"acts": run.Acts,
	}
	if run.Status == Failed {
		action, kind = auditFailed, noticeFailed
		data["error"] = run.Error
		if run.Rule != "" {
			data["rule"] = run.Rule
		}
	}
	if d, ok := run.Duration(); ok {
		data["duration_ms"] = int(d / time.Millisecond)
	}
	if err := s.d.Trail.Note(ctx, sc, action, run.Agent, data); err != nil {
		return err
	}
	if s.d.Notices == nil {
		return nil
	}
	if run.Status == Completed {
		data["summary"] = run.Summary
	}
	return s.d.Notices.Publish(ctx, sc, kind, run.Agent, data)
}

// lastMessage returns what the agent of a run said last, not what its threads did; "" when it said nothing.
func (s *Service) lastMessage(ctx context.Context, sc account.Scope, run Run) (string, error) {
	events, err := s.d.Log.Events(ctx, sc, run.Session, session.EventQuery{
		Types: []session.EventType{session.AgentMessage}, Desc: true, Limit: 20, MaxBytes: 1 << 20,
	})
	if err != nil {
		return "", err
	}
	for _, e := range events {
		if e.Crossed() {
			continue
		}
		var body session.MessageBody
		if err := e.Body(&body); err != nil {
			return "", err
		}
		if text := session.PlainText(body.Content); text != "" {
			return text, nil
		}
	}
	return "", nil
}

// stop ends a run from outside. One whose turn has not begun, or is not there any more, is ended as well.
func (s *Service) stop(ctx context.Context, sc account.Scope, run Run, reason string) error {
	return s.d.TX.Do(ctx, func(ctx context.Context) error {
		if err := s.d.Sessions.Cancel(ctx, sc, run.Session, reason); err != nil && fault.KindOf(err) != fault.NotFound {
			return err
		}
		left, ok, err := s.d.Repository.Lock(ctx, sc, run.ID)
		if err != nil || !ok {
			return err
		}
		return s.finish(ctx, sc, left, session.TurnEnd{Stopped: true, Reason: reason})
	})
}
