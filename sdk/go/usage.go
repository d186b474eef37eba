package valar

import (
	"context"
	"iter"
	"net/http"
	"net/url"
	"time"
)

// Usage is a report of what calls of a language model used.
type Usage struct {
	ID                 string    `json:"id"`
	AgentID            string    `json:"agent_id"` // "" for what the server itself used on nobody's behalf
	Model              string    `json:"model"`
	Provider           string    `json:"provider"`
	TokensInput        int64     `json:"tokens_input"`
	TokensOutput       int64     `json:"tokens_output"`
	CachedTokens       int64     `json:"cached_tokens"`
	CacheWriteTokens   int64     `json:"cache_write_tokens"`
	CacheWrite1hTokens int64     `json:"cache_write_1h_tokens"`
	APICalls           int64     `json:"api_calls"`
	AvgLatencyMS       *float64  `json:"avg_latency_ms"`
	Cost               *float64  `json:"cost"`          // what the client said, in dollars
	ComputedCost       *float64  `json:"computed_cost"` // what the server made of the tokens, in dollars; nil for an unknown model
	CreatedAt          time.Time `json:"created_at"`
}

// NewUsage is usage to be reported. For provider anthropic TokensInput is without cached tokens, for every other it includes them: as those
// count themselves.
type NewUsage struct {
	AgentID            string   `json:"agent_id"`                        // required
	Model              string   `json:"model"`                           // required
	Provider           string   `json:"provider,omitempty"`              // "" is the one that the model's price names
	TokensInput        int64    `json:"tokens_input"`                    //
	TokensOutput       int64    `json:"tokens_output"`                   //
	CachedTokens       int64    `json:"cached_tokens,omitempty"`         // read from the provider's cache
	CacheWriteTokens   int64    `json:"cache_write_tokens,omitempty"`    // written into it
	CacheWrite1hTokens int64    `json:"cache_write_1h_tokens,omitempty"` // written into it for an hour
	APICalls           int64    `json:"api_calls,omitempty"`             // 0 means one
	AvgLatencyMS       *float64 `json:"avg_latency_ms,omitempty"`        //
	Cost               *float64 `json:"cost,omitempty"`                  // in dollars, if you know it
}

// UsageFilter says which usage is listed; what is empty excludes none.
type UsageFilter struct {
	Paging

	AgentID, Model, Provider string
	Since, Until             time.Time
}

func (f UsageFilter) query() params {
	return params{}.text("agent_id", f.AgentID).text("model", f.Model).text("provider", f.Provider).time("since", f.Since).time("until", f.Until)
}

// By what SummarizeUsage may group.
const (
	ByAgent    = "agent"
	ByModel    = "model"
	ByProvider = "provider"
	ByDay      = "day"
)

// UsageTotals is usage added up, costs in dollars.
type UsageTotals struct {
	TokensInput  int64   `json:"tokens_input"`
	TokensOutput int64   `json:"tokens_output"`
	CachedTokens int64   `json:"cached_tokens"`
	APICalls     int64   `json:"api_calls"`
	Cost         float64 `json:"cost"`
	ComputedCost float64 `json:"computed_cost"` // of the reports whose model has a price
	Unpriced     int64   `json:"unpriced"`      // how many reports have none
}

// UsageGroup is the usage of one agent, model, provider or day, which Key names.
type UsageGroup struct {
	Key string `json:"key"`
	UsageTotals
}

// UsageSummary is usage in groups, and all of it.
type UsageSummary struct {
	Groups []UsageGroup `json:"groups"`
	Total  UsageTotals  `json:"total"`
}

// ReportUsage reports usage and returns it with its cost.
func (c *Client) ReportUsage(ctx context.Context, u NewUsage) (Usage, error) {
	return send[Usage](ctx, c, http.MethodPost, "/usage", u)
}

// ListUsage returns a page of the usage.
func (c *Client) ListUsage(ctx context.Context, f UsageFilter) (Page[Usage], error) {
	return list[Usage](ctx, c, "/usage", f.Paging, f.query())
}

// AllUsage walks over the usage.
func (c *Client) AllUsage(ctx context.Context, f UsageFilter) iter.Seq2[Usage, error] {
	return all(ctx, c, "/usage", f.Paging, f.query(), func(u Usage) string { return u.ID })
}

// SummarizeUsage adds usage up, in groups: ByAgent, ByModel, ByProvider or ByDay; "" leaves the choice to the server.
func (c *Client) SummarizeUsage(ctx context.Context, s Span, groupBy string) (out UsageSummary, err error) {
	q := s.query().text("group_by", groupBy)
	err = c.call(ctx, call{method: http.MethodGet, path: "/usage/summary", query: url.Values(q), out: &out})
	return out, err
}
