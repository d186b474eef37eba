package bunstore

import (
	"cmp"
	"context"
	"database/sql"
	"slices"
	"strings"
	"time"

	"github.com/uptrace/bun"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/policy"
	"github.com/bureau-agents/bureau/ports/id"
)

// CounterRepo keeps what scopes have spent. It implements policy.Counters.
type CounterRepo struct{ s *Store }

var _ policy.Counters = (*CounterRepo)(nil)

// Counters returns the counters of policies.
func (s *Store) Counters() *CounterRepo { return &CounterRepo{s} }

// counterRow is what tells counters apart in the table.
type counterRow struct {
	policy id.Policy
	name   string
	span   string // a window; "run:" with the run's UUID
	start  int64  // in microseconds since 1970
	unit   string
}

const spanRun = string(policy.WindowRun) + ":"

// rowOf returns the row that holds the counter of k. Of a window that rolls, one row holds every bucket.
func counterRowOf(k policy.Key) counterRow {
	r := counterRow{k.Policy, k.Name, string(k.Window), k.Start.UnixMicro(), k.Unit}
	switch {
	case k.Window == policy.WindowRun:
		r.span = spanRun + k.Run.UUID().String()
	case policy.Rolls(k.Window):
		r.start = 0
	}
	return r
}

func (r counterRow) args() []any {
	return []any{r.policy, r.name, r.span, at(time.UnixMicro(r.start)), r.unit}
}

// counterState is what a row holds.
type counterState struct {
	spent    int64
	reserved int64
	buckets  policy.Rolling
}

// counter shows a row as the counter of k.
func (st counterState) counter(k policy.Key) policy.Counter {
	if policy.Rolls(k.Window) {
		return st.buckets.In(k)
	}
	return policy.Counter{Key: k, Spent: st.spent, Reserved: st.reserved}
}

const counterRowColumns = "policy_id, name, span, span_start, unit"

// Lock implements policy.Counters.
func (r *CounterRepo) Lock(ctx context.Context, sc account.Scope, keys []policy.Key) ([]policy.Counter, error) {
	if !r.s.postgres() {
		rows := rowsOf(keys) // the writer is alone
		found, err := r.find(ctx, sc, rows, false)
		if err != nil {
			return nil, err
		}
		r.s.holds(ctx, sc, rows, found)
		return countersOf(keys, found), nil
	}
	rows := rowsOf(keys)
	found, err := r.find(ctx, sc, rows, true)
	if err != nil {
		return nil, err
	}
	made := map[counterRow]bool{}
	if len(found) < len(rows) {
		// The first of a window: its rows must be there to be locked.
		var values []string
		args := []any{}
		for _, row := range rows {
			values = append(values, "(?, ?, ?, ?, ?, ?, 0, 0)")
			args = append(append(args, sc.Tenant), row.args()...)
		}
		fresh, err := queryAll(ctx, r.s.read(ctx), scanCounterRow, "INSERT INTO policy_counters (tenant_id, "+counterRowColumns+
			", spent, reserved) VALUES "+strings.Join(values, ", ")+" ON CONFLICT DO NOTHING RETURNING "+counterRowColumns, args...)
		if err != nil {
			return nil, err
		}
		for _, row := range fresh {
			made[row] = true
		}
		if found, err = r.find(ctx, sc, rows, true); err != nil {
			return nil, err
		}
	}
	r.s.holds(ctx, sc, rows, found)
	out := countersOf(keys, found)
	for i, k := range keys {
		out[i].Fresh = out[i].Fresh || made[counterRowOf(k)]
	}
	return out, nil
}

// Read implements policy.Counters.
func (r *CounterRepo) Read(ctx context.Context, sc account.Scope, keys []policy.Key) ([]policy.Counter, error) {
	found, err := r.find(ctx, sc, rowsOf(keys), false)
	if err != nil {
		return nil, err
	}
	return countersOf(keys, found), nil
}

func countersOf(keys []policy.Key, found map[counterRow]counterState) []policy.Counter {
	out := make([]policy.Counter, len(keys))
	for i, k := range keys {
		st, ok := found[counterRowOf(k)]
		out[i] = st.counter(k)
		out[i].Fresh = !ok
	}
	return out
}

func rowsOf(keys []policy.Key) []counterRow {
	rows := make([]counterRow, len(keys))
	for i, k := range keys {
		rows[i] = counterRowOf(k)
	}
	return rows
}

func scanCounterRow(row scanner) (r counterRow, err error) {
	var start stamp
	err = row.Scan(&r.policy, &r.name, &r.span, &start, &r.unit)
	r.start = start.Time().UnixMicro()
	return r, err
}

// find returns the given rows as far as they are there.
func (r *CounterRepo) find(ctx context.Context, sc account.Scope, rows []counterRow, lock bool) (map[counterRow]counterState, error) {
	type entry struct {
		row   counterRow
		state counterState
	}
	const same = "(policy_id = ? AND name = ? AND span = ? AND span_start = ? AND unit = ?)"
	args := append(make([]any, 0, 1+5*len(rows)), sc.Tenant)
	for _, row := range rows {
		args = append(args, row.args()...)
	}
	q := "SELECT " + counterRowColumns + ", spent, reserved, buckets FROM policy_counters WHERE tenant_id = ? AND (" + same +
		strings.Repeat(" OR "+same, len(rows)-1) + ")"
	if lock {
		q += ` ORDER BY policy_id, name COLLATE "C", span COLLATE "C", span_start, unit COLLATE "C"` + r.s.forUpdate()
	}
	found, err := queryAll(ctx, r.s.read(ctx), func(row scanner) (e entry, err error) {
		var start stamp
		var buckets sql.RawBytes
		err = row.Scan(&e.row.policy, &e.row.name, &e.row.span, &start, &e.row.unit, &e.state.spent, &e.state.reserved, &buckets)
		if err != nil {
			return e, err
		}
		e.row.start = start.Time().UnixMicro()
		e.state.buckets, err = decodeBuckets(buckets)
		return e, err
	}, q, args...)
	if err != nil {
		return nil, err
	}
	out := make(map[counterRow]counterState, len(found))
	for _, e := range found {
		out[e.row] = e.state
	}
	return out, nil
}

// Add implements policy.Counters. Rows are never made by giving back: those of a policy that has been deleted meanwhile stay
// away.
func (r *CounterRepo) Add(ctx context.Context, sc account.Scope, changes []policy.Counter) error {
	return r.s.write(ctx, func(ctx context.Context, db bun.IDB) error {
		values := map[counterRow][]any{} // spent, reserved and buckets to be added or written
		rolling, err := r.rolled(ctx, sc, changes)
		if err != nil {
			return err
		}
		for row, buckets := range rolling {
			values[row] = []any{0, 0, encodeBuckets(buckets)}
		}
		now := at(time.Now())
		for _, c := range changes {
			row := counterRowOf(c.Key)
			switch {
			case policy.Rolls(c.Key.Window):
			case c.Spent < 0 || c.Reserved < 0:
				_, err := db.ExecContext(ctx, `UPDATE policy_counters SET spent = spent + ?, reserved = reserved + ?, touched_at = ?
					WHERE tenant_id = ? AND policy_id = ? AND name = ? AND span = ? AND span_start = ? AND unit = ?`,
					append([]any{c.Spent, c.Reserved, now, sc.Tenant}, row.args()...)...)
				if err != nil {
					return mapErr(err)
				}
			default:
				values[row] = []any{c.Spent, c.Reserved, sql.NullString{}}
			}
		}
		if len(values) == 0 {
			return nil
		}
		var tuples []string
		var args []any
		for row, v := range values {
			tuples = append(tuples, "(?, ?, ?, ?, ?, ?, ?, ?, ?, ?)")
			args = append(append(append(append(args, sc.Tenant), row.args()...), v...), now)
		}
		_, err = db.ExecContext(ctx, "INSERT INTO policy_counters (tenant_id, "+counterRowColumns+
			", spent, reserved, buckets, touched_at) VALUES "+strings.Join(tuples, ", ")+`
			ON CONFLICT (tenant_id, policy_id, name, span, span_start, unit) DO UPDATE SET
			spent = policy_counters.spent + excluded.spent, reserved = policy_counters.reserved + excluded.reserved,
			buckets = excluded.buckets, touched_at = excluded.touched_at`, args...)
		return mapErr(err)
	})
}

// rolled returns what the rows of windows that roll hold after the changes. It locks every row that changes, in the order of Lock: the
// rows are read before they are written.
func (r *CounterRepo) rolled(ctx context.Context, sc account.Scope, changes []policy.Counter) (map[counterRow]policy.Rolling, error) {
	if !slices.ContainsFunc(changes, func(c policy.Counter) bool { return policy.Rolls(c.Key.Window) }) {
		return nil, nil
	}
	seen := map[counterRow]bool{}
	var rows []counterRow
	for _, c := range changes {
		if row := counterRowOf(c.Key); !seen[row] {
			seen[row] = true
			rows = append(rows, row)
		}
	}
	found, ok := r.s.held(ctx, sc, rows)
	if !ok {
		var err error
		if found, err = r.find(ctx, sc, rows, r.s.postgres()); err != nil {
			return nil, err
		}
	}
	out := map[counterRow]policy.Rolling{}
	for _, c := range changes {
		row := counterRowOf(c.Key)
		st, ok := found[row]
		if !policy.Rolls(c.Key.Window) || !ok && (c.Spent < 0 || c.Reserved < 0) {
			continue
		}
		var err error
		if st.buckets, err = st.buckets.Add(c); err != nil {
			return nil, err
		}
		found[row], out[row] = st, st.buckets
	}
	r.s.holds(ctx, sc, rows, found)
	return out, nil
}

// counterLives is how long after the last change the counters of windows are of no use any more, by how their rows are told: the next window
// has begun, with a day to spare for clocks that differ.
var counterLives = []struct {
	cond string
	life time.Duration
}{
	{"span = 'hour'", 26 * time.Hour},
	{"span = 'day'", 49 * time.Hour},
	{"span = 'week'", 9 * 24 * time.Hour},
	{"span = 'month' OR span LIKE 'rolling!_%' ESCAPE '!' OR span LIKE 'run:%'", 33 * 24 * time.Hour},
	{"name LIKE 'structuring:%'", 9 * 24 * time.Hour},
}

// Expire implements policy.Counters. It looks before it takes the writer.
func (r *CounterRepo) Expire(ctx context.Context, tenant id.Tenant, now time.Time, limit int) (int, error) {
	type stale struct {
		tenant id.Tenant
		row    counterRow
	}
	var where []string
	var args []any
	for _, l := range counterLives {
		where = append(where, "("+l.cond+") AND touched_at < ?")
		args = append(args, at(now.Add(-l.life)))
	}
	q := "SELECT tenant_id, " + counterRowColumns + " FROM policy_counters WHERE reserved = 0 AND (" + strings.Join(where, " OR ") + ")"
	if !tenant.IsZero() {
		q += " AND tenant_id = ?"
		args = append(args, tenant)
	}
	found, err := queryAll(ctx, r.s.read(ctx), func(row scanner) (s stale, err error) {
		var start stamp
		err = row.Scan(&s.tenant, &s.row.policy, &s.row.name, &s.row.span, &start, &s.row.unit)
		s.row.start = start.Time().UnixMicro()
		return s, err
	}, q+" LIMIT ?", append(args, limit)...)
	if err != nil || len(found) == 0 {
		return 0, err
	}
	slices.SortFunc(found, func(a, b stale) int {
		return cmp.Or(strings.Compare(a.tenant.String(), b.tenant.String()), strings.Compare(a.row.policy.String(), b.row.policy.String()),
			strings.Compare(a.row.name, b.row.name), strings.Compare(a.row.span, b.row.span), cmp.Compare(a.row.start, b.row.start))
	})
	n := 0
	err = r.s.write(ctx, func(ctx context.Context, db bun.IDB) error {
		n = 0
		for _, s := range found {
			// Somebody may have come back to it meanwhile.
			res, err := db.ExecContext(ctx, `DELETE FROM policy_counters WHERE reserved = 0 AND touched_at < ? AND tenant_id = ?
				AND policy_id = ? AND name = ? AND span = ? AND span_start = ? AND unit = ?`,
				append([]any{at(now.Add(-counterLives[0].life)), s.tenant}, s.row.args()...)...)
			gone, err := affected(res, err)
			if err != nil {
				return err
			}
			n += int(gone)
		}
		return nil
	})
	return n, err
}
