package usage

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/ports/clock"
	"github.com/bureau-agents/bureau/ports/fault"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/llm"
	"github.com/bureau-agents/bureau/ports/money"
	"github.com/bureau-agents/bureau/ports/page"
	"github.com/bureau-agents/bureau/ports/tx"
)

// Agents tells whether an agent is there; app wires core/agent.
type Agents interface {
	// Exists returns id.NotFound when the tenant has no such agent. Archived and frozen agents exist.
	Exists(ctx context.Context, sc account.Scope, agent id.Agent) error
}

// Lists tells what models cost a tenant; PriceBook does.
type Lists interface {
	// List returns the prices that count for the tenant, its own over the server's. It must be cheap: it is asked for each row.
	List(ctx context.Context, sc account.Scope) (*List, error)
}

// Deps is what a Service needs; all fields but Lists and Budgets are required.
type Deps struct {
	TX         tx.Runner
	Clock      clock.Clock
	IDs        id.Generator
	Logger     *slog.Logger
	Repository Repository
	Agents     Agents
	Lists      Lists    // nil: Builtin for everybody
	Budgets    *Budgets // nil: nobody is told of what is spent
}

// Service records and prices the use of models. It is safe for concurrent use.
type Service struct{ d Deps }

// NewService returns a Service, or an error that names what d lacks.
func NewService(d Deps) (*Service, error) {
	for _, dep := range []struct {
		name    string
		missing bool
	}{
		{"TX", d.TX == nil},
		{"Clock", d.Clock == nil},
		{"IDs", d.IDs == nil},
		{"Logger", d.Logger == nil},
		{"Repository", d.Repository == nil},
		{"Agents", d.Agents == nil},
	} {
		if dep.missing {
			return nil, fmt.Errorf("usage: Deps.%s is required", dep.name)
		}
	}
	if d.Lists == nil {
		prices, err := Builtin()
		if err != nil {
			return nil, err
		}
		l, err := NewList(prices)
		if err != nil {
			return nil, err
		}
		d.Lists = fixed{l}
	}
	return &Service{d}, nil
}

// fixed is one list for everybody.
type fixed struct{ l *List }

func (f fixed) List(context.Context, account.Scope) (*List, error) { return f.l, nil }

// Quote returns what something costs the tenant, as List.Quote does.
func (s *Service) Quote(ctx context.Context, sc account.Scope, q Query) (Quote, error) {
	l, err := s.d.Lists.List(ctx, sc)
	if err != nil {
		return Quote{}, err
	}
	return l.Quote(q)
}

// Price returns what a request of the server's own costs at a time: without a Cost when the model has no known price, or the cost
// cannot be represented. An error means that the prices could not be read.
func (s *Service) Price(ctx context.Context, sc account.Scope, provider, model string, u llm.Usage, at time.Time) (Quote, error) {
	q, err := s.Quote(ctx, sc, Query{Provider: provider, Model: model, Usage: u, At: at})
	if errors.Is(err, ErrCostOverflow) {
		return Quote{}, nil
	}
	return q, err
}

// Estimate returns the most that a call can cost now, for budgets; nil when the model has no known price, or the cost cannot be
// represented. An error means that the prices could not be read.
func (s *Service) Estimate(ctx context.Context, sc account.Scope, provider, model string, inputTokens, maxOutput int64) (*money.Pico, error) {
	l, err := s.d.Lists.List(ctx, sc)
	if err != nil {
		return nil, err
	}
	q, err := l.Ceiling(provider, model, inputTokens, maxOutput, s.d.Clock.Now())
	if errors.Is(err, ErrCostOverflow) {
		return nil, nil //nolint:nilnil // nil is a cost that is not known
	}
	return q.Cost, err
}

// Prices returns the prices that are in force for the tenant now.
func (s *Service) Prices(ctx context.Context, sc account.Scope) ([]Price, error) {
	l, err := s.d.Lists.List(ctx, sc)
	if err != nil {
		return nil, err
	}
	return l.At(s.d.Clock.Now()), nil
}

// Record stores a row in the transaction of ctx, where it comes last if it can: see Repository.Insert. It fills in what is zero: ID,
// CreatedAt, Calls, CountedInput, Reported from Usage.ReportedPicos, and, unless Priced says that the caller has asked, Cost and what
// belongs to it. The tenant is the scope's. A cost that cannot be represented is ErrCostOverflow, and an int64 below zero a
// fault.Invalid.
func (s *Service) Record(ctx context.Context, sc account.Scope, r Row) (Row, error) {
	out, err := s.RecordAll(ctx, sc, r)
	if err != nil {
		return Row{}, err
	}
	return out[0], nil
}

// RecordAll is Record of several rows, of which all are stored or none. Of many rows it is faster than Record, and transactions that
// record many do not lock each other out.
func (s *Service) RecordAll(ctx context.Context, sc account.Scope, rows ...Row) ([]Row, error) {
	if len(rows) == 0 {
		return nil, nil
	}
	l, err := s.d.Lists.List(ctx, sc)
	if err != nil {
		return nil, err
	}
	out := make([]Row, len(rows))
	for i, r := range rows {
		if out[i], err = s.complete(sc, l, r); err != nil {
			return nil, err
		}
	}
	if err := s.store(ctx, sc, out...); err != nil {
		return nil, err
	}
	return out, nil
}

// store keeps rows that are complete.
func (s *Service) store(ctx context.Context, sc account.Scope, rows ...Row) error {
	return s.d.TX.Do(ctx, func(ctx context.Context) error {
		budgeted, err := s.d.Repository.Insert(ctx, sc, rows...)
		if err != nil || !budgeted || s.d.Budgets == nil {
			return err
		}
		return s.d.Budgets.charge(ctx, sc, rows)
	})
}

// complete checks a row and fills in what is zero, by the prices of l.
func (s *Service) complete(sc account.Scope, l *List, r Row) (Row, error) {
	if err := checkRow(r); err != nil {
		return Row{}, err
	}
	r.Tenant = sc.Tenant
	if r.ID.IsZero() {
		r.ID = id.New[id.UsageKind](s.d.IDs)
	}
	if r.CreatedAt.IsZero() {
		r.CreatedAt = s.d.Clock.Now()
	}
	r.CreatedAt = clock.Stored(r.CreatedAt)
	r.Calls = max(r.Calls, 1)
	r.Service = ServiceOf(r.Service)
	r.Modifiers = modifiersOf(r.Modifiers)
	if r.CountedInput == 0 {
		r.CountedInput = l.ConventionOf(r.Provider, r.Model, r.CreatedAt).Counted(r.Usage)
	}
	if r.Reported == nil && r.Usage.ReportedPicos > 0 {
		p := money.Pico(r.Usage.ReportedPicos)
		r.Reported = &p
	}
	r.Usage.ReportedPicos = 0
	if r.Cost == nil && !r.Priced {
		q, err := l.Quote(Query{
			Provider: r.Provider, Model: r.Model, Usage: r.Usage, At: r.CreatedAt, Service: r.Service, Modifiers: r.Modifiers,
		})
		if err != nil {
			return Row{}, err
		}
		r.Cost, r.Price, r.PriceID = q.Cost, q.Price, q.PriceID
		r.Flags |= q.Flags
	}
	r.Priced = false
	return r, nil
}

// maxTime is what the calls of a row may take together, in microseconds: a million calls of a day each. Sums of a hundred million such
// rows stay within int64 seconds.
const maxTime = 1_000_000 * 24 * 60 * 60 * microsPerSecond

func checkRow(r Row) error {
	if r.Model == "" {
		return fault.Invalidf("model", "is required")
	}
	for _, n := range []struct {
		path  string
		value int64
	}{
		{"tokens_input", r.Usage.Input}, {"tokens_input", r.CountedInput}, {"tokens_output", r.Usage.Output},
		{"cached_tokens", r.Usage.CacheRead}, {"cache_write_tokens", r.Usage.CacheWrite5m},
		{"cache_write_1h_tokens", r.Usage.CacheWrite1h}, {"reasoning_tokens", r.Usage.Reasoning}, {"api_calls", r.Calls},
		{"avg_latency_ms", int64(r.Latency)}, {"cost", value((*int64)(r.Reported))}, {"errors", r.Errors},
	} {
		if n.value < 0 {
			return fault.Invalidf(n.path, "must not be negative")
		}
	}
	// Sums of a million such rows stay within int64.
	const most = 1_000_000_000_000
	if max(r.Usage.Input, r.CountedInput, r.Usage.Output, r.Usage.CacheRead, r.Usage.CacheWrite5m, r.Usage.CacheWrite1h, r.Calls) > most {
		return ErrCostOverflow
	}
	if r.Errors > max(r.Calls, 1) {
		return fault.Invalidf("errors", "must not be more than api_calls")
	}
	if r.Latency.Microseconds() > maxTime/max(r.Calls, 1) {
		return fault.Invalidf("avg_latency_ms", "is too long for so many calls")
	}
	return nil
}

// List returns rows, the latest first. It knows page.Request.Offset and Count.
func (s *Service) List(ctx context.Context, sc account.Scope, f Filter, req page.Request) (page.Page[Row], error) {
	return s.d.Repository.List(ctx, sc, f, req)
}

// Summary adds rows up. ErrGroup for a grouping that does not exist.
func (s *Service) Summary(ctx context.Context, sc account.Scope, f Filter, by Grouping) (Summary, error) {
	switch by {
	case GroupNone, GroupAgent, GroupModel, GroupProvider, GroupDay:
		return s.d.Repository.Summarize(ctx, sc, f, by)
	}
	return Summary{}, ErrGroup
}
