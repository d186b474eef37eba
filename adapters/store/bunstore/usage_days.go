package bunstore

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/uptrace/bun"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/usage"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/money"
)

// usageMeasure is something that usage is added up by: its column of usage_days, and what a row of usage_rows adds to that.
type usageMeasure struct{ day, row string }

// usageMeasures are in the order of usageDelta.values and scanUsageSums.
var usageMeasures = []usageMeasure{
	{"row_count", "1"},
	{"unpriced", "CASE WHEN cost IS NULL AND errors < calls THEN 1 END"},
	{"calls", "calls"},
	{"errors", "errors"},
	{"input", "input"},
	{"cache_read", "cache_read"},
	{"cache_write_5m", "cache_write_5m"},
	{"cache_write_1h", "cache_write_1h"},
	{"output", "output"},
	{"reasoning", "reasoning"},
	{"counted_input", "counted_input"},
	// Costs and times are summed in two parts, since a sum may leave the range that each of them is in.
	{"cost_micros", "cost / 1000000"},
	{"cost_picos", "cost % 1000000"},
	{"reported_micros", "reported_cost / 1000000"},
	{"reported_picos", "reported_cost % 1000000"},
	{"claimed_micros", "CASE WHEN cost IS NULL THEN reported_cost / 1000000 END"},
	{"claimed_picos", "CASE WHEN cost IS NULL THEN reported_cost % 1000000 END"},
	{"timed", "CASE WHEN latency > 0 THEN calls END"},
	{"time_seconds", "latency * calls / 1000000"},
	{"time_micros", "latency * calls % 1000000"},
}

var (
	usageDayColumns = func() string {
		var b strings.Builder
		for _, m := range usageMeasures {
			b.WriteString(", " + m.day)
		}
		return b.String()
	}()
	usageDayAdd = func() string {
		sets := make([]string, len(usageMeasures))
		for i, m := range usageMeasures {
			sets[i] = m.day + " = usage_days." + m.day + " + excluded." + m.day
		}
		return strings.Join(sets, ", ")
	}()
	usageDayTuple = "(" + strings.Repeat("?, ", 5+len(usageMeasures)) + "?)"
)

// usageDay is what tells the rows of usage_days apart.
type usageDay struct {
	day      string // 2026-11-21
	agent    id.UUID
	model    string
	provider string
}

func (k usageDay) compare(o usageDay) int {
	return cmp.Or(strings.Compare(k.day, o.day), strings.Compare(k.agent.String(), o.agent.String()), strings.Compare(k.model, o.model),
		strings.Compare(k.provider, o.provider))
}

func usageDayOf(u usage.Row) usageDay {
	return usageDay{u.CreatedAt.UTC().Format(time.DateOnly), u.Agent.UUID(), u.Model, u.Provider}
}

// usageDelta is what a row of usage_days grows by; the slices are parallel to usageMeasures.
type usageDelta []int64

func (d usageDelta) add(o usageDelta) usageDelta {
	out := slices.Clone(o)
	for i := range d {
		out[i] += d[i]
	}
	return out
}

func (d usageDelta) less(o usageDelta) usageDelta {
	out := slices.Clone(d)
	for i := range o {
		out[i] -= o[i]
	}
	return out
}

func usageDeltaOf(u usage.Row) usageDelta {
	halves := func(p *money.Pico) (int64, int64) {
		if p == nil {
			return 0, 0
		}
		return int64(*p) / money.PicosPerMicro, int64(*p) % money.PicosPerMicro
	}
	costMicros, costPicos := halves(u.Cost)
	reportedMicros, reportedPicos := halves(u.Reported)
	var unpriced, claimedMicros, claimedPicos, timed int64
	if u.Cost == nil {
		claimedMicros, claimedPicos = reportedMicros, reportedPicos
		if u.Errors < u.Calls {
			unpriced = 1
		}
	}
	micros := u.Latency.Microseconds()
	if micros > 0 {
		timed = u.Calls
	}
	const second = int64(time.Second / time.Microsecond)
	return usageDelta{
		1, unpriced, u.Calls, u.Errors, u.Usage.Input, u.Usage.CacheRead, u.Usage.CacheWrite5m, u.Usage.CacheWrite1h, u.Usage.Output,
		u.Usage.Reasoning, u.CountedInput, costMicros, costPicos, reportedMicros, reportedPicos, claimedMicros, claimedPicos, timed,
		micros * u.Calls / second, micros * u.Calls % second,
	}
}

// sortedDays returns the keys of deltas in the order in which transactions lock days.
func sortedDays(deltas map[usageDay]usageDelta) []usageDay {
	return slices.SortedFunc(maps.Keys(deltas), usageDay.compare)
}

// usageDayValues lists deltas as tuples of values.
func usageDayValues(
	sc account.Scope, keys []usageDay, deltas map[usageDay]usageDelta, slot func(usageDay) int,
) (tuples string, args []any) {
	for _, k := range keys {
		args = append(args, sc.Tenant, k.day, k.agent.String(), k.model, k.provider, slot(k))
		for _, n := range deltas[k] {
			args = append(args, n)
		}
	}
	return strings.Join(slices.Repeat([]string{usageDayTuple}, len(keys)), ", "), args
}

const (
	usageRowInto   = "INSERT INTO usage_rows (tenant_id, " + usageColumns + ") VALUES "
	usageRowTuple  = "(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
	usageIsLimited = " RETURNING EXISTS (SELECT 1 FROM usage_budgets AS b WHERE b.tenant_id = usage_days.tenant_id AND b.archived_at IS NULL)"
	// usageChunk is how many rows one statement writes: Postgres takes 65,535 arguments.
	usageChunk = 500
)

// upsertDays is the statement that adds tuples to days.
func upsertDays(tuples string) string {
	return "INSERT INTO usage_days (tenant_id, day, agent_id, model, provider, slot" + usageDayColumns + ") VALUES " + tuples +
		" ON CONFLICT (tenant_id, day, agent_id, model, provider, slot) DO UPDATE SET " + usageDayAdd
}

// Insert implements usage.Repository.
func (r *UsageRepo) Insert(ctx context.Context, sc account.Scope, rows ...usage.Row) (budgeted bool, err error) {
	if len(rows) == 0 {
		return false, errors.New("bunstore: no usage rows")
	}
	err = r.s.write(ctx, func(ctx context.Context, db bun.IDB) error {
		for chunk := range slices.Chunk(rows, usageChunk) {
			if budgeted, err = r.insert(ctx, db, sc, chunk); err != nil {
				return err
			}
		}
		return nil
	})
	return budgeted, err
}

func (r *UsageRepo) insert(ctx context.Context, db bun.IDB, sc account.Scope, rows []usage.Row) (budgeted bool, err error) {
	if len(rows) > 1 {
		db = unprepared(db)
	}
	deltas := map[usageDay]usageDelta{}
	args := make([]any, 0, 64)
	for _, u := range rows {
		args = append(append(args, sc.Tenant), usageValues(u)...)
		k := usageDayOf(u)
		deltas[k] = deltas[k].add(usageDeltaOf(u))
	}
	store := usageRowInto + strings.Join(slices.Repeat([]string{usageRowTuple}, len(rows)), ", ")
	tuples, dayArgs := usageDayValues(sc, sortedDays(deltas), deltas, func(k usageDay) int {
		if !r.s.postgres() {
			return 0
		}
		return r.s.slots.take(r.s.current(ctx), slotOf{sc.Tenant, k})
	})
	q := upsertDays(tuples) + usageIsLimited
	if r.s.postgres() {
		// One way to the database instead of two: every model call goes through here.
		q, args = "WITH stored AS ("+store+") "+q, append(args, dayArgs...)
	} else {
		if _, err := db.ExecContext(ctx, store, args...); err != nil {
			return false, mapErr(err)
		}
		args = dayArgs
	}
	limited, err := queryAll(ctx, db, func(row scanner) (b bool, err error) {
		err = row.Scan(&b)
		return b, err
	}, q, args...)
	return slices.Contains(limited, true), err
}

// Reprice implements usage.Repository.
func (r *UsageRepo) Reprice(ctx context.Context, sc account.Scope, rows ...usage.Repriced) (n int, err error) {
	rows = slices.SortedFunc(slices.Values(rows), func(a, b usage.Repriced) int { return strings.Compare(a.ID.String(), b.ID.String()) })
	err = r.s.write(ctx, func(ctx context.Context, db bun.IDB) error {
		n = 0
		deltas := map[usageDay]usageDelta{}
		for chunk := range slices.Chunk(rows, usageChunk) {
			found, err := r.lockRows(ctx, db, sc, chunk)
			if err != nil {
				return err
			}
			for _, p := range chunk {
				was, ok := found[p.ID]
				if !ok {
					continue
				}
				n++
				next := was
				next.Cost, next.Price = p.Cost, p.Price
				if _, err := db.ExecContext(ctx, "UPDATE usage_rows SET cost = ?, price_ref = ?, price_id = ?, flags = ?, rerate_id = ? WHERE tenant_id = ? AND id = ?",
					pico(p.Cost), string(p.Price), p.PriceID, p.Flags, p.Rerate, sc.Tenant, p.ID); err != nil {
					return mapErr(err)
				}
				k := usageDayOf(was)
				deltas[k] = deltas[k].add(usageDeltaOf(next).less(usageDeltaOf(was)))
				found[p.ID] = next
			}
		}
		if n == 0 {
			return nil
		}
		for keys := range slices.Chunk(sortedDays(deltas), usageChunk) {
			tuples, args := usageDayValues(sc, keys, deltas, func(usageDay) int { return 0 })
			if _, err := unprepared(db).ExecContext(ctx, upsertDays(tuples), args...); err != nil {
				return mapErr(err)
			}
		}
		if r.s.postgres() { // in the order of LockCounts
			if _, err := db.ExecContext(ctx, "SELECT id FROM usage_budgets WHERE tenant_id = ? AND archived_at IS NULL ORDER BY id FOR UPDATE", sc.Tenant); err != nil {
				return mapErr(err)
			}
		}
		_, err := db.ExecContext(ctx, "UPDATE usage_budgets SET counted_at = NULL WHERE tenant_id = ? AND archived_at IS NULL", sc.Tenant)
		return mapErr(err)
	})
	return n, err
}

// lockRows locks rows in the order of their ids.
func (r *UsageRepo) lockRows(ctx context.Context, db bun.IDB, sc account.Scope, of []usage.Repriced) (map[id.Usage]usage.Row, error) {
	ids := make([]id.Usage, len(of))
	for i, p := range of {
		ids[i] = p.ID
	}
	found, err := queryAll(ctx, db, func(row scanner) (usage.Row, error) { return scanUsage(sc.Tenant, row) },
		"SELECT "+usageColumns+" FROM usage_rows WHERE tenant_id = ? AND id IN (?) ORDER BY id"+r.s.forUpdate(), sc.Tenant, bun.List(ids))
	if err != nil {
		return nil, err
	}
	out := make(map[id.Usage]usage.Row, len(found))
	for _, u := range found {
		out[u.ID] = u
	}
	return out, nil
}

// usagePart is a part of a period: days that were added up, or rows.
type usagePart struct {
	days         bool
	since, until time.Time // zero is open
}

// usageParts splits a period into whole days, which were added up, and the rows at its ends.
func usageParts(f usage.Filter) []usagePart {
	if !f.Session.IsZero() {
		return []usagePart{{false, f.Since, f.Until}}
	}
	const day = 24 * time.Hour // of UTC, which has no other
	first, last := f.Since.UTC().Truncate(day), f.Until.UTC().Truncate(day)
	if f.Since.IsZero() {
		first = time.Time{}
	} else if first.Before(f.Since) {
		first = first.Add(day)
	}
	if f.Until.IsZero() {
		last = time.Time{}
	}
	if !f.Until.IsZero() && !first.Before(last) {
		return []usagePart{{false, f.Since, f.Until}}
	}
	parts := []usagePart{{true, first, last}}
	if first.After(f.Since) {
		parts = append(parts, usagePart{false, f.Since, first})
	}
	if last.Before(f.Until) {
		parts = append(parts, usagePart{false, last, f.Until})
	}
	return parts
}

// usageKeys are what groupings group by: expressions over usage_days and over usage_rows.
func (r *UsageRepo) usageKeys(by usage.Grouping) usageMeasure {
	switch by {
	case usage.GroupAgent:
		return usageMeasure{"CAST(agent_id AS TEXT)", "COALESCE(CAST(agent_id AS TEXT), '" + id.UUID{}.String() + "')"}
	case usage.GroupModel:
		return usageMeasure{"model", "model"}
	case usage.GroupProvider:
		return usageMeasure{"provider", "provider"}
	case usage.GroupDay:
		if r.s.postgres() {
			return usageMeasure{"TO_CHAR(day, 'YYYY-MM-DD')", "TO_CHAR(created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD')"}
		}
		return usageMeasure{"day", "SUBSTR(created_at, 1, 10)"}
	}
	return usageMeasure{"''", "''"}
}

// usageDaysWhere returns the condition for the days that a filter chooses, whose period begins and ends with days.
func usageDaysWhere(sc account.Scope, f usage.Filter) *where {
	w := newWhere("tenant_id = ?", sc.Tenant)
	if !f.Since.IsZero() {
		w.and("day >= ?", f.Since.Format(time.DateOnly))
	}
	if !f.Until.IsZero() {
		w.and("day < ?", f.Until.Format(time.DateOnly))
	}
	if !f.Agent.IsZero() {
		w.and("agent_id = ?", f.Agent)
	}
	if f.Model != "" {
		w.and("model = ?", f.Model)
	}
	if f.Provider != "" {
		w.and("provider = ?", f.Provider)
	}
	return w
}

// usagePartSQL returns the query of one part of a summary.
func (r *UsageRepo) usagePartSQL(sc account.Scope, f usage.Filter, by usage.Grouping, p usagePart) (string, []any) {
	var q strings.Builder
	key := r.usageKeys(by)
	if !p.days {
		f.Since, f.Until = p.since, p.until
		where, args := usageWhere(sc, f)
		q.WriteString("SELECT " + key.row + " AS k")
		for _, m := range usageMeasures {
			q.WriteString(", CAST(COALESCE(SUM(" + m.row + "), 0) AS BIGINT)")
		}
		q.WriteString(" FROM usage_rows WHERE " + where + " GROUP BY k")
		return q.String(), args
	}
	f.Since, f.Until = p.since, p.until
	w := usageDaysWhere(sc, f)
	q.WriteString("SELECT " + key.day + " AS k")
	for _, m := range usageMeasures {
		q.WriteString(", CAST(SUM(" + m.day + ") AS BIGINT)")
	}
	q.WriteString(" FROM usage_days WHERE " + w.sql() + " GROUP BY k")
	return q.String(), w.args
}

// Summarize implements usage.Repository. It is one statement, so that no row is seen in a part of the period and missed in another.
func (r *UsageRepo) Summarize(
	ctx context.Context, sc account.Scope, f usage.Filter, by usage.Grouping,
) (usage.Summary, error) {
	return r.summarize(ctx, sc, f, by, usageParts(f))
}

func (r *UsageRepo) summarize(
	ctx context.Context, sc account.Scope, f usage.Filter, by usage.Grouping, parts []usagePart,
) (usage.Summary, error) {
	var args []any
	queries := make([]string, len(parts))
	for i, p := range parts {
		q, a := r.usagePartSQL(sc, f, by, p)
		queries[i], args = q, append(args, a...)
	}
	var out usage.Summary
	groups := map[string]usage.Sums{}
	err := eachRow(ctx, r.s.read(ctx), func(row scanner) error {
		key, s, err := scanUsageSums(row)
		groups[key] = groups[key].Add(s)
		out.Total = out.Total.Add(s)
		return err
	}, strings.Join(queries, " UNION ALL "), args...)
	if err != nil {
		return usage.Summary{}, err
	}
	if by == usage.GroupNone {
		return out, nil
	}
	for _, key := range slices.Sorted(maps.Keys(groups)) {
		g := usage.Group{Key: key, Sums: groups[key]}
		if by == usage.GroupAgent && key == (id.UUID{}).String() {
			g.Key = ""
		}
		out.Groups = append(out.Groups, g)
	}
	return out, nil
}

func scanUsageSums(row scanner) (string, usage.Sums, error) {
	var key sql.NullString
	var s usage.Sums
	var write5m, write1h int64
	err := row.Scan(&key, &s.Rows, &s.Unpriced, &s.Calls, &s.Errors, &s.Input, &s.CacheRead, &write5m, &write1h, &s.Output, &s.Reasoning,
		&s.CountedInput, &s.Cost.Micros, &s.Cost.Picos, &s.Reported.Micros, &s.Reported.Picos, &s.Claimed.Micros, &s.Claimed.Picos, &s.Timed,
		&s.Time.Seconds, &s.Time.Micros)
	s.CacheWrite = write5m + write1h
	return key.String, s, err
}
