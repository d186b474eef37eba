package chat

import (
	"context"
	"encoding/base64"
	"strconv"
	"strings"
	"time"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/session"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/page"
)

// History asks for messages of an agent's conversations.
type History struct {
	page.Request            // Count fills in how many messages there are, whatever Cursor says; Offset is not known
	Agent        id.Agent   //
	Session      id.Session // zero: of every session
	Peer         string     // of this peer alone; "": of everybody
	Channel      Channel    // where Peer is; "" is API
	Since        time.Time  // after this time, by the millisecond, as times are shown; zero: any
}

// History returns messages, the newest first, also of an agent that does not run. A message is there once its turn has begun. It
// returns id.NotFound for the agent, or for a session that is not one of its chats or not of the peer, or ErrInvalid.
func (s *Service) History(ctx context.Context, sc account.Scope, h History) (page.Page[Said], error) {
	who, err := s.watched(ctx, sc, h.Agent, h.Channel, h.Peer)
	if err != nil {
		return page.Page[Said]{}, err
	}
	if !h.Session.IsZero() {
		v, err := s.d.Sessions.Get(ctx, sc, h.Agent, h.Session)
		if err == nil && who != nil && v.Who != *who {
			err = id.NotFound[id.SessionKind](h.Session.String())
		}
		if err != nil {
			return page.Page[Said]{}, err
		}
	}
	q := SaidQuery{Agent: h.Agent, Who: who, Session: h.Session, Limit: h.Size() + 1}
	if !h.Since.IsZero() {
		q.Since = h.Since.Truncate(time.Millisecond).Add(time.Millisecond)
	}
	if h.Cursor != "" {
		if q.Before, err = parseMark(h.Cursor); err != nil {
			return page.Page[Said]{}, err
		}
	}
	events, err := s.d.Sessions.Said(ctx, sc, q)
	if err != nil {
		return page.Page[Said]{}, err
	}
	var out page.Page[Said]
	if len(events) > h.Size() {
		events = events[:h.Size()]
		last := events[len(events)-1]
		out.Next = Mark{last.ProcessedAt, last.Session, last.Seq}.cursor()
	}
	out.Items = make([]Said, len(events))
	for i, e := range events {
		if out.Items[i], err = e.said(); err != nil {
			return page.Page[Said]{}, err
		}
	}
	if h.Count {
		out.Total, err = s.d.Sessions.CountSaid(ctx, sc, q)
	}
	return out, err
}

func (e SaidEvent) said() (Said, error) {
	var body session.MessageBody
	if err := e.Body(&body); err != nil {
		return Said{}, err
	}
	out := Said{Session: e.Session, Event: e.ID, Role: User, Text: textOf(body.Content), At: e.ProcessedAt}
	if e.Type == session.AgentMessage {
		out.Role, out.Text = Assistant, answerOf(body.Content)
	}
	return out, nil
}

// cursor writes a mark.
func (m Mark) cursor() string {
	return base64.RawURLEncoding.EncodeToString([]byte(
		strconv.FormatInt(m.At.UnixMicro(), 10) + "/" + m.Session.UUID().String() + "/" + strconv.FormatInt(m.Seq, 10)))
}

// parseMark reads what cursor wrote.
func parseMark(cursor string) (*Mark, error) {
	raw, err := base64.RawURLEncoding.DecodeString(cursor)
	parts := strings.Split(string(raw), "/")
	if err == nil && len(parts) == 3 {
		at, aerr := strconv.ParseInt(parts[0], 10, 64)
		of, oerr := id.Parse[id.SessionKind](parts[1])
		seq, serr := strconv.ParseInt(parts[2], 10, 64)
		if aerr == nil && oerr == nil && serr == nil {
			return &Mark{time.UnixMicro(at).UTC(), of, seq}, nil
		}
	}
	return nil, invalid("cursor", "is not a cursor of this list")
}
