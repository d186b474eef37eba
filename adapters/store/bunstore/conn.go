package bunstore

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"encoding/json"
	"reflect"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/uptrace/bun"
	"github.com/uptrace/bun/schema"
)

// conn is a transaction or the pool of readers. It hands a statement's arguments to the database beside its text, so that each
// connection parses and plans the statement once; bun would write them into the text, and parsing takes longer than most
// statements run. Those with an argument that only bun can write, such as a list, go through bun.
//
// A statement has ? for each argument and no other question mark. Where Postgres cannot tell the type of an argument from
// its place, the statement casts it.
type conn struct {
	bun.IDB
	std      standard
	postgres bool
}

// standard is what *sql.DB and *sql.Tx have in common.
type standard interface {
	ExecContext(ctx context.Context, q string, args ...any) (sql.Result, error)
	QueryContext(ctx context.Context, q string, args ...any) (*sql.Rows, error)
	QueryRowContext(ctx context.Context, q string, args ...any) *sql.Row
}

// ExecContext implements bun.IConn.
func (c conn) ExecContext(ctx context.Context, q string, args ...any) (sql.Result, error) {
	if q, args, ok := c.prepared(q, args); ok {
		return c.std.ExecContext(ctx, q, args...)
	}
	return c.IDB.ExecContext(ctx, q, args...)
}

// QueryContext implements bun.IConn.
func (c conn) QueryContext(ctx context.Context, q string, args ...any) (*sql.Rows, error) {
	if q, args, ok := c.prepared(q, args); ok {
		return c.std.QueryContext(ctx, q, args...)
	}
	return c.IDB.QueryContext(ctx, q, args...)
}

// QueryRowContext implements bun.IConn.
func (c conn) QueryRowContext(ctx context.Context, q string, args ...any) *sql.Row {
	if q, args, ok := c.prepared(q, args); ok {
		return c.std.QueryRowContext(ctx, q, args...)
	}
	return c.IDB.QueryRowContext(ctx, q, args...)
}

// unprepared returns db without its memory for statements, for one whose text depends on how much there is to write: it will
// hardly come again.
func unprepared(db bun.IDB) bun.IDB {
	if c, ok := db.(conn); ok {
		return c.IDB
	}
	return db
}

// prepared returns what the driver gets, unless an argument needs bun.
func (c conn) prepared(q string, args []any) (string, []any, bool) {
	for _, a := range args {
		if !plain(a) {
			return q, args, false
		}
	}
	if !c.postgres {
		return q, args, true
	}
	pgArgs := make([]any, 0, len(args)+1)
	pgArgs = append(pgArgs, pgx.QueryExecModeCacheStatement)
	for _, a := range args {
		// pgx would first try the binary form of the column's type on what turns out to be a text.
		if v, ok := a.(driver.Valuer); ok {
			if value, err := v.Value(); err == nil {
				a = value
			}
		}
		pgArgs = append(pgArgs, a)
	}
	return numbered(q), pgArgs, true
}

// plain reports whether a driver stores the argument as bun would.
func plain(arg any) bool {
	switch arg.(type) {
	case schema.QueryAppender, json.RawMessage:
		return false
	case nil, []byte, driver.Valuer:
		return true
	}
	switch reflect.TypeOf(arg).Kind() {
	case reflect.String, reflect.Bool, reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64, reflect.Float64:
		return true
	}
	return false
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
