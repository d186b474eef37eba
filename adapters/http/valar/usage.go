package valar

import (
	"context"
	"math"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/bureau-agents/bureau/adapters/http/internal/httpx"
	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/usage"
	"github.com/bureau-agents/bureau/ports/fault"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/money"
)

// decimal is a JSON number, kept as it was sent: a cost does not become a binary fraction on its way.
type decimal string

// UnmarshalJSON implements json.Unmarshaler.
func (d *decimal) UnmarshalJSON(b []byte) error {
	if *d = decimal(b); string(b) == "null" {
		*d = ""
	}
	return nil
}

// MarshalJSON implements json.Marshaler.
func (d decimal) MarshalJSON() ([]byte, error) { return []byte(d), nil }

// Schema implements huma.SchemaProvider.
func (decimal) Schema(huma.Registry) *huma.Schema {
	zero := 0.0
	return &huma.Schema{Type: huma.TypeNumber, Minimum: &zero}
}

func costPtr(p *money.Pico) *decimal {
	if p == nil {
		return nil
	}
	d := decimal(p.Dollars())
	return &d
}

type usageWire struct {
	ID                 string   `json:"id"`
	AgentID            *string  `json:"agent_id"`
	Model              string   `json:"model"`
	Provider           *string  `json:"provider"`
	TokensInput        int64    `json:"tokens_input"`
	TokensOutput       int64    `json:"tokens_output"`
	CachedTokens       int64    `json:"cached_tokens"`
	CacheWriteTokens   int64    `json:"cache_write_tokens"`
	CacheWrite1hTokens int64    `json:"cache_write_1h_tokens"`
	APICalls           int64    `json:"api_calls"`
	AvgLatencyMS       *float64 `json:"avg_latency_ms" doc:"null is unknown."`
	Cost               *decimal `json:"cost" doc:"What the client said, in dollars."`
	ComputedCost       *decimal `json:"computed_cost" doc:"By the price list, in dollars; null when the model has no known price."`
	CreatedAt          stamp    `json:"created_at"`
}

func showUsage(r usage.Row) usageWire {
	w := usageWire{
		ID: r.ID.UUID().String(), Model: r.Model, Provider: textPtr(r.Provider), TokensInput: r.CountedInput, TokensOutput: r.Usage.Output,
		CachedTokens: r.Usage.CacheRead, CacheWriteTokens: r.Usage.CacheWrite5m, CacheWrite1hTokens: r.Usage.CacheWrite1h, APICalls: r.Calls,
		Cost: costPtr(r.Reported), ComputedCost: costPtr(r.Cost), CreatedAt: stampOf(r.CreatedAt),
	}
	if r.Latency > 0 {
		ms := float64(r.Latency.Microseconds()) / 1000
		w.AvgLatencyMS = &ms
	}
	if !r.Agent.IsZero() {
		w.AgentID = textPtr(r.Agent.UUID().String())
	}
	return w
}

// UsageSumsWire is what usage adds up to. Its type is exported because others embed it.
type UsageSumsWire struct {
	TokensInput  int64   `json:"tokens_input"`
	TokensOutput int64   `json:"tokens_output"`
	CachedTokens int64   `json:"cached_tokens"`
	APICalls     int64   `json:"api_calls"`
	Cost         decimal `json:"cost"`
	ComputedCost decimal `json:"computed_cost"`
	Unpriced     int64   `json:"unpriced" doc:"Reports whose computed_cost is null."`
}

func showUsageSums(s usage.Sums) UsageSumsWire {
	return UsageSumsWire{
		TokensInput: s.CountedInput, TokensOutput: s.Output, CachedTokens: s.CacheRead, APICalls: s.Calls,
		Cost: decimal(s.Reported.Dollars()), ComputedCost: decimal(s.Cost.Dollars()), Unpriced: s.Unpriced,
	}
}

type usageGroupWire struct {
	Key string `json:"key" doc:"An agent's id, a model, a provider, or a day as 2026-11-21."`
	UsageSumsWire
}

type usageSummaryWire struct {
	Groups []usageGroupWire `json:"groups" nullable:"false"`
	Total  UsageSumsWire    `json:"total"`
}

type reportUsageInput struct {
	Body struct {
		AgentID            string   `json:"agent_id" doc:"Who used it."`
		Model              string   `json:"model" minLength:"1" maxLength:"200" doc:"With or without the provider's prefix."`
		TokensInput        *int64   `json:"tokens_input,omitempty" minimum:"0" maximum:"1000000000000" doc:"With cached tokens, but for Anthropic."`
		TokensOutput       *int64   `json:"tokens_output,omitempty" minimum:"0" maximum:"1000000000000"`
		CachedTokens       *int64   `json:"cached_tokens,omitempty" minimum:"0" maximum:"1000000000000" doc:"Read from a cache."`
		CacheWriteTokens   *int64   `json:"cache_write_tokens,omitempty" minimum:"0" maximum:"1000000000000" doc:"Written to a cache for five minutes."`
		CacheWrite1hTokens *int64   `json:"cache_write_1h_tokens,omitempty" minimum:"0" maximum:"1000000000000" doc:"Written to a cache for an hour."`
		Cost               *decimal `json:"cost,omitempty" doc:"What you think that it cost, in dollars."`
		APICalls           *int64   `json:"api_calls,omitempty" minimum:"1" maximum:"1000000" doc:"1 when it is left out."`
		AvgLatencyMS       *float64 `json:"avg_latency_ms,omitempty" minimum:"0" maximum:"86400000"`
		Provider           *string  `json:"provider,omitempty" maxLength:"100" doc:"Such as anthropic; left out, the model's price decides."`
	}
}

func (in *reportUsageInput) read() (usage.Report, error) {
	b := &in.Body
	count := func(p *int64) int64 {
		if p == nil {
			return 0
		}
		return *p
	}
	r := usage.Report{
		Model: b.Model, Provider: deref(b.Provider), Calls: count(b.APICalls),
		Counts: usage.Counts{
			Input: count(b.TokensInput), Output: count(b.TokensOutput), CacheRead: count(b.CachedTokens),
			CacheWrite5m: count(b.CacheWriteTokens), CacheWrite1h: count(b.CacheWrite1hTokens),
		},
	}
	var err error
	if r.Agent, err = id.Parse[id.AgentKind](b.AgentID); err != nil {
		return r, err
	}
	if b.Cost != nil && *b.Cost != "" {
		cost, err := money.ParsePicoNumber(string(*b.Cost))
		if err != nil {
			return r, fault.Invalidf("cost", "must be a number of dollars below nine million")
		}
		r.Cost = &cost
	}
	if b.AvgLatencyMS != nil {
		r.Latency = time.Duration(math.Round(*b.AvgLatencyMS*1000)) * time.Microsecond
	}
	return r, nil
}

// UsageQuery is what chooses usage.
type UsageQuery struct {
	AgentID string    `query:"agent_id" doc:"Only what this agent used."`
	Since   time.Time `query:"since" doc:"Only what is not older."`
	Until   time.Time `query:"until" doc:"Only what is older."`
}

func (q UsageQuery) filter() (usage.Filter, error) {
	out := usage.Filter{Since: q.Since, Until: q.Until}
	if q.AgentID == "" {
		return out, nil
	}
	var err error
	out.Agent, err = id.Parse[id.AgentKind](q.AgentID)
	return out, err
}

type listUsageInput struct {
	UsageQuery
	PageQuery
	Model    string `query:"model" maxLength:"200"`
	Provider string `query:"provider" maxLength:"100"`
}

type usageSummaryInput struct {
	UsageQuery
	GroupBy string `query:"group_by" enum:"agent,model,provider,day" doc:"Without it there is only the total."`
}

func (f *face) registerUsage() {
	httpx.Register(f.Face, httpx.Op{
		ID: "reportUsage", Method: http.MethodPost, Path: "/usage", Tag: "usage", Status: http.StatusCreated,
		Example: `{"agent_id":"019f0000-0000-7000-8000-000000000000","model":"claude-sonnet-4-20250514","tokens_input":1500,"tokens_output":800,` +
			`"cached_tokens":200,"cost":0.0,"api_calls":1,"avg_latency_ms":1200,"provider":"anthropic"}`,
		Summary: "Report what a model call used", Permission: account.TelemetryWrite,
		Description: "What it costs is computed from the tokens. For the provider `anthropic`, `tokens_input` excludes cached tokens; for every other " +
			"one it includes them.",
	}, func(ctx context.Context, in *reportUsageInput) (*output[usageWire], error) {
		r, err := in.read()
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
		ID: "listUsage", Method: http.MethodGet, Path: "/usage", Tag: "usage", Summary: "List what models were used for, newest first",
		Permission: account.TelemetryRead,
	}, func(ctx context.Context, in *listUsageInput) (*listOutput[usageWire], error) {
		filter, err := in.filter()
		if err != nil {
			return nil, err
		}
		filter.Model, filter.Provider = in.Model, in.Provider
		p, err := f.deps.Usage.List(ctx, httpx.Scope(ctx), filter, in.request())
		if err != nil {
			return nil, err
		}
		return listOf(p, showUsage), nil
	})

	httpx.Register(f.Face, httpx.Op{
		ID: "summarizeUsage", Method: http.MethodGet, Path: "/usage/summary", Tag: "usage", Summary: "Add up tokens and costs",
		Permission: account.TelemetryRead,
	}, func(ctx context.Context, in *usageSummaryInput) (*output[usageSummaryWire], error) {
		filter, err := in.filter()
		if err != nil {
			return nil, err
		}
		s, err := f.deps.Usage.Summary(ctx, httpx.Scope(ctx), filter, usage.Grouping(in.GroupBy))
		if err != nil {
			return nil, err
		}
		out := usageSummaryWire{Groups: make([]usageGroupWire, 0, len(s.Groups)), Total: showUsageSums(s.Total)}
		for _, g := range s.Groups {
			out.Groups = append(out.Groups, usageGroupWire{g.Key, showUsageSums(g.Sums)})
		}
		return ok(out), nil
	})
}
