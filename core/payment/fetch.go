package payment

import (
	"context"
	"encoding/json"
	"fmt"
	"reflect"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/agent"
	"github.com/bureau-agents/bureau/core/gate"
	"github.com/bureau-agents/bureau/core/policy"
	"github.com/bureau-agents/bureau/ports/money"
	"github.com/bureau-agents/bureau/ports/payment"
	"github.com/bureau-agents/bureau/ports/rule"
)

// FetchTool is the name of the tool by which agents fetch what may have to be paid for, and of the act that such a request is.
const FetchTool = "paid_fetch"

// FetchRequest asks for an HTTP request that is paid for when its answer asks for that.
type FetchRequest struct {
	// Act says who asks: Key, Agent, Session, Run, ToolUse, Fence, Category and Description count, as for a payment. The key is that of
	// the payment; "" makes none, so that the request cannot be repeated.
	Act     gate.Act
	Request payment.Request
	// Most is what may be paid at most; nil leaves it to the policies.
	Most *money.Amount
	// Judged says that the request itself has been allowed already, as the use of a tool.
	Judged bool
}

// Fetched is what came of a FetchRequest.
type Fetched struct {
	// Act is the payment; nil when nothing had to be paid.
	Act *gate.Record
	// Result is the answer, a JSON value; nil when there is none, or none yet.
	Result json.RawMessage
}

// Fetch sends a request and, when the answer asks to be paid, pays within the policies and sends it again with the payment, once. The
// request without payment is a tool call of FetchTool to the policies, the payment is a payment over the rail that can make it, to the
// host of the request. Unless it is Judged, a request that would need an approval as a tool call is denied; a payment can wait for one.
//
// The same key is the same payment: it is not asked for a price again. ErrRail when no rail pays for requests; ErrTooDear;
// gate.ErrKeyReused; for a request that policies deny agent.ErrFrozen, agent.ErrArchived or ErrRefused; the errors of payment.Fetcher.
func (s *Service) Fetch(ctx context.Context, sc account.Scope, r FetchRequest) (Fetched, error) {
	name, fetcher := s.fetcher()
	if fetcher == nil {
		return Fetched{}, ErrRail.Withf("this server has no rail that pays for requests")
	}
	if rec, ok, err := s.paidBefore(ctx, sc, r); err != nil {
		return Fetched{}, err
	} else if ok {
		if rec.State == gate.Ready || rec.State == gate.Started {
			act := rec.Act
			act.Fence = r.Act.Fence
			rec, err = s.Pay(ctx, sc, act)
		}
		return s.fetched(ctx, sc, rec, err)
	}
	answer, err := s.quote(ctx, sc, fetcher, r)
	switch {
	case err != nil:
		return Fetched{}, err
	case answer.Quote == nil:
		return Fetched{Result: answer.Result}, nil
	}
	q := answer.Quote
	if r.Most != nil && (q.Amount.Currency != r.Most.Currency || q.Amount.Micros > r.Most.Micros) {
		return Fetched{}, ErrTooDear.Withf("the request costs %s, and at most %s may be paid", q.Amount, *r.Most)
	}
	act := r.Act
	act.Rail, act.Amount, act.Payee, act.Arguments = name, &q.Amount, q.Payee, q.Target
	if act.Description == "" {
		act.Description = q.Description
	}
	rec, err := s.Pay(ctx, sc, act)
	return s.fetched(ctx, sc, rec, err)
}

func (s *Service) fetched(ctx context.Context, sc account.Scope, rec gate.Record, err error) (Fetched, error) {
	if err != nil || rec.State != gate.Done {
		return Fetched{Act: &rec}, err
	}
	p, _, err := s.Of(ctx, sc, rec.ID)
	return Fetched{Act: &rec, Result: p.Result}, err
}

func (s *Service) fetcher() (string, payment.Fetcher) {
	for _, name := range s.names {
		if f, ok := s.rails[name].(payment.Fetcher); ok {
			return name, f
		}
	}
	return "", nil
}

// paidBefore returns the payment of an earlier call with the key. A key of another request is gate.ErrKeyReused.
func (s *Service) paidBefore(ctx context.Context, sc account.Scope, r FetchRequest) (gate.Record, bool, error) {
	if r.Act.Key == "" {
		return gate.Record{}, false, nil
	}
	rec, ok, err := s.d.Gate.Lookup(ctx, sc, r.Act.Key)
	if err != nil || !ok {
		return gate.Record{}, false, err
	}
	var was struct {
		Request payment.Request `json:"request"`
	}
	if rec.Act.Agent != r.Act.Agent || json.Unmarshal(rec.Act.Arguments, &was) != nil || !same(was.Request, r.Request) {
		return gate.Record{}, false, gate.ErrKeyReused
	}
	return rec, true, nil
}

func same(a, b payment.Request) bool {
	if len(a.Header) == 0 && len(b.Header) == 0 {
		a.Header, b.Header = nil, nil
	}
	return reflect.DeepEqual(a, b)
}

// quote sends the request without paying, as an act of its own unless that was allowed already.
func (s *Service) quote(ctx context.Context, sc account.Scope, fetcher payment.Fetcher, r FetchRequest) (payment.Answer, error) {
	if r.Judged {
		return s.send(ctx, fetcher, r.Request)
	}
	args, err := json.Marshal(r.Request)
	if err != nil {
		return payment.Answer{}, fmt.Errorf("payment: %w", err)
	}
	// Without a key: asking for a price again is another request. An approval could therefore not be met by asking again.
	rec, err := s.d.Gate.Begin(ctx, sc, gate.Act{
		Action: rule.ActionToolCall, Agent: r.Act.Agent, Tool: FetchTool, Arguments: args, Category: r.Act.Category, Now: true,
	}, nil)
	if err != nil {
		return payment.Answer{}, err
	}
	if rec.State != gate.Started {
		return payment.Answer{}, refused(rec)
	}
	answer, ferr := s.send(ctx, fetcher, r.Request)
	end := gate.Settlement{State: gate.Done, Cost: new(money.Pico)}
	if ferr != nil {
		end.State, end.Error = gate.Failed, message(ferr)
	}
	if _, err := s.d.Gate.End(context.WithoutCancel(ctx), sc, rec, end, nil); err != nil {
		return payment.Answer{}, err
	}
	return answer, ferr
}

// refused is the error for a request that the gate does not allow.
func refused(rec gate.Record) error {
	switch d := rec.Decision; d.Rule {
	case policy.RuleFrozen:
		return agent.ErrFrozen.Withf("%s", d.Reason)
	case policy.RuleArchived:
		return agent.ErrArchived.Withf("%s", d.Reason)
	default:
		return ErrRefused.Withf("%s: %s", d.Rule, d.Reason)
	}
}

func (s *Service) send(ctx context.Context, fetcher payment.Fetcher, r payment.Request) (payment.Answer, error) {
	ctx, cancel := context.WithTimeout(ctx, s.c.Timeout)
	defer cancel()
	return fetcher.Fetch(ctx, r)
}
