package bunstore

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/uptrace/bun"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/ports/id"
)

// UserRepo keeps people and authorizations that have begun. It implements account.UserRepository and account.FlowRepository.
type UserRepo struct{ s *Store }

var (
	_ account.UserRepository = (*UserRepo)(nil)
	_ account.FlowRepository = (*UserRepo)(nil)
)

// Users returns the repository of people and of authorizations that have begun.
func (s *Store) Users() *UserRepo { return &UserRepo{s} }

// InsertFlow implements account.FlowRepository.
func (r *UserRepo) InsertFlow(ctx context.Context, sc account.Scope, state account.Hash, f account.Flow) error {
	return r.s.write(ctx, func(ctx context.Context, db bun.IDB) error {
		_, err := db.ExecContext(ctx, `INSERT INTO oauth_flows (state, purpose, provider, tenant_id, key_id, sealed, expires_at)
			VALUES (?, ?, ?, ?, ?, ?, ?)`, state[:], f.Purpose, f.Provider, sc.Tenant, f.Key, f.Sealed, at(f.ExpiresAt))
		return mapErr(err)
	})
}

// TakeFlow implements account.FlowRepository.
func (r *UserRepo) TakeFlow(ctx context.Context, state account.Hash, purpose, provider string) (account.Flow, bool, error) {
	f := account.Flow{Purpose: purpose, Provider: provider}
	found := false
	err := r.s.write(ctx, func(ctx context.Context, db bun.IDB) error {
		var expires stamp
		err := db.QueryRowContext(ctx, `DELETE FROM oauth_flows WHERE state = ? AND purpose = ? AND provider = ?
			RETURNING tenant_id, key_id, sealed, expires_at`, state[:], purpose, provider).Scan(&f.Tenant, &f.Key, &f.Sealed, &expires)
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		f.ExpiresAt, found = expires.Time(), err == nil
		return mapErr(err)
	})
	return f, found, err
}

// ExpireFlows implements account.FlowRepository.
func (r *UserRepo) ExpireFlows(ctx context.Context, now time.Time) (int, error) {
	var removed int64
	err := r.s.write(ctx, func(ctx context.Context, db bun.IDB) error {
		var err error
		removed, err = affected(db.ExecContext(ctx, "DELETE FROM oauth_flows WHERE expires_at <= ?", at(now)))
		return err
	})
	return int(removed), err
}

const userColumns = "u.tenant_id, u.id, u.issuer, u.subject, u.email, u.name, u.created_at, u.last_sign_in_at"

func scanUser(row scanner) (account.User, error) {
	var u account.User
	var created, last stamp
	err := row.Scan(&u.Tenant, &u.ID, &u.Issuer, &u.Subject, &u.Email, &u.Name, &created, &last)
	u.CreatedAt, u.LastSignInAt = created.Time(), last.Time()
	return u, err
}

// SaveUser implements account.UserRepository.
func (r *UserRepo) SaveUser(ctx context.Context, sc account.Scope, u account.User) (account.User, error) {
	var out account.User
	err := r.s.write(ctx, func(ctx context.Context, db bun.IDB) error {
		var err error
		out, err = scanUser(db.QueryRowContext(ctx, `INSERT INTO users AS u
			(tenant_id, id, issuer, subject, email, name, created_at, last_sign_in_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?)
			ON CONFLICT (tenant_id, issuer, subject) DO UPDATE SET
			email = excluded.email, name = excluded.name, last_sign_in_at = excluded.last_sign_in_at
			RETURNING tenant_id, id, issuer, subject, email, name, created_at, last_sign_in_at`,
			sc.Tenant, u.ID, u.Issuer, u.Subject, u.Email, u.Name, at(u.CreatedAt), at(u.LastSignInAt)))
		return mapErr(err)
	})
	return out, err
}

// InsertSignIn implements account.UserRepository.
func (r *UserRepo) InsertSignIn(ctx context.Context, sc account.Scope, key id.APIKey, user id.User) error {
	return r.s.write(ctx, func(ctx context.Context, db bun.IDB) error {
		_, err := db.ExecContext(ctx, "INSERT INTO user_sign_ins (tenant_id, key_id, user_id) VALUES (?, ?, ?)", sc.Tenant, key, user)
		return mapErr(err)
	})
}

// SignIn implements account.UserRepository.
func (r *UserRepo) SignIn(ctx context.Context, sc account.Scope, key id.APIKey) (account.User, bool, error) {
	u, err := scanUser(r.s.read(ctx).QueryRowContext(ctx, "SELECT "+userColumns+` FROM user_sign_ins AS s
		JOIN users AS u ON u.tenant_id = s.tenant_id AND u.id = s.user_id WHERE s.tenant_id = ? AND s.key_id = ?`, sc.Tenant, key))
	if errors.Is(err, sql.ErrNoRows) {
		return account.User{}, false, nil
	}
	return u, err == nil, mapErr(err)
}

// ExpireSignIns implements account.UserRepository.
func (r *UserRepo) ExpireSignIns(ctx context.Context, now time.Time) (int, error) {
	n := 0
	err := r.s.write(ctx, func(ctx context.Context, db bun.IDB) error {
		res, err := db.ExecContext(ctx, `UPDATE api_keys AS k SET revoked_at = ? WHERE k.revoked_at IS NULL AND k.expires_at <= ?
			AND EXISTS (`+ofSignIn+")", at(now), at(now))
		if err != nil {
			return mapErr(err)
		}
		affected, err := res.RowsAffected()
		n = int(affected)
		return err
	})
	return n, err
}
