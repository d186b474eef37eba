package webhook

import (
	"context"
	"time"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/page"
)

// Webhooks stores webhooks. Methods are safe for concurrent use and join the transaction in ctx; a webhook that is missing or another tenant's is
// id.NotFound[id.WebhookKind].
type Webhooks interface {
	// Insert stores a new one; ErrTooMany when the tenant has as many as most already, also when several come at once.
	Insert(ctx context.Context, sc account.Scope, w Webhook, most int) error
	// Get returns one.
	Get(ctx context.Context, sc account.Scope, webhook id.Webhook) (Webhook, error)
	// List lists the tenant's, newest first.
	List(ctx context.Context, sc account.Scope, r page.Request) (page.Page[Webhook], error)
	// Update locks one, lets the closure change it, and stores all but ID, Tenant and CreatedAt. An error of change is returned and
	// nothing is stored.
	Update(ctx context.Context, sc account.Scope, webhook id.Webhook, change func(*Webhook) error) (Webhook, error)
	// Delete removes one with its deliveries.
	Delete(ctx context.Context, sc account.Scope, webhook id.Webhook) error
}

// Notices stores notices. Methods are safe for concurrent use and join the transaction in ctx.
type Notices interface {
	// Insert stores a notice and returns the enabled webhooks whose events have one of patterns, by id. once, unless "", names what
	// is told of only once: when the tenant has a notice of that name, nothing is stored and fresh is false.
	Insert(ctx context.Context, sc account.Scope, n Notice, once string, patterns []string) (wanted []id.Webhook, fresh bool, err error)
	// Get returns one, or id.NotFound[id.NoticeKind].
	Get(ctx context.Context, sc account.Scope, notice id.Notice) (Notice, error)
	// List lists those that r chooses, newest first.
	List(ctx context.Context, sc account.Scope, r ListNotices) (page.Page[Notice], error)
	// Prune removes, of every tenant, notices that are older than before, at most limit of them, with their deliveries, and returns how many there were.
	Prune(ctx context.Context, before time.Time, limit int) (int, error)
}

// ListNotices chooses notices. Zero fields are any.
type ListNotices struct {
	page.Request
	Kind  string
	Kinds []string // one of these
	Agent id.Agent
}

// Deliveries stores deliveries. Methods are safe for concurrent use and join the transaction in ctx; a delivery that is missing or another tenant's is
// id.NotFound[id.AttemptKind].
type Deliveries interface {
	// Insert queues deliveries, each behind all that its lane has.
	Insert(ctx context.Context, sc account.Scope, all ...Delivery) error
	// Get returns one.
	Get(ctx context.Context, sc account.Scope, delivery id.Attempt) (Delivery, error)
	// List lists those of a webhook, the last queued first; "" is every status.
	List(ctx context.Context, sc account.Scope, webhook id.Webhook, s Status, r page.Request) (page.Page[Delivery], error)
	// Due returns at most limit lanes, of every tenant, whose first Pending delivery is to be tried by now and is not leased, the
	// longest overdue first.
	Due(ctx context.Context, now time.Time, limit int) ([]Lane, error)
	// Lease takes the first Pending delivery of a lane until the given time, when it is to be tried by now and nobody else has it.
	// token names the holder. false: there is nothing to take. Of several who try at once, at most one gets it.
	Lease(ctx context.Context, l Lane, token id.UUID, now, until time.Time) (Delivery, bool, error)
	// Record stores Status, Error, Attempts, NextAt and UpdatedAt of a leased delivery and ends its lease. false, and nothing is stored:
	// the lease was another's by then, or the delivery was given up or removed meanwhile.
	Record(ctx context.Context, sc account.Scope, d Delivery, token id.UUID) (bool, error)
	// GiveUp makes every Pending delivery of a webhook Failed.
	GiveUp(ctx context.Context, sc account.Scope, webhook id.Webhook, reason string, at time.Time) error
}

// Sender makes requests to addresses that tenants name. adapters/webhook has one.
type Sender interface {
	// Check returns a fault.Error when url is hopeless: no address of HTTP, or one that may not be reached. It looks no name up.
	Check(url string) error
	// Send posts a request, follows no redirect, and returns the answer's status. It returns by the deadline of ctx. An error's message, when it is a
	// fault.Error, is fit for the tenant; its kind fault.Forbidden says that the address may not be reached.
	Send(ctx context.Context, r Request) (status int, err error)
}

// Request is what a Sender posts.
type Request struct {
	URL    string
	Header map[string]string
	Body   []byte
}
