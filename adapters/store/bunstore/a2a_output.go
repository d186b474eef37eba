package bunstore

import (
	"context"
	"database/sql"
	"errors"

	"github.com/uptrace/bun"

	"github.com/bureau-agents/bureau/core/a2a"
	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/ports/id"
)

// A2AOutputRepo keeps the files of tasks. It implements a2a.Outputs.
type A2AOutputRepo struct{ s *Store }

var _ a2a.Outputs = (*A2AOutputRepo)(nil)

// A2AOutputs returns the repository of the files of A2A tasks.
func (s *Store) A2AOutputs() *A2AOutputRepo { return &A2AOutputRepo{s} }

// Put implements a2a.Outputs.
func (r *A2AOutputRepo) Put(ctx context.Context, sc account.Scope, session id.Session, o a2a.Output) (put bool, err error) {
	err = r.s.write(ctx, func(ctx context.Context, db bun.IDB) error {
		var task id.Turn
		var of id.Agent
		// A turn of the session at a time: what else is open has not begun.
		err := db.QueryRowContext(ctx, `SELECT id, agent_id FROM a2a_tasks WHERE session_id = ? AND tenant_id = ?
			AND state IN ('submitted', 'working', 'input-required') AND first_seq > 0 ORDER BY first_seq DESC LIMIT 1`, session, sc.Tenant).
			Scan(&task, &of)
		if put = err == nil; errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		if err != nil {
			return mapErr(err)
		}
		_, err = db.ExecContext(ctx, `INSERT INTO a2a_outputs (task_id, path, tenant_id, agent_id, file_id, name, media_type, size, created_at)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (task_id, path) DO UPDATE SET file_id = excluded.file_id, name = excluded.name,
			media_type = excluded.media_type, size = excluded.size, created_at = excluded.created_at`,
			task, o.Path, sc.Tenant, of, o.File, o.Name, o.MediaType, o.Size, at(o.CreatedAt))
		return mapErr(err)
	})
	return put, err
}

func scanA2AOutput(row scanner) (a2a.Output, error) {
	var o a2a.Output
	var created stamp
	err := row.Scan(&o.Task, &o.Path, &o.File, &o.Name, &o.MediaType, &o.Size, &created)
	o.CreatedAt = created.Time()
	return o, err
}

// Of implements a2a.Outputs.
func (r *A2AOutputRepo) Of(ctx context.Context, sc account.Scope, tasks []id.Turn, most int) ([]a2a.Output, error) {
	if len(tasks) == 0 {
		return nil, nil
	}
	return queryAll(ctx, r.s.read(ctx), scanA2AOutput, `SELECT task_id, path, file_id, name, media_type, size, created_at FROM (
			SELECT *, ROW_NUMBER() OVER (PARTITION BY task_id ORDER BY created_at, path) AS place FROM a2a_outputs
			WHERE task_id IN (?) AND tenant_id = ?) AS made
		WHERE place <= ? ORDER BY created_at, path`, bun.List(tasks), sc.Tenant, most)
}

// Has implements a2a.Outputs.
func (r *A2AOutputRepo) Has(ctx context.Context, sc account.Scope, task id.Turn, file id.File) (has bool, err error) {
	err = r.s.read(ctx).QueryRowContext(ctx, "SELECT EXISTS (SELECT 1 FROM a2a_outputs WHERE task_id = ? AND file_id = ? AND tenant_id = ?)",
		task, file, sc.Tenant).Scan(&has)
	return has, mapErr(err)
}
