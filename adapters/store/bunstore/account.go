package bunstore

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/uptrace/bun"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/page"
)

// AccountRepo keeps tenants, API keys and idempotency records. It implements the three repositories of core/account.
type AccountRepo struct{ s *Store }

var (
	_ account.TenantRepository      = (*AccountRepo)(nil)
	_ account.KeyRepository         = (*AccountRepo)(nil)
	_ account.IdempotencyRepository = (*AccountRepo)(nil)
)

// Accounts returns the repository of tenants, keys and idempotency records.
func (s *Store) Accounts() *AccountRepo { return &AccountRepo{s} }

type tenantRow struct {
	ID        id.Tenant `bun:"id"`
	Name      string    `bun:"name"`
	Plan      string    `bun:"plan"`
	Standing  string    `bun:"standing"`
	Operator  bool      `bun:"operator"`
	CreatedAt stamp     `bun:"created_at"`
}

const tenantColumns = "t.id, t.name, t.plan, t.standing, t.operator, t.created_at"

func (r *tenantRow) fields() []any {
	return []any{&r.ID, &r.Name, &r.Plan, &r.Standing, &r.Operator, &r.CreatedAt}
}

func (r *tenantRow) entity() account.Tenant {
	return account.Tenant{
		ID: r.ID, Name: r.Name, Plan: account.Plan(r.Plan), Standing: account.Standing(r.Standing), Operator: r.Operator,
		CreatedAt: r.CreatedAt.Time(),
	}
}

// InsertTenant implements account.TenantRepository. The conflict is caught by ON CONFLICT, so that the transaction goes on.
func (r *AccountRepo) InsertTenant(ctx context.Context, t account.Tenant) error {
	return r.s.write(ctx, func(ctx context.Context, db bun.IDB) error {
		res, err := db.ExecContext(ctx, `INSERT INTO tenants (id, name, plan, standing, operator, created_at) VALUES (?, ?, ?, ?, ?, ?)
			ON CONFLICT DO NOTHING`, t.ID, t.Name, string(t.Plan), string(t.Standing), t.Operator, at(t.CreatedAt))
		return inserted(res, err)
	})
}

// inserted makes an INSERT that ON CONFLICT stopped account.ErrDuplicate.
func inserted(res sql.Result, err error) error {
	if err != nil {
		return mapErr(err)
	}
	if n, err := res.RowsAffected(); err != nil || n == 0 {
		return errors.Join(account.ErrDuplicate, err)
	}
	return nil
}

// Tenant implements account.TenantRepository.
func (r *AccountRepo) Tenant(ctx context.Context, sc account.Scope) (account.Tenant, error) {
	t, ok, err := r.tenant(ctx, "t.id = ?", sc.Tenant)
	if err == nil && !ok {
		err = id.NotFound[id.TenantKind](sc.Tenant.String())
	}
	return t, err
}

// OperatorTenant implements account.TenantRepository.
func (r *AccountRepo) OperatorTenant(ctx context.Context) (account.Tenant, bool, error) {
	return r.tenant(ctx, "t.operator")
}

func (r *AccountRepo) tenant(ctx context.Context, where string, args ...any) (account.Tenant, bool, error) {
	var row tenantRow
	err := r.s.read(ctx).QueryRowContext(ctx, "SELECT "+tenantColumns+" FROM tenants AS t WHERE "+where, args...).Scan(row.fields()...)
	if errors.Is(err, sql.ErrNoRows) {
		return account.Tenant{}, false, nil
	}
	if err != nil {
		return account.Tenant{}, false, mapErr(err)
	}
	return row.entity(), true, nil
}

// Tenants implements account.TenantRepository.
func (r *AccountRepo) Tenants(ctx context.Context) ([]account.Tenant, error) {
	var rows []tenantRow
	err := r.s.read(ctx).NewRaw("SELECT "+tenantColumns+" FROM tenants AS t ORDER BY t.id").Scan(ctx, &rows)
	if err != nil {
		return nil, mapErr(err)
	}
	out := make([]account.Tenant, len(rows))
	for i, row := range rows {
		out[i] = row.entity()
	}
	return out, nil
}

// SetPlan implements account.TenantRepository.
func (r *AccountRepo) SetPlan(ctx context.Context, sc account.Scope, plan account.Plan) error {
	return r.s.write(ctx, func(ctx context.Context, db bun.IDB) error {
		_, err := db.ExecContext(ctx, "UPDATE tenants SET plan = ? WHERE id = ?", string(plan), sc.Tenant)
		return mapErr(err)
	})
}

// LockStanding implements account.TenantRepository.
func (r *AccountRepo) LockStanding(ctx context.Context, sc account.Scope) (account.Standing, error) {
	door, args := r.s.passDoor(tenantDoor(sc))
	return r.standing(ctx, r.s.read(ctx), sc, " AND "+door+r.s.forShare(), args...)
}

func (r *AccountRepo) standing(
	ctx context.Context, db bun.IDB, sc account.Scope, lock string, args ...any,
) (account.Standing, error) {
	var standing string
	err := db.QueryRowContext(ctx, "SELECT standing FROM tenants WHERE id = ?"+lock, append([]any{sc.Tenant}, args...)...).Scan(&standing)
	if errors.Is(err, sql.ErrNoRows) {
		return "", id.NotFound[id.TenantKind](sc.Tenant.String())
	}
	return account.Standing(standing), mapErr(err)
}

// SetStanding implements account.TenantRepository.
func (r *AccountRepo) SetStanding(ctx context.Context, sc account.Scope, standing account.Standing) (bool, error) {
	changed := false
	err := r.s.write(ctx, func(ctx context.Context, db bun.IDB) error {
		if err := r.s.closeDoor(ctx, tenantDoor(sc)); err != nil {
			return err
		}
		was, err := r.standing(ctx, db, sc, r.s.forUpdate())
		if err != nil {
			return err
		}
		changed = was != standing
		_, err = db.ExecContext(ctx, "UPDATE tenants SET standing = ? WHERE id = ?", string(standing), sc.Tenant)
		return mapErr(err)
	})
	return changed, err
}

type apiKeyRow struct {
	ID          id.APIKey `bun:"id"`
	TenantID    id.Tenant `bun:"tenant_id"`
	Name        string    `bun:"name"`
	Hash        []byte    `bun:"hash"`
	Prefix      string    `bun:"prefix"`
	Permissions string    `bun:"permissions"`
	Bootstrap   bool      `bun:"bootstrap"`
	CreatedBy   id.APIKey `bun:"created_by"`
	CreatedAt   stamp     `bun:"created_at"`
	ExpiresAt   stamp     `bun:"expires_at"`
	RevokedAt   stamp     `bun:"revoked_at"`
	LastUsedAt  stamp     `bun:"last_used_at"`
}

const apiKeyColumns = "k.id, k.tenant_id, k.name, k.hash, k.prefix, k.permissions, k.bootstrap, k.created_by, k.created_at, " +
	"k.expires_at, k.revoked_at, k.last_used_at"

func (r *apiKeyRow) fields() []any {
	return []any{
		&r.ID, &r.TenantID, &r.Name, &r.Hash, &r.Prefix, &r.Permissions, &r.Bootstrap, &r.CreatedBy, &r.CreatedAt, &r.ExpiresAt,
		&r.RevokedAt, &r.LastUsedAt,
	}
}

func (r *apiKeyRow) entity() (account.StoredKey, error) {
	k := account.StoredKey{Key: account.Key{
		ID: r.ID, Tenant: r.TenantID, Name: r.Name, Prefix: r.Prefix, Bootstrap: r.Bootstrap, CreatedBy: r.CreatedBy,
		ExpiresAt: timePtr(r.ExpiresAt), RevokedAt: timePtr(r.RevokedAt), LastUsedAt: timePtr(r.LastUsedAt), CreatedAt: r.CreatedAt.Time(),
	}}
	if err := json.Unmarshal([]byte(r.Permissions), &k.Permissions); err != nil {
		return account.StoredKey{}, fmt.Errorf("bunstore: permissions of %s: %w", r.ID, err)
	}
	if len(r.Hash) != len(k.Hash) {
		return account.StoredKey{}, fmt.Errorf("bunstore: the hash of %s has %d bytes", r.ID, len(r.Hash))
	}
	k.Hash = account.Hash(r.Hash)
	return k, nil
}

func timePtr(s stamp) *time.Time {
	if s.IsZero() {
		return nil
	}
	t := s.Time()
	return &t
}

func stampPtr(t *time.Time) stamp {
	if t == nil {
		return stamp{}
	}
	return at(*t)
}

func encodePermissions(p []account.Permission) (string, error) {
	if p == nil {
		p = []account.Permission{}
	}
	b, err := json.Marshal(p)
	return string(b), err
}

// InsertKey implements account.KeyRepository.
func (r *AccountRepo) InsertKey(ctx context.Context, sc account.Scope, k account.StoredKey) error {
	perms, err := encodePermissions(k.Permissions)
	if err != nil {
		return err
	}
	return r.s.write(ctx, func(ctx context.Context, db bun.IDB) error {
		res, err := db.ExecContext(ctx, `INSERT INTO api_keys
			(id, tenant_id, name, hash, prefix, permissions, bootstrap, created_by, created_at, expires_at, revoked_at, last_used_at)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`,
			k.ID, sc.Tenant, k.Name, k.Hash[:], k.Prefix, perms, k.Bootstrap, k.CreatedBy, at(k.CreatedAt), stampPtr(k.ExpiresAt),
			stampPtr(k.RevokedAt), stampPtr(k.LastUsedAt))
		return inserted(res, err)
	})
}

// KeyByHash implements account.KeyRepository.
func (r *AccountRepo) KeyByHash(ctx context.Context, hash account.Hash) (account.Holder, bool, error) {
	var k apiKeyRow
	var t tenantRow
	err := r.s.read(ctx).QueryRowContext(ctx, "SELECT "+apiKeyColumns+", "+tenantColumns+
		" FROM api_keys AS k JOIN tenants AS t ON t.id = k.tenant_id WHERE k.hash = ?", hash[:]).Scan(append(k.fields(), t.fields()...)...)
	if errors.Is(err, sql.ErrNoRows) {
		return account.Holder{}, false, nil
	}
	if err != nil {
		return account.Holder{}, false, mapErr(err)
	}
	key, err := k.entity()
	return account.Holder{Key: key, Tenant: t.entity()}, err == nil, err
}

// ofSignIn finds the sign-in that made the key k.
const ofSignIn = "SELECT 1 FROM user_sign_ins AS i WHERE i.tenant_id = k.tenant_id AND i.key_id = k.id"

// Keys implements account.KeyRepository.
func (r *AccountRepo) Keys(ctx context.Context, sc account.Scope, req page.Request, now time.Time) (page.Page[account.Key], error) {
	q := "SELECT " + apiKeyColumns + ` FROM api_keys AS k WHERE k.tenant_id = ? AND k.revoked_at IS NULL
		AND (k.expires_at IS NULL OR k.expires_at > ? OR NOT EXISTS (` + ofSignIn + "))"
	args := []any{sc.Tenant, at(now)}
	if req.Cursor != "" {
		before, err := decodeIDCursor[id.APIKeyKind](req.Cursor)
		if err != nil {
			return page.Page[account.Key]{}, err
		}
		q += " AND k.id < ?"
		args = append(args, before)
	}
	var rows []apiKeyRow
	if err := r.s.read(ctx).NewRaw(q+" ORDER BY k.id DESC LIMIT ?", append(args, req.Size()+1)...).Scan(ctx, &rows); err != nil {
		return page.Page[account.Key]{}, mapErr(err)
	}
	return pageOf(rows, req.Size(), func(row apiKeyRow) (account.Key, error) {
		k, err := row.entity()
		return k.Key, err
	}, func(row apiKeyRow) []string { return []string{row.ID.String()} })
}

// RevokeKey implements account.KeyRepository.
func (r *AccountRepo) RevokeKey(ctx context.Context, sc account.Scope, key id.APIKey, when time.Time) (account.StoredKey, error) {
	revoked, err := r.revoke(ctx, when, "k.tenant_id = ? AND k.id = ?", sc.Tenant, key)
	if err != nil {
		return account.StoredKey{}, err
	}
	if len(revoked) == 0 {
		return account.StoredKey{}, id.NotFound[id.APIKeyKind](key.String())
	}
	return revoked[0], nil
}

// RevokeBootstrap implements account.KeyRepository.
func (r *AccountRepo) RevokeBootstrap(ctx context.Context, sc account.Scope, keep account.Hash, when time.Time) ([]account.StoredKey, error) {
	return r.revoke(ctx, when, "k.tenant_id = ? AND k.bootstrap AND k.hash <> ?", sc.Tenant, keep[:])
}

func (r *AccountRepo) revoke(ctx context.Context, when time.Time, where string, args ...any) ([]account.StoredKey, error) {
	var out []account.StoredKey
	err := r.s.write(ctx, func(ctx context.Context, db bun.IDB) error {
		var rows []apiKeyRow
		err := db.NewRaw("UPDATE api_keys AS k SET revoked_at = ? WHERE "+where+" AND k.revoked_at IS NULL RETURNING *",
			append([]any{at(when)}, args...)...).Scan(ctx, &rows)
		if err != nil {
			return mapErr(err)
		}
		out = make([]account.StoredKey, len(rows))
		for i, row := range rows {
			if out[i], err = row.entity(); err != nil {
				return err
			}
		}
		return nil
	})
	return out, err
}

// RestoreBootstrap implements account.KeyRepository.
func (r *AccountRepo) RestoreBootstrap(ctx context.Context, sc account.Scope, hash account.Hash) error {
	perms, err := encodePermissions([]account.Permission{account.Admin})
	if err != nil {
		return err
	}
	return r.s.write(ctx, func(ctx context.Context, db bun.IDB) error {
		_, err := db.ExecContext(ctx, `UPDATE api_keys SET permissions = ?, bootstrap = ?, expires_at = NULL, revoked_at = NULL
			WHERE tenant_id = ? AND hash = ?`, perms, true, sc.Tenant, hash[:])
		return mapErr(err)
	})
}

// TouchKeys implements account.KeyRepository.
func (r *AccountRepo) TouchKeys(ctx context.Context, used map[id.APIKey]time.Time) error {
	return r.s.write(ctx, func(ctx context.Context, db bun.IDB) error {
		for key, when := range used {
			_, err := db.ExecContext(ctx, "UPDATE api_keys SET last_used_at = ? WHERE id = ? AND (last_used_at IS NULL OR last_used_at < ?)",
				at(when), key, at(when))
			if err != nil {
				return mapErr(err)
			}
		}
		return nil
	})
}

type idempotencyRow struct {
	request     []byte
	holder      id.ID[id.EventKind] // any kind: only the UUID matters
	answered    bool
	sealed      bool
	status      sql.NullInt64
	contentType sql.NullString
	body        []byte
	createdAt   stamp
	keepUntil   stamp
	answerUntil stamp
}

// ReserveIdempotency implements account.IdempotencyRepository.
func (r *AccountRepo) ReserveIdempotency(
	ctx context.Context, sc account.Scope, rec account.IdempotencyRecord,
) (account.IdempotencyRecord, bool, error) {
	reserved := false
	err := r.s.write(ctx, func(ctx context.Context, db bun.IDB) error {
		res, err := db.ExecContext(ctx, `INSERT INTO idempotency_records
			(tenant_id, fingerprint, request, holder, answered, sealed, created_at, keep_until) VALUES (?, ?, ?, ?, ?, ?, ?, ?)
			ON CONFLICT DO NOTHING`, sc.Tenant, rec.Fingerprint[:], rec.Request[:], id.Of[id.EventKind](rec.Holder), false, false,
			at(rec.CreatedAt), at(rec.KeepUntil))
		err = inserted(res, err)
		reserved = err == nil
		if reserved || !errors.Is(err, account.ErrDuplicate) {
			return err
		}
		rec, err = r.idempotency(ctx, db, sc, rec.Fingerprint)
		return err
	})
	return rec, reserved, err
}

func (r *AccountRepo) idempotency(
	ctx context.Context, db bun.IDB, sc account.Scope, fingerprint account.Hash,
) (account.IdempotencyRecord, error) {
	var row idempotencyRow
	err := db.QueryRowContext(ctx, `SELECT request, holder, answered, sealed, status, content_type, body, created_at, keep_until, answer_until
		FROM idempotency_records WHERE tenant_id = ? AND fingerprint = ?`+r.s.forUpdate(), sc.Tenant, fingerprint[:]).
		Scan(&row.request, &row.holder, &row.answered, &row.sealed, &row.status, &row.contentType, &row.body, &row.createdAt, &row.keepUntil,
			&row.answerUntil)
	if errors.Is(err, sql.ErrNoRows) {
		// It was there a moment ago and has just been released: whoever asks again reserves it.
		return account.IdempotencyRecord{}, account.ErrIdempotencyInFlight.WithRetry(time.Second)
	}
	if err != nil {
		return account.IdempotencyRecord{}, mapErr(err)
	}
	if len(row.request) != len(account.Hash{}) {
		return account.IdempotencyRecord{}, errors.New("bunstore: an idempotency record is damaged")
	}
	rec := account.IdempotencyRecord{
		Fingerprint: fingerprint, Request: account.Hash(row.request), Holder: row.holder.UUID(), Answered: row.answered, Sealed: row.sealed,
		CreatedAt: row.createdAt.Time(), KeepUntil: row.keepUntil.Time(), AnswerUntil: row.answerUntil.Time(),
	}
	if row.answered && row.status.Valid {
		rec.Answer = &account.Answer{Status: int(row.status.Int64), ContentType: row.contentType.String, Body: row.body}
	}
	return rec, nil
}

// TakeIdempotency implements account.IdempotencyRepository.
func (r *AccountRepo) TakeIdempotency(ctx context.Context, sc account.Scope, rec account.IdempotencyRecord) error {
	return r.s.write(ctx, func(ctx context.Context, db bun.IDB) error {
		_, err := db.ExecContext(ctx, `UPDATE idempotency_records SET request = ?, holder = ?, answered = ?, sealed = ?, status = NULL,
			content_type = NULL, body = NULL, created_at = ?, keep_until = ?, answer_until = NULL WHERE tenant_id = ? AND fingerprint = ?`,
			rec.Request[:], id.Of[id.EventKind](rec.Holder), false, false, at(rec.CreatedAt), at(rec.KeepUntil), sc.Tenant, rec.Fingerprint[:])
		return mapErr(err)
	})
}

// CompleteIdempotency implements account.IdempotencyRepository.
func (r *AccountRepo) CompleteIdempotency(ctx context.Context, sc account.Scope, rec account.IdempotencyRecord) (bool, error) {
	done := false
	err := r.s.write(ctx, func(ctx context.Context, db bun.IDB) error {
		body := rec.Answer.Body
		if body == nil {
			body = []byte{} // NULL means that it is no longer kept
		}
		res, err := db.ExecContext(ctx, `UPDATE idempotency_records SET answered = ?, sealed = ?, status = ?, content_type = ?, body = ?,
			answer_until = ? WHERE tenant_id = ? AND fingerprint = ? AND holder = ? AND NOT answered`,
			true, rec.Sealed, rec.Answer.Status, rec.Answer.ContentType, body, at(rec.AnswerUntil), sc.Tenant, rec.Fingerprint[:],
			id.Of[id.EventKind](rec.Holder))
		if err != nil {
			return mapErr(err)
		}
		n, err := res.RowsAffected()
		done = n > 0
		return err
	})
	return done, err
}

// ReleaseIdempotency implements account.IdempotencyRepository.
func (r *AccountRepo) ReleaseIdempotency(ctx context.Context, sc account.Scope, rec account.IdempotencyRecord) error {
	return r.s.write(ctx, func(ctx context.Context, db bun.IDB) error {
		_, err := db.ExecContext(ctx, `DELETE FROM idempotency_records
			WHERE tenant_id = ? AND fingerprint = ? AND holder = ? AND NOT answered`,
			sc.Tenant, rec.Fingerprint[:], id.Of[id.EventKind](rec.Holder))
		return mapErr(err)
	})
}

// ExpireIdempotency implements account.IdempotencyRepository.
func (r *AccountRepo) ExpireIdempotency(ctx context.Context, now time.Time) (int, error) {
	removed := 0
	err := r.s.write(ctx, func(ctx context.Context, db bun.IDB) error {
		_, err := db.ExecContext(ctx, `UPDATE idempotency_records SET status = NULL, content_type = NULL, body = NULL
			WHERE sealed AND body IS NOT NULL AND answer_until <= ?`, at(now))
		if err != nil {
			return mapErr(err)
		}
		res, err := db.ExecContext(ctx, "DELETE FROM idempotency_records WHERE keep_until <= ?", at(now))
		if err != nil {
			return mapErr(err)
		}
		n, err := res.RowsAffected()
		removed = int(n)
		return err
	})
	return removed, err
}
