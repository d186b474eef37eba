package usagetest

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/bureau-agents/bureau/core/usage"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/llm"
	"github.com/bureau-agents/bureau/ports/money"
)

// sumsOf adds up one row by hand.
func sumsOf(r usage.Row) usage.Sums {
	total := func(p *money.Pico) usage.Total {
		if p == nil {
			return usage.Total{}
		}
		return usage.Total{Picos: int64(*p)}.Add(usage.Total{})
	}
	s := usage.Sums{
		Rows: 1, Calls: r.Calls, Errors: r.Errors, CountedInput: r.CountedInput, Input: r.Usage.Input, Output: r.Usage.Output,
		CacheRead: r.Usage.CacheRead, CacheWrite: r.Usage.CacheWrite5m + r.Usage.CacheWrite1h, Reasoning: r.Usage.Reasoning,
		Cost: total(r.Cost), Reported: total(r.Reported),
	}
	if r.Cost == nil {
		s.Claimed = s.Reported
		if r.Errors < r.Calls {
			s.Unpriced = 1
		}
	}
	if r.Latency > 0 {
		s.Timed = r.Calls
		for range r.Calls {
			s.Time = s.Time.Add(usage.Span{Micros: r.Latency.Microseconds()})
		}
	}
	return s
}

// chosen reports whether a filter chooses a row.
func chosen(f usage.Filter, r usage.Row) bool {
	return (f.Agent.IsZero() || f.Agent == r.Agent) && (f.Session.IsZero() || f.Session == r.Session) && (f.Model == "" || f.Model == r.Model) &&
		(f.Provider == "" || f.Provider == r.Provider) && !r.CreatedAt.Before(f.Since) && (f.Until.IsZero() || r.CreatedAt.Before(f.Until))
}

// sumUp does by hand what a store's Summarize does.
func sumUp(rows []usage.Row, f usage.Filter, by usage.Grouping) usage.Summary {
	var out usage.Summary
	groups := map[string]usage.Sums{}
	for _, r := range rows {
		if !chosen(f, r) {
			continue
		}
		key := map[usage.Grouping]string{
			usage.GroupAgent: r.Agent.UUID().String(), usage.GroupModel: r.Model, usage.GroupProvider: r.Provider,
			usage.GroupDay: r.CreatedAt.Format(time.DateOnly),
		}[by]
		if by == usage.GroupAgent && r.Agent.IsZero() {
			key = ""
		}
		groups[key] = groups[key].Add(sumsOf(r))
		out.Total = out.Total.Add(sumsOf(r))
	}
	if by != usage.GroupNone {
		for k, s := range groups {
			out.Groups = append(out.Groups, usage.Group{Key: k, Sums: s})
		}
		slices.SortFunc(out.Groups, func(a, b usage.Group) int {
			switch { // an empty key stands for no agent, whose UUID is nil and so the first
			case a.Key < b.Key:
				return -1
			case a.Key > b.Key:
				return 1
			}
			return 0
		})
	}
	return out
}

// testDays stores rows at random and compares sums of periods at random, which stores read from days, with those of the rows.
func testDays(t *testing.T, b *bench) {
	const seed = 143
	r := rand.New(rand.NewPCG(seed, 0))
	start := b.now.Truncate(24*time.Hour).AddDate(0, 0, -4)
	const span = 5 * 24 * time.Hour
	moment := func() time.Time {
		if r.IntN(3) == 0 { // on the edge of a day
			return start.AddDate(0, 0, r.IntN(6)).Add(time.Duration(r.IntN(3)-1) * time.Microsecond)
		}
		return start.Add(time.Duration(r.Int64N(int64(span)))).Truncate(time.Microsecond)
	}
	agents := []id.Agent{b.agent(), b.agent(), {}}
	models := []string{"gpt-4o", "claude-sonnet-4-6", "unheard-of"}
	providers := []string{"", "openai", "anthropic"}
	session := id.New[id.SessionKind](b.ids)
	var rows []usage.Row
	for range 120 {
		row := usage.Row{
			Agent: agents[r.IntN(3)], Model: models[r.IntN(3)], Provider: providers[r.IntN(3)], Calls: 1 + r.Int64N(3), CreatedAt: moment(),
			Usage: llm.Usage{
				Input: r.Int64N(1e6), CacheRead: r.Int64N(1e6), CacheWrite5m: r.Int64N(1e6), CacheWrite1h: r.Int64N(1e6), Output: r.Int64N(1e6),
				Reasoning: r.Int64N(1e3),
			},
		}
		row.Errors = r.Int64N(row.Calls + 1)
		if r.IntN(2) == 0 {
			row.Reported = picos(r.Int64N(1e18))
		}
		if r.IntN(2) == 0 {
			row.Latency = time.Duration(r.Int64N(int64(time.Hour))).Truncate(time.Microsecond)
		}
		if r.IntN(4) == 0 {
			row.Session = session
		}
		rows = append(rows, row)
	}
	var stored []usage.Row
	for len(rows) > 0 {
		n := min(len(rows), 1+r.IntN(40))
		got, err := b.RecordAll(bg, b.sc, rows[:n]...)
		if err != nil {
			t.Fatal(err)
		}
		stored, rows = append(stored, got...), rows[n:]
	}
	groupings := []usage.Grouping{usage.GroupNone, usage.GroupAgent, usage.GroupModel, usage.GroupProvider, usage.GroupDay}
	for range 60 {
		var f usage.Filter
		if r.IntN(4) > 0 {
			f.Since = moment()
		}
		if r.IntN(4) > 0 {
			f.Until = moment()
		}
		switch r.IntN(8) {
		case 0:
			f.Agent = agents[0]
		case 1:
			f.Model = models[r.IntN(3)]
		case 2:
			f.Provider = providers[1]
		case 3:
			f.Session = session
		}
		by := groupings[r.IntN(len(groupings))]
		got, err := b.Summary(bg, b.sc, f, by)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(sumUp(stored, f, by), got); diff != "" {
			t.Fatalf("%+v by %q: %s", f, by, diff)
		}
	}
}

// testDaysRollback: what a transaction has added to a day goes with it.
func testDaysRollback(t *testing.T, b *bench) {
	row := b.record(t, usage.Row{Agent: b.agent(), Model: "gpt-4o", Usage: llm.Usage{Input: 1}})
	boom := errors.New("boom")
	err := b.tx.Do(bg, func(ctx context.Context) error {
		if _, err := b.Record(ctx, b.sc, usage.Row{Agent: row.Agent, Model: "gpt-4o", Usage: llm.Usage{Input: 1}}); err != nil {
			return err
		}
		s, err := b.Summary(ctx, b.sc, usage.Filter{}, usage.GroupNone)
		if err == nil && s.Total.Rows != 2 {
			t.Errorf("a transaction does not see what it has added: %+v", s.Total)
		}
		return errors.Join(err, boom)
	})
	if !errors.Is(err, boom) {
		t.Fatal(err)
	}
	s, err := b.Summary(bg, b.sc, usage.Filter{}, usage.GroupNone)
	if err != nil || s.Total != sumsOf(row) {
		t.Errorf("%+v, %v; want those of %+v", s, err, row)
	}
}

// testDaysTogether: rows that are stored at the same time all count, whatever the order of the days that they lock.
func testDaysTogether(t *testing.T, b *bench) {
	agents := []id.Agent{b.agent(), b.agent(), b.agent()}
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for j := range 4 {
				rows := make([]usage.Row, 0, len(agents))
				for k := range agents {
					rows = append(rows, usage.Row{Agent: agents[(i+j+k)%len(agents)], Model: "gpt-4o", Usage: llm.Usage{Input: 1}})
				}
				if _, err := b.RecordAll(bg, b.sc, rows...); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	s, err := b.Summary(bg, b.sc, usage.Filter{}, usage.GroupAgent)
	if err != nil || len(s.Groups) != len(agents) {
		t.Fatalf("%+v, %v", s, err)
	}
	for _, g := range s.Groups {
		if g.Sums.Rows != 32 || g.Sums.Input != 32 {
			t.Errorf("%+v; want 32 rows of one token", g)
		}
	}
}

// testReprice: days follow their rows.
func testReprice(t *testing.T, b *bench) {
	a := b.agent()
	known := b.record(t, usage.Row{Agent: a, Model: "gpt-4o", Usage: llm.Usage{Input: 10}, Reported: picos(7)})
	unknown := b.record(t, usage.Row{Agent: a, Model: "unheard-of", Usage: llm.Usage{Input: 10}, Reported: picos(5_000_001)})
	other := newBench(t, b.repo, b.tx)
	foreign := other.record(t, usage.Row{Agent: a, Model: "gpt-4o", Usage: llm.Usage{Input: 10}})
	n, err := b.repo.Reprice(bg, b.sc, usage.Repriced{ID: unknown.ID, Cost: picos(3_500_000), Price: "own/unheard-of"},
		usage.Repriced{ID: known.ID}, usage.Repriced{ID: foreign.ID}, usage.Repriced{ID: id.New[id.UsageKind](b.ids)})
	if err != nil || n != 2 {
		t.Fatalf("%d, %v; want 2", n, err)
	}
	known.Cost, known.Price = nil, ""
	unknown.Cost, unknown.Price = picos(3_500_000), "own/unheard-of"
	if diff := cmp.Diff([]usage.Row{unknown, known}, b.list(t, usage.Filter{}), same); diff != "" {
		t.Error(diff)
	}
	got, err := b.Summary(bg, b.sc, usage.Filter{}, usage.GroupModel)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(sumUp([]usage.Row{known, unknown}, usage.Filter{}, usage.GroupModel), got); diff != "" {
		t.Error(diff)
	}
	if got.Total.Spent() != (usage.Total{Micros: 3, Picos: 500_007}) {
		t.Errorf("spent %+v", got.Total.Spent())
	}
	if diff := cmp.Diff([]usage.Row{foreign}, other.list(t, usage.Filter{}), same); diff != "" {
		t.Error(diff)
	}
}
