package bunstore

import (
	"testing"
	"time"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/environment/environmenttest"
	"github.com/bureau-agents/bureau/core/session"
	"github.com/bureau-agents/bureau/ports/clock"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/tx"
)

func TestEnvironments(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, s *Store) {
		environmenttest.Run(t, environmenttest.Config{
			New: func(*testing.T) (environmenttest.Store, tx.Runner) { return s.Environments(), s },
			Session: func(t *testing.T, _ environmenttest.Store, sc account.Scope, of id.Environment) func(bool) {
				t.Helper()
				now := clock.Stored(time.Now())
				v := session.Session{
					ID: id.New[id.SessionKind](ids), Tenant: sc.Tenant, Agent: id.New[id.AgentKind](ids), AgentVersion: 1, Environment: of,
					Active: session.StatusIdle, CreatedAt: now, UpdatedAt: now,
				}
				if err := s.Sessions().Create(t.Context(), sc, v); err != nil {
					t.Fatal(err)
				}
				return func(archive bool) {
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
