package bunstore

import (
	"context"
	"database/sql"
	"strings"

	"github.com/uptrace/bun"

	"github.com/bureau-agents/bureau/core/session"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/page"
)

// where gathers the conditions of a query.
type where struct {
	conds []string
	args  []any
}

func newWhere(cond string, args ...any) *where { return &where{[]string{cond}, args} }

func (w *where) and(cond string, args ...any) {
	w.conds = append(w.conds, cond)
	w.args = append(w.args, args...)
}

func (w *where) between(column string, r session.TimeRange) {
	if !r.From.IsZero() {
		op := ">="
		if r.ExcludeFrom {
			op = ">"
		}
		w.and(column+" "+op+" ?", at(r.From))
	}
	if !r.To.IsZero() {
		op := "<="
		if r.ExcludeTo {
			op = "<"
		}
		w.and(column+" "+op+" ?", at(r.To))
	}
}

func (w *where) sql() string { return strings.Join(w.conds, " AND ") }

// affected returns how many rows a statement changed.
func affected(res sql.Result, err error) (int64, error) {
	if err != nil {
		return 0, mapErr(err)
	}
	n, err := res.RowsAffected()
	return n, mapErr(err)
}

// queryAll reads every row of a query with scan.
func queryAll[T any](ctx context.Context, db bun.IDB, scan func(scanner) (T, error), q string, args ...any) ([]T, error) {
	rows, err := db.QueryContext(ctx, q, args...)
	if err != nil {
		return nil, mapErr(err)
	}
	defer rows.Close()
	var out []T
	for rows.Next() {
		v, err := scan(rows)
		if err != nil {
			return nil, mapErr(err)
		}
		out = append(out, v)
	}
	return out, mapErr(rows.Err())
}

// total counts the rows of a list when the request asks for it. cond is the list's condition without that of its pages.
func (s *Store) total(ctx context.Context, req page.Request, table, cond string, args ...any) (n int, err error) {
	if !req.Count {
		return 0, nil
	}
	err = s.read(ctx).QueryRowContext(ctx, "SELECT count(*) FROM "+table+" WHERE "+cond, args...).Scan(&n)
	return n, mapErr(err)
}

// newestFirst reads a page of a list that is ordered by id, from the last one on. q ends in its conditions, to which the page's is added.
func newestFirst[K id.Kind, T any](
	ctx context.Context, db bun.IDB, req page.Request, scan func(scanner) (T, error), key func(T) id.ID[K], q string, args ...any,
) (page.Page[T], error) {
	if req.Cursor != "" {
		before, err := decodeIDCursor[K](req.Cursor)
		if err != nil {
			return page.Page[T]{}, err
		}
		q += " AND id < ?"
		args = append(args, before)
	}
	found, err := queryAll(ctx, db, scan, q+" ORDER BY id DESC LIMIT ?", append(args, req.Size()+1)...)
	if err != nil {
		return page.Page[T]{}, err
	}
	return pageOf(found, req.Size(), func(v T) (T, error) { return v, nil }, func(v T) []string { return []string{key(v).String()} })
}
