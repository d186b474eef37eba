package bunstore

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/bureau-agents/bureau/core/telemetry"
)

const (
	// joinedRows is after how many events a transaction takes no further callers.
	joinedRows = 2000
	// joinedTime is how long a transaction of several callers may take, none of whom can end it.
	joinedTime = 30 * time.Second
)

// eventJoiner has callers that come at once write in one transaction, so that they wait for the disk together. There is no time for which it waits:
// while some transactions are on their way, whoever comes lines up, and the next one takes them all.
type eventJoiner struct {
	s    *Store
	most int // transactions at once

	mu      sync.Mutex
	running int
	waiting []*joining
}

// joining is one caller.
type joining struct {
	events []telemetry.Event
	lead   chan struct{} // it is this caller's turn to write for those who wait
	done   chan error
}

func newEventJoiner(s *Store) *eventJoiner {
	most := 2 // SQLite's writer is alone, but while one is answered the other writes
	if s.postgres() {
		most = 8 // half of the pool: one of its processes writes on one core only
	}
	return &eventJoiner{s: s, most: most}
}

// insert stores events and returns once they are committed, or not there. A caller who goes away before its turn leaves nothing.
func (j *eventJoiner) insert(ctx context.Context, events []telemetry.Event) error {
	me := &joining{events: events, lead: make(chan struct{}, 1), done: make(chan error, 1)}
	j.mu.Lock()
	j.waiting = append(j.waiting, me)
	if j.running < j.most {
		j.running++
		me.lead <- struct{}{}
	}
	j.mu.Unlock()
	select {
	case err := <-me.done:
		return err
	case <-me.lead:
		j.write(ctx, me)
	case <-ctx.Done():
		if j.leave(me) {
			return ctx.Err()
		}
	}
	return <-me.done
}

// leave takes a caller out of the line, and reports whether it stood there still.
func (j *eventJoiner) leave(me *joining) bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	i := slices.Index(j.waiting, me)
	if i < 0 {
		return false
	}
	j.waiting = slices.Delete(j.waiting, i, i+1)
	select {
	case <-me.lead:
		j.pass()
	default:
	}
	return true
}

// pass gives the turn to whoever waits longest and has none. The caller holds the lock.
func (j *eventJoiner) pass() {
	for _, next := range j.waiting {
		select {
		case next.lead <- struct{}{}:
			return
		default: // leads already
		}
	}
	j.running--
}

// take takes the leader and the longest waiting out of the line.
func (j *eventJoiner) take(leader *joining) []*joining {
	j.mu.Lock()
	defer j.mu.Unlock()
	i := slices.Index(j.waiting, leader)
	if i < 0 {
		return nil // another leader writes for this one
	}
	j.waiting = slices.Delete(j.waiting, i, i+1)
	group, rows, n := []*joining{leader}, len(leader.events), 0
	for n < len(j.waiting) && rows+len(j.waiting[n].events) <= joinedRows {
		rows += len(j.waiting[n].events)
		n++
	}
	group = append(group, j.waiting[:n]...)
	j.waiting = slices.Delete(j.waiting, 0, n)
	for _, m := range group[1:] {
		select {
		case <-m.lead: // need not lead any more
			j.pass()
		default:
		}
	}
	return group
}

// write stores what the leader and others wait for, and passes the turn on.
func (j *eventJoiner) write(ctx context.Context, leader *joining) {
	var group []*joining
	err := errors.New("bunstore: the transaction did not come to its end")
	defer func() { // also when storing panics
		for _, m := range group {
			select {
			case m.done <- err:
			default: // knows already
			}
		}
		j.mu.Lock()
		j.pass()
		j.mu.Unlock()
	}()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), joinedTime)
	defer cancel()
	begun := false
	err = j.s.commitEvents(ctx, func() [][]telemetry.Event {
		if !begun { // as late as possible: by now it was waited for SQLite's writer, or for a connection
			group, begun = j.take(leader), true
		}
		return batchesOf(group)
	})
	if !begun && j.leave(leader) {
		group = []*joining{leader}
	}
	if err == nil || len(group) <= 1 || errors.Is(err, errLost) || errors.Is(err, errBusy) {
		return
	}
	for i, m := range group {
		m.done <- j.s.commitEvents(ctx, func() [][]telemetry.Event { return batchesOf(group[i : i+1]) })
	}
}

func batchesOf(group []*joining) [][]telemetry.Event {
	batches := make([][]telemetry.Event, len(group))
	for i, m := range group {
		batches[i] = m.events
	}
	return batches
}
