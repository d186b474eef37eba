package bunstore

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/uptrace/bun"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/usage"
	"github.com/bureau-agents/bureau/ports/clock"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/llm"
	"github.com/bureau-agents/bureau/ports/money"
)

// BenchmarkUsageInsert stores rows from eight callers at once: rows alone, as a baseline, and rows with their days, which one agent's
// callers share and those of many agents do not.
func BenchmarkUsageInsert(b *testing.B) {
	for _, c := range []struct {
		name   string
		agents int
		insert func(s *Store, ctx context.Context, sc account.Scope, u usage.Row) error
	}{
		{"rows", 1, func(s *Store, ctx context.Context, sc account.Scope, u usage.Row) error {
			return s.write(ctx, func(ctx context.Context, db bun.IDB) error {
				_, err := db.ExecContext(ctx, usageRowInto+usageRowTuple, append([]any{sc.Tenant}, usageValues(u)...)...)
				return err
			})
		}},
		{"one_agent", 1, insertUsage},
		{"many_agents", 64, insertUsage},
	} {
		b.Run(c.name, func(b *testing.B) {
			benchStores(b, func(b *testing.B, s *Store) {
				ids := id.NewGenerator(time.Now)
				sc := account.System(id.New[id.TenantKind](ids))
				agents := make([]id.Agent, c.agents)
				for i := range agents {
					agents[i] = id.New[id.AgentKind](ids)
				}
				cost := money.Pico(1_234_567_890)
				b.SetParallelism(4)
				b.ResetTimer()
				b.RunParallel(func(pb *testing.PB) {
					for i := 0; pb.Next(); i++ {
						err := c.insert(s, context.Background(), sc, usage.Row{
							ID: id.New[id.UsageKind](ids), Agent: agents[i%len(agents)], Model: "gpt-4o", Provider: "openai", Calls: 1, Cost: &cost,
							Usage: llm.Usage{Input: 1000, Output: 100}, Latency: time.Second, CreatedAt: time.Now(),
						})
						if err != nil {
							b.Error(err)
						}
					}
				})
			})
		})
	}
}

func insertUsage(s *Store, ctx context.Context, sc account.Scope, u usage.Row) error {
	_, err := s.Usage().Insert(ctx, sc, u)
	return err
}

// BenchmarkDashboard shows 30 days, and the 30 before, of a tenant with a million usage rows: 60 days of 50 agents with 4 models each.
func BenchmarkDashboard(b *testing.B) {
	const rows, days, agents, models = 1_000_000, 60, 50, 4
	benchStores(b, func(b *testing.B, s *Store) {
		ids := id.NewGenerator(time.Now)
		sc := account.System(id.New[id.TenantKind](ids))
		now := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
		all := make([]id.Agent, agents)
		for i := range all {
			all[i] = id.New[id.AgentKind](ids)
		}
		cost := money.Pico(1_234_567_890)
		batch := make([]usage.Row, 0, usageChunk)
		for i := range rows {
			batch = append(batch, usage.Row{
				ID: id.New[id.UsageKind](ids), Agent: all[i%agents], Model: fmt.Sprint("m", i/agents%models), Provider: "p", Calls: 1, Cost: &cost,
				Usage: llm.Usage{Input: 1000, Output: 100}, Latency: time.Second, CreatedAt: now.AddDate(0, 0, -(i / (rows / days) % days)),
			})
			if len(batch) == usageChunk || i == rows-1 {
				if _, err := s.Usage().Insert(context.Background(), sc, batch...); err != nil {
					b.Fatal(err)
				}
				batch = batch[:0]
			}
		}
		board, err := usage.NewBoard(usage.BoardDeps{
			Clock: clock.Func(func() time.Time { return now }), Repository: s.Usage(), Errors: s.ErrorEvents(), Opinions: s.Feedback(),
		})
		if err != nil {
			b.Fatal(err)
		}
		for _, by := range []usage.Grouping{usage.GroupAgent, usage.GroupModel, usage.GroupDay} {
			b.Run(string(by), func(b *testing.B) {
				for b.Loop() {
					d, err := board.Dashboard(context.Background(), sc, usage.DashboardRequest{By: by})
					if err != nil || len(d.Groups) == 0 {
						b.Fatal(d, err)
					}
				}
			})
		}
	})
}

// benchStores runs a benchmark on both databases.
func benchStores(b *testing.B, fn func(b *testing.B, s *Store)) {
	b.Helper()
	for _, db := range []string{"sqlite", "postgres"} {
		b.Run(db, func(b *testing.B) {
			cfg := Config{Path: sqlitePath(b)}
			if db == "postgres" {
				cfg = Config{URL: postgresURL(b)}
			}
			fn(b, openStore(b, cfg))
		})
	}
}
