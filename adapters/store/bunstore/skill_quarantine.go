package bunstore

import (
	"context"
	"database/sql"
	"errors"
	"slices"

	"github.com/uptrace/bun"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/skill"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/money"
	"github.com/bureau-agents/bureau/ports/page"
)

// QuarantineRepo keeps what must not be used any more, who used what, and what came of it.
type QuarantineRepo struct{ s *Store }

var (
	_ skill.HoldRepository = (*QuarantineRepo)(nil)
	_ skill.Traces         = (*QuarantineRepo)(nil)
)

// Quarantine returns the repository of quarantines.
func (s *Store) Quarantine() *QuarantineRepo { return &QuarantineRepo{s} }

func digestDoor(digest string) string { return "skill:" + digest }

// notHeld is the condition that a digest in a column is free for a tenant, which is its one argument.
func notHeld(column string) string {
	return "NOT EXISTS (SELECT 1 FROM skill_blocks AS h WHERE h.digest = " + column + ") AND NOT EXISTS (SELECT 1 FROM skill_quarantines AS h WHERE h.tenant_id = ? AND h.digest = " +
		column + ")"
}

// Hold implements skill.HoldRepository.
func (r *QuarantineRepo) Hold(ctx context.Context, h skill.Hold) (fresh bool, err error) {
	err = r.s.write(ctx, func(ctx context.Context, db bun.IDB) error {
		if err := r.s.closeDoor(ctx, digestDoor(h.Digest)); err != nil {
			return err
		}
		q, args := "INSERT INTO skill_blocks (digest, skill_id, kind, name, reason, held_by, created_at) VALUES (?, ?, ?, ?, ?, ?, ?)", []any(nil)
		if !h.Tenant.IsZero() {
			q = "INSERT INTO skill_quarantines (tenant_id, digest, skill_id, kind, name, reason, held_by, created_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
			args = append(args, h.Tenant)
		}
		res, err := db.ExecContext(ctx, q+" ON CONFLICT DO NOTHING", append(args, h.Digest, h.Skill, string(h.Kind), h.Name, h.Reason, h.By, at(h.At))...)
		n, err := affected(res, err)
		fresh = n > 0
		return err
	})
	return fresh, err
}

// Release implements skill.HoldRepository.
func (r *QuarantineRepo) Release(ctx context.Context, tenant id.Tenant, digest string) error {
	return r.s.write(ctx, func(ctx context.Context, db bun.IDB) error {
		if err := r.s.closeDoor(ctx, digestDoor(digest)); err != nil {
			return err
		}
		q, args := "DELETE FROM skill_blocks WHERE digest = ?", []any{digest}
		if !tenant.IsZero() {
			q, args = "DELETE FROM skill_quarantines WHERE tenant_id = ? AND digest = ?", []any{tenant, digest}
		}
		res, err := db.ExecContext(ctx, q, args...)
		if n, err := affected(res, err); err != nil {
			return err
		} else if n == 0 {
			return skill.ErrNotQuarantined
		}
		return nil
	})
}

const (
	holdColumns = "h.digest, h.skill_id, h.kind, h.name, h.reason, h.held_by, h.created_at"
	// The tenant of a block is NULL, which reads as zero.
	ownHolds = "SELECT h.tenant_id AS tenant_id, " + holdColumns + " FROM skill_quarantines AS h WHERE h.tenant_id = ?"
	allHolds = "SELECT CAST(NULL AS uuid) AS tenant_id, " + holdColumns + " FROM skill_blocks AS h WHERE 1 = 1"
)

func scanHold(row scanner) (skill.Hold, error) {
	var h skill.Hold
	var kind string
	var created stamp
	err := row.Scan(&h.Tenant, &h.Digest, &h.Skill, &kind, &h.Name, &h.Reason, &h.By, &created)
	h.Kind, h.At = skill.ContentKind(kind), created.Time()
	return h, err
}

// Holds implements skill.HoldRepository.
func (r *QuarantineRepo) Holds(ctx context.Context, sc account.Scope, digests []string) ([]skill.Hold, error) {
	if len(digests) == 0 {
		return nil, nil
	}
	digests = slices.Compact(slices.Sorted(slices.Values(digests))) // in one order, so that two transactions do not wait for each other
	db := r.s.read(ctx)
	if r.s.postgres() && r.s.current(ctx) != nil {
		for _, digest := range digests {
			// A statement of its own: what follows must see what was committed while it waited.
			if _, err := db.ExecContext(ctx, "SELECT pg_advisory_xact_lock_shared(hashtextextended(?, 0))", digestDoor(digest)); err != nil {
				return nil, mapErr(err)
			}
		}
	}
	return queryAll(ctx, db, scanHold, ownHolds+" AND h.digest IN (?) UNION ALL "+allHolds+" AND h.digest IN (?) ORDER BY digest",
		sc.Tenant, bun.List(digests), bun.List(digests))
}

// HoldsOf implements skill.HoldRepository.
func (r *QuarantineRepo) HoldsOf(ctx context.Context, sc account.Scope, of id.Skill) ([]skill.Hold, error) {
	const most = " ORDER BY created_at DESC, digest LIMIT 1000"
	if of.IsZero() {
		return queryAll(ctx, r.s.read(ctx), scanHold, allHolds+most)
	}
	return queryAll(ctx, r.s.read(ctx), scanHold, ownHolds+" AND h.skill_id = ? UNION ALL "+allHolds+" AND h.skill_id = ?"+most, sc.Tenant, of, of)
}

// NoteUse implements skill.HoldRepository.
func (r *QuarantineRepo) NoteUse(ctx context.Context, u skill.Use) error {
	return r.s.write(ctx, func(ctx context.Context, db bun.IDB) error {
		_, err := db.ExecContext(ctx, `INSERT INTO skill_uses (tenant_id, digest, session_id, agent_id, skill_id, manner, first_at)
			VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`, u.Tenant, u.Digest, u.Session, u.Agent, u.Skill, string(u.Manner), at(u.FirstAt))
		return mapErr(err)
	})
}

// Agents implements skill.Traces.
func (r *QuarantineRepo) Agents(ctx context.Context, sc account.Scope, digest string, req page.Request) (page.Page[skill.Installation], error) {
	w := newWhere("i.tenant_id = ? AND i.digest = ?", sc.Tenant, digest)
	if req.Cursor != "" {
		last, err := decodeIDCursor[id.InstalledSkillKind](req.Cursor)
		if err != nil {
			return page.Page[skill.Installation]{}, err
		}
		w.and("i.id > ?", last)
	}
	found, err := queryAll(ctx, r.s.read(ctx), func(row scanner) (skill.Installation, error) {
		in := skill.Installation{Tenant: sc.Tenant}
		var kind string
		var created, updated stamp
		err := row.Scan(&in.ID, &in.Agent, &in.Skill, &kind, &in.Version, &in.Digest, &created, &updated)
		in.Kind, in.CreatedAt, in.UpdatedAt = skill.ContentKind(kind), created.Time(), updated.Time()
		return in, err
	}, "SELECT i.id, i.agent_id, i.skill_id, i.kind, i.version_id, i.digest, i.created_at, i.updated_at FROM installed_skills AS i WHERE "+w.sql()+
		" ORDER BY i.id LIMIT ?", append(w.args, req.Size()+1)...)
	if err != nil {
		return page.Page[skill.Installation]{}, err
	}
	return pageOf(found, req.Size(), func(in skill.Installation) (skill.Installation, error) { return in, nil },
		func(in skill.Installation) []string { return []string{in.ID.String()} })
}

// Uses implements skill.Traces.
func (r *QuarantineRepo) Uses(ctx context.Context, sc account.Scope, digest string, req page.Request) (page.Page[skill.Use], error) {
	w := newWhere("u.tenant_id = ? AND u.digest = ?", sc.Tenant, digest)
	if req.Cursor != "" {
		place, err := decodeCursor(req.Cursor, 2)
		if err != nil {
			return page.Page[skill.Use]{}, err
		}
		session, serr := id.Parse[id.SessionKind](place[0])
		agent, aerr := id.Parse[id.AgentKind](place[1])
		if serr != nil || aerr != nil {
			return page.Page[skill.Use]{}, errCursor()
		}
		w.and("(u.session_id, u.agent_id) > (?, ?)", session, agent)
	}
	found, err := queryAll(ctx, r.s.read(ctx), func(row scanner) (skill.Use, error) {
		u := skill.Use{Tenant: sc.Tenant, Digest: digest}
		var manner string
		var first stamp
		err := row.Scan(&u.Session, &u.Agent, &u.Skill, &manner, &first)
		u.Manner, u.FirstAt = skill.Manner(manner), first.Time()
		return u, err
	}, "SELECT u.session_id, u.agent_id, u.skill_id, u.manner, u.first_at FROM skill_uses AS u WHERE "+w.sql()+
		" ORDER BY u.session_id, u.agent_id LIMIT ?", append(w.args, req.Size()+1)...)
	if err != nil {
		return page.Page[skill.Use]{}, err
	}
	return pageOf(found, req.Size(), func(u skill.Use) (skill.Use, error) { return u, nil },
		func(u skill.Use) []string { return []string{u.Session.String(), u.Agent.String()} })
}

// moved are the payments and transfers of the sessions that used a digest, after the first use in each. A payment whose act was begun before
// the use and ended after it counts, too: what the skill did may have come in between. The arguments are the tenant and the digest.
const moved = ` FROM (SELECT u.session_id AS session_id, min(u.first_at) AS first_at FROM skill_uses AS u WHERE u.tenant_id = ? AND u.digest = ? GROUP BY u.session_id) AS u
	JOIN acts AS a ON a.tenant_id = ? AND COALESCE(a.run_id, a.session_id) = u.session_id AND a.state = 'done' AND a.action IN ('payment', 'transfer')
		AND a.session_id IS NOT NULL AND a.ended_at >= u.first_at`

// Moves implements skill.Traces.
func (r *QuarantineRepo) Moves(ctx context.Context, sc account.Scope, digest string, req page.Request) (page.Page[skill.Move], error) {
	q, args := "SELECT a.id, a.agent_id, a.session_id, a.action, a.amount, a.currency, a.payee, a.description, a.ended_at"+moved, []any{sc.Tenant, digest, sc.Tenant}
	if req.Cursor != "" {
		last, err := decodeIDCursor[id.ActKind](req.Cursor)
		if err != nil {
			return page.Page[skill.Move]{}, err
		}
		q, args = q+" WHERE a.id > ?", append(args, last)
	}
	found, err := queryAll(ctx, r.s.read(ctx), func(row scanner) (skill.Move, error) {
		var m skill.Move
		var micros sql.NullInt64
		var currency sql.NullString
		var ended stamp
		err := row.Scan(&m.Act, &m.Agent, &m.Session, &m.Action, &micros, &currency, &m.Payee, &m.Description, &ended)
		m.Amount, m.At = money.Of(micros.Int64, money.Currency(currency.String)), ended.Time()
		return m, err
	}, q+" ORDER BY a.id LIMIT ?", append(args, req.Size()+1)...)
	if err != nil {
		return page.Page[skill.Move]{}, err
	}
	return pageOf(found, req.Size(), func(m skill.Move) (skill.Move, error) { return m, nil }, func(m skill.Move) []string { return []string{m.Act.String()} })
}

// Extent implements skill.Traces.
func (r *QuarantineRepo) Extent(ctx context.Context, sc account.Scope, digest string) (skill.Extent, error) {
	var e skill.Extent
	db := r.s.read(ctx)
	err := db.QueryRowContext(ctx, `SELECT (SELECT count(DISTINCT agent_id) FROM installed_skills WHERE tenant_id = ? AND digest = ?),
		(SELECT count(DISTINCT session_id) FROM skill_uses WHERE tenant_id = ? AND digest = ?)`, sc.Tenant, digest, sc.Tenant, digest).Scan(&e.Agents, &e.Sessions)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return e, mapErr(err)
	}
	type sum struct {
		n      int
		amount money.Amount
	}
	sums, err := queryAll(ctx, db, func(row scanner) (sum, error) {
		var s sum
		var currency sql.NullString
		var micros sql.NullInt64
		err := row.Scan(&s.n, &currency, &micros)
		s.amount = money.Of(micros.Int64, money.Currency(currency.String))
		return s, err
	}, "SELECT count(*), a.currency, CAST(sum(a.amount) AS bigint)"+moved+" GROUP BY a.currency ORDER BY a.currency", sc.Tenant, digest, sc.Tenant)
	for _, s := range sums {
		e.Moves += s.n
		e.Moved = append(e.Moved, s.amount)
	}
	return e, err
}

// Tenants implements skill.Traces.
func (r *QuarantineRepo) Tenants(ctx context.Context, digest string) ([]id.Tenant, error) {
	return queryAll(ctx, r.s.read(ctx), func(row scanner) (id.Tenant, error) {
		var t id.Tenant
		err := row.Scan(&t)
		return t, err
	}, `SELECT tenant_id FROM installed_skills WHERE digest = ? UNION SELECT tenant_id FROM skill_uses WHERE digest = ?
		UNION SELECT tenant_id FROM skill_guide_versions WHERE digest = ? UNION SELECT tenant_id FROM skill_submission_versions WHERE digest = ? ORDER BY 1`,
		digest, digest, digest, digest)
}
