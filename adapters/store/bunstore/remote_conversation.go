package bunstore

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/uptrace/bun"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/remote"
	"github.com/bureau-agents/bureau/ports/id"
)

// RemoteConversations keeps conversations with remote agents. It implements remote.Conversations.
type RemoteConversations struct{ s *Store }

var _ remote.Conversations = (*RemoteConversations)(nil)

// RemoteConversations returns the repository of conversations with remote agents.
func (s *Store) RemoteConversations() *RemoteConversations { return &RemoteConversations{s} }

// Load implements remote.Conversations.
func (r *RemoteConversations) Load(ctx context.Context, sc account.Scope, of id.Agent, name string) (remote.Conversation, bool, error) {
	var c remote.Conversation
	var used stamp
	err := r.s.read(ctx).QueryRowContext(ctx,
		"SELECT context, task, waiting, used_at FROM remote_conversations WHERE tenant_id = ? AND agent_id = ? AND name = ?",
		sc.Tenant, of, name).Scan(&c.Context, &c.Task, &c.Waiting, &used)
	if errors.Is(err, sql.ErrNoRows) {
		return remote.Conversation{}, false, nil
	}
	c.UsedAt = used.Time()
	return c, err == nil, mapErr(err)
}

// Save implements remote.Conversations.
func (r *RemoteConversations) Save(ctx context.Context, sc account.Scope, of id.Agent, name string, c remote.Conversation) error {
	return r.s.write(ctx, func(ctx context.Context, db bun.IDB) error {
		_, err := db.ExecContext(ctx, `INSERT INTO remote_conversations (tenant_id, agent_id, name, context, task, waiting, used_at)
			VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (tenant_id, agent_id, name)
			DO UPDATE SET context = excluded.context, task = excluded.task, waiting = excluded.waiting, used_at = excluded.used_at`,
			sc.Tenant, of, name, c.Context, c.Task, c.Waiting, at(c.UsedAt))
		return mapErr(err)
	})
}

// Forget implements remote.Conversations.
func (r *RemoteConversations) Forget(ctx context.Context, sc account.Scope, of id.Agent) error {
	return r.s.write(ctx, func(ctx context.Context, db bun.IDB) error {
		_, err := db.ExecContext(ctx, "DELETE FROM remote_conversations WHERE tenant_id = ? AND agent_id = ?", sc.Tenant, of)
		return mapErr(err)
	})
}

// Prune implements remote.Conversations.
func (r *RemoteConversations) Prune(ctx context.Context, before time.Time, limit int) (int, error) {
	var n int64
	err := r.s.write(ctx, func(ctx context.Context, db bun.IDB) (err error) {
		n, err = affected(db.ExecContext(ctx, `DELETE FROM remote_conversations WHERE (tenant_id, agent_id, name) IN
			(SELECT tenant_id, agent_id, name FROM remote_conversations WHERE used_at < ? ORDER BY used_at LIMIT ?)`, at(before), limit))
		return err
	})
	return int(n), err
}
