package bunstore

import (
	"context"
	"database/sql"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"
)

// execHot runs a statement of a path on which every round trip and every parse counts, in the transaction in ctx. q has
// ? for each argument and no other question mark. On Postgres each connection prepares it once; bun would write the
// arguments into the text, so that the server had to parse and plan it every time.
func (s *Store) execHot(ctx context.Context, q string, args ...any) (sql.Result, error) {
	q, args = s.hot(q, args)
	res, err := s.current(ctx).tx.Tx.ExecContext(ctx, q, args...)
	return res, mapErr(err)
}

// queryRowHot is execHot for a statement that returns one row; errors come from Scan, not yet mapped.
func (s *Store) queryRowHot(ctx context.Context, q string, args ...any) *sql.Row {
	q, args = s.hot(q, args)
	return s.current(ctx).tx.Tx.QueryRowContext(ctx, q, args...)
}

func (s *Store) hot(q string, args []any) (string, []any) {
	if !s.postgres() {
		return q, args
	}
	return numbered(q), append([]any{pgx.QueryExecModeCacheStatement}, args...)
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
