package wallet

import (
	"context"
	"time"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/money"
	"github.com/bureau-agents/bureau/ports/page"
)

// Repository stores wallets and the ledger. Every method joins the transaction in ctx and sees the scope's tenant only.
type Repository interface {
	// Get returns the owner's wallet, or ErrNoWallet.
	Get(ctx context.Context, sc account.Scope, owner id.Agent, c money.Currency) (Wallet, error)
	// List returns the owners' wallets in all currencies, in the order of the owners' ids and then of the currencies' codes; none
	// without owners. However many they are, it is one reading.
	List(ctx context.Context, sc account.Scope, owners ...id.Agent) ([]Wallet, error)
	// Create stores empty wallets, but those whose owner has one in that currency. The caller gives them in the order of their
	// owners' ids, so that two callers cannot wait for each other.
	Create(ctx context.Context, sc account.Scope, ws ...Wallet) error
	// Lock locks the owners' wallets until the transaction ends, in the order of the owners' ids so that two callers
	// cannot wait for each other, and returns those that exist in that order.
	Lock(ctx context.Context, sc account.Scope, c money.Currency, owners ...id.Agent) ([]Wallet, error)
	// Post applies e.Changes to the wallets and stores the entry with its lines. It returns the changed wallets as they
	// are now, in the order of their owners' ids. A wallet that only gains is made when it is missing, with an id from
	// newID.
	//
	// Errors, each without a trace in the store: ErrInsufficientFunds when a part would fall below zero,
	// money.ErrOverflow when a part would leave int64, ErrRepeated when e.Act or e.Key is in the ledger already.
	//
	// A wallet's UpdatedAt becomes e.CreatedAt, or stays when it is later than that.
	Post(ctx context.Context, sc account.Scope, e Entry, newID func() id.Wallet) ([]Wallet, error)
	// Transactions returns a wallet's transactions that f lets through, the latest first, by cursors or by the numbers of pages.
	Transactions(ctx context.Context, sc account.Scope, w id.Wallet, f Filter, req page.Request) (page.Page[Transaction], error)
	// Movements returns the transactions of one entry, debited wallets first; none when ref names no entry.
	Movements(ctx context.Context, sc account.Scope, ref Ref) ([]Transaction, error)
}

// Ref names an entry; exactly one field is set.
type Ref struct {
	ID  id.LedgerEntry
	Act id.Act
	Key string
}

// HoldRepository stores holds. Every method joins the transaction in ctx.
type HoldRepository interface {
	// Insert stores an open hold. ErrRepeated when the tenant has a hold of the same act.
	Insert(ctx context.Context, sc account.Scope, h Hold) error
	// Lock returns the hold and locks it until the transaction ends. id.NotFound when the tenant has no such hold.
	Lock(ctx context.Context, sc account.Scope, h id.Hold) (Hold, error)
	// Resolve stores Status, Captured and ResolvedAt of a hold that is open; ErrHoldResolved when it is not.
	Resolve(ctx context.Context, sc account.Scope, h Hold) error
	// Open returns the owner's open holds, oldest first.
	Open(ctx context.Context, sc account.Scope, owner id.Agent) ([]Hold, error)
	// Get returns a hold. id.NotFound when the tenant has no such hold.
	Get(ctx context.Context, sc account.Scope, h id.Hold) (Hold, error)
	// List returns the owner's holds in a state, "" is every one, the latest first.
	List(ctx context.Context, sc account.Scope, owner id.Agent, status HoldStatus, req page.Request) (page.Page[Hold], error)
	// Due returns open holds of every tenant that expired at or before now, the longest expired first, at most limit.
	Due(ctx context.Context, now time.Time, limit int) ([]Hold, error)
}

// Books reads the ledger as a whole, to check it.
type Books interface {
	// Totals returns what the lines of each wallet and of each currency sum to.
	Totals(ctx context.Context, sc account.Scope) (Totals, error)
	// Refunded returns the micro-units that refunds of the payment have returned so far.
	Refunded(ctx context.Context, sc account.Scope, payment id.LedgerEntry) (int64, error)
	// Statement returns Opening, Closing and Kinds of a wallet and a period, all of one moment; Kinds in the order of their names,
	// what came in before what went out.
	Statement(ctx context.Context, sc account.Scope, w id.Wallet, from, to time.Time) (Statement, error)
}

// Totals is the ledger of one tenant, summed up.
type Totals struct {
	Wallets    []OwnerTotals
	Currencies []CurrencyTotals
	Unbalanced []id.LedgerEntry // entries whose lines do not sum to zero; at most 100
}

// OwnerTotals sets what a wallet's row says beside what its lines and holds say.
type OwnerTotals struct {
	Wallet       Wallet
	Available    int64 // sum of its lines on Available
	Held         int64 // sum of its lines on Held
	OpenHolds    int64 // sum of its open holds
	BalanceAfter int64 // of its latest transaction; 0 without one
}

// CurrencyTotals sums every line of a currency, in micro-units; both are positive.
type CurrencyTotals struct {
	Currency money.Currency
	Credits  int64
	Debits   int64
}
