package bunstore

import (
	"context"
	"database/sql"
	"errors"

	"github.com/uptrace/bun"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/policy"
	"github.com/bureau-agents/bureau/core/task"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/page"
)

// TaskRepo keeps runs. It implements task.Repository and task.Acts.
type TaskRepo struct{ s *Store }

var (
	_ task.Repository = (*TaskRepo)(nil)
	_ task.Acts       = (*TaskRepo)(nil)
)

// Tasks returns the repository of runs.
func (s *Store) Tasks() *TaskRepo { return &TaskRepo{s} }

// taskSessions chooses the sessions of run r: its own and its threads.
const taskSessions = "(SELECT r.id UNION ALL SELECT t.id FROM session_threads t WHERE t.root_id = r.id)"

// taskStatus is the status of run r: it waits while its start, one of its acts, or a tool of its agent waits for a person.
const taskStatus = `CASE WHEN r.status = 'running' AND (r.pending
		OR EXISTS (SELECT 1 FROM acts a WHERE a.tenant_id = r.tenant_id AND a.run_id = r.id AND a.state = 'parked')
		OR EXISTS (SELECT 1 FROM session_tool_uses u WHERE u.state = 'ask' AND u.session_id IN ` + taskSessions + `))
	THEN 'waiting_approval' ELSE r.status END`

const taskColumns = "r.tenant_id, r.id, r.agent_id, r.task, r.context, " + taskStatus + ", r.pending, r.summary, r.error, r.rule, r.credits, r.acts, " +
	"r.started_at, r.completed_at"

func scanTask(row scanner) (task.Run, error) {
	var v task.Run
	var status string
	var started, completed stamp
	err := row.Scan(&v.Tenant, &v.ID, &v.Agent, &v.Task, &v.Context, &status, &v.Pending, &v.Summary, &v.Error, &v.Rule, &v.Credits, &v.Acts,
		&started, &completed)
	v.Session, v.Status = task.SessionOf(v.ID), task.Status(status)
	v.StartedAt, v.CompletedAt = started.Time(), completed.timeOrNil()
	return v, err
}

// Insert implements task.Repository.
func (r *TaskRepo) Insert(ctx context.Context, sc account.Scope, v task.Run) error {
	return r.s.write(ctx, func(ctx context.Context, db bun.IDB) error {
		res, err := db.ExecContext(ctx, `INSERT INTO agent_runs (tenant_id, id, agent_id, task, context, status, pending, started_at)
			VALUES (?, ?, ?, ?, ?, 'running', ?, ?) ON CONFLICT DO NOTHING`,
			sc.Tenant, v.ID, v.Agent, v.Task, v.Context, v.Pending, at(v.StartedAt))
		n, err := affected(res, err)
		if err == nil && n == 0 {
			return task.ErrExists
		}
		return err
	})
}

// Get implements task.Repository.
func (r *TaskRepo) Get(ctx context.Context, sc account.Scope, run id.Run) (task.Run, error) {
	v, err := scanTask(r.s.read(ctx).QueryRowContext(ctx, "SELECT "+taskColumns+" FROM agent_runs r WHERE r.tenant_id = ? AND r.id = ?", sc.Tenant, run))
	if errors.Is(err, sql.ErrNoRows) {
		return task.Run{}, id.NotFound[id.RunKind](run.String())
	}
	return v, mapErr(err)
}

// List implements task.Repository.
func (r *TaskRepo) List(ctx context.Context, sc account.Scope, req task.ListRequest) (page.Page[task.Run], error) {
	w := newWhere("r.tenant_id = ?", sc.Tenant)
	w.and("r.agent_id = ?", req.Agent)
	switch req.Status {
	case "":
	case task.Completed, task.Failed:
		w.and("r.status = ?", string(req.Status))
	default:
		w.and("r.status = 'running'")
		w.and(taskStatus+" = ?", string(req.Status))
	}
	total := 0
	if req.Page.Count {
		err := r.s.read(ctx).QueryRowContext(ctx, "SELECT COUNT(*) FROM agent_runs r WHERE "+w.sql(), w.args...).Scan(&total)
		if err != nil {
			return page.Page[task.Run]{}, mapErr(err)
		}
	}
	if req.Page.Cursor != "" {
		before, err := decodeIDCursor[id.RunKind](req.Page.Cursor)
		if err != nil {
			return page.Page[task.Run]{}, err
		}
		w.and("r.id < ?", before)
	}
	found, err := queryAll(ctx, r.s.read(ctx), scanTask, "SELECT "+taskColumns+" FROM agent_runs r WHERE "+w.sql()+
		" ORDER BY r.id DESC LIMIT ? OFFSET ?", append(w.args, req.Page.Size()+1, max(req.Page.Offset, 0))...)
	if err != nil {
		return page.Page[task.Run]{}, err
	}
	p, err := pageOf(found, req.Page.Size(), func(v task.Run) (task.Run, error) { return v, nil }, func(v task.Run) []string { return []string{v.ID.String()} })
	p.Total = total
	return p, err
}

// Lock implements task.Repository.
func (r *TaskRepo) Lock(ctx context.Context, sc account.Scope, run id.Run) (task.Run, bool, error) {
	lock := r.s.forUpdate()
	if lock != "" {
		lock += " OF r"
	}
	v, err := scanTask(r.s.read(ctx).QueryRowContext(ctx, "SELECT "+taskColumns+
		" FROM agent_runs r WHERE r.tenant_id = ? AND r.id = ? AND r.status = 'running'"+lock, sc.Tenant, run))
	if errors.Is(err, sql.ErrNoRows) {
		return task.Run{}, false, nil
	}
	return v, err == nil, mapErr(err)
}

// Save implements task.Repository.
func (r *TaskRepo) Save(ctx context.Context, sc account.Scope, v task.Run) error {
	status := task.Running
	if v.Status.Final() {
		status = v.Status
	}
	return r.s.write(ctx, func(ctx context.Context, db bun.IDB) error {
		_, err := db.ExecContext(ctx, `UPDATE agent_runs SET status = ?, summary = ?, error = ?, rule = ?, credits = ?, acts = ?, pending = ?,
			started_at = ?, completed_at = ? WHERE tenant_id = ? AND id = ?`,
			string(status), v.Summary, v.Error, v.Rule, v.Credits, v.Acts, v.Pending, at(v.StartedAt), stampOrNull(v.CompletedAt), sc.Tenant, v.ID)
		return mapErr(err)
	})
}

// Known implements task.Repository.
func (r *TaskRepo) Known(ctx context.Context, sc account.Scope, sessions []id.Session) (map[id.Session]bool, error) {
	known := map[id.Session]bool{}
	if len(sessions) == 0 {
		return known, nil
	}
	found, err := queryAll(ctx, r.s.read(ctx), func(row scanner) (s id.Session, err error) { return s, row.Scan(&s) },
		"SELECT id FROM agent_runs WHERE tenant_id = ? AND id IN (?)", sc.Tenant, bun.List(sessions))
	for _, s := range found {
		known[s] = true
	}
	return known, err
}

// Remove implements task.Repository.
func (r *TaskRepo) Remove(ctx context.Context, sc account.Scope, agent id.Agent) (int, error) {
	var n int64
	err := r.s.write(ctx, func(ctx context.Context, db bun.IDB) error {
		var err error
		n, err = affected(db.ExecContext(ctx, "DELETE FROM agent_runs WHERE tenant_id = ? AND agent_id = ?", sc.Tenant, agent))
		return err
	})
	return int(n), err
}

// refusalsMost is how many refused acts of a run are looked through: those before the first that counts were cancelled.
const refusalsMost = 100

// Facts implements task.Acts.
func (r *TaskRepo) Facts(ctx context.Context, sc account.Scope, run id.Run) (task.Facts, error) {
	var f task.Facts
	db := r.s.read(ctx)
	err := db.QueryRowContext(ctx, `SELECT COUNT(*) FROM acts WHERE tenant_id = ? AND run_id = ?
		AND action IN ('tool_call', 'payment', 'transfer')`, sc.Tenant, run).Scan(&f.Acts)
	if err != nil {
		return task.Facts{}, mapErr(err)
	}
	refused, err := queryAll(ctx, db, func(row scanner) (task.Refusal, error) {
		var decision []byte
		var asked sql.NullString
		if err := row.Scan(&decision, &asked); err != nil {
			return task.Refusal{}, err
		}
		d, err := decodeDecision(decision)
		out := task.Refusal{Rule: d.Rule, Reason: d.Reason}
		if (d.Rule == policy.RuleApproval || d.Rule == policy.RuleExpired) && asked.String != "" {
			out.Rule = asked.String
		}
		return out, err
	}, `SELECT a.decision, p.rule FROM acts a LEFT JOIN approvals p ON p.id = a.approval_id AND p.tenant_id = a.tenant_id
		WHERE a.tenant_id = ? AND a.run_id = ? AND a.state = 'denied' ORDER BY a.id LIMIT ?`, sc.Tenant, run, refusalsMost)
	for _, v := range refused {
		if v.Rule != policy.RuleInterrupted {
			f.Refusal = &v
			break
		}
	}
	return f, err
}

// Stalled implements task.Acts.
func (r *TaskRepo) Stalled(ctx context.Context, limit int) ([]task.Stall, error) {
	return queryAll(ctx, r.s.read(ctx), func(row scanner) (v task.Stall, err error) { return v, row.Scan(&v.Tenant, &v.Run, &v.Tool) },
		`SELECT r.tenant_id, r.id, MIN(u.name) FROM agent_runs r JOIN session_tool_uses u ON u.state = 'client' AND u.session_id IN `+taskSessions+`
		WHERE r.status = 'running' GROUP BY r.tenant_id, r.id ORDER BY r.id LIMIT ?`, limit)
}

// Decided implements task.Acts.
func (r *TaskRepo) Decided(ctx context.Context, limit int) ([]task.Run, error) {
	return queryAll(ctx, r.s.read(ctx), scanTask, "SELECT "+taskColumns+` FROM agent_runs r WHERE r.status = 'running' AND r.pending
		AND NOT EXISTS (SELECT 1 FROM acts a WHERE a.tenant_id = r.tenant_id AND a.run_id = r.id AND a.state = 'parked')
		ORDER BY r.id LIMIT ?`, limit)
}
