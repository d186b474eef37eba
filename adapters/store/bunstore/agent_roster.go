package bunstore

import (
	"context"
	"slices"
	"strings"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/telemetry"
	"github.com/bureau-agents/bureau/ports/id"
)

var _ telemetry.Roster = (*AgentRepo)(nil)

// Missing implements telemetry.Roster.
func (r *AgentRepo) Missing(ctx context.Context, sc account.Scope, agents []id.Agent) ([]id.Agent, error) {
	q := "SELECT id FROM agents WHERE tenant_id = ? AND destroyed_at IS NULL AND id "
	args := []any{sc.Tenant}
	if r.s.postgres() {
		q += "= ANY(CAST(? AS uuid[]))"
		args = append(args, uuidArray(agents))
	} else {
		// The number of places is a power of two, so that there are few statements; those left over ask for the first agent again.
		places := 1
		for places < len(agents) {
			places *= 2
		}
		for i := range places {
			if i >= len(agents) {
				i = 0
			}
			args = append(args, agents[i])
		}
		q += "IN (?" + strings.Repeat(", ?", places-1) + ")"
	}
	there := make(map[id.Agent]struct{}, len(agents))
	err := eachRow(ctx, r.s.read(ctx), func(row scanner) error {
		var a id.Agent
		err := row.Scan(&a)
		there[a] = struct{}{}
		return err
	}, q, args...)
	if err != nil || len(there) == len(agents) {
		return nil, err
	}
	return slices.DeleteFunc(slices.Clone(agents), func(a id.Agent) bool {
		_, ok := there[a]
		return ok
	}), nil
}

// uuidArray is how Postgres spells an array of ids.
func uuidArray[K id.Kind](ids []id.ID[K]) string {
	var b strings.Builder
	b.Grow(2 + 37*len(ids))
	b.WriteByte('{')
	for i, v := range ids {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(v.UUID().String())
	}
	b.WriteByte('}')
	return b.String()
}

// Named implements telemetry.Roster.
func (r *AgentRepo) Named(ctx context.Context, sc account.Scope, name string) ([]id.Agent, error) {
	return queryAll(ctx, r.s.read(ctx), func(row scanner) (a id.Agent, err error) { return a, row.Scan(&a) },
		"SELECT id FROM agents WHERE tenant_id = ? AND name_key = ? AND destroyed_at IS NULL ORDER BY id", sc.Tenant, nameKey(name))
}
