package reconciliation

import (
	"context"
	"time"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/wallet"
)

// Repository compares what is stored, in sets. It sees the scope's tenant only.
type Repository interface {
	// Snapshot runs fn with a context in which every read sees the same moment, and in which nothing may be written. It does not keep
	// others from writing.
	Snapshot(ctx context.Context, fn func(ctx context.Context) error) error
	// Count returns what there is to compare. Wallets is left to the caller.
	Count(ctx context.Context, sc account.Scope, p Period) (Checked, error)
	// Differences returns the differences of a kind that the period shows, at most limit. late is how long ago an act must have begun, or
	// a hold have run out, to be a difference at now. The kinds of the ledger itself have none here; see wallet.Totals.
	Differences(ctx context.Context, sc account.Scope, k Kind, p Period, now time.Time, late time.Duration, limit int) ([]Difference, error)
}

// Books is the part of wallet.Books that is read.
type Books interface {
	// Totals returns what the lines of each wallet and of each currency sum to.
	Totals(ctx context.Context, sc account.Scope) (wallet.Totals, error)
}
