package a2a

import (
	"context"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/policy"
	"github.com/bureau-agents/bureau/core/session"
	"github.com/bureau-agents/bureau/ports/clock"
)

// TurnMoved implements session.TurnWatcher: a step of a turn is one of its task.
func (s *Service) TurnMoved(ctx context.Context, sc account.Scope, m session.TurnMove) error {
	next := Task{ID: m.Turn.ID, UpdatedAt: clock.Stored(s.d.Clock.Now())}
	switch {
	case m.End != nil:
		next.State, next.Reason, next.Rule = outcome(*m.End)
		next.LastSeq = m.Seq
	case m.Waits:
		next.State = InputRequired
	default:
		next.State, next.FirstSeq = Working, m.Seq
	}
	t, moved, err := s.d.Tasks.Move(ctx, sc, next)
	if err != nil || !moved {
		return err
	}
	return s.changed(ctx, sc, t)
}

// outcome says what the end of a turn is to whoever gave the task.
func outcome(e session.TurnEnd) (State, string, string) {
	switch {
	case e.Rule == policy.RuleFrozen && e.Stopped:
		return Rejected, "the agent is frozen and does nothing: " + e.Reason, e.Rule
	case e.Stopped:
		return Canceled, e.Reason, e.Rule
	case e.Error != nil && e.Error.Rule == policy.RuleFrozen:
		return Rejected, e.Error.Message, e.Error.Rule
	case e.Error != nil:
		return Failed, e.Error.Message, e.Error.Rule
	}
	switch e.Stop {
	case session.StopRefusal:
		return Rejected, "the agent's model refuses to answer this", ""
	case session.StopBudgetReached:
		return Failed, "the budget of the conversation is spent", ""
	case session.StopRetriesExhausted:
		return Failed, "the agent could not answer", ""
	}
	return Completed, "", ""
}
