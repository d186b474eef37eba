package bunstore

import (
	"testing"

	"github.com/bureau-agents/bureau/core/session/sessiontest"
)

func sessionStore(s *Store) sessiontest.Store {
	return sessiontest.Store{
		TX: s, Sessions: s.Sessions(), Log: s.Sessions(), Uses: s.ToolUses(), Turns: s.SessionTurns(), Leases: s.SessionTurns(), Spendings: s.Spendings(),
		Threads: s.Threads(), Outcomes: s.Outcomes(),
	}
}

func TestSessions(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, s *Store) {
		sessiontest.Run(t, sessiontest.Config{New: func(*testing.T) sessiontest.Store { return sessionStore(s) }})
	})
}
