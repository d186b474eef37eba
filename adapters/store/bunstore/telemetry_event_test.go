package bunstore

import (
	"testing"

	"github.com/bureau-agents/bureau/core/telemetry"
	"github.com/bureau-agents/bureau/core/telemetry/telemetrytest"
	"github.com/bureau-agents/bureau/ports/tx"
)

func TestEvents(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, s *Store) {
		repo := s.Events()
		telemetrytest.RunEvents(t, telemetrytest.EventsConfig{New: func(*testing.T) (telemetry.EventRepository, tx.Runner) { return repo, s }})
	})
}
