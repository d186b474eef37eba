package bunstore

import (
	"testing"
	"time"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/sandbox"
	"github.com/bureau-agents/bureau/core/sandbox/sandboxtest"
	"github.com/bureau-agents/bureau/core/session"
	"github.com/bureau-agents/bureau/ports/clock"
	"github.com/bureau-agents/bureau/ports/id"
)

func TestSandboxes(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, s *Store) {
		sandboxtest.Run(t, sandboxtest.Config{
			New: func(*testing.T) sandbox.Repository { return s.Sandboxes() },
			Session: func(t *testing.T, sc account.Scope) (id.Session, func(bool)) {
				t.Helper()
				now := clock.Stored(time.Now())
				v := session.Session{
					ID: id.New[id.SessionKind](ids), Tenant: sc.Tenant, Agent: id.New[id.AgentKind](ids), AgentVersion: 1,
					Active: session.StatusIdle, CreatedAt: now, UpdatedAt: now,
				}
				if err := s.Sessions().Create(t.Context(), sc, v); err != nil {
					t.Fatal(err)
				}
				return v.ID, func(archive bool) {
					var err error
					if archive {
						_, err = s.Sessions().Update(t.Context(), sc, v.ID, func(v *session.Session) error { v.ArchivedAt = &now; return nil })
					} else {
						err = s.Sessions().Delete(t.Context(), sc, v.ID, now)
					}
					if err != nil {
						t.Fatal(err)
					}
				}
			},
		})
	})
}
