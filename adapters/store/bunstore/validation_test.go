package bunstore

import (
	"testing"

	"github.com/bureau-agents/bureau/core/validation/validationtest"
)

func TestValidations(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, s *Store) {
		validationtest.Run(t, validationtest.Config{New: func(*testing.T) validationtest.Stores {
			return validationtest.Stores{Allowances: s.Validations(), Reports: s.CardReports(), Cards: s.AgentCards(), TX: s}
		}})
	})
}
