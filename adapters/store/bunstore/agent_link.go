package bunstore

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/uptrace/bun"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/page"
)

// LinkRepo keeps who looks after which agent.
type LinkRepo struct{ s *Store }

var _ account.LinkRepository = (*LinkRepo)(nil)

// AgentLinks returns the repository of who looks after which agent.
func (s *Store) AgentLinks() *LinkRepo { return &LinkRepo{s} }

const linkColumns = "id, agent_id, who, key_id, email, created_by, created_at"

func scanLink(tenant id.Tenant, row scanner) (account.Link, error) {
	l := account.Link{Tenant: tenant}
	var email sql.NullString
	var created stamp
	err := row.Scan(&l.ID, &l.Agent, &l.Who, &l.Key, &email, &l.CreatedBy, &created)
	l.Email, l.CreatedAt = email.String, created.Time()
	return l, err
}

// InsertLink implements account.LinkRepository.
func (r *LinkRepo) InsertLink(ctx context.Context, sc account.Scope, l account.Link) (account.Link, error) {
	var out account.Link
	err := r.s.write(ctx, func(ctx context.Context, db bun.IDB) error {
		_, err := db.ExecContext(ctx, `INSERT INTO agent_links (tenant_id, id, agent_id, who, key_id, email, created_by, created_at)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (tenant_id, agent_id, who) DO NOTHING`,
			sc.Tenant, l.ID, l.Agent, l.Who, l.Key, sql.NullString{String: l.Email, Valid: l.Email != ""}, l.CreatedBy, at(l.CreatedAt))
		if err != nil {
			return mapErr(err)
		}
		out, err = scanLink(sc.Tenant, db.QueryRowContext(ctx, "SELECT "+linkColumns+
			" FROM agent_links WHERE tenant_id = ? AND agent_id = ? AND who = ?", sc.Tenant, l.Agent, l.Who))
		return mapErr(err)
	})
	return out, err
}

// Links implements account.LinkRepository.
func (r *LinkRepo) Links(ctx context.Context, sc account.Scope, req account.LinkRequest) (page.Page[account.Link], error) {
	w := newWhere("tenant_id = ?", sc.Tenant)
	if !req.Agent.IsZero() {
		w.and("agent_id = ?", req.Agent)
	}
	total, err := r.s.total(ctx, req.Page, "agent_links", w.sql(), w.args...)
	if err != nil {
		return page.Page[account.Link]{}, err
	}
	if req.Page.Cursor != "" {
		before, err := decodeIDCursor[id.AgentLinkKind](req.Page.Cursor)
		if err != nil {
			return page.Page[account.Link]{}, err
		}
		w.and("id < ?", before)
	}
	found, err := queryAll(ctx, r.s.read(ctx), func(row scanner) (account.Link, error) { return scanLink(sc.Tenant, row) },
		"SELECT "+linkColumns+" FROM agent_links WHERE "+w.sql()+" ORDER BY id DESC LIMIT ? OFFSET ?",
		append(w.args, req.Page.Size()+1, max(req.Page.Offset, 0))...)
	if err != nil {
		return page.Page[account.Link]{}, err
	}
	out, err := pageOf(found, req.Page.Size(), func(l account.Link) (account.Link, error) { return l, nil },
		func(l account.Link) []string { return []string{l.ID.String()} })
	out.Total = total
	return out, err
}

// DeleteLink implements account.LinkRepository.
func (r *LinkRepo) DeleteLink(ctx context.Context, sc account.Scope, link id.AgentLink) (account.Link, error) {
	var out account.Link
	err := r.s.write(ctx, func(ctx context.Context, db bun.IDB) error {
		var err error
		out, err = scanLink(sc.Tenant, db.QueryRowContext(ctx, "DELETE FROM agent_links WHERE tenant_id = ? AND id = ? RETURNING "+linkColumns,
			sc.Tenant, link))
		if errors.Is(err, sql.ErrNoRows) {
			return id.NotFound[id.AgentLinkKind](link.String())
		}
		return mapErr(err)
	})
	return out, err
}

// ForgetLinks implements account.LinkRepository.
func (r *LinkRepo) ForgetLinks(ctx context.Context, sc account.Scope, agent id.Agent, key id.APIKey) error {
	return r.s.write(ctx, func(ctx context.Context, db bun.IDB) error {
		column, arg := "agent_id", any(agent)
		if agent.IsZero() {
			column, arg = "key_id", key
		}
		if _, err := db.ExecContext(ctx, "DELETE FROM agent_links WHERE tenant_id = ? AND "+column+" = ?", sc.Tenant, arg); err != nil || key.IsZero() {
			return mapErr(err)
		}
		// Who has no key any more is in no swarm by it either.
		_, err := db.ExecContext(ctx, "DELETE FROM swarm_members WHERE tenant_id = ? AND key_id = ?", sc.Tenant, key)
		return mapErr(err)
	})
}

// LinkedAgents implements account.LinkRepository.
func (r *LinkRepo) LinkedAgents(ctx context.Context, sc account.Scope, key id.APIKey, email string) ([]id.Agent, error) {
	q, args := "SELECT DISTINCT agent_id FROM agent_links WHERE tenant_id = ? AND key_id = ?", []any{sc.Tenant, key}
	if email != "" {
		q, args = q+" UNION SELECT agent_id FROM agent_links WHERE tenant_id = ? AND email = ?", append(args, sc.Tenant, email)
	}
	found, err := queryAll(ctx, r.s.read(ctx), func(row scanner) (of id.Agent, err error) {
		err = row.Scan(&of)
		return of, err
	}, q, args...)
	return found, err
}

// KeysNamed implements account.LinkRepository.
func (r *LinkRepo) KeysNamed(ctx context.Context, sc account.Scope, name string, key id.APIKey, now time.Time) ([]id.APIKey, error) {
	if r.s.current(ctx) != nil { // a key of this name that is being made binds the links that it sees
		if err := r.s.lock(ctx, "account:name:"+sc.Tenant.String()); err != nil {
			return nil, err
		}
	}
	w := newWhere("tenant_id = ? AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > ?)", sc.Tenant, at(now))
	if name != "" {
		w.and("name = ?", name)
	} else {
		w.and("id = ?", key)
	}
	return queryAll(ctx, r.s.read(ctx), func(row scanner) (of id.APIKey, err error) {
		err = row.Scan(&of)
		return of, err
	}, "SELECT id FROM api_keys WHERE "+w.sql()+" ORDER BY id LIMIT 2", w.args...)
}

// BindLinks implements account.LinkRepository.
func (r *LinkRepo) BindLinks(ctx context.Context, sc account.Scope, name string, key id.APIKey) error {
	return r.s.write(ctx, func(ctx context.Context, db bun.IDB) error {
		if err := r.s.lock(ctx, "account:name:"+sc.Tenant.String()); err != nil {
			return err
		}
		_, err := db.ExecContext(ctx, "UPDATE agent_links SET key_id = ? WHERE tenant_id = ? AND who = ? AND key_id IS NULL AND email IS NULL",
			key, sc.Tenant, name)
		return mapErr(err)
	})
}
