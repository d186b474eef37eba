// Package lanes works on many queues at once, each in order, with room for every tenant. The contexts of core that post to others share it.
package lanes

import (
	"context"
	"sync"
	"time"

	"github.com/bureau-agents/bureau/ports/id"
)

// rest keeps a busy process from asking the store what is due after every commit.
const rest = 20 * time.Millisecond

// Config says what the lanes are. All fields are required; the numbers are positive.
type Config[L comparable] struct {
	PollEvery   time.Duration // how often Due is asked without a Nudge
	Concurrency int           // lanes that this process works on at once
	PerTenant   int           // of them, one tenant's
	// Due returns the lanes that have something to do, whoever works on them, the longest overdue first.
	Due func(ctx context.Context) ([]L, error)
	// Drain works on a lane for a while, and reports whether it stopped before its end. Of one lane it runs once at a time in this process;
	// others are for it to keep away.
	Drain func(ctx context.Context, l L) (more bool)
	// Tenant says whose a lane is.
	Tenant func(l L) id.Tenant
	// Trouble is told why Due failed; it is asked again later.
	Trouble func(ctx context.Context, err error)
}

// Runner works on lanes. It is safe for concurrent use.
type Runner[L comparable] struct {
	c    Config[L]
	wake chan struct{} // holds one token while there may be something to do

	mu      sync.Mutex
	busy    map[L]struct{}
	tenants map[id.Tenant]int // how many of busy are whose
	skipped bool              // a lane has found no room since the store was asked
}

// New returns a Runner that does nothing yet.
func New[L comparable](c Config[L]) *Runner[L] {
	return &Runner[L]{c: c, wake: make(chan struct{}, 1), busy: map[L]struct{}{}, tenants: map[id.Tenant]int{}}
}

// Nudge makes Run look for something to do. It does not wait.
func (r *Runner[L]) Nudge() {
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// Run works until ctx ends, and returns when every Drain has returned.
func (r *Runner[L]) Run(ctx context.Context) {
	var running sync.WaitGroup
	defer running.Wait()
	tick := time.NewTicker(r.c.PollEvery)
	defer tick.Stop()
	for {
		if _, err := r.dispatch(ctx, &running); err != nil && ctx.Err() == nil {
			r.c.Trouble(ctx, err)
		}
		pause := time.NewTimer(rest)
		select {
		case <-pause.C:
		case <-ctx.Done():
			pause.Stop()
			return
		}
		select {
		case <-r.wake:
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// Sweep works on what is due, waits for it, and returns how many lanes it went through. It is what Run does again and again.
func (r *Runner[L]) Sweep(ctx context.Context) (int, error) {
	var running sync.WaitGroup
	n, err := r.dispatch(ctx, &running)
	running.Wait()
	return n, err
}

// dispatch begins to work on the lanes that are due, as far as there is room, and returns how many it began.
func (r *Runner[L]) dispatch(ctx context.Context, running *sync.WaitGroup) (int, error) {
	due, err := r.c.Due(ctx)
	if err != nil {
		return 0, err
	}
	begun := 0
	for _, l := range due {
		if !r.enter(l) {
			continue
		}
		begun++
		running.Go(func() {
			more := r.c.Drain(ctx, l)
			if r.leave(l) || more {
				r.Nudge()
			}
		})
	}
	return begun, nil
}

// enter takes a place for a lane; false: it has one, or there is none.
func (r *Runner[L]) enter(l L) bool {
	tenant := r.c.Tenant(l)
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, ok := r.busy[l]; ok || len(r.busy) >= r.c.Concurrency || r.tenants[tenant] >= r.c.PerTenant {
		r.skipped = true
		return false
	}
	r.busy[l] = struct{}{}
	r.tenants[tenant]++
	return true
}

// leave gives the place of a lane back and reports whether somebody waits for one.
func (r *Runner[L]) leave(l L) bool {
	tenant := r.c.Tenant(l)
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.busy, l)
	if r.tenants[tenant]--; r.tenants[tenant] == 0 {
		delete(r.tenants, tenant)
	}
	waiting := r.skipped
	r.skipped = false
	return waiting
}
