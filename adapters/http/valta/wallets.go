package valta

import (
	"context"
	"encoding/json"
	"net/http"
	"reflect"

	"github.com/danielgtaylor/huma/v2"

	"github.com/bureau-agents/bureau/adapters/http/internal/httpx"
	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/agent"
	"github.com/bureau-agents/bureau/core/gate"
	"github.com/bureau-agents/bureau/core/policy"
	"github.com/bureau-agents/bureau/core/wallet"
	"github.com/bureau-agents/bureau/ports/fault"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/rule"
)

type walletWire struct {
	WalletID  string `json:"walletId" doc:"wal_..."`
	AgentID   string `json:"agentId"`
	Balance   units  `json:"balance" doc:"All that the agent owns."`
	Held      units  `json:"held" doc:"What of it is set aside for payments that have begun."`
	Available units  `json:"available" doc:"What can be spent."`
	Currency  string `json:"currency"`
	Status    string `json:"status" enum:"active,frozen,inactive" doc:"That of the agent."`
}

func showWallet(a agent.Agent, w wallet.Wallet) walletWire {
	return walletWire{
		WalletID: w.ID.String(), AgentID: spellAgent(w.Agent), Balance: unitsOf(w.Money(w.Balance)), Held: unitsOf(w.Money(w.Held)),
		Available: unitsOf(w.Money(w.Available())), Currency: string(w.Currency), Status: statuses[a.Standing],
	}
}

type transactionWire struct {
	ID           string  `json:"id" doc:"tx_... Both sides of a transfer have the same."`
	AgentID      string  `json:"agentId"`
	Type         string  `json:"type" enum:"deposit,payment,refund,transfer_in,transfer_out,sweep"`
	Amount       units   `json:"amount" doc:"Above zero; the type says in which direction it went."`
	Currency     string  `json:"currency"`
	Payee        *string `json:"payee" doc:"Of payments and refunds the payee, of transfers the other agent's id."`
	Category     *string `json:"category"`
	Description  *string `json:"description"`
	BalanceAfter units   `json:"balanceAfter"`
	CreatedAt    stamp   `json:"createdAt"`
}

func showTransaction(t wallet.Transaction) transactionWire {
	payee := t.Payee
	if !t.Counterpart.IsZero() {
		payee = spellAgent(t.Counterpart)
	}
	return transactionWire{
		ID: t.ID.String(), AgentID: spellAgent(t.Agent), Type: string(t.Kind), Amount: unitsOf(t.Amount), Currency: string(t.Amount.Currency),
		Payee: textPtr(payee), Category: textPtr(t.Category), Description: textPtr(t.Description), BalanceAfter: unitsOf(t.BalanceAfter),
		CreatedAt: stampOf(t.CreatedAt),
	}
}

type depositedWire struct {
	TransactionID string `json:"transactionId" doc:"tx_..."`
	Balance       units  `json:"balance" doc:"The wallet's balance with the deposit."`
}

// spentWire is the answer to a payment: one of the two.
type spentWire struct {
	approved *approvedWire
	refused  *refusedWire
}

type approvedWire struct {
	Approved      bool   `json:"approved" doc:"true"`
	TransactionID string `json:"transactionId" doc:"tx_..."`
	NewBalance    units  `json:"newBalance" doc:"The wallet's balance right after."`
}

type refusedWire struct {
	Approved         bool    `json:"approved" doc:"false"`
	Reason           string  `json:"reason" doc:"For people."`
	Rule             string  `json:"rule" doc:"What decided, such as dailyLimit or insufficientFunds."`
	RequiresApproval bool    `json:"requiresApproval" doc:"Whether a person may still approve it."`
	RequestID        *string `json:"requestId" doc:"The approval that it waits for; null when it waits for none."`
}

// MarshalJSON implements json.Marshaler.
func (w spentWire) MarshalJSON() ([]byte, error) {
	if w.approved != nil {
		return json.Marshal(w.approved)
	}
	return json.Marshal(w.refused)
}

// Schema implements huma.SchemaProvider.
func (spentWire) Schema(r huma.Registry) *huma.Schema {
	return &huma.Schema{OneOf: []*huma.Schema{
		r.Schema(reflect.TypeFor[approvedWire](), true, "Approved"), r.Schema(reflect.TypeFor[refusedWire](), true, "Refused"),
	}}
}

type transferredWire struct {
	TransactionID string `json:"transactionId" doc:"tx_..."`
	FromBalance   units  `json:"fromBalance"`
	ToBalance     units  `json:"toBalance"`
}

type depositInput struct {
	AgentInput
	Body struct {
		Amount      positive `json:"amount" doc:"Above zero."`
		Description string   `json:"description,omitempty" maxLength:"1000" doc:"For people."`
	}
}

type spendInput struct {
	AgentInput
	Body struct {
		Amount      positive `json:"amount" doc:"Above zero."`
		Description string   `json:"description,omitempty" maxLength:"16384" doc:"For people."`
		Payee       string   `json:"payee,omitempty" maxLength:"1024" doc:"Whom to pay: a host name, a URL, an e-mail address or a name."`
		Category    string   `json:"category,omitempty" maxLength:"1024"`
		IdempotencyBody
	}
}

type transferInput struct {
	Body struct {
		FromAgentID string   `json:"fromAgentId"`
		ToAgentID   string   `json:"toAgentId"`
		Amount      positive `json:"amount" doc:"Above zero."`
		Description string   `json:"description,omitempty" maxLength:"16384" doc:"For people."`
		IdempotencyBody
	}
}

// IdempotencyBody is the idempotency key in a body. It is exported because others embed it.
type IdempotencyBody struct {
	IdempotencyKey string `json:"idempotencyKey,omitempty" minLength:"1" maxLength:"255" pattern:"^[ -~]*$" patternDescription:"printable ASCII characters" doc:"The same key with the same body moves money once. It may also be sent as the header Idempotency-Key."`
}

// key returns the key of an act by an agent, "" when the caller gave none.
func (b IdempotencyBody) key(ctx context.Context, what string, a id.Agent) (string, error) {
	key, header := b.IdempotencyKey, httpx.IdempotencyKey(ctx)
	switch {
	case key == "" && header == "":
		return "", nil
	case key == "":
		key = header
	case header != "" && header != key:
		return "", fault.Invalidf("idempotencyKey", "is another one than the header Idempotency-Key names")
	}
	return httpx.ActKeyOf(ctx, what+"/"+a.UUID().String()+"/"+key), nil
}

type listTransactionsInput struct {
	AgentInput
	PageQuery
}

func (f *face) registerWallets() {
	httpx.Register(f.Face, httpx.Op{
		ID: "getWallet", Method: http.MethodGet, Path: "/agents/{agentId}/wallet", Tag: "wallets",
		Summary: "Read an agent's wallet", Permission: account.WalletsRead,
	}, func(ctx context.Context, in *AgentInput) (*output[walletWire], error) {
		a, err := f.agent(ctx, *in)
		if err != nil {
			return nil, err
		}
		w, err := f.deps.Wallets.Ensure(ctx, httpx.Scope(ctx), a.ID, "")
		if err != nil {
			return nil, err
		}
		return ok(showWallet(a, w)), nil
	})

	httpx.Register(f.Face, httpx.Op{
		ID: "deposit", Method: http.MethodPost, Path: "/agents/{agentId}/wallet/deposit", Tag: "wallets", Strict: true,
		Example: `{"amount":100,"description":"Budget"}`,
		Summary: "Put money into an agent's wallet", Permission: account.WalletsWrite,
		Description: "The operator's word that the money is there: no payment provider is asked. A frozen agent receives nothing.",
	}, func(ctx context.Context, in *depositInput) (*output[depositedWire], error) {
		a, err := in.read()
		if err != nil {
			return nil, err
		}
		amount, err := in.Body.Amount.read("amount")
		if err != nil {
			return nil, err
		}
		key, err := IdempotencyBody{}.key(ctx, "deposit", a)
		if err != nil {
			return nil, err
		}
		t, err := f.deps.Wallets.Deposit(ctx, httpx.Scope(ctx), wallet.DepositRequest{
			Agent: a, Amount: amount, Description: in.Body.Description, Key: key,
		})
		if err != nil {
			return nil, err
		}
		return ok(depositedWire{t.ID.String(), unitsOf(t.BalanceAfter)}), nil
	})

	httpx.Register(f.Face, httpx.Op{
		ID: "spend", Method: http.MethodPost, Path: "/agents/{agentId}/wallet/spend", Tag: "wallets", Strict: true, OwnIdempotency: true,
		Example: `{"amount":29,"description":"Email API, monthly","payee":"vendor.example","category":"software","idempotencyKey":"order-7"}`,
		Summary: "Pay out of an agent's wallet", Permission: account.WalletsWrite,
		Description: "Decided and paid in one transaction. A refusal is an answer, too: `approved` is false and `rule` names what decided. With " +
			"`requiresApproval` the payment waits for a person under `requestId`. A frozen agent is 403 AGENT_FROZEN.",
	}, f.spend)

	httpx.Register(f.Face, httpx.Op{
		ID: "transfer", Method: http.MethodPost, Path: "/wallet/transfer", Tag: "wallets", Strict: true, OwnIdempotency: true,
		Example: `{"fromAgentId":"ag_01h...","toAgentId":"ag_01h...","amount":15,"description":"Share"}`,
		Summary: "Move money between two agents' wallets", Permission: account.WalletsWrite,
		Description: "It passes the sender's policy like a payment and counts towards its limits. What is denied or not covered is 403 FORBIDDEN " +
			"and names the rule; a frozen agent on either side is 403 AGENT_FROZEN.",
	}, f.transfer)

	httpx.Register(f.Face, httpx.Op{
		ID: "listTransactions", Method: http.MethodGet, Path: "/agents/{agentId}/wallet/transactions", Tag: "wallets",
		Summary: "List a wallet's transactions, newest first", Permission: account.WalletsRead,
	}, func(ctx context.Context, in *listTransactionsInput) (*output[listWire[transactionWire]], error) {
		a, err := in.read()
		if err != nil {
			return nil, err
		}
		p, err := f.deps.Wallets.Transactions(ctx, httpx.Scope(ctx), a, "", in.request())
		if err != nil {
			return nil, err
		}
		return listOf(in.PageQuery, p, showTransaction), nil
	})
}

func (f *face) spend(ctx context.Context, in *spendInput) (*output[spentWire], error) {
	a, err := in.read()
	if err != nil {
		return nil, err
	}
	amount, err := in.Body.Amount.read("amount")
	if err != nil {
		return nil, err
	}
	key, err := in.Body.key(ctx, "spend", a)
	if err != nil {
		return nil, err
	}
	rec, err := f.deps.Gate.Perform(ctx, httpx.Scope(ctx), gate.Act{
		Key: key, Action: rule.ActionPayment, Agent: a, Amount: &amount, Payee: in.Body.Payee, Category: in.Body.Category,
		Description: in.Body.Description,
	})
	if err != nil {
		return nil, err
	}
	if rec.State == gate.Done {
		moved, err := f.moved(ctx, rec)
		if err != nil {
			return nil, err
		}
		return ok(spentWire{approved: &approvedWire{true, moved[0].ID.String(), unitsOf(moved[0].BalanceAfter)}}), nil
	}
	if rec.Decision.Rule == policy.RuleFrozen {
		return nil, agent.ErrFrozen
	}
	w := refusedWire{
		Reason: camelWords(rec.Decision.Reason, rec.Decision.Rule), Rule: camel(rec.Decision.Rule), RequiresApproval: rec.State == gate.Parked,
	}
	if rec.State == gate.Failed { // it was allowed and could not be done
		w.Rule, w.Reason = "failed", camelWords(rec.Error)
	}
	if w.RequiresApproval {
		w.RequestID = textPtr(rec.Approval.String())
	}
	return ok(spentWire{refused: &w}), nil
}

func (f *face) transfer(ctx context.Context, in *transferInput) (*output[transferredWire], error) {
	from, err := id.Parse[id.AgentKind](in.Body.FromAgentID)
	if err != nil {
		return nil, err
	}
	amount, err := in.Body.Amount.read("amount")
	if err != nil {
		return nil, err
	}
	key, err := in.Body.key(ctx, "transfer", from)
	if err != nil {
		return nil, err
	}
	rec, err := f.deps.Gate.Perform(ctx, httpx.Scope(ctx), gate.Act{
		Key: key, Action: rule.ActionTransfer, Agent: from, Amount: &amount, Payee: in.Body.ToAgentID, Description: in.Body.Description,
	})
	if err != nil {
		return nil, err
	}
	if rec.State != gate.Done {
		return nil, refusedTransfer(rec)
	}
	moved, err := f.moved(ctx, rec)
	if err != nil {
		return nil, err
	}
	out := transferredWire{TransactionID: moved[0].ID.String(), FromBalance: unitsOf(moved[0].BalanceAfter)}
	if len(moved) > 1 {
		out.ToBalance = unitsOf(moved[1].BalanceAfter)
	}
	return ok(out), nil
}

// errTransfer is the answer to a transfer that did not happen.
var errTransfer = fault.New(fault.Forbidden, "transfer_refused", "the transfer was refused")

func refusedTransfer(rec gate.Record) error {
	name, reason := camel(rec.Decision.Rule), camelWords(rec.Decision.Reason, rec.Decision.Rule)
	switch {
	case rec.Decision.Rule == policy.RuleFrozen:
		return agent.ErrFrozen
	case rec.State == gate.Parked:
		return errTransfer.Withf("%s: %s; the transfer waits for the approval %s", name, reason, rec.Approval)
	case rec.State == gate.Failed:
		return errTransfer.Withf("%s", rec.Error)
	}
	return errTransfer.Withf("%s: %s", name, reason)
}

// moved returns the money that a done act has moved, the paying side first.
func (f *face) moved(ctx context.Context, rec gate.Record) ([]wallet.Transaction, error) {
	if len(rec.Moved) > 0 {
		return rec.Moved, nil
	}
	return f.deps.Wallets.Paid(ctx, httpx.Scope(ctx), rec.ID) // an earlier call did it
}
