package bunstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/uptrace/bun"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/policy"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/page"
	"github.com/bureau-agents/bureau/ports/rule"
)

// PolicyRepo keeps policies. It implements policy.Repository.
type PolicyRepo struct{ s *Store }

// CounterRepo keeps what scopes have spent. It implements policy.Counters.
type CounterRepo struct{ s *Store }

var (
	_ policy.Repository = (*PolicyRepo)(nil)
	_ policy.Counters   = (*CounterRepo)(nil)
)

// Policies returns the repository of policies.
func (s *Store) Policies() *PolicyRepo { return &PolicyRepo{s} }

// Counters returns the counters of policies.
func (s *Store) Counters() *CounterRepo { return &CounterRepo{s} }

const (
	scopeTenant  = "tenant"
	scopeSwarm   = "swarm:"
	scopeAgent   = "agent:"
	scopeSession = "session:"
)

func scopeKey(s policy.Scope) string {
	switch {
	case !s.Agent.IsZero():
		return scopeAgent + s.Agent.UUID().String()
	case !s.Swarm.IsZero():
		return scopeSwarm + s.Swarm.UUID().String()
	case !s.Session.IsZero():
		return scopeSession + s.Session.UUID().String()
	}
	return scopeTenant
}

func parseScope(key string) (policy.Scope, error) {
	if key == scopeTenant {
		return policy.Scope{Tenant: true}, nil
	}
	kind, text, _ := strings.Cut(key, ":")
	u, err := id.ParseUUID(text)
	if err != nil {
		return policy.Scope{}, fmt.Errorf("bunstore: policy scope: %w", err)
	}
	switch kind + ":" {
	case scopeSwarm:
		return policy.Scope{Swarm: id.Of[id.SwarmKind](u)}, nil
	case scopeSession:
		return policy.Scope{Session: id.Of[id.SessionKind](u)}, nil
	}
	return policy.Scope{Agent: id.Of[id.AgentKind](u)}, nil
}

func encodePolicy(p policy.Policy) (limits, rules string, err error) {
	l, err := policy.EncodeLimits(p.Limits)
	if err != nil {
		return "", "", err
	}
	r, err := policy.EncodeRules(p.Rules)
	return string(l), string(r), err
}

const policyColumns = "id, scope_key, mode, limits, rules, version, created_at, updated_at"

func scanPolicy(tenant id.Tenant, row scanner) (policy.Policy, error) {
	p := policy.Policy{Tenant: tenant}
	var scope, mode string
	var limits, rules []byte
	var created, updated stamp
	if err := row.Scan(&p.ID, &scope, &mode, &limits, &rules, &p.Version, &created, &updated); err != nil {
		return policy.Policy{}, err
	}
	p.Mode, p.CreatedAt, p.UpdatedAt = policy.Mode(mode), created.Time(), updated.Time()
	var err error
	if p.Scope, err = parseScope(scope); err != nil {
		return policy.Policy{}, err
	}
	if p.Limits, err = policy.DecodeLimits(limits); err != nil {
		return policy.Policy{}, err
	}
	if p.Rules, err = policy.DecodeRules(rules); err != nil {
		return policy.Policy{}, err
	}
	return p, nil
}

// Insert implements policy.Repository.
func (r *PolicyRepo) Insert(ctx context.Context, sc account.Scope, p policy.Policy) error {
	limits, rules, err := encodePolicy(p)
	if err != nil {
		return err
	}
	return r.s.write(ctx, func(ctx context.Context, db bun.IDB) error {
		_, err := db.ExecContext(ctx, `INSERT INTO policies (tenant_id, id, scope_key, mode, limits, rules, version, created_at, updated_at)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
			sc.Tenant, p.ID, scopeKey(p.Scope), modeText(p.Mode), limits, rules, p.Version, at(p.CreatedAt), at(p.UpdatedAt))
		return mapErr(err)
	})
}

// Get implements policy.Repository.
func (r *PolicyRepo) Get(ctx context.Context, sc account.Scope, p id.Policy) (policy.Policy, error) {
	out, err := scanPolicy(sc.Tenant, r.s.read(ctx).QueryRowContext(ctx,
		"SELECT "+policyColumns+" FROM policies WHERE tenant_id = ? AND id = ?", sc.Tenant, p))
	if errors.Is(err, sql.ErrNoRows) {
		return policy.Policy{}, id.NotFound[id.PolicyKind](p.String())
	}
	return out, mapErr(err)
}

// Update implements policy.Repository.
func (r *PolicyRepo) Update(ctx context.Context, sc account.Scope, p policy.Policy) error {
	limits, rules, err := encodePolicy(p)
	if err != nil {
		return err
	}
	return r.s.write(ctx, func(ctx context.Context, db bun.IDB) error {
		res, err := db.ExecContext(ctx, `UPDATE policies SET mode = ?, limits = ?, rules = ?, version = ?, updated_at = ?
			WHERE tenant_id = ? AND id = ? AND version = ?`, modeText(p.Mode), limits, rules, p.Version, at(p.UpdatedAt), sc.Tenant, p.ID, p.Version-1)
		n, err := affected(res, err)
		if err != nil {
			return err
		}
		if n == 0 {
			if _, err := r.Get(ctx, sc, p.ID); err != nil {
				return err
			}
			return policy.ErrVersion
		}
		_, err = db.ExecContext(ctx, `DELETE FROM policy_counters
			WHERE tenant_id = ? AND policy_id = ? AND (name IN (?) OR name LIKE ? AND reserved = 0)`,
			sc.Tenant, p.ID, bun.List(policy.PaymentWindows()), policy.RuleCounter+"%")
		return mapErr(err)
	})
}

// Delete implements policy.Repository.
func (r *PolicyRepo) Delete(ctx context.Context, sc account.Scope, p id.Policy) error {
	return r.s.write(ctx, func(ctx context.Context, db bun.IDB) error {
		res, err := db.ExecContext(ctx, "DELETE FROM policies WHERE tenant_id = ? AND id = ?", sc.Tenant, p)
		n, err := affected(res, err)
		if err != nil {
			return err
		}
		if n == 0 {
			return id.NotFound[id.PolicyKind](p.String())
		}
		_, err = db.ExecContext(ctx, "DELETE FROM policy_counters WHERE tenant_id = ? AND policy_id = ?", sc.Tenant, p)
		return mapErr(err)
	})
}

// List implements policy.Repository.
func (r *PolicyRepo) List(
	ctx context.Context, sc account.Scope, f policy.Filter, req page.Request,
) (page.Page[policy.Policy], error) {
	q, args := "SELECT "+policyColumns+" FROM policies WHERE tenant_id = ?", []any{sc.Tenant}
	if f != (policy.Filter{}) {
		q += " AND scope_key = ?"
		args = append(args, scopeKey(policy.Scope(f)))
	}
	return newestFirst(ctx, r.s.read(ctx), req, func(row scanner) (policy.Policy, error) { return scanPolicy(sc.Tenant, row) },
		func(p policy.Policy) id.Policy { return p.ID }, q, args...)
}

func (r *PolicyRepo) query(ctx context.Context, sc account.Scope, q string, args ...any) ([]policy.Policy, error) {
	return queryAll(ctx, r.s.read(ctx), func(row scanner) (policy.Policy, error) { return scanPolicy(sc.Tenant, row) }, q, args...)
}

// Applicable implements policy.Repository.
func (r *PolicyRepo) Applicable(ctx context.Context, sc account.Scope, w policy.Whom) ([]policy.Policy, error) {
	args := []any{sc.Tenant, scopeTenant, scopeKey(policy.Scope{Agent: w.Agent})}
	in := "?, ?"
	if !w.Swarm.IsZero() {
		in += ", ?"
		args = append(args, scopeKey(policy.Scope{Swarm: w.Swarm}))
	}
	if !w.Session.IsZero() {
		in += ", ?"
		args = append(args, scopeKey(policy.Scope{Session: w.Session}))
	}
	found, err := r.query(ctx, sc, "SELECT "+policyColumns+" FROM policies WHERE tenant_id = ? AND scope_key IN ("+in+") ORDER BY id", args...)
	if err != nil {
		return nil, err
	}
	rank := func(s policy.Scope) int {
		switch {
		case s.Tenant:
			return 0
		case !s.Swarm.IsZero():
			return 1
		case !s.Agent.IsZero():
			return 2
		}
		return 3
	}
	slices.SortStableFunc(found, func(a, b policy.Policy) int { return rank(a.Scope) - rank(b.Scope) })
	return found, nil
}

// LockScope implements policy.Repository. It locks the rows whose standing every act locks, so that acts and changes of their
// policies exclude each other without a further lock. A session's acts are those of several agents, and all of them lock the tenant.
func (r *PolicyRepo) LockScope(ctx context.Context, sc account.Scope, s policy.Scope) error {
	q, args := "SELECT id FROM tenants WHERE id = ?", []any{sc.Tenant}
	switch {
	case !s.Agent.IsZero():
		q, args = "SELECT id FROM agents WHERE tenant_id = ? AND id = ? AND destroyed_at IS NULL", []any{sc.Tenant, s.Agent}
	case !s.Swarm.IsZero():
		if err := r.s.lockSwarm(ctx, sc, s.Swarm); err != nil { // nobody joins meanwhile
			return err
		}
		q, args = "SELECT id FROM agents WHERE tenant_id = ? AND swarm_id = ? ORDER BY id", []any{sc.Tenant, s.Swarm}
	}
	find := func(lock string) ([]id.Agent, error) {
		return queryAll(ctx, r.s.read(ctx), func(row scanner) (a id.Agent, err error) { return a, row.Scan(&a) }, q+lock, args...)
	}
	found, err := find("")
	if err != nil {
		return err
	}
	if len(found) == 0 && !s.Agent.IsZero() {
		return id.NotFound[id.AgentKind](s.Agent.String())
	}
	for _, a := range found {
		door := agentDoor(a)
		if s.Tenant || !s.Session.IsZero() {
			door = tenantDoor(sc)
		}
		if err := r.s.closeDoor(ctx, door); err != nil {
			return err
		}
	}
	_, err = find(r.s.forUpdate())
	return err
}

const counterColumns = "policy_id, name, span, span_start, unit, spent, reserved"

// Lock implements policy.Counters.
func (r *CounterRepo) Lock(ctx context.Context, sc account.Scope, keys []policy.Key) ([]policy.Counter, error) {
	if !r.s.postgres() {
		return r.Read(ctx, sc, keys) // the writer is alone
	}
	out, n, err := r.find(ctx, sc, keys, r.s.forUpdate())
	if err != nil || n == len(keys) {
		return out, err
	}
	// The first of a window: its rows must be there to be locked.
	var rows []string
	var args []any
	for _, k := range keys {
		rows = append(rows, "(?, ?, ?, ?, ?, ?, 0, 0)")
		args = append(args, sc.Tenant, k.Policy, k.Name, string(k.Window), at(k.Start), k.Unit)
	}
	made, err := queryAll(ctx, r.s.read(ctx), scanCounter, "INSERT INTO policy_counters (tenant_id, "+counterColumns+") VALUES "+
		strings.Join(rows, ", ")+" ON CONFLICT DO NOTHING RETURNING "+counterColumns, args...)
	if err != nil {
		return nil, err
	}
	if out, _, err = r.find(ctx, sc, keys, r.s.forUpdate()); err != nil {
		return nil, err
	}
	for _, c := range made {
		out[indexKey(keys, c.Key)].Fresh = true
	}
	return out, nil
}

func indexKey(keys []policy.Key, key policy.Key) int {
	return slices.IndexFunc(keys, func(k policy.Key) bool { return k.Compare(key) == 0 })
}

func scanCounter(row scanner) (c policy.Counter, err error) {
	var span string
	var start stamp
	err = row.Scan(&c.Key.Policy, &c.Key.Name, &span, &start, &c.Key.Unit, &c.Spent, &c.Reserved)
	c.Key.Window, c.Key.Start = rule.Window(span), start.Time()
	return c, err
}

// Read implements policy.Counters.
func (r *CounterRepo) Read(ctx context.Context, sc account.Scope, keys []policy.Key) ([]policy.Counter, error) {
	out, _, err := r.find(ctx, sc, keys, "")
	return out, err
}

// find returns the counters of keys, and how many of them have a row.
func (r *CounterRepo) find(ctx context.Context, sc account.Scope, keys []policy.Key, lock string) ([]policy.Counter, int, error) {
	out := make([]policy.Counter, len(keys))
	var where []string
	args := []any{sc.Tenant}
	for i, k := range keys {
		out[i].Key, out[i].Fresh = k, true
		cond, condArgs := counterIs(k)
		where = append(where, cond)
		args = append(args, condArgs...)
	}
	q := "SELECT " + counterColumns + " FROM policy_counters WHERE tenant_id = ? AND (" + strings.Join(where, " OR ") +
		") ORDER BY policy_id, name, span, span_start, unit" + lock
	found, err := queryAll(ctx, r.s.read(ctx), scanCounter, q, args...)
	if err != nil {
		return nil, 0, err
	}
	for _, c := range found {
		i := indexKey(keys, c.Key)
		out[i].Spent, out[i].Reserved, out[i].Fresh = c.Spent, c.Reserved, false
	}
	return out, len(found), nil
}

func counterIs(k policy.Key) (cond string, args []any) {
	return "(policy_id = ? AND name = ? AND span = ? AND span_start = ? AND unit = ?)",
		[]any{k.Policy, k.Name, string(k.Window), at(k.Start), k.Unit}
}

// Add implements policy.Counters. Rows are never made by giving back: those of a policy that has been deleted meanwhile stay
// away.
func (r *CounterRepo) Add(ctx context.Context, sc account.Scope, changes []policy.Counter) error {
	return r.s.write(ctx, func(ctx context.Context, db bun.IDB) error {
		var rows []string
		var args []any
		for _, c := range changes {
			if c.Spent < 0 || c.Reserved < 0 {
				cond, condArgs := counterIs(c.Key)
				_, err := db.ExecContext(ctx, "UPDATE policy_counters SET spent = spent + ?, reserved = reserved + ? WHERE tenant_id = ? AND "+cond,
					append([]any{c.Spent, c.Reserved, sc.Tenant}, condArgs...)...)
				if err != nil {
					return mapErr(err)
				}
				continue
			}
			rows = append(rows, "(?, ?, ?, ?, ?, ?, ?, ?)")
			args = append(args, sc.Tenant, c.Key.Policy, c.Key.Name, string(c.Key.Window), at(c.Key.Start), c.Key.Unit, c.Spent, c.Reserved)
		}
		if len(rows) == 0 {
			return nil
		}
		_, err := db.ExecContext(ctx, "INSERT INTO policy_counters (tenant_id, "+counterColumns+") VALUES "+strings.Join(rows, ", ")+`
			ON CONFLICT (tenant_id, policy_id, name, span, span_start, unit) DO UPDATE SET
			spent = policy_counters.spent + excluded.spent, reserved = policy_counters.reserved + excluded.reserved`, args...)
		return mapErr(err)
	})
}
