package valar

import (
	"context"
	"net/http"
	"time"

	"github.com/bureau-agents/bureau/adapters/http/internal/httpx"
	"github.com/bureau-agents/bureau/adapters/http/internal/reports"
	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/telemetry"
)

type messageWire struct {
	ID          string         `json:"id" doc:"A UUID."`
	SenderID    string         `json:"sender_id"`
	ReceiverID  string         `json:"receiver_id"`
	MessageType string         `json:"message_type"`
	Payload     reports.Object `json:"payload"`
	TraceID     *string        `json:"trace_id"`
	CreatedAt   stamp          `json:"created_at"`
}

func showMessage(m telemetry.Message) messageWire {
	return messageWire{
		ID: m.ID.UUID().String(), SenderID: m.Sender.UUID().String(), ReceiverID: m.Receiver.UUID().String(), MessageType: m.Type,
		Payload: reports.Object(m.Payload), TraceID: textPtr(m.TraceID), CreatedAt: stampOf(m.At),
	}
}

type createMessageInput struct{ Body reports.SentMessage }

type listMessagesInput struct {
	PageQuery
	AgentID     string    `query:"agent_id" doc:"Only what this agent sent or got."`
	SenderID    string    `query:"sender_id"`
	ReceiverID  string    `query:"receiver_id"`
	MessageType string    `query:"message_type" maxLength:"200"`
	TraceID     string    `query:"trace_id" maxLength:"200"`
	Since       time.Time `query:"since" doc:"Only what is not older."`
	Until       time.Time `query:"until" doc:"Only what is older."`
}

func (f *face) registerMessages() {
	httpx.Register(f.Face, httpx.Op{
		ID: "createMessage", Method: http.MethodPost, Path: "/messages", Tag: "messages", Status: http.StatusCreated,
		Example: `{"sender_id":"00000000-0000-7000-8000-000000000000","receiver_id":"00000000-0000-7000-8000-000000000000","message_type":"request","payload":{"task":"summarize"}}`,
		Summary: "Log a message between agents", Permission: account.TelemetryWrite,
	}, func(ctx context.Context, in *createMessageInput) (*output[messageWire], error) {
		n, err := in.Body.Read()
		if err != nil {
			return nil, err
		}
		m, err := f.deps.Exchange.Record(ctx, httpx.Scope(ctx), n)
		if err != nil {
			return nil, err
		}
		return ok(showMessage(m)), nil
	})

	httpx.Register(f.Face, httpx.Op{
		ID: "listMessages", Method: http.MethodGet, Path: "/messages", Tag: "messages", Summary: "List messages, newest first", Permission: account.TelemetryRead,
	}, func(ctx context.Context, in *listMessagesInput) (*listOutput[messageWire], error) {
		filter := telemetry.MessageFilter{Type: in.MessageType, TraceID: in.TraceID, Since: in.Since, Until: in.Until}
		if err := reports.ReadSides(&filter, in.AgentID, in.SenderID, in.ReceiverID); err != nil {
			return nil, err
		}
		found, err := f.deps.Exchange.List(ctx, httpx.Scope(ctx), filter, in.request())
		if err != nil {
			return nil, err
		}
		return listOf(found, showMessage), nil
	})
}
