package bunstore

import (
	"testing"

	"github.com/bureau-agents/bureau/core/policy/policytest"
)

func TestPolicies(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, s *Store) {
		policytest.Run(t, policytest.Config{New: func(*testing.T) policytest.Store {
			return policytest.Store{TX: s, Policies: s.Policies(), Archive: s.Policies(), Counters: s.Counters(), Approvals: s.Approvals()}
		}})
	})
}
