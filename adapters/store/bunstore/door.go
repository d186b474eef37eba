package bunstore

import (
	"context"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/ports/id"
)

// The door to a standing. Postgres lets further transactions share a row's lock while somebody waits to change the row, so
// under a steady stream of acts a freeze would wait for ever. Advisory locks queue in order of arrival: whoever shares a
// standing passes the door first, whoever changes it closes the door and waits for those inside only.

// passDoor is a condition that passes the door before the rows of a SELECT are looked at: it depends on no row, so it is
// evaluated once, beneath the row locks. On SQLite it is true.
func (s *Store) passDoor(name string) (cond string, args []any) {
	if !s.postgres() {
		return "TRUE", nil
	}
	return "(SELECT pg_advisory_xact_lock_shared(hashtextextended(?, 0))) IS NOT NULL", []any{name}
}

// closeDoor waits for those who passed the door, and keeps others out until the transaction in ctx ends.
func (s *Store) closeDoor(ctx context.Context, name string) error { return s.lock(ctx, name) }

func agentDoor(a id.Agent) string { return "standing:" + a.UUID().String() }

func tenantDoor(sc account.Scope) string { return "standing:" + sc.Tenant.UUID().String() }
