package bunstore

import (
	"context"
	"time"

	"github.com/uptrace/bun"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/agent"
	"github.com/bureau-agents/bureau/ports/id"
)

// standingDestroyed is the standing of a row that only keeps an agent's id.
const standingDestroyed = "destroyed"

// Destroy implements agent.Graves.
func (r *AgentRepo) Destroy(ctx context.Context, sc account.Scope, agentID id.Agent, when time.Time) (agent.Agent, error) {
	var out agent.Agent
	err := r.s.write(ctx, func(ctx context.Context, db bun.IDB) error {
		if err := r.s.closeDoor(ctx, agentDoor(agentID)); err != nil {
			return err
		}
		a, err := scanAgent(sc.Tenant, db.QueryRowContext(ctx, agentByID+r.s.forUpdate(), sc.Tenant, agentID))
		if err != nil {
			return agentErr(err, agentID)
		}
		out = a
		if _, err := db.ExecContext(ctx, `UPDATE agents SET name = '', name_key = '', standing = ?, swarm_id = NULL, swarm_frozen = FALSE, metadata = '{}',
			config = '{}', archived_at = ?, destroyed_at = ? WHERE tenant_id = ? AND id = ?`,
			standingDestroyed, at(when), at(when), sc.Tenant, agentID); err != nil {
			return mapErr(err)
		}
		_, err = db.ExecContext(ctx, "DELETE FROM agent_versions WHERE tenant_id = ? AND agent_id = ?", sc.Tenant, agentID)
		return mapErr(err)
	})
	return out, err
}

// Unswept implements agent.Graves.
func (r *AgentRepo) Unswept(ctx context.Context, before time.Time, limit int) ([]agent.Ref, error) {
	return queryAll(ctx, r.s.read(ctx), func(row scanner) (ref agent.Ref, err error) { return ref, row.Scan(&ref.Tenant, &ref.Agent) },
		"SELECT tenant_id, id FROM agents WHERE destroyed_at < ? AND swept_at IS NULL ORDER BY destroyed_at LIMIT ?", at(before), limit)
}

// Swept implements agent.Graves.
func (r *AgentRepo) Swept(ctx context.Context, sc account.Scope, agentID id.Agent, when time.Time) error {
	return r.s.write(ctx, func(ctx context.Context, db bun.IDB) error {
		_, err := db.ExecContext(ctx, "UPDATE agents SET swept_at = ? WHERE tenant_id = ? AND id = ? AND destroyed_at IS NOT NULL",
			at(when), sc.Tenant, agentID)
		return mapErr(err)
	})
}
