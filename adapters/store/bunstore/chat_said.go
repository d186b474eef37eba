package bunstore

import (
	"bytes"
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/chat"
	"github.com/bureau-agents/bureau/core/session"
	"github.com/bureau-agents/bureau/ports/id"
)

const (
	// saidTypes must be spelled like the condition of the index session_events_said.
	saidTypes = "type IN ('user.message', 'agent.message')"
	// saidBatch is how many sessions are looked into at once.
	saidBatch = 8
)

// talk is a session in the order of what was said last.
type talk struct {
	id   id.Session
	said time.Time
}

// Said implements chat.Sessions. The newest messages are in the sessions that something was said in last: those are looked into, a few at a
// time, until what the next ones can have is older than what was found.
func (r *ChatSessionRepo) Said(ctx context.Context, sc account.Scope, q chat.SaidQuery) ([]chat.SaidEvent, error) {
	var out []chat.SaidEvent
	for skip := 0; ; skip += saidBatch {
		talks, err := r.talks(ctx, sc, q, skip)
		if err != nil || len(talks) == 0 {
			return out, err
		}
		if len(out) == q.Limit && talks[0].said.Before(out[len(out)-1].ProcessedAt) {
			return out, nil
		}
		more, err := r.saidIn(ctx, talks, q)
		if err != nil {
			return nil, err
		}
		out = newest(out, more, q.Limit)
		if len(talks) < saidBatch {
			return out, nil
		}
	}
}

// talks lists sessions in which something was said, what was said last first.
func (r *ChatSessionRepo) talks(ctx context.Context, sc account.Scope, q chat.SaidQuery, skip int) ([]talk, error) {
	w := saidSessions(sc, q)
	return queryAll(ctx, r.s.read(ctx), func(row scanner) (v talk, err error) {
		var said stamp
		err = row.Scan(&v.id, &said)
		v.said = said.Time()
		return v, err
	}, "SELECT s.id, s.said_at FROM sessions s WHERE "+w.sql()+" ORDER BY s.said_at DESC, s.id DESC LIMIT ? OFFSET ?", append(w.args, saidBatch, skip)...)
}

// saidSessions chooses the sessions that may have messages for q.
func saidSessions(sc account.Scope, q chat.SaidQuery) *where {
	w := newWhere("s.tenant_id = ? AND s.agent_id = ? AND s.said_at IS NOT NULL AND s.deleted_at IS NULL AND s.parent_id IS NULL", sc.Tenant, q.Agent)
	if !q.Session.IsZero() {
		w.and("s.id = ?", q.Session)
	}
	if !q.Since.IsZero() {
		w.and("s.said_at >= ?", at(q.Since))
	}
	if q.Who != nil {
		w.and("s.id IN (SELECT session_id FROM chat_sessions WHERE "+whoIs+")", whoArgs(sc, *q.Who)...)
	}
	return w
}

// saidIn returns the newest messages of a few sessions.
func (r *ChatSessionRepo) saidIn(ctx context.Context, talks []talk, q chat.SaidQuery) ([]chat.SaidEvent, error) {
	var parts []string
	var args []any
	for _, t := range talks {
		w := newWhere("session_id = ? AND "+saidTypes, t.id)
		if !q.Since.IsZero() {
			w.and("at >= ?", at(q.Since))
		}
		if b := q.Before; b != nil {
			// Messages of one time are in the order of their sessions.
			switch compareIDs(t.id, b.Session) {
			case 0:
				w.and("(at, seq) < (?, ?)", at(b.At), b.Seq)
			case -1:
				w.and("at <= ?", at(b.At))
			default:
				w.and("at < ?", at(b.At))
			}
		}
		parts = append(parts, "SELECT * FROM (SELECT session_id, seq, id, type, data, at FROM session_events WHERE "+w.sql()+" ORDER BY at DESC, seq DESC LIMIT ?) p")
		args = append(append(args, w.args...), q.Limit)
	}
	found, err := queryAll(ctx, r.s.read(ctx), scanSaid, strings.Join(parts, " UNION ALL "), args...)
	return newest(nil, found, q.Limit), err
}

func scanSaid(row scanner) (chat.SaidEvent, error) {
	var e chat.SaidEvent
	var typ string
	var data []byte
	var when stamp
	err := row.Scan(&e.Session, &e.Seq, &e.ID, &typ, &data, &when)
	e.Type, e.Data, e.ProcessedAt = session.EventType(typ), data, when.Time()
	return e, err
}

// compareIDs compares ids as databases do.
func compareIDs(a, b id.Session) int {
	x, y := a.UUID(), b.UUID()
	return bytes.Compare(x[:], y[:])
}

// newest merges messages: the newest first, at most so many.
func newest(a, b []chat.SaidEvent, limit int) []chat.SaidEvent {
	all := append(a, b...)
	slices.SortFunc(all, func(x, y chat.SaidEvent) int {
		return cmp.Or(y.ProcessedAt.Compare(x.ProcessedAt), compareIDs(y.Session, x.Session), cmp.Compare(y.Seq, x.Seq))
	})
	return all[:min(len(all), limit)]
}

// CountSaid implements chat.Sessions. Sessions have counted their messages; those since a time are counted in their index.
func (r *ChatSessionRepo) CountSaid(ctx context.Context, sc account.Scope, q chat.SaidQuery) (n int, err error) {
	w := saidSessions(sc, q)
	query := "SELECT COALESCE(SUM(s.said), 0) FROM sessions s WHERE " + w.sql()
	if !q.Since.IsZero() {
		query = "SELECT COUNT(*) FROM sessions s JOIN session_events e ON e.session_id = s.id AND e." + saidTypes + " WHERE " + w.sql() + " AND e.at >= ?"
		w.args = append(w.args, at(q.Since))
	}
	err = r.s.read(ctx).QueryRowContext(ctx, query, w.args...).Scan(&n)
	return n, mapErr(err)
}
