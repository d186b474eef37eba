package bunstore

import (
	"context"
	"database/sql"
	"strconv"
	"strings"
	"sync"

	"github.com/jackc/pgx/v5"
)

// execHot runs a statement of a path on which every round trip and every parse counts, in the transaction in ctx. q has
// ? for each argument and no other question mark. bun would write the arguments into the text, so that the database had
// to parse and plan it every time; here Postgres prepares it once per connection, and SQLite once per group of
// transactions that share a commit.
func (s *Store) execHot(ctx context.Context, q string, args ...any) (sql.Result, error) {
	tx := s.current(ctx).tx.Tx
	if s.postgres() {
		res, err := tx.ExecContext(ctx, numbered(q), append([]any{pgx.QueryExecModeCacheStatement}, args...)...)
		return res, mapErr(err)
	}
	stmt, err := s.hotStmts.get(ctx, tx, q)
	if err != nil {
		return nil, mapErr(err)
	}
	res, err := stmt.ExecContext(ctx, args...)
	return res, mapErr(err)
}

// queryRowHot is execHot for a statement that returns one row, which scan reads; errors come as they are.
func (s *Store) queryRowHot(ctx context.Context, scan func(row scanner) error, q string, args ...any) error {
	tx := s.current(ctx).tx.Tx
	if s.postgres() {
		return scan(tx.QueryRowContext(ctx, numbered(q), append([]any{pgx.QueryExecModeCacheStatement}, args...)...))
	}
	stmt, err := s.hotStmts.get(ctx, tx, q)
	if err != nil {
		return err
	}
	return scan(stmt.QueryRowContext(ctx, args...))
}

// hotStmts are the statements that SQLite's current transaction has prepared. They end with it, but the group that shares
// it has dozens of closures when it matters.
type hotStmts struct {
	mu    sync.Mutex
	tx    *sql.Tx // whose they are; held, so that no other transaction can have its address
	stmts map[string]*sql.Stmt
}

func (h *hotStmts) get(ctx context.Context, tx *sql.Tx, q string) (*sql.Stmt, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.tx != tx {
		h.tx, h.stmts = tx, map[string]*sql.Stmt{}
	}
	if stmt, ok := h.stmts[q]; ok {
		return stmt, nil
	}
	stmt, err := tx.PrepareContext(ctx, q)
	if err == nil {
		h.stmts[q] = stmt
	}
	return stmt, err
}

// numbered turns every ? into $1, $2, ...
func numbered(q string) string {
	var b strings.Builder
	b.Grow(len(q) + 32)
	for n := 1; ; n++ {
		before, after, found := strings.Cut(q, "?")
		b.WriteString(before)
		if !found {
			return b.String()
		}
		b.WriteByte('$')
		b.WriteString(strconv.Itoa(n))
		q = after
	}
}
