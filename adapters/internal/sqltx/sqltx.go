// Package sqltx carries a store's SQL transaction through the context, so that adapters that are not the store (the job
// queue) can write in the transaction that a service opened with ports/tx. It also opens the databases, so that all of them
// get the same settings.
package sqltx

import (
	"context"
	"database/sql"
	"sync/atomic"
)

// Dialect says which database is behind a Handle.
type Dialect uint8

// The dialects.
const (
	SQLite Dialect = iota + 1
	Postgres
)

// String returns "sqlite" or "postgres".
func (d Dialect) String() string {
	if d == Postgres {
		return "postgres"
	}
	return "sqlite"
}

// Handle is what a store shows of itself to the adapters beside it. Its identity is the store's: a transaction is found only
// through the Handle that it was bound with. It is safe for concurrent use.
type Handle struct {
	// Dialect is the kind of database.
	Dialect Dialect
	// DB is the pool of connections. On SQLite these are the readers, which refuse to write.
	DB *sql.DB
	// Path is SQLite's database file, for adapters that need a writing connection of their own; "" on Postgres.
	Path string
	// URL is the address of the Postgres database; "" on SQLite.
	URL string
}

// MigrationLock is the key of the Postgres advisory lock under which schemas change.
const MigrationLock int64 = 0x62757265617501 // "bureau", 1

type ctxKey struct{ h *Handle }

type binding struct {
	tx    *sql.Tx
	ended atomic.Bool
}

// Bind returns a context that carries tx, and a function that the owner calls once the transaction is over: from then on From
// finds nothing, so that a context that outlives its transaction cannot write into somebody else's.
func (h *Handle) Bind(ctx context.Context, tx *sql.Tx) (context.Context, func()) {
	b := &binding{tx: tx}
	return context.WithValue(ctx, ctxKey{h}, b), func() { b.ended.Store(true) }
}

// From returns the transaction of this store that ctx carries.
func (h *Handle) From(ctx context.Context) (*sql.Tx, bool) {
	b, ok := ctx.Value(ctxKey{h}).(*binding)
	if !ok || b.ended.Load() {
		return nil, false
	}
	return b.tx, true
}
