package native

import (
	"context"
	"net/http"

	"github.com/bureau-agents/bureau/adapters/http/internal/httpx"
	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/wallet"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/money"
)

// transactionDetailWire is a transaction with what only one of them at a time is asked for.
type transactionDetailWire struct {
	TransactionWire
	Sides      []TransactionWire `json:"sides" nullable:"false" doc:"The movement as each wallet that it touched saw it, the paying one first."`
	Refunded   *moneyWire        `json:"refunded" doc:"Payments: what has come back; null otherwise."`
	Refundable *moneyWire        `json:"refundable" doc:"Payments: what can still come back; null otherwise."`
}

type transactionInput struct {
	TransactionID string `path:"transaction_id" doc:"The id of a transaction."`
}

type refundInput struct {
	TransactionID string `path:"transaction_id" doc:"The id of a payment."`
	Body          *struct {
		Amount      positiveInput `json:"amount,omitempty" doc:"Above zero and in the payment's currency; all that has not come back yet when left out."`
		Description string        `json:"description,omitempty" maxLength:"1000" doc:"For people."`
	} `required:"false"`
}

func (f *face) registerTransactions() {
	httpx.Register(f.Face, httpx.Op{
		ID: "getTransaction", Method: http.MethodGet, Path: "/v1/transactions/{transaction_id}", Tag: "wallets",
		Summary: "Read a transaction", Permission: account.WalletsRead,
		Description: "A transfer has one id and two sides; the answer begins with the paying one.",
	}, func(ctx context.Context, in *transactionInput) (*output[transactionDetailWire], error) {
		entry, err := id.Parse[id.LedgerEntryKind](in.TransactionID)
		if err != nil {
			return nil, err
		}
		sides, err := f.deps.Wallets.Find(ctx, httpx.Scope(ctx), entry)
		if err != nil {
			return nil, err
		}
		t := sides[0]
		w := transactionDetailWire{TransactionWire: showTransaction(t)}
		for _, s := range sides {
			w.Sides = append(w.Sides, showTransaction(s))
		}
		if t.Kind == wallet.Payment {
			back, err := f.deps.Wallets.Refunded(ctx, httpx.Scope(ctx), t)
			if err != nil {
				return nil, err
			}
			w.Refunded, w.Refundable = showMoneyPtr(&back), showMoneyPtr(ptr(money.Of(t.Amount.Micros-back.Micros, back.Currency)))
		}
		return ok(w), nil
	})

	httpx.Register(f.Face, httpx.Op{
		ID: "createRefund", Method: http.MethodPost, Path: "/v1/transactions/{transaction_id}/refund", Tag: "wallets",
		Example: `{"amount":{"amount":"5.00","currency":"USDC"},"description":"came broken"}`,
		Status:  http.StatusCreated, Summary: "Take a payment back, whole or in part", Permission: account.WalletsWrite, Strict: true,
		Description: "The operator's word that the payee has given the money back: no payment provider is asked. Several refunds of one payment " +
			"may add up to it and not to more. A frozen or archived agent gets its money, and cannot spend it; of a destroyed agent it goes to " +
			"the account's own wallet. A refund frees no room in any limit: the payment counts where it was made.",
	}, func(ctx context.Context, in *refundInput) (*output[depositWire], error) {
		entry, err := id.Parse[id.LedgerEntryKind](in.TransactionID)
		if err != nil {
			return nil, err
		}
		r := wallet.RefundRequest{Payment: entry, Key: httpx.ActKey(ctx)}
		if in.Body != nil {
			r.Description = in.Body.Description
			if in.Body.Amount.set {
				if r.Amount, err = f.refundAmount(ctx, entry, moneyInput(in.Body.Amount)); err != nil {
					return nil, err
				}
			}
		}
		t, err := f.deps.Wallets.Refund(ctx, httpx.Scope(ctx), r)
		return moved(t, err)
	})
}

// refundAmount reads how much of a payment is to come back, in the payment's currency.
func (f *face) refundAmount(ctx context.Context, payment id.LedgerEntry, in moneyInput) (int64, error) {
	sides, err := f.deps.Wallets.Find(ctx, httpx.Scope(ctx), payment)
	if err != nil {
		return 0, err
	}
	c := sides[0].Amount.Currency
	amount, err := in.readIn("amount", c)
	switch {
	case err != nil:
		return 0, err
	case amount.Currency != c:
		return 0, at(money.ErrCurrency, "amount.currency")
	case amount.Micros <= 0:
		return 0, at(wallet.ErrAmount, "amount")
	}
	return amount.Micros, nil
}
