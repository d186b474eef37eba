package bunstore

import (
	"context"
	"time"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/gate"
	"github.com/bureau-agents/bureau/core/policy"
	"github.com/bureau-agents/bureau/ports/money"
	"github.com/bureau-agents/bureau/ports/rule"
)

var _ gate.Past = (*ActRepo)(nil)

// PastActs implements gate.Past. The state and the actions are those of the index acts_moved.
func (r *ActRepo) PastActs(
	ctx context.Context, sc account.Scope, s policy.Scope, from, to time.Time, after gate.PastAct, limit int,
) ([]gate.PastAct, error) {
	q := "SELECT id, agent_id, " + runOf + ` AS run, action, amount, currency, payee, category, ended_at FROM acts
		WHERE tenant_id = ? AND state = 'done' AND action IN ('payment', 'transfer') AND ended_at < ?`
	args := []any{sc.Tenant, at(to)}
	if after.ID.IsZero() {
		if !from.IsZero() {
			q += " AND ended_at >= ?"
			args = append(args, at(from))
		}
	} else {
		q += " AND ended_at >= ? AND (ended_at > ? OR id > ?)"
		args = append(args, at(after.At), at(after.At), after.ID)
	}
	where, more := actsOf(sc, s, policy.Key{})
	return queryAll(ctx, r.s.read(ctx), func(row scanner) (a gate.PastAct, err error) {
		var action, currency string
		var ended stamp
		err = row.Scan(&a.ID, &a.Agent, &a.Run, &action, &a.Amount.Micros, &currency, &a.Payee, &a.Category, &ended)
		a.Action, a.Amount.Currency, a.At = rule.Action(action), money.Currency(currency), ended.Time()
		return a, err
	}, q+where+" ORDER BY ended_at, id LIMIT ?", append(append(args, more...), limit)...)
}
