package native

import (
	"context"
	"net/http"

	"github.com/bureau-agents/bureau/adapters/http/internal/httpx"
	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/wallet"
	"github.com/bureau-agents/bureau/ports/id"
)

type walletWire struct {
	ID        string    `json:"id" doc:"wal_..."`
	Type      string    `json:"type" enum:"wallet"`
	AgentID   string    `json:"agent_id"`
	Currency  string    `json:"currency"`
	Balance   moneyWire `json:"balance" doc:"All that the agent owns in this currency."`
	Held      moneyWire `json:"held" doc:"What of it is set aside for payments that have begun."`
	Available moneyWire `json:"available" doc:"What can be spent: the balance without what is held."`
	CreatedAt stamp     `json:"created_at"`
}

func showWallet(w wallet.Wallet) walletWire {
	return walletWire{
		ID: w.ID.String(), Type: "wallet", AgentID: w.Agent.String(), Currency: string(w.Currency),
		Balance: showMoney(w.Money(w.Balance)), Held: showMoney(w.Money(w.Held)), Available: showMoney(w.Money(w.Available())),
		CreatedAt: stampOf(w.CreatedAt),
	}
}

// TransactionWire is a movement of money in a wallet. Its type is exported because others embed it.
type TransactionWire struct {
	ID           string    `json:"id" doc:"tx_... Both sides of a transfer have the same."`
	Type         string    `json:"type" enum:"transaction"`
	AgentID      string    `json:"agent_id" doc:"Whose wallet it is."`
	Kind         string    `json:"kind" enum:"deposit,payment,refund,transfer_in,transfer_out,sweep"`
	Amount       moneyWire `json:"amount" doc:"Always above zero; the kind says in which direction it went."`
	Currency     string    `json:"currency"`
	Payee        *string   `json:"payee" doc:"Of payments and refunds the payee, of transfers the other agent's id."`
	Description  string    `json:"description"`
	Category     *string   `json:"category"`
	BalanceAfter moneyWire `json:"balance_after" doc:"The wallet's balance right after."`
	ActionID     *string   `json:"action_id" doc:"The act that was paid for; null for deposits and sweeps."`
	RefundOf     *string   `json:"refund_of" doc:"Of refunds, the payment."`
	CreatedAt    stamp     `json:"created_at"`
}

func showTransaction(t wallet.Transaction) TransactionWire {
	payee := t.Payee
	if !t.Counterpart.IsZero() {
		payee = t.Counterpart.String()
	}
	return TransactionWire{
		ID: t.ID.String(), Type: "transaction", AgentID: t.Agent.String(), Kind: string(t.Kind), Amount: showMoney(t.Amount),
		Currency: string(t.Amount.Currency), Payee: textPtr(payee), Description: t.Description, Category: textPtr(t.Category),
		BalanceAfter: showMoney(t.BalanceAfter), ActionID: textPtr(t.Act.String()), RefundOf: textPtr(t.Refunds.String()),
		CreatedAt: stampOf(t.CreatedAt),
	}
}

type depositWire struct {
	TransactionWire
	Balance moneyWire `json:"balance" doc:"The wallet's balance with the deposit."`
}

type walletInput struct {
	AgentID string `path:"agent_id" doc:"The agent's id."`
	CurrencyQuery
}

type depositInput struct {
	AgentID string `path:"agent_id" doc:"The agent's id."`
	Body    struct {
		Amount      positiveInput `json:"amount" doc:"Above zero. Its currency chooses the wallet."`
		Description string        `json:"description,omitempty" maxLength:"1000" doc:"For people."`
	}
}

type listTransactionsInput struct {
	AgentID string `path:"agent_id" doc:"The agent's id."`
	CurrencyQuery
	httpx.PageQuery
}

func (f *face) registerWallets() {
	httpx.Register(f.Face, httpx.Op{
		ID: "getWallet", Method: http.MethodGet, Path: "/v1/agents/{agent_id}/wallet", Tag: "wallets",
		Summary: "Read an agent's wallet", Permission: account.WalletsRead,
		Description: "An agent has one wallet per currency. One that was never used is empty.",
	}, func(ctx context.Context, in *walletInput) (*output[walletWire], error) {
		agent, err := id.Parse[id.AgentKind](in.AgentID)
		if err != nil {
			return nil, err
		}
		c, err := in.read()
		if err != nil {
			return nil, err
		}
		w, err := f.deps.Wallets.Get(ctx, httpx.Scope(ctx), agent, c)
		if err != nil {
			return nil, err
		}
		return ok(showWallet(w)), nil
	})

	httpx.Register(f.Face, httpx.Op{
		ID: "createDeposit", Method: http.MethodPost, Path: "/v1/agents/{agent_id}/wallet/deposits", Tag: "wallets",
		Example: `{"amount":{"amount":"100.00","currency":"USDC"},"description":"budget"}`,
		Status:  http.StatusCreated, Summary: "Put money into an agent's wallet", Permission: account.WalletsWrite, Strict: true,
		Description: "The operator's word that the money is there: no payment provider is asked. A frozen or archived agent receives nothing.",
	}, func(ctx context.Context, in *depositInput) (*output[depositWire], error) {
		agent, err := id.Parse[id.AgentKind](in.AgentID)
		if err != nil {
			return nil, err
		}
		amount, err := in.Body.Amount.read("amount")
		if err != nil {
			return nil, err
		}
		// The key goes into the ledger, too: an answer that a crash cut off is not enough to know whether the money is
		// there.
		t, err := f.deps.Wallets.Deposit(ctx, httpx.Scope(ctx), wallet.DepositRequest{
			Agent: agent, Amount: amount, Description: in.Body.Description, Key: httpx.ActKey(ctx),
		})
		if err != nil {
			return nil, err
		}
		return ok(depositWire{showTransaction(t), showMoney(t.BalanceAfter)}), nil
	})

	httpx.Register(f.Face, httpx.Op{
		ID: "listTransactions", Method: http.MethodGet, Path: "/v1/agents/{agent_id}/wallet/transactions", Tag: "wallets",
		Summary: "List a wallet's transactions, newest first", Permission: account.WalletsRead,
		Description: "Every movement of the wallet is one transaction. Money that is only held is not listed.",
	}, func(ctx context.Context, in *listTransactionsInput) (*output[httpx.List[TransactionWire]], error) {
		agent, err := id.Parse[id.AgentKind](in.AgentID)
		if err != nil {
			return nil, err
		}
		c, err := in.read()
		if err != nil {
			return nil, err
		}
		p, err := f.deps.Wallets.Transactions(ctx, httpx.Scope(ctx), agent, c, in.Request())
		if err != nil {
			return nil, err
		}
		return ok(httpx.NewList(p, showTransaction)), nil
	})
}
