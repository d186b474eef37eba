package bunstore

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/policy"
)

var _ policy.Charger = (*CounterRepo)(nil)

// chargeSQL locks counters in the order of policy.Key.Compare, and changes them if all of them are there and none would pass its cap. Whoever
// waited for a row finds it here as it is by then. Sums are numeric: no cap lets an overflow pass, and none is an error.
const chargeSQL = `WITH want AS (
		SELECT CAST(policy_id AS uuid) AS policy_id, name, span, span_start, unit, amount, most
		FROM unnest($2::text[], $3::text[], $4::text[], $5::timestamptz[], $6::text[], $7::bigint[], $8::bigint[])
			AS v (policy_id, name, span, span_start, unit, amount, most)
	), l AS MATERIALIZED (
		SELECT c.policy_id, c.name, c.span, c.span_start, c.unit, c.spent, c.reserved, want.amount, want.most
		FROM policy_counters AS c JOIN want ON c.policy_id = want.policy_id AND c.name = want.name AND c.span = want.span
			AND c.span_start = want.span_start AND c.unit = want.unit
		WHERE c.tenant_id = $1
		ORDER BY c.policy_id, c.name COLLATE "C", c.span COLLATE "C", c.span_start, c.unit COLLATE "C" FOR UPDATE OF c
	), fits AS MATERIALIZED (
		SELECT count(*) = cardinality($2::text[]) AND bool_and(spent::numeric + reserved + amount <= most) AS fit FROM l
	), u AS (
		UPDATE policy_counters AS c SET spent = c.spent + CASE WHEN $9::boolean THEN l.amount ELSE 0 END,
			reserved = c.reserved + CASE WHEN $9::boolean THEN 0 ELSE l.amount END, touched_at = $10::timestamptz
		FROM l, fits
		WHERE fits.fit AND c.tenant_id = $1 AND c.policy_id = l.policy_id AND c.name = l.name AND c.span = l.span
			AND c.span_start = l.span_start AND c.unit = l.unit
		RETURNING 1
	)
	SELECT policy_id, name, span, span_start, unit, spent, reserved, (SELECT count(*) FROM u) FROM l`

// Charge implements policy.Charger. On SQLite, where nobody waits for an answer, it is Lock.
func (r *CounterRepo) Charge(
	ctx context.Context, sc account.Scope, demands []policy.Demand, settled bool,
) (counters []policy.Counter, charged bool, err error) {
	n := len(demands)
	keys := make([]policy.Key, n)
	for i := range demands {
		keys[i] = demands[i].Key
	}
	st := r.s.current(ctx)
	if !r.s.postgres() || st == nil {
		counters, err = r.Lock(ctx, sc, keys)
		return counters, false, err
	}
	policies, names, spans, units := make([]string, n), make([]string, n), make([]string, n), make([]string, n)
	starts, amounts, most := make([]time.Time, n), make([]int64, n), make([]int64, n)
	for i, row := range rowsOf(keys) {
		policies[i], names[i], spans[i], units[i] = row.policy.UUID().String(), row.name, row.span, row.unit
		starts[i], amounts[i], most[i] = time.UnixMicro(row.start).UTC(), demands[i].Amount, demands[i].Max
	}
	rows, err := st.tx.Tx.QueryContext(ctx, chargeSQL, pgx.QueryExecModeCacheStatement,
		sc.Tenant, policies, names, spans, starts, units, amounts, most, settled, time.Now())
	if err != nil {
		return nil, false, mapErr(err)
	}
	defer rows.Close()
	found := make(map[counterRow]counterState, n)
	changed := 0
	for rows.Next() {
		var row counterRow
		var state counterState
		var start stamp
		err := rows.Scan(&row.policy, &row.name, &row.span, &start, &row.unit, &state.spent, &state.reserved, &changed)
		if err != nil {
			return nil, false, mapErr(err)
		}
		row.start = start.Time().UnixMicro()
		found[row] = state
	}
	if err := rows.Err(); err != nil {
		return nil, false, mapErr(err)
	}
	if len(found) < n { // the first of a window
		counters, err = r.Lock(ctx, sc, keys)
		return counters, false, err
	}
	return countersOf(keys, found), changed == n, nil
}
