package usagetest

import (
	"context"
	"errors"
	"log/slog"
	"math"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/usage"
	"github.com/bureau-agents/bureau/ports/clock"
	"github.com/bureau-agents/bureau/ports/fault"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/llm"
	"github.com/bureau-agents/bureau/ports/money"
	"github.com/bureau-agents/bureau/ports/page"
	"github.com/bureau-agents/bureau/ports/page/pagetest"
	"github.com/bureau-agents/bureau/ports/tx"
)

// Config says how to test a store.
type Config struct {
	New func(t *testing.T) (usage.Repository, tx.Runner)
}

// Run runs the suite.
func Run(t *testing.T, cfg Config) {
	t.Helper()
	for name, test := range map[string]func(*testing.T, *bench){
		"RoundTrip":      testRoundTrip,
		"Report":         testReport,
		"Reports":        testReports,
		"Terms":          testTerms,
		"Invalid":        testInvalid,
		"Missing":        testMissing,
		"ForeignTenant":  testForeign,
		"Filters":        testFilters,
		"PagingToTheEnd": testPaging,
		"Summary":        testSummary,
		"LargeSums":      testLargeSums,
		"Days":           testDays,
		"DaysRollback":   testDaysRollback,
		"DaysTogether":   testDaysTogether,
		"Reprice":        testReprice,
		"Rollback":       testRollback,
		"Cancelled":      testCancelled,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			repo, runner := cfg.New(t)
			test(t, newBench(t, repo, runner))
		})
	}
}

var bg = context.Background()

type bench struct {
	*usage.Service

	repo    usage.Repository
	tx      tx.Runner
	sc      account.Scope
	ids     id.Generator
	now     time.Time
	unknown id.Agent
}

func newBench(t *testing.T, repo usage.Repository, runner tx.Runner) *bench {
	t.Helper()
	b := &bench{repo: repo, tx: runner, ids: id.NewGenerator(time.Now), now: time.Date(2026, 11, 21, 23, 30, 0, 0, time.UTC)}
	b.sc = account.System(id.New[id.TenantKind](b.ids))
	b.unknown = b.agent()
	s, err := usage.NewService(usage.Deps{
		TX: runner, Clock: clock.Func(func() time.Time { return b.now }), IDs: b.ids, Logger: slog.New(slog.DiscardHandler),
		Repository: repo, Agents: agents{b},
	})
	if err != nil {
		t.Fatal(err)
	}
	b.Service = s
	return b
}

func (b *bench) agent() id.Agent { return id.New[id.AgentKind](b.ids) }

type agents struct{ b *bench }

func (a agents) Exists(_ context.Context, _ account.Scope, agent id.Agent) error {
	if agent == a.b.unknown {
		return id.NotFound[id.AgentKind](agent.String())
	}
	return nil
}

func (b *bench) record(t *testing.T, r usage.Row) usage.Row {
	t.Helper()
	got, err := b.Record(bg, b.sc, r)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func (b *bench) list(t *testing.T, f usage.Filter) []usage.Row {
	t.Helper()
	p, err := b.List(bg, b.sc, f, page.Request{})
	if err != nil {
		t.Fatal(err)
	}
	return p.Items
}

// same compares rows, whose ids have unexported fields.
var same = cmp.Options{
	cmp.Comparer(func(a, b id.Usage) bool { return a == b }), cmp.Comparer(func(a, b id.Tenant) bool { return a == b }),
	cmp.Comparer(func(a, b id.Agent) bool { return a == b }), cmp.Comparer(func(a, b id.Session) bool { return a == b }),
	cmp.Comparer(func(a, b id.Turn) bool { return a == b }), cmp.Comparer(func(a, b id.Act) bool { return a == b }),
	cmp.Comparer(func(a, b id.Price) bool { return a == b }), cmp.Comparer(func(a, b id.Rerate) bool { return a == b }),
}

func picos(n int64) *money.Pico {
	p := money.Pico(n)
	return &p
}

func testRoundTrip(t *testing.T, b *bench) {
	got := b.record(t, usage.Row{
		Agent: b.agent(), Session: id.New[id.SessionKind](b.ids), Turn: id.New[id.TurnKind](b.ids), Provider: "anthropic",
		Model: "claude-sonnet-4-6", Latency: 1500 * time.Microsecond, Calls: 3, Errors: 2,
		Usage: llm.Usage{
			Input: 1, CacheRead: 2, CacheWrite5m: 3, CacheWrite1h: 4, Output: 5, Reasoning: 1, ReportedPicos: 7,
		},
	})
	want := usage.Row{
		ID: got.ID, Tenant: b.sc.Tenant, Agent: got.Agent, Session: got.Session, Turn: got.Turn, Provider: "anthropic",
		Model: "claude-sonnet-4-6", Latency: 1500 * time.Microsecond, CountedInput: 1, Calls: 3, Errors: 2,
		Usage: llm.Usage{Input: 1, CacheRead: 2, CacheWrite5m: 3, CacheWrite1h: 4, Output: 5, Reasoning: 1},
		Cost:  picos(3_000_000 + 2*300_000 + 3*3_750_000 + 4*6_000_000 + 5*15_000_000), Reported: picos(7),
		Price: "anthropic/claude-sonnet-4-6", CreatedAt: b.now,
	}
	if diff := cmp.Diff(want, got, same); diff != "" {
		t.Error(diff)
	}
	unknown := b.record(t, usage.Row{Agent: got.Agent, Model: "nobody-knows-it", Usage: llm.Usage{Input: 9, CacheRead: 1}})
	if unknown.Cost != nil || unknown.Price != "" || unknown.CountedInput != 10 {
		t.Errorf("an unknown model: %+v", unknown)
	}
	if diff := cmp.Diff([]usage.Row{unknown, want}, b.list(t, usage.Filter{}), same); diff != "" {
		t.Error(diff)
	}
}

func testReport(t *testing.T, b *bench) {
	row, err := b.Report(bg, b.sc, usage.Report{
		Agent: b.agent(), Provider: "openai", Model: "gpt-4o", Counts: usage.Counts{Input: 100, CacheRead: 150, Output: 10}, Calls: 2, Errors: 1,
		Cost: picos(5), Latency: time.Second,
	})
	if err != nil {
		t.Fatal(err)
	}
	want := usage.Row{
		ID: row.ID, Tenant: b.sc.Tenant, Agent: row.Agent, Provider: "openai", Model: "gpt-4o", CountedInput: 100, Calls: 2, Errors: 1,
		Usage: llm.Usage{CacheRead: 100, Output: 10}, Cost: picos(100*1_250_000 + 10*10_000_000), Reported: picos(5),
		Price: "openai/gpt-4o", Latency: time.Second, CreatedAt: b.now, Flags: usage.FlagClamped,
	}
	if diff := cmp.Diff([]usage.Row{want}, b.list(t, usage.Filter{}), same); diff != "" {
		t.Error(diff)
	}
}

func testInvalid(t *testing.T, b *bench) {
	for _, c := range []usage.Counts{{Input: -1}, {Output: -1}, {CacheRead: -1}, {CacheWrite5m: -1}, {CacheWrite1h: -1}, {Reasoning: -1}} {
		_, err := b.Report(bg, b.sc, usage.Report{Agent: b.agent(), Model: "gpt-4o", Counts: c})
		if fault.KindOf(err) != fault.Invalid {
			t.Errorf("%+v: %v; want fault.Invalid", c, err)
		}
	}
	if _, err := b.Report(bg, b.sc, usage.Report{Agent: b.agent()}); fault.KindOf(err) != fault.Invalid {
		t.Errorf("no model: %v; want fault.Invalid", err)
	}
	for path, r := range map[string]usage.Report{
		"errors":         {Calls: 2, Errors: 3},
		"avg_latency_ms": {Calls: 1_000_001, Latency: 24 * time.Hour},
	} {
		r.Agent, r.Model = b.agent(), "gpt-4o"
		_, err := b.Report(bg, b.sc, r)
		if known, ok := fault.As(err); !ok || known.Kind != fault.Invalid || known.Fields[0].Path != path {
			t.Errorf("%+v: %v; want a fault at %s", r, err, path)
		}
	}
	for _, n := range []int64{math.MaxInt64, 1_000_000_000_000} {
		_, err := b.Report(bg, b.sc, usage.Report{Agent: b.agent(), Model: "gpt-5.4-pro", Counts: usage.Counts{Output: n}})
		if !errors.Is(err, usage.ErrCostOverflow) {
			t.Errorf("%d tokens: %v; want ErrCostOverflow", n, err)
		}
	}
	if rows := b.list(t, usage.Filter{}); len(rows) != 0 {
		t.Errorf("stored %+v", rows)
	}
}

func testMissing(t *testing.T, b *bench) {
	_, err := b.Report(bg, b.sc, usage.Report{Agent: b.unknown, Model: "gpt-4o"})
	if !errors.Is(err, id.NotFound[id.AgentKind]("")) {
		t.Errorf("%v; want agent_not_found", err)
	}
}

func testForeign(t *testing.T, b *bench) {
	other := newBench(t, b.repo, b.tx)
	other.record(t, usage.Row{Agent: b.agent(), Model: "gpt-4o"})
	if rows := b.list(t, usage.Filter{}); len(rows) != 0 {
		t.Errorf("another tenant's rows: %+v", rows)
	}
	s, err := b.Summary(bg, b.sc, usage.Filter{}, usage.GroupModel)
	if err != nil || len(s.Groups) != 0 || s.Total != (usage.Sums{}) {
		t.Errorf("another tenant's sums: %+v, %v", s, err)
	}
}

func testFilters(t *testing.T, b *bench) {
	start := b.now
	a, session := b.agent(), id.New[id.SessionKind](b.ids)
	b.record(t, usage.Row{Agent: a, Provider: "p1", Model: "m1", Session: session})
	b.now = b.now.Add(time.Hour)
	b.record(t, usage.Row{Agent: a, Provider: "p2", Model: "m2"})
	b.now = b.now.Add(time.Hour)
	b.record(t, usage.Row{Agent: b.agent(), Provider: "p3", Model: "m1"})
	for name, c := range map[string]struct {
		f    usage.Filter
		want []string
	}{
		"all":      {usage.Filter{}, []string{"p3", "p2", "p1"}},
		"agent":    {usage.Filter{Agent: a}, []string{"p2", "p1"}},
		"session":  {usage.Filter{Session: session}, []string{"p1"}},
		"model":    {usage.Filter{Model: "m1"}, []string{"p3", "p1"}},
		"provider": {usage.Filter{Provider: "p2"}, []string{"p2"}},
		"since":    {usage.Filter{Since: start.Add(time.Hour)}, []string{"p3", "p2"}},
		"until":    {usage.Filter{Until: start.Add(time.Hour)}, []string{"p1"}},
		"several":  {usage.Filter{Agent: a, Model: "m2", Since: start}, []string{"p2"}},
	} {
		var got []string
		for _, r := range b.list(t, c.f) {
			got = append(got, r.Provider)
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
		s, err := b.Summary(bg, b.sc, c.f, usage.GroupNone)
		if err != nil || s.Total.Rows != int64(len(c.want)) || s.Groups != nil {
			t.Errorf("%s: %+v, %v", name, s, err)
		}
	}
}

func testPaging(t *testing.T, b *bench) {
	var want []id.Usage
	for i := range 7 {
		if i%3 == 0 {
			b.now = b.now.Add(time.Second) // rows of one moment are told apart by their ids
		}
		want = append([]id.Usage{b.record(t, usage.Row{Agent: b.agent(), Model: "m"}).ID}, want...)
	}
	key := func(r usage.Row) id.Usage { return r.ID }
	got := pagetest.Walk(t, 2, key, func(req page.Request) (page.Page[usage.Row], error) {
		return b.List(bg, b.sc, usage.Filter{}, req)
	})
	if diff := cmp.Diff(want, got, same); diff != "" {
		t.Error(diff)
	}
	numbered, err := b.List(bg, b.sc, usage.Filter{}, page.Request{Limit: 2, Offset: 3, Count: true})
	if err != nil || numbered.Total != 7 || len(numbered.Items) != 2 || numbered.Items[0].ID != want[3] {
		t.Errorf("the fourth and fifth: %+v, %v", numbered, err)
	}
	if _, err := b.List(bg, b.sc, usage.Filter{}, page.Request{Cursor: "x"}); fault.KindOf(err) != fault.Invalid {
		t.Errorf("a bad cursor: %v; want fault.Invalid", err)
	}
}

func testSummary(t *testing.T, b *bench) {
	a := b.agent()
	b.record(t, usage.Row{Agent: a, Provider: "openai", Model: "gpt-4o", Usage: llm.Usage{Input: 10, CacheRead: 5, Output: 2, ReportedPicos: 3}})
	b.now = b.now.Add(time.Hour) // the next day
	b.record(t, usage.Row{
		Agent: a, Provider: "anthropic", Model: "claude-sonnet-4-6", Calls: 3, Usage: llm.Usage{Input: 1, CacheWrite5m: 1, CacheWrite1h: 2},
	})
	b.record(t, usage.Row{Agent: a, Provider: "anthropic", Model: "unheard-of", Usage: llm.Usage{Input: 4}})
	gpt := usage.Sums{
		Rows: 1, Calls: 1, CountedInput: 15, Input: 10, Output: 2, CacheRead: 5, Cost: usage.Total{Micros: 51, Picos: 250_000},
		Reported: usage.Total{Picos: 3},
	}
	sonnet := usage.Sums{Rows: 1, Calls: 3, CountedInput: 1, Input: 1, CacheWrite: 3, Cost: usage.Total{Micros: 18, Picos: 750_000}}
	unknown := usage.Sums{Rows: 1, Calls: 1, CountedInput: 4, Input: 4, Unpriced: 1}
	total := gpt.Add(sonnet).Add(unknown)
	for by, want := range map[usage.Grouping][]usage.Group{
		usage.GroupNone:     nil,
		usage.GroupAgent:    {{Key: a.UUID().String(), Sums: total}},
		usage.GroupModel:    {{Key: "claude-sonnet-4-6", Sums: sonnet}, {Key: "gpt-4o", Sums: gpt}, {Key: "unheard-of", Sums: unknown}},
		usage.GroupProvider: {{Key: "anthropic", Sums: sonnet.Add(unknown)}, {Key: "openai", Sums: gpt}},
		usage.GroupDay:      {{Key: "2026-11-21", Sums: gpt}, {Key: "2026-11-22", Sums: sonnet.Add(unknown)}},
	} {
		got, err := b.Summary(bg, b.sc, usage.Filter{}, by)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(usage.Summary{Groups: want, Total: total}, got); diff != "" {
			t.Errorf("by %q: %s", by, diff)
		}
	}
	if d := total.Cost.Dollars(); d != "0.00007" {
		t.Errorf("the total is %s dollars", d)
	}
	if _, err := b.Summary(bg, b.sc, usage.Filter{}, "colour"); !errors.Is(err, usage.ErrGroup) {
		t.Errorf("an unknown grouping: %v; want ErrGroup", err)
	}
}

// testLargeSums adds costs whose sum is more than one cost can be.
func testLargeSums(t *testing.T, b *bench) {
	for range 3 {
		b.record(t, usage.Row{Agent: b.agent(), Model: "m", Cost: picos(math.MaxInt64), Price: "by hand"})
	}
	s, err := b.Summary(bg, b.sc, usage.Filter{}, usage.GroupModel)
	if err != nil {
		t.Fatal(err)
	}
	if d := s.Total.Cost.Dollars(); d != "27670116.110564327421" {
		t.Errorf("the total is %s dollars", d)
	}
}

func testRollback(t *testing.T, b *bench) {
	boom := errors.New("boom")
	err := b.tx.Do(bg, func(ctx context.Context) error {
		if _, err := b.Record(ctx, b.sc, usage.Row{Agent: b.agent(), Model: "m"}); err != nil {
			return err
		}
		return boom
	})
	if !errors.Is(err, boom) {
		t.Fatal(err)
	}
	if rows := b.list(t, usage.Filter{}); len(rows) != 0 {
		t.Errorf("stored %+v", rows)
	}
}

func testCancelled(t *testing.T, b *bench) {
	ctx, cancel := context.WithCancel(bg)
	cancel()
	if _, err := b.Record(ctx, b.sc, usage.Row{Agent: b.agent(), Model: "m"}); !errors.Is(err, context.Canceled) {
		t.Errorf("Record: %v; want context.Canceled", err)
	}
}
