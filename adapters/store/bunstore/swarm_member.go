package bunstore

import (
	"context"
	"database/sql"
	"errors"

	"github.com/uptrace/bun"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/swarm"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/page"
)

// MemberRepo keeps the people of swarms. It implements swarm.MemberRepository.
type MemberRepo struct{ s *Store }

var _ swarm.MemberRepository = (*MemberRepo)(nil)

// SwarmMembers returns the repository of the people of swarms.
func (s *Store) SwarmMembers() *MemberRepo { return &MemberRepo{s} }

const memberColumns = "id, swarm_id, who, key_id, email, role, created_at, updated_at"

func scanMember(tenant id.Tenant, row scanner) (swarm.Member, error) {
	m := swarm.Member{Tenant: tenant}
	var email sql.NullString
	var role string
	var created, updated stamp
	err := row.Scan(&m.ID, &m.Swarm, &m.Person.Who, &m.Person.Key, &email, &role, &created, &updated)
	m.Person.Email, m.Role, m.CreatedAt, m.UpdatedAt = email.String, swarm.Role(role), created.Time(), updated.Time()
	return m, err
}

// PutMember implements swarm.MemberRepository.
func (r *MemberRepo) PutMember(ctx context.Context, sc account.Scope, m swarm.Member) (out swarm.Member, err error) {
	same := "(tenant_id, swarm_id, key_id) WHERE key_id IS NOT NULL"
	if m.Person.Key.IsZero() {
		same = "(tenant_id, swarm_id, email) WHERE email IS NOT NULL"
	}
	err = r.s.write(ctx, func(ctx context.Context, db bun.IDB) error {
		out, err = scanMember(sc.Tenant, db.QueryRowContext(ctx, "INSERT INTO swarm_members (tenant_id, "+memberColumns+
			") VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT "+same+
			" DO UPDATE SET role = excluded.role, updated_at = excluded.updated_at RETURNING "+memberColumns,
			sc.Tenant, m.ID, m.Swarm, m.Person.Who, m.Person.Key, sql.NullString{String: m.Person.Email, Valid: m.Person.Email != ""},
			string(m.Role), at(m.CreatedAt), at(m.UpdatedAt)))
		return mapErr(err)
	})
	return out, err
}

// GetMember implements swarm.MemberRepository.
func (r *MemberRepo) GetMember(ctx context.Context, sc account.Scope, swarmID id.Swarm, member id.SwarmMember) (swarm.Member, error) {
	m, err := scanMember(sc.Tenant, r.s.read(ctx).QueryRowContext(ctx,
		"SELECT "+memberColumns+" FROM swarm_members WHERE tenant_id = ? AND swarm_id = ? AND id = ?", sc.Tenant, swarmID, member))
	if errors.Is(err, sql.ErrNoRows) {
		return swarm.Member{}, id.NotFound[id.SwarmMemberKind](member.String())
	}
	return m, mapErr(err)
}

// ListMembers implements swarm.MemberRepository.
func (r *MemberRepo) ListMembers(
	ctx context.Context, sc account.Scope, swarmID id.Swarm, req page.Request,
) (page.Page[swarm.Member], error) {
	return newestFirst(ctx, r.s.read(ctx), req, func(row scanner) (swarm.Member, error) { return scanMember(sc.Tenant, row) },
		func(m swarm.Member) id.SwarmMember { return m.ID },
		"SELECT "+memberColumns+" FROM swarm_members WHERE tenant_id = ? AND swarm_id = ?", sc.Tenant, swarmID)
}

// DeleteMember implements swarm.MemberRepository.
func (r *MemberRepo) DeleteMember(ctx context.Context, sc account.Scope, swarmID id.Swarm, member id.SwarmMember) error {
	return r.s.write(ctx, func(ctx context.Context, db bun.IDB) error {
		n, err := affected(db.ExecContext(ctx, "DELETE FROM swarm_members WHERE tenant_id = ? AND swarm_id = ? AND id = ?", sc.Tenant, swarmID, member))
		if err == nil && n == 0 {
			return id.NotFound[id.SwarmMemberKind](member.String())
		}
		return err
	})
}

// ForgetMembers implements swarm.MemberRepository.
func (r *MemberRepo) ForgetMembers(ctx context.Context, sc account.Scope, swarmID id.Swarm) error {
	return r.s.write(ctx, func(ctx context.Context, db bun.IDB) error {
		_, err := db.ExecContext(ctx, "DELETE FROM swarm_members WHERE tenant_id = ? AND swarm_id = ?", sc.Tenant, swarmID)
		return mapErr(err)
	})
}
