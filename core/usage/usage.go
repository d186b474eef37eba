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
	Errors       int64         // of Calls, those that failed
	Service      string        // the service tier, as ServiceOf spells it; "" is the usual one
	Modifiers    []string      // what else changes the price, such as a region or a speed; in ascending order, each once
	Flags        Flags         // what is odd about the row
	Cost         *money.Pico   // computed from Price; nil when the model has no known price
	Reported     *money.Pico   // what the provider or the client says that it cost; never replaces Cost
	Price        Ref           // "" when Cost is nil
	PriceID      id.Price      // the price that Price names; zero when Cost is nil, or by hand
	Rerate       id.Rerate     // the re-rating that gave the row its cost; zero when the cost is the first
	Priced       bool          // for Record: Cost is what it is, null included. Rows that are read do not have it
	Latency      time.Duration // average of the calls; 0 is unknown
	CreatedAt    time.Time     // when it was used, by which its price is chosen
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
	Errors       int64 // of Calls, those that failed
	CountedInput int64
	Input        int64 // neither from a cache nor to one
	Output       int64
	CacheRead    int64
	CacheWrite   int64 // both kinds
	Reasoning    int64
	Cost         Total // of the rows that have one
	Reported     Total // likewise
	Claimed      Total // Reported of the rows without a Cost
	Unpriced     int64 // rows without a Cost, but for those whose calls have all failed
	Timed        int64 // calls of the rows whose latency is known
	Time         Span  // what those calls took together
}

// Spent is what the rows cost as far as anybody knows: Cost, and what was reported for rows that have none.
func (s Sums) Spent() Total { return s.Cost.Add(s.Claimed) }

// Latency is what a call took on average; 0 is unknown.
func (s Sums) Latency() time.Duration {
	if s.Timed == 0 {
		return 0
	}
	// The rest of the division is below Timed, which is far below what its product with a million could overflow.
	seconds, rest := s.Time.Seconds/s.Timed, s.Time.Seconds%s.Timed
	return time.Duration(seconds)*time.Second + time.Duration((rest*microsPerSecond+s.Time.Micros)/s.Timed)*time.Microsecond
}

// Total is a sum of costs, which may be larger than any one cost can be: Micros micro-dollars and Picos picodollars,
// the latter below money.PicosPerMicro.
type Total struct {
	Micros int64
	Picos  int64
}

const microsPerSecond = 1_000_000

// Span is a sum of times, which may be longer than any time.Duration can be: Seconds and Micros microseconds, the latter below a second.
type Span struct {
	Seconds int64
	Micros  int64
}

// Add returns the sum of two spans, with Micros below a second.
func (s Span) Add(o Span) Span {
	micros := s.Micros + o.Micros
	return Span{s.Seconds + o.Seconds + micros/microsPerSecond, micros % microsPerSecond}
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

// Repository stores rows, and with them what they add up to by day, agent, model and provider. Every method joins the transaction in ctx
// and sees the scope's tenant only.
type Repository interface {
	// Insert stores rows and adds them to their days. The days stay locked until the transaction ends, so that it comes last in one where
	// it can. budgeted reports whether the tenant has budgets that are not archived.
	Insert(ctx context.Context, sc account.Scope, rows ...Row) (budgeted bool, err error)
	// Reprice gives rows other costs, and their days with them, and has budgets count anew. It returns how many rows there were; those
	// that do not exist are passed over. It locks rows in the order of their ids, then days.
	Reprice(ctx context.Context, sc account.Scope, rows ...Repriced) (int, error)
	// List returns the rows that f chooses, the latest first. It knows page.Request.Offset and Count.
	List(ctx context.Context, sc account.Scope, f Filter, req page.Request) (page.Page[Row], error)
	// Summarize adds up the rows that f chooses. It reads whole days as they were added up, and rows only where a period begins or ends
	// within a day, or of a session.
	Summarize(ctx context.Context, sc account.Scope, f Filter, by Grouping) (Summary, error)
}

// Repriced is what a row costs by another price.
type Repriced struct {
	ID    id.Usage
	Cost  *money.Pico // nil: no price is known
	Price Ref         // "" when Cost is nil
	// PriceID and Flags are likewise those of the new price.
	PriceID id.Price
	Flags   Flags
	Rerate  id.Rerate // what changes the row
}

// Add returns the sum of two sums.
func (s Sums) Add(o Sums) Sums {
	return Sums{
		Rows: s.Rows + o.Rows, Calls: s.Calls + o.Calls, Errors: s.Errors + o.Errors, CountedInput: s.CountedInput + o.CountedInput,
		Input: s.Input + o.Input, Output: s.Output + o.Output, CacheRead: s.CacheRead + o.CacheRead, CacheWrite: s.CacheWrite + o.CacheWrite,
		Reasoning: s.Reasoning + o.Reasoning, Cost: s.Cost.Add(o.Cost), Reported: s.Reported.Add(o.Reported),
		Claimed: s.Claimed.Add(o.Claimed), Unpriced: s.Unpriced + o.Unpriced, Timed: s.Timed + o.Timed, Time: s.Time.Add(o.Time),
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
