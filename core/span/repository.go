package span

import (
	"context"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/ports/id"
)

// Arrival notes that an event was taken whose id says nothing of when.
type Arrival struct {
	Event  id.Report
	Parent id.Report // of the event; zero for none
	// Number is in the order in which events were taken, together with the ids that the server makes for others.
	Number id.Report
}

// Ledger notes which spans and records were taken, so that none is taken twice. Every method joins the transaction in ctx and sees the
// scope's tenant only.
type Ledger interface {
	// Take notes arrivals and returns the ids of the events that were not noted before. Of transactions that take the same event at
	// once one gets it; the others wait for its end.
	Take(ctx context.Context, sc account.Scope, arrivals []Arrival) (map[id.Report]bool, error)
	// Kin returns which of the events were billed, and which of them are the parents of events that were.
	Kin(ctx context.Context, sc account.Scope, events []id.Report) (billed, above map[id.Report]bool, err error)
	// SetBilled notes that the usage of events was stored.
	SetBilled(ctx context.Context, sc account.Scope, events []id.Report) error
	// Forget removes up to limit notes with numbers below before, the lowest first.
	Forget(ctx context.Context, sc account.Scope, before id.Report, limit int) error
}
