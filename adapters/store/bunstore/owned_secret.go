package bunstore

import (
	"context"
	"time"

	"github.com/uptrace/bun"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/secret"
)

// OwnedSecretRepo keeps the secrets of agents and swarms. It implements secret.OwnedRepository and secret.RetiredRepository.
type OwnedSecretRepo struct{ s *Store }

var (
	_ secret.OwnedRepository   = (*OwnedSecretRepo)(nil)
	_ secret.RetiredRepository = (*OwnedSecretRepo)(nil)
)

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
	return r.delete(ctx, "owned_secrets", w)
}

// ForgetOwned implements secret.OwnedRepository.
func (r *OwnedSecretRepo) ForgetOwned(ctx context.Context, sc account.Scope, o secret.Owner) error {
	if err := r.delete(ctx, "retired_secrets", ownedBy(sc, o)); err != nil {
		return err
	}
	return r.delete(ctx, "owned_secrets", ownedBy(sc, o))
}

func (r *OwnedSecretRepo) delete(ctx context.Context, table string, w *where) error {
	return r.s.write(ctx, func(ctx context.Context, db bun.IDB) error {
		_, err := db.ExecContext(ctx, "DELETE FROM "+table+" WHERE "+w.sql(), w.args...)
		return mapErr(err)
	})
}

// RetireOwned implements secret.RetiredRepository.
func (r *OwnedSecretRepo) RetireOwned(
	ctx context.Context, sc account.Scope, o secret.Owner, names []string, when time.Time, most int,
) error {
	if len(names) == 0 {
		return nil
	}
	return r.s.write(ctx, func(ctx context.Context, db bun.IDB) error {
		var last int64
		if err := db.NewSelect().Table("retired_secrets").ColumnExpr("COALESCE(MAX(number), 0)").
			Where("tenant_id = ? AND kind = ? AND owner_id = ?", sc.Tenant, o.Kind(), ownerColumn(o)).Scan(ctx, &last); err != nil {
			return mapErr(err)
		}
		res, err := db.ExecContext(ctx, `INSERT INTO retired_secrets (tenant_id, kind, owner_id, number, name, sealed, retired_at)
			SELECT tenant_id, kind, owner_id, ? + ROW_NUMBER() OVER (ORDER BY name), name, sealed, ? FROM owned_secrets
			WHERE tenant_id = ? AND kind = ? AND owner_id = ? AND name IN (?)`,
			last, at(when), sc.Tenant, o.Kind(), ownerColumn(o), bun.List(names))
		if err != nil {
			return mapErr(err)
		}
		n, err := res.RowsAffected()
		if err != nil || n == 0 {
			return mapErr(err)
		}
		_, err = db.ExecContext(ctx, "DELETE FROM retired_secrets WHERE tenant_id = ? AND kind = ? AND owner_id = ? AND number <= ?",
			sc.Tenant, o.Kind(), ownerColumn(o), last+n-int64(most))
		return mapErr(err)
	})
}

// Retired implements secret.RetiredRepository.
func (r *OwnedSecretRepo) Retired(ctx context.Context, sc account.Scope, o secret.Owner) ([]secret.OwnedRecord, error) {
	w := ownedBy(sc, o)
	return queryAll(ctx, r.s.read(ctx), scanOwned,
		"SELECT name, sealed, retired_at FROM retired_secrets WHERE "+w.sql()+" ORDER BY number DESC", w.args...)
}

// ExpireRetired implements secret.RetiredRepository.
func (r *OwnedSecretRepo) ExpireRetired(ctx context.Context, sc account.Scope, o secret.Owner, before time.Time) error {
	w := ownedBy(sc, o)
	w.and("retired_at < ?", at(before))
	return r.delete(ctx, "retired_secrets", w)
}

// Owned implements secret.OwnedRepository.
func (r *OwnedSecretRepo) Owned(ctx context.Context, sc account.Scope, o secret.Owner) ([]secret.OwnedRecord, error) {
	order := " ORDER BY name"
	if r.s.postgres() {
		order += ` COLLATE "C"`
	}
	w := ownedBy(sc, o)
	return queryAll(ctx, r.s.read(ctx), scanOwned,
		"SELECT name, sealed, updated_at FROM owned_secrets WHERE "+w.sql()+order, w.args...)
}

func scanOwned(row scanner) (secret.OwnedRecord, error) {
	var rec secret.OwnedRecord
	var updated stamp
	err := row.Scan(&rec.Name, &rec.Sealed, &updated)
	rec.UpdatedAt = updated.Time()
	return rec, err
}
