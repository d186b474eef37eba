package telemetry

import (
	"context"
	"fmt"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/internal/check"
	"github.com/bureau-agents/bureau/ports/clock"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/page"
	"github.com/bureau-agents/bureau/ports/tx"
)

// ExchangeDeps is what an Exchange needs; all fields are required.
type ExchangeDeps struct {
	TX         tx.Runner
	Clock      clock.Clock
	IDs        id.Generator
	Repository MessageRepository
	Agents     Agents
}

// Exchange keeps what agents tell each other. It is safe for concurrent use.
type Exchange struct{ d ExchangeDeps }

// NewExchange returns an Exchange, or an error that names what d lacks.
func NewExchange(d ExchangeDeps) (*Exchange, error) {
	if err := required("ExchangeDeps", []dependency{
		{"TX", d.TX == nil},
		{"Clock", d.Clock == nil},
		{"IDs", d.IDs == nil},
		{"Repository", d.Repository == nil},
		{"Agents", d.Agents == nil},
	}); err != nil {
		return nil, err
	}
	return &Exchange{d}, nil
}

type dependency struct {
	name    string
	missing bool
}

// required returns an error that names the first dependency that is missing.
func required(of string, deps []dependency) error {
	for _, dep := range deps {
		if dep.missing {
			return fmt.Errorf("telemetry: %s.%s is required", of, dep.name)
		}
	}
	return nil
}

// Record stores what one agent told another, now. It returns ErrInvalid with the faults at "message_type", "payload" and "trace_id", and
// id.NotFound when the tenant lacks the sender or the receiver. An agent may write to itself.
func (s *Exchange) Record(ctx context.Context, sc account.Scope, n NewMessage) (Message, error) {
	var k check.Faults
	k.Given("message_type", n.Type, MaxType)
	k.Text("trace_id", n.TraceID, MaxTrace)
	n.Payload = checkPayload(&k, "payload", n.Payload)
	if err := k.Err(ErrInvalid); err != nil {
		return Message{}, err
	}
	m := Message{
		ID: id.New[id.AgentMessageKind](s.d.IDs), Tenant: sc.Tenant, Sender: n.Sender, Receiver: n.Receiver, Type: n.Type,
		Payload: n.Payload, TraceID: n.TraceID, At: clock.Stored(s.d.Clock.Now()),
	}
	err := s.d.TX.Do(ctx, func(ctx context.Context) error {
		for _, a := range []id.Agent{n.Sender, n.Receiver} {
			if err := s.d.Agents.Exists(ctx, sc, a); err != nil {
				return err
			}
		}
		return s.d.Repository.InsertMessage(ctx, sc, m)
	})
	if err != nil {
		return Message{}, err
	}
	return m, nil
}

// Get returns one message, or id.NotFound.
func (s *Exchange) Get(ctx context.Context, sc account.Scope, message id.AgentMessage) (Message, error) {
	return s.d.Repository.Message(ctx, sc, message)
}

// List returns messages, the latest first.
func (s *Exchange) List(ctx context.Context, sc account.Scope, f MessageFilter, req page.Request) (page.Page[Message], error) {
	return s.d.Repository.Messages(ctx, sc, f, req)
}
