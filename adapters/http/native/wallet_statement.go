package native

import (
	"context"
	"net/http"
	"time"

	"github.com/bureau-agents/bureau/adapters/http/internal/httpx"
	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/wallet"
	"github.com/bureau-agents/bureau/ports/fault"
)

type statementWire struct {
	Type           string                      `json:"type" enum:"statement"`
	AgentID        *string                     `json:"agent_id" doc:"The wallet's owner; null for the account's own."`
	Currency       string                      `json:"currency"`
	From           stamp                       `json:"from" doc:"The first moment of the period."`
	To             stamp                       `json:"to" doc:"The first moment after it."`
	OpeningBalance moneyWire                   `json:"opening_balance" doc:"What the wallet had when the period began, held money included."`
	ClosingBalance moneyWire                   `json:"closing_balance" doc:"What it had when the period ended; until now when it has not ended."`
	MoneyIn        moneyWire                   `json:"money_in" doc:"All that came in."`
	MoneyOut       moneyWire                   `json:"money_out" doc:"All that went out. Opening balance, with money_in and without money_out, is the closing balance."`
	Totals         []kindTotalWire             `json:"totals" nullable:"false" doc:"By kind."`
	Transactions   httpx.List[TransactionWire] `json:"transactions" doc:"The period's transactions, newest first."`
}

type kindTotalWire struct {
	Kind      string    `json:"kind" enum:"deposit,payment,refund,transfer_in,transfer_out,sweep"`
	Direction string    `json:"direction" enum:"in,out"`
	Count     int64     `json:"count"`
	Amount    moneyWire `json:"amount" doc:"Their sum, above zero."`
}

func showStatement(st wallet.Statement, list httpx.List[TransactionWire]) statementWire {
	money := func(micros int64) moneyWire { return showMoney(st.Wallet.Money(micros)) }
	w := statementWire{
		Type: "statement", AgentID: textPtr(st.Wallet.Agent.String()), Currency: string(st.Wallet.Currency), From: stampOf(st.From), To: stampOf(st.To),
		OpeningBalance: money(st.Opening), ClosingBalance: money(st.Closing), MoneyIn: money(st.In), MoneyOut: money(st.Out),
		Totals: []kindTotalWire{}, Transactions: list,
	}
	for _, k := range st.Kinds {
		t := kindTotalWire{Kind: string(k.Kind), Direction: "in", Count: k.Count, Amount: money(k.Amount)}
		if k.Amount < 0 {
			t.Direction, t.Amount = "out", money(-k.Amount)
		}
		w.Totals = append(w.Totals, t)
	}
	return w
}

// StatementQuery is embedded where a statement is asked for.
type StatementQuery struct {
	CurrencyQuery
	Period string    `query:"period" pattern:"^[0-9]{4}-(0[1-9]|1[0-2])$" patternDescription:"a month such as 2026-11" doc:"A calendar month in UTC, such as 2026-11, instead of from and to."`
	From   time.Time `query:"from" doc:"The first moment of the period; when left out, the beginning of the month, in UTC, in which it ends."`
	To     time.Time `query:"to" doc:"The first moment after the period; when left out, now, and without from the end of the month that is going on."`
	httpx.PageQuery
}

func (q *StatementQuery) span() (from, to time.Time, err error) {
	if q.Period == "" {
		return q.From, q.To, nil
	}
	if !q.From.IsZero() || !q.To.IsZero() {
		return from, to, fault.Invalidf("query.period", "does not go together with from and to")
	}
	return wallet.Month(q.Period)
}

type statementInput struct {
	AgentInput
	StatementQuery
}

type ownStatementInput struct{ StatementQuery }

func (f *face) registerStatements() {
	const how = "A transaction belongs to the period in which the wallet recorded it, so that periods that meet leave nothing out and count " +
		"nothing twice. The balances and totals are those of the whole period, whichever page of its transactions is asked for."

	httpx.Register(f.Face, httpx.Op{
		ID: "getStatement", Method: http.MethodGet, Path: "/v1/agents/{agent_id}/wallet/statement", Tag: "wallets",
		Summary: "Read what an agent's wallet did in a period", Permission: account.WalletsRead, Description: how,
	}, func(ctx context.Context, in *statementInput) (*output[statementWire], error) {
		return f.statement(ctx, in.AgentID, &in.StatementQuery)
	})

	httpx.Register(f.Face, httpx.Op{
		ID: "getOwnStatement", Method: http.MethodGet, Path: "/v1/wallet/statement", Tag: "wallets",
		Summary: "Read what the account's own wallet did in a period", Permission: account.WalletsRead, Description: how,
	}, func(ctx context.Context, in *ownStatementInput) (*output[statementWire], error) {
		return f.statement(ctx, "", &in.StatementQuery)
	})
}

func (f *face) statement(ctx context.Context, agentID string, q *StatementQuery) (*output[statementWire], error) {
	agent, err := owner(agentID)
	if err != nil {
		return nil, err
	}
	c, err := q.read()
	if err != nil {
		return nil, err
	}
	from, to, err := q.span()
	if err != nil {
		return nil, err
	}
	st, err := f.deps.Wallets.Statement(ctx, httpx.Scope(ctx), agent, c, from, to)
	if err != nil {
		return nil, err
	}
	p, err := f.deps.Wallets.Search(ctx, httpx.Scope(ctx), agent, c, wallet.Filter{Since: st.From, Until: st.To}, q.Request())
	if err != nil {
		return nil, err
	}
	return ok(showStatement(st, httpx.NewList(p, showTransaction))), nil
}
