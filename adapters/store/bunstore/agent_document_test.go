package bunstore

import (
	"testing"

	"github.com/bureau-agents/bureau/core/agent"
	"github.com/bureau-agents/bureau/core/agent/agenttest"
	"github.com/bureau-agents/bureau/ports/tx"
)

func TestDocuments(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, s *Store) {
		agenttest.RunDocuments(t, agenttest.DocumentConfig{
			New: func(*testing.T) (agenttest.Store, agent.DocumentRepository, tx.Runner) {
				return s.Agents(), s.Documents(), s
			},
		})
	})
}
