package usage

import (
	"context"
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

// Deps is what a Service needs; all fields are required.
type Deps struct {
	TX         tx.Runner
	Clock      clock.Clock
	IDs        id.Generator
	Logger     *slog.Logger
	Repository Repository
	Agents     Agents
}

// Config tunes a Service.
type Config struct {
	// Prices is the price list; nil is Builtin.
	Prices []Price
}

// Service records and prices the use of models. It is safe for concurrent use.
type Service struct {
	d      Deps
	prices *List
}

// NewService returns a Service, or an error that names what d lacks or which price is wrong.
func NewService(d Deps, c Config) (*Service, error) {
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
	if c.Prices == nil {
		var err error
		if c.Prices, err = Builtin(); err != nil {
			return nil, err
		}
	}
	l, err := NewList(c.Prices)
	if err != nil {
		return nil, err
	}
	return &Service{d, l}, nil
}

// Price returns what a request costs at a time, and the price behind it; nil when the model has no known price, or the
// cost cannot be represented.
func (s *Service) Price(provider, model string, u llm.Usage, at time.Time) (*money.Pico, Ref) {
	c, ref, err := s.Quote(Query{Provider: provider, Model: model, Usage: u, At: at})
	if err != nil || ref == "" {
		return nil, ""
	}
	return &c, ref
}

// Quote is List.Quote.
func (s *Service) Quote(q Query) (money.Pico, Ref, error) { return s.prices.Quote(q) }

// Estimate returns the most that a call can cost now, for budgets; nil when the model has no known price.
func (s *Service) Estimate(provider, model string, inputTokens, maxOutput int64) *money.Pico {
	c, ref, err := s.prices.Ceiling(provider, model, inputTokens, maxOutput, s.d.Clock.Now())
	if err != nil || ref == "" {
		return nil
	}
	return &c
}

// Prices returns the price list in force now.
func (s *Service) Prices() []Price { return s.prices.At(s.d.Clock.Now()) }

// Record stores a row in the transaction of ctx, where it comes last if it can: see Repository.Insert. It fills in what is zero: ID,
// CreatedAt, Calls, CountedInput, Reported from Usage.ReportedPicos, and Cost and Price. The tenant is the scope's. A cost that cannot be
// represented is ErrCostOverflow, and an int64 below zero a fault.Invalid.
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
	out := make([]Row, len(rows))
	for i, r := range rows {
		var err error
		if out[i], err = s.complete(sc, r); err != nil {
			return nil, err
		}
	}
	if len(out) == 0 {
		return out, nil
	}
	err := s.d.TX.Do(ctx, func(ctx context.Context) error {
		_, err := s.d.Repository.Insert(ctx, sc, out...)
		return err
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// complete fills in what a row does not say.
func (s *Service) complete(sc account.Scope, r Row) (Row, error) {
	if err := check(r); err != nil {
		return Row{}, err
	}
	r.Tenant = sc.Tenant
	r.Calls = max(r.Calls, 1)
	if r.ID.IsZero() {
		r.ID = id.New[id.UsageKind](s.d.IDs)
	}
	if r.CreatedAt.IsZero() {
		r.CreatedAt = s.d.Clock.Now()
	}
	r.CreatedAt = clock.Stored(r.CreatedAt)
	if r.CountedInput == 0 {
		r.CountedInput = s.prices.ConventionOf(r.Provider, r.Model, r.CreatedAt).Counted(r.Usage)
	}
	if r.Reported == nil && r.Usage.ReportedPicos > 0 {
		p := money.Pico(r.Usage.ReportedPicos)
		r.Reported = &p
	}
	r.Usage.ReportedPicos = 0
	if r.Cost == nil {
		c, ref, err := s.Quote(Query{Provider: r.Provider, Model: r.Model, Usage: r.Usage, At: r.CreatedAt})
		if err != nil {
			return Row{}, err
		}
		if ref != "" {
			r.Cost, r.Price = &c, ref
		}
	}
	return r, nil
}

// maxTime is what the calls of a row may take together, in microseconds: a million calls of a day each. Sums of a hundred million such
// rows stay within int64 seconds.
const maxTime = 1_000_000 * 24 * 60 * 60 * microsPerSecond

func check(r Row) error {
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

// Report is a client's own account of a model's use.
type Report struct {
	Agent    id.Agent
	Model    string
	Provider string // "": the model's price decides who it was
	Counts   Counts
	Cost     *money.Pico // what the client thinks that it cost
	Calls    int64       // 0 is 1
	Errors   int64       // of Calls, those that failed
	Latency  time.Duration
}

// Report stores what a client reports: id.NotFound when the tenant has no such agent, otherwise as Record.
func (s *Service) Report(ctx context.Context, sc account.Scope, r Report) (Row, error) {
	row := Row{
		Agent: r.Agent, Model: r.Model, Provider: r.Provider, CountedInput: r.Counts.Input, Calls: r.Calls, Errors: r.Errors, Reported: r.Cost,
		Latency: r.Latency, CreatedAt: s.d.Clock.Now(),
		// For check only, which must see the counts before they are clamped.
		Usage: llm.Usage{
			CacheRead: r.Counts.CacheRead, CacheWrite5m: r.Counts.CacheWrite5m, CacheWrite1h: r.Counts.CacheWrite1h,
			Output: r.Counts.Output, Reasoning: r.Counts.Reasoning,
		},
	}
	if err := check(row); err != nil {
		return Row{}, err
	}
	row.Usage = s.prices.ConventionOf(r.Provider, r.Model, row.CreatedAt).Buckets(r.Counts)
	var out Row
	err := s.d.TX.Do(ctx, func(ctx context.Context) error {
		if err := s.d.Agents.Exists(ctx, sc, r.Agent); err != nil {
			return err
		}
		var err error
		out, err = s.Record(ctx, sc, row)
		return err
	})
	return out, err
}

// List returns rows, the latest first.
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
