package bunstore

import (
	"context"
	"database/sql"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/reconciliation"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/money"
)

// ReconciliationRepo compares the books. It implements reconciliation.Repository and reconciliation.Tenants.
type ReconciliationRepo struct{ s *Store }

var (
	_ reconciliation.Repository = (*ReconciliationRepo)(nil)
	_ reconciliation.Tenants    = (*ReconciliationRepo)(nil)
)

// Reconciliation returns the repository that compares the books.
func (s *Store) Reconciliation() *ReconciliationRepo { return &ReconciliationRepo{s} }

// Snapshot implements reconciliation.Repository. On SQLite it goes through a reading connection, so that nobody waits for it.
func (r *ReconciliationRepo) Snapshot(ctx context.Context, fn func(ctx context.Context) error) error {
	var o *sql.TxOptions
	if r.s.postgres() {
		o = &sql.TxOptions{Isolation: sql.LevelRepeatableRead, ReadOnly: true}
	}
	t, err := r.s.reader.BeginTx(ctx, o)
	if err != nil {
		return mapErr(err)
	}
	defer func() { _ = t.Rollback() }()
	return r.s.call(ctx, &txState{tx: t}, fn)
}

// Moved implements reconciliation.Tenants.
func (r *ReconciliationRepo) Moved(ctx context.Context, p reconciliation.Period, limit int) ([]id.Tenant, error) {
	return queryAll(ctx, r.s.read(ctx), func(row scanner) (t id.Tenant, err error) { return t, row.Scan(&t) },
		"SELECT DISTINCT tenant_id FROM ledger_entries WHERE created_at >= ? AND created_at < ? ORDER BY tenant_id LIMIT ?",
		at(p.From), at(p.To), limit)
}

// The parts that comparisons share. @name stands for an argument; see comparison.
const (
	// recEntries are the movements of the period.
	recEntries = `e AS (
		SELECT e.id, e.kind, e.act_id, e.hold_id, e.currency, CAST(SUM(CASE WHEN l.amount > 0 THEN l.amount ELSE 0 END) AS BIGINT) AS amount
		FROM ledger_entries AS e LEFT JOIN ledger_lines AS l ON l.tenant_id = e.tenant_id AND l.entry_id = e.id
		WHERE e.tenant_id = @tenant AND e.created_at >= @from AND e.created_at < @to AND e.kind NOT IN ('hold', 'release')
		GROUP BY e.id, e.kind, e.act_id, e.hold_id, e.currency
	)`
	// recAudit is what the audit trail says of movements, by the act or else the entry. The period is a day wider, so that clocks may
	// differ.
	recAudit = `a AS (
		SELECT COALESCE({metadata.act_id}, {metadata.transaction_id}) AS what, MIN({metadata.amount}) AS amount
		FROM audit_entries AS a
		WHERE a.tenant_id = @tenant AND a.action = 'transaction_completed' AND a.created_at >= @before AND a.created_at < @after
		GROUP BY COALESCE({metadata.act_id}, {metadata.transaction_id})
	)`
	recAct = `FROM e JOIN acts AS x ON x.tenant_id = @tenant AND x.id = e.act_id`
	none   = "NULL"
)

// unit says what a comparison's figures are.
type unit int

const (
	text unit = iota
	micros
	picos
)

// comparison finds differences of one kind: with, select, and what it reads from. Columns that are left out are NULL.
type comparison struct {
	with                                                      []string
	entry, act, wallet, agent, session, usage, hold, currency string
	expected, found                                           string
	from                                                      string
	unit                                                      unit
}

var comparisons = map[reconciliation.Kind]comparison{
	reconciliation.PaymentWithoutAct: {
		with: []string{recEntries}, entry: "e.id", act: "e.act_id", currency: "e.currency", expected: "'an act'", found: none,
		from: `FROM e LEFT JOIN acts AS x ON x.tenant_id = @tenant AND x.id = e.act_id
			WHERE x.id IS NULL AND (e.kind = 'payment' OR e.act_id IS NOT NULL)`,
	},
	reconciliation.ActNotDone: {
		with: []string{recEntries}, entry: "e.id", act: "x.id", agent: "x.agent_id", expected: "'done'", found: "x.state",
		from: recAct + " WHERE x.state <> 'done'",
	},
	reconciliation.DecisionNotAllow: {
		with: []string{recEntries}, entry: "e.id", act: "x.id", agent: "x.agent_id", expected: "'allow'", found: "{x.decision.outcome}",
		from: recAct + " WHERE {x.decision.outcome} IS DISTINCT FROM 'allow'",
	},
	reconciliation.AmountDiffers: {
		with: []string{recEntries}, entry: "e.id", act: "x.id", agent: "x.agent_id", currency: "e.currency", expected: "x.amount",
		found: "e.amount", unit: micros,
		from: recAct + ` WHERE x.currency IS DISTINCT FROM e.currency OR x.amount IS NULL OR e.amount > x.amount
			OR e.hold_id IS NULL AND e.amount <> x.amount`,
	},
	reconciliation.ActWithoutPayment: {
		act: "x.id", agent: "x.agent_id", currency: "x.currency", expected: "x.amount", found: none, unit: micros,
		from: `FROM acts AS x LEFT JOIN ledger_entries AS e ON e.tenant_id = x.tenant_id AND e.act_id = x.id
			WHERE x.tenant_id = @tenant AND x.state = 'done' AND x.action IN ('payment', 'transfer')
			AND x.ended_at >= @from AND x.ended_at < @to AND e.id IS NULL`,
	},
	reconciliation.EntryWithoutAudit: {
		with: []string{recEntries, recAudit}, entry: "e.id", act: "e.act_id", currency: "e.currency", expected: "e.amount", found: none,
		unit: micros,
		from: "FROM e LEFT JOIN a ON a.what = CAST(COALESCE(e.act_id, e.id) AS TEXT) WHERE a.what IS NULL",
	},
	reconciliation.AuditAmountDiffers: {
		with: []string{recEntries, recAudit}, entry: "e.id", act: "e.act_id", currency: "e.currency", expected: "e.amount",
		found: "{micros a.amount}", unit: micros,
		from: `FROM e JOIN a ON a.what = CAST(COALESCE(e.act_id, e.id) AS TEXT)
			WHERE e.hold_id IS NULL AND {micros a.amount} IS DISTINCT FROM e.amount`,
	},
	reconciliation.CostWithoutUsage: {
		act: "x.id", agent: "x.agent_id", session: "x.session_id", currency: "'USD'", expected: "x.cost", found: none, unit: picos,
		from: `FROM acts AS x LEFT JOIN usage_rows AS u ON u.tenant_id = x.tenant_id AND u.act_id = x.id
			WHERE x.tenant_id = @tenant AND x.action = 'model_call' AND x.cost IS NOT NULL AND x.ended_at >= @from AND x.ended_at < @to
			AND u.id IS NULL`,
	},
	reconciliation.UsageWithoutAct: {
		act: "u.act_id", agent: "u.agent_id", session: "u.session_id", usage: "u.id", expected: "'an act'", found: none,
		from: `FROM usage_rows AS u LEFT JOIN acts AS x ON x.tenant_id = u.tenant_id AND x.id = u.act_id
			WHERE u.tenant_id = @tenant AND u.act_id IS NOT NULL AND u.created_at >= @from AND u.created_at < @to AND x.id IS NULL`,
	},
	reconciliation.CostDiffers: {
		act: "x.id", agent: "x.agent_id", session: "x.session_id", usage: "u.id", currency: "'USD'", expected: "x.cost", found: "u.cost",
		unit: picos,
		from: `FROM usage_rows AS u JOIN acts AS x ON x.tenant_id = u.tenant_id AND x.id = u.act_id
			WHERE u.tenant_id = @tenant AND u.created_at >= @from AND u.created_at < @to AND x.cost IS DISTINCT FROM u.cost`,
	},
	reconciliation.SessionCostDiffers: {
		with: []string{`t AS (
			SELECT id FROM sessions WHERE tenant_id = @tenant AND deleted_at IS NULL AND created_at >= @from AND created_at < @to
			UNION SELECT session_id FROM usage_rows
				WHERE tenant_id = @tenant AND created_at >= @from AND created_at < @to AND session_id IS NOT NULL AND turn_id IS NOT NULL
		)`, `s AS (
			SELECT s.id, s.agent_id, s.cost_picos, CAST(COALESCE(SUM(u.cost), 0) AS BIGINT) AS used
			FROM t JOIN sessions AS s ON s.id = t.id AND s.tenant_id = @tenant
			LEFT JOIN usage_rows AS u ON u.tenant_id = s.tenant_id AND u.session_id = s.id AND u.turn_id IS NOT NULL
			GROUP BY s.id, s.agent_id, s.cost_picos
		)`},
		agent: "s.agent_id", session: "s.id", currency: "'USD'", expected: "s.used", found: "s.cost_picos", unit: picos,
		from: "FROM s WHERE s.used <> s.cost_picos",
	},
	reconciliation.HoldOverdue: {
		wallet: "h.wallet_id", agent: "h.agent_id", act: "h.act_id", hold: "h.id", currency: "h.currency", expected: "0", found: "h.amount",
		unit: micros,
		from: "FROM wallet_holds AS h WHERE h.tenant_id = @tenant AND h.status = 'open' AND h.expires_at <= @late",
	},
	reconciliation.ActStuck: {
		act: "x.id", agent: "x.agent_id", session: "x.session_id", expected: "'an end'", found: "x.action",
		from: "FROM acts AS x WHERE x.tenant_id = @tenant AND x.state = 'started' AND x.created_at <= @late AND x.created_at < @to",
	},
}

// Differences implements reconciliation.Repository.
func (r *ReconciliationRepo) Differences(
	ctx context.Context, sc account.Scope, k reconciliation.Kind, p reconciliation.Period, now time.Time, late time.Duration, limit int,
) ([]reconciliation.Difference, error) {
	c, ok := comparisons[k]
	if !ok {
		return nil, fmt.Errorf("bunstore: no comparison finds %q", k)
	}
	cols := []string{c.entry, c.act, c.wallet, c.agent, c.session, c.usage, c.hold}
	order := "1, 2, 3, 4, 5, 6, 7"
	for i, col := range cols {
		if col == "" {
			cols[i] = "CAST(NULL AS TEXT)"
		} else {
			cols[i] = "CAST(" + col + " AS TEXT)"
		}
	}
	if c.currency == "" {
		c.currency = none
	}
	cols = append(cols, "CAST("+c.currency+" AS TEXT)", "CAST("+c.expected+" AS TEXT)", "CAST("+c.found+" AS TEXT)")
	q := "SELECT " + strings.Join(cols, ", ") + " " + c.from + " ORDER BY " + order + " LIMIT " + strconv.Itoa(limit)
	if len(c.with) > 0 {
		q = "WITH " + strings.Join(c.with, ", ") + " " + q
	}
	q, args := r.expand(q, map[string]any{
		"tenant": sc.Tenant, "from": at(p.From), "to": at(p.To), "before": at(p.From.AddDate(0, 0, -1)), "after": at(p.To.AddDate(0, 0, 1)),
		"late": at(now.Add(-late)),
	})
	return queryAll(ctx, r.s.read(ctx), func(row scanner) (reconciliation.Difference, error) {
		d := reconciliation.Difference{Kind: k}
		var currency, expected, found sql.NullString
		err := row.Scan(&d.Entry, &d.Act, &d.Wallet, &d.Agent, &d.Session, &d.Usage, &d.Hold, &currency, &expected, &found)
		if err != nil {
			return d, err
		}
		d.Currency = money.Currency(currency.String)
		if d.Expected, err = c.unit.show(expected, d.Currency); err != nil {
			return d, err
		}
		d.Found, err = c.unit.show(found, d.Currency)
		return d, err
	}, q, args...)
}

// show writes a figure for people.
func (u unit) show(v sql.NullString, c money.Currency) (string, error) {
	if !v.Valid || u == text {
		return v.String, nil
	}
	n, err := strconv.ParseInt(v.String, 10, 64)
	if err != nil {
		return "", fmt.Errorf("bunstore: reconciliation: %w", err)
	}
	if u == picos {
		return money.Pico(n).Dollars(), nil
	}
	return money.Of(n, c).Decimal(), nil
}

// expand puts the dialect's words for {column.member} of a JSON document, and for {micros column}, into a statement, and an argument
// for every @name.
func (r *ReconciliationRepo) expand(q string, values map[string]any) (string, []any) {
	var b strings.Builder
	var args []any
	for q != "" {
		i := strings.IndexAny(q, "@{")
		if i < 0 {
			b.WriteString(q)
			break
		}
		b.WriteString(q[:i])
		if q[i] == '@' {
			end := i + 1
			for end < len(q) && q[end] >= 'a' && q[end] <= 'z' {
				end++
			}
			args = append(args, values[q[i+1:end]])
			b.WriteByte('?')
			q = q[end:]
			continue
		}
		word, rest, _ := strings.Cut(q[i+1:], "}")
		b.WriteString(r.word(word))
		q = rest
	}
	return b.String(), args
}

func (r *ReconciliationRepo) word(w string) string {
	if col, ok := strings.CutPrefix(w, "micros "); ok {
		if r.s.postgres() {
			return "CAST(CAST(" + col + " AS numeric) * 1000000 AS bigint)"
		}
		// An amount has two to six places, so that cutting the text is exact, which a float would not be.
		return "CAST(SUBSTR(" + col + ", 1, INSTR(" + col + ", '.') - 1) || SUBSTR(SUBSTR(" + col + ", INSTR(" + col +
			", '.') + 1) || '0000', 1, 6) AS INTEGER)"
	}
	dot := strings.LastIndexByte(w, '.')
	col, member := w[:dot], w[dot+1:]
	if r.s.postgres() {
		return "(CAST(" + col + " AS json) ->> '" + member + "')"
	}
	return "json_extract(" + col + ", '$." + member + "')"
}

// Count implements reconciliation.Repository.
func (r *ReconciliationRepo) Count(
	ctx context.Context, sc account.Scope, p reconciliation.Period,
) (c reconciliation.Checked, err error) {
	q, args := r.expand(`SELECT
		(SELECT COUNT(*) FROM ledger_entries WHERE tenant_id = @tenant AND created_at >= @from AND created_at < @to),
		(SELECT COUNT(*) FROM acts WHERE tenant_id = @tenant AND state = 'done' AND action IN ('payment', 'transfer')
			AND ended_at >= @from AND ended_at < @to),
		(SELECT COUNT(*) FROM usage_rows WHERE tenant_id = @tenant AND created_at >= @from AND created_at < @to),
		(SELECT COUNT(DISTINCT session_id) FROM usage_rows
			WHERE tenant_id = @tenant AND created_at >= @from AND created_at < @to AND turn_id IS NOT NULL),
		(SELECT COUNT(*) FROM wallet_holds WHERE tenant_id = @tenant AND status = 'open')`,
		map[string]any{"tenant": sc.Tenant, "from": at(p.From), "to": at(p.To)})
	err = r.s.read(ctx).QueryRowContext(ctx, q, args...).Scan(&c.Entries, &c.Acts, &c.Usage, &c.Sessions, &c.Holds)
	return c, mapErr(err)
}
