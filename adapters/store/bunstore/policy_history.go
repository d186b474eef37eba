package bunstore

import (
	"context"
	"database/sql"
	"strings"
	"time"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/gate"
	"github.com/bureau-agents/bureau/core/policy"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/rule"
)

var _ gate.History = (*ActRepo)(nil)

// runOf is the session at the top, under which limits per run count an act; the index acts_moved_in_run has it.
const runOf = "COALESCE(run_id, session_id)"

// Consumed implements gate.History.
func (r *ActRepo) Consumed(
	ctx context.Context, sc account.Scope, s policy.Scope, m policy.Measure, k policy.Key,
) ([]policy.Counter, error) {
	// What is under way is read first: an act that ends between the two queries is counted twice rather than not at all.
	out, err := r.underway(ctx, sc, s, m, k)
	if err != nil {
		return nil, err
	}
	past := r.moved
	if m == policy.MeasureCost || m == policy.MeasureTokens {
		past = r.used
	}
	done, err := past(ctx, sc, s, m, k)
	return append(out, done...), err
}

// underway returns what acts that have begun have set aside in the counter of k, and as spent what payments do that had begun before the
// limit was there. Model calls of that kind are counted when they end.
func (r *ActRepo) underway(ctx context.Context, sc account.Scope, s policy.Scope, m policy.Measure, k policy.Key) ([]policy.Counter, error) {
	where, args := actsOf(sc, s, k)
	begun, err := queryAll(ctx, r.s.read(ctx), func(row scanner) (gate.Record, error) { return scanAct(sc.Tenant, row) },
		"SELECT "+actColumns+" FROM acts WHERE tenant_id = ? AND state = 'started'"+where+" ORDER BY id", append([]any{sc.Tenant}, args...)...)
	if err != nil {
		return nil, err
	}
	since := policy.WindowSince(k)
	var out []policy.Counter
	for _, rec := range begun {
		reserved := false
		for _, held := range rec.Reserved {
			same := held.Key
			if policy.Rolls(k.Window) {
				same.Start = k.Start
			}
			if same.Compare(k) == 0 {
				reserved = true
				out = append(out, policy.Counter{Key: held.Key, Reserved: held.Amount})
			}
		}
		pays := rec.Act.Action == rule.ActionPayment || rec.Act.Action == rule.ActionTransfer
		if reserved || !pays || rec.Decision.At.Before(since) {
			continue
		}
		c := policy.Counter{Key: k}
		if policy.Rolls(k.Window) {
			c.Key.Start, _ = policy.WindowStart(k.Window, rec.Decision.At)
		}
		switch {
		case m == policy.MeasureCount:
			c.Spent = 1
		case m == policy.MeasureAmount && rec.Act.Amount != nil && string(rec.Act.Amount.Currency) == k.Unit:
			c.Spent = rec.Act.Amount.Micros
		default:
			continue
		}
		out = append(out, c)
	}
	return out, nil
}

// actsOf narrows acts to those of a scope, and of the run of k.
func actsOf(sc account.Scope, s policy.Scope, k policy.Key) (where string, args []any) {
	switch {
	case !s.Agent.IsZero():
		where, args = " AND agent_id = ?", []any{s.Agent}
	case !s.Swarm.IsZero():
		where, args = " AND agent_id IN (SELECT id FROM agents WHERE tenant_id = ? AND swarm_id = ?)", []any{sc.Tenant, s.Swarm}
	case !s.Session.IsZero():
		where, args = " AND session_id IS NOT NULL AND "+runOf+" = ?", []any{s.Session}
	}
	if !k.Run.IsZero() {
		where += " AND session_id IS NOT NULL AND " + runOf + " = ?"
		args = append(args, k.Run)
	}
	return where, args
}

// bucketColumn numbers the bucket of a column of times; 0 where the window does not roll.
func (r *ActRepo) bucketColumn(column string, width time.Duration) string {
	switch {
	case width == 0:
		return "0"
	case r.s.postgres():
		return "CAST(floor(extract(epoch FROM " + column + ") / ?) AS bigint)"
	}
	return "CAST(strftime('%s', " + column + ") AS INTEGER) / ?"
}

// sums adds up amount over the rows of a table, by buckets of the window of k.
func (r *ActRepo) sums(
	ctx context.Context, k policy.Key, amount, column, from string, args ...any,
) ([]policy.Counter, error) {
	width := policy.BucketWidth(k.Window)
	q := "SELECT " + r.bucketColumn(column, width) + " AS bucket, CAST(SUM(" + amount + ") AS bigint) FROM " + from + " GROUP BY bucket"
	if width > 0 {
		args = append([]any{int64(width / time.Second)}, args...)
	}
	return queryAll(ctx, r.s.read(ctx), func(row scanner) (policy.Counter, error) {
		c := policy.Counter{Key: k}
		var bucket int64
		var sum sql.NullInt64
		err := row.Scan(&bucket, &sum)
		if width > 0 {
			c.Key.Start = time.Unix(bucket*int64(width/time.Second), 0).UTC()
		}
		c.Spent = sum.Int64
		return c, err
	}, q, args...)
}

// moved returns the payments and transfers that were done in the window of k. The state and the actions are those of the indexes
// acts_moved and acts_moved_in_run.
func (r *ActRepo) moved(ctx context.Context, sc account.Scope, s policy.Scope, m policy.Measure, k policy.Key) ([]policy.Counter, error) {
	where, args := actsOf(sc, s, k)
	amount := "amount"
	if m == policy.MeasureCount {
		amount = "1"
	} else {
		where += " AND currency = ?"
		args = append(args, k.Unit)
	}
	return r.sums(ctx, k, amount, "ended_at",
		"acts WHERE tenant_id = ? AND state = 'done' AND action IN ('payment', 'transfer') AND ended_at >= ?"+where,
		append([]any{sc.Tenant, at(policy.WindowSince(k))}, args...)...)
}

// used returns what the models consumed that the server itself called in the window of k, each call rounded up to a micro-unit as
// counters do.
func (r *ActRepo) used(ctx context.Context, sc account.Scope, s policy.Scope, m policy.Measure, k policy.Key) ([]policy.Counter, error) {
	where, args := []string{"tenant_id = ?", "session_id IS NOT NULL", "created_at >= ?"}, []any{sc.Tenant, at(policy.WindowSince(k))}
	switch {
	case !s.Agent.IsZero():
		where, args = append(where, "agent_id = ?"), append(args, s.Agent)
	case !s.Swarm.IsZero():
		where = append(where, "agent_id IN (SELECT id FROM agents WHERE tenant_id = ? AND swarm_id = ?)")
		args = append(args, sc.Tenant, s.Swarm)
	}
	for _, run := range []id.Session{s.Session, k.Run} {
		if !run.IsZero() {
			where = append(where, "session_id IN (SELECT id FROM session_threads WHERE root_id = ? UNION ALL SELECT id FROM sessions WHERE id = ?)")
			args = append(args, run, run)
		}
	}
	amount := "input + cache_read + cache_write_5m + cache_write_1h + output"
	if m == policy.MeasureCost {
		amount = "(COALESCE(cost, 0) + 999999) / 1000000"
	}
	return r.sums(ctx, k, amount, "created_at", "usage_rows WHERE "+strings.Join(where, " AND "), args...)
}

// Paid implements gate.History.
func (r *ActRepo) Paid(ctx context.Context, sc account.Scope, to string, scopes []policy.Scope) ([]bool, error) {
	var columns []string
	var args []any
	for _, s := range scopes {
		where, scopeArgs := actsOf(sc, s, policy.Key{})
		columns = append(columns, `EXISTS (SELECT 1 FROM acts WHERE tenant_id = ? AND payee_key = ? AND state = 'done'
			AND action IN ('payment', 'transfer')`+where+")")
		args = append(append(args, sc.Tenant, policy.PayeeKey(to)), scopeArgs...)
	}
	out := make([]bool, len(scopes))
	into := make([]any, len(scopes))
	for i := range out {
		into[i] = &out[i]
	}
	err := r.s.read(ctx).QueryRowContext(ctx, "SELECT "+strings.Join(columns, ", "), args...).Scan(into...)
	return out, mapErr(err)
}
