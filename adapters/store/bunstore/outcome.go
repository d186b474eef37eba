package bunstore

import (
	"context"
	"database/sql"
	"errors"

	"github.com/uptrace/bun"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/session"
	"github.com/bureau-agents/bureau/ports/id"
)

// OutcomeRepo keeps outcomes of sessions and their summaries. It implements session.Outcomes.
type OutcomeRepo struct{ s *Store }

var _ session.Outcomes = (*OutcomeRepo)(nil)

// Outcomes returns the repository of outcomes.
func (s *Store) Outcomes() *OutcomeRepo { return &OutcomeRepo{s} }

const outcomeColumns = `id, session_id, turn_id, description, rubric, max_iterations, iteration, result, explanation, start_id,
	created_at, completed_at`

func scanOutcome(row scanner) (session.Outcome, error) {
	var o session.Outcome
	var result string
	var created, completed stamp
	err := row.Scan(&o.ID, &o.Session, &o.Turn, &o.Description, &o.Rubric, &o.MaxIterations, &o.Iteration, &result, &o.Explanation, &o.Start,
		&created, &completed)
	o.Result, o.CreatedAt, o.CompletedAt = session.OutcomeResult(result), created.Time(), completed.Time()
	return o, err
}

// Create implements session.Outcomes.
func (r *OutcomeRepo) Create(ctx context.Context, sc account.Scope, o session.Outcome) error {
	return r.s.write(ctx, func(ctx context.Context, db bun.IDB) error {
		_, err := db.ExecContext(ctx, `INSERT INTO session_outcomes
			(id, tenant_id, session_id, turn_id, description, rubric, max_iterations, iteration, result, explanation, start_id, created_at, completed_at)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
			o.ID, sc.Tenant, o.Session, o.Turn, o.Description, o.Rubric, o.MaxIterations, o.Iteration, string(o.Result), o.Explanation, o.Start,
			at(o.CreatedAt), at(o.CompletedAt))
		return mapErr(err)
	})
}

// OfTurn implements session.Outcomes.
func (r *OutcomeRepo) OfTurn(ctx context.Context, sc account.Scope, turn id.Turn) (session.Outcome, bool, error) {
	o, err := scanOutcome(r.s.read(ctx).QueryRowContext(ctx, "SELECT "+outcomeColumns+
		" FROM session_outcomes WHERE turn_id = ? AND tenant_id = ?", turn, sc.Tenant))
	if errors.Is(err, sql.ErrNoRows) {
		return session.Outcome{}, false, nil
	}
	return o, err == nil, mapErr(err)
}

// Save implements session.Outcomes.
func (r *OutcomeRepo) Save(ctx context.Context, sc account.Scope, o session.Outcome) error {
	return r.s.write(ctx, func(ctx context.Context, db bun.IDB) error {
		_, err := db.ExecContext(ctx, `UPDATE session_outcomes SET iteration = ?, result = ?, explanation = ?, start_id = ?, completed_at = ?
			WHERE id = ? AND tenant_id = ?`,
			o.Iteration, string(o.Result), o.Explanation, o.Start, at(o.CompletedAt), o.ID, sc.Tenant)
		return mapErr(err)
	})
}

// Of implements session.Outcomes.
func (r *OutcomeRepo) Of(ctx context.Context, sc account.Scope, sessions []id.Session) (map[id.Session][]session.Outcome, error) {
	out := map[id.Session][]session.Outcome{}
	if len(sessions) == 0 {
		return out, nil
	}
	rows, err := r.s.read(ctx).QueryContext(ctx, "SELECT "+outcomeColumns+
		" FROM session_outcomes WHERE session_id IN (?) AND tenant_id = ? ORDER BY id", bun.List(sessions), sc.Tenant)
	if err != nil {
		return nil, mapErr(err)
	}
	defer rows.Close()
	for rows.Next() {
		o, err := scanOutcome(rows)
		if err != nil {
			return nil, mapErr(err)
		}
		out[o.Session] = append(out[o.Session], o)
	}
	return out, mapErr(rows.Err())
}

// Compaction implements session.Outcomes.
func (r *OutcomeRepo) Compaction(ctx context.Context, sc account.Scope, of id.Session) (session.Compaction, bool, error) {
	c := session.Compaction{Session: of}
	var when stamp
	err := r.s.read(ctx).QueryRowContext(ctx, "SELECT through, summary, created_at FROM session_compactions WHERE session_id = ? AND tenant_id = ?",
		of, sc.Tenant).Scan(&c.Through, &c.Summary, &when)
	if errors.Is(err, sql.ErrNoRows) {
		return session.Compaction{}, false, nil
	}
	c.CreatedAt = when.Time()
	return c, err == nil, mapErr(err)
}

// SaveCompaction implements session.Outcomes.
func (r *OutcomeRepo) SaveCompaction(ctx context.Context, sc account.Scope, c session.Compaction) error {
	return r.s.write(ctx, func(ctx context.Context, db bun.IDB) error {
		_, err := db.ExecContext(ctx, `INSERT INTO session_compactions (session_id, tenant_id, through, summary, created_at) VALUES (?, ?, ?, ?, ?)
			ON CONFLICT (session_id) DO UPDATE SET through = excluded.through, summary = excluded.summary, created_at = excluded.created_at`,
			c.Session, sc.Tenant, c.Through, c.Summary, at(c.CreatedAt))
		return mapErr(err)
	})
}
