package valar

import (
	"context"
	"encoding/json"
	"iter"
	"net/http"
	"time"
)

// Message is what one agent said to another.
type Message struct {
	ID          string          `json:"id"`
	SenderID    string          `json:"sender_id"`
	ReceiverID  string          `json:"receiver_id"`
	MessageType string          `json:"message_type"`
	Payload     json.RawMessage `json:"payload"` // a JSON object, or null
	TraceID     string          `json:"trace_id"`
	CreatedAt   time.Time       `json:"created_at"`
}

// NewMessage is a message to be logged.
type NewMessage struct {
	SenderID    string `json:"sender_id"`          // required
	ReceiverID  string `json:"receiver_id"`        // required
	MessageType string `json:"message_type"`       // required, such as request
	Payload     any    `json:"payload,omitempty"`  // written as a JSON object
	TraceID     string `json:"trace_id,omitempty"` // joins what belongs together
}

// MessageFilter says which messages are listed; what is empty excludes none.
type MessageFilter struct {
	Paging

	AgentID                                    string // either side
	SenderID, ReceiverID, MessageType, TraceID string
	Since, Until                               time.Time
}

func (f MessageFilter) query() params {
	return params{}.text("agent_id", f.AgentID).text("sender_id", f.SenderID).text("receiver_id", f.ReceiverID).
		text("message_type", f.MessageType).text("trace_id", f.TraceID).time("since", f.Since).time("until", f.Until)
}

// SendMessage logs a message and returns it as it is stored.
func (c *Client) SendMessage(ctx context.Context, m NewMessage) (Message, error) {
	return send[Message](ctx, c, http.MethodPost, "/messages", m)
}

// ListMessages returns a page of the messages.
func (c *Client) ListMessages(ctx context.Context, f MessageFilter) (Page[Message], error) {
	return list[Message](ctx, c, "/messages", f.Paging, f.query())
}

// AllMessages walks over the messages.
func (c *Client) AllMessages(ctx context.Context, f MessageFilter) iter.Seq2[Message, error] {
	return all(ctx, c, "/messages", f.Paging, f.query(), func(m Message) string { return m.ID })
}
