package bunstore

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/uptrace/bun"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/audit"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/page"
)

// AuditRepo keeps the audit trail. It implements audit.Repository and audit.SealRepository.
type AuditRepo struct{ s *Store }

var (
	_ audit.Repository     = (*AuditRepo)(nil)
	_ audit.SealRepository = (*AuditRepo)(nil)
)

// Audit returns the repository of the audit trail.
func (s *Store) Audit() *AuditRepo { return &AuditRepo{s} }

const auditColumns = "id, action, agent_id, key_id, metadata, created_at, seq, prev_hash, hash"

func scanAudit(tenant id.Tenant, row scanner) (audit.Entry, error) {
	e := audit.Entry{Tenant: tenant}
	var metadata string
	var created stamp
	var seq sql.NullInt64
	var prev, hash sql.NullString
	if err := row.Scan(&e.ID, &e.Action, &e.Agent, &e.Key, &metadata, &created, &seq, &prev, &hash); err != nil {
		return audit.Entry{}, err
	}
	e.Metadata, e.CreatedAt = json.RawMessage(metadata), created.Time()
	e.Seq, e.PrevHash, e.Hash = seq.Int64, prev.String, hash.String
	return e, nil
}

func (r *AuditRepo) query(ctx context.Context, sc account.Scope, q string, args ...any) ([]audit.Entry, error) {
	return queryAll(ctx, r.s.read(ctx), func(row scanner) (audit.Entry, error) { return scanAudit(sc.Tenant, row) },
		"SELECT "+auditColumns+" FROM audit_entries WHERE "+q, args...)
}

// Insert implements audit.Repository.
func (r *AuditRepo) Insert(ctx context.Context, sc account.Scope, e audit.Entry) error {
	return r.s.write(ctx, func(ctx context.Context, db bun.IDB) error {
		_, err := db.ExecContext(ctx, `INSERT INTO audit_entries (tenant_id, id, action, agent_id, key_id, metadata, created_at)
			VALUES (?, ?, ?, ?, ?, ?, ?)`, sc.Tenant, e.ID, e.Action, e.Agent, e.Key, string(e.Metadata), at(e.CreatedAt))
		return mapErr(err)
	})
}

// Get implements audit.Repository.
func (r *AuditRepo) Get(ctx context.Context, sc account.Scope, entry id.AuditEntry) (audit.Entry, error) {
	found, err := r.query(ctx, sc, "tenant_id = ? AND id = ? AND seq IS NOT NULL", sc.Tenant, entry)
	if err != nil {
		return audit.Entry{}, err
	}
	if len(found) == 0 {
		return audit.Entry{}, id.NotFound[id.AuditEntryKind](entry.String())
	}
	return found[0], nil
}

// List implements audit.Repository.
func (r *AuditRepo) List(ctx context.Context, sc account.Scope, f audit.Filter) (page.Page[audit.Entry], error) {
	q := "tenant_id = ? AND seq IS NOT NULL"
	args := []any{sc.Tenant}
	add := func(cond string, arg any) {
		q += " AND " + cond
		args = append(args, arg)
	}
	if !f.Agent.IsZero() {
		add("agent_id = ?", f.Agent)
	}
	if f.Action != "" {
		add("action = ?", f.Action)
	}
	if !f.Key.IsZero() {
		add("key_id = ?", f.Key)
	}
	if f.System {
		q += " AND key_id IS NULL"
	}
	if !f.Since.IsZero() {
		add("created_at >= ?", at(f.Since))
	}
	if !f.Until.IsZero() {
		add("created_at < ?", at(f.Until))
	}
	total, err := r.s.total(ctx, f.Page, "audit_entries", q, args...)
	if err != nil {
		return page.Page[audit.Entry]{}, err
	}
	if f.Page.Cursor != "" {
		before, err := decodeSeqCursor(f.Page.Cursor)
		if err != nil {
			return page.Page[audit.Entry]{}, err
		}
		add("seq < ?", before)
	}
	size := f.Page.Size()
	found, err := r.query(ctx, sc, q+" ORDER BY seq DESC LIMIT ? OFFSET ?", append(args, size+1, f.Page.Offset)...)
	if err != nil {
		return page.Page[audit.Entry]{}, err
	}
	out, err := pageOf(found, size, func(e audit.Entry) (audit.Entry, error) { return e, nil },
		func(e audit.Entry) []string { return []string{strconv.FormatInt(e.Seq, 10)} })
	out.Total = total
	return out, err
}

// decodeSeqCursor reads a cursor that holds one number.
func decodeSeqCursor(cursor string) (int64, error) {
	place, err := decodeCursor(cursor, 1)
	if err != nil {
		return 0, err
	}
	n, err := strconv.ParseInt(place[0], 10, 64)
	if err != nil {
		return 0, errCursor()
	}
	return n, nil
}

// Range implements audit.Repository.
func (r *AuditRepo) Range(ctx context.Context, sc account.Scope, after, upTo int64, limit int) ([]audit.Entry, error) {
	return r.query(ctx, sc, "tenant_id = ? AND seq IS NOT NULL AND seq > ? AND seq <= ? ORDER BY seq LIMIT ?", sc.Tenant, after, upTo, limit)
}

// Chain implements audit.Repository.
func (r *AuditRepo) Chain(ctx context.Context, sc account.Scope) (audit.Chain, error) {
	return r.chain(ctx, sc, "")
}

func (r *AuditRepo) chain(ctx context.Context, sc account.Scope, lock string) (audit.Chain, error) {
	var c audit.Chain
	err := r.s.read(ctx).QueryRowContext(ctx, "SELECT count, head FROM audit_chains WHERE tenant_id = ?"+lock, sc.Tenant).
		Scan(&c.Count, &c.Head)
	if errors.Is(err, sql.ErrNoRows) {
		return audit.Chain{Head: audit.Genesis}, nil
	}
	return c, mapErr(err)
}

// Pending implements audit.SealRepository.
func (r *AuditRepo) Pending(ctx context.Context, sc account.Scope) (bool, error) {
	var one int
	err := r.s.read(ctx).QueryRowContext(ctx, "SELECT 1 FROM audit_entries WHERE tenant_id = ? AND seq IS NULL LIMIT 1", sc.Tenant).Scan(&one)
	if errors.Is(err, sql.ErrNoRows) {
		return false, nil
	}
	return err == nil, mapErr(err)
}

// LockChain implements audit.SealRepository.
func (r *AuditRepo) LockChain(ctx context.Context, sc account.Scope) (audit.Chain, error) {
	// The row is there from the first sealing on, since what does not exist cannot be locked.
	_, err := r.s.read(ctx).ExecContext(ctx, "INSERT INTO audit_chains (tenant_id, count, head) VALUES (?, 0, ?) ON CONFLICT DO NOTHING",
		sc.Tenant, audit.Genesis)
	if err != nil {
		return audit.Chain{}, mapErr(err)
	}
	return r.chain(ctx, sc, r.s.forUpdate())
}

// Unsealed implements audit.SealRepository.
func (r *AuditRepo) Unsealed(ctx context.Context, sc account.Scope, limit int) ([]audit.Entry, error) {
	return r.query(ctx, sc, "tenant_id = ? AND seq IS NULL ORDER BY id LIMIT ?", sc.Tenant, limit)
}

// Seal implements audit.SealRepository.
func (r *AuditRepo) Seal(ctx context.Context, sc account.Scope, es []audit.Entry, c audit.Chain) error {
	if len(es) == 0 {
		return nil
	}
	args := make([]any, 0, 4*len(es)+3)
	for _, e := range es {
		args = append(args, e.ID, e.Seq, e.PrevHash, e.Hash)
	}
	rowID := "v.id"
	if r.s.postgres() {
		rowID = "CAST(v.id AS uuid)"
	}
	q := "WITH v (id, seq, prev_hash, hash) AS (VALUES (?, ?, ?, ?)" + strings.Repeat(", (?, ?, ?, ?)", len(es)-1) + `)
		UPDATE audit_entries SET seq = v.seq, prev_hash = v.prev_hash, hash = v.hash FROM v
		WHERE audit_entries.tenant_id = ? AND audit_entries.id = ` + rowID + " AND audit_entries.seq IS NULL"
	return r.s.write(ctx, func(ctx context.Context, db bun.IDB) error {
		res, err := unprepared(db).ExecContext(ctx, q, append(args, sc.Tenant)...)
		if err != nil {
			return mapErr(err)
		}
		if n, err := res.RowsAffected(); err != nil || n != int64(len(es)) {
			return fmt.Errorf("bunstore: %d of %d audit entries were sealed: %w", n, len(es), err)
		}
		_, err = db.ExecContext(ctx, "UPDATE audit_chains SET count = ?, head = ? WHERE tenant_id = ?", c.Count, c.Head, sc.Tenant)
		return mapErr(err)
	})
}

// PendingTenants implements audit.SealRepository.
func (r *AuditRepo) PendingTenants(ctx context.Context, limit int) ([]id.Tenant, error) {
	rows, err := r.s.read(ctx).QueryContext(ctx, "SELECT DISTINCT tenant_id FROM audit_entries WHERE seq IS NULL LIMIT ?", limit)
	if err != nil {
		return nil, mapErr(err)
	}
	defer rows.Close()
	var out []id.Tenant
	for rows.Next() {
		var t id.Tenant
		if err := rows.Scan(&t); err != nil {
			return nil, mapErr(err)
		}
		out = append(out, t)
	}
	return out, mapErr(rows.Err())
}
