package bunstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/telemetry"
	"github.com/bureau-agents/bureau/ports/id"
)

var _ telemetry.TraceRepository = (*EventRepo)(nil)

// errEnough ends the reading of rows before their end.
var errEnough = errors.New("bunstore: that was enough")

// eachEvent calls fn with the events of a query until it returns false.
func (r *EventRepo) eachEvent(ctx context.Context, sc account.Scope, fn func(telemetry.Event) bool, q string, args ...any) error {
	err := eachRow(ctx, r.s.read(ctx), func(row scanner) error {
		e, err := scanEvent(sc.Tenant, row)
		if err == nil && !fn(e) {
			err = errEnough
		}
		return err
	}, q, args...)
	if errors.Is(err, errEnough) {
		return nil
	}
	return err
}

// rootWhere is the condition for the roots that a filter chooses.
func (r *EventRepo) rootWhere(w *where, f telemetry.TraceFilter) {
	w.and("parent_id IS NULL")
	if !f.Agent.IsZero() {
		w.and("agent_id = ?", r.s.uuid(f.Agent.UUID()))
	}
	if !f.Since.IsZero() {
		w.and("at >= ?", millis(f.Since))
	}
	if !f.Until.IsZero() {
		w.and("at < ?", millis(f.Until))
	}
}

// EachRoot implements telemetry.TraceRepository.
func (r *EventRepo) EachRoot(
	ctx context.Context, sc account.Scope, f telemetry.TraceFilter, before telemetry.Place, limit int, fn func(telemetry.Event) bool,
) error {
	w := newWhere("tenant_id = ? AND trace_id IS NOT NULL", r.s.uuid(sc.Tenant.UUID()))
	r.rootWhere(w, f)
	if !before.ID.IsZero() {
		w.and("(at, id) < (?, ?)", before.At.UnixMilli(), r.s.uuid(before.ID.UUID()))
	}
	table := "telemetry_events"
	if f.Agent.IsZero() && !r.s.postgres() {
		table += " INDEXED BY telemetry_events_roots"
	}
	return r.eachEvent(ctx, sc, fn, "SELECT "+strings.TrimSuffix(eventColumns, "payload")+"NULL FROM "+table+" WHERE "+w.sql()+
		" ORDER BY at DESC, id DESC LIMIT ?", append(w.args, limit)...)
}

// SumTraces implements telemetry.TraceRepository.
func (r *EventRepo) SumTraces(
	ctx context.Context, sc account.Scope, f telemetry.TraceFilter, traces []string,
) (map[string]telemetry.TraceSums, error) {
	out := make(map[string]telemetry.TraceSums, len(traces))
	if len(traces) == 0 {
		return out, nil
	}
	root := newWhere("TRUE")
	r.rootWhere(root, f)
	// The greatest place, as one text in the order of places.
	place, table := "lpad(CAST(at AS TEXT), 15, '0') || CAST(id AS TEXT)", "telemetry_events"
	if !r.s.postgres() {
		place, table = "printf('%015d', at) || "+r.s.uuidText("id"), table+" INDEXED BY telemetry_events_trace"
	}
	args := append(slices.Clone(root.args), r.s.uuid(sc.Tenant.UUID()))
	for _, t := range traces {
		args = append(args, t)
	}
	err := eachRow(ctx, r.s.read(ctx), func(row scanner) error {
		var trace string
		var agent uuidColumn[id.AgentKind]
		var events, failed, first, last int64
		var newest sql.NullString
		if err := row.Scan(&trace, &agent, &events, &failed, &first, &last, &newest); err != nil {
			return err
		}
		t := out[trace]
		start, end := time.UnixMilli(first).UTC(), time.UnixMilli(last).UTC()
		if t.Events == 0 || start.Before(t.Start) {
			t.Start = start
		}
		if end.After(t.End) {
			t.End = end
		}
		t.Events, t.Errors, t.Agents = t.Events+events, t.Errors+failed, append(t.Agents, agent.id)
		if newest.Valid {
			p, err := readPlace(newest.String)
			if err != nil {
				return err
			}
			if later(p, t.NewestRoot) {
				t.NewestRoot = p
			}
		}
		out[trace] = t
		return nil
	}, "SELECT trace_id, agent_id, COUNT(*), CAST(SUM(CASE WHEN level >= 2 THEN 1 ELSE 0 END) AS BIGINT), MIN(at), MAX(at), MAX(CASE WHEN "+
		root.sql()+" THEN "+place+" END) FROM "+table+" WHERE tenant_id = ? AND trace_id IN (?"+strings.Repeat(", ?", len(traces)-1)+
		") GROUP BY trace_id, agent_id ORDER BY trace_id, agent_id", args...)
	return out, err
}

// readPlace reads a place as SumTraces writes it.
func readPlace(text string) (telemetry.Place, error) {
	const digits = 15
	if len(text) < digits {
		return telemetry.Place{}, fmt.Errorf("bunstore: %q is no place", text)
	}
	ms, err := strconv.ParseInt(text[:digits], 10, 64)
	if err != nil {
		return telemetry.Place{}, fmt.Errorf("bunstore: %w", err)
	}
	u, err := id.ParseUUID(text[digits:])
	return telemetry.Place{At: time.UnixMilli(ms).UTC(), ID: id.Of[id.ReportKind](u)}, err
}

func later(a, b telemetry.Place) bool {
	if !a.At.Equal(b.At) {
		return a.At.After(b.At)
	}
	x, y := a.ID.UUID(), b.ID.UUID()
	return slices.Compare(x[:], y[:]) > 0
}

// EachOfTrace implements telemetry.TraceRepository.
func (r *EventRepo) EachOfTrace(ctx context.Context, sc account.Scope, trace string, limit int, fn func(telemetry.Event) bool) error {
	table, w := r.where(sc, telemetry.Filter{TraceID: trace})
	return r.eachEvent(ctx, sc, fn, "SELECT "+eventColumns+" FROM "+table+" WHERE "+w.sql()+" ORDER BY at, id LIMIT ?", append(w.args, limit)...)
}

// CountBuckets implements telemetry.TraceRepository.
func (r *EventRepo) CountBuckets(
	ctx context.Context, sc account.Scope, f telemetry.Filter, b telemetry.Buckets,
) (map[int]telemetry.LevelCounts, error) {
	table, w := r.where(sc, f)
	out := map[int]telemetry.LevelCounts{}
	err := eachRow(ctx, r.s.read(ctx), func(row scanner) error {
		var bucket, level int
		var n int64
		if err := row.Scan(&bucket, &level, &n); err != nil {
			return err
		}
		counts := out[bucket]
		if level < 0 || level >= len(counts) {
			return fmt.Errorf("bunstore: an event has the level %d", level)
		}
		counts[level] += n
		out[bucket] = counts
		return nil
	}, fmt.Sprintf("SELECT (at - %d) / %d AS bucket, level, COUNT(*) FROM %s WHERE %s GROUP BY bucket, level",
		b.Start.UnixMilli(), b.Length.Milliseconds(), table, w.sql()), w.args...)
	return out, err
}

// EncodePlace implements telemetry.TraceRepository.
func (*EventRepo) EncodePlace(p telemetry.Place) string {
	return encodeCursor(eventCursor(telemetry.Event{ID: p.ID, At: p.At})...)
}

// DecodePlace implements telemetry.TraceRepository.
func (*EventRepo) DecodePlace(cursor string) (telemetry.Place, error) {
	return decodeEventCursor(cursor)
}

// uuidText is the text of a column that Store.uuid fills.
func (s *Store) uuidText(column string) string {
	if s.postgres() {
		return column
	}
	part := func(from, length int) string { return fmt.Sprintf("substr(hex(%s), %d, %d)", column, from, length) }
	return "lower(" + strings.Join([]string{part(1, 8), part(9, 4), part(13, 4), part(17, 4), part(21, 12)}, " || '-' || ") + ")"
}
