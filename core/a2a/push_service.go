package a2a

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/internal/lanes"
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
	// Put stores one in place of the one with its task and ID, whose lease is lost, with Place after the task's last change; ErrTooManyPushes when
	// the task has as many as most others, also when several come at once.
	Put(ctx context.Context, sc account.Scope, c PushConfig, most int) error
	// Get returns one.
	Get(ctx context.Context, sc account.Scope, task id.Turn, config string) (PushConfig, error)
	// List returns those of a task, the oldest first.
	List(ctx context.Context, sc account.Scope, task id.Turn) ([]PushConfig, error)
	// Delete removes one.
	Delete(ctx context.Context, sc account.Scope, task id.Turn, config string) error
	// Due returns at most limit that are PushActive, of every tenant, whose NextAt has come, which nobody has leased, and whose task has a change
	// after Place; the longest overdue first.
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
	// Prune removes, of every tenant, at most limit that ended before the given time or whose task is gone, and returns how many there were. Changes
	// of tasks without configurations go, too.
	Prune(ctx context.Context, before time.Time, limit int) (int, error)
	// Forget removes those of an agent's tasks, with the changes.
	Forget(ctx context.Context, sc account.Scope, agent id.Agent) error
}

// PushChange is something to tell of a task: that it is in another state or, with Artifacts, what it has made.
type PushChange struct {
	Task      id.Turn
	Number    int64 // in the order of the changes of the task, from 1
	State     State
	Reason    string
	Rule      string
	Artifacts bool
	At        time.Time
}

// PushChanges stores what is to be told. Methods are safe for concurrent use and join the transaction in ctx.
type PushChanges interface {
	// Append numbers and adds changes of a task that has a PushActive configuration; false: it has none, and nothing was added. Against
	// PushConfigs.Put, one comes before the other.
	Append(ctx context.Context, sc account.Scope, task id.Turn, all []PushChange) (bool, error)
	// Next returns the first change of a task after a number; false: there is none.
	Next(ctx context.Context, task id.Turn, after int64) (PushChange, bool, error)
}

// PushWriter writes a change down as a version of the protocol has it. The face implements it.
type PushWriter interface {
	// WritePush returns the JSON to post, nil when that version does not tell of such a change or nothing was made, or id.NotFound when the task
	// is gone.
	WritePush(ctx context.Context, c PushConfig, change PushChange) ([]byte, error)
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
	Changes PushChanges
	Sender  webhook.Sender
	Writer  PushWriter
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
// The changes of a task that has configurations are stored in the transactions that make them. A configuration has a place among them, which moves on when
// a change was posted and answered with a status from 200 to 299. So everything is posted at least once and in order, whatever process dies when;
// processes lease configurations, one each. Failed attempts are made again after 1 s, 5 s, 30 s, 2 min, 10 min, 30 min, 1 h, 2 h and 4 h;
// then, after 410 Gone, and for an address that may not be reached, the configuration is given up. It is safe for concurrent use.
type Pushes struct {
	d     PushesDeps
	c     PushesConfig
	lanes *lanes.Runner[PushRef]
}

// NewPushes returns Pushes, or an error that names what is missing or wrong.
func NewPushes(d PushesDeps, c PushesConfig) (*Pushes, error) {
	for _, f := range []struct {
		name    string
		missing bool
	}{
		{"TX", d.TX == nil}, {"Clock", d.Clock == nil}, {"IDs", d.IDs == nil}, {"Logger", d.Logger == nil}, {"Keeper", d.Keeper == nil},
		{"Configs", d.Configs == nil}, {"Sweeps", d.Sweeps == nil}, {"Sender", d.Sender == nil}, {"Changes", d.Changes == nil}, {"Writer", d.Writer == nil},
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
	s := &Pushes{d: d, c: c}
	s.lanes = lanes.New(s.work())
	return s, nil
}

func (s *Pushes) now() time.Time { return clock.Stored(s.d.Clock.Now()) }
