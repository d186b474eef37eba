package apptest

import (
	"context"
	"errors"
	"log/slog"
	"path/filepath"
	"testing"

	"github.com/bureau-agents/bureau/adapters/jobs/river"
	"github.com/bureau-agents/bureau/adapters/store/bunstore"
	"github.com/bureau-agents/bureau/adapters/store/pgtest"
	"github.com/bureau-agents/bureau/adapters/store/sqlitetest"
)

// Databases as a server leaves them that has started and stopped at once.
var (
	migratedSQLite   = sqlitetest.NewTemplate(func(path string) error { return migrate(bunstore.Config{Path: path}) })
	migratedPostgres = pgtest.NewTemplate(func(address string) error { return migrate(bunstore.Config{URL: address}) })
)

func migrate(cfg bunstore.Config) error {
	ctx := context.Background()
	cfg.Logger = slog.New(slog.DiscardHandler)
	s, err := bunstore.Open(ctx, cfg)
	if err != nil {
		return err
	}
	q, err := river.New(ctx, river.Config{Store: s.SQL(), TX: s, Logger: cfg.Logger})
	if err == nil {
		err = q.Close()
	}
	return errors.Join(err, s.Close())
}

// DataDir returns a new data directory with the SQLite database of a server that has started once.
func DataDir(tb testing.TB) string {
	tb.Helper()
	dir := tb.TempDir()
	migratedSQLite.Copy(tb, filepath.Join(dir, databaseFile))
	return dir
}

// databaseFile is what the database is called in a data directory.
const databaseFile = "bureau.db"

// PostgresURL returns the address of a new Postgres database with every migration, for Config.DatabaseURL. It is dropped when the test ends.
func PostgresURL(tb testing.TB) string {
	tb.Helper()
	return migratedPostgres.URL(tb)
}
