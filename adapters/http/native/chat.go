package native

import (
	"context"
	"net/http"
	"time"

	"github.com/bureau-agents/bureau/adapters/http/internal/httpx"
	"github.com/bureau-agents/bureau/adapters/http/internal/talk"
	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/chat"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/page"
)

// ChatMessageWire is a message of a chat. Its type is exported because lists hold it.
type ChatMessageWire struct {
	ID        string `json:"id" doc:"The event in the session's log."`
	Type      string `json:"type" enum:"chat_message"`
	SessionID string `json:"session_id"`
	Role      string `json:"role" enum:"user,assistant"`
	Content   string `json:"content"`
	CreatedAt stamp  `json:"created_at"`
}

func showChatMessage(s chat.Said) ChatMessageWire {
	return ChatMessageWire{s.Event.String(), "chat_message", s.Session.String(), string(s.Role), s.Text, stampOf(s.At)}
}

// ChatSessionWire is a session of a chat. Its type is exported because lists hold it.
type ChatSessionWire struct {
	ID        string  `json:"id" doc:"sesn_..."`
	Type      string  `json:"type" enum:"chat_session"`
	AgentID   string  `json:"agent_id"`
	Channel   string  `json:"channel" enum:"api,telegram,slack"`
	PeerID    *string `json:"peer_id" doc:"Whom it is with; null where it is an API key."`
	APIKeyID  *string `json:"api_key_id" doc:"The API key that it is with; null where it is a peer."`
	Name      *string `json:"name"`
	StartedAt stamp   `json:"started_at"`
}

func showChatSession(s chat.Session) ChatSessionWire {
	w := ChatSessionWire{
		ID: s.ID.String(), Type: "chat_session", AgentID: s.Who.Agent.String(), Channel: string(s.Who.Channel), Name: textOrNull(s.Name),
		StartedAt: stampOf(s.StartedAt),
	}
	w.PeerID, w.APIKeyID = showWho(s.Who)
	return w
}

// showWho returns whom an agent talks to: a peer, or an API key.
func showWho(w chat.Who) (peer, key *string) {
	if w.Kind == chat.KindPeer {
		return &w.Name, nil
	}
	if k, err := id.Parse[id.APIKeyKind](w.Name); err == nil {
		return nil, ptr(k.String())
	}
	return nil, &w.Name
}

// ChatPeerWire is somebody whom an agent talks to. Its type is exported because lists hold it.
type ChatPeerWire struct {
	Type          string  `json:"type" enum:"chat_peer"`
	Channel       string  `json:"channel" enum:"api,telegram,slack"`
	PeerID        *string `json:"peer_id" doc:"null where it is an API key."`
	APIKeyID      *string `json:"api_key_id" doc:"null where it is a peer."`
	SessionID     *string `json:"session_id" doc:"Where they go on; null: nowhere yet."`
	MemoryStoreID string  `json:"memory_store_id" doc:"What the agent remembers of them."`
	CreatedAt     stamp   `json:"created_at"`
}

func showChatPeer(p chat.Peer) ChatPeerWire {
	w := ChatPeerWire{
		Type: "chat_peer", Channel: string(p.Channel), SessionID: textOrNull(p.Session.String()), MemoryStoreID: p.Store.String(),
		CreatedAt: stampOf(p.CreatedAt),
	}
	w.PeerID, w.APIKeyID = showWho(p.Who)
	return w
}

// ChatAgentInput names an agent. It is exported because inputs embed it.
type ChatAgentInput struct {
	AgentID string `path:"agent_id" doc:"The agent's id."`
}

func (in ChatAgentInput) read() (id.Agent, error) { return id.Parse[id.AgentKind](in.AgentID) }

type sendChatInput struct {
	ChatAgentInput

	Key  string `header:"Idempotency-Key" maxLength:"255" doc:"Names the message, so that sending it again begins no second turn."`
	Body struct {
		Message   string       `json:"message" minLength:"1" maxLength:"100000" pattern:"\\S" patternDescription:"more than blanks"`
		SessionID string       `json:"session_id,omitempty" minLength:"1" doc:"A session of the peer; without it, the one that was begun last."`
		PeerID    string       `json:"peer_id,omitempty" minLength:"1" maxLength:"256" doc:"Whom the agent talks to. Sessions and memory are theirs alone. Without it, they are the API key's."`
		Context   talk.Context `json:"context,omitempty"`
	}
}

func (in *sendChatInput) message() (m chat.Message, err error) {
	m = chat.Message{Text: in.Body.Message, Key: in.Key, Peer: in.Body.PeerID}
	if m.Agent, err = in.read(); err != nil {
		return m, err
	}
	if m.Session, err = chatSessionID(in.Body.SessionID); err != nil {
		return m, err
	}
	m.Context, err = in.Body.Context.Read()
	return m, err
}

// chatSessionID reads the id of a session; "" is none.
func chatSessionID(spelled string) (id.Session, error) {
	if spelled == "" {
		return id.Session{}, nil
	}
	return id.Parse[id.SessionKind](spelled)
}

// ChatFilter chooses whose conversations are listed. It is exported because inputs embed it.
type ChatFilter struct {
	PeerID  string `query:"peer_id" maxLength:"256" doc:"Of this peer."`
	Channel string `query:"channel" enum:"api,telegram,slack" default:"api" doc:"With peer_id: where the peer is."`
}

type chatHistoryInput struct {
	ChatAgentInput
	ChatFilter

	Limit     int       `query:"limit" minimum:"1" maximum:"200" default:"50" doc:"Messages on a page."`
	Cursor    string    `query:"cursor" doc:"next_page of the page before."`
	SessionID string    `query:"session_id" doc:"Of this session."`
	Since     time.Time `query:"since" doc:"After this time."`
}

type chatSessionsInput struct {
	ChatAgentInput
	ChatFilter
	httpx.PageQuery
}

type beginChatInput struct {
	ChatAgentInput

	Body *struct {
		PeerID string `json:"peer_id,omitempty" minLength:"1" maxLength:"256" doc:"Whom the session is for; without it, the API key."`
		Name   string `json:"name,omitempty" maxLength:"100"`
	}
}

type chatPeersInput struct {
	ChatAgentInput
	httpx.PageQuery
}

type forgetPeerInput struct {
	ChatAgentInput

	PeerID  string `path:"peer_id" doc:"The peer, as it was named when it was talked to."`
	Channel string `query:"channel" enum:"api,telegram,slack" default:"api" doc:"Where the peer is."`
}

func (f *face) registerChat() {
	httpx.RegisterStream(f.Face, httpx.Op{
		ID: "sendChatMessage", Method: http.MethodPost, Path: "/v1/agents/{agent_id}/chat/messages", Tag: "chat",
		Example: `{"message":"Hello!","peer_id":"customer-1","context":{"name":"Alice","plan":"Pro"}}`,
		Summary: "Send a message to a hosted agent and stream the answer", Permission: account.Chat, Produces: httpx.ContentEvents,
		Description: "Needs a running agent: 409 otherwise, 403 while it is frozen. A session of another peer is not found, and neither are sessions " +
			"that were not begun as chats. Chats are sessions like others: `/v1/sessions/{session_id}` shows them to whoever looks after the agent.\n\n" + talk.Doc,
		Statuses: []int{http.StatusConflict},
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
		Summary: "List what was said in the chats of an agent, newest first", Permission: account.Chat,
	}, f.chatMessages)

	httpx.Register(f.Face, httpx.Op{
		ID: "listChatSessions", Method: http.MethodGet, Path: "/v1/agents/{agent_id}/chat/sessions", Tag: "chat",
		Summary: "List the chats of an agent, newest first", Permission: account.Chat,
	}, f.chatSessions)

	httpx.Register(f.Face, httpx.Op{
		ID: "createChatSession", Method: http.MethodPost, Path: "/v1/agents/{agent_id}/chat/sessions", Tag: "chat", Status: http.StatusCreated,
		Example: `{"peer_id":"customer-1","name":"Renewal"}`,
		Summary: "Begin a new chat", Permission: account.Chat, Strict: true,
		Description: "The peer, or the API key, goes on in this session from now on. Needs a running agent: 409 otherwise, 403 while it is frozen.",
		Statuses:    []int{http.StatusConflict},
	}, f.beginChat)

	httpx.Register(f.Face, httpx.Op{
		ID: "listChatPeers", Method: http.MethodGet, Path: "/v1/agents/{agent_id}/chat/peers", Tag: "chat",
		Summary: "List whom an agent has talked to, newest first", Permission: account.Chat,
	}, f.chatPeers)

	httpx.Register(f.Face, httpx.Op{
		ID: "forgetChatPeer", Method: http.MethodDelete, Path: "/v1/agents/{agent_id}/chat/peers/{peer_id}", Tag: "chat",
		Summary: "Forget a peer", Permission: account.Chat,
		Description: "Removes the peer's sessions for good, with their logs and the files that were made in them, and what the agent remembers of the peer. " +
			"What runs there is stopped. Usage, the ledger, decisions and the audit trail stay; they hold no messages. The agent need not run. " +
			"A peer that the agent has not talked to is not found.",
	}, func(ctx context.Context, in *forgetPeerInput) (*output[httpx.Deleted], error) {
		of, err := in.read()
		if err != nil {
			return nil, err
		}
		if err := f.deps.Chat.Forget(ctx, httpx.Scope(ctx), of, chat.Channel(in.Channel), in.PeerID); err != nil {
			return nil, err
		}
		return ok(httpx.Deleted{ID: in.PeerID, Type: "chat_peer_deleted"}), nil
	})
}

func (f *face) chatMessages(ctx context.Context, in *chatHistoryInput) (*output[httpx.List[ChatMessageWire]], error) {
	of, err := in.read()
	if err != nil {
		return nil, err
	}
	session, err := chatSessionID(in.SessionID)
	if err != nil {
		return nil, err
	}
	said, err := f.deps.Chat.History(ctx, httpx.Scope(ctx), chat.History{
		Request: page.Request{Limit: in.Limit, Cursor: in.Cursor}, Agent: of, Session: session, Peer: in.PeerID, Channel: chat.Channel(in.Channel),
		Since: in.Since,
	})
	if err != nil {
		return nil, err
	}
	return ok(httpx.NewList(said, showChatMessage)), nil
}

func (f *face) chatSessions(ctx context.Context, in *chatSessionsInput) (*output[httpx.List[ChatSessionWire]], error) {
	of, err := in.read()
	if err != nil {
		return nil, err
	}
	sessions, err := f.deps.Chat.List(ctx, httpx.Scope(ctx), chat.ListSessions{
		Request: in.Request(), Agent: of, Peer: in.PeerID, Channel: chat.Channel(in.Channel),
	})
	if err != nil {
		return nil, err
	}
	return ok(httpx.NewList(sessions, showChatSession)), nil
}

func (f *face) beginChat(ctx context.Context, in *beginChatInput) (*output[ChatSessionWire], error) {
	of, err := in.read()
	if err != nil {
		return nil, err
	}
	n := chat.NewSession{Agent: of}
	if in.Body != nil {
		n.Peer, n.Name = in.Body.PeerID, in.Body.Name
	}
	s, err := f.deps.Chat.New(ctx, httpx.Scope(ctx), n)
	if err != nil {
		return nil, err
	}
	return ok(showChatSession(s)), nil
}

func (f *face) chatPeers(ctx context.Context, in *chatPeersInput) (*output[httpx.List[ChatPeerWire]], error) {
	of, err := in.read()
	if err != nil {
		return nil, err
	}
	peers, err := f.deps.Chat.Peers(ctx, httpx.Scope(ctx), of, in.Request())
	if err != nil {
		return nil, err
	}
	return ok(httpx.NewList(peers, showChatPeer)), nil
}
