package native

import (
	"context"
	"net/http"
	"time"

	"github.com/bureau-agents/bureau/adapters/http/internal/httpx"
	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/reconciliation"
)

type reconciliationWire struct {
	Type        string           `json:"type" enum:"reconciliation"`
	From        stamp            `json:"from"`
	To          stamp            `json:"to"`
	OK          bool             `json:"ok" doc:"Whether everything agrees."`
	Checked     checkedWire      `json:"checked" doc:"How much was compared."`
	Differences []differenceWire `json:"differences" nullable:"false" doc:"What disagrees; empty when ok."`
	Truncated   bool             `json:"truncated" doc:"Whether there are more differences of a kind than are listed, which is 100."`
}

type checkedWire struct {
	Wallets  int64 `json:"wallets" doc:"Of the account, over their whole life."`
	Entries  int64 `json:"entries" doc:"Of the ledger in the period, those of holds included."`
	Acts     int64 `json:"acts" doc:"Payments and transfers that were done in the period."`
	Usage    int64 `json:"usage" doc:"Usage rows in the period."`
	Sessions int64 `json:"sessions" doc:"Sessions with such rows."`
	Holds    int64 `json:"holds" doc:"Open ones."`
}

type differenceWire struct {
	Kind          string  `json:"kind" doc:"What disagrees, such as entry_without_audit."`
	TransactionID *string `json:"transaction_id"`
	ActionID      *string `json:"action_id" doc:"The act of the gate."`
	WalletID      *string `json:"wallet_id"`
	AgentID       *string `json:"agent_id"`
	SessionID     *string `json:"session_id"`
	UsageID       *string `json:"usage_id"`
	HoldID        *string `json:"hold_id"`
	Currency      *string `json:"currency" doc:"Of expected and found, where they are amounts."`
	Expected      *string `json:"expected" doc:"What the one book says; null for nothing at all."`
	Found         *string `json:"found" doc:"What the other says."`
}

func showReconciliation(r reconciliation.Report) reconciliationWire {
	w := reconciliationWire{
		Type: "reconciliation", From: stampOf(r.Period.From), To: stampOf(r.Period.To), OK: r.OK(), Truncated: r.Truncated,
		Checked: checkedWire(r.Checked), Differences: []differenceWire{},
	}
	for _, d := range r.Differences {
		w.Differences = append(w.Differences, differenceWire{
			Kind: string(d.Kind), TransactionID: textPtr(d.Entry.String()), ActionID: textPtr(d.Act.String()), WalletID: textPtr(d.Wallet.String()),
			AgentID: textPtr(d.Agent.String()), SessionID: textPtr(d.Session.String()), UsageID: textPtr(d.Usage.String()),
			HoldID: textPtr(d.Hold.String()), Currency: textPtr(string(d.Currency)), Expected: textPtr(d.Expected), Found: textPtr(d.Found),
		})
	}
	return w
}

type reconcileInput struct {
	From time.Time `query:"from" doc:"The first moment of the period; 31 days before its end when left out."`
	To   time.Time `query:"to" doc:"The first moment after it; now when left out."`
}

func (f *face) registerReconciliation() {
	httpx.Register(f.Face, httpx.Op{
		ID: "reconcile", Method: http.MethodGet, Path: "/v1/reconciliation", Tag: "audit",
		Summary: "Compare wallets, acts, audit trail and usage with each other", Permission: account.AuditRead,
		Description: "The ledger is checked against itself over its whole life: credits are debits, every balance is the sum of its lines, what is " +
			"held is the sum of the open holds. In the period, every movement of money has its act, the decision that allowed it and its audit " +
			"entry, in the same amount; every payment that was decided has moved money; every model call that was charged has its usage row, to the " +
			"picodollar, and sessions cost what their usage sums to. Acts without an end for more than an hour, and holds whose time ran out as long " +
			"ago, are named, too. All of it is compared as it was at one moment. Nothing is repaired.",
	}, func(ctx context.Context, in *reconcileInput) (*output[reconciliationWire], error) {
		r, err := f.deps.Books.Reconcile(ctx, httpx.Scope(ctx), reconciliation.Period{From: in.From, To: in.To})
		if err != nil {
			return nil, err
		}
		return ok(showReconciliation(r)), nil
	})
}
