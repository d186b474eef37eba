package native

import (
	"context"
	"encoding/json"
	"io"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"github.com/bureau-agents/bureau/adapters/http/internal/httpx"
	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/gate"
	"github.com/bureau-agents/bureau/core/payment"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/money"
	port "github.com/bureau-agents/bureau/ports/payment"
)

// railPaymentWire is a payment over a rail.
type railPaymentWire struct {
	ID            string    `json:"id" doc:"pay_..."`
	Type          string    `json:"type" enum:"payment"`
	Status        string    `json:"status" enum:"pending,succeeded,failed,unknown" doc:"unknown: the rail has not said what became of it. The money stays held, and the rail is asked again."`
	Rail          string    `json:"rail"`
	Reference     *string   `json:"reference" doc:"The rail's own id; null while it has said none."`
	ActionID      string    `json:"action_id" doc:"The act that was decided."`
	AgentID       string    `json:"agent_id"`
	SessionID     *string   `json:"session_id"`
	Amount        moneyWire `json:"amount" doc:"What was decided and held."`
	Paid          moneyWire `json:"paid" doc:"What the rail took; zero unless succeeded."`
	Refunded      moneyWire `json:"refunded" doc:"What of it has come back."`
	Refunding     bool      `json:"refunding" doc:"Whether a refund is under way."`
	Payee         string    `json:"payee"`
	Description   string    `json:"description"`
	TransactionID *string   `json:"transaction_id" doc:"The movement in the agent's wallet; null unless succeeded."`
	Result        any       `json:"result" doc:"What the payee gave in return, where the rail carries it: an x402 payment's response."`
	Error         *string   `json:"error" doc:"Why it failed, or what keeps its outcome open."`
	Attempts      int       `json:"attempts" doc:"How often the rail was asked to charge, under one key."`
	NextCheckAt   *stamp    `json:"next_check_at" doc:"When the rail is asked again at the latest; null when nothing is open."`
	CreatedAt     stamp     `json:"created_at"`
	EndedAt       *stamp    `json:"ended_at"`
}

func showRailPayment(p payment.Payment) railPaymentWire {
	of := func(micros int64) moneyWire { return showMoney(money.Of(micros, p.Amount.Currency)) }
	w := railPaymentWire{
		ID: p.ID.String(), Type: "payment", Status: string(p.Status), Rail: p.Rail, Reference: textPtr(p.Reference), ActionID: p.Act.String(),
		AgentID: p.Agent.String(), SessionID: textPtr(p.Session.String()), Amount: showMoney(p.Amount), Paid: of(p.Paid), Refunded: of(p.Refunded),
		Refunding: p.Refunding > p.Refunded, Payee: p.Payee, Description: p.Description, TransactionID: textPtr(p.Entry.String()),
		Error: textPtr(p.Error), Attempts: p.Attempts, NextCheckAt: stampPtr(p.DueAt), CreatedAt: stampOf(p.CreatedAt), EndedAt: stampPtr(p.EndedAt),
	}
	w.Result = nullable(p.Result)
	return w
}

type listRailPaymentsInput struct {
	httpx.PageQuery
	AgentID string `query:"agent_id" doc:"Only this agent's."`
	Status  string `query:"status" enum:"pending,succeeded,failed,unknown" doc:"Only those."`
	Rail    string `query:"rail" maxLength:"32" doc:"Only those over this rail."`
}

// RailPaymentInput names a payment over a rail. Its type is exported because others embed it.
type RailPaymentInput struct {
	PaymentID string `path:"payment_id" doc:"The id of a payment over a rail."`
}

type refundPaymentInput struct {
	RailPaymentInput
	Body *struct {
		Amount positiveInput `json:"amount,omitempty" doc:"Above zero and in the payment's currency; all that has not come back yet when left out."`
	} `required:"false"`
}

type resolvePaymentInput struct {
	RailPaymentInput
	Body struct {
		Outcome   string `json:"outcome" enum:"succeeded,failed" doc:"What a person found out."`
		Reference string `json:"reference,omitempty" maxLength:"255" doc:"The rail's own id."`
		Note      string `json:"note" minLength:"1" maxLength:"1000" doc:"How it was found out, for the audit trail."`
	}
}

type paidRequestInput struct {
	AgentInput
	Body struct {
		URL         string            `json:"url" minLength:"1" maxLength:"4096"`
		Method      string            `json:"method,omitempty" enum:"GET,POST" default:"GET"`
		Headers     map[string]string `json:"headers,omitempty" doc:"Sent along; those by which payments are made are not the caller's."`
		Body        string            `json:"body,omitempty" maxLength:"262144" doc:"With POST."`
		MaxAmount   moneyInput        `json:"max_amount,omitempty" doc:"Refuse a higher price, whatever the policies allow."`
		Category    string            `json:"category,omitempty" maxLength:"1024"`
		Description string            `json:"description,omitempty" maxLength:"16384"`
	}
}

type paidRequestWire struct {
	Type    string       `json:"type" enum:"paid_request"`
	Paid    bool         `json:"paid" doc:"Whether money has moved."`
	Payment *paymentWire `json:"payment" doc:"What was decided; null when nothing had to be paid."`
	Result  any          `json:"result" doc:"The answer: {status, headers, body}; null when there is none, or none yet."`
}

func (f *face) registerRailPayments() {
	httpx.Register(f.Face, httpx.Op{
		ID: "listPayments", Method: http.MethodGet, Path: "/v1/payments", Tag: "payments",
		Summary: "List payments over rails, newest first", Permission: account.WalletsRead,
		Description: "Payments out of the ledger alone are transactions of their wallet, and not listed here.",
	}, func(ctx context.Context, in *listRailPaymentsInput) (*output[httpx.List[railPaymentWire]], error) {
		filter := payment.Filter{Status: payment.Status(in.Status), Rail: in.Rail}
		if in.AgentID != "" {
			var err error
			if filter.Agent, err = id.Parse[id.AgentKind](in.AgentID); err != nil {
				return nil, err
			}
		}
		p, err := f.deps.Payments.List(ctx, httpx.Scope(ctx), filter, in.Request())
		if err != nil {
			return nil, err
		}
		return ok(httpx.NewList(p, showRailPayment)), nil
	})

	httpx.Register(f.Face, httpx.Op{
		ID: "getPayment", Method: http.MethodGet, Path: "/v1/payments/{payment_id}", Tag: "payments",
		Summary: "Read a payment over a rail", Permission: account.WalletsRead,
	}, func(ctx context.Context, in *RailPaymentInput) (*output[railPaymentWire], error) {
		p, err := id.Parse[id.PaymentKind](in.PaymentID)
		if err != nil {
			return nil, err
		}
		return f.railPayment(f.deps.Payments.Get(ctx, httpx.Scope(ctx), p))
	})

	httpx.Register(f.Face, httpx.Op{
		ID: "refundPayment", Method: http.MethodPost, Path: "/v1/payments/{payment_id}/refund", Tag: "payments", Strict: true,
		Example: `{"amount":{"amount":"5.00","currency":"USD"}}`,
		Summary: "Take a payment back over its rail, whole or in part", Permission: account.WalletsWrite,
		Description: "The rail gives the money back first, and then the wallet gets it. While the rail has not said whether it did, `refunding` is " +
			"true, and it is asked again. A refund frees no room in any limit.",
		Statuses: []int{http.StatusPaymentRequired, http.StatusNotImplemented},
	}, f.refundPayment)

	httpx.Register(f.Face, httpx.Op{
		ID: "resolvePayment", Method: http.MethodPost, Path: "/v1/payments/{payment_id}/resolve", Tag: "payments", Strict: true,
		Example: `{"outcome":"failed","note":"the bank statement has no such charge"}`,
		Summary: "Say what became of a payment whose rail cannot tell", Permission: account.Admin,
		Description: "A person's word in place of the rail's: succeeded takes the held money, failed gives it back. Possible from an hour after the " +
			"last attempt on. If the word is wrong, so are the books.",
	}, func(ctx context.Context, in *resolvePaymentInput) (*output[railPaymentWire], error) {
		p, err := id.Parse[id.PaymentKind](in.PaymentID)
		if err != nil {
			return nil, err
		}
		return f.railPayment(f.deps.Payments.Resolve(ctx, httpx.Scope(ctx), p, payment.Resolution{
			Succeeded: in.Body.Outcome == "succeeded", Reference: in.Body.Reference, Note: in.Body.Note,
		}))
	})

	httpx.Register(f.Face, httpx.Op{
		ID: "createPaidRequest", Method: http.MethodPost, Path: "/v1/agents/{agent_id}/wallet/paid_requests", Tag: "payments", Strict: true,
		Example: `{"url":"https://api.vendor.example/report","max_amount":{"amount":"0.10","currency":"USDC"}}`,
		Summary: "Fetch a URL on an agent's behalf and pay for it when it asks for that", Permission: account.WalletsWrite, OwnIdempotency: true,
		Description: "A server that answers 402 by the x402 protocol is paid within the policies, and asked again with the payment, once. The payee " +
			"that policies see is the URL's host. With an `Idempotency-Key` it is paid at most once. Private addresses are not reached. The request " +
			"itself is a call of the tool paid_fetch to the policies: where they deny it, or ask for an approval of it, it is 403 and nothing is " +
			"sent. A payment that needs an approval waits for one; with the same `Idempotency-Key`, ask again for the answer.",
		Statuses: []int{http.StatusForbidden, http.StatusServiceUnavailable, http.StatusNotImplemented},
	}, f.paidRequest)

	httpx.Register(f.Face, httpx.Op{
		ID: "stripeWebhook", Method: http.MethodPost, Path: "/v1/payments/stripe/webhook", Tag: "payments",
		Summary:     "What becomes of payments, as Stripe tells it",
		Description: "Signed by Stripe. Whatever an event says, Stripe is asked what holds, so events may come late, twice or in any order.",
		Upload:      "application/json", UploadSchema: &huma.Schema{Type: huma.TypeObject}, MaxBody: maxWebhook, PublicRate: webhookRate,
		Statuses: []int{http.StatusUnauthorized, http.StatusServiceUnavailable},
	}, func(ctx context.Context, _ *struct{}) (*output[receivedWire], error) {
		body, err := io.ReadAll(httpx.Body(ctx))
		if err != nil {
			return nil, err
		}
		if err := f.deps.Payments.Receive(ctx, "stripe", httpx.Request(ctx).Header.Get, body); err != nil {
			return nil, err
		}
		return ok(receivedWire{true}), nil
	})
}

type receivedWire struct {
	Received bool `json:"received"`
}

func (f *face) railPayment(p payment.Payment, err error) (*output[railPaymentWire], error) {
	if err != nil {
		return nil, err
	}
	return ok(showRailPayment(p)), nil
}

func (f *face) refundPayment(ctx context.Context, in *refundPaymentInput) (*output[railPaymentWire], error) {
	of, err := id.Parse[id.PaymentKind](in.PaymentID)
	if err != nil {
		return nil, err
	}
	sc := httpx.Scope(ctx)
	r := payment.RefundRequest{Payment: of, Key: httpx.ActKey(ctx)}
	if in.Body != nil && in.Body.Amount.set {
		p, err := f.deps.Payments.Get(ctx, sc, of)
		if err != nil {
			return nil, err
		}
		amount, err := moneyInput(in.Body.Amount).readIn("amount", p.Amount.Currency)
		if err != nil {
			return nil, err
		}
		if amount.Currency != p.Amount.Currency {
			return nil, at(money.ErrCurrency, "amount.currency")
		}
		r.Amount = amount.Micros
	}
	return f.railPayment(f.deps.Payments.Refund(ctx, sc, r))
}

func (f *face) paidRequest(ctx context.Context, in *paidRequestInput) (*output[paidRequestWire], error) {
	agent, err := id.Parse[id.AgentKind](in.AgentID)
	if err != nil {
		return nil, err
	}
	r := payment.FetchRequest{
		Act:     gate.Act{Key: httpx.ActKey(ctx), Agent: agent, Category: in.Body.Category, Description: in.Body.Description},
		Request: port.Request{Method: in.Body.Method, URL: in.Body.URL, Header: in.Body.Headers, Body: in.Body.Body},
	}
	if m := in.Body.MaxAmount; m.set && !m.null {
		most, err := m.read("max_amount")
		if err != nil {
			return nil, err
		}
		r.Most = &most
	}
	got, err := f.deps.Payments.Fetch(ctx, httpx.Scope(ctx), r)
	if err != nil {
		return nil, err
	}
	w := paidRequestWire{Type: "paid_request", Result: nullable(got.Result)}
	if got.Act != nil {
		shown, err := f.showPayment(ctx, *got.Act)
		if err != nil {
			return nil, err
		}
		w.Payment, w.Paid = &shown.Body, got.Act.State == gate.Done
	}
	return ok(w), nil
}

// nullable is null for no JSON.
func nullable(raw json.RawMessage) any {
	if raw == nil {
		return nil
	}
	return raw
}
