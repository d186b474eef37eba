package bunstore

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"

	"github.com/uptrace/bun"

	"github.com/bureau-agents/bureau/core/a2a"
	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/page"
)

// A2ARepo keeps the tasks of A2A peers. It implements a2a.Peers.
type A2ARepo struct{ s *Store }

// A2ATaskRepo keeps tasks. It implements a2a.Tasks.
type A2ATaskRepo struct{ s *Store }

var (
	_ a2a.Peers    = (*A2ARepo)(nil)
	_ a2a.Messages = a2aMessages{}
	_ a2a.Tasks    = (*A2ATaskRepo)(nil)
)

// A2A returns the repository of A2A peers.
func (s *Store) A2A() *A2ARepo { return &A2ARepo{s} }

// A2ATasks returns the repository of A2A tasks.
func (s *Store) A2ATasks() *A2ATaskRepo { return &A2ATaskRepo{s} }

// A2AMessages returns the repository of what A2A peers said.
func (s *Store) A2AMessages() a2a.Messages { return a2aMessages{s} }

// ofPeer chooses what is a peer's.
const ofPeer = "tenant_id = ? AND agent_id = ? AND key_id = ?"

func peerArgs(sc account.Scope, who a2a.Who) []any { return []any{sc.Tenant, who.Agent, who.Key} }

// Lock implements a2a.Peers.
func (r *A2ARepo) Lock(ctx context.Context, sc account.Scope, p a2a.Peer) (a2a.Peer, error) {
	out := a2a.Peer{Who: p.Who}
	err := r.s.write(ctx, func(ctx context.Context, db bun.IDB) error {
		_, err := db.ExecContext(ctx, `INSERT INTO a2a_peers (tenant_id, agent_id, key_id, store_id, created_at) VALUES (?, ?, ?, ?, ?)
			ON CONFLICT DO NOTHING`, append(peerArgs(sc, p.Who), p.Store, at(p.CreatedAt))...)
		if err != nil {
			return mapErr(err)
		}
		var created stamp
		err = db.QueryRowContext(ctx, "SELECT store_id, created_at FROM a2a_peers WHERE "+ofPeer+r.s.forUpdate(), peerArgs(sc, p.Who)...).
			Scan(&out.Store, &created)
		out.CreatedAt = created.Time()
		if errors.Is(err, sql.ErrNoRows) { // removed at this moment, with the agent
			return id.NotFound[id.AgentKind](p.Agent.String())
		}
		return mapErr(err)
	})
	return out, err
}

// Save implements a2a.Peers.
func (r *A2ARepo) Save(ctx context.Context, sc account.Scope, p a2a.Peer) error {
	return r.s.write(ctx, func(ctx context.Context, db bun.IDB) error {
		_, err := db.ExecContext(ctx, "UPDATE a2a_peers SET store_id = ? WHERE "+ofPeer, append([]any{p.Store}, peerArgs(sc, p.Who)...)...)
		return mapErr(err)
	})
}

// RemoveAll implements a2a.Peers.
func (r *A2ARepo) RemoveAll(ctx context.Context, sc account.Scope, of id.Agent) (stores []id.MemoryStore, err error) {
	err = r.s.write(ctx, func(ctx context.Context, db bun.IDB) error {
		stores, err = queryAll(ctx, db, func(row scanner) (v id.MemoryStore, err error) { return v, row.Scan(&v) },
			"SELECT store_id FROM a2a_peers WHERE tenant_id = ? AND agent_id = ?", sc.Tenant, of)
		if err != nil {
			return err
		}
		for _, table := range []string{"a2a_outputs", "a2a_messages", "a2a_tasks", "a2a_contexts", "a2a_peers"} {
			if _, err := db.ExecContext(ctx, "DELETE FROM "+table+" WHERE tenant_id = ? AND agent_id = ?", sc.Tenant, of); err != nil {
				return mapErr(err)
			}
		}
		return nil
	})
	return stores, err
}

// Session implements a2a.Peers.
func (r *A2ARepo) Session(ctx context.Context, sc account.Scope, who a2a.Who, name string) (id.Session, bool, error) {
	var v id.Session
	err := r.s.read(ctx).QueryRowContext(ctx, "SELECT session_id FROM a2a_contexts WHERE "+ofPeer+" AND name = ?",
		append(peerArgs(sc, who), name)...).Scan(&v)
	if errors.Is(err, sql.ErrNoRows) {
		return v, false, nil
	}
	return v, err == nil, mapErr(err)
}

// SetSession implements a2a.Peers.
func (r *A2ARepo) SetSession(ctx context.Context, sc account.Scope, who a2a.Who, name string, session id.Session) error {
	return r.s.write(ctx, func(ctx context.Context, db bun.IDB) error {
		_, err := db.ExecContext(ctx, `INSERT INTO a2a_contexts (tenant_id, agent_id, key_id, name, session_id) VALUES (?, ?, ?, ?, ?)
			ON CONFLICT (tenant_id, agent_id, key_id, name) DO UPDATE SET session_id = excluded.session_id`,
			append(peerArgs(sc, who), name, session)...)
		return mapErr(err)
	})
}

const a2aTaskColumns = `id, agent_id, key_id, context, session_id, event_id, state, reason, rule, first_seq, last_seq, metadata, created_at,
	updated_at`

func scanA2ATask(row scanner) (a2a.Task, error) {
	var t a2a.Task
	var state string
	var metadata []byte
	var created, updated stamp
	err := row.Scan(&t.ID, &t.Agent, &t.Key, &t.Context, &t.Session, &t.Event, &state, &t.Reason, &t.Rule, &t.FirstSeq, &t.LastSeq, &metadata,
		&created, &updated)
	t.State, t.Metadata, t.CreatedAt, t.UpdatedAt = a2a.State(state), metadata, created.Time(), updated.Time()
	return t, err
}

// jsonText is a JSON text as a column has it: NULL when there is none.
func jsonText(raw json.RawMessage) any {
	if raw == nil {
		return nil
	}
	return string(raw)
}

// Insert implements a2a.Tasks.
func (r *A2ATaskRepo) Insert(ctx context.Context, sc account.Scope, t a2a.Task) error {
	return r.s.write(ctx, func(ctx context.Context, db bun.IDB) error {
		_, err := db.ExecContext(ctx, "INSERT INTO a2a_tasks (tenant_id, "+a2aTaskColumns+") VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
			sc.Tenant, t.ID, t.Agent, t.Key, t.Context, t.Session, t.Event, string(t.State), t.Reason, t.Rule, t.FirstSeq, t.LastSeq,
			jsonText(t.Metadata), at(t.CreatedAt), at(t.UpdatedAt))
		return mapErr(err)
	})
}

// taskAlive says that a task's session was not deleted.
const taskAlive = "NOT EXISTS (SELECT 1 FROM sessions WHERE sessions.id = a2a_tasks.session_id AND sessions.deleted_at IS NOT NULL)"

// Get implements a2a.Tasks.
func (r *A2ATaskRepo) Get(ctx context.Context, sc account.Scope, task id.Turn) (a2a.Task, error) {
	t, err := scanA2ATask(r.s.read(ctx).QueryRowContext(ctx,
		"SELECT "+a2aTaskColumns+" FROM a2a_tasks WHERE id = ? AND tenant_id = ? AND "+taskAlive, task, sc.Tenant))
	if errors.Is(err, sql.ErrNoRows) {
		return a2a.Task{}, id.NotFound[id.TurnKind](task.String())
	}
	return t, mapErr(err)
}

// Move implements a2a.Tasks.
func (r *A2ATaskRepo) Move(ctx context.Context, sc account.Scope, t a2a.Task) (out a2a.Task, moved bool, err error) {
	err = r.s.write(ctx, func(ctx context.Context, db bun.IDB) error {
		out, err = scanA2ATask(db.QueryRowContext(ctx, `UPDATE a2a_tasks SET state = ?, reason = ?, rule = ?, updated_at = ?,
			first_seq = CASE WHEN ? > 0 THEN ? ELSE first_seq END, last_seq = CASE WHEN ? > 0 THEN ? ELSE last_seq END
			WHERE id = ? AND tenant_id = ? AND state IN ('submitted', 'working', 'input-required') RETURNING `+a2aTaskColumns,
			string(t.State), t.Reason, t.Rule, at(t.UpdatedAt), t.FirstSeq, t.FirstSeq, t.LastSeq, t.LastSeq, t.ID, sc.Tenant))
		if errors.Is(err, sql.ErrNoRows) {
			moved = false
			return nil
		}
		moved = err == nil
		return mapErr(err)
	})
	return out, moved, err
}

// List implements a2a.Tasks.
func (r *A2ATaskRepo) List(ctx context.Context, sc account.Scope, q a2a.Query) (page.Page[a2a.Task], error) {
	w := newWhere(ofPeer, peerArgs(sc, q.Who)...)
	if q.Context != "" {
		w.and("context = ?", q.Context)
	}
	if q.State != "" {
		w.and("state = ?", string(q.State))
	}
	if !q.Since.IsZero() {
		w.and("updated_at >= ?", at(q.Since))
	}
	w.and(taskAlive)
	total := 0
	if q.Count {
		err := r.s.read(ctx).QueryRowContext(ctx, "SELECT COUNT(*) FROM a2a_tasks WHERE "+w.sql(), w.args...).Scan(&total)
		if err != nil {
			return page.Page[a2a.Task]{}, mapErr(err)
		}
	}
	if q.Cursor != "" {
		when, last, err := decodeTimeIDCursor[id.TurnKind](q.Cursor)
		if err != nil {
			return page.Page[a2a.Task]{}, err
		}
		w.and("(updated_at, id) < (?, ?)", when, last)
	}
	size := q.Size()
	all, err := queryAll(ctx, r.s.read(ctx), scanA2ATask, "SELECT "+a2aTaskColumns+" FROM a2a_tasks WHERE "+w.sql()+
		" ORDER BY updated_at DESC, id DESC LIMIT ?", append(w.args, size+1)...)
	if err != nil {
		return page.Page[a2a.Task]{}, err
	}
	out := page.Page[a2a.Task]{Items: all, Total: total}
	if len(all) > size {
		out.Items = all[:size]
		out.Next = encodeCursor(at(all[size-1].UpdatedAt).String(), all[size-1].ID.String())
	}
	return out, nil
}

// OfAgent implements a2a.Tasks.
func (r *A2ATaskRepo) OfAgent(ctx context.Context, sc account.Scope, q a2a.AgentQuery) (page.Page[a2a.Task], error) {
	w := newWhere("tenant_id = ? AND agent_id = ?", sc.Tenant, q.Agent)
	if !q.Key.IsZero() {
		w.and("key_id = ?", q.Key)
	}
	if q.Context != "" {
		w.and("context = ?", nulless(q.Context))
	}
	if q.State != "" {
		w.and("state = ?", string(q.State))
	}
	w.and(taskAlive)
	if q.Cursor != "" {
		before, err := decodeIDCursor[id.TurnKind](q.Cursor)
		if err != nil {
			return page.Page[a2a.Task]{}, err
		}
		w.and("id < ?", before)
	}
	all, err := queryAll(ctx, r.s.read(ctx), scanA2ATask, "SELECT "+a2aTaskColumns+" FROM a2a_tasks WHERE "+w.sql()+" ORDER BY id DESC LIMIT ?",
		append(w.args, q.Size()+1)...)
	if err != nil {
		return page.Page[a2a.Task]{}, err
	}
	out := page.Page[a2a.Task]{Items: all}
	if size := q.Size(); len(all) > size {
		out.Items, out.Next = all[:size], encodeCursor(all[size-1].ID.String())
	}
	return out, nil
}

type a2aMessages struct{ s *Store }

const a2aMessageColumns = "agent_id, key_id, name, task_id, digest, body, created_at"

func scanA2AMessage(row scanner) (a2a.Stored, error) {
	var m a2a.Stored
	var body []byte
	var created stamp
	err := row.Scan(&m.Agent, &m.Key, &m.Name, &m.Task, &m.Digest, &body, &created)
	m.Body, m.CreatedAt = body, created.Time()
	return m, err
}

// Find implements a2a.Messages.
func (r a2aMessages) Find(ctx context.Context, sc account.Scope, who a2a.Who, name string) (a2a.Stored, bool, error) {
	m, err := scanA2AMessage(r.s.read(ctx).QueryRowContext(ctx, "SELECT "+a2aMessageColumns+" FROM a2a_messages WHERE "+ofPeer+" AND name = ?",
		append(peerArgs(sc, who), name)...))
	if errors.Is(err, sql.ErrNoRows) {
		return a2a.Stored{}, false, nil
	}
	return m, err == nil, mapErr(err)
}

// Insert implements a2a.Messages.
func (r a2aMessages) Insert(ctx context.Context, sc account.Scope, m a2a.Stored) (added bool, err error) {
	err = r.s.write(ctx, func(ctx context.Context, db bun.IDB) error {
		n, err := affected(db.ExecContext(ctx, "INSERT INTO a2a_messages (tenant_id, "+a2aMessageColumns+
			") VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
			append(peerArgs(sc, m.Who), m.Name, m.Task, m.Digest, string(m.Body), at(m.CreatedAt))...))
		added = n > 0
		return err
	})
	return added, err
}

// Of implements a2a.Messages.
func (r a2aMessages) Of(ctx context.Context, sc account.Scope, tasks []id.Turn) ([]a2a.Stored, error) {
	if len(tasks) == 0 {
		return nil, nil
	}
	return queryAll(ctx, r.s.read(ctx), scanA2AMessage, "SELECT "+a2aMessageColumns+
		" FROM a2a_messages WHERE task_id IN (?) AND tenant_id = ? ORDER BY created_at, name", bun.List(tasks), sc.Tenant)
}
