// Package bunstore is the store: every repository of core on uptrace/bun, for SQLite (the embedded default) and Postgres with
// pgvector.
//
// # Transactions
//
// Store is the tx.Runner of the server. The transaction travels in the context: repositories read through Store.read and write
// through Store.write, which join it, and adapters/internal/sqltx shows it to the job queue.
//
// SQLite has one writer. Closures given to Do are serialised, each in a SAVEPOINT, and committed in groups: whatever has
// queued up while the disk was busy shares the next COMMIT, and nobody's Do returns before it. A closure that has begun is not
// interrupted when its context ends, because SQLite would roll back the whole group with it; its result is discarded instead.
//
// On Postgres a failed statement aborts its transaction. A closure that goes on after an expected conflict therefore uses
// ON CONFLICT, which works on both.
//
// # Rows
//
// Row structs are unexported and end in Row. Ids are typed ids of ports/id (uuid on Postgres, TEXT on SQLite), times are stamp
// (TIMESTAMPTZ, TEXT of fixed width), JSON is json.RawMessage (JSONB or TEXT). SQL is written so that it runs on both; where it
// cannot, Store.postgres decides.
//
// # Migrations
//
// The files migrations/{sqlite,postgres}/NNNN_name.sql run in order of their number at Open, under a lock, each in a
// transaction of its own, and are recorded in bureau_migrations. A released file is never edited.
package bunstore
