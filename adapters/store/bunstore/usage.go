package bunstore

import (
	"context"
	"database/sql"
	"strings"
	"time"

	"github.com/uptrace/bun"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/usage"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/money"
	"github.com/bureau-agents/bureau/ports/page"
)

// UsageRepo keeps usage rows. It implements usage.Repository.
type UsageRepo struct{ s *Store }

var _ usage.Repository = (*UsageRepo)(nil)

// Usage returns the repository of usage rows.
func (s *Store) Usage() *UsageRepo { return &UsageRepo{s} }

// pico is how a cost that may be unknown is stored.
func pico(p *money.Pico) sql.NullInt64 {
	if p == nil {
		return sql.NullInt64{}
	}
	return sql.NullInt64{Int64: int64(*p), Valid: true}
}

func picoOf(n sql.NullInt64) *money.Pico {
	if !n.Valid {
		return nil
	}
	p := money.Pico(n.Int64)
	return &p
}

// Insert implements usage.Repository.
func (r *UsageRepo) Insert(ctx context.Context, sc account.Scope, u usage.Row) error {
	return r.s.write(ctx, func(ctx context.Context, db bun.IDB) error {
		_, err := db.ExecContext(ctx, `INSERT INTO usage_rows (tenant_id, id, agent_id, session_id, turn_id, provider, model, input, cache_read,
			cache_write_5m, cache_write_1h, output, reasoning, counted_input, calls, cost, reported_cost, price_ref, latency, created_at,
			act_id) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
			sc.Tenant, u.ID, u.Agent, u.Session, u.Turn, u.Provider, u.Model, u.Usage.Input, u.Usage.CacheRead, u.Usage.CacheWrite5m,
			u.Usage.CacheWrite1h, u.Usage.Output, u.Usage.Reasoning, u.CountedInput, u.Calls, pico(u.Cost), pico(u.Reported),
			string(u.Price), u.Latency.Microseconds(), at(u.CreatedAt), u.Act)
		return mapErr(err)
	})
}

// usageWhere returns the condition for a filter, beginning with the tenant.
func usageWhere(sc account.Scope, f usage.Filter) (string, []any) {
	where, args := []string{"tenant_id = ?"}, []any{sc.Tenant}
	add := func(cond string, arg any) {
		where = append(where, cond)
		args = append(args, arg)
	}
	if !f.Agent.IsZero() {
		add("agent_id = ?", f.Agent)
	}
	if !f.Session.IsZero() {
		add("session_id = ?", f.Session)
	}
	if f.Model != "" {
		add("model = ?", f.Model)
	}
	if f.Provider != "" {
		add("provider = ?", f.Provider)
	}
	if !f.Since.IsZero() {
		add("created_at >= ?", at(f.Since))
	}
	if !f.Until.IsZero() {
		add("created_at < ?", at(f.Until))
	}
	return strings.Join(where, " AND "), args
}

// List implements usage.Repository.
func (r *UsageRepo) List(
	ctx context.Context, sc account.Scope, f usage.Filter, req page.Request,
) (page.Page[usage.Row], error) {
	where, args := usageWhere(sc, f)
	if req.Cursor != "" {
		created, before, err := decodeTimeIDCursor[id.UsageKind](req.Cursor)
		if err != nil {
			return page.Page[usage.Row]{}, err
		}
		where += " AND (created_at, id) < (?, ?)"
		args = append(args, created, before)
	}
	var found []usage.Row
	err := eachRow(ctx, r.s.read(ctx), func(row scanner) error {
		u := usage.Row{Tenant: sc.Tenant}
		var cost, reported sql.NullInt64
		var latency int64
		var created stamp
		err := row.Scan(&u.ID, &u.Agent, &u.Session, &u.Turn, &u.Provider, &u.Model, &u.Usage.Input, &u.Usage.CacheRead,
			&u.Usage.CacheWrite5m, &u.Usage.CacheWrite1h, &u.Usage.Output, &u.Usage.Reasoning, &u.CountedInput, &u.Calls, &cost, &reported,
			&u.Price, &latency, &created, &u.Act)
		u.Cost, u.Reported = picoOf(cost), picoOf(reported)
		u.Latency, u.CreatedAt = time.Duration(latency)*time.Microsecond, created.Time()
		found = append(found, u)
		return err
	}, `SELECT id, agent_id, session_id, turn_id, provider, model, input, cache_read, cache_write_5m, cache_write_1h, output, reasoning,
		counted_input, calls, cost, reported_cost, price_ref, latency, created_at, act_id FROM usage_rows WHERE `+where+
		" ORDER BY created_at DESC, id DESC LIMIT ?", append(args, req.Size()+1)...)
	if err != nil {
		return page.Page[usage.Row]{}, err
	}
	return pageOf(found, req.Size(), func(u usage.Row) (usage.Row, error) { return u, nil },
		func(u usage.Row) []string { return []string{at(u.CreatedAt).String(), u.ID.String()} })
}

// Summarize implements usage.Repository. Costs are summed in two parts, since a sum may leave the range that each of
// them is in.
func (r *UsageRepo) Summarize(
	ctx context.Context, sc account.Scope, f usage.Filter, by usage.Grouping,
) (usage.Summary, error) {
	key := map[usage.Grouping]string{
		usage.GroupNone: "''", usage.GroupAgent: "CAST(agent_id AS TEXT)", usage.GroupModel: "model", usage.GroupProvider: "provider",
		usage.GroupDay: "SUBSTR(created_at, 1, 10)",
	}[by]
	if by == usage.GroupDay && r.s.postgres() {
		key = "TO_CHAR(created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD')"
	}
	where, args := usageWhere(sc, f)
	sums := ""
	for _, column := range []string{
		"calls", "counted_input", "output", "cache_read", "cache_write_5m + cache_write_1h", "cost / 1000000", "cost % 1000000",
		"reported_cost / 1000000", "reported_cost % 1000000",
	} {
		sums += ", CAST(COALESCE(SUM(" + column + "), 0) AS BIGINT)"
	}
	var out usage.Summary
	err := eachRow(ctx, r.s.read(ctx), func(row scanner) error {
		var k sql.NullString
		var s usage.Sums
		err := row.Scan(&k, &s.Rows, &s.Unpriced, &s.Calls, &s.CountedInput, &s.Output, &s.CacheRead, &s.CacheWrite, &s.Cost.Micros,
			&s.Cost.Picos, &s.Reported.Micros, &s.Reported.Picos)
		s.Cost, s.Reported = s.Cost.Add(usage.Total{}), s.Reported.Add(usage.Total{})
		out.Groups = append(out.Groups, usage.Group{Key: k.String, Sums: s})
		out.Total = out.Total.Add(s)
		return err
	}, "SELECT "+key+" AS k, COUNT(*), CAST(COALESCE(SUM(CASE WHEN cost IS NULL THEN 1 ELSE 0 END), 0) AS BIGINT)"+sums+
		" FROM usage_rows WHERE "+where+" GROUP BY k ORDER BY k", args...)
	if err != nil {
		return usage.Summary{}, err
	}
	if by == usage.GroupNone {
		out.Groups = nil
	}
	return out, nil
}
