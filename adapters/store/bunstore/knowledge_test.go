package bunstore

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/agent"
	"github.com/bureau-agents/bureau/core/knowledge"
	"github.com/bureau-agents/bureau/core/knowledge/knowledgetest"
	"github.com/bureau-agents/bureau/ports/clock"
	"github.com/bureau-agents/bureau/ports/embedding"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/tx"
)

func TestKnowledge(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, s *Store) {
		knowledgetest.Run(t, knowledgetest.Config{New: func(*testing.T) (knowledgetest.Store, tx.Runner) { return s.Knowledge(), s }})
	})
}

// TestSlabsAreDropped checks that what does not fit in memory is read again when it is used again.
func TestSlabsAreDropped(t *testing.T) {
	t.Parallel()
	s := openSQLiteStore(t)
	small := func(*testing.T) (knowledgetest.Store, tx.Runner) {
		r := s.Knowledge()
		r.slabs.limit = 1
		return r, s
	}
	knowledgetest.Run(t, knowledgetest.Config{New: small})
	r := s.Knowledge()
	r.slabs.limit = 10 * slabOverhead
	sc := account.System(id.New[id.TenantKind](ids))
	for range 50 {
		space := knowledge.Space{Agent: id.New[id.AgentKind](ids)}
		if _, err := r.slabs.view(t.Context(), r, sc, space, "e"); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(r.slabs.slabs); n != 10 || r.slabs.total != r.slabs.limit {
		t.Errorf("%d slabs of %d floats; want 10 of %d", n, r.slabs.total, r.slabs.limit)
	}
}

type anyAgent struct{}

func (anyAgent) Get(_ context.Context, sc account.Scope, a id.Agent) (agent.Agent, error) {
	return agent.Agent{ID: a, Tenant: sc.Tenant, Standing: agent.Active}, nil
}

func knowledgeService(tb testing.TB, r *KnowledgeRepo, s *Store, e embedding.Embedder) *knowledge.Service {
	tb.Helper()
	svc, err := knowledge.NewService(knowledge.Deps{
		TX: s, Clock: clock.Func(time.Now), IDs: ids, Logger: slog.New(slog.DiscardHandler), Ingestion: r, Repository: r, Reembedding: r,
		Embedder: e, Agents: anyAgent{}, Swarms: knowledge.NoSwarms{},
	}, knowledge.Config{})
	if err != nil {
		tb.Fatal(err)
	}
	return svc
}
