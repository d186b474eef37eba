package bunstore

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/uptrace/bun"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/telemetry"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/page"
)

// AgentMessageRepo keeps what agents tell each other. It implements telemetry.MessageRepository.
type AgentMessageRepo struct{ s *Store }

var _ telemetry.MessageRepository = (*AgentMessageRepo)(nil)

// AgentMessages returns the repository of messages between agents.
func (s *Store) AgentMessages() *AgentMessageRepo { return &AgentMessageRepo{s} }

const agentMessageColumns = "id, sender_id, receiver_id, message_type, trace_id, payload, at"

func scanAgentMessage(tenant id.Tenant) func(scanner) (telemetry.Message, error) {
	return func(row scanner) (telemetry.Message, error) {
		m := telemetry.Message{Tenant: tenant}
		var payload sql.NullString
		var when stamp
		err := row.Scan(&m.ID, &m.Sender, &m.Receiver, &m.Type, &m.TraceID, &payload, &when)
		m.Payload, m.At = rawText(payload), when.Time()
		return m, err
	}
}

// InsertMessage implements telemetry.MessageRepository.
func (r *AgentMessageRepo) InsertMessage(ctx context.Context, sc account.Scope, m telemetry.Message) error {
	return r.s.write(ctx, func(ctx context.Context, db bun.IDB) error {
		_, err := db.ExecContext(ctx, `INSERT INTO agent_messages (tenant_id, id, sender_id, receiver_id, message_type, trace_id, payload, at)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?)`, sc.Tenant, m.ID, m.Sender, m.Receiver, m.Type, m.TraceID, nullText(m.Payload), at(m.At))
		return mapErr(err)
	})
}

// Message implements telemetry.MessageRepository.
func (r *AgentMessageRepo) Message(ctx context.Context, sc account.Scope, message id.AgentMessage) (telemetry.Message, error) {
	m, err := scanAgentMessage(sc.Tenant)(r.s.read(ctx).QueryRowContext(ctx,
		"SELECT "+agentMessageColumns+" FROM agent_messages WHERE tenant_id = ? AND id = ?", sc.Tenant, message))
	if errors.Is(err, sql.ErrNoRows) {
		return telemetry.Message{}, id.NotFound[id.AgentMessageKind](message.String())
	}
	return m, mapErr(err)
}

// agentMessageSides returns the conditions of a filter: one, or one for each side on which an agent may be, which have no message in common.
// Each of them is answered from an index of that side, which one condition for both would not be.
func agentMessageSides(sc account.Scope, f telemetry.MessageFilter) []*where {
	one := func() *where {
		w := newWhere("tenant_id = ?", sc.Tenant)
		if !f.Sender.IsZero() {
			w.and("sender_id = ?", f.Sender)
		}
		if !f.Receiver.IsZero() {
			w.and("receiver_id = ?", f.Receiver)
		}
		if f.Type != "" {
			w.and("message_type = ?", f.Type)
		}
		if f.TraceID != "" {
			w.and("trace_id <> '' AND trace_id = ?", f.TraceID)
		}
		w.period(f.Since, f.Until)
		return w
	}
	switch w := one(); {
	case f.Agent.IsZero():
		return []*where{w}
	case !f.Sender.IsZero() || !f.Receiver.IsZero():
		w.and("(sender_id = ? OR receiver_id = ?)", f.Agent, f.Agent)
		return []*where{w}
	}
	sent, got := one(), one()
	sent.and("sender_id = ?", f.Agent)
	got.and("receiver_id = ? AND sender_id <> ?", f.Agent, f.Agent)
	return []*where{sent, got}
}

// period limits the column at.
func (w *where) period(since, until time.Time) {
	if !since.IsZero() {
		w.and("at >= ?", at(since))
	}
	if !until.IsZero() {
		w.and("at < ?", at(until))
	}
}

// Messages implements telemetry.MessageRepository.
func (r *AgentMessageRepo) Messages(
	ctx context.Context, sc account.Scope, f telemetry.MessageFilter, req page.Request,
) (page.Page[telemetry.Message], error) {
	sides := agentMessageSides(sc, f)
	total := 0
	for _, w := range sides {
		n, err := r.s.total(ctx, req, "agent_messages", w.sql(), w.args...)
		if err != nil {
			return page.Page[telemetry.Message]{}, err
		}
		total += n
	}
	offset := max(req.Offset, 0)
	q, args := "", []any(nil)
	for i, w := range sides {
		if req.Cursor != "" {
			when, before, err := decodeTimeIDCursor[id.AgentMessageKind](req.Cursor)
			if err != nil {
				return page.Page[telemetry.Message]{}, err
			}
			w.and("(at, id) < (?, ?)", when, before)
		}
		if i > 0 {
			q += " UNION ALL "
		}
		q += "SELECT * FROM (SELECT " + agentMessageColumns + " FROM agent_messages WHERE " + w.sql() + " ORDER BY at DESC, id DESC LIMIT ?) AS side"
		args = append(append(args, w.args...), offset+req.Size()+1)
	}
	found, err := queryAll(ctx, r.s.read(ctx), scanAgentMessage(sc.Tenant),
		"SELECT * FROM ("+q+") AS sides ORDER BY at DESC, id DESC LIMIT ? OFFSET ?", append(args, req.Size()+1, offset)...)
	if err != nil {
		return page.Page[telemetry.Message]{}, err
	}
	p, err := pageOf(found, req.Size(), func(m telemetry.Message) (telemetry.Message, error) { return m, nil },
		func(m telemetry.Message) []string { return []string{at(m.At).String(), m.ID.String()} })
	p.Total = total
	return p, err
}

// DeleteMessages implements telemetry.MessageRepository.
func (r *AgentMessageRepo) DeleteMessages(ctx context.Context, sc account.Scope, agent id.Agent, before time.Time, limit int) (int, error) {
	q, args := "", []any{sc.Tenant}
	for i, w := range agentMessageSides(sc, telemetry.MessageFilter{Agent: agent, Until: before}) {
		if i > 0 {
			q += " UNION ALL "
		}
		q += "SELECT id FROM (SELECT id FROM agent_messages WHERE " + w.sql() + " ORDER BY at, id LIMIT ?) AS side"
		args = append(append(args, w.args...), limit)
	}
	var n int64
	err := r.s.write(ctx, func(ctx context.Context, db bun.IDB) (err error) {
		n, err = affected(db.ExecContext(ctx, "DELETE FROM agent_messages WHERE tenant_id = ? AND id IN (SELECT id FROM ("+q+
			") AS sides LIMIT ?)", append(args, limit)...))
		return err
	})
	return int(n), err
}
