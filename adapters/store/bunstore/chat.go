package bunstore

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/uptrace/bun"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/chat"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/page"
)

// The repositories of core/chat.
type (
	// ChatPeerRepo keeps whom agents talk to. It implements chat.Peers.
	ChatPeerRepo struct{ s *Store }
	// ChatSessionRepo keeps which conversations there are. It implements chat.Sessions.
	ChatSessionRepo struct{ s *Store }
	// ChatRequestRepo keeps messages with names of their own. It implements chat.Requests and chat.Connections.
	ChatRequestRepo struct{ s *Store }
)

var (
	_ chat.Peers       = (*ChatPeerRepo)(nil)
	_ chat.Sessions    = (*ChatSessionRepo)(nil)
	_ chat.Requests    = (*ChatRequestRepo)(nil)
	_ chat.Connections = (*ChatRequestRepo)(nil)
)

// ChatPeers returns the repository of whom agents talk to.
func (s *Store) ChatPeers() *ChatPeerRepo { return &ChatPeerRepo{s} }

// ChatSessions returns the repository of conversations.
func (s *Store) ChatSessions() *ChatSessionRepo { return &ChatSessionRepo{s} }

// ChatRequests returns the repository of messages with names of their own.
func (s *Store) ChatRequests() *ChatRequestRepo { return &ChatRequestRepo{s} }

// whoIs chooses somebody by the columns of their key.
const whoIs = "tenant_id = ? AND agent_id = ? AND channel = ? AND kind = ? AND peer = ?"

func whoArgs(sc account.Scope, w chat.Who) []any {
	return []any{sc.Tenant, w.Agent, string(w.Channel), string(w.Kind), w.Name}
}

const chatPeerColumns = "agent_id, channel, kind, peer, store_id, session_id, created_at"

func scanChatPeer(row scanner) (chat.Peer, error) {
	var v chat.Peer
	var channel, kind string
	var created stamp
	err := row.Scan(&v.Agent, &channel, &kind, &v.Name, &v.Store, &v.Session, &created)
	v.Channel, v.Kind, v.CreatedAt = chat.Channel(channel), chat.Kind(kind), created.Time()
	return v, err
}

// Find implements chat.Peers.
func (r *ChatPeerRepo) Find(ctx context.Context, sc account.Scope, who chat.Who) (chat.Peer, bool, error) {
	return r.find(ctx, r.s.read(ctx), sc, who, "")
}

func (r *ChatPeerRepo) find(ctx context.Context, db bun.IDB, sc account.Scope, who chat.Who, lock string) (chat.Peer, bool, error) {
	v, err := scanChatPeer(db.QueryRowContext(ctx, "SELECT "+chatPeerColumns+" FROM chat_peers WHERE "+whoIs+lock, whoArgs(sc, who)...))
	if errors.Is(err, sql.ErrNoRows) {
		return chat.Peer{}, false, nil
	}
	return v, err == nil, mapErr(err)
}

// Lock implements chat.Peers.
func (r *ChatPeerRepo) Lock(ctx context.Context, sc account.Scope, p chat.Peer) (out chat.Peer, err error) {
	err = r.s.write(ctx, func(ctx context.Context, db bun.IDB) error {
		args := append(whoArgs(sc, p.Who), p.Store, p.Session, at(p.CreatedAt))
		_, err := db.ExecContext(ctx, `INSERT INTO chat_peers (tenant_id, agent_id, channel, kind, peer, store_id, session_id, created_at)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`, args...)
		if err != nil {
			return mapErr(err)
		}
		var there bool
		if out, there, err = r.find(ctx, db, sc, p.Who, r.s.forUpdate()); err == nil && !there {
			err = chat.ErrNoPeer // removed at this moment
		}
		return err
	})
	return out, err
}

// Save implements chat.Peers.
func (r *ChatPeerRepo) Save(ctx context.Context, sc account.Scope, p chat.Peer) error {
	return r.s.write(ctx, func(ctx context.Context, db bun.IDB) error {
		n, err := affected(db.ExecContext(ctx, "UPDATE chat_peers SET store_id = ?, session_id = ? WHERE "+whoIs,
			append([]any{p.Store, p.Session}, whoArgs(sc, p.Who)...)...))
		if err == nil && n == 0 {
			return chat.ErrNoPeer
		}
		return err
	})
}

// List implements chat.Peers.
func (r *ChatPeerRepo) List(ctx context.Context, sc account.Scope, of id.Agent, req page.Request) (page.Page[chat.Peer], error) {
	w := newWhere("tenant_id = ? AND agent_id = ?", sc.Tenant, of)
	if req.Cursor != "" {
		when, last, err := decodeTimeIDCursor[id.MemoryStoreKind](req.Cursor)
		if err != nil {
			return page.Page[chat.Peer]{}, err
		}
		w.and("(created_at, store_id) < (?, ?)", when, last)
	}
	size := req.Size()
	all, err := queryAll(ctx, r.s.read(ctx), scanChatPeer, "SELECT "+chatPeerColumns+" FROM chat_peers WHERE "+w.sql()+
		" ORDER BY created_at DESC, store_id DESC LIMIT ?", append(w.args, size+1)...)
	if err != nil {
		return page.Page[chat.Peer]{}, err
	}
	out := page.Page[chat.Peer]{Items: all}
	if len(all) > size {
		out.Items = all[:size]
		out.Next = encodeCursor(at(all[size-1].CreatedAt).String(), all[size-1].Store.String())
	}
	return out, nil
}

// Remove implements chat.Peers.
func (r *ChatPeerRepo) Remove(ctx context.Context, sc account.Scope, who chat.Who) error {
	return r.s.write(ctx, func(ctx context.Context, db bun.IDB) error {
		for _, table := range []string{"chat_requests", "chat_sessions", "chat_peers"} {
			if _, err := db.ExecContext(ctx, "DELETE FROM "+table+" WHERE "+whoIs, whoArgs(sc, who)...); err != nil {
				return mapErr(err)
			}
		}
		return nil
	})
}

// RemoveAll implements chat.Peers.
func (r *ChatPeerRepo) RemoveAll(ctx context.Context, sc account.Scope, of id.Agent) (stores []id.MemoryStore, err error) {
	err = r.s.write(ctx, func(ctx context.Context, db bun.IDB) error {
		stores, err = queryAll(ctx, db, func(row scanner) (v id.MemoryStore, err error) { return v, row.Scan(&v) },
			"SELECT store_id FROM chat_peers WHERE tenant_id = ? AND agent_id = ?", sc.Tenant, of)
		if err != nil {
			return err
		}
		for _, table := range []string{"chat_requests", "chat_sessions", "chat_peers", "chat_channels"} {
			if _, err := db.ExecContext(ctx, "DELETE FROM "+table+" WHERE tenant_id = ? AND agent_id = ?", sc.Tenant, of); err != nil {
				return mapErr(err)
			}
		}
		return nil
	})
	return stores, err
}

const chatSessionColumns = "c.session_id, c.agent_id, c.channel, c.kind, c.peer, c.name, c.started_at"

func scanChatSession(row scanner) (chat.Session, error) {
	var v chat.Session
	var channel, kind string
	var started stamp
	err := row.Scan(&v.ID, &v.Who.Agent, &channel, &kind, &v.Who.Name, &v.Name, &started)
	v.Who.Channel, v.Who.Kind, v.StartedAt = chat.Channel(channel), chat.Kind(kind), started.Time()
	return v, err
}

// chatSessions joins sessions of chats with their rows that are not deleted.
const chatSessions = " FROM chat_sessions c JOIN sessions s ON s.id = c.session_id AND s.deleted_at IS NULL WHERE "

// Add implements chat.Sessions.
func (r *ChatSessionRepo) Add(ctx context.Context, sc account.Scope, v chat.Session) error {
	return r.s.write(ctx, func(ctx context.Context, db bun.IDB) error {
		_, err := db.ExecContext(ctx, `INSERT INTO chat_sessions (tenant_id, agent_id, channel, kind, peer, session_id, name, started_at)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?)`, append(whoArgs(sc, v.Who), v.ID, v.Name, at(v.StartedAt))...)
		return mapErr(err)
	})
}

// Get implements chat.Sessions.
func (r *ChatSessionRepo) Get(ctx context.Context, sc account.Scope, of id.Agent, sessionID id.Session) (chat.Session, error) {
	v, err := scanChatSession(r.s.read(ctx).QueryRowContext(ctx, "SELECT "+chatSessionColumns+chatSessions+
		"c.session_id = ? AND c.tenant_id = ? AND c.agent_id = ?", sessionID, sc.Tenant, of))
	return v, sessionErrOrNil(err, sessionID)
}

func sessionErrOrNil(err error, sessionID id.Session) error {
	if err == nil {
		return nil
	}
	return sessionErr(err, sessionID)
}

// chatWho chooses the conversations of an agent, or of one of those whom it talks to; t is the table's name.
func chatWho(sc account.Scope, of id.Agent, who *chat.Who) *where {
	w := newWhere("c.tenant_id = ? AND c.agent_id = ?", sc.Tenant, of)
	if who != nil {
		w.and("c.channel = ? AND c.kind = ? AND c.peer = ?", string(who.Channel), string(who.Kind), who.Name)
	}
	return w
}

// List implements chat.Sessions.
func (r *ChatSessionRepo) List(ctx context.Context, sc account.Scope, q chat.SessionQuery) (page.Page[chat.Session], error) {
	w := chatWho(sc, q.Agent, q.Who)
	var out page.Page[chat.Session]
	if q.Count {
		err := r.s.read(ctx).QueryRowContext(ctx, "SELECT COUNT(*)"+chatSessions+w.sql(), w.args...).Scan(&out.Total)
		if err != nil {
			return out, mapErr(err)
		}
	}
	if q.Cursor != "" {
		when, last, err := decodeTimeIDCursor[id.SessionKind](q.Cursor)
		if err != nil {
			return out, err
		}
		w.and("(c.started_at, c.session_id) < (?, ?)", when, last)
	}
	size := q.Size()
	all, err := queryAll(ctx, r.s.read(ctx), scanChatSession, "SELECT "+chatSessionColumns+chatSessions+w.sql()+
		" ORDER BY c.started_at DESC, c.session_id DESC LIMIT ?", append(w.args, size+1)...)
	if err != nil {
		return out, err
	}
	if out.Items = all; len(all) > size {
		out.Items = all[:size]
		out.Next = encodeCursor(at(all[size-1].StartedAt).String(), all[size-1].ID.String())
	}
	return out, nil
}

// Of implements chat.Sessions.
func (r *ChatSessionRepo) Of(ctx context.Context, sc account.Scope, who chat.Who) (all []id.Session, alive map[id.Session]bool, err error) {
	alive = map[id.Session]bool{}
	all, err = queryAll(ctx, r.s.read(ctx), func(row scanner) (v id.Session, err error) {
		var there bool
		if err = row.Scan(&v, &there); err == nil && there {
			alive[v] = true
		}
		return v, err
	}, "SELECT c.session_id, EXISTS (SELECT 1 FROM sessions s WHERE s.id = c.session_id AND s.deleted_at IS NULL) FROM chat_sessions c WHERE "+
		whoIs+" ORDER BY started_at, session_id", whoArgs(sc, who)...)
	return all, alive, err
}

const chatRequestColumns = "agent_id, channel, kind, peer, name, digest, reply_to, session_id, event_id, after_seq, told, created_at, done_at"

func scanChatRequest(row scanner) (chat.Request, error) {
	var v chat.Request
	var channel, kind string
	var created, done stamp
	err := row.Scan(&v.Agent, &channel, &kind, &v.Name, &v.Key, &v.Digest, &v.ReplyTo, &v.Session, &v.Event, &v.AfterSeq, &v.Told, &created, &done)
	v.Channel, v.Kind, v.CreatedAt, v.DoneAt = chat.Channel(channel), chat.Kind(kind), created.Time(), done.timeOrNil()
	return v, err
}

// Find implements chat.Requests.
func (r *ChatRequestRepo) Find(ctx context.Context, sc account.Scope, of id.Agent, channel chat.Channel, key string) (chat.Request, bool, error) {
	v, err := scanChatRequest(r.s.read(ctx).QueryRowContext(ctx, "SELECT "+chatRequestColumns+
		" FROM chat_requests WHERE tenant_id = ? AND agent_id = ? AND channel = ? AND name = ?", sc.Tenant, of, string(channel), key))
	if errors.Is(err, sql.ErrNoRows) {
		return chat.Request{}, false, nil
	}
	return v, err == nil, mapErr(err)
}

// Insert implements chat.Requests.
func (r *ChatRequestRepo) Insert(ctx context.Context, sc account.Scope, v chat.Request) (added bool, err error) {
	err = r.s.write(ctx, func(ctx context.Context, db bun.IDB) error {
		n, err := affected(db.ExecContext(ctx, `INSERT INTO chat_requests
			(tenant_id, agent_id, channel, kind, peer, name, digest, reply_to, session_id, event_id, after_seq, told, created_at)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`,
			append(whoArgs(sc, v.Who), v.Key, v.Digest, v.ReplyTo, v.Session, v.Event, v.AfterSeq, v.Told, at(v.CreatedAt))...))
		added = n > 0
		return err
	})
	return added, err
}

// Tell implements chat.Requests.
func (r *ChatRequestRepo) Tell(ctx context.Context, sc account.Scope, v chat.Request) error {
	var done stamp
	if v.DoneAt != nil {
		done = at(*v.DoneAt)
	}
	return r.s.write(ctx, func(ctx context.Context, db bun.IDB) error {
		_, err := db.ExecContext(ctx, "UPDATE chat_requests SET told = ?, done_at = ? WHERE tenant_id = ? AND agent_id = ? AND channel = ? AND name = ?",
			v.Told, done, sc.Tenant, v.Agent, string(v.Channel), v.Key)
		return mapErr(err)
	})
}

// Open implements chat.Requests.
func (r *ChatRequestRepo) Open(ctx context.Context, sc account.Scope, of id.Agent) ([]chat.Request, error) {
	return queryAll(ctx, r.s.read(ctx), scanChatRequest, "SELECT "+chatRequestColumns+" FROM chat_requests WHERE tenant_id = ? AND agent_id = ? "+
		"AND done_at IS NULL AND channel <> ? ORDER BY created_at, name", sc.Tenant, of, string(chat.API))
}

// Prune implements chat.Requests.
func (r *ChatRequestRepo) Prune(ctx context.Context, before time.Time, limit int) (n int, err error) {
	err = r.s.write(ctx, func(ctx context.Context, db bun.IDB) error {
		gone, err := affected(db.ExecContext(ctx, `DELETE FROM chat_requests WHERE (tenant_id, agent_id, channel, name) IN (
			SELECT tenant_id, agent_id, channel, name FROM chat_requests WHERE created_at < ? AND (done_at IS NOT NULL OR channel = ?)
			ORDER BY created_at LIMIT ?)`, at(before), string(chat.API), limit))
		n = int(gone)
		return err
	})
	return n, err
}

// SetProblem implements chat.Connections.
func (r *ChatRequestRepo) SetProblem(ctx context.Context, sc account.Scope, of id.Agent, channel chat.Channel, problem string) error {
	return r.s.write(ctx, func(ctx context.Context, db bun.IDB) error {
		_, err := db.ExecContext(ctx, `INSERT INTO chat_channels (tenant_id, agent_id, channel, error) VALUES (?, ?, ?, ?)
			ON CONFLICT (tenant_id, agent_id, channel) DO UPDATE SET error = excluded.error`, sc.Tenant, of, string(channel), problem)
		return mapErr(err)
	})
}

// Problems implements chat.Connections.
func (r *ChatRequestRepo) Problems(ctx context.Context, sc account.Scope, of id.Agent) (map[chat.Channel]string, error) {
	out := map[chat.Channel]string{}
	_, err := queryAll(ctx, r.s.read(ctx), func(row scanner) (_ struct{}, err error) {
		var channel, problem string
		err = row.Scan(&channel, &problem)
		out[chat.Channel(channel)] = problem
		return struct{}{}, err
	}, "SELECT channel, error FROM chat_channels WHERE tenant_id = ? AND agent_id = ?", sc.Tenant, of)
	return out, err
}
