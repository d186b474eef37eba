package app

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/gate"
	"github.com/bureau-agents/bureau/core/payment"
	"github.com/bureau-agents/bureau/core/run"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/money"
	port "github.com/bureau-agents/bureau/ports/payment"
	"github.com/bureau-agents/bureau/ports/tool"
)

// paymentTools offers every agent the tool that pays for requests, where a rail does.
type paymentTools struct{ payments *payment.Service }

// paidFetchTimeout covers a request, and the same one paid for.
const paidFetchTimeout = 2 * time.Minute

func (p paymentTools) Tools(_ context.Context, sc account.Scope, env run.Env) ([]run.BoundTool, error) {
	if !p.payments.Fetches() {
		return nil, nil
	}
	return []run.BoundTool{{Tool: paidFetch{p.payments, sc, env}, Timeout: paidFetchTimeout, Pays: true}}, nil
}

// paidFetch fetches a URL for an agent in a session, and pays for it when it asks for that.
type paidFetch struct {
	payments *payment.Service
	sc       account.Scope
	env      run.Env
}

// Spec implements tool.Tool.
func (paidFetch) Spec() tool.Spec {
	return tool.Spec{
		Name: payment.FetchTool,
		Description: "Fetch a URL that may cost money. When the server asks for a payment by the x402 protocol (HTTP status 402), it is paid from your " +
			"wallet, if your policies allow it, and the request is repeated once.",
		InputSchema: json.RawMessage(`{
			"type": "object",
			"properties": {
				"url": {"type": "string", "description": "What to fetch"},
				"method": {"type": "string", "enum": ["GET", "POST"], "description": "GET when left out"},
				"headers": {"type": "object", "additionalProperties": {"type": "string"}},
				"body": {"type": "string", "description": "With POST"},
				"max_amount": {"type": "string", "description": "The highest price to pay, in USDC, such as 0.10"},
				"category": {"type": "string", "description": "Kind of expense"}
			},
			"required": ["url"]
		}`),
		Idempotent: true, // what it pays, it pays under the key of the tool use
	}
}

// Call implements tool.Tool.
func (f paidFetch) Call(ctx context.Context, c tool.Call) (tool.Result, error) {
	var in struct {
		URL, Method, Body, Category string
		Headers                     map[string]string
		MaxAmount                   string `json:"max_amount"`
	}
	use, err := id.Parse[id.EventKind](c.Key)
	if err != nil {
		return tool.Result{}, err
	}
	if json.Unmarshal(c.Input, &in) != nil {
		return tool.Result{Text: "invalid input: must be an object with url", IsError: true}, nil //nolint:nilerr // for the model to mend
	}
	if in.Method == "" {
		in.Method = "GET"
	}
	top := f.env.Session.ID
	if !f.env.Session.Root.IsZero() {
		top = f.env.Session.Root
	}
	r := payment.FetchRequest{
		Act: gate.Act{
			Key: c.Key + "/payment", Agent: f.env.Session.Agent, Session: f.env.Session.ID, Run: top, ToolUse: use, Category: in.Category,
		},
		Request: port.Request{Method: in.Method, URL: in.URL, Header: in.Headers, Body: in.Body}, Judged: true,
	}
	if in.MaxAmount != "" {
		most, err := money.Parse(in.MaxAmount, money.USDC)
		if err != nil {
			return tool.Result{Text: "invalid input: max_amount must be a decimal number", IsError: true}, nil //nolint:nilerr // for the model to mend
		}
		r.Most = &most
	}
	got, err := f.payments.Fetch(ctx, f.sc, r)
	switch {
	case errors.Is(err, payment.ErrTooDear):
		return tool.Result{Text: err.Error(), IsError: true}, nil
	case err != nil:
		return tool.Result{}, err
	case got.Act != nil:
		return tool.Result{}, &run.Paid{Record: *got.Act}
	}
	return tool.Result{Text: string(got.Result)}, nil
}

var _ tool.Tool = paidFetch{}
