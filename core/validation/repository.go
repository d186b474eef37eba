package validation

import (
	"context"
	"time"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/card"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/page"
)

// Allowances counts validations by subject and day. Methods are safe for concurrent use and join the transaction in ctx.
type Allowances interface {
	// Take adds n to what the subject has used on a day, unless that would be more than limit, and reports whether it did. used is what has been
	// used then. A negative limit is none. Of several who come at once, over whichever processes, no more are let through than there is room for.
	Take(ctx context.Context, subject string, day time.Time, n, limit int) (used int, ok bool, err error)
	// Used returns what the subject has used on a day; 0 when it is not there.
	Used(ctx context.Context, subject string, day time.Time) (int, error)
	// Prune forgets days before a day, at most limit counters, and returns how many there were.
	Prune(ctx context.Context, before time.Time, limit int) (int, error)
}

// Room bounds what an owner's reports take: a tenant's, or together those of all callers without a key.
type Room struct {
	Reports int // of the owner
	PerCard int // of one card
	Bytes   int // of all reports of the owner, as they are stored
}

// Entry is a report to be stored, with the identity of its card in hexadecimal: within a tenant, cards of one identity are one.
type Entry struct {
	Report

	Identity string
}

// Reports stores reports. Methods are safe for concurrent use and join the transaction in ctx. A report that is missing or another tenant's is
// id.NotFound[id.CardReportKind].
type Reports interface {
	// Insert stores reports of one owner, of which entries are in the order of their making, and removes the owner's oldest until what is left fits into
	// room; the newest always stays. Report.Card is what a card is called that the tenant does not have yet; the ids of the cards as
	// they are come back, in the order of entries. A scope without a tenant owns what callers without a key have made.
	Insert(ctx context.Context, sc account.Scope, entries []Entry, room Room) ([]id.AgentCard, error)
	// Get returns one of the tenant's.
	Get(ctx context.Context, sc account.Scope, report id.CardReport) (Report, error)
	// Find returns one, whosever it is.
	Find(ctx context.Context, report id.CardReport) (Report, error)
	// List lists those that r chooses, newest first, without Text and with a Result that has no findings, marks and suggestions.
	List(ctx context.Context, sc account.Scope, r ListReports) (page.Page[Report], error)
	// Delete removes one. A card goes with the last of its reports.
	Delete(ctx context.Context, sc account.Scope, report id.CardReport) error
	// Prune removes reports that are older than before, those without a tenant that are older than anonymous, at most limit of each, and returns how
	// many there were.
	Prune(ctx context.Context, before, anonymous time.Time, limit int) (int, error)
}

// ListReports chooses reports. Zero fields are any.
type ListReports struct {
	page.Request
	Card    id.AgentCard
	Batch   id.CardBatch
	Valid   *bool
	Version card.Version
	Since   time.Time // made at this time or later
}

// Cards reads the cards that there are reports of. Methods are safe for concurrent use and join the transaction in ctx. A card that is missing or
// another tenant's is id.NotFound[id.AgentCardKind].
type Cards interface {
	// Get returns one of the tenant's, with its trend.
	Get(ctx context.Context, sc account.Scope, of id.AgentCard) (Card, error)
	// Find returns one, whosever it is, without its trend.
	Find(ctx context.Context, of id.AgentCard) (Card, error)
	// List lists those that r chooses with their trends, the one that was judged last first.
	List(ctx context.Context, sc account.Scope, r ListCards) (page.Page[Card], error)
}

// ListCards chooses cards. Zero fields are any.
type ListCards struct {
	page.Request
	Valid *bool
}
