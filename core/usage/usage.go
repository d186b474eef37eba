package usage

import (
	"context"
	"fmt"
	"time"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/llm"
	"github.com/bureau-agents/bureau/ports/money"
	"github.com/bureau-agents/bureau/ports/page"
)

// Row is one report of a model's use. It never changes once stored.
type Row struct {
	ID       id.Usage
	Tenant   id.Tenant
	Agent    id.Agent
	Session  id.Session // zero when the use was reported by a client
	Turn     id.Turn    // likewise
	Act      id.Act     // what the gate decided about it; zero when nothing limits the use, or a client reported it
	Model    string     // the model that answered
	Provider string     // "" when nobody said
	Usage    llm.Usage  // disjoint buckets; its ReportedPicos stands in Reported
	// CountedInput is the input by the provider's own convention, as clients read it off an answer: with cached tokens
	// for most, without them for Anthropic.
	CountedInput int64
	Calls        int64         // model calls behind the row, at least 1
	Cost         *money.Pico   // computed from Price; nil when the model has no known price
	Reported     *money.Pico   // what the provider or the client says that it cost; never replaces Cost
	Price        Ref           // "" when Cost is nil
	Latency      time.Duration // average of the calls; 0 is unknown
	CreatedAt    time.Time
}

// Filter chooses rows. Zero fields choose all.
type Filter struct {
	Agent    id.Agent
	Session  id.Session
	Model    string
	Provider string
	Since    time.Time // inclusive
	Until    time.Time // exclusive
}

// Grouping is what Summary sorts rows by.
type Grouping string

// The groupings. GroupNone makes no groups but the total.
const (
	GroupNone     Grouping = ""
	GroupAgent    Grouping = "agent"
	GroupModel    Grouping = "model"
	GroupProvider Grouping = "provider"
	GroupDay      Grouping = "day" // of CreatedAt in UTC
)

// Sums adds up rows.
type Sums struct {
	Rows         int64
	Calls        int64
	CountedInput int64
	Output       int64
	CacheRead    int64
	CacheWrite   int64 // both kinds
	Cost         Total // of the rows that have one
	Reported     Total // likewise
	Unpriced     int64 // rows without a Cost
}

// Total is a sum of costs, which may be larger than any one cost can be: Micros micro-dollars and Picos picodollars,
// the latter below money.PicosPerMicro.
type Total struct {
	Micros int64
	Picos  int64
}

// Group is the sum of the rows with one key: an agent's UUID, a model, a provider, or a day as "2026-11-21".
type Group struct {
	Key  string
	Sums Sums
}

// Summary is what Filter chose, added up. Groups are ordered by key.
type Summary struct {
	Groups []Group
	Total  Sums
}

// Repository stores rows. Every method joins the transaction in ctx and sees the scope's tenant only.
type Repository interface {
	// Insert stores a row.
	Insert(ctx context.Context, sc account.Scope, r Row) error
	// List returns the rows that f chooses, the latest first.
	List(ctx context.Context, sc account.Scope, f Filter, req page.Request) (page.Page[Row], error)
	// Summarize adds up the rows that f chooses.
	Summarize(ctx context.Context, sc account.Scope, f Filter, by Grouping) (Summary, error)
}

// Add returns the sum of two sums.
func (s Sums) Add(o Sums) Sums {
	return Sums{
		Rows: s.Rows + o.Rows, Calls: s.Calls + o.Calls, CountedInput: s.CountedInput + o.CountedInput, Output: s.Output + o.Output,
		CacheRead: s.CacheRead + o.CacheRead, CacheWrite: s.CacheWrite + o.CacheWrite, Cost: s.Cost.Add(o.Cost),
		Reported: s.Reported.Add(o.Reported), Unpriced: s.Unpriced + o.Unpriced,
	}
}

// Add returns the sum of two totals, with Picos below money.PicosPerMicro.
func (t Total) Add(o Total) Total {
	picos := t.Picos + o.Picos
	return Total{Micros: t.Micros + o.Micros + picos/money.PicosPerMicro, Picos: picos % money.PicosPerMicro}
}

// Dollars returns the sum as a decimal string of dollars without trailing zeros: "0.01656".
func (t Total) Dollars() string {
	whole, frac := t.Micros/money.MicrosPerUnit, t.Micros%money.MicrosPerUnit
	digits := fmt.Sprintf("%06d%06d", frac, t.Picos)
	for len(digits) > 0 && digits[len(digits)-1] == '0' {
		digits = digits[:len(digits)-1]
	}
	if digits == "" {
		return fmt.Sprint(whole)
	}
	return fmt.Sprintf("%d.%s", whole, digits)
}
