package bunstore

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"slices"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/telemetry"
	"github.com/bureau-agents/bureau/ports/id"
)

var _ telemetry.TailRepository = (*EventRepo)(nil)

// Number implements telemetry.TailRepository. Events whose ids were given have their numbers in the ledger of spans.
func (r *EventRepo) Number(ctx context.Context, sc account.Scope, event id.Report) (id.Report, error) {
	if _, ok := madeAt(event.UUID()); ok {
		return event, nil
	}
	number, err := scanReport(r.s.read(ctx).QueryRowContext(ctx, "SELECT number FROM span_arrivals WHERE tenant_id = ? AND event_id = ?",
		r.s.uuid(sc.Tenant.UUID()), r.s.uuid(event.UUID())))
	if errors.Is(err, sql.ErrNoRows) {
		return id.Report{}, id.NotFound[id.ReportKind](event.String())
	}
	return number, mapErr(err)
}

// Taken implements telemetry.TailRepository: what the server gave ids to and what has numbers in the ledger, merged.
func (r *EventRepo) Taken(
	ctx context.Context, sc account.Scope, f telemetry.Filter, after, until id.Report, limit int,
) (found []telemetry.Taken, more bool, err error) {
	from, args := r.made(sc, f, after, until)
	made, madeMore, err := r.takeSome(ctx, func(row scanner) (telemetry.Taken, error) {
		e, err := scanEvent(sc.Tenant, row)
		return telemetry.Taken{Number: e.ID, Event: e}, err
	}, limit, "SELECT "+eventColumns+from+" ORDER BY at, id LIMIT ?", append(args, limit)...)
	if err != nil {
		return nil, false, err
	}
	from, args = r.arrived(sc, f, after, until)
	given, givenMore, err := r.takeSome(ctx, func(row scanner) (t telemetry.Taken, err error) {
		var number uuidColumn[id.ReportKind]
		t.Event, err = scanEvent(sc.Tenant, scanAfter{row, &number})
		t.Number = number.id
		return t, err
	}, limit, "SELECT number, "+eventColumns+from+" ORDER BY number LIMIT ?", append(args, limit)...)
	if err != nil {
		return nil, false, err
	}
	out := slices.Concat(made, given)
	slices.SortFunc(out, compareTaken)
	// Behind the end of a list that goes on, what is of the other would hide what comes next of it.
	for _, l := range []struct {
		list []telemetry.Taken
		more bool
	}{{made, madeMore}, {given, givenMore}} {
		if l.more {
			end, _ := slices.BinarySearchFunc(out, l.list[len(l.list)-1], compareTaken)
			out = out[:min(end+1, len(out))]
		}
	}
	return out[:min(limit, len(out))], madeMore || givenMore || len(out) > limit, nil
}

func compareTaken(a, b telemetry.Taken) int {
	x, y := a.Number.UUID(), b.Number.UUID()
	return bytes.Compare(x[:], y[:])
}

// takeSome reads rows until there are limit of them or their payloads come to telemetry.MaxTakenBytes, and says whether there may be more.
func (r *EventRepo) takeSome(
	ctx context.Context, scan func(scanner) (telemetry.Taken, error), limit int, q string, args ...any,
) (out []telemetry.Taken, more bool, err error) {
	rows, err := r.s.read(ctx).QueryContext(ctx, q, args...)
	if err != nil {
		return nil, false, mapErr(err)
	}
	defer rows.Close()
	for size := 0; rows.Next(); {
		t, err := scan(rows)
		if err != nil {
			return nil, false, mapErr(err)
		}
		out = append(out, t)
		if size += len(t.Event.Payload); len(out) == limit || size >= telemetry.MaxTakenBytes {
			return out, true, nil
		}
	}
	return out, false, mapErr(rows.Err())
}

// scanAfter reads a row whose first column is another one's.
type scanAfter struct {
	scanner
	first any
}

// Scan implements scanner.
func (s scanAfter) Scan(dest ...any) error { return s.scanner.Scan(append([]any{s.first}, dest...)...) }

// Numbers implements telemetry.TailRepository.
func (r *EventRepo) Numbers(ctx context.Context, sc account.Scope, f telemetry.Filter, after, until id.Report) ([]id.Report, error) {
	from, args := r.made(sc, f, after, until)
	made, err := queryAll(ctx, r.s.read(ctx), scanReport, "SELECT id"+from, args...)
	if err != nil {
		return nil, err
	}
	from, args = r.arrived(sc, f, after, until)
	given, err := queryAll(ctx, r.s.read(ctx), scanReport, "SELECT number"+from, args...)
	return append(made, given...), err
}

// made returns where the events are that the server gave ids to, between two numbers.
func (r *EventRepo) made(sc account.Scope, f telemetry.Filter, after, until id.Report) (from string, args []any) {
	table, w := r.where(sc, f)
	given := "given = 0"
	if r.s.postgres() {
		given = "NOT given"
	}
	w.and(given)
	first, _ := madeAt(after.UUID())
	last, _ := madeAt(until.UUID())
	w.and("(at, id) > (?, ?)", first, r.s.uuid(after.UUID()))
	w.and("(at, id) < (?, ?)", last, r.s.uuid(until.UUID()))
	return " FROM " + table + " WHERE " + w.sql(), w.args
}

// arrived returns where the events are that the ledger of spans has numbers for, between two of them.
func (r *EventRepo) arrived(sc account.Scope, f telemetry.Filter, after, until id.Report) (from string, args []any) {
	_, w := r.where(sc, f)
	w.and(r.given())
	table := "telemetry_events"
	if !r.s.postgres() {
		table += " INDEXED BY telemetry_events_given"
	}
	from = " FROM (SELECT event_id, number FROM span_arrivals WHERE tenant_id = ? AND number > ? AND number < ?) AS a CROSS JOIN " + table +
		" WHERE id = event_id AND " + w.sql()
	return from, append([]any{r.s.uuid(sc.Tenant.UUID()), r.s.uuid(after.UUID()), r.s.uuid(until.UUID())}, w.args...)
}
