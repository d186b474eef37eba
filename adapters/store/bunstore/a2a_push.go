package bunstore

import (
	"context"
	"database/sql"
	"errors"
	"strings"
	"time"

	"github.com/uptrace/bun"

	"github.com/bureau-agents/bureau/core/a2a"
	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/ports/id"
)

// PushRepo keeps push notification configurations of A2A tasks. It implements a2a.PushConfigs, a2a.PushSweeps and
// a2a.PushChanges.
type PushRepo struct{ s *Store }

var (
	_ a2a.PushConfigs = (*PushRepo)(nil)
	_ a2a.PushSweeps  = (*PushRepo)(nil)
	_ a2a.PushChanges = (*PushRepo)(nil)
)

// Pushes returns the repository of push notification configurations.
func (s *Store) Pushes() *PushRepo { return &PushRepo{s} }

const pushColumns = "tenant_id, agent_id, task_id, id, url, scheme, secrets, protocol, state, error, place, failures, next_at, created_at, updated_at, ended_at"

func scanPush(row scanner) (a2a.PushConfig, error) {
	var c a2a.PushConfig
	var protocol, state string
	var next, created, updated, ended stamp
	err := row.Scan(&c.Tenant, &c.Agent, &c.Task, &c.ID, &c.URL, &c.Scheme, &c.Sealed, &protocol, &state, &c.Error, &c.Place, &c.Failures, &next,
		&created, &updated, &ended)
	if err != nil {
		return a2a.PushConfig{}, err
	}
	c.Protocol, c.State = a2a.PushProtocol(protocol), a2a.PushState(state)
	c.NextAt, c.CreatedAt, c.UpdatedAt, c.EndedAt = next.Time(), created.Time(), updated.Time(), ended.Time()
	return c, nil
}

// lastChange is the number of the last change of a task.
const lastChange = "(SELECT coalesce(max(number), 0) FROM a2a_task_changes WHERE task_id = ?)"

// lockTask parts those who change what is told of a task from each other.
func (r *PushRepo) lockTask(ctx context.Context, task id.Turn) error {
	return r.s.lock(ctx, "a2a_push:"+task.String())
}

// Put implements a2a.PushConfigs.
func (r *PushRepo) Put(ctx context.Context, sc account.Scope, c a2a.PushConfig, most int) error {
	return r.s.write(ctx, func(ctx context.Context, db bun.IDB) error {
		if err := r.lockTask(ctx, c.Task); err != nil {
			return err
		}
		var others int
		err := db.QueryRowContext(ctx, "SELECT count(*) FROM a2a_push_configs WHERE task_id = ? AND id <> ?", c.Task, c.ID).Scan(&others)
		if err != nil {
			return mapErr(err)
		}
		if others >= most {
			return a2a.ErrTooManyPushes.Withf("the task has %d push notification configurations, which is the most", others)
		}
		// One transaction holds the task's lock, so that nobody comes in between.
		if _, err := db.ExecContext(ctx, "DELETE FROM a2a_push_configs WHERE tenant_id = ? AND task_id = ? AND id = ?", sc.Tenant, c.Task, c.ID); err != nil {
			return mapErr(err)
		}
		_, err = db.ExecContext(ctx, "INSERT INTO a2a_push_configs ("+pushColumns+") VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, "+lastChange+", ?, ?, ?, ?, ?)",
			sc.Tenant, c.Agent, c.Task, c.ID, c.URL, c.Scheme, c.Sealed, string(c.Protocol), string(c.State), c.Error, c.Task, c.Failures,
			at(c.NextAt), at(c.CreatedAt), at(c.UpdatedAt), atOrNull(c.EndedAt))
		return mapErr(err)
	})
}

// Get implements a2a.PushConfigs.
func (r *PushRepo) Get(ctx context.Context, sc account.Scope, task id.Turn, config string) (a2a.PushConfig, error) {
	c, err := scanPush(r.s.read(ctx).QueryRowContext(ctx,
		"SELECT "+pushColumns+" FROM a2a_push_configs WHERE tenant_id = ? AND task_id = ? AND id = ?", sc.Tenant, task, config))
	if errors.Is(err, sql.ErrNoRows) {
		return a2a.PushConfig{}, a2a.ErrPushNotFound
	}
	return c, mapErr(err)
}

// List implements a2a.PushConfigs.
func (r *PushRepo) List(ctx context.Context, sc account.Scope, task id.Turn) ([]a2a.PushConfig, error) {
	return queryAll(ctx, r.s.read(ctx), scanPush,
		"SELECT "+pushColumns+" FROM a2a_push_configs WHERE tenant_id = ? AND task_id = ? ORDER BY created_at, id", sc.Tenant, task)
}

// Delete implements a2a.PushConfigs.
func (r *PushRepo) Delete(ctx context.Context, sc account.Scope, task id.Turn, config string) error {
	return r.s.write(ctx, func(ctx context.Context, db bun.IDB) error {
		n, err := affected(db.ExecContext(ctx, "DELETE FROM a2a_push_configs WHERE tenant_id = ? AND task_id = ? AND id = ?", sc.Tenant, task, config))
		if err == nil && n == 0 {
			return a2a.ErrPushNotFound
		}
		return err
	})
}

// Due implements a2a.PushConfigs.
func (r *PushRepo) Due(ctx context.Context, now time.Time, limit int) ([]a2a.PushRef, error) {
	return queryAll(ctx, r.s.read(ctx), func(row scanner) (ref a2a.PushRef, err error) {
		err = row.Scan(&ref.Tenant, &ref.Task, &ref.ID)
		return ref, err
	}, `SELECT p.tenant_id, p.task_id, p.id FROM a2a_push_configs p
		WHERE p.state = 'active' AND p.next_at <= ? AND (p.lease_until IS NULL OR p.lease_until <= ?)
			AND EXISTS (SELECT 1 FROM a2a_task_changes c WHERE c.task_id = p.task_id AND c.number > p.place)
		ORDER BY p.next_at, p.task_id, p.id LIMIT ?`, at(now), at(now), limit)
}

// Lease implements a2a.PushConfigs. Who comes second waits for the row and finds it leased.
func (r *PushRepo) Lease(ctx context.Context, ref a2a.PushRef, token id.UUID, now, until time.Time) (a2a.PushConfig, bool, error) {
	var c a2a.PushConfig
	err := r.s.write(ctx, func(ctx context.Context, db bun.IDB) (err error) {
		c, err = scanPush(db.QueryRowContext(ctx, `UPDATE a2a_push_configs SET lease_token = ?, lease_until = ?
			WHERE tenant_id = ? AND task_id = ? AND id = ? AND state = 'active' AND next_at <= ? AND (lease_until IS NULL OR lease_until <= ?)
			RETURNING `+pushColumns, token.String(), at(until), ref.Tenant, ref.Task, ref.ID, at(now), at(now)))
		return err
	})
	if errors.Is(err, sql.ErrNoRows) {
		return a2a.PushConfig{}, false, nil
	}
	return c, err == nil, mapErr(err)
}

// Record implements a2a.PushConfigs.
func (r *PushRepo) Record(ctx context.Context, c a2a.PushConfig, token id.UUID, until time.Time) (bool, error) {
	var holder any
	if !until.IsZero() {
		holder = token.String()
	}
	var n int64
	err := r.s.write(ctx, func(ctx context.Context, db bun.IDB) (err error) {
		n, err = affected(db.ExecContext(ctx, `UPDATE a2a_push_configs SET state = ?, error = ?, place = ?, failures = ?, next_at = ?, updated_at = ?, ended_at = ?,
			lease_token = ?, lease_until = ? WHERE tenant_id = ? AND task_id = ? AND id = ? AND lease_token = ?`,
			string(c.State), strings.ToValidUTF8(c.Error, "\uFFFD"), c.Place, c.Failures, at(c.NextAt), at(c.UpdatedAt), atOrNull(c.EndedAt),
			holder, atOrNull(until), c.Tenant, c.Task, c.ID, token.String()))
		return err
	})
	return n > 0, err
}

// Append implements a2a.PushChanges.
func (r *PushRepo) Append(ctx context.Context, sc account.Scope, task id.Turn, all []a2a.PushChange) (bool, error) {
	wanted := false
	err := r.s.write(ctx, func(ctx context.Context, db bun.IDB) error {
		if err := r.lockTask(ctx, task); err != nil {
			return err
		}
		var last int64
		err := db.QueryRowContext(ctx, "SELECT EXISTS (SELECT 1 FROM a2a_push_configs WHERE task_id = ? AND state = 'active'), "+lastChange, task, task).
			Scan(&wanted, &last)
		if err != nil || !wanted {
			return mapErr(err)
		}
		for i, c := range all {
			_, err := db.ExecContext(ctx, `INSERT INTO a2a_task_changes (task_id, number, tenant_id, state, reason, rule, artifacts, at)
				VALUES (?, ?, ?, ?, ?, ?, ?, ?)`, task, last+1+int64(i), sc.Tenant, string(c.State), c.Reason, c.Rule, c.Artifacts, at(c.At))
			if err != nil {
				return mapErr(err)
			}
		}
		return nil
	})
	return wanted && err == nil, err
}

// Next implements a2a.PushChanges.
func (r *PushRepo) Next(ctx context.Context, task id.Turn, after int64) (a2a.PushChange, bool, error) {
	c := a2a.PushChange{Task: task}
	var state string
	var when stamp
	err := r.s.read(ctx).QueryRowContext(ctx, `SELECT number, state, reason, rule, artifacts, at FROM a2a_task_changes
		WHERE task_id = ? AND number > ? ORDER BY number LIMIT 1`, task, after).Scan(&c.Number, &state, &c.Reason, &c.Rule, &c.Artifacts, &when)
	if errors.Is(err, sql.ErrNoRows) {
		return a2a.PushChange{}, false, nil
	}
	c.State, c.At = a2a.State(state), when.Time()
	return c, err == nil, mapErr(err)
}

// Prune implements a2a.PushSweeps.
func (r *PushRepo) Prune(ctx context.Context, before time.Time, limit int) (int, error) {
	var n int64
	err := r.s.write(ctx, func(ctx context.Context, db bun.IDB) (err error) {
		n, err = affected(db.ExecContext(ctx, `DELETE FROM a2a_push_configs WHERE (task_id, id) IN (SELECT p.task_id, p.id FROM a2a_push_configs p
			WHERE p.ended_at < ? OR NOT EXISTS (SELECT 1 FROM a2a_tasks t WHERE t.id = p.task_id) LIMIT ?)`, at(before), limit))
		if err != nil {
			return err
		}
		_, err = db.ExecContext(ctx, `DELETE FROM a2a_task_changes WHERE (task_id, number) IN (SELECT c.task_id, c.number FROM a2a_task_changes c
			WHERE NOT EXISTS (SELECT 1 FROM a2a_push_configs p WHERE p.task_id = c.task_id) LIMIT ?)`, limit)
		return mapErr(err)
	})
	return int(n), err
}

// Forget implements a2a.PushSweeps.
func (r *PushRepo) Forget(ctx context.Context, sc account.Scope, agent id.Agent) error {
	return r.s.write(ctx, func(ctx context.Context, db bun.IDB) error {
		_, err := db.ExecContext(ctx, `DELETE FROM a2a_task_changes WHERE task_id IN
			(SELECT task_id FROM a2a_push_configs WHERE tenant_id = ? AND agent_id = ?)`, sc.Tenant, agent)
		if err != nil {
			return mapErr(err)
		}
		_, err = db.ExecContext(ctx, "DELETE FROM a2a_push_configs WHERE tenant_id = ? AND agent_id = ?", sc.Tenant, agent)
		return mapErr(err)
	})
}
