package bunstore

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"database/sql/driver"
	"embed"
	"encoding/hex"
	"fmt"
	"io/fs"
	"log/slog"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/stdlib"

	"github.com/bureau-agents/bureau/adapters/internal/sqltx"
)

//go:embed migrations
var migrationFiles embed.FS

type migration struct {
	number int
	name   string // NNNN_name
	text   string
	digest string // SHA-256 of text, hex
}

// readMigrations returns the files of a dialect by number. Two files with one number are an error: their order would be chance.
func readMigrations(files fs.FS, dialect string) ([]migration, error) {
	names, err := fs.Glob(files, path.Join("migrations", dialect, "*.sql"))
	if err != nil {
		return nil, fmt.Errorf("bunstore: %w", err)
	}
	out := make([]migration, 0, len(names))
	for _, n := range names {
		text, err := fs.ReadFile(files, n)
		if err != nil {
			return nil, fmt.Errorf("bunstore: %w", err)
		}
		name := strings.TrimSuffix(path.Base(n), ".sql")
		digits, _, _ := strings.Cut(name, "_")
		number, err := strconv.Atoi(digits)
		if err != nil || len(digits) != 4 {
			return nil, fmt.Errorf("bunstore: migration %s: the name must begin with four digits", n)
		}
		sum := sha256.Sum256(text)
		out = append(out, migration{number, name, string(text), hex.EncodeToString(sum[:])})
	}
	slices.SortFunc(out, func(a, b migration) int { return a.number - b.number })
	for i := 1; i < len(out); i++ {
		if out[i].number == out[i-1].number {
			return nil, fmt.Errorf("bunstore: migrations %s and %s have one number", out[i-1].name, out[i].name)
		}
	}
	return out, nil
}

// migrationWait is how long a process waits for another one that migrates the same SQLite file.
const migrationWait = 2 * time.Minute

// migrate applies what is missing, all of it in one transaction, while no other process does the same.
func (s *Store) migrate(ctx context.Context) error {
	all, err := readMigrations(migrationFiles, s.handle.Dialect.String())
	if err != nil {
		return err
	}
	db := s.reader.DB
	if s.writer != nil {
		db = s.writer.db.DB
	}
	conn, err := db.Conn(ctx)
	if err != nil {
		return fmt.Errorf("bunstore: migrate: %w", err)
	}
	defer conn.Close()
	begin := "BEGIN IMMEDIATE"
	if s.postgres() {
		begin = "BEGIN"
		if _, err := conn.ExecContext(ctx, "SELECT pg_advisory_lock($1)", sqltx.MigrationLock); err != nil {
			return fmt.Errorf("bunstore: migrate: %w", err)
		}
		defer func() {
			_, _ = conn.ExecContext(context.WithoutCancel(ctx), "SELECT pg_advisory_unlock($1)", sqltx.MigrationLock)
		}()
	} else {
		if err := busyTimeout(ctx, conn, migrationWait); err != nil {
			return fmt.Errorf("bunstore: migrate: %w", err)
		}
		defer func() { _ = busyTimeout(context.WithoutCancel(ctx), conn, sqltx.SQLiteBusyTimeout) }()
	}
	// The transaction is SQLite's lock.
	if err := execScript(ctx, conn, begin+`; CREATE TABLE IF NOT EXISTS bureau_migrations (
		number integer PRIMARY KEY, name text NOT NULL, digest text NOT NULL, applied_at text NOT NULL)`); err != nil {
		return fmt.Errorf("bunstore: migrate: %w", err)
	}
	if err := s.applyMissing(ctx, conn, all); err != nil {
		_ = execScript(context.WithoutCancel(ctx), conn, "ROLLBACK")
		return err
	}
	if err := execScript(ctx, conn, "COMMIT"); err != nil {
		return fmt.Errorf("bunstore: migrate: %w", err)
	}
	return nil
}

// busyTimeout says how long a connection to SQLite waits for another one that writes.
func busyTimeout(ctx context.Context, conn *sql.Conn, d time.Duration) error {
	return execScript(ctx, conn, fmt.Sprintf("PRAGMA busy_timeout = %d", d.Milliseconds()))
}

func (s *Store) applyMissing(ctx context.Context, conn *sql.Conn, all []migration) error {
	there, err := appliedMigrations(ctx, conn)
	if err != nil {
		return fmt.Errorf("bunstore: migrate: %w", err)
	}
	for _, m := range all {
		switch digest, ok := there[m.number]; {
		case !ok:
			if err := s.applyMigration(ctx, conn, m); err != nil {
				return fmt.Errorf("bunstore: migration %s: %w", m.name, err)
			}
		case digest != m.digest:
			return fmt.Errorf("bunstore: migration %s: the file is not the one that this database was made with (number %d)", m.name, m.number)
		}
	}
	return nil
}

// appliedMigrations returns the digests of the migrations that the database was made with, by their numbers.
func appliedMigrations(ctx context.Context, conn *sql.Conn) (map[int]string, error) {
	rows, err := conn.QueryContext(ctx, "SELECT number, digest FROM bureau_migrations")
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	there := map[int]string{}
	for rows.Next() {
		var number int
		var digest string
		if err := rows.Scan(&number, &digest); err != nil {
			return nil, err
		}
		there[number] = digest
	}
	return there, rows.Err()
}

func (s *Store) applyMigration(ctx context.Context, conn *sql.Conn, m migration) error {
	if err := execScript(ctx, conn, m.text); err != nil {
		if s.postgres() && strings.Contains(m.text, "EXTENSION") {
			return fmt.Errorf("the extension pgvector is needed: install it on the server (package postgresql-17-pgvector, "+
				"image pgvector/pgvector:pg17) or let a superuser run CREATE EXTENSION vector in this database: %w", err)
		}
		return err
	}
	now := "strftime('%Y-%m-%dT%H:%M:%fZ', 'now')"
	if s.postgres() {
		now = "now()::text"
	}
	if err := execScript(ctx, conn, fmt.Sprintf("INSERT INTO bureau_migrations (number, name, digest, applied_at) VALUES (%d, '%s', '%s', %s)",
		m.number, strings.ReplaceAll(m.name, "'", "''"), m.digest, now)); err != nil {
		return err
	}
	s.log.LogAttrs(ctx, slog.LevelDebug, "migration applied", slog.String("name", m.name))
	return nil
}

// execScript runs any number of statements. pgx takes several at once only in the simple protocol.
func execScript(ctx context.Context, conn *sql.Conn, script string) error {
	return conn.Raw(func(dc any) error {
		if pg, ok := dc.(*stdlib.Conn); ok {
			_, err := pg.Conn().PgConn().Exec(ctx, script).ReadAll()
			return err
		}
		ex, ok := dc.(driver.ExecerContext)
		if !ok {
			return fmt.Errorf("driver %T cannot run scripts", dc)
		}
		_, err := ex.ExecContext(ctx, script, nil)
		return err
	})
}
