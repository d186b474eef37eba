package bunstore

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"github.com/uptrace/bun"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/span"
	"github.com/bureau-agents/bureau/ports/id"
)

// SpanRepo notes which spans and log records were taken. It implements span.Ledger.
type SpanRepo struct{ s *Store }

var _ span.Ledger = (*SpanRepo)(nil)

// Spans returns the ledger of spans and log records.
func (s *Store) Spans() *SpanRepo { return &SpanRepo{s} }

// arrivalBatch is how many rows one statement writes or looks for.
const arrivalBatch = 500

// Take implements span.Ledger.
func (r *SpanRepo) Take(ctx context.Context, sc account.Scope, arrivals []span.Arrival) (map[id.Report]bool, error) {
	fresh := make(map[id.Report]bool, len(arrivals))
	// In one order whoever comes, so that two exports of the same spans wait for each other only one way round.
	sorted := slices.SortedFunc(slices.Values(arrivals), func(a, b span.Arrival) int { return cmp.Compare(a.Event.String(), b.Event.String()) })
	err := r.s.write(ctx, func(ctx context.Context, db bun.IDB) error {
		for batch := range slices.Chunk(sorted, arrivalBatch) {
			args := make([]any, 0, 4*len(batch))
			for _, a := range batch {
				args = append(args, r.s.uuid(sc.Tenant.UUID()), r.s.uuid(a.Event.UUID()), r.s.uuid(a.Number.UUID()), r.s.uuid(a.Parent.UUID()))
			}
			found, err := queryAll(ctx, unprepared(db), scanReport, "INSERT INTO span_arrivals (tenant_id, event_id, number, parent_id) VALUES "+
				strings.TrimSuffix(strings.Repeat("(?, ?, ?, ?), ", len(batch)), ", ")+" ON CONFLICT DO NOTHING RETURNING event_id", args...)
			if err != nil {
				return err
			}
			for _, event := range found {
				fresh[event] = true
			}
		}
		return nil
	})
	return fresh, err
}

func scanReport(row scanner) (id.Report, error) {
	var c uuidColumn[id.ReportKind]
	err := row.Scan(&c)
	return c.id, err
}

// in returns the ids for a condition with IN, with the question marks for them.
func (r *SpanRepo) in(sc account.Scope, events []id.Report) (marks string, args []any) {
	args = append(make([]any, 0, len(events)+1), r.s.uuid(sc.Tenant.UUID()))
	for _, e := range events {
		args = append(args, r.s.uuid(e.UUID()))
	}
	return "(" + strings.TrimSuffix(strings.Repeat("?, ", len(events)), ", ") + ")", args
}

// Kin implements span.Ledger.
func (r *SpanRepo) Kin(ctx context.Context, sc account.Scope, events []id.Report) (billed, above map[id.Report]bool, err error) {
	billed, above = make(map[id.Report]bool), make(map[id.Report]bool)
	for batch := range slices.Chunk(events, arrivalBatch) {
		marks, args := r.in(sc, batch)
		for column, found := range map[string]map[id.Report]bool{"event_id": billed, "parent_id": above} {
			ids, err := queryAll(ctx, unprepared(r.s.read(ctx)), scanReport,
				"SELECT "+column+" FROM span_arrivals WHERE tenant_id = ? AND billed = 1 AND "+column+" IN "+marks, args...)
			if err != nil {
				return nil, nil, err
			}
			for _, event := range ids {
				found[event] = true
			}
		}
	}
	return billed, above, nil
}

// SetBilled implements span.Ledger.
func (r *SpanRepo) SetBilled(ctx context.Context, sc account.Scope, events []id.Report) error {
	return r.s.write(ctx, func(ctx context.Context, db bun.IDB) error {
		for batch := range slices.Chunk(events, arrivalBatch) {
			marks, args := r.in(sc, batch)
			if _, err := unprepared(db).ExecContext(ctx, "UPDATE span_arrivals SET billed = 1 WHERE tenant_id = ? AND event_id IN "+marks, args...); err != nil {
				return mapErr(err)
			}
		}
		return nil
	})
}

// Forget implements span.Ledger.
func (r *SpanRepo) Forget(ctx context.Context, sc account.Scope, before id.Report, limit int) error {
	tenant := r.s.uuid(sc.Tenant.UUID())
	return r.s.write(ctx, func(ctx context.Context, db bun.IDB) error {
		_, err := db.ExecContext(ctx, `DELETE FROM span_arrivals WHERE tenant_id = ? AND event_id IN (
			SELECT event_id FROM span_arrivals WHERE tenant_id = ? AND number < ? ORDER BY number LIMIT ?)`, tenant, tenant, r.s.uuid(before.UUID()), limit)
		return mapErr(err)
	})
}
