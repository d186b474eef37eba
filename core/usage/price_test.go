package usage

import (
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/bureau-agents/bureau/ports/llm"
	"github.com/bureau-agents/bureau/ports/money"
)

var now = time.Date(2026, 11, 21, 0, 0, 0, 0, time.UTC)

func builtinList(tb testing.TB) *List {
	tb.Helper()
	prices, err := Builtin()
	if err != nil {
		tb.Fatal(err)
	}
	l, err := NewList(prices)
	if err != nil {
		tb.Fatal(err)
	}
	return l
}

// TestGolden holds figures that users of other meters checked against their providers' bills.
func TestGolden(t *testing.T) {
	t.Parallel()
	l := builtinList(t)
	for name, c := range map[string]struct {
		provider, model string
		convention      Convention
		counts          Counts
		want            string
	}{
		"a large cache write, as the provider's console shows it": {
			"anthropic", "claude-3-7-sonnet-20250219", InputExcludesCache, Counts{Input: 3, CacheWrite5m: 12_304, Output: 550}, "0.054399",
		},
		"cache writes beside input": {
			"anthropic", "claude-sonnet-4-6", InputExcludesCache, Counts{Input: 15_460, CacheWrite5m: 19_810, Output: 10_370}, "0.2762175",
		},
		"cached tokens inside the input": {
			"google", "gemini-3-flash-preview", InputIncludesCache, Counts{Input: 20_212, CacheRead: 16_298, Output: 931}, "0.0055649",
		},
		"cached tokens beside the input": {
			"anthropic", "claude-sonnet-4-20250514", InputExcludesCache, Counts{Input: 1500, Output: 800, CacheRead: 200}, "0.01656",
		},
		"the same counts, were they inside": {
			"", "claude-sonnet-4-20250514", InputIncludesCache, Counts{Input: 1500, Output: 800, CacheRead: 200}, "0.01596",
		},
		"the tier reprices the whole request": {
			"gemini", "gemini-2.5-pro", InputIncludesCache, Counts{Input: 262_960, CacheRead: 257_955, Output: 1744}, "0.10316125",
		},
		"offline": {"offline", "whatever", InputIncludesCache, Counts{Input: 100, Output: 100}, "0"},
	} {
		u, clamped := c.convention.Buckets(c.counts)
		q, err := l.Quote(Query{Provider: c.provider, Model: c.model, Usage: u, At: now})
		if err != nil || q.Cost == nil || q.Cost.Dollars() != c.want || q.Flags != 0 || clamped {
			t.Errorf("%s: %+v, %v; want %s", name, q, err, c.want)
		}
		if c.provider != "" && c.provider != Offline {
			if conv := l.ConventionOf(c.provider, c.model, now); conv != c.convention {
				t.Errorf("%s: convention %d", name, conv)
			}
		}
	}
}

func TestFind(t *testing.T) {
	t.Parallel()
	l := builtinList(t)
	for _, c := range []struct{ provider, model, want string }{
		{"anthropic", "claude-sonnet-4-5", "anthropic/claude-sonnet-4-5"},
		{"", "claude-sonnet-4-5", "anthropic/claude-sonnet-4-5"},
		{"", "anthropic/claude-sonnet-4-5", "anthropic/claude-sonnet-4-5"},
		{"Anthropic", "Claude-Sonnet-4-5", "anthropic/claude-sonnet-4-5"},
		{"anthropic", "claude-sonnet-4-5-20250929", "anthropic/claude-sonnet-4-5"},
		{"anthropic", "claude-sonnet-4", "anthropic/claude-sonnet-4-20250514"},
		{"anthropic", "claude-3-7-sonnet-latest", "anthropic/claude-3-7-sonnet-20250219"},
		{"openai", "gpt-4o-2024-08-06", "openai/gpt-4o-2024-08-06"},
		{"openai", "gpt-4o-2024-05-13", "openai/gpt-4o-2024-05-13"},
		{"openai", "gpt-4.1-2025-04-14", "openai/gpt-4.1"},
		{"google", "gemini-2.5-pro", "gemini/gemini-2.5-pro"},
		{"gemini", "gemini/gemini-2.5-pro", "gemini/gemini-2.5-pro"},
		{"gemini", "models/gemini-2.5-pro", "gemini/gemini-2.5-pro"},
		{"groq", "openai/gpt-oss-120b", "groq/openai/gpt-oss-120b"},
		{"groq", "groq/openai/gpt-oss-120b", "groq/openai/gpt-oss-120b"},
		{"openrouter", "anthropic/claude-sonnet-4.6", ""},
		{"openrouter", "anthropic/claude-sonnet-4-6", "anthropic/claude-sonnet-4-6"},
		{"bedrock", "us.anthropic.claude-sonnet-4-6", "bedrock_converse/us.anthropic.claude-sonnet-4-6"},
		{"minimax", "minimax-m3", "minimax/MiniMax-M3"},
		{"offline", "", "offline/offline"},
		{"", "offline", "offline/offline"},
		{"", "offline-2", ""},
		{"anthropic", "claude-sonnet-99", ""},
		{"openai", "", ""},
		{"", "-20250514", ""},
	} {
		p, ok := l.Find(c.provider, c.model, now)
		got := ""
		if ok {
			got = string(p.ref(0, ""))
		}
		if got != c.want {
			t.Errorf("Find(%q, %q) = %q; want %q", c.provider, c.model, got, c.want)
		}
	}
}

func TestValidity(t *testing.T) {
	t.Parallel()
	l := builtinList(t)
	u := llm.Usage{Input: 1_000_000}
	for _, c := range []struct {
		at   string
		cost string
		ref  Ref
	}{
		{"2026-07-31", "1", "openai/gpt-5.6-luna"},
		{"2026-08-01", "0.4", "openai/gpt-5.6-luna@2026-08-01#272000"},
	} {
		at, err := time.Parse(time.DateOnly, c.at)
		if err != nil {
			t.Fatal(err)
		}
		q, err := l.Quote(Query{Model: "gpt-5.6-luna", Usage: u, At: at})
		if err != nil || q.Cost == nil || q.Cost.Dollars() != c.cost || q.Price != c.ref {
			t.Errorf("on %s: %+v, %v; want %s by %q", c.at, q, err, c.cost, c.ref)
		}
	}
	if n := len(l.At(now)); n != len(l.prices)-1 {
		t.Errorf("%d of %d prices are in force; want all but one", n, len(l.prices))
	}
}

func TestTiersAndFallbacks(t *testing.T) {
	t.Parallel()
	l := builtinList(t)
	for _, c := range []struct {
		name    string
		model   string
		usage   llm.Usage
		service string
		mods    []string
		want    int64
		flags   Flags
	}{
		{"at the threshold", "claude-sonnet-4-5", llm.Usage{Input: 200_000, Output: 1}, "", nil, 200_000*3_000_000 + 15_000_000, 0},
		{"one above", "claude-sonnet-4-5", llm.Usage{Input: 200_001, Output: 1}, "", nil, 200_001*6_000_000 + 22_500_000, 0},
		{
			"every bucket counts towards the threshold", "claude-sonnet-4-5",
			llm.Usage{Input: 1, CacheRead: 100_000, CacheWrite5m: 100_000}, "", nil, 6_000_000 + 100_000*600_000 + 100_000*7_500_000, 0,
		},
		{"a missing price of a tier is the tier's input", "claude-sonnet-4-5", llm.Usage{CacheWrite1h: 300_000}, "", nil, 300_000 * 6_000_000, 0},
		{"128k", "grok-4-1-fast-reasoning", llm.Usage{Input: 1, CacheRead: 128_000}, "", nil, 128_001 * 400_000, 0},
		{"272k", "gpt-5.6", llm.Usage{Input: 272_001, Output: 1}, "", nil, 272_001*10_000_000 + 45_000_000, 0},
		{"512k", "MiniMax-M3", llm.Usage{Input: 512_001, Output: 1}, "", nil, 512_001*600_000 + 2_400_000, 0},
		{"a missing price is the input's", "gpt-4-turbo", llm.Usage{CacheRead: 10, CacheWrite5m: 1}, "", nil, 11 * 10_000_000, 0},
		{"a price of zero is not missing", "deepseek-chat", llm.Usage{CacheWrite5m: 10}, "", nil, 0, 0},
		{"ranges", "qwen3-coder-plus", llm.Usage{Input: 128_001}, "", nil, 128_001 * 3_000_000, 0},
		{"256k", "qwen3-coder-plus", llm.Usage{Input: 256_001}, "", nil, 256_001 * 6_000_000, 0},
		{"the first range", "qwen3-coder-plus", llm.Usage{Input: 32_000}, "", nil, 32_000 * 1_000_000, 0},
		{"the last range has no end", "qwen3-coder-plus", llm.Usage{Input: 2_000_000}, "", nil, 2_000_000 * 6_000_000, 0},
		{"reasoning is inside the output", "claude-opus-5", llm.Usage{Output: 10, Reasoning: 8}, "", nil, 10 * 25_000_000, 0},
		{"reasoning with a price", "gemini-2.5-flash", llm.Usage{Output: 10, Reasoning: 8}, "", nil, 10 * 2_500_000, 0},
		{"more reasoning than output", "claude-opus-5", llm.Usage{Output: 10, Reasoning: 11}, "", nil, 10 * 25_000_000, FlagClamped},
		{"batch", "gpt-4o", llm.Usage{Input: 10, Output: 10}, "batch", nil, 10*1_250_000 + 10*5_000_000, 0},
		{"batch in capitals", "gpt-4o", llm.Usage{Input: 10}, "BATCH", nil, 10 * 1_250_000, 0},
		{"what batch does not name", "gpt-4o", llm.Usage{CacheRead: 10}, "batch", nil, 10 * 1_250_000, 0},
		{"batch by a multiplier", "claude-opus-4-5", llm.Usage{Input: 10, CacheRead: 10}, "batch", nil, 10*2_500_000 + 10*250_000, 0},
		{"the usual tier has a name, too", "gpt-4o", llm.Usage{Input: 10}, "Default", nil, 10 * 2_500_000, 0},
		{"a service tier without a price", "gpt-4-turbo", llm.Usage{Input: 10}, "flex", nil, 10 * 10_000_000, FlagService},
		{"a multiplier", "claude-opus-5", llm.Usage{Input: 10}, "", []string{"fast"}, 10 * 10_000_000, 0},
		{"a multiplier twice", "claude-opus-5", llm.Usage{Input: 10}, "", []string{"fast", "fast"}, 10 * 10_000_000, 0},
		{"two multipliers", "claude-opus-5", llm.Usage{Input: 10}, "", []string{"fast", "us"}, 10 * 11_000_000, 0},
		{"two multipliers the other way round", "claude-opus-5", llm.Usage{Input: 10}, "", []string{"us", "fast"}, 10 * 11_000_000, 0},
		{"a multiplier that is not there", "claude-haiku-4-5", llm.Usage{Input: 10}, "", []string{"fast"}, 10 * 1_000_000, FlagModifier},
		{"the map's error", "claude-3-haiku-20240307", llm.Usage{CacheWrite1h: 1}, "", nil, 500_000, 0},
	} {
		q, err := l.Quote(Query{Model: c.model, Usage: c.usage, At: now, Service: c.service, Modifiers: c.mods})
		if err != nil || q.Cost == nil || int64(*q.Cost) != c.want || q.Flags != c.flags {
			t.Errorf("%s: %+v, %v; want %d", c.name, q, err, c.want)
		}
	}
}

func TestUnknownIsNotFree(t *testing.T) {
	t.Parallel()
	l := builtinList(t)
	if q, err := l.Quote(Query{Provider: "acme", Model: "x-1", At: now}); q != (Quote{}) || err != nil {
		t.Errorf("an unknown model costs %+v, %v", q, err)
	}
	_, err := l.Quote(Query{Model: "gpt-5.4-pro", Usage: llm.Usage{Output: math.MaxInt64 / 1000}, At: now})
	if !errors.Is(err, ErrCostOverflow) {
		t.Errorf("too many tokens: %v; want ErrCostOverflow", err)
	}
	_, err = l.Quote(Query{Model: "claude-opus-4-7", Usage: llm.Usage{Output: 300_000_000_000}, At: now, Modifiers: []string{"fast"}})
	if !errors.Is(err, ErrCostOverflow) {
		t.Errorf("too many tokens after a multiplier: %v; want ErrCostOverflow", err)
	}
}

// bucketsOf lists the places of disjoint buckets.
func bucketsOf(u *llm.Usage) []*int64 {
	return []*int64{&u.Input, &u.CacheRead, &u.CacheWrite5m, &u.CacheWrite1h, &u.Output}
}

func randomUsage(rng *rand.Rand) llm.Usage {
	var u llm.Usage
	for _, b := range bucketsOf(&u) {
		*b = rng.Int64N(300_000)
	}
	u.Reasoning = rng.Int64N(u.Output + 1)
	return u
}

// ways are the service tiers that a price knows, the usual one included.
func ways(p Price) []string {
	out := []string{"", ServiceBatch, ServiceFlex, ServicePriority}
	for name := range p.Rates.Services {
		if !slices.Contains(out, name) {
			out = append(out, name)
		}
	}
	return out
}

// during returns a time at which p counts.
func during(p Price) time.Time {
	if p.From.IsZero() && !p.Until.IsZero() {
		return p.Until.Add(-time.Hour)
	}
	return p.From
}

// costs returns what u costs by p, and fails when it is not known or below zero.
func costs(t *testing.T, l *List, p Price, service string, u llm.Usage) money.Pico {
	t.Helper()
	q, err := l.Quote(Query{Provider: p.Provider, Model: p.Model, Usage: u, At: during(p), Service: service})
	if err != nil || q.Cost == nil || *q.Cost < 0 {
		t.Fatalf("%s: %+v, %v", p.Model, q, err)
	}
	return *q.Cost
}

// TestMonotone: a token more in any bucket never makes a request cheaper, over every built-in price, in every service tier and across
// the thresholds. It holds because no built-in tier asks less of any bucket than the one before; TestCheaperTier shows what comes of a
// tier that does. Reasoning is no bucket: it says what of the output was reasoning, which may cost less than the rest.
func TestMonotone(t *testing.T) {
	t.Parallel()
	l := builtinList(t)
	rng := rand.New(rand.NewPCG(1, 2))
	for _, p := range l.prices {
		for _, service := range ways(p) {
			for range 15 {
				u := randomUsage(rng)
				before := costs(t, l, p, service, u)
				for i := range bucketsOf(&u) {
					more := u
					*bucketsOf(&more)[i] += 1 + rng.Int64N(100_000)
					if after := costs(t, l, p, service, more); after < before {
						t.Errorf("%s: %+v costs %d and %+v only %d", p.Model, u, before, more, after)
					}
				}
			}
		}
	}
}

// TestRisingTiers is the reason for TestMonotone.
func TestRisingTiers(t *testing.T) {
	t.Parallel()
	effective := func(r Rates, service string) []int64 {
		r = r.with(r.Services[service])
		return []int64{
			r.Input, or(r.CacheRead, r.Input), or(r.CacheWrite5m, r.Input), or(r.CacheWrite1h, r.Input), r.Output, or(r.Reasoning, r.Output),
		}
	}
	for _, p := range builtinList(t).prices {
		for _, service := range ways(p) {
			before := effective(p.Rates, service)
			for _, tier := range p.Tiers {
				after := effective(tier.Rates, service)
				for i := range after {
					if after[i] < before[i] {
						t.Errorf("%s %s: above %d tokens rate %d falls from %d to %d", p.Model, service, tier.Above, i, before[i], after[i])
					}
				}
				before = after
			}
		}
	}
}

// TestCheaperTier: a price of somebody's own may fall at a threshold. The whole request has that tier's rates, and what is set aside
// for it covers both.
func TestCheaperTier(t *testing.T) {
	t.Parallel()
	l, err := NewList([]Price{{Provider: "p", Model: "m", Rates: Rates{Input: 10}, Tiers: []Tier{{Above: 100, Rates: Rates{Input: 1}}}}})
	if err != nil {
		t.Fatal(err)
	}
	p := l.prices[0]
	if below, above := costs(t, l, p, "", llm.Usage{Input: 100}), costs(t, l, p, "", llm.Usage{Input: 101}); below != 1000 || above != 101 {
		t.Errorf("%d at the threshold and %d above", below, above)
	}
	if q, err := l.Ceiling("p", "m", 101, 0, now); err != nil || q.Cost == nil || *q.Cost < 1000 {
		t.Errorf("%+v is set aside, %v", q, err)
	}
}

// TestSumsHaveNoOrder: rows add up to the same whatever the order, because nothing is rounded.
func TestSumsHaveNoOrder(t *testing.T) {
	t.Parallel()
	l := builtinList(t)
	rng := rand.New(rand.NewPCG(7, 8))
	rows := make([]Sums, 200)
	for i := range rows {
		p := l.prices[rng.IntN(len(l.prices))]
		u := randomUsage(rng)
		cost := costs(t, l, p, "", u)
		rows[i] = Sums{
			Rows: 1, CountedInput: u.TotalInput(), Output: u.Output,
			Cost: Total{Micros: int64(cost) / money.PicosPerMicro, Picos: int64(cost) % money.PicosPerMicro},
		}
	}
	sum := func() (total Sums) {
		for _, r := range rows {
			total = total.Add(r)
		}
		return total
	}
	want := sum()
	for range 20 {
		rng.Shuffle(len(rows), func(i, j int) { rows[i], rows[j] = rows[j], rows[i] })
		if got := sum(); got != want {
			t.Fatalf("%+v in another order; want %+v", got, want)
		}
	}
}

// TestCeiling: what is set aside covers every way in which the tokens can fall into the buckets.
func TestCeiling(t *testing.T) {
	t.Parallel()
	l := builtinList(t)
	rng := rand.New(rand.NewPCG(3, 4))
	for _, p := range l.At(now) {
		for range 50 {
			u := randomUsage(rng)
			q, err := l.Quote(Query{Provider: p.Provider, Model: p.Model, Usage: u, At: now})
			if err != nil {
				t.Fatal(err)
			}
			most, err := l.Ceiling(p.Provider, p.Model, u.TotalInput(), u.Output, now)
			if err != nil || most.Cost == nil || *most.Cost < *q.Cost {
				t.Errorf("%s: %+v costs %d and %+v was set aside (%v)", p.Model, u, *q.Cost, most, err)
			}
		}
	}
	if q, err := l.Ceiling("", "unheard-of", 1, 1, now); q != (Quote{}) || err != nil {
		t.Errorf("an unknown model has the ceiling %+v, %v", q, err)
	}
}

// TestBuckets: sorting neither loses nor invents a token, and undoing it gives the count back.
func TestBuckets(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(5, 6))
	for range 2000 {
		n := Counts{
			Input: rng.Int64N(100), Output: rng.Int64N(100), CacheRead: rng.Int64N(100), CacheWrite5m: rng.Int64N(100),
			CacheWrite1h: rng.Int64N(100), Reasoning: rng.Int64N(200),
		}
		for _, conv := range []Convention{InputIncludesCache, InputExcludesCache} {
			u, odd := conv.Buckets(n)
			if got := conv.Counted(u); got != n.Input {
				t.Errorf("%d: %+v became %+v, which counts %d", conv, n, u, got)
			}
			if conv == InputIncludesCache && u.TotalInput() != n.Input {
				t.Errorf("%+v became %+v, whose buckets are not the input together", n, u)
			}
			if odd != (n.Reasoning > n.Output || conv == InputIncludesCache &&
				n.CacheRead+n.CacheWrite5m+n.CacheWrite1h > n.Input) {
				t.Errorf("%d: %+v contradicts itself: %v", conv, n, odd)
			}
			for _, b := range bucketsOf(&u) {
				if *b < 0 {
					t.Errorf("%d: %+v became %+v", conv, n, u)
				}
			}
			if u.Reasoning > u.Output {
				t.Errorf("%d: %+v became %+v", conv, n, u)
			}
		}
	}
}

func TestNewListRefuses(t *testing.T) {
	t.Parallel()
	minus := int64(-1)
	for name, p := range map[string]Price{
		"no model":        {Provider: "p"},
		"capital letters": {Provider: "P", Model: "m"},
		"negative":        {Provider: "p", Model: "m", Rates: Rates{CacheRead: &minus}},
		"tier order":      {Provider: "p", Model: "m", Tiers: []Tier{{Above: 2}, {Above: 1}}},
		"multiplier":      {Provider: "p", Model: "m", Multipliers: map[string]int64{"x": 0}},
		"dates":           {Provider: "p", Model: "m", From: now, Until: now},
	} {
		if _, err := NewList([]Price{p}); err == nil {
			t.Errorf("%s was accepted", name)
		}
	}
}

func TestTotal(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		total Total
		want  string
	}{
		{Total{}, "0"},
		{Total{Micros: 16_560}, "0.01656"},
		{Total{Picos: 1}, "0.000000000001"},
		{Total{Micros: 12_000_000}, "12"},
		{Total{Micros: 1_500_000}.Add(Total{Picos: 1_000_001}), "1.500001000001"},
	} {
		if got := c.total.Dollars(); got != c.want {
			t.Errorf("%+v is %s; want %s", c.total, got, c.want)
		}
	}
}
