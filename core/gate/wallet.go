package gate

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/wallet"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/money"
)

// Wallets is the part of wallet.Service that payments and transfers use.
type Wallets interface {
	// Ensure returns an agent's wallet as it is now, made when missing, without keeping others from changing it.
	Ensure(ctx context.Context, sc account.Scope, agent id.Agent, c money.Currency) (wallet.Wallet, error)
	// Pay takes money out of a wallet.
	Pay(ctx context.Context, sc account.Scope, r wallet.PayRequest) (wallet.Transaction, error)
	// Transfer moves money between two wallets.
	Transfer(ctx context.Context, sc account.Scope, r wallet.TransferRequest) (out, in wallet.Transaction, err error)
}

// Payments returns the executor of payments out of the internal ledger. An act's output is
// {"transaction_id","amount","currency","balance_after"}, the id as a UUID.
func Payments(w Wallets) Executor { return payments{w} }

// Transfers returns the executor of transfers between two agents' wallets. An act's output is that of Payments and
// "receiver_balance_after".
func Transfers(w Wallets) Executor { return transfers{w} }

type payments struct{ w Wallets }

func (p payments) Cover(ctx context.Context, sc account.Scope, act Act) error {
	return cover(ctx, sc, p.w, act)
}

func (p payments) Execute(ctx context.Context, sc account.Scope, rec Record) (Effect, error) {
	t, err := p.w.Pay(ctx, sc, wallet.PayRequest{
		Agent: rec.Act.Agent, Amount: *rec.Act.Amount, Payee: rec.Act.Payee, Description: rec.Act.Description,
		Category: rec.Act.Category, Act: rec.ID,
	})
	if err != nil {
		return Effect{}, err
	}
	return effect(movement(t), t)
}

type transfers struct{ w Wallets }

func (t transfers) Cover(ctx context.Context, sc account.Scope, act Act) error {
	return cover(ctx, sc, t.w, act)
}

func (t transfers) Execute(ctx context.Context, sc account.Scope, rec Record) (Effect, error) {
	out, in, err := t.w.Transfer(ctx, sc, wallet.TransferRequest{
		From: rec.Act.Agent, To: receiver(rec.Act), Amount: *rec.Act.Amount, Description: rec.Act.Description, Act: rec.ID,
	})
	if err != nil {
		return Effect{}, err
	}
	m := movement(out)
	m["receiver_balance_after"] = in.BalanceAfter.Decimal()
	return effect(m, out, in)
}

// cover checks that the agent's wallet has enough. It does not lock it: a wallet that many payments come out of would be locked for
// everything that follows, and the movement itself takes no more than there is.
func cover(ctx context.Context, sc account.Scope, w Wallets, act Act) error {
	got, err := w.Ensure(ctx, sc, act.Agent, act.Amount.Currency)
	if err == nil && got.Available() < act.Amount.Micros {
		err = wallet.ErrInsufficientFunds.Withf("%s are asked, and the wallet has %s", *act.Amount, got.Money(got.Available()))
	}
	return err
}

func movement(t wallet.Transaction) map[string]string {
	return map[string]string{
		"transaction_id": t.ID.UUID().String(), "amount": t.Amount.Decimal(), "currency": string(t.Amount.Currency),
		"balance_after": t.BalanceAfter.Decimal(),
	}
}

func effect(output map[string]string, moved ...wallet.Transaction) (Effect, error) {
	b, err := json.Marshal(output)
	if err != nil {
		return Effect{}, fmt.Errorf("gate: %w", err)
	}
	return Effect{Output: b, Moved: moved}, nil
}
