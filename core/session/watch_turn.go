package session

import (
	"context"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/ports/id"
)

// TurnMove is a step in the life of a watched turn.
type TurnMove struct {
	Turn Turn // as it is now
	// Waits is set when the turn waits for somebody to answer or to approve a tool use, which its session's status says, too.
	Waits bool
	// Seq is the number of the turn's message when it begins, and that of the newest event when it has ended; 0 in between.
	Seq int64
	End *TurnEnd // nil: it has not ended
}

// TurnWatcher learns what becomes of watched turns. app wires core/a2a.
type TurnWatcher interface {
	// TurnMoved is called in the transaction in which a turn begins, begins to wait for somebody, goes on after that, or ends; everything
	// of it is in the log by then.
	TurnMoved(ctx context.Context, sc account.Scope, m TurnMove) error
}

// WatchTurns names the watcher of turns. It is called before the journal is used, and once.
func (j *Journal) WatchTurns(w TurnWatcher) { j.turns = w }

// moved tells the watcher of a turn's step. It must run in the transaction that made it.
func (j *Journal) moved(ctx context.Context, sc account.Scope, m TurnMove) error {
	if j.turns == nil || !m.Turn.Watched {
		return nil
	}
	return j.turns.TurnMoved(ctx, sc, m)
}

// CancelTurn ends one turn, also one that is queued; the others of its session go on. reason is what its open tool uses are answered with.
// It returns id.NotFound of the session, and false for a turn that has ended or is not the session's.
func (s *Service) CancelTurn(ctx context.Context, sc account.Scope, session id.Session, turn id.Turn, reason string) (bool, error) {
	if _, err := s.own(ctx, sc, session); err != nil {
		return false, err
	}
	done := false
	err := s.d.TX.Do(ctx, func(ctx context.Context) error {
		done = false
		j := s.d.Journal
		if _, err := j.lockTree(ctx, sc, session); err != nil {
			return err
		}
		turns, err := j.d.Turns.LockSession(ctx, sc, session)
		if err != nil {
			return err
		}
		active, busy := activeOf(turns)
		h := halt{reason: reason, only: turn, idle: true}
		if busy && active.ID != turn {
			h.queued, h.idle = true, false
		} else if busy {
			h.first = []Entry{{Type: UserInterrupt}}
			if err := j.stopThreads(ctx, sc, session, reason, false); err != nil {
				return err
			}
		}
		for _, t := range turns {
			done = done || t.ID == turn
		}
		if !done {
			return nil
		}
		if _, err := j.stop(ctx, sc, session, h); err != nil || h.queued {
			return err
		}
		_, err = s.d.Gate.VoidSession(ctx, sc, session, reason)
		return err
	})
	return done, err
}
