package agento

import (
	"context"
	"net/http"
	"slices"
	"time"

	"github.com/bureau-agents/bureau/adapters/http/internal/httpx"
	"github.com/bureau-agents/bureau/adapters/http/internal/talk"
	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/chat"
	"github.com/bureau-agents/bureau/ports/fault"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/page"
)

// messageWire is a message of a history.
type messageWire struct {
	Role      string `json:"role" enum:"user,assistant"`
	Content   string `json:"content"`
	Timestamp stamp  `json:"timestamp"`
}

// chatSessionWire is a session of a list.
type chatSessionWire struct {
	ID        string  `json:"id" doc:"sess_..."`
	Name      *string `json:"name"`
	Channel   string  `json:"channel" enum:"api,telegram,slack"`
	StartedAt stamp   `json:"startedAt"`
}

type begunWire struct {
	ID        string `json:"id" doc:"sess_..."`
	StartedAt stamp  `json:"startedAt"`
}

// ChatAgentInput names an agent. It is exported because inputs embed it.
type ChatAgentInput struct {
	AgentID string `path:"agent_id" doc:"The agent's id, in any spelling."`
}

func (in ChatAgentInput) read() (id.Agent, error) { return id.Parse[id.AgentKind](in.AgentID) }

type sendChatInput struct {
	ChatAgentInput

	Key  string `header:"Idempotency-Key" maxLength:"255" doc:"Names the message, so that sending it again begins no second turn."`
	Body struct {
		Message   string       `json:"message" minLength:"1" maxLength:"100000" pattern:"\\S" patternDescription:"more than blanks"`
		SessionID *string      `json:"sessionId,omitempty" minLength:"1" doc:"A session of the peer, in any spelling; without it, the one that was begun last."`
		PeerID    *string      `json:"peerId,omitempty" minLength:"1" maxLength:"256" doc:"Whom the agent talks to. Sessions and memory are theirs alone. Without it, they are the API key's."`
		Context   talk.Context `json:"context,omitempty"`
	}
}

func (in *sendChatInput) message() (m chat.Message, err error) {
	m = chat.Message{Text: in.Body.Message, Key: in.Key, Peer: value(in.Body.PeerID)}
	if m.Agent, err = in.read(); err != nil {
		return m, err
	}
	if m.Session, err = chatSession(value(in.Body.SessionID)); err != nil {
		return m, err
	}
	m.Context, err = in.Body.Context.Read()
	return m, err
}

// value returns what a field that may be missing holds; "" when it does.
func value(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

// chatSession reads the id of a session; "" is none.
func chatSession(spelled string) (id.Session, error) {
	if spelled == "" {
		return id.Session{}, nil
	}
	return id.Parse[id.SessionKind](spelled)
}

type chatHistoryInput struct {
	ChatAgentInput

	SessionID string `query:"sessionId" doc:"Messages of this session; without it, of every session."`
	PeerID    string `query:"peerId" maxLength:"256" doc:"Messages of this peer."`
	Limit     int    `query:"limit" minimum:"1" maximum:"200" default:"50" doc:"The newest messages, at most so many."`
	Since     string `query:"since" doc:"An ISO 8601 time: only messages after it."`
}

func (in *chatHistoryInput) history() (h chat.History, err error) {
	h = chat.History{Request: page.Request{Limit: in.Limit, Count: true}, Peer: in.PeerID}
	if h.Agent, err = in.read(); err != nil {
		return h, err
	}
	if h.Session, err = chatSession(in.SessionID); err != nil {
		return h, err
	}
	if in.Since != "" {
		if h.Since, err = parseSince(in.Since); err != nil {
			return h, err
		}
	}
	return h, nil
}

// parseSince reads a time of ISO 8601; one without a zone is UTC.
func parseSince(text string) (time.Time, error) {
	for _, layout := range []string{time.RFC3339, "2006-01-02T15:04:05", "2006-01-02T15:04", time.DateOnly} {
		if t, err := time.Parse(layout, text); err == nil {
			return t.UTC(), nil
		}
	}
	return time.Time{}, fault.Invalidf("query.since", "must be an ISO 8601 time, such as 2026-02-10T14:00:00.000Z")
}

type chatSessionsInput struct {
	ChatAgentInput

	PeerID string `query:"peerId" maxLength:"256" doc:"Sessions of this peer."`
}

type beginChatInput struct {
	ChatAgentInput

	Body *struct {
		PeerID *string `json:"peerId,omitempty" minLength:"1" maxLength:"256" doc:"Whom the session is for; without it, the API key."`
		Name   *string `json:"name,omitempty" maxLength:"100"`
	}
}

func (in *beginChatInput) session() (n chat.NewSession, err error) {
	if n.Agent, err = in.read(); err == nil && in.Body != nil {
		n.Peer, n.Name = value(in.Body.PeerID), value(in.Body.Name)
	}
	return n, err
}

// spellSession writes the id of a session as this API does.
func spellSession(s id.Session) string { return s.Spell("sess") }

func (f *face) registerChat() {
	httpx.RegisterStream(f.Face, httpx.Op{
		ID: "sendChatMessage", Method: http.MethodPost, Path: "/v1/agents/{agent_id}/chat/messages", Tag: "chat",
		Example: `{"message":"Hello!","peerId":"customer-1","context":{"name":"Alice","plan":"Pro"}}`,
		Summary: "Send a message and stream the answer", Permission: account.Chat, Produces: httpx.ContentEvents,
		Description: "Needs a running agent: 409 otherwise, 403 while it is frozen. The session of another peer is not found.\n\n" + talk.Doc,
		Statuses:    []int{http.StatusConflict},
	}, func(ctx context.Context, in *sendChatInput) (httpx.Stream, error) {
		m, err := in.message()
		if err != nil {
			return nil, err
		}
		a, err := f.deps.Chat.Send(ctx, httpx.Scope(ctx), m)
		if err != nil {
			return nil, err
		}
		return talk.Answer(f.deps.Logger, a), nil
	})

	httpx.Register(f.Face, httpx.Op{
		ID: "listChatMessages", Method: http.MethodGet, Path: "/v1/agents/{agent_id}/chat/messages", Tag: "chat",
		Summary: "Read what was said, the newest messages in the order of time", Permission: account.Chat,
		Description: "Answers with the last `limit` messages of all sessions, or of one, or of one peer. `total` counts those that the same filters choose " +
			"without the limit. Works while the agent is stopped, too.",
	}, func(ctx context.Context, in *chatHistoryInput) (*listOutput[messageWire], error) {
		h, err := in.history()
		if err != nil {
			return nil, err
		}
		said, err := f.deps.Chat.History(ctx, httpx.Scope(ctx), h)
		if err != nil {
			return nil, err
		}
		slices.Reverse(said.Items)
		return listOf(h.Request, said, func(s chat.Said) messageWire {
			return messageWire{Role: string(s.Role), Content: s.Text, Timestamp: stampOf(s.At)}
		}), nil
	})

	httpx.Register(f.Face, httpx.Op{
		ID: "listChatSessions", Method: http.MethodGet, Path: "/v1/agents/{agent_id}/chat/sessions", Tag: "chat",
		Summary: "List the most recent sessions, newest first", Permission: account.Chat,
	}, func(ctx context.Context, in *chatSessionsInput) (*listOutput[chatSessionWire], error) {
		of, err := in.read()
		if err != nil {
			return nil, err
		}
		req := chat.ListSessions{Request: page.Request{Limit: chat.MaxSessions, Count: true}, Agent: of, Peer: in.PeerID}
		sessions, err := f.deps.Chat.List(ctx, httpx.Scope(ctx), req)
		if err != nil {
			return nil, err
		}
		return listOf(req.Request, sessions, func(s chat.Session) chatSessionWire {
			return chatSessionWire{spellSession(s.ID), textPtr(s.Name), string(s.Who.Channel), stampOf(s.StartedAt)}
		}), nil
	})

	httpx.Register(f.Face, httpx.Op{
		ID: "createChatSession", Method: http.MethodPost, Path: "/v1/agents/{agent_id}/chat/sessions", Tag: "chat", Status: http.StatusCreated,
		Example: `{"peerId":"customer-1","name":"Renewal"}`,
		Summary: "Begin a new session", Permission: account.Chat,
		Description: "The peer, or the API key, goes on in this session from now on. Needs a running agent: 409 otherwise, 403 while it is frozen.",
		Statuses:    []int{http.StatusConflict},
	}, func(ctx context.Context, in *beginChatInput) (*output[begunWire], error) {
		n, err := in.session()
		if err != nil {
			return nil, err
		}
		s, err := f.deps.Chat.New(ctx, httpx.Scope(ctx), n)
		if err != nil {
			return nil, err
		}
		return ok(begunWire{spellSession(s.ID), stampOf(s.StartedAt)}), nil
	})
}
