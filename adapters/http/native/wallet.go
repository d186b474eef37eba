package native

import (
	"context"
	"net/http"
	"time"

	"github.com/bureau-agents/bureau/adapters/http/internal/httpx"
	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/wallet"
	"github.com/bureau-agents/bureau/ports/id"
)

type walletWire struct {
	ID        string    `json:"id" doc:"wal_..."`
	Type      string    `json:"type" enum:"wallet"`
	AgentID   *string   `json:"agent_id" doc:"The owner; null for the account's own wallet."`
	Currency  string    `json:"currency"`
	Balance   moneyWire `json:"balance" doc:"All that is owned in this currency."`
	Held      moneyWire `json:"held" doc:"What of it is set aside for payments that have begun."`
	Available moneyWire `json:"available" doc:"What can be spent: the balance without what is held."`
	CreatedAt stamp     `json:"created_at"`
}

func showWallet(w wallet.Wallet) walletWire {
	return walletWire{
		ID: w.ID.String(), Type: "wallet", AgentID: textPtr(w.Agent.String()), Currency: string(w.Currency),
		Balance: showMoney(w.Money(w.Balance)), Held: showMoney(w.Money(w.Held)), Available: showMoney(w.Money(w.Available())),
		CreatedAt: stampOf(w.CreatedAt),
	}
}

// TransactionWire is a movement of money in a wallet. Its type is exported because others embed it.
type TransactionWire struct {
	ID           string    `json:"id" doc:"tx_... Both sides of a transfer have the same."`
	Type         string    `json:"type" enum:"transaction"`
	AgentID      *string   `json:"agent_id" doc:"Whose wallet it is; null for the account's own."`
	Kind         string    `json:"kind" enum:"deposit,payment,refund,transfer_in,transfer_out,sweep"`
	Amount       moneyWire `json:"amount" doc:"Always above zero; the kind says in which direction it went."`
	Currency     string    `json:"currency"`
	Payee        *string   `json:"payee" doc:"Of payments and refunds the payee, of transfers the other agent's id; null when the other side is the account's own wallet."`
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
		ID: t.ID.String(), Type: "transaction", AgentID: textPtr(t.Agent.String()), Kind: string(t.Kind), Amount: showMoney(t.Amount),
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
	AgentInput
	CurrencyQuery
}

type listWalletsInput struct {
	AgentInput
	httpx.PageQuery
}

// DepositBody is exported, like all that inputs embed, for huma to see its fields.
type DepositBody struct {
	Amount      positiveInput `json:"amount" doc:"Above zero. Its currency chooses the wallet."`
	Description string        `json:"description,omitempty" maxLength:"1000" doc:"For people."`
}

type depositInput struct {
	AgentInput
	Body DepositBody
}

// TransactionQuery is embedded where transactions are listed.
type TransactionQuery struct {
	CurrencyQuery
	Kind  []string  `query:"kind" enum:"deposit,payment,refund,transfer_in,transfer_out,sweep" maxItems:"6" doc:"Only these kinds, separated by commas."`
	From  time.Time `query:"from" doc:"Only what was recorded at this time or later."`
	To    time.Time `query:"to" doc:"Only what was recorded before this time."`
	Payee string    `query:"payee" maxLength:"1024" doc:"Only payments to, and refunds from, exactly this payee."`
	httpx.PageQuery
}

func (q *TransactionQuery) filter() wallet.Filter {
	f := wallet.Filter{Since: q.From, Until: q.To, Payee: q.Payee}
	for _, k := range q.Kind {
		f.Kinds = append(f.Kinds, wallet.Kind(k))
	}
	return f
}

type listTransactionsInput struct {
	AgentInput
	TransactionQuery
}

func (f *face) registerWallets() {
	f.registerAgentWallets()
	f.registerAgentMoney()
	f.registerOwnWallet()
	f.registerTransactions()
	f.registerStatements()
	f.registerHolds()
}

func (f *face) registerAgentWallets() {
	httpx.Register(f.Face, httpx.Op{
		ID: "getWallet", Method: http.MethodGet, Path: "/v1/agents/{agent_id}/wallet", Tag: "wallets",
		Summary: "Read an agent's wallet", Permission: account.WalletsRead,
		Description: "An agent has one wallet per currency. One that was never used is empty.",
	}, func(ctx context.Context, in *walletInput) (*output[walletWire], error) {
		return f.wallet(ctx, in.AgentID, in.CurrencyQuery)
	})

	httpx.Register(f.Face, httpx.Op{
		ID: "listWallets", Method: http.MethodGet, Path: "/v1/agents/{agent_id}/wallets", Tag: "wallets",
		Summary: "List an agent's wallets, one per currency", Permission: account.WalletsRead,
		Description: "In the order of the currencies' codes. No amount is ever turned into another currency: a payment, a limit or a refund " +
			"concerns the currency that it names.",
	}, func(ctx context.Context, in *listWalletsInput) (*output[httpx.List[walletWire]], error) {
		return f.wallets(ctx, in.AgentID, in.PageQuery)
	})

	httpx.Register(f.Face, httpx.Op{
		ID: "listTransactions", Method: http.MethodGet, Path: "/v1/agents/{agent_id}/wallet/transactions", Tag: "wallets",
		Summary: "List a wallet's transactions, newest first", Permission: account.WalletsRead,
		Description: "Every movement of the wallet is one transaction. Money that is only held is not listed.",
	}, func(ctx context.Context, in *listTransactionsInput) (*output[httpx.List[TransactionWire]], error) {
		return f.transactions(ctx, in.AgentID, &in.TransactionQuery)
	})
}

func (f *face) registerAgentMoney() {
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
		return f.deposit(ctx, agent, in.Body)
	})

	const own = " Both are moved in one transaction, on the operator's word; no policy is asked, and no limit counts it. "
	httpx.Register(f.Face, httpx.Op{
		ID: "fundWallet", Method: http.MethodPost, Path: "/v1/agents/{agent_id}/wallet/funding", Tag: "wallets",
		Example: `{"amount":{"amount":"100.00","currency":"USDC"},"description":"budget"}`,
		Status:  http.StatusCreated, Summary: "Move money from the account's own wallet to an agent's", Permission: account.WalletsWrite, Strict: true,
		Description: "The answer is the movement as the agent's wallet saw it." + own + "A frozen or archived agent receives nothing.",
	}, func(ctx context.Context, in *depositInput) (*output[depositWire], error) {
		r, err := fundRequest(ctx, in)
		if err != nil {
			return nil, err
		}
		_, t, err := f.deps.Wallets.Fund(ctx, httpx.Scope(ctx), r)
		return moved(t, err)
	})

	httpx.Register(f.Face, httpx.Op{
		ID: "withdrawFromWallet", Method: http.MethodPost, Path: "/v1/agents/{agent_id}/wallet/withdrawals", Tag: "wallets",
		Example: `{"amount":{"amount":"20.00","currency":"USDC"},"description":"not needed"}`,
		Status:  http.StatusCreated, Summary: "Move money from an agent's wallet to the account's own", Permission: account.WalletsWrite, Strict: true,
		Description: "The answer is the movement as the agent's wallet saw it." + own + "A frozen or archived agent's money stays where it is.",
	}, func(ctx context.Context, in *depositInput) (*output[depositWire], error) {
		r, err := fundRequest(ctx, in)
		if err != nil {
			return nil, err
		}
		t, _, err := f.deps.Wallets.Withdraw(ctx, httpx.Scope(ctx), r)
		return moved(t, err)
	})
}

func fundRequest(ctx context.Context, in *depositInput) (r wallet.FundRequest, err error) {
	r = wallet.FundRequest{Description: in.Body.Description, Key: httpx.ActKey(ctx)}
	if r.Agent, err = id.Parse[id.AgentKind](in.AgentID); err == nil {
		r.Amount, err = in.Body.Amount.read("amount")
	}
	return r, err
}

func moved(t wallet.Transaction, err error) (*output[depositWire], error) {
	if err != nil {
		return nil, err
	}
	return ok(depositWire{showTransaction(t), showMoney(t.BalanceAfter)}), nil
}

// owner reads whose wallet is meant; "" is the account itself.
func owner(agentID string) (id.Agent, error) {
	if agentID == "" {
		return id.Agent{}, nil
	}
	return id.Parse[id.AgentKind](agentID)
}

func (f *face) wallet(ctx context.Context, agentID string, q CurrencyQuery) (*output[walletWire], error) {
	agent, err := owner(agentID)
	if err != nil {
		return nil, err
	}
	c, err := q.read()
	if err != nil {
		return nil, err
	}
	w, err := f.deps.Wallets.Get(ctx, httpx.Scope(ctx), agent, c)
	if err != nil {
		return nil, err
	}
	return ok(showWallet(w)), nil
}

func (f *face) wallets(ctx context.Context, agentID string, q httpx.PageQuery) (*output[httpx.List[walletWire]], error) {
	agent, err := owner(agentID)
	if err != nil {
		return nil, err
	}
	p, err := f.deps.Wallets.Page(ctx, httpx.Scope(ctx), agent, q.Request())
	if err != nil {
		return nil, err
	}
	return ok(httpx.NewList(p, showWallet)), nil
}

func (f *face) deposit(ctx context.Context, agent id.Agent, body DepositBody) (*output[depositWire], error) {
	amount, err := body.Amount.read("amount")
	if err != nil {
		return nil, err
	}
	// The key goes into the ledger, too: an answer that a crash cut off is not enough to know whether the money is
	// there.
	t, err := f.deps.Wallets.Deposit(ctx, httpx.Scope(ctx), wallet.DepositRequest{
		Agent: agent, Amount: amount, Description: body.Description, Key: httpx.ActKey(ctx),
	})
	return moved(t, err)
}

func (f *face) transactions(ctx context.Context, agentID string, q *TransactionQuery) (*output[httpx.List[TransactionWire]], error) {
	agent, err := owner(agentID)
	if err != nil {
		return nil, err
	}
	c, err := q.read()
	if err != nil {
		return nil, err
	}
	p, err := f.deps.Wallets.Search(ctx, httpx.Scope(ctx), agent, c, q.filter(), q.Request())
	if err != nil {
		return nil, err
	}
	return ok(httpx.NewList(p, showTransaction)), nil
}
