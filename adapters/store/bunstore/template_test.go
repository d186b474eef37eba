package bunstore

import (
	"context"
	"log/slog"
	"testing"

	"github.com/bureau-agents/bureau/adapters/store/pgtest"
	"github.com/bureau-agents/bureau/adapters/store/sqlitetest"
)

// migrated are databases with every migration, for tests that are not about migrating.
var (
	migratedSQLite   = sqlitetest.NewTemplate(func(path string) error { return openAndClose(Config{Path: path}) })
	migratedPostgres = pgtest.NewTemplate(func(address string) error { return openAndClose(Config{URL: address}) })
)

func openAndClose(cfg Config) error {
	cfg.Logger = slog.New(slog.DiscardHandler)
	s, err := Open(context.Background(), cfg)
	if err != nil {
		return err
	}
	return s.Close()
}

// sqlitePath returns the path of a migrated database of the test's own.
func sqlitePath(tb testing.TB) string {
	tb.Helper()
	path := tb.TempDir() + "/bureau.db"
	migratedSQLite.Copy(tb, path)
	return path
}

// postgresURL returns the address of a migrated database of the test's own.
func postgresURL(tb testing.TB) string {
	tb.Helper()
	return migratedPostgres.URL(tb)
}
