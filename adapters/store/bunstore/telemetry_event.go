package bunstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/uptrace/bun"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/telemetry"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/page"
)

// EventRepo keeps what agents report. It implements telemetry.EventRepository.
type EventRepo struct {
	s    *Store
	join *eventJoiner
}

var _ telemetry.EventRepository = (*EventRepo)(nil)

// Events returns the repository of reported events, always the same one: who writes at once shares transactions.
func (s *Store) Events() *EventRepo { return s.events() }

// uuid is how a table of this kind holds an id: the bytes on SQLite, where they make rows and indexes half as long as texts do. NULL for none.
func (s *Store) uuid(u id.UUID) any {
	switch {
	case u.IsZero():
		return nil
	case s.postgres():
		return u.String()
	}
	return u[:]
}

// uuidColumn reads what Store.uuid makes.
type uuidColumn[K id.Kind] struct{ id id.ID[K] }

// Scan implements sql.Scanner.
func (c *uuidColumn[K]) Scan(src any) error {
	b, ok := src.([]byte)
	if !ok || len(b) != len(id.UUID{}) {
		return c.id.Scan(src)
	}
	c.id = id.Of[K](id.UUID(b))
	return nil
}

// levelRank is how levels are stored, in their order.
func levelRank(l telemetry.Level) int { return slices.Index(telemetry.Levels(), l) }

// millis returns the first millisecond that is not before t.
func millis(t time.Time) int64 {
	ms := t.UnixMilli()
	if t.Truncate(time.Millisecond).Before(t) {
		ms++
	}
	return ms
}

const eventColumns = "agent_id, at, id, level, type, source, trace_id, parent_id, payload"

func scanEvent(tenant id.Tenant, row scanner) (telemetry.Event, error) {
	e := telemetry.Event{Tenant: tenant}
	var agent uuidColumn[id.AgentKind]
	var own, parent uuidColumn[id.ReportKind]
	var at int64
	var level int
	var trace, payload sql.NullString
	if err := row.Scan(&agent, &at, &own, &level, &e.Type, &e.Source, &trace, &parent, &payload); err != nil {
		return e, err
	}
	if level < 0 || level >= len(telemetry.Levels()) {
		return e, fmt.Errorf("bunstore: event %s has the level %d", own.id, level)
	}
	e.Agent, e.ID, e.Parent, e.Level = agent.id, own.id, parent.id, telemetry.Levels()[level]
	e.TraceID, e.At, e.Payload = trace.String, time.UnixMilli(at).UTC(), rawText(payload)
	return e, nil
}

// Event implements telemetry.EventRepository.
func (r *EventRepo) Event(ctx context.Context, sc account.Scope, event id.Report) (telemetry.Event, error) {
	u := event.UUID()
	w := newWhere("tenant_id = ? AND id = ?", r.s.uuid(sc.Tenant.UUID()), r.s.uuid(u))
	if at, ok := madeAt(u); ok {
		w.and("at = ?", at)
	} else {
		w.and(r.given())
	}
	e, err := scanEvent(sc.Tenant, r.s.read(ctx).QueryRowContext(ctx, "SELECT "+eventColumns+" FROM telemetry_events WHERE "+w.sql(), w.args...))
	if errors.Is(err, sql.ErrNoRows) {
		return telemetry.Event{}, id.NotFound[id.ReportKind](event.String())
	}
	return e, mapErr(err)
}

// given is the condition of the index of ids that reports bring.
func (r *EventRepo) given() string {
	if r.s.postgres() {
		return "given"
	}
	return "given = 1"
}

// madeAt returns the milliseconds in a UUIDv7, and whether u is one.
func madeAt(u id.UUID) (ms int64, ok bool) {
	for _, b := range u[:6] {
		ms = ms<<8 | int64(b)
	}
	return ms, u[6]>>4 == 7
}

// where returns the table and the condition for a filter.
func (r *EventRepo) where(sc account.Scope, f telemetry.Filter) (table string, w *where) {
	table, w = "telemetry_events", newWhere("tenant_id = ?", r.s.uuid(sc.Tenant.UUID()))
	index := "" // SQLite knows nothing of the data and could not tell which is the best; these are
	if !f.Agent.IsZero() {
		w.and("agent_id = ?", r.s.uuid(f.Agent.UUID()))
	}
	if f.Type != "" {
		w.and("type = ?", f.Type)
	}
	if f.Source != "" {
		w.and("source = ?", f.Source)
	}
	whereLevel(w, f)
	if f.TraceID != "" {
		w.and("trace_id = ?", f.TraceID)
		index = "telemetry_events_trace"
	}
	if !f.Parent.IsZero() {
		w.and("parent_id = ?", r.s.uuid(f.Parent.UUID()))
		index = "telemetry_events_parent"
	}
	if !f.Since.IsZero() {
		w.and("at >= ?", millis(f.Since))
	}
	if !f.Until.IsZero() {
		w.and("at < ?", millis(f.Until))
	}
	if index != "" && !r.s.postgres() {
		table += " INDEXED BY " + index
	}
	return table, w
}

// whereLevel writes the numbers into the condition, so that the index of errors is seen to hold what is asked for.
func whereLevel(w *where, f telemetry.Filter) {
	least := 0
	if f.Level != "" {
		least = levelRank(f.Level)
		w.and("level = " + strconv.Itoa(least))
	}
	if f.MinLevel != "" {
		rank := levelRank(f.MinLevel)
		w.and("level >= " + strconv.Itoa(rank))
		least = max(least, rank)
	}
	if least >= levelRank(telemetry.LevelError) {
		w.and("level >= " + strconv.Itoa(levelRank(telemetry.LevelError)))
	}
}

// Events implements telemetry.EventRepository.
func (r *EventRepo) Events(
	ctx context.Context, sc account.Scope, f telemetry.Filter, req page.Request,
) (page.Page[telemetry.Event], error) {
	if match := f.Match(); match != nil {
		return r.search(ctx, sc, f, req, match, telemetry.MaxScan, telemetry.MaxScanBytes)
	}
	var out page.Page[telemetry.Event]
	total, err := r.count(ctx, sc, f, req)
	if err != nil || req.Count && req.Offset >= total {
		out.Total = total
		return out, err
	}
	table, w := r.where(sc, f)
	if req.Cursor != "" {
		place, err := decodeEventCursor(req.Cursor)
		if err != nil {
			return out, err
		}
		w.and("(at, id) < (?, ?)", place.At.UnixMilli(), r.s.uuid(place.ID.UUID()))
	}
	found, err := queryAll(ctx, r.s.read(ctx), func(row scanner) (telemetry.Event, error) { return scanEvent(sc.Tenant, row) },
		"SELECT "+eventColumns+" FROM "+table+" WHERE "+w.sql()+" ORDER BY at DESC, id DESC LIMIT ? OFFSET ?",
		append(w.args, req.Size()+1, max(req.Offset, 0))...)
	if err != nil {
		return out, err
	}
	out, err = pageOf(found, req.Size(), func(e telemetry.Event) (telemetry.Event, error) { return e, nil }, eventCursor)
	if out.Total = total; req.Count {
		out.Total = max(total, req.Offset+len(out.Items)) // some may have come in since they were counted
	}
	return out, err
}

func eventCursor(e telemetry.Event) []string {
	return []string{strconv.FormatInt(e.At.UnixMilli(), 10), e.ID.String()}
}

func decodeEventCursor(cursor string) (telemetry.Place, error) {
	parts, err := decodeCursor(cursor, 2)
	if err != nil {
		return telemetry.Place{}, err
	}
	ms, numErr := strconv.ParseInt(parts[0], 10, 64)
	event, err := id.Parse[id.ReportKind](parts[1])
	if err != nil || numErr != nil {
		return telemetry.Place{}, errCursor()
	}
	return telemetry.Place{At: time.UnixMilli(ms), ID: event}, nil
}

// count returns how many events f chooses, when the request asks for it. What the kinds tell apart they also add up, in as many rows as there
// are kinds; times, traces and parents are counted in their indexes.
func (r *EventRepo) count(ctx context.Context, sc account.Scope, f telemetry.Filter, req page.Request) (n int, err error) {
	if !req.Count {
		return 0, nil
	}
	q := "SELECT count(*) FROM "
	table, w := r.where(sc, f)
	if f.TraceID == "" && f.Parent.IsZero() && f.Since.IsZero() && f.Until.IsZero() {
		q, table = "SELECT CAST(COALESCE(SUM(events), 0) AS BIGINT) FROM ", "telemetry_event_kinds"
	}
	err = r.s.read(ctx).QueryRowContext(ctx, q+table+" WHERE "+w.sql(), w.args...).Scan(&n)
	return n, mapErr(err)
}

// After implements telemetry.EventRepository.
func (r *EventRepo) After(
	ctx context.Context, sc account.Scope, f telemetry.Filter, after telemetry.Place, limit int,
) ([]telemetry.Event, error) {
	table, w := r.where(sc, f)
	if !after.At.IsZero() {
		w.and("(at, id) > (?, ?)", after.At.UnixMilli(), r.place(after))
	}
	return queryAll(ctx, r.s.read(ctx), func(row scanner) (telemetry.Event, error) { return scanEvent(sc.Tenant, row) },
		"SELECT "+eventColumns+" FROM "+table+" WHERE "+w.sql()+" ORDER BY at, id LIMIT ?", append(w.args, limit)...)
}

// place returns the id of a place; a place without one stands before all events of its time.
func (r *EventRepo) place(p telemetry.Place) any {
	if !p.ID.IsZero() {
		return r.s.uuid(p.ID.UUID())
	}
	if r.s.postgres() {
		return id.UUID{}.String()
	}
	return []byte{}
}

// DeleteEvents implements telemetry.EventRepository.
func (r *EventRepo) DeleteEvents(ctx context.Context, sc account.Scope, agent id.Agent, before time.Time, limit int) (n int, err error) {
	err = r.s.write(ctx, func(ctx context.Context, db bun.IDB) error {
		n = 0
		// Two that delete the same would find each other's rows gone and take that for the end.
		if err := r.s.lock(ctx, "telemetry:delete:"+sc.Tenant.String()); err != nil {
			return err
		}
		_, w := r.where(sc, telemetry.Filter{Agent: agent, Until: before})
		row := "rowid"
		if r.s.postgres() {
			row = "ctid"
		}
		gone := eventKinds{}
		err := eachRow(ctx, db, func(row scanner) error {
			var k eventKind
			var agent uuidColumn[id.AgentKind]
			err := row.Scan(&agent, &k.kind, &k.source, &k.level)
			k.tenant, k.agent = sc.Tenant, agent.id
			gone[k]--
			n++
			return err
		}, "DELETE FROM telemetry_events WHERE "+row+" IN (SELECT "+row+" FROM telemetry_events WHERE "+w.sql()+
			" ORDER BY at, id LIMIT ?) RETURNING agent_id, type, source, level", append(w.args, limit)...)
		if err != nil {
			return err
		}
		if err := r.s.addKinds(ctx, gone); err != nil || n == limit {
			return err
		}
		_, w = r.where(sc, telemetry.Filter{Agent: agent})
		_, err = db.ExecContext(ctx, "DELETE FROM telemetry_event_kinds WHERE events = 0 AND "+w.sql(), w.args...)
		return mapErr(err)
	})
	return n, err
}
