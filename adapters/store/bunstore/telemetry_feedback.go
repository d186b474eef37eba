package bunstore

import (
	"context"
	"time"

	"github.com/uptrace/bun"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/telemetry"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/page"
)

// FeedbackRepo keeps what users think. It implements telemetry.FeedbackRepository.
type FeedbackRepo struct{ s *Store }

var _ telemetry.FeedbackRepository = (*FeedbackRepo)(nil)

// Feedback returns the repository of feedback.
func (s *Store) Feedback() *FeedbackRepo { return &FeedbackRepo{s} }

// InsertFeedback implements telemetry.FeedbackRepository.
func (r *FeedbackRepo) InsertFeedback(ctx context.Context, sc account.Scope, f telemetry.Feedback) error {
	return r.s.write(ctx, func(ctx context.Context, db bun.IDB) error {
		_, err := db.ExecContext(ctx, `INSERT INTO feedback (tenant_id, id, agent_id, target_type, target_id, feedback_type, rating, comment,
			user_name, at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`, sc.Tenant, f.ID, f.Agent, string(f.Target), f.TargetID.String(), f.Type, f.Rating,
			f.Comment, f.User, at(f.At))
		return mapErr(err)
	})
}

func (r *FeedbackRepo) where(sc account.Scope, f telemetry.FeedbackFilter) *where {
	w := newWhere("tenant_id = ?", sc.Tenant)
	if f.Target != "" {
		w.and("target_type = ?", string(f.Target))
	}
	if !f.TargetID.IsZero() {
		w.and("target_id = ?", f.TargetID.String())
	}
	if f.Type != "" {
		w.and("feedback_type = ?", f.Type)
	}
	if !f.Agent.IsZero() {
		w.and("agent_id = ?", f.Agent)
	}
	if f.TraceID != "" {
		w.and("target_id IN (SELECT "+r.s.uuidText("id")+" FROM telemetry_events WHERE tenant_id = ? AND trace_id = ? UNION ALL"+
			" SELECT id FROM agent_messages WHERE tenant_id = ? AND trace_id <> '' AND trace_id = ?)",
			r.s.uuid(sc.Tenant.UUID()), f.TraceID, sc.Tenant, f.TraceID)
	}
	w.period(f.Since, f.Until)
	return w
}

// Feedback implements telemetry.FeedbackRepository.
func (r *FeedbackRepo) Feedback(
	ctx context.Context, sc account.Scope, f telemetry.FeedbackFilter, req page.Request,
) (page.Page[telemetry.Feedback], error) {
	w := r.where(sc, f)
	total, err := r.s.total(ctx, req, "feedback", w.sql(), w.args...)
	if err != nil {
		return page.Page[telemetry.Feedback]{}, err
	}
	if req.Cursor != "" {
		when, before, err := decodeTimeIDCursor[id.FeedbackKind](req.Cursor)
		if err != nil {
			return page.Page[telemetry.Feedback]{}, err
		}
		w.and("(at, id) < (?, ?)", when, before)
	}
	found, err := queryAll(ctx, r.s.read(ctx), func(row scanner) (telemetry.Feedback, error) {
		f := telemetry.Feedback{Tenant: sc.Tenant}
		var target, targetID string
		var when stamp
		err := row.Scan(&f.ID, &f.Agent, &target, &targetID, &f.Type, &f.Rating, &f.Comment, &f.User, &when)
		if err != nil {
			return f, err
		}
		f.Target, f.At = telemetry.Target(target), when.Time()
		f.TargetID, err = id.ParseUUID(targetID)
		return f, err
	}, `SELECT id, agent_id, target_type, CAST(target_id AS TEXT), feedback_type, rating, comment, user_name, at FROM feedback WHERE `+w.sql()+
		" ORDER BY at DESC, id DESC LIMIT ? OFFSET ?", append(w.args, req.Size()+1, max(req.Offset, 0))...)
	if err != nil {
		return page.Page[telemetry.Feedback]{}, err
	}
	p, err := pageOf(found, req.Size(), func(f telemetry.Feedback) (telemetry.Feedback, error) { return f, nil },
		func(f telemetry.Feedback) []string { return []string{at(f.At).String(), f.ID.String()} })
	p.Total = total
	return p, err
}

// satisfactionSums are the columns of a telemetry.Satisfaction; the last two are telemetry.Feedback.Verdict in SQL.
const satisfactionSums = `COUNT(*),
	CAST(COALESCE(SUM(CASE WHEN rating > 0 THEN 1 ELSE 0 END), 0) AS BIGINT), CAST(COALESCE(SUM(rating), 0) AS BIGINT),
	CAST(COALESCE(SUM(CASE WHEN feedback_type = 'thumbs_up' THEN 1 ELSE 0 END), 0) AS BIGINT),
	CAST(COALESCE(SUM(CASE WHEN feedback_type = 'thumbs_down' THEN 1 ELSE 0 END), 0) AS BIGINT),
	CAST(COALESCE(SUM(CASE feedback_type WHEN 'thumbs_up' THEN 1 WHEN 'thumbs_down' THEN 0
		ELSE CASE WHEN rating >= 4 THEN 1 ELSE 0 END END), 0) AS BIGINT),
	CAST(COALESCE(SUM(CASE feedback_type WHEN 'thumbs_up' THEN 0 WHEN 'thumbs_down' THEN 1
		ELSE CASE WHEN rating BETWEEN 1 AND 2 THEN 1 ELSE 0 END END), 0) AS BIGINT)`

func satisfactionDest(s *telemetry.Satisfaction) []any {
	return []any{&s.Count, &s.Rated, &s.RatingSum, &s.ThumbsUp, &s.ThumbsDown, &s.Satisfied, &s.Dissatisfied}
}

// Satisfaction implements telemetry.FeedbackRepository.
func (r *FeedbackRepo) Satisfaction(ctx context.Context, sc account.Scope, f telemetry.FeedbackFilter) (telemetry.Satisfaction, error) {
	w := r.where(sc, f)
	var s telemetry.Satisfaction
	err := r.s.read(ctx).QueryRowContext(ctx, "SELECT "+satisfactionSums+" FROM feedback WHERE "+w.sql(), w.args...).Scan(satisfactionDest(&s)...)
	return s, mapErr(err)
}

// SatisfactionBy implements telemetry.FeedbackRepository.
func (r *FeedbackRepo) SatisfactionBy(
	ctx context.Context, sc account.Scope, f telemetry.FeedbackFilter, by telemetry.SatisfactionGrouping,
) ([]telemetry.SatisfactionGroup, error) {
	key := "CAST(agent_id AS TEXT)"
	if by == telemetry.SatisfactionByDay {
		key = r.s.startOf("day", "at")
	}
	w := r.where(sc, f)
	return queryAll(ctx, r.s.read(ctx), func(row scanner) (g telemetry.SatisfactionGroup, err error) {
		err = row.Scan(append([]any{&g.Key}, satisfactionDest(&g.Satisfaction)...)...)
		return g, err
	}, "SELECT "+key+" AS k, "+satisfactionSums+" FROM feedback WHERE "+w.sql()+" GROUP BY k ORDER BY k", w.args...)
}

// startOf is the text of the day, hour or minute in UTC that a time lies in: "2026-11-21", "2026-11-21T09", "2026-11-21T09:30".
func (s *Store) startOf(unit, column string) string {
	layout := map[string]struct{ chars, format string }{
		"day": {"10", "YYYY-MM-DD"}, "hour": {"13", `YYYY-MM-DD"T"HH24`}, "minute": {"16", `YYYY-MM-DD"T"HH24:MI`},
	}[unit]
	if s.postgres() {
		return "TO_CHAR(" + column + " AT TIME ZONE 'UTC', '" + layout.format + "')"
	}
	return "SUBSTR(" + column + ", 1, " + layout.chars + ")"
}

// DeleteFeedback implements telemetry.FeedbackRepository.
func (r *FeedbackRepo) DeleteFeedback(ctx context.Context, sc account.Scope, agent id.Agent, before time.Time, limit int) (int, error) {
	w := r.where(sc, telemetry.FeedbackFilter{Agent: agent, Until: before})
	var n int64
	err := r.s.write(ctx, func(ctx context.Context, db bun.IDB) (err error) {
		n, err = affected(db.ExecContext(ctx, "DELETE FROM feedback WHERE tenant_id = ? AND id IN (SELECT id FROM feedback WHERE "+w.sql()+
			" ORDER BY at, id LIMIT ?)", append(append([]any{sc.Tenant}, w.args...), limit)...))
		return err
	})
	return int(n), err
}
