package session

import (
	"context"
	"iter"
	"slices"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/ports/id"
)

// streamBatch is how many rows a stream reads at once.
const streamBatch = 200

// streamBytes is how long the bodies of those rows may be together.
const streamBytes = 1 << 20

// StreamOptions chooses what a stream shows. The zero value shows the events that are appended from now on.
type StreamOptions struct {
	// Replay shows the history after the event with the number AfterSeq first; 0 is all of it.
	Replay   bool
	AfterSeq int64
	// Chunks adds what is not in the log yet.
	Chunks bool
}

// Frame is one item of a stream: either an event or a chunk.
type Frame struct {
	Event *Event
	Chunk *Chunk
}

// Stream reads a session as it goes on. It misses nothing from the moment on that Service.Stream returned. It is for one reader.
type Stream struct {
	svc    *Service
	sc     account.Scope
	id     id.Session
	opt    StreamOptions
	sub    *subscriber
	cursor int64 // number of the last event that was shown or skipped
	ended  bool  // nothing can come any more
	shown  map[id.Event]struct{}
}

// Stream subscribes to a session. The caller must Close the stream.
func (s *Service) Stream(ctx context.Context, sc account.Scope, session id.Session, opt StreamOptions) (*Stream, error) {
	return s.stream(ctx, sc, session, opt, s.own)
}

func (s *Service) stream(ctx context.Context, sc account.Scope, session id.Session, opt StreamOptions,
	get func(context.Context, account.Scope, id.Session) (Session, error),
) (*Stream, error) {
	// Subscribing comes before reading how far the log is: what is appended in between is both behind the cursor and in the mailbox.
	sub, err := s.d.Hub.subscribe(sc.Tenant, session, opt.Chunks)
	if err != nil {
		return nil, err
	}
	current, err := get(ctx, sc, session)
	if err != nil {
		s.d.Hub.unsubscribe(session, sub)
		return nil, err
	}
	st := &Stream{svc: s, sc: sc, id: session, opt: opt, sub: sub, cursor: current.LastSeq, shown: map[id.Event]struct{}{}}
	if opt.Replay {
		st.cursor = max(0, opt.AfterSeq)
		sub.reach(current.LastSeq)
	}
	st.ended = current.ArchivedAt != nil && st.cursor >= current.LastSeq
	return st, nil
}

// Close ends the subscription.
func (st *Stream) Close() { st.svc.d.Hub.unsubscribe(st.id, st.sub) }

// Frames yields the stream until the session is terminated or deleted, ctx ends, or an error: ErrStopping when this process shuts
// down. Each event comes exactly once, in order; chunks come before the event that completes them, if at all.
func (st *Stream) Frames(ctx context.Context) iter.Seq2[Frame, error] {
	return func(yield func(Frame, error) bool) {
		for !st.ended {
			target, queue, err := st.sub.take()
			more, ferr := st.forward(ctx, target, queue, yield)
			if ferr != nil && ctx.Err() == nil {
				yield(Frame{}, ferr)
			}
			if !more {
				return
			}
			if err != nil {
				yield(Frame{}, err)
				return
			}
			select {
			case <-ctx.Done():
				return
			case <-st.sub.wake:
			}
		}
	}
}

// forward shows the rows up to target and, in their places between them, the chunks.
func (st *Stream) forward(ctx context.Context, target int64, queue []Chunk, yield func(Frame, error) bool) (bool, error) {
	flush := func(all bool) bool {
		for len(queue) > 0 && (all || queue[0].After <= st.cursor) {
			c := queue[0]
			queue = queue[1:]
			if _, late := st.shown[c.ID]; late && c.Phase != "" {
				continue // the whole of it has been shown
			}
			if !yield(Frame{Chunk: &c}, nil) {
				return false
			}
		}
		return true
	}
	for {
		if !flush(false) {
			return false, nil
		}
		if len(queue) > 0 {
			target = max(target, queue[0].After)
		}
		if st.cursor >= target {
			return true, nil
		}
		events, err := st.svc.d.Log.Events(ctx, st.sc, st.id, EventQuery{AfterSeq: st.cursor, Limit: streamBatch, MaxBytes: streamBytes})
		if err != nil {
			return false, err
		}
		if len(events) == 0 {
			return flush(true), nil
		}
		if st.opt.Chunks {
			// What came meanwhile has its chunks in the mailbox, which is looked into first.
			events = slices.DeleteFunc(events, func(e Event) bool { return e.Seq > target })
		}
		for i := range events {
			st.cursor = events[i].Seq
			if st.opt.Chunks {
				st.remember(events[i].ID)
			}
			if !yield(Frame{Event: &events[i]}, nil) {
				return false, nil
			}
			if t := events[i].Type; t == SessionTerminated || t == SessionDeleted {
				return false, nil
			}
			if !flush(false) {
				return false, nil
			}
		}
	}
}

// remember keeps the ids of recent events, against chunks that come too late.
func (st *Stream) remember(e id.Event) {
	if len(st.shown) >= 4*streamBatch {
		clear(st.shown)
	}
	st.shown[e] = struct{}{}
}
