package telemetry

import (
	"bytes"
	"context"
	"iter"
	"time"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/ports/id"
)

// Tailed is an event that a stream shows.
type Tailed struct {
	Event Event
	// Late says that events taken later were shown before. Whoever comes back behind this one would get those a second time.
	Late bool
}

// TailStream shows a tenant's events as they are taken. It is for one reader.
type TailStream struct {
	t     *Tail
	sc    account.Scope
	f     Filter
	match Match
	wake  chan struct{}
	// cursor is the number up to which everything was shown, but for what is late. seen are the numbers of the time of Overlap before it that were
	// shown, or that were there before the stream began.
	cursor  id.Report
	seen    map[id.Report]struct{}
	checked time.Time     // when it was last looked for what is late
	took    time.Duration // how long that took
}

// Open begins a stream of the events that f chooses and that are taken from now on, or behind the event after, unless that is zero. It returns
// ErrTooManyStreams, ErrStopping, ErrInvalid for f's search, and id.NotFound for after. The caller must Close the stream.
func (t *Tail) Open(ctx context.Context, sc account.Scope, f Filter, after id.Report) (*TailStream, error) {
	if err := f.CheckSearch(); err != nil {
		return nil, err
	}
	st := &TailStream{t: t, sc: sc, f: f, match: f.Match(), wake: make(chan struct{}, 1), seen: map[id.Report]struct{}{}}
	if err := t.enter(st); err != nil {
		return nil, err
	}
	if err := st.begin(ctx, after); err != nil {
		st.Close()
		return nil, err
	}
	return st, nil
}

func (t *Tail) enter(st *TailStream) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	select {
	case <-t.closed:
		return ErrStopping
	default:
	}
	of := t.streams[st.sc.Tenant]
	if len(of) >= t.cfg.MaxStreams {
		return ErrTooManyStreams
	}
	if of == nil {
		of = map[*TailStream]struct{}{}
		t.streams[st.sc.Tenant] = of
	}
	of[st] = struct{}{}
	return nil
}

// Close ends the stream. It may be called more than once.
func (st *TailStream) Close() {
	st.t.mu.Lock()
	defer st.t.mu.Unlock()
	of := st.t.streams[st.sc.Tenant]
	if delete(of, st); len(of) == 0 {
		delete(st.t.streams, st.sc.Tenant)
	}
}

// begin notes what there is already.
func (st *TailStream) begin(ctx context.Context, after id.Report) error {
	now := st.t.d.Clock.Now()
	// A number of one's own is above those of this process that were taken in the same millisecond.
	st.cursor, st.checked = id.New[id.ReportKind](st.t.d.IDs), now
	if !after.IsZero() {
		number, err := st.t.d.Repository.Number(ctx, st.sc, after)
		if err != nil {
			return err
		}
		st.cursor = number
	}
	at, _ := timeOf(st.cursor.UUID())
	if after.IsZero() {
		at = now
	}
	known, err := st.t.d.Repository.Numbers(ctx, st.sc, st.f, numberAt(at.Add(-st.t.cfg.Overlap)), st.cursor)
	if err != nil {
		return err
	}
	for _, n := range known {
		st.seen[n] = struct{}{}
	}
	st.seen[st.cursor] = struct{}{}
	return nil
}

// tailBatch is how many events a stream reads at once.
const tailBatch = 200

// Events yields the stream until ctx ends, or an error: ErrStopping when this process shuts down. Each event comes once.
func (st *TailStream) Events(ctx context.Context) iter.Seq2[Tailed, error] {
	return func(yield func(Tailed, error) bool) {
		poll := time.NewTicker(st.t.cfg.Poll)
		defer poll.Stop()
		// What was just stored is shown once it is as old as Hold says.
		ripe := time.NewTimer(0)
		defer ripe.Stop()
		ripening := true
		for {
			late := false
			select {
			case <-ctx.Done():
				return
			case <-st.t.closed:
				yield(Tailed{}, ErrStopping)
				return
			case <-st.wake:
				if !ripening {
					ripe.Reset(st.t.cfg.Hold + time.Millisecond)
					ripening = true
				}
				continue
			case <-ripe.C:
				ripening = false
			case <-poll.C:
				late = true
			}
			more, err := st.forward(ctx, yield)
			if more && err == nil && late {
				more, err = st.catchUp(ctx, yield)
			}
			if err != nil && ctx.Err() == nil {
				yield(Tailed{}, err)
			}
			if !more || err != nil {
				return
			}
		}
	}
}

// forward shows what has become old enough, in order.
func (st *TailStream) forward(ctx context.Context, yield func(Tailed, error) bool) (more bool, err error) {
	until := numberAt(st.t.d.Clock.Now().Add(-st.t.cfg.Hold))
	for less(st.cursor, until) {
		found, more, err := st.t.d.Repository.Taken(ctx, st.sc, st.f, st.cursor, until, tailBatch)
		if err != nil {
			return false, err
		}
		for _, e := range found {
			st.cursor = e.Number
			st.seen[e.Number] = struct{}{}
			if !st.show(e.Event, false, yield) {
				return false, nil
			}
		}
		if !more {
			st.cursor = until
			break
		}
	}
	return true, nil
}

func (st *TailStream) show(e Event, late bool, yield func(Tailed, error) bool) bool {
	return st.match != nil && !st.match(e) || yield(Tailed{e, late}, nil)
}

// catchUp shows what was taken before the cursor and came to light since. Where that takes long, it is done less often.
func (st *TailStream) catchUp(ctx context.Context, yield func(Tailed, error) bool) (more bool, err error) {
	now := st.t.d.Clock.Now()
	if now.Sub(st.checked) < 20*st.took {
		return true, nil
	}
	// What was last looked for may have come a moment afterwards.
	from := st.checked
	if at := st.cursorTime(); at.Before(from) {
		from = at
	}
	since := numberAt(from.Add(-st.t.cfg.Overlap))
	numbers, err := st.t.d.Repository.Numbers(ctx, st.sc, st.f, since, after(st.cursor))
	if err != nil {
		return false, err
	}
	st.checked, st.took = now, st.t.d.Clock.Now().Sub(now)
	for _, n := range numbers {
		if _, ok := st.seen[n]; ok {
			continue
		}
		st.seen[n] = struct{}{}
		found, _, err := st.t.d.Repository.Taken(ctx, st.sc, st.f, before(n), after(n), 1)
		if err != nil {
			return false, err
		}
		for _, e := range found {
			if !st.show(e.Event, true, yield) {
				return false, nil
			}
		}
	}
	for n := range st.seen {
		if less(n, since) {
			delete(st.seen, n)
		}
	}
	return true, nil
}

func (st *TailStream) cursorTime() time.Time {
	u := st.cursor.UUID()
	u[6] = 0x70 // of a number that stands for a time
	at, _ := timeOf(u)
	return at
}

func less(a, b id.Report) bool {
	x, y := a.UUID(), b.UUID()
	return bytes.Compare(x[:], y[:]) < 0
}

// before and after return a number's neighbours.
func before(n id.Report) id.Report {
	u := n.UUID()
	for i := len(u) - 1; i >= 0; i-- {
		if u[i]--; u[i] != 0xff {
			break
		}
	}
	return id.Of[id.ReportKind](u)
}

func after(n id.Report) id.Report {
	u := n.UUID()
	for i := len(u) - 1; i >= 0; i-- {
		if u[i]++; u[i] != 0 {
			break
		}
	}
	return id.Of[id.ReportKind](u)
}
