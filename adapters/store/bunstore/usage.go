package bunstore

import (
	"context"
	"database/sql"
	"strings"
	"time"

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

const usageColumns = `id, agent_id, session_id, turn_id, provider, model, input, cache_read, cache_write_5m, cache_write_1h, output, reasoning,
	counted_input, calls, errors, cost, reported_cost, price_ref, latency, created_at, act_id, service_tier, modifiers, flags, price_id, rerate_id`

func usageValues(u usage.Row) []any {
	return []any{
		u.ID, u.Agent, u.Session, u.Turn, u.Provider, u.Model, u.Usage.Input, u.Usage.CacheRead, u.Usage.CacheWrite5m, u.Usage.CacheWrite1h,
		u.Usage.Output, u.Usage.Reasoning, u.CountedInput, u.Calls, u.Errors, pico(u.Cost), pico(u.Reported), string(u.Price),
		u.Latency.Microseconds(), at(u.CreatedAt), u.Act, u.Service, strings.Join(u.Modifiers, " "), u.Flags, u.PriceID, u.Rerate,
	}
}

func scanUsage(tenant id.Tenant, row scanner) (usage.Row, error) {
	u := usage.Row{Tenant: tenant}
	var cost, reported sql.NullInt64
	var latency int64
	var created stamp
	var modifiers string
	err := row.Scan(&u.ID, &u.Agent, &u.Session, &u.Turn, &u.Provider, &u.Model, &u.Usage.Input, &u.Usage.CacheRead,
		&u.Usage.CacheWrite5m, &u.Usage.CacheWrite1h, &u.Usage.Output, &u.Usage.Reasoning, &u.CountedInput, &u.Calls, &u.Errors, &cost,
		&reported, &u.Price, &latency, &created, &u.Act, &u.Service, &modifiers, &u.Flags, &u.PriceID, &u.Rerate)
	u.Cost, u.Reported = picoOf(cost), picoOf(reported)
	if modifiers != "" {
		u.Modifiers = strings.Fields(modifiers)
	}
	u.Latency, u.CreatedAt = time.Duration(latency)*time.Microsecond, created.Time()
	return u, err
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
	var total int
	if req.Count { // the days know, so that nobody counts rows
		s, err := r.Summarize(ctx, sc, f, usage.GroupNone)
		if err != nil {
			return page.Page[usage.Row]{}, err
		}
		total = int(s.Total.Rows)
	}
	if req.Cursor != "" {
		created, before, err := decodeTimeIDCursor[id.UsageKind](req.Cursor)
		if err != nil {
			return page.Page[usage.Row]{}, err
		}
		where += " AND (created_at, id) < (?, ?)"
		args = append(args, created, before)
	}
	found, err := queryAll(ctx, r.s.read(ctx), func(row scanner) (usage.Row, error) { return scanUsage(sc.Tenant, row) },
		"SELECT "+usageColumns+" FROM usage_rows WHERE "+where+" ORDER BY created_at DESC, id DESC LIMIT ? OFFSET ?",
		append(args, req.Size()+1, max(req.Offset, 0))...)
	if err != nil {
		return page.Page[usage.Row]{}, err
	}
	p, err := pageOf(found, req.Size(), func(u usage.Row) (usage.Row, error) { return u, nil },
		func(u usage.Row) []string { return []string{at(u.CreatedAt).String(), u.ID.String()} })
	p.Total = total
	return p, err
}
