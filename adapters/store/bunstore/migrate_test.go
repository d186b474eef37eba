package bunstore

import (
	"context"
	"log/slog"
	"strings"
	"testing"

	"github.com/bureau-agents/bureau/adapters/store/pgtest"
)

// TestChangedMigration refuses a database that was made with other files, and leaves it as it is.
func TestChangedMigration(t *testing.T) {
	t.Parallel()
	for name, cfg := range map[string]Config{"sqlite": {Path: t.TempDir() + "/bureau.db"}, "postgres": {URL: pgtest.URL(t), PoolSize: 2}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg.Logger = slog.New(slog.DiscardHandler)
			s := openStore(t, cfg)
			for _, statement := range []string{
				"UPDATE bureau_migrations SET digest = 'other' WHERE number = 20", "DELETE FROM bureau_migrations WHERE number = 130",
				"DROP TABLE agent_profiles",
			} {
				if err := s.Do(context.Background(), func(ctx context.Context) error {
					_, err := s.read(ctx).ExecContext(ctx, statement)
					return err
				}); err != nil {
					t.Fatal(err)
				}
			}
			if _, err := Open(context.Background(), cfg); err == nil || !strings.Contains(err.Error(), "0020_audit") {
				t.Errorf("opened, or another fault: %v", err)
			}
			if err := s.Do(context.Background(), func(ctx context.Context) error {
				_, err := s.read(ctx).ExecContext(ctx, "SELECT * FROM agent_profiles")
				return err
			}); err == nil {
				t.Error("a later migration was applied beside the one that is not what it was")
			}
			if err := s.Do(context.Background(), func(ctx context.Context) error {
				_, err := s.read(ctx).ExecContext(ctx, "DELETE FROM bureau_migrations WHERE number = 20")
				return err
			}); err != nil {
				t.Fatal(err)
			}
			if _, err := Open(context.Background(), cfg); err == nil { // its tables are there already
				t.Error("a migration was applied twice")
			}
		})
	}
}
