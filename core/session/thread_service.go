package session

import (
	"context"
	"encoding/json"
	"errors"
	"slices"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/page"
)

// ThreadUsage sums what the threads below sessions have used, by session; those without threads are left out.
func (s *Service) ThreadUsage(ctx context.Context, sc account.Scope, sessions []id.Session) (map[id.Session]Usage, error) {
	return s.d.Journal.d.Threads.Usage(ctx, sc, sessions)
}

// own returns a session that works for nobody; id.NotFound for one that does: it is reached as a thread.
func (s *Service) own(ctx context.Context, sc account.Scope, session id.Session) (Session, error) {
	v, err := s.d.Repository.Get(ctx, sc, session)
	if err == nil && !v.Parent.IsZero() {
		return Session{}, id.NotFound[id.SessionKind](session.String())
	}
	return v, err
}

// Threads lists the threads of a session, the primary one first and the others in the order of their creation.
func (s *Service) Threads(ctx context.Context, sc account.Scope, session id.Session, req ThreadRequest) (page.Page[Thread], error) {
	v, err := s.own(ctx, sc, session)
	if err != nil {
		return page.Page[Thread]{}, err
	}
	primary := req.Cursor == "" && (req.Statuses == nil || slices.Contains(req.Statuses, v.Status()))
	if primary {
		// One place of the first page is taken; a page of one holds nothing else, and its cursor is before all threads.
		if req.Limit = req.Size() - 1; req.Limit == 0 {
			below, err := s.d.Journal.d.Threads.List(ctx, sc, session, ThreadRequest{Request: page.Request{Limit: 1}, Statuses: req.Statuses})
			out := page.Page[Thread]{Items: []Thread{primaryOf(v)}}
			if len(below.Items) > 0 {
				out.Next = threadsStart
			}
			return out, err
		}
	}
	if req.Cursor == threadsStart {
		req.Cursor = ""
	}
	out, err := s.d.Journal.d.Threads.List(ctx, sc, session, req)
	if err == nil && primary {
		out.Items = slices.Insert(out.Items, 0, primaryOf(v))
	}
	return out, err
}

// threadsStart is the cursor of a page that begins after the primary thread.
const threadsStart = "primary"

func primaryOf(v Session) Thread { return Thread{Session: v, Type: ThreadPrimary} }

// Thread returns a thread of a session, or id.NotFound of either.
func (s *Service) Thread(ctx context.Context, sc account.Scope, session id.Session, thread id.Thread) (Thread, error) {
	v, err := s.own(ctx, sc, session)
	if err != nil {
		return Thread{}, err
	}
	if thread == ThreadOf(session) {
		return primaryOf(v), nil
	}
	t, err := s.d.Journal.d.Threads.Get(ctx, sc, id.Of[id.SessionKind](thread.UUID()), false)
	if err == nil && t.Root != session {
		return Thread{}, id.NotFound[id.ThreadKind](thread.String())
	}
	return t, err
}

// ArchiveThread ends a thread for good: what it does is stopped, and it takes no more work. Archiving again changes nothing. The
// primary thread is ErrPrimaryThread.
func (s *Service) ArchiveThread(ctx context.Context, sc account.Scope, session id.Session, thread id.Thread) (Thread, error) {
	t, err := s.Thread(ctx, sc, session, thread)
	switch {
	case err != nil:
		return Thread{}, err
	case t.Type == ThreadPrimary:
		return Thread{}, ErrPrimaryThread
	case t.ArchivedAt != nil:
		return t, nil
	}
	const reason = "the thread was archived"
	err = s.d.TX.Do(ctx, func(ctx context.Context) error {
		if err := s.d.Journal.stopThreads(ctx, sc, t.ID, reason, true); err != nil {
			return err
		}
		return s.d.Journal.stopThread(ctx, sc, t, nil, reason, true, true)
	})
	if err != nil {
		return Thread{}, err
	}
	return s.Thread(ctx, sc, session, thread)
}

// ThreadEvents is Events of a thread.
func (s *Service) ThreadEvents(
	ctx context.Context, sc account.Scope, session id.Session, thread id.Thread, q EventQuery,
) (events []Event, more bool, err error) {
	t, err := s.Thread(ctx, sc, session, thread)
	if err != nil {
		return nil, false, err
	}
	return s.events(ctx, sc, t.ID, q)
}

// StreamThread is Stream of a thread. The caller must Close the stream.
func (s *Service) StreamThread(
	ctx context.Context, sc account.Scope, session id.Session, thread id.Thread, opt StreamOptions,
) (*Stream, error) {
	t, err := s.Thread(ctx, sc, session, thread)
	if err != nil {
		return nil, err
	}
	return s.stream(ctx, sc, t.ID, opt, s.d.Repository.Get)
}

// routed are inputs that go to one session of a tree.
type routed struct {
	to     Session
	inputs []Input
	first  int // index of the first of them
}

// route says to which session of the tree each input goes: answers to where their tool use is open, interrupts to the thread that
// they name, everything else to the session itself.
func (s *Service) route(ctx context.Context, sc account.Scope, current Session, inputs []Input) ([]routed, error) {
	var below map[id.Event]id.Session
	var out []routed
	for i, in := range inputs {
		to := current.ID
		switch {
		case !in.Thread.IsZero() && in.Type == UserInterrupt:
			t, err := s.Thread(ctx, sc, current.ID, in.Thread)
			if err != nil {
				return nil, err
			}
			to = t.ID
		case !in.ToolUse.IsZero():
			if below == nil {
				uses, err := s.d.Journal.d.Threads.Waiting(ctx, sc, current.ID)
				if err != nil {
					return nil, err
				}
				below = map[id.Event]id.Session{}
				for _, u := range uses {
					below[u.ID] = u.Session
				}
			}
			if v, ok := below[in.ToolUse]; ok {
				to = v
			}
		}
		if n := len(out); n > 0 && out[n-1].to.ID == to {
			out[n-1].inputs = append(out[n-1].inputs, in)
			continue
		}
		target := current
		if to != current.ID {
			var err error
			if target, err = s.d.Repository.Get(ctx, sc, to); err != nil {
				return nil, err
			}
			if target.ArchivedAt != nil {
				return nil, ErrArchived.Withf("thread %s is archived", ThreadOf(to))
			}
		}
		out = append(out, routed{target, []Input{in}, i})
	}
	return out, nil
}

// tellRoot passes on what inputs did to a thread, and writes their events as the root's log has them. What is not passed on now is
// found later.
func (s *Service) tellRoot(ctx context.Context, thread Session, events []Event) []Event {
	if err := s.d.Journal.Follow(ctx, Ref{thread.Tenant, thread.ID}); err != nil && !errors.Is(err, context.Canceled) {
		s.d.Logger.WarnContext(ctx, "thread not followed", "session_id", thread.Root, "thread_id", ThreadOf(thread.ID), "error", err)
	}
	out := make([]Event, len(events))
	for i, e := range events {
		out[i] = e
		if entry, err := crossPosted(Thread{Session: thread}, e); err == nil {
			if data, ok := entry.Body.(json.RawMessage); ok {
				out[i].Data = data
			}
		}
	}
	return out
}
