package bunstore

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"

	"github.com/uptrace/bun"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/usage"
	"github.com/bureau-agents/bureau/ports/id"
)

// RerateRepo keeps re-ratings of usage. It implements usage.RerateRepository.
type RerateRepo struct{ s *Store }

var _ usage.RerateRepository = (*RerateRepo)(nil)

// Rerates returns the repository of re-ratings.
func (s *Store) Rerates() *RerateRepo { return &RerateRepo{s} }

// Walk implements usage.RerateRepository.
func (r *RerateRepo) Walk(ctx context.Context, sc account.Scope, f usage.Filter, after usage.Place, n int) ([]usage.Row, error) {
	where, args := usageWhere(sc, f)
	if !after.ID.IsZero() {
		where += " AND (created_at, id) > (?, ?)"
		args = append(args, at(after.At), after.ID)
	}
	return queryAll(ctx, r.s.read(ctx), func(row scanner) (usage.Row, error) { return scanUsage(sc.Tenant, row) },
		"SELECT "+usageColumns+" FROM usage_rows WHERE "+where+" ORDER BY created_at, id LIMIT ?", append(args, n)...)
}

// InsertRerate implements usage.RerateRepository.
func (r *RerateRepo) InsertRerate(ctx context.Context, sc account.Scope, v usage.Rerate) error {
	return r.s.write(ctx, func(ctx context.Context, db bun.IDB) error {
		models, err := rerateModelsOf(v)
		if err != nil {
			return err
		}
		q := v.Request
		_, err = db.ExecContext(ctx, `INSERT INTO usage_rerates (tenant_id, id, agent_id, model, provider, since, until, status, asked_by,
			server_version, own_version, after_at, after_id, models, created_at, ended_at)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
			sc.Tenant, v.ID, q.Agent, q.Model, q.Provider, at(q.Since), at(q.Until), string(v.Status), v.Key, v.Versions.Server, v.Versions.Own,
			at(v.After.At), v.After.ID, models, at(v.CreatedAt), at(v.EndedAt))
		return mapErr(err)
	})
}

// GetRerate implements usage.RerateRepository.
func (r *RerateRepo) GetRerate(ctx context.Context, sc account.Scope, rerate id.Rerate, lock bool) (usage.Rerate, error) {
	v := usage.Rerate{ID: rerate, Request: usage.RerateRequest{Apply: true}}
	var since, until, after, created, ended stamp
	var models rawJSON
	suffix := ""
	if lock {
		suffix = r.s.forUpdate()
	}
	err := r.s.read(ctx).QueryRowContext(ctx, `SELECT agent_id, model, provider, since, until, status, asked_by, server_version, own_version,
		after_at, after_id, models, created_at, ended_at FROM usage_rerates WHERE tenant_id = ? AND id = ?`+suffix, sc.Tenant, rerate).Scan(
		&v.Request.Agent, &v.Request.Model, &v.Request.Provider, &since, &until, &v.Status, &v.Key, &v.Versions.Server, &v.Versions.Own,
		&after, &v.After.ID, &models, &created, &ended)
	if errors.Is(err, sql.ErrNoRows) {
		return usage.Rerate{}, id.NotFound[id.RerateKind](rerate.String())
	}
	if err != nil {
		return usage.Rerate{}, mapErr(err)
	}
	v.Request.Since, v.Request.Until, v.After.At = since.Time(), until.Time(), after.Time()
	v.CreatedAt, v.EndedAt = created.Time(), ended.Time()
	var rows []rerateRow
	if err := json.Unmarshal(models, &rows); err != nil {
		return usage.Rerate{}, err
	}
	for _, m := range rows {
		v.Models = append(v.Models, m.model())
	}
	v.Total = v.Sum()
	return v, nil
}

// UpdateRerate implements usage.RerateRepository.
func (r *RerateRepo) UpdateRerate(ctx context.Context, sc account.Scope, v usage.Rerate) error {
	return r.s.write(ctx, func(ctx context.Context, db bun.IDB) error {
		models, err := rerateModelsOf(v)
		if err != nil {
			return err
		}
		_, err = db.ExecContext(ctx, `UPDATE usage_rerates SET status = ?, after_at = ?, after_id = ?, models = ?, ended_at = ?
			WHERE tenant_id = ? AND id = ?`, string(v.Status), at(v.After.At), v.After.ID, models, at(v.EndedAt), sc.Tenant, v.ID)
		return mapErr(err)
	})
}

// rerateRow is what was found of a model.
type rerateRow struct {
	Provider       string   `json:"provider"`
	Model          string   `json:"model"`
	Rows           int64    `json:"rows"`
	Old            [2]int64 `json:"old"` // micro-dollars and picodollars
	New            [2]int64 `json:"new"`
	UnpricedBefore int64    `json:"unpriced_before"`
	Unpriced       int64    `json:"unpriced"`
	Changed        int64    `json:"changed"`
	Settled        int64    `json:"settled"`
}

func rerateModelsOf(v usage.Rerate) (rawJSON, error) {
	rows := make([]rerateRow, len(v.Models))
	for i, m := range v.Models {
		rows[i] = rerateRow{
			Provider: m.Provider, Model: m.Model, Rows: m.Rows, Old: [2]int64{m.Old.Micros, m.Old.Picos}, New: [2]int64{m.New.Micros, m.New.Picos},
			UnpricedBefore: m.UnpricedBefore, Unpriced: m.Unpriced, Changed: m.Changed, Settled: m.Settled,
		}
	}
	b, err := json.Marshal(rows)
	return b, err
}

func (m rerateRow) model() usage.RerateModel {
	return usage.RerateModel{Provider: m.Provider, Model: m.Model, RerateSums: usage.RerateSums{
		Rows: m.Rows, Old: usage.Total{Micros: m.Old[0], Picos: m.Old[1]}, New: usage.Total{Micros: m.New[0], Picos: m.New[1]},
		UnpricedBefore: m.UnpricedBefore, Unpriced: m.Unpriced, Changed: m.Changed, Settled: m.Settled,
	}}
}
