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
)

// PolicyRepo keeps policies. It implements policy.Repository.
type PolicyRepo struct{ s *Store }

var (
	_ policy.Repository = (*PolicyRepo)(nil)
)

// Policies returns the repository of policies.
func (s *Store) Policies() *PolicyRepo { return &PolicyRepo{s} }

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
		r.s.forgetHeld(ctx)
		// Counters of payments begin anew, with what was spent while a limit or a rule was not there to count; budgets go on where they
		// were there before.
		q, args := `DELETE FROM policy_counters WHERE tenant_id = ? AND policy_id = ? AND NOT (name LIKE ? AND reserved > 0)`,
			[]any{sc.Tenant, p.ID, policy.RuleCounter + "%"}
		for _, c := range p.Limits.Lasting() {
			q += " AND NOT (name = ? AND unit = ?)"
			args = append(args, c.Name, c.Unit)
		}
		if p.Limits.Structuring != nil {
			q += " AND name NOT LIKE ?"
			args = append(args, policy.StructuringCounter+"%")
		}
		_, err = db.ExecContext(ctx, q, args...)
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
		r.s.forgetHeld(ctx)
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
	byScope(found)
	return found, nil
}

// byScope brings policies that are sorted by id into the order of Applicable.
func byScope(found []policy.Policy) {
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
