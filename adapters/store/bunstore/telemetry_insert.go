package bunstore

import (
	"bytes"
	"cmp"
	"context"
	"database/sql"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/uptrace/bun"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/telemetry"
	"github.com/bureau-agents/bureau/ports/id"
)

// InsertEvents implements telemetry.EventRepository.
func (r *EventRepo) InsertEvents(ctx context.Context, sc account.Scope, events []telemetry.Event) (fresh []telemetry.Event, err error) {
	for i := range events {
		events[i].Tenant = sc.Tenant
	}
	given := slices.ContainsFunc(events, func(e telemetry.Event) bool { _, made := madeAt(e.ID.UUID()); return !made })
	switch {
	case given:
		err = r.s.write(ctx, func(ctx context.Context, db bun.IDB) (err error) {
			fresh, err = r.insertGiven(ctx, db, events)
			return err
		})
		return fresh, err
	case r.s.current(ctx) != nil:
		return events, r.s.insertEvents(ctx, [][]telemetry.Event{events})
	}
	return events, r.join.insert(ctx, events)
}

// eventKind is what events are counted by.
type eventKind struct {
	tenant       id.Tenant
	agent        id.Agent
	kind, source string
	level        int
}

// eventKinds are numbers of events by kind.
type eventKinds map[eventKind]int64

func (k eventKinds) add(events []telemetry.Event) {
	for i := range events {
		e := &events[i]
		k[eventKind{e.Tenant, e.Agent, e.Type, e.Source, levelRank(e.Level)}]++
	}
}

// sorted returns the kinds in one order, in which every transaction locks their rows.
func (k eventKinds) sorted() []eventKind {
	out := make([]eventKind, 0, len(k))
	for kind := range k {
		out = append(out, kind)
	}
	slices.SortFunc(out, func(a, b eventKind) int {
		at, bt, aa, ba := a.tenant.UUID(), b.tenant.UUID(), a.agent.UUID(), b.agent.UUID()
		return cmp.Or(bytes.Compare(at[:], bt[:]), bytes.Compare(aa[:], ba[:]), cmp.Compare(a.kind, b.kind), cmp.Compare(a.source, b.source),
			cmp.Compare(a.level, b.level))
	})
	return out
}

// addKinds changes the numbers of events in the transaction of ctx.
func (s *Store) addKinds(ctx context.Context, kinds eventKinds) error {
	if s.postgres() {
		return s.addKindsPostgres(ctx, kinds.sorted(), kinds)
	}
	db := s.read(ctx)
	for kind, n := range kinds {
		if _, err := db.ExecContext(ctx, `INSERT INTO telemetry_event_kinds (tenant_id, agent_id, type, source, level, events) VALUES (?, ?, ?, ?, ?, ?)
			ON CONFLICT DO UPDATE SET events = events + excluded.events`,
			s.uuid(kind.tenant.UUID()), s.uuid(kind.agent.UUID()), kind.kind, kind.source, kind.level, n); err != nil {
			return mapErr(err)
		}
	}
	return nil
}

const addKindsSQL = `INSERT INTO telemetry_event_kinds AS k (tenant_id, agent_id, type, source, level, events)
	SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::smallint[], $6::bigint[])
	ON CONFLICT (tenant_id, agent_id, type, source, level) DO UPDATE SET events = k.events + excluded.events`

func (s *Store) addKindsPostgres(ctx context.Context, sorted []eventKind, kinds eventKinds) error {
	tenants, agents := make([][16]byte, len(sorted)), make([][16]byte, len(sorted))
	types, sources := make([]string, len(sorted)), make([]string, len(sorted))
	levels, numbers := make([]int16, len(sorted)), make([]int64, len(sorted))
	for i, k := range sorted {
		tenants[i], agents[i], types[i], sources[i], levels[i], numbers[i] = k.tenant.UUID(), k.agent.UUID(), k.kind, k.source, int16(k.level), kinds[k]
	}
	return s.pgx(ctx, func(c *pgx.Conn) error {
		_, err := c.Exec(ctx, addKindsSQL, pgx.QueryExecModeCacheStatement, tenants, agents, types, sources, levels, numbers)
		return err
	})
}

// pgx runs fn on the connection of the transaction in ctx.
func (s *Store) pgx(ctx context.Context, fn func(*pgx.Conn) error) error {
	st := s.current(ctx)
	if st == nil || st.conn == nil {
		return errors.New("bunstore: there is no transaction to write in")
	}
	return mapErr(rawPgx(st.conn, fn))
}

// rawPgx runs fn on what is below a connection to Postgres.
func rawPgx(conn *sql.Conn, fn func(*pgx.Conn) error) error {
	return conn.Raw(func(dc any) error {
		c, ok := dc.(*stdlib.Conn)
		if !ok {
			return fmt.Errorf("bunstore: connections of type %T are not Postgres'", dc)
		}
		return fn(c.Conn())
	})
}

// insertEvents stores events that are not there, in the transaction of ctx.
func (s *Store) insertEvents(ctx context.Context, batches [][]telemetry.Event) error {
	kinds := eventKinds{}
	for _, b := range batches {
		kinds.add(b)
	}
	if s.postgres() {
		if err := s.copyEvents(ctx, batches); err != nil {
			return err
		}
		return s.addKinds(ctx, kinds)
	}
	if err := s.insertRows(ctx, batches); err != nil {
		return err
	}
	return s.addKinds(ctx, kinds)
}

// commitEvents stores events that are not there in a transaction of its own. It asks for them when that is about to begin, again if it
// has to begin again; none are stored by doing nothing.
func (s *Store) commitEvents(ctx context.Context, batches func() [][]telemetry.Event) error {
	if s.postgres() {
		return s.repeated(ctx, func() error { return s.commitCopy(ctx, batches) })
	}
	return s.Do(ctx, func(ctx context.Context) error {
		if b := batches(); len(b) > 0 {
			return s.insertEvents(ctx, b)
		}
		return nil
	})
}

// eventRow has a value for each column of eventInsert.
const (
	eventInsert = "INSERT INTO telemetry_events (tenant_id, agent_id, at, id, given, level, type, source, trace_id, parent_id, payload) VALUES "
	eventRow    = "(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)

// eventStatements insert so many rows each on SQLite. Their texts come again and again, and so stay prepared.
var eventStatements = func() (out []eventStatement) {
	for _, rows := range []int{100, 20, 5, 1} {
		out = append(out, eventStatement{rows, eventInsert + strings.Repeat(eventRow+", ", rows-1) + eventRow})
	}
	return out
}()

type eventStatement struct {
	rows int
	text string
}

// insertRows is insertEvents on SQLite.
func (s *Store) insertRows(ctx context.Context, batches [][]telemetry.Event) error {
	db := s.read(ctx)
	var args []any
	rows := 0
	flush := func(st eventStatement) error {
		n := st.rows * len(args) / rows
		_, err := db.ExecContext(ctx, st.text, args[:n]...)
		args, rows = args[:copy(args, args[n:])], rows-st.rows
		return mapErr(err)
	}
	for _, b := range batches {
		for i := range b {
			args = s.appendEvent(args, &b[i])
			if rows++; rows == eventStatements[0].rows {
				if err := flush(eventStatements[0]); err != nil {
					return err
				}
			}
		}
	}
	for _, st := range eventStatements {
		for rows >= st.rows {
			if err := flush(st); err != nil {
				return err
			}
		}
	}
	return nil
}

// appendEvent appends an eventRow.
func (s *Store) appendEvent(args []any, e *telemetry.Event) []any {
	_, made := madeAt(e.ID.UUID())
	return append(args, s.uuid(e.Tenant.UUID()), s.uuid(e.Agent.UUID()), e.At.UnixMilli(), s.uuid(e.ID.UUID()), !made, levelRank(e.Level), e.Type, e.Source,
		orNull(e.TraceID), s.uuid(e.Parent.UUID()), orNull(string(e.Payload)))
}

// orNull returns NULL for an empty text.
func orNull(s string) any {
	if s == "" {
		return nil
	}
	return s
}

// insertGiven stores events of which some may be there already, and returns the others. It takes them one by one: they come from outside in
// smaller numbers, and each statement says whether its event was new.
func (r *EventRepo) insertGiven(ctx context.Context, db bun.IDB, events []telemetry.Event) ([]telemetry.Event, error) {
	var fresh []telemetry.Event
	for i := range events {
		n, err := affected(db.ExecContext(ctx, eventInsert+eventRow+" ON CONFLICT DO NOTHING", r.s.appendEvent(nil, &events[i])...))
		if err != nil {
			return nil, err
		}
		if n > 0 {
			fresh = append(fresh, events[i])
		}
	}
	kinds := eventKinds{}
	kinds.add(fresh)
	return fresh, r.s.addKinds(ctx, kinds)
}

const copyEventsSQL = `COPY telemetry_events (tenant_id, agent_id, at, id, given, level, type, source, trace_id, parent_id, payload)
	FROM STDIN (FORMAT binary)`

// copyHeader begins every binary COPY: a signature, no flags, no extension.
const copyHeader = "PGCOPY\n\xff\r\n\x00\x00\x00\x00\x00\x00\x00\x00\x00"

// copyEvents is insertEvents on Postgres, but for the kinds.
func (s *Store) copyEvents(ctx context.Context, batches [][]telemetry.Event) error {
	return s.pgx(ctx, func(c *pgx.Conn) error { return copyRows(ctx, c, copyEventsSQL, batches) })
}

// commitCopy is one transaction of commitEvents on Postgres, in one round trip: a text of several statements is a transaction by itself, in which
// COPY takes its rows in passing.
func (s *Store) commitCopy(ctx context.Context, batches func() [][]telemetry.Event) error {
	conn, err := s.reader.DB.Conn(ctx)
	if err != nil {
		return mapErr(err)
	}
	defer conn.Close() // gives it back to the pool
	of := batches()
	if len(of) == 0 {
		return nil
	}
	kinds := eventKinds{}
	for _, b := range of {
		kinds.add(b)
	}
	err = rawPgx(conn, func(c *pgx.Conn) error {
		return copyRows(ctx, c, string(appendKindsSQL([]byte(copyEventsSQL+"; "), kinds)), of)
	})
	if _, refused := errors.AsType[*pgconn.PgError](err); err != nil && !refused {
		return errLost.Wrap(err) // also when the time is up: the commit may have been on its way
	}
	return mapErr(err)
}

// appendKindsSQL appends what addKindsSQL does as a text without arguments. Names stand in it as the digits of their bytes.
func appendKindsSQL(q []byte, kinds eventKinds) []byte {
	name := func(s string) {
		q = append(hex.AppendEncode(append(q, ", convert_from('\\x"...), []byte(s)), "', 'UTF8')"...)
	}
	q = append(q, "INSERT INTO telemetry_event_kinds AS k (tenant_id, agent_id, type, source, level, events) VALUES "...)
	for i, k := range kinds.sorted() {
		if i > 0 {
			q = append(q, ", "...)
		}
		q = append(append(q, "('"...), k.tenant.UUID().String()...)
		q = append(append(append(q, "', '"...), k.agent.UUID().String()...), '\'')
		name(k.kind)
		name(k.source)
		q = strconv.AppendInt(append(q, ", "...), int64(k.level), 10)
		q = append(strconv.AppendInt(append(q, ", "...), kinds[k], 10), ')')
	}
	return append(q, " ON CONFLICT (tenant_id, agent_id, type, source, level) DO UPDATE SET events = k.events + excluded.events"...)
}

// copyBuffers are what rows are copied from.
var copyBuffers = sync.Pool{New: func() any { return new([]byte) }}

// copyBuffer is how large one of copyBuffers may be in bytes.
const copyBuffer = 4 << 20

// copyRows runs a text with a COPY of events.
func copyRows(ctx context.Context, c *pgx.Conn, q string, batches [][]telemetry.Event) error {
	kept, _ := copyBuffers.Get().(*[]byte)
	buf := append((*kept)[:0], copyHeader...)
	for _, b := range batches {
		for i := range b {
			buf = appendCopy(buf, &b[i])
		}
	}
	buf = binary.BigEndian.AppendUint16(buf, 0xffff)
	if _, err := c.PgConn().CopyFrom(ctx, bytes.NewReader(buf), q); err != nil {
		return err // the driver may be reading from the buffer still
	}
	if *kept = buf; cap(buf) <= copyBuffer {
		copyBuffers.Put(kept)
	}
	return nil
}

// appendCopy appends a row as COPY takes it: the number of its columns, and each one's length and bytes.
func appendCopy(buf []byte, e *telemetry.Event) []byte {
	be := binary.BigEndian
	uuid := func(u id.UUID) { buf = append(be.AppendUint32(buf, 16), u[:]...) }
	text := func(s string) { buf = append(be.AppendUint32(buf, uint32(len(s))), s...) }
	null := func() { buf = be.AppendUint32(buf, 0xffffffff) }
	buf = be.AppendUint16(buf, 11)
	uuid(e.Tenant.UUID())
	uuid(e.Agent.UUID())
	buf = be.AppendUint64(be.AppendUint32(buf, 8), uint64(e.At.UnixMilli()))
	uuid(e.ID.UUID())
	given := byte(1)
	if _, made := madeAt(e.ID.UUID()); made {
		given = 0
	}
	buf = append(be.AppendUint32(buf, 1), given)
	buf = be.AppendUint16(be.AppendUint32(buf, 2), uint16(levelRank(e.Level)))
	text(e.Type)
	text(e.Source)
	if e.TraceID == "" {
		null()
	} else {
		text(e.TraceID)
	}
	if e.Parent.IsZero() {
		null()
	} else {
		uuid(e.Parent.UUID())
	}
	if len(e.Payload) == 0 {
		null()
	} else {
		buf = append(be.AppendUint32(buf, uint32(len(e.Payload))), e.Payload...)
	}
	return buf
}
