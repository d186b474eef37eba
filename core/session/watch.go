package session

import (
	"context"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/gate"
	"github.com/bureau-agents/bureau/ports/id"
)

// TurnEnd says how a turn ended.
type TurnEnd struct {
	Turn Turn
	// Stopped is set for a turn that was ended from outside: Reason says why, and Rule names what forbade it to go on, such as a freeze,
	// if anything did.
	Stopped bool
	Reason  string
	Rule    string
	// Stop and Error belong to a turn that ended by itself: what its session.status_idle says, and the session.error before that, if any.
	Stop  StopType
	Error *ErrorDetail
}

// Watcher learns how the first turns of sessions end, which is what a task that was given with a session's first message comes to. app
// wires core/task.
type Watcher interface {
	// TurnEnded is called in the transaction in which the first turn of a session ends, once, after everything of it is in the log.
	TurnEnded(ctx context.Context, sc account.Scope, e TurnEnd) error
	// ClientAwaited is called in the transaction in which a turn, of whatever session, begins to wait for a client to answer tools.
	ClientAwaited(ctx context.Context, sc account.Scope, session id.Session) error
	// ActEnded is called in the transaction in which an act ends that no tool use asked for; see gate.Observer.
	ActEnded(ctx context.Context, rec gate.Record)
}

// Watch names the watcher. It is called before the journal is used, and once.
func (j *Journal) Watch(w Watcher) { j.watcher = w }

// Listener hears what a turn has written, after the commit: its message and what follows from there. It must return at once, and hears
// nothing of what comes from outside of the turn, such as the answers of clients.
type Listener func(t Turn, events []Event)

// Listen names the listener. It is called before the journal is used, and once.
func (j *Journal) Listen(l Listener) { j.listener = l }

// tellListener tells the listener, if there is one, once the transaction in ctx has committed.
func (j *Journal) tellListener(ctx context.Context, t Turn, events []Event) {
	if j.listener != nil && len(events) > 0 {
		j.d.TX.AfterCommit(ctx, func() { j.listener(t, events) })
	}
}

// ended tells of a turn that has ended; last is the number of the newest event then. It must run in the transaction that ended it.
func (j *Journal) ended(ctx context.Context, sc account.Scope, e TurnEnd, last int64) error {
	if j.watcher != nil && e.Turn.Number == 1 {
		if err := j.watcher.TurnEnded(ctx, sc, e); err != nil {
			return err
		}
	}
	if e.Stopped {
		e.Turn.State = TurnCancelled
	} else {
		e.Turn.State = TurnDone
	}
	return j.moved(ctx, sc, TurnMove{Turn: e.Turn, Seq: last, End: &e})
}

// endOf reads how a turn ended from the entries that end it.
func endOf(t Turn, entries []Entry) TurnEnd {
	e := TurnEnd{Turn: t}
	for _, entry := range entries {
		switch body := entry.Body.(type) {
		case IdleBody:
			e.Stop = body.StopReason.Type
		case ErrorBody:
			e.Error = &body.Error
		}
	}
	return e
}

// awaitClient tells the watcher when one of uses waits for a client.
func (j *Journal) awaitClient(ctx context.Context, sc account.Scope, session id.Session, uses []ToolUse) error {
	if j.watcher == nil {
		return nil
	}
	for _, u := range uses {
		if u.State == UseClient {
			return j.watcher.ClientAwaited(ctx, sc, session)
		}
	}
	return nil
}

// Cancel ends what a session and its threads are doing, drops what is queued, and voids what waits for an approval there. reason is what
// open tool uses are answered with. It returns id.NotFound, and does nothing to a session that is idle.
func (s *Service) Cancel(ctx context.Context, sc account.Scope, session id.Session, reason string) error {
	if _, err := s.own(ctx, sc, session); err != nil {
		return err
	}
	return s.d.TX.Do(ctx, func(ctx context.Context) error {
		if err := s.d.Journal.stopThreads(ctx, sc, session, reason, false); err != nil {
			return err
		}
		if _, err := s.d.Journal.stop(ctx, sc, session, halt{reason: reason, drop: true, idle: true}); err != nil {
			return err
		}
		_, err := s.d.Gate.VoidSession(ctx, sc, session, reason)
		return err
	})
}
