package bunstore

import (
	"testing"

	"github.com/bureau-agents/bureau/core/a2a/a2atest"
)

func TestA2A(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, s *Store) {
		a2atest.Run(t, a2atest.Config{New: func(*testing.T) a2atest.Stores {
			return a2atest.Stores{TX: s, Peers: s.A2A(), Tasks: s.A2ATasks(), Messages: s.A2AMessages(), Outputs: s.A2AOutputs()}
		}})
	})
}
