package native

import (
	"context"
	"net/http"

	"github.com/bureau-agents/bureau/adapters/http/internal/httpx"
	"github.com/bureau-agents/bureau/adapters/http/internal/reports"
	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/telemetry"
	"github.com/bureau-agents/bureau/ports/id"
)

type agentMessageWire struct {
	Type        string         `json:"type" enum:"agent_message"`
	ID          string         `json:"id" doc:"amsg_..."`
	SenderID    string         `json:"sender_id"`
	ReceiverID  string         `json:"receiver_id"`
	MessageType string         `json:"message_type"`
	Payload     reports.Object `json:"payload"`
	TraceID     *string        `json:"trace_id"`
	CreatedAt   stamp          `json:"created_at"`
}

func showAgentMessage(m telemetry.Message) agentMessageWire {
	return agentMessageWire{
		Type: "agent_message", ID: m.ID.String(), SenderID: m.Sender.String(), ReceiverID: m.Receiver.String(), MessageType: m.Type,
		Payload: reports.Object(m.Payload), TraceID: textPtr(m.TraceID), CreatedAt: stampOf(m.At),
	}
}

type reportAgentMessageInput struct{ Body reports.SentMessage }

type agentMessageInput struct {
	AgentMessageID string `path:"agent_message_id" doc:"The message's id."`
}

type listAgentMessagesInput struct {
	AgentID     string `query:"agent_id" doc:"Only what this agent sent or got."`
	SenderID    string `query:"sender_id" doc:"Only what this agent sent."`
	ReceiverID  string `query:"receiver_id" doc:"Only what this agent got."`
	MessageType string `query:"message_type" maxLength:"200" doc:"Only this type."`
	TraceID     string `query:"trace_id" maxLength:"200" doc:"Only what belongs to this trace."`
	PeriodQuery
	httpx.PageQuery
}

func (in *listAgentMessagesInput) filter() (telemetry.MessageFilter, error) {
	f := telemetry.MessageFilter{Type: in.MessageType, TraceID: in.TraceID, Since: in.Since, Until: in.Until}
	return f, reports.ReadSides(&f, in.AgentID, in.SenderID, in.ReceiverID)
}

func (f *face) registerAgentMessages() {
	httpx.Register(f.Face, httpx.Op{
		ID: "reportAgentMessage", Method: http.MethodPost, Path: "/v1/agent_messages", Tag: "telemetry", Status: http.StatusCreated,
		Example: `{"sender_id":"agent_01h...","receiver_id":"agent_01h...","message_type":"request","payload":{"task":"summarize"}}`,
		Summary: "Report what one agent told another", Permission: account.TelemetryWrite,
		Description: "It is kept for whoever traces what agents did together. It is not delivered.",
	}, func(ctx context.Context, in *reportAgentMessageInput) (*output[agentMessageWire], error) {
		n, err := in.Body.Read()
		if err != nil {
			return nil, err
		}
		m, err := f.deps.Exchange.Record(ctx, httpx.Scope(ctx), n)
		if err != nil {
			return nil, err
		}
		return ok(showAgentMessage(m)), nil
	})

	httpx.Register(f.Face, httpx.Op{
		ID: "listAgentMessages", Method: http.MethodGet, Path: "/v1/agent_messages", Tag: "telemetry",
		Summary: "List what agents told each other, newest first", Permission: account.TelemetryRead,
	}, func(ctx context.Context, in *listAgentMessagesInput) (*output[httpx.List[agentMessageWire]], error) {
		filter, err := in.filter()
		if err != nil {
			return nil, err
		}
		p, err := f.deps.Exchange.List(ctx, httpx.Scope(ctx), filter, in.Request())
		if err != nil {
			return nil, err
		}
		return ok(httpx.NewList(p, showAgentMessage)), nil
	})

	httpx.Register(f.Face, httpx.Op{
		ID: "getAgentMessage", Method: http.MethodGet, Path: "/v1/agent_messages/{agent_message_id}", Tag: "telemetry",
		Summary: "Read what one agent told another", Permission: account.TelemetryRead,
	}, func(ctx context.Context, in *agentMessageInput) (*output[agentMessageWire], error) {
		message, err := id.Parse[id.AgentMessageKind](in.AgentMessageID)
		if err != nil {
			return nil, err
		}
		m, err := f.deps.Exchange.Get(ctx, httpx.Scope(ctx), message)
		if err != nil {
			return nil, err
		}
		return ok(showAgentMessage(m)), nil
	})
}
