package bunstore

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/uptrace/bun"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/usage"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/money"
	"github.com/bureau-agents/bureau/ports/page"
)

// BudgetRepo keeps budgets. It implements usage.BudgetRepository and usage.BudgetCounts.
type BudgetRepo struct{ s *Store }

var (
	_ usage.BudgetRepository = (*BudgetRepo)(nil)
	_ usage.BudgetCounts     = (*BudgetRepo)(nil)
)

// Budgets returns the repository of budgets.
func (s *Store) Budgets() *BudgetRepo { return &BudgetRepo{s} }

const budgetColumns = `id, name, agent_id, model, provider, amount, period, alerts, created_at, updated_at, archived_at, period_start,
	spent_micros, spent_picos, told, counted_at`

func scanBudget(tenant id.Tenant, row scanner) (usage.CountedBudget, error) {
	b := usage.CountedBudget{Budget: usage.Budget{Tenant: tenant}}
	var alerts string
	var created, updated, archived, start, counted stamp
	b.Amount.Currency = money.USD
	err := row.Scan(&b.ID, &b.Name, &b.Agent, &b.Model, &b.Provider, &b.Amount.Micros, &b.Period, &alerts, &created, &updated, &archived,
		&start, &b.Count.Spent.Micros, &b.Count.Spent.Picos, &b.Count.Told, &counted)
	if err != nil {
		return usage.CountedBudget{}, err
	}
	if err := json.Unmarshal([]byte(alerts), &b.Alerts); err != nil {
		return usage.CountedBudget{}, fmt.Errorf("bunstore: the alerts of %s: %w", b.ID, err)
	}
	b.CreatedAt, b.UpdatedAt, b.ArchivedAt = created.Time(), updated.Time(), archived.Time()
	b.Count.Start, b.Count.At = start.Time(), counted.Time()
	return b, nil
}

// budgetValues are the values of budgetColumns after the id.
func budgetValues(b usage.CountedBudget) []any {
	alerts := make([]string, len(b.Alerts))
	for i, percent := range b.Alerts {
		alerts[i] = strconv.Itoa(percent)
	}
	return append([]any{
		b.Name, b.Agent, b.Model, b.Provider, b.Amount.Micros, string(b.Period), "[" + strings.Join(alerts, ",") + "]", at(b.CreatedAt),
		at(b.UpdatedAt), atOrNull(b.ArchivedAt),
	}, countValues(b.Count)...)
}

func countValues(c usage.Count) []any {
	return []any{atOrNull(c.Start), c.Spent.Micros, c.Spent.Picos, c.Told, atOrNull(c.At)}
}

// InsertBudget implements usage.BudgetRepository.
func (r *BudgetRepo) InsertBudget(ctx context.Context, sc account.Scope, b usage.CountedBudget, most int) error {
	return r.s.write(ctx, func(ctx context.Context, db bun.IDB) error {
		if err := r.s.lock(ctx, "usage_budgets:"+sc.Tenant.String()); err != nil {
			return err
		}
		var n int
		err := db.QueryRowContext(ctx, "SELECT count(*) FROM usage_budgets WHERE tenant_id = ? AND archived_at IS NULL", sc.Tenant).Scan(&n)
		if err != nil {
			return mapErr(err)
		}
		if n >= most {
			return usage.ErrTooManyBudgets.Withf("the account has %d budgets, which is the most", n)
		}
		_, err = db.ExecContext(ctx, "INSERT INTO usage_budgets (tenant_id, "+budgetColumns+
			") VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", append([]any{sc.Tenant, b.ID}, budgetValues(b)...)...)
		return mapErr(err)
	})
}

// Budget implements usage.BudgetRepository.
func (r *BudgetRepo) Budget(ctx context.Context, sc account.Scope, of id.Budget) (usage.Budget, error) {
	b, err := r.get(ctx, r.s.read(ctx), sc, of, "")
	return b.Budget, err
}

func (r *BudgetRepo) get(ctx context.Context, db bun.IDB, sc account.Scope, of id.Budget, lock string) (usage.CountedBudget, error) {
	b, err := scanBudget(sc.Tenant, db.QueryRowContext(ctx,
		"SELECT "+budgetColumns+" FROM usage_budgets WHERE tenant_id = ? AND id = ?"+lock, sc.Tenant, of))
	if errors.Is(err, sql.ErrNoRows) {
		return usage.CountedBudget{}, id.NotFound[id.BudgetKind](of.String())
	}
	return b, mapErr(err)
}

// Budgets implements usage.BudgetRepository.
func (r *BudgetRepo) Budgets(
	ctx context.Context, sc account.Scope, f usage.BudgetFilter, req page.Request,
) (page.Page[usage.Budget], error) {
	w := newWhere("tenant_id = ?", sc.Tenant)
	if !f.Agent.IsZero() {
		w.and("agent_id = ?", f.Agent)
	}
	if !f.Archived {
		w.and("archived_at IS NULL")
	}
	return newestFirst(ctx, r.s.read(ctx), req, func(row scanner) (usage.Budget, error) {
		b, err := scanBudget(sc.Tenant, row)
		return b.Budget, err
	}, func(b usage.Budget) id.Budget { return b.ID }, "SELECT "+budgetColumns+" FROM usage_budgets WHERE "+w.sql(), w.args...)
}

// UpdateBudget implements usage.BudgetRepository.
func (r *BudgetRepo) UpdateBudget(
	ctx context.Context, sc account.Scope, of id.Budget, change func(ctx context.Context, b *usage.CountedBudget) error,
) (usage.Budget, error) {
	var out usage.Budget
	err := r.s.write(ctx, func(ctx context.Context, db bun.IDB) error {
		b, err := r.get(ctx, db, sc, of, r.s.forUpdate())
		if err != nil {
			return err
		}
		was := b
		if err := change(ctx, &b); err != nil {
			return err
		}
		b.ID, b.Tenant, b.CreatedAt = was.ID, was.Tenant, was.CreatedAt
		out = b.Budget
		_, err = db.ExecContext(ctx, `UPDATE usage_budgets SET name = ?, agent_id = ?, model = ?, provider = ?, amount = ?, period = ?, alerts = ?,
			created_at = ?, updated_at = ?, archived_at = ?, period_start = ?, spent_micros = ?, spent_picos = ?, told = ?, counted_at = ?
			WHERE tenant_id = ? AND id = ?`, append(budgetValues(b), sc.Tenant, of)...)
		return mapErr(err)
	})
	return out, err
}

// DeleteBudgets implements usage.BudgetRepository.
func (r *BudgetRepo) DeleteBudgets(ctx context.Context, sc account.Scope, agent id.Agent) error {
	return r.s.write(ctx, func(ctx context.Context, db bun.IDB) error {
		_, err := db.ExecContext(ctx, "DELETE FROM usage_budgets WHERE tenant_id = ? AND agent_id = ?", sc.Tenant, agent)
		return mapErr(err)
	})
}

// LockCounts implements usage.BudgetCounts.
func (r *BudgetRepo) LockCounts(ctx context.Context, sc account.Scope, agents []id.Agent) ([]usage.CountedBudget, error) {
	args := []any{sc.Tenant}
	own := make([]string, len(agents))
	for i, a := range agents {
		own[i] = " OR agent_id = ?"
		args = append(args, a)
	}
	return queryAll(ctx, r.s.read(ctx), func(row scanner) (usage.CountedBudget, error) { return scanBudget(sc.Tenant, row) },
		"SELECT "+budgetColumns+" FROM usage_budgets WHERE tenant_id = ? AND archived_at IS NULL AND (agent_id IS NULL"+
			strings.Join(own, "")+") ORDER BY id"+r.s.forUpdate(), args...)
}

// StoreCounts implements usage.BudgetCounts.
func (r *BudgetRepo) StoreCounts(ctx context.Context, sc account.Scope, all []usage.CountedBudget) error {
	return r.s.write(ctx, func(ctx context.Context, db bun.IDB) error {
		for _, b := range all {
			_, err := db.ExecContext(ctx, `UPDATE usage_budgets SET period_start = ?, spent_micros = ?, spent_picos = ?, told = ?, counted_at = ?
				WHERE tenant_id = ? AND id = ?`, append(countValues(b.Count), sc.Tenant, b.ID)...)
			if err != nil {
				return mapErr(err)
			}
		}
		return nil
	})
}

// SpentOf implements usage.BudgetCounts.
func (r *BudgetRepo) SpentOf(ctx context.Context, sc account.Scope, filters []usage.Filter) ([]usage.Total, error) {
	queries := make([]string, len(filters))
	var args []any
	for i, f := range filters {
		w := usageDaysWhere(sc, f)
		queries[i] = fmt.Sprintf(`SELECT %d AS n, CAST(COALESCE(SUM(cost_micros), 0) + COALESCE(SUM(claimed_micros), 0) AS BIGINT),
			CAST(COALESCE(SUM(cost_picos), 0) + COALESCE(SUM(claimed_picos), 0) AS BIGINT) FROM usage_days WHERE %s`, i, w.sql())
		args = append(args, w.args...)
	}
	out := make([]usage.Total, len(filters))
	err := eachRow(ctx, r.s.read(ctx), func(row scanner) error {
		var n int
		var t usage.Total
		if err := row.Scan(&n, &t.Micros, &t.Picos); err != nil {
			return err
		}
		out[n] = t.Add(usage.Total{})
		return nil
	}, strings.Join(queries, " UNION ALL "), args...)
	return out, err
}
