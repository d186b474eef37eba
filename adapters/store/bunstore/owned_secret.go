package bunstore

import (
	"context"

	"github.com/uptrace/bun"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/secret"
)

// OwnedSecretRepo keeps the secrets of agents and swarms. It implements secret.OwnedRepository.
type OwnedSecretRepo struct{ s *Store }

var _ secret.OwnedRepository = (*OwnedSecretRepo)(nil)

// OwnedSecrets returns the repository of agents' and swarms' secrets.
func (s *Store) OwnedSecrets() *OwnedSecretRepo { return &OwnedSecretRepo{s} }

// ownedBy is the condition for an owner's rows.
func ownedBy(sc account.Scope, o secret.Owner) *where {
	return newWhere("tenant_id = ? AND kind = ? AND owner_id = ?", sc.Tenant, o.Kind(), ownerColumn(o))
}

func ownerColumn(o secret.Owner) any {
	if o.Swarm.IsZero() {
		return o.Agent
	}
	return o.Swarm
}

// LockOwned implements secret.OwnedRepository.
func (r *OwnedSecretRepo) LockOwned(ctx context.Context, sc account.Scope, o secret.Owner) error {
	return r.s.lock(ctx, "owned_secrets:"+sc.Tenant.UUID().String()+":"+o.Kind()+":"+o.UUID())
}

// PutOwned implements secret.OwnedRepository.
func (r *OwnedSecretRepo) PutOwned(ctx context.Context, sc account.Scope, o secret.Owner, rec secret.OwnedRecord) error {
	return r.s.write(ctx, func(ctx context.Context, db bun.IDB) error {
		_, err := db.ExecContext(ctx, `INSERT INTO owned_secrets (tenant_id, kind, owner_id, name, sealed, updated_at) VALUES (?, ?, ?, ?, ?, ?)
			ON CONFLICT (tenant_id, kind, owner_id, name) DO UPDATE SET sealed = excluded.sealed, updated_at = excluded.updated_at`,
			sc.Tenant, o.Kind(), ownerColumn(o), rec.Name, rec.Sealed, at(rec.UpdatedAt))
		return mapErr(err)
	})
}

// DeleteOwned implements secret.OwnedRepository.
func (r *OwnedSecretRepo) DeleteOwned(ctx context.Context, sc account.Scope, o secret.Owner, names []string) error {
	w := ownedBy(sc, o)
	w.and("name IN (?)", bun.List(names))
	return r.delete(ctx, w)
}

// ForgetOwned implements secret.OwnedRepository.
func (r *OwnedSecretRepo) ForgetOwned(ctx context.Context, sc account.Scope, o secret.Owner) error {
	return r.delete(ctx, ownedBy(sc, o))
}

func (r *OwnedSecretRepo) delete(ctx context.Context, w *where) error {
	return r.s.write(ctx, func(ctx context.Context, db bun.IDB) error {
		_, err := db.ExecContext(ctx, "DELETE FROM owned_secrets WHERE "+w.sql(), w.args...)
		return mapErr(err)
	})
}

// Owned implements secret.OwnedRepository.
func (r *OwnedSecretRepo) Owned(ctx context.Context, sc account.Scope, o secret.Owner) ([]secret.OwnedRecord, error) {
	order := " ORDER BY name"
	if r.s.postgres() {
		order += ` COLLATE "C"`
	}
	w := ownedBy(sc, o)
	return queryAll(ctx, r.s.read(ctx), func(row scanner) (secret.OwnedRecord, error) {
		var rec secret.OwnedRecord
		var updated stamp
		err := row.Scan(&rec.Name, &rec.Sealed, &updated)
		rec.UpdatedAt = updated.Time()
		return rec, err
	}, "SELECT name, sealed, updated_at FROM owned_secrets WHERE "+w.sql()+order, w.args...)
}
