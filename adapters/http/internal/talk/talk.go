// Package talk writes agents' answers as server-sent events, alike on every face that has chats.
package talk

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"github.com/bureau-agents/bureau/adapters/http/internal/httpx"
	"github.com/bureau-agents/bureau/core/chat"
)

// Doc describes a stream for documents.
const Doc = "Answers with server-sent events whose data is JSON: `{\"type\":\"text\",\"content\":\"...\"}` for each piece of the answer while it is " +
	"given, and one `{\"type\":\"done\"}` at the end. What goes wrong comes as `{\"type\":\"error\",\"code\":\"...\",\"message\":\"...\"}` before that; codes are " +
	"`approval_required` and `waiting` (a person must approve something first, and the history has the answer afterwards), `interrupted`, " +
	"`refused`, `budget_reached`, `session_ended`, `server_stopping`, `unavailable`, and those of the session's errors, such as " +
	"`model_overloaded_error`.\n\nThe pieces together are what the history says; several messages of one turn are parted by an empty line. When a model is cut " +
	"off and begins anew with other words, `{\"type\":\"void\",\"characters\":N}` takes back the last N characters. Comments keep the connection " +
	"alive. A caller who leaves does not end the turn. Messages that are sent at once are answered one after the other, each on the stream of its own " +
	"request.\n\nThe same message sent again with the same `Idempotency-Key` begins no second turn: it is answered with the stream of the first, " +
	"from its beginning. Another message with that key is a conflict. Keys are kept for seven days."

// eventWire is the data of an event.
type eventWire struct {
	Type       string `json:"type"`
	Content    string `json:"content,omitempty"`
	Characters int    `json:"characters,omitempty"`
	Code       string `json:"code,omitempty"`
	Message    string `json:"message,omitempty"`
}

// Answer returns what writes an answer, and closes it.
func Answer(logger *slog.Logger, a *chat.Answer) httpx.Stream {
	return func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithCancel(r.Context())
		done := make(chan struct{})
		defer func() {
			cancel()
			<-done
			a.Close()
		}()
		out := make(chan httpx.Event, 64)
		send := func(e eventWire) bool {
			data, err := json.Marshal(e)
			if err != nil { // texts always marshal
				return false
			}
			select {
			case out <- httpx.Event{Data: data}:
				return true
			case <-ctx.Done():
				return false
			}
		}
		go func() {
			defer close(done)
			defer close(out)
			for p, err := range a.Pieces(ctx) {
				e := eventWire{Type: string(p.Kind), Content: p.Text, Characters: p.Void, Code: p.Code, Message: p.Message}
				if err != nil {
					logger.WarnContext(ctx, "stream of a chat broke off", "session_id", a.Session, "error", err)
					e = eventWire{Type: string(chat.PieceProblem), Code: "unavailable", Message: "the answer cannot be followed any further; the history has it"}
				}
				if !send(e) {
					return
				}
			}
			send(eventWire{Type: "done"})
		}()
		httpx.ServeEvents(w, r, nil, func(context.Context) <-chan httpx.Event { return out })
	}
}

// Context is a field of a body that is a text or an object, and may be missing.
type Context struct{ raw json.RawMessage }

// UnmarshalJSON implements json.Unmarshaler.
func (c *Context) UnmarshalJSON(b []byte) error {
	c.raw = append(json.RawMessage(nil), b...)
	return nil
}

// Schema implements huma.SchemaProvider.
func (Context) Schema(huma.Registry) *huma.Schema {
	return &huma.Schema{
		OneOf:       []*huma.Schema{{Type: huma.TypeString}, {Type: huma.TypeObject, AdditionalProperties: true}},
		Description: "What the agent is told of whom it talks to: a text, or an object, which becomes lines of `key: value`; 2000 characters at most as lines.",
	}
}

// Read returns the context as the agent is told it.
func (c Context) Read() (string, error) { return chat.ParseContext(c.raw) }
