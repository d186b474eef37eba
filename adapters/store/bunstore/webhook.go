package bunstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/uptrace/bun"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/webhook"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/page"
)

// WebhookRepo keeps webhooks. It implements webhook.Webhooks.
type WebhookRepo struct{ s *Store }

// NoticeRepo keeps notices. It implements webhook.Notices.
type NoticeRepo struct{ s *Store }

var (
	_ webhook.Webhooks = (*WebhookRepo)(nil)
	_ webhook.Notices  = (*NoticeRepo)(nil)
)

// Webhooks returns the repository of webhooks.
func (s *Store) Webhooks() *WebhookRepo { return &WebhookRepo{s} }

// Notices returns the repository of notices.
func (s *Store) Notices() *NoticeRepo { return &NoticeRepo{s} }

const webhookColumns = "id, url, events, description, enabled, reason, failures, secret, previous, previous_until, created_at, updated_at"

func scanWebhook(tenant id.Tenant, row scanner) (webhook.Webhook, error) {
	w := webhook.Webhook{Tenant: tenant}
	var events textList
	var until, created, updated stamp
	err := row.Scan(&w.ID, &w.URL, &events, &w.Description, &w.Enabled, &w.Reason, &w.Failures, &w.SealedSecret, &w.SealedPrevious, &until,
		&created, &updated)
	if err != nil {
		return webhook.Webhook{}, err
	}
	w.Events, w.PreviousUntil, w.CreatedAt, w.UpdatedAt = events, until.Time(), created.Time(), updated.Time()
	return w, nil
}

// webhookValues are the values of webhookColumns after the id.
func webhookValues(w webhook.Webhook) ([]any, error) {
	events, err := textList(w.Events).encode()
	return []any{
		w.URL, events, w.Description, w.Enabled, w.Reason, w.Failures, w.SealedSecret, w.SealedPrevious, atOrNull(w.PreviousUntil),
		at(w.CreatedAt), at(w.UpdatedAt),
	}, err
}

// Insert implements webhook.Webhooks.
func (r *WebhookRepo) Insert(ctx context.Context, sc account.Scope, w webhook.Webhook, most int) error {
	values, err := webhookValues(w)
	if err != nil {
		return err
	}
	return r.s.write(ctx, func(ctx context.Context, db bun.IDB) error {
		if err := r.s.lock(ctx, "webhooks:"+sc.Tenant.String()); err != nil {
			return err
		}
		var n int
		if err := db.QueryRowContext(ctx, "SELECT count(*) FROM webhooks WHERE tenant_id = ?", sc.Tenant).Scan(&n); err != nil {
			return mapErr(err)
		}
		if n >= most {
			return webhook.ErrTooMany.Withf("the account has %d webhooks, which is the most", n)
		}
		_, err := db.ExecContext(ctx, "INSERT INTO webhooks (tenant_id, "+webhookColumns+") VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
			append([]any{sc.Tenant, w.ID}, values...)...)
		if err != nil {
			return mapErr(err)
		}
		return r.want(ctx, db, sc, w)
	})
}

// want stores which kinds of notices a webhook is told of.
func (r *WebhookRepo) want(ctx context.Context, db bun.IDB, sc account.Scope, w webhook.Webhook) error {
	_, err := db.ExecContext(ctx, "DELETE FROM webhook_events WHERE tenant_id = ? AND webhook_id = ?", sc.Tenant, w.ID)
	if err != nil || !w.Enabled {
		return mapErr(err)
	}
	for _, pattern := range w.Events {
		_, err := db.ExecContext(ctx, "INSERT INTO webhook_events (tenant_id, pattern, webhook_id) VALUES (?, ?, ?)", sc.Tenant, pattern, w.ID)
		if err != nil {
			return mapErr(err)
		}
	}
	return nil
}

// Get implements webhook.Webhooks.
func (r *WebhookRepo) Get(ctx context.Context, sc account.Scope, w id.Webhook) (webhook.Webhook, error) {
	return r.get(ctx, r.s.read(ctx), sc, w, "")
}

func (r *WebhookRepo) get(ctx context.Context, db bun.IDB, sc account.Scope, of id.Webhook, lock string) (webhook.Webhook, error) {
	w, err := scanWebhook(sc.Tenant, db.QueryRowContext(ctx,
		"SELECT "+webhookColumns+" FROM webhooks WHERE tenant_id = ? AND id = ?"+lock, sc.Tenant, of))
	if errors.Is(err, sql.ErrNoRows) {
		return webhook.Webhook{}, id.NotFound[id.WebhookKind](of.String())
	}
	return w, mapErr(err)
}

// List implements webhook.Webhooks.
func (r *WebhookRepo) List(ctx context.Context, sc account.Scope, req page.Request) (page.Page[webhook.Webhook], error) {
	return newestFirst(ctx, r.s.read(ctx), req, func(row scanner) (webhook.Webhook, error) { return scanWebhook(sc.Tenant, row) },
		func(w webhook.Webhook) id.Webhook { return w.ID }, "SELECT "+webhookColumns+" FROM webhooks WHERE tenant_id = ?", sc.Tenant)
}

// Update implements webhook.Webhooks.
func (r *WebhookRepo) Update(
	ctx context.Context, sc account.Scope, of id.Webhook, change func(*webhook.Webhook) error,
) (webhook.Webhook, error) {
	var out webhook.Webhook
	err := r.s.write(ctx, func(ctx context.Context, db bun.IDB) error {
		w, err := r.get(ctx, db, sc, of, r.s.forUpdate())
		if err != nil {
			return err
		}
		was := w
		if err := change(&w); err != nil {
			return err
		}
		w.ID, w.Tenant, w.CreatedAt = was.ID, was.Tenant, was.CreatedAt
		values, err := webhookValues(w)
		if err != nil {
			return err
		}
		_, err = db.ExecContext(ctx, `UPDATE webhooks SET url = ?, events = ?, description = ?, enabled = ?, reason = ?, failures = ?, secret = ?,
			previous = ?, previous_until = ?, created_at = ?, updated_at = ? WHERE tenant_id = ? AND id = ?`, append(values, sc.Tenant, of)...)
		if err != nil {
			return mapErr(err)
		}
		out = w
		return r.want(ctx, db, sc, w)
	})
	return out, err
}

// Delete implements webhook.Webhooks.
func (r *WebhookRepo) Delete(ctx context.Context, sc account.Scope, of id.Webhook) error {
	return r.s.write(ctx, func(ctx context.Context, db bun.IDB) error {
		n, err := affected(db.ExecContext(ctx, "DELETE FROM webhooks WHERE tenant_id = ? AND id = ?", sc.Tenant, of))
		if err != nil {
			return err
		}
		if n == 0 {
			return id.NotFound[id.WebhookKind](of.String())
		}
		for _, table := range []string{"webhook_events", "webhook_deliveries"} {
			if _, err := db.ExecContext(ctx, "DELETE FROM "+table+" WHERE tenant_id = ? AND webhook_id = ?", sc.Tenant, of); err != nil {
				return mapErr(err)
			}
		}
		return nil
	})
}

const noticeColumns = "id, kind, agent_id, data, created_at"

func scanNotice(tenant id.Tenant, row scanner) (webhook.Notice, error) {
	n := webhook.Notice{Tenant: tenant}
	var data []byte
	var created stamp
	if err := row.Scan(&n.ID, &n.Kind, &n.Agent, &data, &created); err != nil {
		return webhook.Notice{}, err
	}
	n.Data, n.CreatedAt = data, created.Time()
	return n, nil
}

// Insert implements webhook.Notices.
func (r *NoticeRepo) Insert(
	ctx context.Context, sc account.Scope, n webhook.Notice, once string, patterns []string,
) (wanted []id.Webhook, fresh bool, err error) {
	insert := "INSERT INTO notices (tenant_id, " + noticeColumns + ", once) VALUES (?, ?, ?, ?, ?, ?, ?)"
	values := []any{sc.Tenant, n.ID, n.Kind, n.Agent, string(n.Data), at(n.CreatedAt), nil}
	find := "SELECT DISTINCT webhook_id FROM webhook_events WHERE tenant_id = ? AND pattern IN (?" +
		strings.Repeat(", ?", max(len(patterns)-1, 0)) + ") ORDER BY webhook_id"
	args := []any{sc.Tenant}
	for _, p := range patterns {
		args = append(args, p)
	}
	scan := func(row scanner) (w id.Webhook, err error) {
		err = row.Scan(&w)
		return w, err
	}
	err = r.s.write(ctx, func(ctx context.Context, db bun.IDB) error {
		wanted, fresh = nil, true
		if once == "" && len(patterns) > 0 && r.s.postgres() {
			// One way to the database instead of two: every payment goes through here.
			wanted, err = queryAll(ctx, db, scan, "WITH stored AS ("+insert+") "+find, append(values, args...)...)
			return err
		}
		if once != "" {
			insert += " ON CONFLICT (tenant_id, once) WHERE once IS NOT NULL DO NOTHING"
			values[len(values)-1] = once
		}
		stored, err := affected(db.ExecContext(ctx, insert, values...))
		if fresh = stored > 0; err != nil || !fresh || len(patterns) == 0 {
			return err
		}
		wanted, err = queryAll(ctx, db, scan, find, args...)
		return err
	})
	return wanted, fresh, err
}

// Get implements webhook.Notices.
func (r *NoticeRepo) Get(ctx context.Context, sc account.Scope, of id.Notice) (webhook.Notice, error) {
	n, err := scanNotice(sc.Tenant, r.s.read(ctx).QueryRowContext(ctx,
		"SELECT "+noticeColumns+" FROM notices WHERE tenant_id = ? AND id = ?", sc.Tenant, of))
	if errors.Is(err, sql.ErrNoRows) {
		return webhook.Notice{}, id.NotFound[id.NoticeKind](of.String())
	}
	return n, mapErr(err)
}

// List implements webhook.Notices.
func (r *NoticeRepo) List(ctx context.Context, sc account.Scope, req webhook.ListNotices) (page.Page[webhook.Notice], error) {
	w := newWhere("tenant_id = ?", sc.Tenant)
	if req.Kind != "" {
		w.and("kind = ?", req.Kind)
	}
	if len(req.Kinds) > 0 {
		w.and("kind IN (?)", bun.List(req.Kinds))
	}
	if !req.Agent.IsZero() {
		w.and("agent_id = ?", req.Agent)
	}
	return newestFirst(ctx, r.s.read(ctx), req.Request, func(row scanner) (webhook.Notice, error) { return scanNotice(sc.Tenant, row) },
		func(n webhook.Notice) id.Notice { return n.ID }, "SELECT "+noticeColumns+" FROM notices WHERE "+w.sql(), w.args...)
}

// Prune implements webhook.Notices.
func (r *NoticeRepo) Prune(ctx context.Context, before time.Time, limit int) (int, error) {
	const old = "(SELECT id FROM notices WHERE created_at < ? ORDER BY created_at, id LIMIT ?)"
	var n int64
	err := r.s.write(ctx, func(ctx context.Context, db bun.IDB) error {
		_, err := db.ExecContext(ctx, "DELETE FROM webhook_deliveries WHERE notice_id IN "+old, at(before), limit)
		if err != nil {
			return mapErr(err)
		}
		n, err = affected(db.ExecContext(ctx, "DELETE FROM notices WHERE id IN "+old+" AND created_at < ?", at(before), limit, at(before)))
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("bunstore: prune notices: %w", err)
	}
	return int(n), nil
}
