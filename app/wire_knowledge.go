package app

import (
	"time"

	"go.uber.org/fx"

	"github.com/bureau-agents/bureau/adapters/store/bunstore"
	"github.com/bureau-agents/bureau/core/agent"
	"github.com/bureau-agents/bureau/core/knowledge"
	"github.com/bureau-agents/bureau/ports/embedding"
)

func knowledgeModule() fx.Option {
	return fx.Module("knowledge", fx.Provide((*bunstore.Store).Knowledge, provideKnowledge))
}

func provideKnowledge(
	b base, s *bunstore.Store, store *bunstore.KnowledgeRepo, e embedding.Embedder, agents *agent.Service,
) (*knowledge.Service, error) {
	return knowledge.NewService(knowledge.Deps{
		TX: b.TX, Clock: b.Clock, IDs: b.IDs, Logger: b.Logger, Ingestion: store, Repository: store, Reembedding: store, Embedder: e, Agents: agents,
		Swarms: swarmCheck{s.Swarms()},
	}, knowledge.Config{})
}

// knowledgeUpkeep is what is done for knowledge in the background.
func knowledgeUpkeep(s *knowledge.Service, store *bunstore.KnowledgeRepo) []chore {
	return []chore{
		{"reembed_knowledge", 5 * time.Second, s.Reembed},
		{"sweep_knowledge", 10 * time.Minute, store.Sweep},
		{"index_knowledge", time.Minute, store.Index},
	}
}
