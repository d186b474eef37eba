package bunstore

import (
	"testing"

	"github.com/bureau-agents/bureau/core/integration/integrationtest"
)

func TestIntegrations(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, s *Store) {
		integrationtest.Run(t, integrationtest.Config{New: func(*testing.T) integrationtest.Stores {
			p, d := s.Publications(), s.Deliveries()
			return integrationtest.Stores{Installations: s.Installations(), Publications: p, Conversations: p, Deliveries: d, Outbox: d, TX: s}
		}})
	})
}
