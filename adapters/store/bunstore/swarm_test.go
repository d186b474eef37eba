package bunstore

import (
	"testing"

	"github.com/bureau-agents/bureau/core/gate/gatetest"
	"github.com/bureau-agents/bureau/core/swarm/swarmtest"
)

func TestSwarms(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, s *Store) {
		swarmtest.Run(t, swarmtest.Config{New: func(*testing.T) (gatetest.Store, swarmtest.Swarms) { return gateStore(s), s.Swarms() }})
	})
}
