package bunstore

import (
	"context"
	"testing"
	"time"

	"github.com/uptrace/bun"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/skill/skilltest"
	"github.com/bureau-agents/bureau/ports/id"
)

func TestSkillQuarantine(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, s *Store) {
		skilltest.RunQuarantine(t, func(*testing.T) skilltest.QuarantineStore {
			return skilltest.QuarantineStore{
				MarketStore: skilltest.MarketStore{
					Plugins: s.Skills(), Releases: s.Skills(), Guides: s.Guides(), Submissions: s.Submissions(), Contents: s.Submissions(),
					Listings: s.Submissions(), Installations: s.SkillInstallations(), TX: s,
				},
				Holds: s.Quarantine(), Traces: s.Quarantine(), Acceptor: s.Guides(),
				Pay: func(t *testing.T, sc account.Scope, agent id.Agent, session id.Session, when time.Time) {
					t.Helper()
					act := id.New[id.ActKind](id.NewGenerator(time.Now))
					err := s.write(t.Context(), func(ctx context.Context, db bun.IDB) error {
						_, err := db.ExecContext(ctx, `INSERT INTO acts (tenant_id, id, act_key, args_hash, action, agent_id, session_id, amount, currency, tokens,
						payee, payee_key, category, description, tool, idempotent, state, decision, error, created_at, ended_at)
						VALUES (?, ?, ?, '', 'payment', ?, ?, 1500000, 'USDC', 0, 'shop.example', 'shop.example', '', '', '', FALSE, 'done', '{}', '', ?, ?)`,
							sc.Tenant, act, act.String(), agent, session, at(when), at(when))
						return err
					})
					if err != nil {
						t.Fatal(err)
					}
				},
			}
		})
	})
}
