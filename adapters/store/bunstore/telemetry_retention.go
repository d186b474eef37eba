package bunstore

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/uptrace/bun"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/telemetry"
	"github.com/bureau-agents/bureau/ports/id"
)

// RetentionRepo keeps for how long tenants keep what agents report. It implements telemetry.RetentionRepository.
type RetentionRepo struct{ s *Store }

var _ telemetry.RetentionRepository = (*RetentionRepo)(nil)

// Retention returns the repository of tenants' retention.
func (s *Store) Retention() *RetentionRepo { return &RetentionRepo{s} }

// daysOf writes 0, for ever, as NULL.
func daysOf(n int) sql.NullInt64 { return sql.NullInt64{Int64: int64(n), Valid: n > 0} }

func scanRetention(row scanner, first ...any) (telemetry.Retention, error) {
	var events, messages, feedback sql.NullInt64
	err := row.Scan(append(first, &events, &messages, &feedback)...)
	return telemetry.Retention{EventsDays: int(events.Int64), MessagesDays: int(messages.Int64), FeedbackDays: int(feedback.Int64)}, err
}

// Retention implements telemetry.RetentionRepository.
func (r *RetentionRepo) Retention(ctx context.Context, sc account.Scope) (telemetry.Retention, bool, error) {
	out, err := scanRetention(r.s.read(ctx).QueryRowContext(ctx,
		"SELECT events_days, messages_days, feedback_days FROM telemetry_retention WHERE tenant_id = ?", sc.Tenant))
	if errors.Is(err, sql.ErrNoRows) {
		return telemetry.Retention{}, false, nil
	}
	return out, err == nil, mapErr(err)
}

// PutRetention implements telemetry.RetentionRepository.
func (r *RetentionRepo) PutRetention(ctx context.Context, sc account.Scope, v telemetry.Retention, when time.Time) error {
	return r.s.write(ctx, func(ctx context.Context, db bun.IDB) error {
		_, err := db.ExecContext(ctx, `INSERT INTO telemetry_retention (tenant_id, events_days, messages_days, feedback_days, updated_at)
			VALUES (?, ?, ?, ?, ?) ON CONFLICT (tenant_id) DO UPDATE SET events_days = excluded.events_days,
			messages_days = excluded.messages_days, feedback_days = excluded.feedback_days, updated_at = excluded.updated_at`,
			sc.Tenant, daysOf(v.EventsDays), daysOf(v.MessagesDays), daysOf(v.FeedbackDays), at(when))
		return mapErr(err)
	})
}

// Retentions implements telemetry.RetentionRepository.
func (r *RetentionRepo) Retentions(ctx context.Context) (map[id.Tenant]telemetry.Retention, error) {
	out := map[id.Tenant]telemetry.Retention{}
	err := eachRow(ctx, r.s.read(ctx), func(row scanner) error {
		var tenant id.Tenant
		v, err := scanRetention(row, &tenant)
		out[tenant] = v
		return err
	}, "SELECT tenant_id, events_days, messages_days, feedback_days FROM telemetry_retention")
	return out, err
}
