package bunstore

import (
	"context"
	"database/sql"
	"errors"

	"github.com/bureau-agents/bureau/core/a2a"
	"github.com/bureau-agents/bureau/ports/id"
)

var _ a2a.CardOwners = (*AgentRepo)(nil)

// AgentOwner implements a2a.CardOwners.
func (r *AgentRepo) AgentOwner(ctx context.Context, of id.Agent) (id.Tenant, error) {
	var tenant id.Tenant
	err := r.s.read(ctx).QueryRowContext(ctx, "SELECT tenant_id FROM agents WHERE id = ? AND standing <> ?", of, standingDestroyed).Scan(&tenant)
	if errors.Is(err, sql.ErrNoRows) {
		return id.Tenant{}, id.NotFound[id.AgentKind](of.String())
	}
	return tenant, mapErr(err)
}
