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
	"github.com/bureau-agents/bureau/core/integration"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/page"
)

// InstallationRepo keeps the installations of integrations. It implements integration.Installations.
type InstallationRepo struct{ s *Store }

// PublicationRepo keeps publications and the sessions of their conversations. It implements integration.Publications and
// integration.Conversations.
type PublicationRepo struct{ s *Store }

// DeliveryRepo keeps events of workspaces and what is said about them. It implements integration.Deliveries and integration.Outbox.
type DeliveryRepo struct{ s *Store }

var (
	_ integration.Installations = (*InstallationRepo)(nil)
	_ integration.Publications  = (*PublicationRepo)(nil)
	_ integration.Conversations = (*PublicationRepo)(nil)
	_ integration.Deliveries    = (*DeliveryRepo)(nil)
	_ integration.Outbox        = (*DeliveryRepo)(nil)
)

// Installations returns the repository of installations.
func (s *Store) Installations() *InstallationRepo { return &InstallationRepo{s} }

// Publications returns the repository of publications.
func (s *Store) Publications() *PublicationRepo { return &PublicationRepo{s} }

// Deliveries returns the repository of events of workspaces.
func (s *Store) Deliveries() *DeliveryRepo { return &DeliveryRepo{s} }

// textList is a column that holds a list of texts as JSON. An empty list is read as nil.
type textList []string

func (l textList) encode() (string, error) {
	if l == nil {
		l = textList{}
	}
	b, err := json.Marshal([]string(l))
	return string(b), err
}

// Scan implements sql.Scanner.
func (l *textList) Scan(src any) error {
	var raw []byte
	switch v := src.(type) {
	case string:
		raw = []byte(v)
	case []byte:
		raw = v
	default:
		return fmt.Errorf("bunstore: cannot read a list of texts from %T", src)
	}
	var out []string
	if err := json.Unmarshal(raw, &out); err != nil {
		return fmt.Errorf("bunstore: %w", err)
	}
	if len(out) == 0 {
		out = nil
	}
	*l = out
	return nil
}

const integrationColumns = "id, provider, workspace_id, workspace_name, kind, bot_user_id, bot_login, authorized_by, scopes, accounts, " +
	"environment_id, status, token, token_expiry, installed_by, created_at, updated_at, removed_at"

func scanInstallation(tenant id.Tenant, row scanner) (integration.Installation, error) {
	i := integration.Installation{Tenant: tenant}
	var scopes, accounts textList
	var status string
	var expiry, created, updated, removed stamp
	err := row.Scan(&i.ID, &i.Provider, &i.WorkspaceID, &i.WorkspaceName, &i.Kind, &i.BotUserID, &i.BotLogin, &i.AuthorizedBy, &scopes,
		&accounts, &i.Environment, &status, &i.SealedToken, &expiry, &i.InstalledBy, &created, &updated, &removed)
	if err != nil {
		return integration.Installation{}, err
	}
	i.Scopes, i.Accounts, i.Status = scopes, accounts, integration.InstallationStatus(status)
	i.TokenExpiry, i.CreatedAt, i.UpdatedAt, i.RemovedAt = expiry.Time(), created.Time(), updated.Time(), timePtr(removed)
	return i, nil
}

func installationErr(err error, installation id.Installation) error {
	if errors.Is(err, sql.ErrNoRows) {
		return id.NotFound[id.InstallationKind](installation.String())
	}
	return mapErr(err)
}

// Save implements integration.Installations.
func (r *InstallationRepo) Save(ctx context.Context, sc account.Scope, i integration.Installation) (integration.Installation, error) {
	scopes, serr := textList(i.Scopes).encode()
	accounts, aerr := textList(i.Accounts).encode()
	if err := errors.Join(serr, aerr); err != nil {
		return integration.Installation{}, err
	}
	var out integration.Installation
	err := r.s.write(ctx, func(ctx context.Context, db bun.IDB) error {
		var err error
		out, err = scanInstallation(sc.Tenant, db.QueryRowContext(ctx, `INSERT INTO integration_installations AS i
			(tenant_id, `+integrationColumns+`) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
			ON CONFLICT (tenant_id, provider, workspace_id) DO UPDATE SET workspace_name = excluded.workspace_name, kind = excluded.kind,
			bot_user_id = excluded.bot_user_id, bot_login = excluded.bot_login, authorized_by = excluded.authorized_by,
			scopes = excluded.scopes, accounts = excluded.accounts, environment_id = COALESCE(excluded.environment_id, i.environment_id),
			status = excluded.status, token = excluded.token, token_expiry = excluded.token_expiry, installed_by = excluded.installed_by,
			updated_at = excluded.updated_at, removed_at = excluded.removed_at
			RETURNING `+integrationColumns,
			sc.Tenant, i.ID, i.Provider, i.WorkspaceID, i.WorkspaceName, i.Kind, i.BotUserID, i.BotLogin, i.AuthorizedBy, scopes, accounts,
			i.Environment, string(i.Status), i.SealedToken, atOrNull(i.TokenExpiry), i.InstalledBy, at(i.CreatedAt), at(i.UpdatedAt), stampPtr(i.RemovedAt)))
		if err != nil {
			return mapErr(err)
		}
		return r.claim(ctx, db, sc, out)
	})
	return out, err
}

// atOrNull is at for a time that may be zero, which is NULL.
func atOrNull(t time.Time) stamp {
	if t.IsZero() {
		return stamp{}
	}
	return at(t)
}

// claim makes the events of i's accounts its own, as far as they are nobody else's.
func (r *InstallationRepo) claim(ctx context.Context, db bun.IDB, sc account.Scope, i integration.Installation) error {
	_, err := db.ExecContext(ctx, "DELETE FROM integration_accounts WHERE tenant_id = ? AND installation_id = ?", sc.Tenant, i.ID)
	if err != nil {
		return mapErr(err)
	}
	for _, a := range i.Accounts {
		n, err := affected(db.ExecContext(ctx, `INSERT INTO integration_accounts AS a (provider, account, tenant_id, installation_id) VALUES (?, ?, ?, ?)
			ON CONFLICT (provider, account) DO UPDATE SET installation_id = excluded.installation_id
			WHERE a.tenant_id = excluded.tenant_id AND a.account = ?`, i.Provider, a, sc.Tenant, i.ID, i.WorkspaceID))
		switch {
		case err != nil:
			return err
		case n == 0 && a == i.WorkspaceID:
			return integration.ErrWorkspaceTaken
		}
	}
	return nil
}

// Get implements integration.Installations.
func (r *InstallationRepo) Get(ctx context.Context, sc account.Scope, installation id.Installation) (integration.Installation, error) {
	return r.get(ctx, r.s.read(ctx), sc, installation, "")
}

func (r *InstallationRepo) get(
	ctx context.Context, db bun.IDB, sc account.Scope, installation id.Installation, lock string,
) (integration.Installation, error) {
	i, err := scanInstallation(sc.Tenant, db.QueryRowContext(ctx, "SELECT "+integrationColumns+
		" FROM integration_installations WHERE tenant_id = ? AND id = ?"+lock, sc.Tenant, installation))
	return i, installationErr(err, installation)
}

// List implements integration.Installations.
func (r *InstallationRepo) List(ctx context.Context, sc account.Scope, provider string) ([]integration.Installation, error) {
	w := newWhere("tenant_id = ?", sc.Tenant)
	if provider != "" {
		w.and("provider = ?", provider)
	}
	return queryAll(ctx, r.s.read(ctx), func(row scanner) (integration.Installation, error) { return scanInstallation(sc.Tenant, row) },
		"SELECT "+integrationColumns+" FROM integration_installations WHERE "+w.sql()+" ORDER BY id", w.args...)
}

// Update implements integration.Installations.
func (r *InstallationRepo) Update(
	ctx context.Context, sc account.Scope, installation id.Installation, change func(*integration.Installation) error,
) (integration.Installation, error) {
	var out integration.Installation
	err := r.s.write(ctx, func(ctx context.Context, db bun.IDB) error {
		i, err := r.get(ctx, db, sc, installation, r.s.forUpdate())
		if err != nil {
			return err
		}
		if err := change(&i); err != nil {
			return err
		}
		out = i
		_, err = db.ExecContext(ctx, `UPDATE integration_installations SET status = ?, token = ?, token_expiry = ?, updated_at = ?, removed_at = ?
			WHERE tenant_id = ? AND id = ?`,
			string(i.Status), i.SealedToken, atOrNull(i.TokenExpiry), at(i.UpdatedAt), stampPtr(i.RemovedAt), sc.Tenant, installation)
		if err != nil || i.Status != integration.Uninstalled {
			return mapErr(err)
		}
		_, err = db.ExecContext(ctx, "DELETE FROM integration_accounts WHERE tenant_id = ? AND installation_id = ?", sc.Tenant, installation)
		return mapErr(err)
	})
	return out, err
}

// Route implements integration.Installations.
func (r *InstallationRepo) Route(ctx context.Context, provider string, accounts []string) (id.Tenant, id.Installation, bool, error) {
	for _, a := range accounts {
		var tenant id.Tenant
		var installation id.Installation
		err := r.s.read(ctx).QueryRowContext(ctx, "SELECT tenant_id, installation_id FROM integration_accounts WHERE provider = ? AND account = ?",
			provider, a).Scan(&tenant, &installation)
		if errors.Is(err, sql.ErrNoRows) {
			continue
		}
		return tenant, installation, err == nil, mapErr(err)
	}
	return id.Tenant{}, id.Installation{}, false, nil
}

const publicationColumns = "id, provider, installation_id, agent_id, environment_id, granularity, mode, persona_name, avatar_url, " +
	"capabilities, channels, status, created_at, updated_at, ended_at"

func scanPublication(tenant id.Tenant, row scanner) (integration.Publication, error) {
	p := integration.Publication{Tenant: tenant}
	var granularity, status string
	var capabilities, channels textList
	var created, updated, ended stamp
	err := row.Scan(&p.ID, &p.Provider, &p.Installation, &p.Agent, &p.Environment, &granularity, &p.Mode, &p.Persona.Name,
		&p.Persona.AvatarURL, &capabilities, &channels, &status, &created, &updated, &ended)
	if err != nil {
		return integration.Publication{}, err
	}
	p.Granularity, p.Status = integration.Granularity(granularity), integration.Status(status)
	p.Capabilities, p.Channels = capabilities, channels
	p.CreatedAt, p.UpdatedAt, p.EndedAt = created.Time(), updated.Time(), timePtr(ended)
	return p, nil
}

func publicationErr(err error, publication id.Publication) error {
	if errors.Is(err, sql.ErrNoRows) {
		return id.NotFound[id.PublicationKind](publication.String())
	}
	return mapErr(err)
}

// Insert implements integration.Publications. The conflict is caught by ON CONFLICT, so that the transaction goes on.
func (r *PublicationRepo) Insert(ctx context.Context, sc account.Scope, p integration.Publication) error {
	capabilities, cerr := textList(p.Capabilities).encode()
	channels, herr := textList(p.Channels).encode()
	if err := errors.Join(cerr, herr); err != nil {
		return err
	}
	return r.s.write(ctx, func(ctx context.Context, db bun.IDB) error {
		n, err := affected(db.ExecContext(ctx, `INSERT INTO integration_publications (tenant_id, `+publicationColumns+`)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`,
			sc.Tenant, p.ID, p.Provider, p.Installation, p.Agent, p.Environment, string(p.Granularity), p.Mode, p.Persona.Name,
			p.Persona.AvatarURL, capabilities, channels, string(p.Status), at(p.CreatedAt), at(p.UpdatedAt), stampPtr(p.EndedAt)))
		if err == nil && n == 0 {
			err = integration.ErrPublished
		}
		return err
	})
}

// Get implements integration.Publications.
func (r *PublicationRepo) Get(ctx context.Context, sc account.Scope, publication id.Publication) (integration.Publication, error) {
	return r.get(ctx, r.s.read(ctx), sc, publication, "")
}

func (r *PublicationRepo) get(
	ctx context.Context, db bun.IDB, sc account.Scope, publication id.Publication, lock string,
) (integration.Publication, error) {
	p, err := scanPublication(sc.Tenant, db.QueryRowContext(ctx, "SELECT "+publicationColumns+
		" FROM integration_publications WHERE tenant_id = ? AND id = ?"+lock, sc.Tenant, publication))
	return p, publicationErr(err, publication)
}

// List implements integration.Publications.
func (r *PublicationRepo) List(
	ctx context.Context, sc account.Scope, req integration.ListRequest,
) (page.Page[integration.Publication], error) {
	w := newWhere("tenant_id = ?", sc.Tenant)
	if req.Provider != "" {
		w.and("provider = ?", req.Provider)
	}
	if !req.Installation.IsZero() {
		w.and("installation_id = ?", req.Installation)
	}
	if !req.Agent.IsZero() {
		w.and("agent_id = ?", req.Agent)
	}
	if req.Status != "" {
		w.and("status = ?", string(req.Status))
	}
	if req.Cursor != "" {
		before, err := decodeIDCursor[id.PublicationKind](req.Cursor)
		if err != nil {
			return page.Page[integration.Publication]{}, err
		}
		w.and("id < ?", before)
	}
	found, err := r.query(ctx, sc, w, fmt.Sprintf(" ORDER BY id DESC LIMIT %d", req.Size()+1))
	if err != nil {
		return page.Page[integration.Publication]{}, err
	}
	return pageOf(found, req.Size(), func(p integration.Publication) (integration.Publication, error) { return p, nil },
		func(p integration.Publication) []string { return []string{p.ID.String()} })
}

func (r *PublicationRepo) query(ctx context.Context, sc account.Scope, w *where, order string) ([]integration.Publication, error) {
	return queryAll(ctx, r.s.read(ctx), func(row scanner) (integration.Publication, error) { return scanPublication(sc.Tenant, row) },
		"SELECT "+publicationColumns+" FROM integration_publications WHERE "+w.sql()+order, w.args...)
}

// Update implements integration.Publications.
func (r *PublicationRepo) Update(
	ctx context.Context, sc account.Scope, publication id.Publication, change func(*integration.Publication) error,
) (integration.Publication, error) {
	var out integration.Publication
	err := r.s.write(ctx, func(ctx context.Context, db bun.IDB) error {
		p, err := r.get(ctx, db, sc, publication, r.s.forUpdate())
		if err != nil {
			return err
		}
		if err := change(&p); err != nil {
			return err
		}
		out = p
		capabilities, cerr := textList(p.Capabilities).encode()
		channels, herr := textList(p.Channels).encode()
		if err := errors.Join(cerr, herr); err != nil {
			return err
		}
		_, err = db.ExecContext(ctx, `UPDATE integration_publications SET environment_id = ?, granularity = ?, mode = ?, persona_name = ?,
			avatar_url = ?, capabilities = ?, channels = ?, status = ?, updated_at = ?, ended_at = ? WHERE tenant_id = ? AND id = ?`,
			p.Environment, string(p.Granularity), p.Mode, p.Persona.Name, p.Persona.AvatarURL, capabilities, channels, string(p.Status),
			at(p.UpdatedAt), stampPtr(p.EndedAt), sc.Tenant, publication)
		return mapErr(err)
	})
	return out, err
}

// Live implements integration.Publications.
func (r *PublicationRepo) Live(ctx context.Context, sc account.Scope, installation id.Installation) ([]integration.Publication, error) {
	return r.query(ctx, sc, newWhere("tenant_id = ? AND installation_id = ? AND status = 'live'", sc.Tenant, installation), " ORDER BY id")
}

// Session implements integration.Conversations.
func (r *PublicationRepo) Session(
	ctx context.Context, sc account.Scope, publication id.Publication, conversation string,
) (id.Session, bool, error) {
	if err := r.s.lock(ctx, "integration:"+publication.UUID().String()); err != nil {
		return id.Session{}, false, err
	}
	var session id.Session
	err := r.s.read(ctx).QueryRowContext(ctx, `SELECT session_id FROM integration_conversations
		WHERE tenant_id = ? AND publication_id = ? AND conversation = ?`, sc.Tenant, publication, conversation).Scan(&session)
	if errors.Is(err, sql.ErrNoRows) {
		return id.Session{}, false, nil
	}
	return session, err == nil, mapErr(err)
}

// SetSession implements integration.Conversations.
func (r *PublicationRepo) SetSession(
	ctx context.Context, sc account.Scope, publication id.Publication, conversation string, session id.Session, when time.Time,
) error {
	return r.s.write(ctx, func(ctx context.Context, db bun.IDB) error {
		_, err := db.ExecContext(ctx, `INSERT INTO integration_conversations (tenant_id, publication_id, conversation, session_id, updated_at)
			VALUES (?, ?, ?, ?, ?) ON CONFLICT (tenant_id, publication_id, conversation)
			DO UPDATE SET session_id = excluded.session_id, updated_at = excluded.updated_at`, sc.Tenant, publication, conversation, session, at(when))
		return mapErr(err)
	})
}

const deliveryColumns = "tenant_id, id, installation_id, provider, external, message, state, publication_id, session_id, input_id, notice, " +
	"check_at, error, created_at, updated_at"

func scanDelivery(row scanner) (integration.Delivery, error) {
	var d integration.Delivery
	var message []byte
	var state string
	var check, created, updated stamp
	err := row.Scan(&d.Tenant, &d.ID, &d.Installation, &d.Provider, &d.External, &message, &state, &d.Publication, &d.Session, &d.Input,
		&d.Notice, &check, &d.Error, &created, &updated)
	if err != nil {
		return integration.Delivery{}, err
	}
	if err := json.Unmarshal(message, &d.Message); err != nil {
		return integration.Delivery{}, fmt.Errorf("bunstore: the message of %s: %w", d.ID, err)
	}
	d.State = integration.DeliveryState(state)
	d.CheckAt, d.CreatedAt, d.UpdatedAt = check.Time(), created.Time(), updated.Time()
	return d, nil
}

func deliveryErr(err error, delivery id.Delivery) error {
	if errors.Is(err, sql.ErrNoRows) {
		return id.NotFound[id.DeliveryKind](delivery.String())
	}
	return mapErr(err)
}

// Insert implements integration.Deliveries.
func (r *DeliveryRepo) Insert(ctx context.Context, sc account.Scope, d integration.Delivery) (bool, error) {
	message, err := json.Marshal(d.Message)
	if err != nil {
		return false, fmt.Errorf("bunstore: %w", err)
	}
	var n int64
	err = r.s.write(ctx, func(ctx context.Context, db bun.IDB) error {
		var err error
		n, err = affected(db.ExecContext(ctx, `INSERT INTO integration_deliveries
			(tenant_id, id, installation_id, provider, external, message_key, message, state, notice, check_at, error, created_at, updated_at)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`,
			sc.Tenant, d.ID, d.Installation, d.Provider, d.External, d.Message.Key, string(message), string(d.State), d.Notice, at(d.CheckAt),
			d.Error, at(d.CreatedAt), at(d.UpdatedAt)))
		return err
	})
	return n > 0, err
}

// Get implements integration.Deliveries.
func (r *DeliveryRepo) Get(ctx context.Context, sc account.Scope, delivery id.Delivery) (integration.Delivery, error) {
	return r.get(ctx, r.s.read(ctx), sc, delivery, "")
}

func (r *DeliveryRepo) get(
	ctx context.Context, db bun.IDB, sc account.Scope, delivery id.Delivery, lock string,
) (integration.Delivery, error) {
	d, err := scanDelivery(db.QueryRowContext(ctx, "SELECT "+deliveryColumns+
		" FROM integration_deliveries WHERE tenant_id = ? AND id = ?"+lock, sc.Tenant, delivery))
	return d, deliveryErr(err, delivery)
}

// Update implements integration.Deliveries.
func (r *DeliveryRepo) Update(
	ctx context.Context, sc account.Scope, delivery id.Delivery, change func(*integration.Delivery) error,
) (integration.Delivery, error) {
	var out integration.Delivery
	err := r.s.write(ctx, func(ctx context.Context, db bun.IDB) error {
		d, err := r.get(ctx, db, sc, delivery, r.s.forUpdate())
		if err != nil {
			return err
		}
		if err := change(&d); err != nil {
			return err
		}
		out = d
		_, err = db.ExecContext(ctx, `UPDATE integration_deliveries SET state = ?, publication_id = ?, session_id = ?, input_id = ?, notice = ?,
			check_at = ?, error = ?, updated_at = ? WHERE tenant_id = ? AND id = ?`, string(d.State), d.Publication, d.Session, d.Input, d.Notice,
			at(d.CheckAt), d.Error, at(d.UpdatedAt), sc.Tenant, delivery)
		return mapErr(err)
	})
	return out, err
}

// Due implements integration.Deliveries.
func (r *DeliveryRepo) Due(ctx context.Context, now time.Time, limit int) ([]integration.Delivery, error) {
	return r.query(ctx, "state = 'running' AND check_at <= ? ORDER BY check_at LIMIT ?", at(now), limit)
}

// Stale implements integration.Deliveries.
func (r *DeliveryRepo) Stale(ctx context.Context, before time.Time, limit int) ([]integration.Delivery, error) {
	return r.query(ctx, "state = 'received' AND updated_at < ? ORDER BY updated_at LIMIT ?", at(before), limit)
}

func (r *DeliveryRepo) query(ctx context.Context, where string, args ...any) ([]integration.Delivery, error) {
	return queryAll(ctx, r.s.read(ctx), scanDelivery, "SELECT "+deliveryColumns+" FROM integration_deliveries WHERE "+where, args...)
}

// Prune implements integration.Deliveries.
func (r *DeliveryRepo) Prune(ctx context.Context, before time.Time) (int, error) {
	var n int64
	err := r.s.write(ctx, func(ctx context.Context, db bun.IDB) error {
		const old = "created_at < ? AND state <> 'running'"
		_, err := db.ExecContext(ctx, `DELETE FROM integration_posts WHERE EXISTS (SELECT 1 FROM integration_deliveries AS d
			WHERE d.tenant_id = integration_posts.tenant_id AND d.id = integration_posts.delivery_id AND d.created_at < ? AND d.state <> 'running')`,
			at(before))
		if err != nil {
			return mapErr(err)
		}
		n, err = affected(db.ExecContext(ctx, "DELETE FROM integration_deliveries WHERE "+old, at(before)))
		return err
	})
	return int(n), err
}

// InsertPost implements integration.Outbox.
func (r *DeliveryRepo) InsertPost(ctx context.Context, sc account.Scope, p integration.Post) (bool, error) {
	var n int64
	err := r.s.write(ctx, func(ctx context.Context, db bun.IDB) error {
		var err error
		n, err = affected(db.ExecContext(ctx, `INSERT INTO integration_posts
			(tenant_id, id, delivery_id, mark, text, state, external, error, created_at, updated_at)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`,
			sc.Tenant, p.ID, p.Delivery, p.Mark, p.Text, string(p.State), p.External, p.Error, at(p.CreatedAt), at(p.UpdatedAt)))
		return err
	})
	return n > 0, err
}

const postColumns = "tenant_id, id, delivery_id, mark, text, state, external, error, created_at, updated_at"

func scanPost(row scanner) (integration.Post, error) {
	var p integration.Post
	var state string
	var created, updated stamp
	err := row.Scan(&p.Tenant, &p.ID, &p.Delivery, &p.Mark, &p.Text, &state, &p.External, &p.Error, &created, &updated)
	p.State, p.CreatedAt, p.UpdatedAt = integration.PostState(state), created.Time(), updated.Time()
	return p, err
}

// StalePosts implements integration.Outbox.
func (r *DeliveryRepo) StalePosts(ctx context.Context, before time.Time, limit int) ([]integration.Post, error) {
	return queryAll(ctx, r.s.read(ctx), scanPost, "SELECT "+postColumns+
		" FROM integration_posts WHERE state = 'sending' AND updated_at < ? ORDER BY updated_at LIMIT ?", at(before), limit)
}

// UpdatePost implements integration.Outbox.
func (r *DeliveryRepo) UpdatePost(
	ctx context.Context, sc account.Scope, post id.Post, change func(*integration.Post) error,
) (integration.Post, error) {
	var p integration.Post
	err := r.s.write(ctx, func(ctx context.Context, db bun.IDB) error {
		var err error
		p, err = scanPost(db.QueryRowContext(ctx, "SELECT "+postColumns+" FROM integration_posts WHERE tenant_id = ? AND id = ?"+r.s.forUpdate(),
			sc.Tenant, post))
		if errors.Is(err, sql.ErrNoRows) {
			return id.NotFound[id.PostKind](post.String())
		}
		if err != nil {
			return mapErr(err)
		}
		if err := change(&p); err != nil {
			return err
		}
		_, err = db.ExecContext(ctx, "UPDATE integration_posts SET state = ?, external = ?, error = ?, updated_at = ? WHERE tenant_id = ? AND id = ?",
			string(p.State), p.External, p.Error, at(p.UpdatedAt), sc.Tenant, post)
		return mapErr(err)
	})
	return p, err
}
