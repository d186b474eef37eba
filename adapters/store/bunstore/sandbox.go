package bunstore

import (
	"context"

	"github.com/uptrace/bun"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/sandbox"
	"github.com/bureau-agents/bureau/ports/id"
)

// SandboxRepo keeps what is known of sandboxes outside of them. It implements sandbox.Repository.
type SandboxRepo struct{ s *Store }

var _ sandbox.Repository = (*SandboxRepo)(nil)

// Sandboxes returns the repository of sandboxes.
func (s *Store) Sandboxes() *SandboxRepo { return &SandboxRepo{s} }

// Outputs implements sandbox.Repository.
func (r *SandboxRepo) Outputs(ctx context.Context, sc account.Scope, of id.Session) (map[string]sandbox.Output, error) {
	rows, err := r.s.read(ctx).QueryContext(ctx,
		"SELECT path, file_id, size, modified_at FROM sandbox_outputs WHERE session_id = ? AND tenant_id = ?", of, sc.Tenant)
	if err != nil {
		return nil, mapErr(err)
	}
	defer rows.Close()
	out := map[string]sandbox.Output{}
	for rows.Next() {
		var o sandbox.Output
		var modified stamp
		if err := rows.Scan(&o.Path, &o.File, &o.Size, &modified); err != nil {
			return nil, mapErr(err)
		}
		o.Modified = modified.Time()
		out[o.Path] = o
	}
	return out, mapErr(rows.Err())
}

// SaveOutput implements sandbox.Repository.
func (r *SandboxRepo) SaveOutput(ctx context.Context, sc account.Scope, of id.Session, o sandbox.Output) error {
	return r.s.write(ctx, func(ctx context.Context, db bun.IDB) error {
		_, err := db.ExecContext(ctx, `INSERT INTO sandbox_outputs (tenant_id, session_id, path, file_id, size, modified_at)
			VALUES (?, ?, ?, ?, ?, ?)
			ON CONFLICT (session_id, path) DO UPDATE SET file_id = excluded.file_id, size = excluded.size, modified_at = excluded.modified_at
			WHERE sandbox_outputs.tenant_id = excluded.tenant_id`, sc.Tenant, of, o.Path, o.File, o.Size, at(o.Modified))
		return mapErr(err)
	})
}

// Live implements sandbox.Repository.
func (r *SandboxRepo) Live(ctx context.Context, sessions []id.Session) ([]id.Session, error) {
	if len(sessions) == 0 {
		return nil, nil
	}
	rows, err := r.s.read(ctx).QueryContext(ctx,
		"SELECT id FROM sessions WHERE id IN (?) AND archived_at IS NULL AND deleted_at IS NULL", bun.List(sessions))
	if err != nil {
		return nil, mapErr(err)
	}
	defer rows.Close()
	var out []id.Session
	for rows.Next() {
		var s id.Session
		if err := rows.Scan(&s); err != nil {
			return nil, mapErr(err)
		}
		out = append(out, s)
	}
	return out, mapErr(rows.Err())
}
