package bunstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/gate"
	"github.com/bureau-agents/bureau/core/policy"
	"github.com/bureau-agents/bureau/ports/fault"
	"github.com/bureau-agents/bureau/ports/id"
)

// Doors returns what locks standings and reads policies in one round trip, or nil on SQLite, where there are none.
func (s *Store) Doors() gate.Doors {
	if !s.postgres() {
		return nil
	}
	return doors{s}
}

type doors struct{ s *Store }

// The statements of Enter. Each is run only after the one before, with a snapshot of its own, so that policies are read as they are once
// the standings are locked.
const (
	enterTenantSQL = `SELECT standing FROM tenants WHERE id = $1::uuid
		AND (SELECT pg_advisory_xact_lock_shared(hashtextextended($2::text, 0))) IS NOT NULL FOR SHARE`
	enterAgentSQL = "SELECT " + standingColumns + ` FROM agents WHERE tenant_id = $1::uuid AND id = $2::uuid AND destroyed_at IS NULL
		AND (SELECT pg_advisory_xact_lock_shared(hashtextextended($3::text, 0))) IS NOT NULL FOR SHARE`
	enterPoliciesSQL = "SELECT " + policyColumns + ` FROM policies WHERE tenant_id = $1::uuid AND scope_key = ANY (ARRAY[$2::text, $3, $4,
		(SELECT '` + scopeSwarm + `' || CAST(swarm_id AS text) FROM agents WHERE tenant_id = $1::uuid AND id = $5::uuid)]) ORDER BY id`
	enterTimeSQL = "SELECT clock_timestamp()"
)

// Enter implements gate.Doors.
func (d doors) Enter(ctx context.Context, sc account.Scope, agents []id.Agent, w policy.Whom) (out gate.Entered, err error) {
	st := d.s.current(ctx)
	if st == nil || st.conn == nil {
		return gate.Entered{}, errors.New("bunstore: doors are entered inside a transaction")
	}
	tenant := sc.Tenant.UUID().String()
	session := ""
	if !w.Session.IsZero() {
		session = scopeKey(policy.Scope{Session: w.Session})
	}
	var b pgx.Batch
	b.Queue(enterTenantSQL, tenant, tenantDoor(sc))
	for _, a := range agents {
		b.Queue(enterAgentSQL, tenant, a.UUID().String(), agentDoor(a))
	}
	b.Queue(enterPoliciesSQL, tenant, scopeTenant, scopeKey(policy.Scope{Agent: w.Agent}), session, w.Agent.UUID().String())
	b.Queue(enterTimeSQL)
	err = st.conn.Raw(func(dc any) error {
		c, ok := dc.(*stdlib.Conn)
		if !ok {
			return fmt.Errorf("bunstore: connections of type %T cannot do several statements at once", dc)
		}
		for _, q := range []string{enterTenantSQL, enterAgentSQL, enterPoliciesSQL, enterTimeSQL} {
			if _, err := c.Conn().Prepare(ctx, q, q); err != nil { // a round trip only the first time
				return err
			}
		}
		results := c.Conn().SendBatch(ctx, &b)
		out, err = d.entered(results, sc, agents)
		if closed := results.Close(); err == nil {
			err = closed
		}
		return err
	})
	if _, known := fault.As(err); known {
		return gate.Entered{}, err
	}
	if err != nil {
		return gate.Entered{}, mapErr(err)
	}
	byScope(out.Policies)
	return out, nil
}

// entered reads what the statements found.
func (d doors) entered(results pgx.BatchResults, sc account.Scope, agents []id.Agent) (out gate.Entered, err error) {
	var standing string
	if err := results.QueryRow().Scan(&standing); errors.Is(err, sql.ErrNoRows) {
		return out, id.NotFound[id.TenantKind](sc.Tenant.String())
	} else if err != nil {
		return out, err
	}
	out.Tenant = account.Standing(standing)
	for _, a := range agents {
		info, err := scanStanding(results.QueryRow())
		if err != nil {
			return out, agentErr(err, a)
		}
		out.Agents = append(out.Agents, info)
	}
	rows, err := results.Query()
	if err != nil {
		return out, err
	}
	defer rows.Close()
	for rows.Next() {
		p, err := scanPolicy(sc.Tenant, rows)
		if err != nil {
			return out, err
		}
		out.Policies = append(out.Policies, p)
	}
	if err := rows.Err(); err != nil {
		return out, err
	}
	var now stamp
	err = results.QueryRow().Scan(&now)
	out.At = now.Time()
	return out, err
}
