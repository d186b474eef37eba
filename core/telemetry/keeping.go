package telemetry

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/ports/clock"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/tx"
)

// KeepingDeps is what Keeping needs; all fields are required.
type KeepingDeps struct {
	TX         tx.Runner
	Clock      clock.Clock
	Logger     *slog.Logger
	Repository RetentionRepository
	Tenants    Tenants
	Trail      Trail
	Events     Deletion
	Messages   Deletion
	Feedback   Deletion
}

// KeepingConfig tunes Keeping.
type KeepingConfig struct {
	Default Retention // of tenants that decided nothing
	// Chunk is how many rows go in one transaction; 0 is 1,000. Those who write wait for one chunk at most.
	Chunk int
}

// Keeping deletes what tenants do not want to keep. It is safe for concurrent use.
type Keeping struct {
	d   KeepingDeps
	cfg KeepingConfig
}

// NewKeeping returns Keeping, or an error that names what d lacks or what is wrong with c.
func NewKeeping(d KeepingDeps, c KeepingConfig) (*Keeping, error) {
	if err := required("KeepingDeps", []dependency{
		{"TX", d.TX == nil},
		{"Clock", d.Clock == nil},
		{"Logger", d.Logger == nil},
		{"Repository", d.Repository == nil},
		{"Tenants", d.Tenants == nil},
		{"Trail", d.Trail == nil},
		{"Events", d.Events == nil},
		{"Messages", d.Messages == nil},
		{"Feedback", d.Feedback == nil},
	}); err != nil {
		return nil, err
	}
	if c.Chunk < 0 {
		return nil, fmt.Errorf("telemetry: KeepingConfig.Chunk must not be negative, is %d", c.Chunk)
	}
	if c.Chunk == 0 {
		c.Chunk = defaultChunk
	}
	if err := c.Default.check(); err != nil {
		return nil, fmt.Errorf("telemetry: KeepingConfig.Default: %w", err)
	}
	return &Keeping{d, c}, nil
}

// Get returns what holds for the tenant: what it decided, or the server's default.
func (s *Keeping) Get(ctx context.Context, sc account.Scope) (Retention, error) {
	r, decided, err := s.d.Repository.Retention(ctx, sc)
	if err == nil && !decided {
		r = s.cfg.Default
	}
	return r, err
}

// Set decides for the tenant and notes that in the audit trail as "retention_changed". ErrInvalid names the faults at "events_days" and the like.
// What is too old by then is deleted by the next Sweep, not by this call.
func (s *Keeping) Set(ctx context.Context, sc account.Scope, r Retention) (Retention, error) {
	if err := r.check(); err != nil {
		return Retention{}, err
	}
	err := s.d.TX.Do(ctx, func(ctx context.Context) error {
		was, err := s.Get(ctx, sc)
		if err != nil {
			return err
		}
		if err := s.d.Repository.PutRetention(ctx, sc, r, clock.Stored(s.d.Clock.Now())); err != nil {
			return err
		}
		return s.d.Trail.Note(ctx, sc, "retention_changed", id.Agent{}, map[string]any{"from": was.noted(), "to": r.noted()})
	})
	if err != nil {
		return Retention{}, err
	}
	return r, nil
}

// noted is the retention as the audit trail has it, where null is for ever.
func (r Retention) noted() map[string]any {
	days := func(n int) any {
		if n == 0 {
			return nil
		}
		return n
	}
	return map[string]any{
		"events_days": days(r.EventsDays), "messages_days": days(r.MessagesDays), "feedback_days": days(r.FeedbackDays),
	}
}

// task is something of a tenant of which some may be too old.
type task struct {
	tenant  id.Tenant
	what    string
	delete  Deletion
	before  time.Time
	deleted int
}

// Sweep deletes what is older than its tenant keeps, and returns how many rows that were. It takes a chunk of each tenant in turn, each in a
// transaction of its own, so that nobody waits long for it and no tenant for another's backlog. It goes on until nothing is left to delete or
// ctx ends; what it did not get to, or what a crash kept it from, the next Sweep finds: nothing is remembered but the rows themselves. An error
// with one tenant does not keep it from the others.
func (s *Keeping) Sweep(ctx context.Context) (int, error) {
	tasks, err := s.tasks(ctx)
	if err != nil {
		return 0, err
	}
	total := 0
	var errs []error
	for len(tasks) > 0 {
		tasks = slices.DeleteFunc(tasks, func(t *task) bool {
			if ctx.Err() != nil {
				return true
			}
			n, err := t.delete(ctx, account.System(t.tenant), id.Agent{}, t.before, s.cfg.Chunk)
			total += n
			t.deleted += n
			if err != nil && ctx.Err() == nil {
				errs = append(errs, fmt.Errorf("telemetry: old %s of %s: %w", t.what, t.tenant, err))
			}
			done := err != nil || n < s.cfg.Chunk
			if done && t.deleted > 0 {
				s.d.Logger.LogAttrs(ctx, slog.LevelInfo, "what is older than is kept was deleted", slog.String("tenant_id", t.tenant.String()),
					slog.String("what", t.what), slog.Int("deleted", t.deleted), slog.Time("before", t.before))
			}
			return done
		})
	}
	return total, errors.Join(append(errs, ctx.Err())...)
}

// tasks returns what is to be looked through.
func (s *Keeping) tasks(ctx context.Context) ([]*task, error) {
	decided, err := s.d.Repository.Retentions(ctx)
	if err != nil {
		return nil, err
	}
	if s.cfg.Default != (Retention{}) {
		all, err := s.d.Tenants.Tenants(ctx)
		if err != nil {
			return nil, err
		}
		for _, t := range all {
			if _, own := decided[t.ID]; !own {
				decided[t.ID] = s.cfg.Default
			}
		}
	}
	now := clock.Stored(s.d.Clock.Now())
	var out []*task
	for tenant, r := range decided {
		for _, t := range []struct {
			what   string
			days   int
			delete Deletion
		}{{"events", r.EventsDays, s.d.Events}, {"messages", r.MessagesDays, s.d.Messages}, {"feedback", r.FeedbackDays, s.d.Feedback}} {
			if t.days > 0 {
				out = append(out, &task{tenant: tenant, what: t.what, delete: t.delete, before: now.Add(-time.Duration(t.days) * 24 * time.Hour)})
			}
		}
	}
	return out, nil
}
