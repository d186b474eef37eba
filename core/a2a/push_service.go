package a2a

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/webhook"
	"github.com/bureau-agents/bureau/ports/clock"
	"github.com/bureau-agents/bureau/ports/fault"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/keeper"
	"github.com/bureau-agents/bureau/ports/tx"
)

// KeepPushes is for how long a configuration can be read after the last of its notifications.
const KeepPushes = 7 * 24 * time.Hour

// The errors of push notifications.
var (
	// ErrPushInvalid is returned for a configuration that cannot be as it is asked for; its fields say where.
	ErrPushInvalid = fault.New(fault.Invalid, "invalid_request", "the push notification configuration cannot be so")
	// ErrPushNotFound is returned for a configuration that the task does not have.
	ErrPushNotFound = fault.New(fault.NotFound, "push_config_not_found", "the task has no such push notification configuration")
	// ErrTooManyPushes is returned when a task has MaxPushPerTask configurations.
	ErrTooManyPushes = fault.New(fault.Conflict, "push_config_limit", "the task has as many push notification configurations as it may have")
)

// PushConfigs stores configurations. Methods are safe for concurrent use and join the transaction in ctx; a configuration that is missing or another
// tenant's is ErrPushNotFound.
type PushConfigs interface {
	// Put stores one in place of the one with its task and ID, whose lease is lost; ErrTooManyPushes when the task has as many as most others, also
	// when several come at once.
	Put(ctx context.Context, sc account.Scope, c PushConfig, most int) error
	// Get returns one.
	Get(ctx context.Context, sc account.Scope, task id.Turn, config string) (PushConfig, error)
	// List returns those of a task, the oldest first.
	List(ctx context.Context, sc account.Scope, task id.Turn) ([]PushConfig, error)
	// Delete removes one.
	Delete(ctx context.Context, sc account.Scope, task id.Turn, config string) error
	// Due returns at most limit that are PushActive, of every tenant, whose NextAt has come, which nobody has leased, and whose task's session has a
	// log that goes beyond Place or whose task has ended; the longest overdue first.
	Due(ctx context.Context, now time.Time, limit int) ([]PushRef, error)
	// Lease takes one that is PushActive and whose NextAt has come until the given time, unless somebody else has it; false otherwise. token names
	// the holder.
	Lease(ctx context.Context, r PushRef, token id.UUID, now, until time.Time) (PushConfig, bool, error)
	// Record stores State, Error, Place, Failures, NextAt, UpdatedAt and EndedAt of a leased one and keeps it until the given time; the zero time
	// ends the lease. false, and nothing is stored: the lease was lost.
	Record(ctx context.Context, c PushConfig, token id.UUID, until time.Time) (bool, error)
}

// PushSweeps removes configurations. Methods join the transaction in ctx.
type PushSweeps interface {
	// Prune removes, of every tenant, at most limit that ended before the given time or whose task is gone, and returns how many there were.
	Prune(ctx context.Context, before time.Time, limit int) (int, error)
	// Forget removes those of an agent's tasks.
	Forget(ctx context.Context, sc account.Scope, agent id.Agent) error
}

// PushNews is what is told of a task next.
type PushNews struct {
	// Body is the JSON to post; nil: nothing up to Place is to be told.
	Body []byte
	// Place is the number of the last event in the session's log that was looked at.
	Place int64
	// End says that the task has ended, and that nothing follows this.
	End bool
}

// PushFeed reads what happened to tasks. The face implements it, which knows how each version of the protocol writes that down.
type PushFeed interface {
	// Next returns what happened to the task of c first after c.Place, or id.NotFound.
	Next(ctx context.Context, c PushConfig) (PushNews, error)
}

// PushesDeps is what Pushes needs; all fields are required.
type PushesDeps struct {
	TX      tx.Runner
	Clock   clock.Clock
	IDs     id.Generator
	Logger  *slog.Logger
	Keeper  keeper.Keeper
	Configs PushConfigs
	Sweeps  PushSweeps
	Sender  webhook.Sender
	Feed    PushFeed
}

// PushesConfig tunes Pushes; the zero value is the default.
type PushesConfig struct {
	// Timeout bounds one attempt; 0 is 15 s. Its lease is twice as long, which is how long a notification waits after its process has died.
	Timeout time.Duration
	// PollEvery is how often the store is asked for news; 0 is 250 ms.
	PollEvery time.Duration
	// Concurrency is how many requests this process makes at once, 0 is 64; PerTenant how many of them are one tenant's, 0 is 8.
	Concurrency, PerTenant int
}

// Pushes keeps push notification configurations and posts the changes of tasks to them.
//
// Nothing is queued: a configuration has a place in the log of its task's session, which moves on when a change was posted and answered with a status
// from 200 to 299. So everything is posted at least once and in order, whatever process dies when; processes lease configurations, one each. Failed
// attempts are made again after 1 s, 5 s, 30 s, 2 min, 10 min, 30 min, 1 h, 2 h and 4 h; then, after 410 Gone, and for an address that may not be
// reached, the configuration is given up. It is safe for concurrent use.
type Pushes struct {
	d    PushesDeps
	c    PushesConfig
	wake chan struct{} // holds one token while there may be something to post

	mu      sync.Mutex
	busy    map[PushRef]struct{}
	tenants map[id.Tenant]int // how many of busy are whose
	skipped bool              // one has found no room since the store was asked
}

// NewPushes returns Pushes, or an error that names what is missing or wrong.
func NewPushes(d PushesDeps, c PushesConfig) (*Pushes, error) {
	for _, f := range []struct {
		name    string
		missing bool
	}{
		{"TX", d.TX == nil}, {"Clock", d.Clock == nil}, {"IDs", d.IDs == nil}, {"Logger", d.Logger == nil}, {"Keeper", d.Keeper == nil},
		{"Configs", d.Configs == nil}, {"Sweeps", d.Sweeps == nil}, {"Sender", d.Sender == nil}, {"Feed", d.Feed == nil},
	} {
		if f.missing {
			return nil, fmt.Errorf("a2a: PushesDeps.%s is required", f.name)
		}
	}
	if c.Timeout < 0 || c.PollEvery < 0 || c.Concurrency < 0 || c.PerTenant < 0 {
		return nil, errors.New("a2a: nothing in PushesConfig may be negative")
	}
	if c.Timeout == 0 {
		c.Timeout = 15 * time.Second
	}
	if c.PollEvery == 0 {
		c.PollEvery = 250 * time.Millisecond
	}
	if c.Concurrency == 0 {
		c.Concurrency = 64
	}
	if c.PerTenant == 0 {
		c.PerTenant = 8
	}
	return &Pushes{d: d, c: c, wake: make(chan struct{}, 1), busy: map[PushRef]struct{}{}, tenants: map[id.Tenant]int{}}, nil
}

func (s *Pushes) now() time.Time { return clock.Stored(s.d.Clock.Now()) }

// nudge makes Run look for something to post.
func (s *Pushes) nudge() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}
