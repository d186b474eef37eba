package bunstore

import (
	"testing"

	"github.com/bureau-agents/bureau/core/eval/evaltest"
	"github.com/bureau-agents/bureau/ports/tx"
)

func TestEvals(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, s *Store) {
		evaltest.Run(t, evaltest.Config{New: func(*testing.T) (evaltest.Store, tx.Runner) { return s.Evals(), s }})
	})
}
