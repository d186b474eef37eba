package bunstore

import (
	"testing"
	"time"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/file/filetest"
	"github.com/bureau-agents/bureau/core/session"
	"github.com/bureau-agents/bureau/ports/clock"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/tx"
)

func TestFiles(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, s *Store) {
		filetest.Run(t, filetest.Config{
			New: func(*testing.T) (filetest.Store, tx.Runner) { return s.Files(), s },
			Session: func(t *testing.T, _ filetest.Store, sc account.Scope) (id.Session, func(), func()) {
				t.Helper()
				now := clock.Stored(time.Now())
				v := session.Session{
					ID: id.New[id.SessionKind](ids), Tenant: sc.Tenant, Agent: id.New[id.AgentKind](ids), AgentVersion: 1,
					Active: session.StatusIdle, CreatedAt: now, UpdatedAt: now,
				}
				if err := s.Sessions().Create(t.Context(), sc, v); err != nil {
					t.Fatal(err)
				}
				remove := func() {
					if err := s.Sessions().Delete(t.Context(), sc, v.ID, now); err != nil {
						t.Fatal(err)
					}
				}
				destroy := func() {
					if _, err := s.Sessions().Destroy(t.Context(), sc, v.Agent); err != nil {
						t.Fatal(err)
					}
				}
				return v.ID, remove, destroy
			},
		})
	})
}
