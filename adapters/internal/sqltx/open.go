package sqltx

import (
	"context"
	"database/sql"
	"fmt"
	"net/url"
	"path/filepath"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"modernc.org/sqlite"
)

// SQLiteBusyTimeout is how long one connection waits for another one's write lock.
const SQLiteBusyTimeout = 5 * time.Second

// SQLiteOptions say what a handle on a SQLite file is for.
type SQLiteOptions struct {
	ReadOnly bool // refuse every statement that writes
	MaxOpen  int  // connections at most; 0 is 1
}

// OpenSQLite opens the database file at path in WAL mode with synchronous=FULL: a committed transaction survives the loss of
// power. Transactions of a writing handle take the write lock when they begin, so that none fails halfway through.
func OpenSQLite(path string, o SQLiteOptions) (*sql.DB, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("sqltx: %w", err)
	}
	q := url.Values{"_pragma": {
		fmt.Sprintf("busy_timeout(%d)", SQLiteBusyTimeout.Milliseconds()),
		"journal_mode(WAL)",
		"synchronous(FULL)",
		"foreign_keys(ON)",
		"temp_store(MEMORY)",
		"journal_size_limit(67108864)",
	}}
	if o.ReadOnly {
		q["_pragma"] = append(q["_pragma"], "query_only(ON)")
	} else {
		q.Set("_txlock", "immediate")
	}
	u := url.URL{Scheme: "file", Path: abs, RawQuery: q.Encode()}
	connector, err := sqlite.NewConnector(u.String())
	if err != nil {
		return nil, fmt.Errorf("sqltx: open %s: %w", path, err)
	}
	db := sql.OpenDB(statementConnector{connector})
	n := max(o.MaxOpen, 1)
	db.SetMaxOpenConns(n)
	db.SetMaxIdleConns(n)
	return db, nil
}

// OpenPostgres opens a pool of at most maxOpen connections (0 is 16) and checks that the server answers.
func OpenPostgres(ctx context.Context, address string, maxOpen int) (*sql.DB, error) {
	cfg, err := PostgresConfig(address)
	if err != nil {
		return nil, err
	}
	db := stdlib.OpenDB(*cfg)
	if maxOpen <= 0 {
		maxOpen = 16
	}
	db.SetMaxOpenConns(maxOpen)
	db.SetMaxIdleConns(maxOpen)
	db.SetConnMaxIdleTime(5 * time.Minute)
	if err := db.PingContext(ctx); err != nil {
		_ = db.Close()
		return nil, fmt.Errorf("sqltx: connect to Postgres: %w", err)
	}
	return db, nil
}

// PostgresConfig parses a postgres:// address. Errors do not repeat the address, since it may hold a password.
func PostgresConfig(address string) (*pgx.ConnConfig, error) {
	cfg, err := pgx.ParseConfig(address)
	if err != nil {
		return nil, fmt.Errorf("sqltx: the Postgres address cannot be read: %w", err)
	}
	// bun writes arguments into the statement's text, so no statement comes twice: preparing and caching them costs a round
	// trip and gains nothing.
	cfg.DefaultQueryExecMode = pgx.QueryExecModeExec
	return cfg, nil
}
