package telemetry

import (
	"context"
	"time"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/internal/check"
	"github.com/bureau-agents/bureau/ports/id"
)

// MaxRetentionDays is the longest that a tenant may ask for without asking for ever: ten years.
const MaxRetentionDays = 3650

// Retention says for how many days a tenant keeps what agents report, 1 to MaxRetentionDays; 0 is for ever, and so is the zero value. A day is 24
// hours.
type Retention struct {
	EventsDays   int
	MessagesDays int
	FeedbackDays int
}

// check returns ErrInvalid with the faults at "events_days", "messages_days" and "feedback_days".
func (r Retention) check() error {
	var k check.Faults
	for _, f := range []struct {
		path string
		days int
	}{{"events_days", r.EventsDays}, {"messages_days", r.MessagesDays}, {"feedback_days", r.FeedbackDays}} {
		if f.days < 0 || f.days > MaxRetentionDays {
			k.Addf(f.path, "must be 1 to %d days", MaxRetentionDays)
		}
	}
	return k.Err(ErrInvalid)
}

// RetentionRepository keeps what tenants decided. Every method joins the transaction in ctx.
type RetentionRepository interface {
	// Retention returns what the scope's tenant decided, and whether it did.
	Retention(ctx context.Context, sc account.Scope) (Retention, bool, error)
	// PutRetention replaces what the scope's tenant decided.
	PutRetention(ctx context.Context, sc account.Scope, r Retention, at time.Time) error
	// Retentions returns what every tenant of the server decided that did.
	Retentions(ctx context.Context) (map[id.Tenant]Retention, error)
}

// Deletion deletes up to limit of something that was there before a time, of whenever when that is zero, of one agent unless it is zero, and
// returns how many there were: EventRepository.DeleteEvents and its like.
type Deletion func(ctx context.Context, sc account.Scope, agent id.Agent, before time.Time, limit int) (int, error)

// Tenants names the tenants of the server; app wires core/account.
type Tenants interface {
	Tenants(ctx context.Context) ([]account.Tenant, error)
}
