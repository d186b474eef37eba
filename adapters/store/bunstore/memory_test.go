package bunstore

import (
	"testing"

	"github.com/bureau-agents/bureau/core/memory/memorytest"
	"github.com/bureau-agents/bureau/ports/tx"
)

func TestMemory(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, s *Store) {
		memorytest.Run(t, memorytest.Config{New: func(*testing.T) (memorytest.Store, tx.Runner) { return s.Memory(), s }})
	})
}
