package telemetry

import (
	"context"
	"encoding/json"
	"time"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/page"
)

// Message is what one agent told another, as one of them reported it. It never changes.
type Message struct {
	ID       id.AgentMessage
	Tenant   id.Tenant
	Sender   id.Agent
	Receiver id.Agent
	Type     string          // "request", "response", ...
	Payload  json.RawMessage // a JSON object; nil for none
	TraceID  string
	At       time.Time
}

// NewMessage is a message that was not stored yet.
type NewMessage struct {
	Sender   id.Agent
	Receiver id.Agent
	Type     string // at most MaxType characters
	Payload  json.RawMessage
	TraceID  string // at most MaxTrace characters
}

// MessageFilter chooses messages. Zero fields choose all.
type MessageFilter struct {
	Agent    id.Agent // on either side
	Sender   id.Agent
	Receiver id.Agent
	Type     string
	TraceID  string
	Since    time.Time // inclusive
	Until    time.Time // exclusive
}

// MessageRepository keeps messages. Every method joins the transaction in ctx and sees the scope's tenant only.
type MessageRepository interface {
	InsertMessage(ctx context.Context, sc account.Scope, m Message) error
	// Message returns one message, or id.NotFound.
	Message(ctx context.Context, sc account.Scope, message id.AgentMessage) (Message, error)
	// Messages returns what f chooses, the latest first; numbered pages as EventRepository.Events. What an agent sent or got is
	// read from an index of each side.
	Messages(ctx context.Context, sc account.Scope, f MessageFilter, req page.Request) (page.Page[Message], error)
	// DeleteMessages deletes up to limit messages of before the time, of whenever when that is zero, of one agent on either side unless it
	// is zero, and returns how many there were.
	DeleteMessages(ctx context.Context, sc account.Scope, agent id.Agent, before time.Time, limit int) (int, error)
}
