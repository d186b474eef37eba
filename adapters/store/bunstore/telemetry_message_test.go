package bunstore

import (
	"testing"

	"github.com/bureau-agents/bureau/core/telemetry"
	"github.com/bureau-agents/bureau/core/telemetry/telemetrytest"
	"github.com/bureau-agents/bureau/ports/tx"
)

func TestAgentMessages(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, s *Store) {
		telemetrytest.RunMessages(t, telemetrytest.MessagesConfig{
			New: func(*testing.T) (telemetry.MessageRepository, tx.Runner) { return s.AgentMessages(), s },
		})
	})
}

func TestFeedback(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, s *Store) {
		telemetrytest.RunFeedback(t, telemetrytest.FeedbackConfig{
			New: func(*testing.T) (telemetry.FeedbackRepository, tx.Runner) { return s.Feedback(), s },
		})
	})
}
