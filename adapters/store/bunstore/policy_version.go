package bunstore

import (
	"context"
	"database/sql"
	"errors"
	"strconv"

	"github.com/uptrace/bun"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/policy"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/page"
)

var _ policy.Archive = (*PolicyRepo)(nil)

func modeText(m policy.Mode) string {
	if m == "" {
		return string(policy.Enforce)
	}
	return string(m)
}

// versionOfPolicy are policyColumns as policy_versions has them, and who made the version.
const versionOfPolicy = "policy_id, scope_key, mode, limits, rules, version, created_at, made_at, made_by"

// withMaker scans the column behind those of a policy.
type withMaker struct {
	row scanner
	by  *string
}

// Scan implements scanner.
func (w withMaker) Scan(dest ...any) error { return w.row.Scan(append(dest, w.by)...) }

func scanPolicyVersion(tenant id.Tenant, row scanner) (v policy.Version, err error) {
	v.Policy, err = scanPolicy(tenant, withMaker{row, &v.By})
	return v, err
}

// Keep implements policy.Archive.
func (r *PolicyRepo) Keep(ctx context.Context, sc account.Scope, v policy.Version) error {
	limits, rules, err := encodePolicy(v.Policy)
	if err != nil {
		return err
	}
	return r.s.write(ctx, func(ctx context.Context, db bun.IDB) error {
		_, err := db.ExecContext(ctx, "INSERT INTO policy_versions (tenant_id, "+versionOfPolicy+") VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
			sc.Tenant, v.ID, scopeKey(v.Scope), modeText(v.Mode), limits, rules, v.Version, at(v.CreatedAt), at(v.UpdatedAt), v.By)
		return mapErr(err)
	})
}

// Version implements policy.Archive.
func (r *PolicyRepo) Version(ctx context.Context, sc account.Scope, p id.Policy, version int) (policy.Version, error) {
	v, err := scanPolicyVersion(sc.Tenant, r.s.read(ctx).QueryRowContext(ctx,
		"SELECT "+versionOfPolicy+" FROM policy_versions WHERE tenant_id = ? AND policy_id = ? AND version = ?", sc.Tenant, p, version))
	if errors.Is(err, sql.ErrNoRows) {
		if err := r.known(ctx, sc, p); err != nil {
			return policy.Version{}, err
		}
		return policy.Version{}, policy.ErrVersionUnknown
	}
	return v, mapErr(err)
}

// known returns id.NotFound for a policy that the tenant never had.
func (r *PolicyRepo) known(ctx context.Context, sc account.Scope, p id.Policy) error {
	var one int
	err := r.s.read(ctx).QueryRowContext(ctx, "SELECT 1 FROM policy_versions WHERE tenant_id = ? AND policy_id = ? LIMIT 1", sc.Tenant, p).Scan(&one)
	if errors.Is(err, sql.ErrNoRows) {
		return id.NotFound[id.PolicyKind](p.String())
	}
	return mapErr(err)
}

// Versions implements policy.Archive.
func (r *PolicyRepo) Versions(ctx context.Context, sc account.Scope, p id.Policy, req page.Request) (page.Page[policy.Version], error) {
	if err := r.known(ctx, sc, p); err != nil {
		return page.Page[policy.Version]{}, err
	}
	w := newWhere("tenant_id = ? AND policy_id = ?", sc.Tenant, p)
	if req.Cursor != "" {
		before, err := decodeSeqCursor(req.Cursor)
		if err != nil {
			return page.Page[policy.Version]{}, err
		}
		w.and("version < ?", before)
	}
	found, err := queryAll(ctx, r.s.read(ctx), func(row scanner) (policy.Version, error) { return scanPolicyVersion(sc.Tenant, row) },
		"SELECT "+versionOfPolicy+" FROM policy_versions WHERE "+w.sql()+" ORDER BY version DESC LIMIT ?", append(w.args, req.Size()+1)...)
	if err != nil {
		return page.Page[policy.Version]{}, err
	}
	return pageOf(found, req.Size(), func(v policy.Version) (policy.Version, error) { return v, nil },
		func(v policy.Version) []string { return []string{strconv.Itoa(v.Version)} })
}
