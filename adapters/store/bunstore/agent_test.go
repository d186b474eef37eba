package bunstore

import (
	"context"
	"sync"
	"testing"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/agent"
	"github.com/bureau-agents/bureau/core/agent/agenttest"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/tx"
)

func TestAgents(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, s *Store) {
		agenttest.Run(t, agenttest.Config{New: func(*testing.T) (agenttest.Store, tx.Runner) { return s.Agents(), s }})
		agenttest.RunProfiles(t, func(*testing.T) (agenttest.ProfileStore, tx.Runner) { return s.Agents(), s })
	})
}

// BenchmarkAgents is the reading of one agent, and the creating of agents by 32 callers.
func BenchmarkAgents(b *testing.B) {
	s := openSQLiteStore(b)
	r := s.Agents()
	sc := account.System(id.New[id.TenantKind](ids))
	ctx := context.Background()
	a := agenttest.Full(sc)
	if err := r.Insert(ctx, sc, a); err != nil {
		b.Fatal(err)
	}
	b.Run("get", func(b *testing.B) {
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				if _, err := r.Get(ctx, sc, a.ID); err != nil {
					b.Error(err)
				}
			}
		})
		b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "reads/s")
	})
	b.Run("create", func(b *testing.B) {
		work := make(chan agent.Agent)
		var wg sync.WaitGroup
		for range 32 {
			wg.Go(func() {
				for a := range work {
					if err := s.Do(ctx, func(ctx context.Context) error { return r.Insert(ctx, sc, a) }); err != nil {
						b.Error(err)
					}
				}
			})
		}
		for b.Loop() {
			next := a
			next.ID = id.New[id.AgentKind](ids)
			work <- next
		}
		close(work)
		wg.Wait()
		b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "creates/s")
	})
}
