package bunstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/uptrace/bun"
	"github.com/uptrace/bun/dialect/pgdialect"
	"github.com/uptrace/bun/dialect/sqlitedialect"

	"github.com/bureau-agents/bureau/adapters/internal/sqltx"
	"github.com/bureau-agents/bureau/ports/tx"
)

// Config says where the data is. Exactly one of Path and URL is set.
type Config struct {
	// Path is SQLite's database file; its folder must exist. ":memory:" is a temporary file that Close removes.
	Path string
	// URL is the address of a Postgres database with the pgvector extension: "postgres://user:password@host/name".
	URL string
	// Readers is how many connections read at the same time on SQLite; 0 is 4.
	Readers int
	// PoolSize is how many connections are open at most on Postgres; 0 is 16.
	PoolSize int
	// WriterWait is how long Do waits for SQLite's writer before it gives up; 0 is 5 s.
	WriterWait time.Duration
	// Logger gets migrations and retries; nil is slog.Default().
	Logger *slog.Logger
}

// Store is an open database and the tx.Runner over it. It is safe for concurrent use.
type Store struct {
	log    *slog.Logger
	handle *sqltx.Handle
	reader *bun.DB // Postgres: the one pool
	writer *writer // SQLite only
	temp   string  // folder to remove at Close, if any
	slots  usageSlots
	events func() *EventRepo

	closeOnce sync.Once
	closeErr  error
}

var _ tx.Runner = (*Store)(nil)

// ErrClosed is returned by Do once the store is closed.
var ErrClosed = errors.New("bunstore: the store is closed")

// Open opens the database and brings its schema up to date under a lock, so that several processes may start at once.
func Open(ctx context.Context, cfg Config) (*Store, error) {
	if (cfg.Path == "") == (cfg.URL == "") {
		return nil, errors.New("bunstore: exactly one of Config.Path and Config.URL is required")
	}
	s := &Store{log: cfg.Logger}
	s.events = sync.OnceValue(func() *EventRepo { return &EventRepo{s, newEventJoiner(s)} })
	if s.log == nil {
		s.log = slog.Default()
	}
	open := s.openSQLite
	if cfg.URL != "" {
		open = s.openPostgres
	}
	if err := open(ctx, cfg); err != nil {
		_ = s.Close()
		return nil, err
	}
	if err := s.migrate(ctx); err != nil {
		_ = s.Close()
		return nil, err
	}
	return s, nil
}

func (s *Store) openSQLite(ctx context.Context, cfg Config) error {
	path := cfg.Path
	if path == ":memory:" {
		dir, err := os.MkdirTemp("", "bureau-db-")
		if err != nil {
			return fmt.Errorf("bunstore: %w", err)
		}
		s.temp, path = dir, filepath.Join(dir, "bureau.db")
	}
	// SQLite would let everyone read the file that it makes; its journal takes over what the file says.
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return fmt.Errorf("bunstore: %w", err)
	}
	if err := f.Close(); err != nil {
		return fmt.Errorf("bunstore: %w", err)
	}
	dialect := sqlitedialect.New()
	wdb, err := sqltx.OpenSQLite(path, sqltx.SQLiteOptions{MaxOpen: 1})
	if err != nil {
		return err
	}
	s.writer = startWriter(bun.NewDB(wdb, dialect), cfg.WriterWait)
	// The writer goes first: it creates the file and turns it to WAL, which the readers cannot.
	if err := pingPatiently(ctx, wdb); err != nil {
		return fmt.Errorf("bunstore: open %s: %w", cfg.Path, err)
	}
	readers := cfg.Readers
	if readers <= 0 {
		readers = 4
	}
	rdb, err := sqltx.OpenSQLite(path, sqltx.SQLiteOptions{ReadOnly: true, MaxOpen: readers})
	if err != nil {
		return err
	}
	s.reader = bun.NewDB(rdb, dialect)
	s.handle = &sqltx.Handle{Dialect: sqltx.SQLite, DB: rdb, Path: path}
	return nil
}

// pingPatiently opens a connection. While another process turns the file to WAL, or closes it as the last one, SQLite says at
// once that it is locked, without regard to busy_timeout.
func pingPatiently(ctx context.Context, db *sql.DB) error {
	for deadline := time.Now().Add(sqltx.SQLiteBusyTimeout); ; {
		err := db.PingContext(ctx)
		if !errors.Is(mapErr(err), errBusy) || time.Now().After(deadline) {
			return err
		}
		t := time.NewTimer(5*time.Millisecond + rand.N(10*time.Millisecond))
		select {
		case <-t.C:
		case <-ctx.Done():
			t.Stop()
			return ctx.Err()
		}
	}
}

func (s *Store) openPostgres(ctx context.Context, cfg Config) error {
	db, err := sqltx.OpenPostgres(ctx, cfg.URL, cfg.PoolSize)
	if err != nil {
		return err
	}
	s.reader = bun.NewDB(db, pgdialect.New())
	s.handle = &sqltx.Handle{Dialect: sqltx.Postgres, DB: db, URL: cfg.URL}
	return nil
}

// SQL returns the handle through which the adapters beside the store join its transactions.
func (s *Store) SQL() *sqltx.Handle { return s.handle }

// Close waits for the transactions that have begun and closes the database. Further calls return the first one's result.
func (s *Store) Close() error {
	s.closeOnce.Do(func() {
		var errs []error
		if s.reader != nil {
			errs = append(errs, s.reader.Close())
		}
		if s.writer != nil {
			errs = append(errs, s.writer.close())
		}
		if s.temp != "" {
			errs = append(errs, os.RemoveAll(s.temp))
		}
		s.closeErr = errors.Join(errs...)
	})
	return s.closeErr
}

// Ping reports whether the database answers.
func (s *Store) Ping(ctx context.Context) error {
	if err := s.reader.PingContext(ctx); err != nil {
		return fmt.Errorf("bunstore: %w", err)
	}
	return nil
}

type txKey struct{ s *Store }

// txState is one run of a closure given to Do.
type txState struct {
	tx               bun.Tx
	ended            atomic.Bool
	commit, rollback []func()
	counters         map[heldKey]heldState // see holds
	slots            []takenSlot           // see usageSlots
	conn             *sql.Conn             // Postgres: what tx runs on; nil for a transaction that only reads
}

// current returns the transaction in ctx, or nil. A context that outlives its transaction counts as outside.
func (s *Store) current(ctx context.Context) *txState {
	st, ok := ctx.Value(txKey{s}).(*txState)
	if !ok || st.ended.Load() {
		return nil
	}
	return st
}

// call runs fn with tx in its context.
func (s *Store) call(ctx context.Context, st *txState, fn func(context.Context) error) error {
	ctx, end := s.handle.Bind(ctx, st.tx.Tx)
	defer func() {
		st.ended.Store(true)
		end()
	}()
	return fn(context.WithValue(ctx, txKey{s}, st))
}

// Do implements tx.Runner.
func (s *Store) Do(ctx context.Context, fn func(ctx context.Context) error) error {
	if s.current(ctx) != nil {
		return fn(ctx)
	}
	st := &txState{}
	committed := false
	defer func() {
		if !committed { // also when fn panics
			for _, f := range st.rollback {
				f()
			}
		}
	}()
	var err error
	if s.writer != nil {
		err = s.writer.run(ctx, func(t bun.Tx) error {
			st.tx = t
			return s.call(context.WithoutCancel(ctx), st, fn)
		})
	} else {
		err = s.doPostgres(ctx, &st, fn)
	}
	if err != nil {
		return err
	}
	committed = true
	for _, f := range st.commit {
		f()
	}
	return nil
}

// maxAttempts is how often Do runs a closure that loses against others, the first time included.
const maxAttempts = 8

func (s *Store) doPostgres(ctx context.Context, st **txState, fn func(context.Context) error) error {
	return s.repeated(ctx, func() error {
		*st = &txState{}
		return s.tryPostgres(ctx, *st, fn)
	})
}

// repeated runs a transaction until it does not lose against others any more, or has been run maxAttempts times.
func (s *Store) repeated(ctx context.Context, transaction func() error) error {
	backoff := 2 * time.Millisecond
	for attempt := 1; ; attempt++ {
		err := transaction()
		if err == nil || attempt == maxAttempts || !isRetryable(err) {
			return err
		}
		s.log.LogAttrs(ctx, slog.LevelDebug, "transaction repeated", slog.Int("attempt", attempt), slog.Any("error", err))
		// Jitter parts those that collided; without it they meet again.
		t := time.NewTimer(backoff/2 + rand.N(backoff))
		select {
		case <-t.C:
		case <-ctx.Done():
			t.Stop()
			return err
		}
		backoff = min(2*backoff, 100*time.Millisecond)
	}
}

func (s *Store) tryPostgres(ctx context.Context, st *txState, fn func(context.Context) error) error {
	c, err := s.reader.Conn(ctx)
	if err != nil {
		return mapErr(err)
	}
	defer c.Close() // gives the connection back to the pool
	defer s.slots.free(st)
	// A caller who goes away ends fn's statements, but not a commit that is on its way: nobody would know what became of it.
	t, err := c.BeginTx(context.WithoutCancel(ctx), &sql.TxOptions{Isolation: sql.LevelReadCommitted})
	if err != nil {
		return mapErr(err)
	}
	done := false
	defer func() {
		if !done { // also when fn panics
			_ = t.Rollback()
		}
	}()
	st.tx, st.conn = t, c.Conn
	if err := s.call(ctx, st, fn); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	done = true
	return mapErr(t.Commit())
}

// AfterCommit implements tx.Runner.
func (s *Store) AfterCommit(ctx context.Context, fn func()) {
	if st := s.current(ctx); st != nil {
		st.commit = append(st.commit, fn)
		return
	}
	fn()
}

// OnRollback implements tx.Runner.
func (s *Store) OnRollback(ctx context.Context, fn func()) {
	if st := s.current(ctx); st != nil {
		st.rollback = append(st.rollback, fn)
	}
}

// read returns the transaction in ctx, else the pool of readers.
func (s *Store) read(ctx context.Context) bun.IDB {
	if st := s.current(ctx); st != nil {
		return s.inTx(st)
	}
	return conn{s.reader, s.reader.DB, s.postgres()}
}

func (s *Store) inTx(st *txState) bun.IDB { return conn{st.tx, st.tx.Tx, s.postgres()} }

// write runs fn in the transaction in ctx, else in one of its own. fn's context carries the transaction.
func (s *Store) write(ctx context.Context, fn func(ctx context.Context, db bun.IDB) error) error {
	return s.Do(ctx, func(ctx context.Context) error { return fn(ctx, s.inTx(s.current(ctx))) })
}

// postgres reports which dialect speaks.
func (s *Store) postgres() bool { return s.handle.Dialect == sqltx.Postgres }

// forUpdate is the clause that locks the rows of a SELECT against change and against other locks until the transaction ends.
// SQLite's transactions exclude each other as a whole.
func (s *Store) forUpdate() string {
	if s.postgres() {
		return " FOR UPDATE"
	}
	return ""
}

// forShare is the clause that locks the rows of a SELECT against change only.
func (s *Store) forShare() string {
	if s.postgres() {
		return " FOR SHARE"
	}
	return ""
}

// lock takes a lock that lasts until the end of the transaction in ctx, for what has no row to lock. Names share one space, so
// they begin with their context's: "knowledge:" + scope. On SQLite every transaction holds the one lock there is.
func (s *Store) lock(ctx context.Context, name string) error {
	if !s.postgres() {
		return nil
	}
	_, err := s.read(ctx).ExecContext(ctx, "SELECT pg_advisory_xact_lock(hashtextextended(?, 0))", name)
	return mapErr(err)
}
