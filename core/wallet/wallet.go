package wallet

import (
	"time"

	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/money"
)

// DefaultCurrency is the currency of a wallet when nobody names one.
const DefaultCurrency = money.USDC

// Wallet is the money of one owner in one currency, as it was read. An owner has one wallet per currency, made when it
// is first asked for.
type Wallet struct {
	ID        id.Wallet
	Tenant    id.Tenant
	Agent     id.Agent // the owner; zero is the tenant itself
	Currency  money.Currency
	Balance   int64 // micro-units owned, held ones included; never negative
	Held      int64 // micro-units of Balance that open holds reserve; from 0 to Balance
	Seq       int64 // number of entries that touched the wallet
	CreatedAt time.Time
	// UpdatedAt is when an entry last touched the wallet; CreatedAt until one does. It never runs backwards, whichever process's
	// clock an entry was made by.
	UpdatedAt time.Time
}

// Available returns what can be spent now, in micro-units: the balance without what is held.
func (w Wallet) Available() int64 { return w.Balance - w.Held }

// Money gives micro-units the wallet's currency.
func (w Wallet) Money(micros int64) money.Amount { return money.Of(micros, w.Currency) }

// Kind says what a transaction was to its wallet.
type Kind string

// The kinds of transactions.
const (
	Deposit     Kind = "deposit"
	Payment     Kind = "payment" // to an external payee, at once or by capturing a hold
	Refund      Kind = "refund"  // a payment came back, whole or in part
	TransferIn  Kind = "transfer_in"
	TransferOut Kind = "transfer_out"
	Sweep       Kind = "sweep" // a destroyed agent's balance went to its tenant; on both sides
)

// Transaction is one movement as one wallet saw it: a transfer is two of them, with the same ID.
type Transaction struct {
	ID           id.LedgerEntry
	Wallet       id.Wallet
	Agent        id.Agent // the wallet's owner
	Kind         Kind
	Amount       money.Amount // always above zero; Kind says in which direction it went
	BalanceAfter money.Amount // the wallet's balance right after, held money included
	Counterpart  id.Agent     // transfers and sweeps: the other owner; zero is the tenant itself
	Payee        string
	Category     string
	Description  string
	Act          id.Act         // zero when no act of the gate stands behind it
	Hold         id.Hold        // payments: the captured hold
	Refunds      id.LedgerEntry // refunds: the payment
	CreatedAt    time.Time      // when the wallet was moved; in the wallet's order it never runs backwards
	Seq          int64          // place in the wallet's order, ascending; holds leave gaps
}

// HoldStatus is the state of a hold.
type HoldStatus string

// The states. A hold leaves HoldOpen at most once.
const (
	HoldOpen     HoldStatus = "open"
	HoldCaptured HoldStatus = "captured" // paid, whole or in part; the rest was released
	HoldVoided   HoldStatus = "voided"   // released by order
	HoldExpired  HoldStatus = "expired"  // released because its time ran out
)

// Hold is money set aside in a wallet for a payment whose end is not known yet.
type Hold struct {
	ID          id.Hold
	Tenant      id.Tenant
	Wallet      id.Wallet
	Agent       id.Agent // the wallet's owner
	Amount      money.Amount
	Captured    int64 // micro-units paid; 0 unless HoldCaptured
	Status      HoldStatus
	Act         id.Act
	Payee       string
	Category    string
	Description string
	ExpiresAt   time.Time
	ResolvedAt  *time.Time // nil while open
	CreatedAt   time.Time
}
