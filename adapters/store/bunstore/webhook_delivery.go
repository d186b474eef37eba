package bunstore

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/uptrace/bun"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/webhook"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/page"
)

// WebhookDeliveryRepo keeps the deliveries of notices. It implements webhook.Deliveries.
type WebhookDeliveryRepo struct{ s *Store }

var _ webhook.Deliveries = (*WebhookDeliveryRepo)(nil)

// WebhookDeliveries returns the repository of deliveries of notices.
func (s *Store) WebhookDeliveries() *WebhookDeliveryRepo { return &WebhookDeliveryRepo{s} }

// attemptRow is one element of the column attempts.
type attemptRow struct {
	At    string `json:"at"`
	MS    int64  `json:"ms"`
	Code  int    `json:"code,omitempty"`
	Error string `json:"error,omitempty"`
}

func encodeAttempts(all []webhook.Attempt) (string, error) {
	rows := make([]attemptRow, len(all))
	for i, a := range all {
		rows[i] = attemptRow{at(a.At).String(), a.Duration.Milliseconds(), a.Code, a.Error}
	}
	b, err := json.Marshal(rows)
	return string(b), err
}

func decodeAttempts(text []byte) ([]webhook.Attempt, error) {
	var rows []attemptRow
	if err := json.Unmarshal(text, &rows); err != nil {
		return nil, err
	}
	var all []webhook.Attempt
	for _, r := range rows {
		when, err := parseStamp(r.At)
		if err != nil {
			return nil, err
		}
		all = append(all, webhook.Attempt{
			At: when.Time(), Duration: time.Duration(r.MS) * time.Millisecond, Code: r.Code, Error: r.Error,
		})
	}
	return all, nil
}

// deliveryLane is how the column lane spells a lane.
func deliveryLane(l webhook.Lane) string {
	if l.Manual {
		return l.Webhook.UUID().String() + "/manual"
	}
	return l.Webhook.UUID().String()
}

const webhookDeliveryColumns = "seq, tenant_id, id, webhook_id, notice_id, kind, manual, status, error, attempts, next_at, created_at, updated_at"

// placedDelivery is a delivery with its place among those that were queued.
type placedDelivery struct {
	seq int64
	webhook.Delivery
}

func scanWebhookDelivery(row scanner) (placedDelivery, error) {
	var d placedDelivery
	var status string
	var attempts []byte
	var next, created, updated stamp
	err := row.Scan(&d.seq, &d.Tenant, &d.ID, &d.Webhook, &d.Notice, &d.Kind, &d.Manual, &status, &d.Error, &attempts, &next, &created, &updated)
	if err != nil {
		return placedDelivery{}, err
	}
	if d.Attempts, err = decodeAttempts(attempts); err != nil {
		return placedDelivery{}, fmt.Errorf("bunstore: the attempts of %s: %w", d.ID, err)
	}
	d.Status, d.NextAt, d.CreatedAt, d.UpdatedAt = webhook.Status(status), next.Time(), created.Time(), updated.Time()
	return d, nil
}

// Insert implements webhook.Deliveries.
func (r *WebhookDeliveryRepo) Insert(ctx context.Context, sc account.Scope, all ...webhook.Delivery) error {
	return r.s.write(ctx, func(ctx context.Context, db bun.IDB) error {
		for _, d := range all {
			attempts, err := encodeAttempts(d.Attempts)
			if err != nil {
				return err
			}
			_, err = db.ExecContext(ctx, `INSERT INTO webhook_deliveries
				(tenant_id, id, webhook_id, notice_id, kind, manual, lane, status, error, attempts, next_at, created_at, updated_at)
				VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`, sc.Tenant, d.ID, d.Webhook, d.Notice, d.Kind, d.Manual,
				deliveryLane(webhook.Lane{Tenant: d.Tenant, Webhook: d.Webhook, Manual: d.Manual}), string(d.Status), d.Error, attempts,
				atOrNull(d.NextAt), at(d.CreatedAt), at(d.UpdatedAt))
			if err != nil {
				return mapErr(err)
			}
		}
		return nil
	})
}

// Get implements webhook.Deliveries.
func (r *WebhookDeliveryRepo) Get(ctx context.Context, sc account.Scope, of id.Attempt) (webhook.Delivery, error) {
	d, err := scanWebhookDelivery(r.s.read(ctx).QueryRowContext(ctx,
		"SELECT "+webhookDeliveryColumns+" FROM webhook_deliveries WHERE tenant_id = ? AND id = ?", sc.Tenant, of))
	if errors.Is(err, sql.ErrNoRows) {
		return webhook.Delivery{}, id.NotFound[id.AttemptKind](of.String())
	}
	return d.Delivery, mapErr(err)
}

// List implements webhook.Deliveries.
func (r *WebhookDeliveryRepo) List(
	ctx context.Context, sc account.Scope, of id.Webhook, status webhook.Status, req page.Request,
) (page.Page[webhook.Delivery], error) {
	w := newWhere("tenant_id = ? AND webhook_id = ?", sc.Tenant, of)
	if status != "" {
		w.and("status = ?", string(status))
	}
	if req.Cursor != "" {
		place, err := decodeCursor(req.Cursor, 1)
		if err != nil {
			return page.Page[webhook.Delivery]{}, err
		}
		before, err := strconv.ParseInt(place[0], 10, 64)
		if err != nil {
			return page.Page[webhook.Delivery]{}, errCursor()
		}
		w.and("seq < ?", before)
	}
	found, err := queryAll(ctx, r.s.read(ctx), scanWebhookDelivery, "SELECT "+webhookDeliveryColumns+
		" FROM webhook_deliveries WHERE "+w.sql()+" ORDER BY seq DESC LIMIT ?", append(w.args, req.Size()+1)...)
	if err != nil {
		return page.Page[webhook.Delivery]{}, err
	}
	return pageOf(found, req.Size(), func(d placedDelivery) (webhook.Delivery, error) { return d.Delivery, nil },
		func(d placedDelivery) []string { return []string{strconv.FormatInt(d.seq, 10)} })
}

// Due implements webhook.Deliveries. It goes from one lane to the next by the index, so that its cost grows with the lanes in which
// something waits and not with how much waits in them.
func (r *WebhookDeliveryRepo) Due(ctx context.Context, now time.Time, limit int) ([]webhook.Lane, error) {
	return queryAll(ctx, r.s.read(ctx), func(row scanner) (l webhook.Lane, err error) {
		err = row.Scan(&l.Tenant, &l.Webhook, &l.Manual)
		return l, err
	}, `WITH RECURSIVE lanes (lane) AS (
			SELECT (SELECT min(lane) FROM webhook_deliveries WHERE status = 'pending')
			UNION ALL
			SELECT (SELECT min(d.lane) FROM webhook_deliveries d WHERE d.status = 'pending' AND d.lane > lanes.lane)
			FROM lanes WHERE lanes.lane IS NOT NULL)
		SELECT d.tenant_id, d.webhook_id, d.manual FROM lanes JOIN webhook_deliveries d
			ON d.seq = (SELECT min(f.seq) FROM webhook_deliveries f WHERE f.status = 'pending' AND f.lane = lanes.lane)
		WHERE lanes.lane IS NOT NULL AND d.next_at <= ? AND (d.lease_until IS NULL OR d.lease_until <= ?)
		ORDER BY d.next_at, d.seq LIMIT ?`, at(now), at(now), limit)
}

// Lease implements webhook.Deliveries. Who comes second waits for the row and finds it leased, or no longer pending.
func (r *WebhookDeliveryRepo) Lease(
	ctx context.Context, l webhook.Lane, token id.UUID, now, until time.Time,
) (webhook.Delivery, bool, error) {
	var d placedDelivery
	err := r.s.write(ctx, func(ctx context.Context, db bun.IDB) (err error) {
		d, err = scanWebhookDelivery(db.QueryRowContext(ctx, `UPDATE webhook_deliveries SET lease_token = ?, lease_until = ?
			WHERE seq = (SELECT min(seq) FROM webhook_deliveries WHERE status = 'pending' AND lane = ?) AND tenant_id = ?
			AND status = 'pending' AND next_at <= ? AND (lease_until IS NULL OR lease_until <= ?)
			RETURNING `+webhookDeliveryColumns, token.String(), at(until), deliveryLane(l), l.Tenant, at(now), at(now)))
		return err
	})
	if errors.Is(err, sql.ErrNoRows) {
		return webhook.Delivery{}, false, nil
	}
	return d.Delivery, err == nil, mapErr(err)
}

// Record implements webhook.Deliveries.
func (r *WebhookDeliveryRepo) Record(ctx context.Context, sc account.Scope, d webhook.Delivery, token id.UUID) (bool, error) {
	attempts, err := encodeAttempts(d.Attempts)
	if err != nil {
		return false, err
	}
	var n int64
	err = r.s.write(ctx, func(ctx context.Context, db bun.IDB) (err error) {
		n, err = affected(db.ExecContext(ctx, `UPDATE webhook_deliveries SET status = ?, error = ?, attempts = ?, next_at = ?, updated_at = ?,
			lease_token = NULL, lease_until = NULL WHERE tenant_id = ? AND id = ? AND status = 'pending' AND lease_token = ?`,
			string(d.Status), strings.ToValidUTF8(d.Error, "\uFFFD"), attempts, atOrNull(d.NextAt), at(d.UpdatedAt), sc.Tenant, d.ID, token.String()))
		return err
	})
	return n > 0, err
}

// GiveUp implements webhook.Deliveries.
func (r *WebhookDeliveryRepo) GiveUp(ctx context.Context, sc account.Scope, of id.Webhook, reason string, when time.Time) error {
	return r.s.write(ctx, func(ctx context.Context, db bun.IDB) error {
		_, err := db.ExecContext(ctx, `UPDATE webhook_deliveries SET status = 'failed', error = ?, next_at = NULL, updated_at = ?,
			lease_token = NULL, lease_until = NULL WHERE tenant_id = ? AND webhook_id = ? AND status = 'pending'`,
			reason, at(when), sc.Tenant, of)
		return mapErr(err)
	})
}
