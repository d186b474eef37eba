package bunstore

import (
	"context"
	"testing"

	"github.com/uptrace/bun"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/audit/audittest"
	"github.com/bureau-agents/bureau/ports/id"
)

func TestAudit(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, s *Store) {
		audittest.Run(t, audittest.Config{New: func(*testing.T) audittest.Store {
			return audittest.Store{
				TX: s, Repository: s.Audit(), Seals: s.Audit(), Overlapping: s.postgres(),
				Tamper: func(ctx context.Context, sc account.Scope, e id.AuditEntry, metadata string) error {
					return s.write(ctx, func(ctx context.Context, db bun.IDB) error {
						q, args := "UPDATE audit_entries SET metadata = ? WHERE tenant_id = ? AND id = ?", []any{metadata, sc.Tenant, e}
						if metadata == "" {
							q, args = "DELETE FROM audit_entries WHERE tenant_id = ? AND id = ?", args[1:]
						}
						_, err := db.ExecContext(ctx, q, args...)
						return err
					})
				},
			}
		}})
	})
}
