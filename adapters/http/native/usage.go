package native

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/bureau-agents/bureau/adapters/http/internal/httpx"
	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/usage"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/money"
)

// costWire is what models cost. It has more places than money can have, because the price of one token does.
type costWire struct {
	Amount   string `json:"amount" doc:"A decimal with up to twelve places, such as 0.01656."`
	Currency string `json:"currency" enum:"USD"`
}

// dollars is a cost in a body.
type dollars string

// Schema implements huma.SchemaProvider.
func (dollars) Schema(huma.Registry) *huma.Schema {
	return &huma.Schema{Type: huma.TypeString, Extensions: map[string]any{"pattern": `^0*[0-9]{1,6}(\.[0-9]{1,12})?$`}}
}

func showCost(p *money.Pico) *costWire {
	if p == nil {
		return nil
	}
	return &costWire{p.Dollars(), string(money.USD)}
}

func showTotal(t usage.Total) costWire { return costWire{t.Dollars(), string(money.USD)} }

type usageWire struct {
	ID                 string    `json:"id" doc:"usg_..."`
	Type               string    `json:"type" enum:"usage"`
	AgentID            *string   `json:"agent_id"`
	SessionID          *string   `json:"session_id" doc:"null for what a client reported."`
	Model              string    `json:"model"`
	Provider           *string   `json:"provider"`
	TokensInput        int64     `json:"tokens_input" doc:"As the provider counts: with cached tokens, but for Anthropic."`
	TokensOutput       int64     `json:"tokens_output"`
	CachedTokens       int64     `json:"cached_tokens" doc:"Read from a cache."`
	CacheWriteTokens   int64     `json:"cache_write_tokens" doc:"Written to a cache for five minutes."`
	CacheWrite1hTokens int64     `json:"cache_write_1h_tokens" doc:"Written to a cache for an hour."`
	ReasoningTokens    int64     `json:"reasoning_tokens" doc:"What of the output was reasoning."`
	APICalls           int64     `json:"api_calls"`
	Errors             int64     `json:"errors" doc:"Of api_calls, those that failed."`
	AvgLatencyMS       *int64    `json:"avg_latency_ms" doc:"null is unknown."`
	Cost               *costWire `json:"cost" doc:"What the provider or the client says that it cost."`
	ComputedCost       *costWire `json:"computed_cost" doc:"What it costs by the price list; null when the model has no known price."`
	Price              *string   `json:"price" doc:"The price behind computed_cost, with @ and the day from which it counts, # and the threshold of its tier, and ! and the service tier, where there are such."`
	PriceID            *string   `json:"price_id" doc:"The same price by its id, prc_..., which stays readable when the price counts no more."`
	ServiceTier        *string   `json:"service_tier" doc:"null is the usual one."`
	Modifiers          []string  `json:"modifiers" nullable:"false" doc:"What else changes the price, such as a region or a speed."`
	Flags              []string  `json:"flags" nullable:"false" doc:"What is odd: counts_clamped (the counts contradicted each other), service_tier_unpriced and modifier_unpriced (the price says nothing of them, and they changed nothing)."`
	RerateID           *string   `json:"rerate_id" doc:"The re-rating that changed computed_cost last."`
	CreatedAt          stamp     `json:"created_at" doc:"When it was used."`
}

func showUsage(r usage.Row) usageWire {
	w := usageWire{
		ID: r.ID.String(), Type: "usage", AgentID: textPtr(r.Agent.String()), SessionID: textPtr(r.Session.String()), Model: r.Model,
		Provider: textPtr(r.Provider), TokensInput: r.CountedInput, TokensOutput: r.Usage.Output, CachedTokens: r.Usage.CacheRead,
		CacheWriteTokens: r.Usage.CacheWrite5m, CacheWrite1hTokens: r.Usage.CacheWrite1h, ReasoningTokens: r.Usage.Reasoning,
		APICalls: r.Calls, Errors: r.Errors, Cost: showCost(r.Reported), ComputedCost: showCost(r.Cost),
		Price: textPtr(string(r.Price)), PriceID: textPtr(r.PriceID.String()), ServiceTier: textPtr(r.Service),
		Modifiers: append([]string{}, r.Modifiers...), Flags: r.Flags.Names(), RerateID: textPtr(r.Rerate.String()),
		CreatedAt: stampOf(r.CreatedAt),
	}
	if r.Latency > 0 {
		w.AvgLatencyMS = ptr(r.Latency.Milliseconds())
	}
	return w
}

// UsageSumsWire is what usage adds up to. Its type is exported because others embed it.
type UsageSumsWire struct {
	Rows             int64    `json:"rows"`
	TokensInput      int64    `json:"tokens_input"`
	TokensOutput     int64    `json:"tokens_output"`
	CachedTokens     int64    `json:"cached_tokens"`
	CacheWriteTokens int64    `json:"cache_write_tokens" doc:"For five minutes and for an hour."`
	ReasoningTokens  int64    `json:"reasoning_tokens" doc:"What of the output was reasoning."`
	APICalls         int64    `json:"api_calls"`
	Errors           int64    `json:"errors" doc:"Of api_calls, those that failed."`
	AvgLatencyMS     *int64   `json:"avg_latency_ms" doc:"Of the calls whose latency is known; null when none is."`
	Cost             costWire `json:"cost"`
	ComputedCost     costWire `json:"computed_cost" doc:"Of the rows that have a known price."`
	Unpriced         int64    `json:"unpriced" doc:"Rows without a known price."`
}

func showUsageSums(s usage.Sums) UsageSumsWire {
	w := UsageSumsWire{
		Rows: s.Rows, TokensInput: s.CountedInput, TokensOutput: s.Output, CachedTokens: s.CacheRead, CacheWriteTokens: s.CacheWrite,
		ReasoningTokens: s.Reasoning, APICalls: s.Calls, Errors: s.Errors, Cost: showTotal(s.Reported), ComputedCost: showTotal(s.Cost),
		Unpriced: s.Unpriced,
	}
	if s.Timed > 0 {
		w.AvgLatencyMS = ptr(s.Latency().Milliseconds())
	}
	return w
}

type usageGroupWire struct {
	Key string `json:"key" doc:"An agent's id, a model, a provider, or a day as 2026-11-21."`
	UsageSumsWire
}

type usageSummaryWire struct {
	Groups []usageGroupWire `json:"groups" nullable:"false"`
	Total  UsageSumsWire    `json:"total"`
}

func showUsageSummary(s usage.Summary, by usage.Grouping) usageSummaryWire {
	out := usageSummaryWire{Groups: make([]usageGroupWire, 0, len(s.Groups)), Total: showUsageSums(s.Total)}
	for _, g := range s.Groups {
		key := g.Key
		if u, err := id.ParseUUID(key); err == nil && by == usage.GroupAgent {
			key = id.Of[id.AgentKind](u).String()
		}
		out.Groups = append(out.Groups, usageGroupWire{key, showUsageSums(g.Sums)})
	}
	return out
}

// UsageQuery is what chooses usage rows.
type UsageQuery struct {
	AgentQuery
	SessionID string `query:"session_id" doc:"Only what this session used."`
	Model     string `query:"model" doc:"Only this model."`
	Provider  string `query:"provider" doc:"Only this provider."`
	PeriodQuery
}

func (q UsageQuery) filter() (usage.Filter, error) {
	out := usage.Filter{Model: q.Model, Provider: q.Provider, Since: q.Since, Until: q.Until}
	var err error
	if out.Agent, err = q.read(); err != nil {
		return out, err
	}
	if q.SessionID != "" {
		out.Session, err = id.Parse[id.SessionKind](q.SessionID)
	}
	return out, err
}

type listUsageInput struct {
	UsageQuery
	httpx.PageQuery
}

type usageSummaryInput struct {
	UsageQuery
	GroupBy string `query:"group_by" enum:"agent,model,provider,day" doc:"Without it there is only the total."`
}

// usageReportWire is a client's own account of a model's use.
type usageReportWire struct {
	AgentID            string     `json:"agent_id" doc:"Who used it."`
	Model              string     `json:"model" minLength:"1" maxLength:"200" doc:"The model that answered, with or without its provider's prefix."`
	Provider           string     `json:"provider,omitempty" maxLength:"100" doc:"Such as anthropic; left out, the model's price decides."`
	TokensInput        int64      `json:"tokens_input,omitempty" minimum:"0" maximum:"1000000000000" doc:"As the provider counts: with cached tokens, but for Anthropic."`
	TokensOutput       int64      `json:"tokens_output,omitempty" minimum:"0" maximum:"1000000000000"`
	CachedTokens       int64      `json:"cached_tokens,omitempty" minimum:"0" maximum:"1000000000000"`
	CacheWriteTokens   int64      `json:"cache_write_tokens,omitempty" minimum:"0" maximum:"1000000000000"`
	CacheWrite1hTokens int64      `json:"cache_write_1h_tokens,omitempty" minimum:"0" maximum:"1000000000000"`
	ReasoningTokens    int64      `json:"reasoning_tokens,omitempty" minimum:"0" maximum:"1000000000000" doc:"What of the output was reasoning."`
	APICalls           int64      `json:"api_calls,omitempty" minimum:"1" maximum:"1000000" default:"1"`
	Errors             int64      `json:"errors,omitempty" minimum:"0" maximum:"1000000" doc:"Of api_calls, those that failed."`
	AvgLatencyMS       int64      `json:"avg_latency_ms,omitempty" minimum:"0" maximum:"86400000"`
	Cost               *dollars   `json:"cost,omitempty" maxLength:"32" doc:"What the client thinks that it cost: a decimal number of dollars."`
	ServiceTier        string     `json:"service_tier,omitempty" maxLength:"32" doc:"Such as batch, flex or priority; left out, the usual one."`
	Modifiers          []string   `json:"modifiers,omitempty" maxItems:"8" doc:"What else changes the price, such as a region or a speed: names of a price's multipliers."`
	UsedAt             *time.Time `json:"used_at,omitempty" doc:"When it was used, which decides the price; left out, now."`
}

func (b *usageReportWire) read() (usage.Report, error) {
	r := usage.Report{
		Model: b.Model, Provider: b.Provider, Calls: b.APICalls, Errors: b.Errors, Latency: time.Duration(b.AvgLatencyMS) * time.Millisecond,
		Service: b.ServiceTier, Modifiers: b.Modifiers,
		Counts: usage.Counts{
			Input: b.TokensInput, Output: b.TokensOutput, CacheRead: b.CachedTokens, CacheWrite5m: b.CacheWriteTokens,
			CacheWrite1h: b.CacheWrite1hTokens, Reasoning: b.ReasoningTokens,
		},
	}
	if b.UsedAt != nil {
		r.At = *b.UsedAt
	}
	var err error
	if r.Agent, err = id.Parse[id.AgentKind](b.AgentID); err != nil {
		return r, err
	}
	if b.Cost != nil {
		cost, err := money.ParsePico(string(*b.Cost))
		if err != nil {
			return r, at(err, "cost")
		}
		r.Cost = &cost
	}
	return r, nil
}

type reportUsageInput struct{ Body usageReportWire }

type reportUsagesInput struct {
	Body struct {
		Reports []usageReportWire `json:"reports" minItems:"1" maxItems:"500"`
	}
}

type usagesWire struct {
	Data []usageWire `json:"data" nullable:"false" doc:"In the order of the reports."`
}

func (f *face) registerUsage() {
	httpx.Register(f.Face, httpx.Op{
		ID: "reportUsage", Method: http.MethodPost, Path: "/v1/usage", Tag: "usage", Status: http.StatusCreated,
		Example: `{"agent_id":"agent_01h...","model":"claude-sonnet-4-20250514","provider":"anthropic","tokens_input":1500,"tokens_output":800}`,
		Summary: "Report what a model call used", Permission: account.TelemetryWrite,
		Description: "For agents that call models by themselves. What agents use on this server is recorded without a report.",
	}, func(ctx context.Context, in *reportUsageInput) (*output[usageWire], error) {
		r, err := in.Body.read()
		if err != nil {
			return nil, err
		}
		row, err := f.deps.Usage.Report(ctx, httpx.Scope(ctx), r)
		if err != nil {
			return nil, err
		}
		return ok(showUsage(row)), nil
	})

	httpx.Register(f.Face, httpx.Op{
		ID: "reportUsages", Method: http.MethodPost, Path: "/v1/usage/batch", Tag: "usage", Status: http.StatusCreated,
		Example: `{"reports":[{"agent_id":"agent_01h...","model":"gpt-4o","tokens_input":1500,"tokens_output":800,"service_tier":"batch"}]}`,
		Summary: "Report what several model calls used", Permission: account.TelemetryWrite,
		Description: "All of the reports are stored, or none.",
	}, func(ctx context.Context, in *reportUsagesInput) (*output[usagesWire], error) {
		reports := make([]usage.Report, len(in.Body.Reports))
		for i := range in.Body.Reports {
			r, err := in.Body.Reports[i].read()
			if err != nil {
				return nil, at(err, fmt.Sprintf("reports[%d].cost", i))
			}
			reports[i] = r
		}
		rows, err := f.deps.Usage.Reports(ctx, httpx.Scope(ctx), reports)
		if err != nil {
			return nil, err
		}
		out := usagesWire{make([]usageWire, len(rows))}
		for i, row := range rows {
			out.Data[i] = showUsage(row)
		}
		return ok(out), nil
	})

	httpx.Register(f.Face, httpx.Op{
		ID: "listUsage", Method: http.MethodGet, Path: "/v1/usage", Tag: "usage",
		Summary: "List what models were used for, newest first", Permission: account.TelemetryRead,
	}, func(ctx context.Context, in *listUsageInput) (*output[httpx.List[usageWire]], error) {
		filter, err := in.filter()
		if err != nil {
			return nil, err
		}
		p, err := f.deps.Usage.List(ctx, httpx.Scope(ctx), filter, in.Request())
		if err != nil {
			return nil, err
		}
		return ok(httpx.NewList(p, showUsage)), nil
	})

	httpx.Register(f.Face, httpx.Op{
		ID: "summarizeUsage", Method: http.MethodGet, Path: "/v1/usage/summary", Tag: "usage",
		Summary: "Add up tokens and costs", Permission: account.TelemetryRead,
	}, func(ctx context.Context, in *usageSummaryInput) (*output[usageSummaryWire], error) {
		filter, err := in.filter()
		if err != nil {
			return nil, err
		}
		by := usage.Grouping(in.GroupBy)
		s, err := f.deps.Usage.Summary(ctx, httpx.Scope(ctx), filter, by)
		if err != nil {
			return nil, err
		}
		return ok(showUsageSummary(s, by)), nil
	})
}
