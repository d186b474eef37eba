package telemetry

import (
	"context"
	"slices"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/internal/check"
	"github.com/bureau-agents/bureau/ports/clock"
	"github.com/bureau-agents/bureau/ports/fault"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/page"
	"github.com/bureau-agents/bureau/ports/tx"
)

// EventSource is the part of EventRepository that tells whose an event is.
type EventSource interface {
	// Event returns one event, or id.NotFound.
	Event(ctx context.Context, sc account.Scope, event id.Report) (Event, error)
}

// MessageSource is the part of MessageRepository that tells whose a message is.
type MessageSource interface {
	// Message returns one message, or id.NotFound.
	Message(ctx context.Context, sc account.Scope, message id.AgentMessage) (Message, error)
}

// OpinionsDeps is what Opinions need; all fields are required.
type OpinionsDeps struct {
	TX         tx.Runner
	Clock      clock.Clock
	IDs        id.Generator
	Repository FeedbackRepository
	Agents     Agents
	Events     EventSource
	Messages   MessageSource
}

// Opinions keeps what users think of agents and of their work. It is safe for concurrent use.
type Opinions struct{ d OpinionsDeps }

// NewOpinions returns Opinions, or an error that names what d lacks.
func NewOpinions(d OpinionsDeps) (*Opinions, error) {
	if err := required("OpinionsDeps", []dependency{
		{"TX", d.TX == nil},
		{"Clock", d.Clock == nil},
		{"IDs", d.IDs == nil},
		{"Repository", d.Repository == nil},
		{"Agents", d.Agents == nil},
		{"Events", d.Events == nil},
		{"Messages", d.Messages == nil},
	}); err != nil {
		return nil, err
	}
	return &Opinions{d}, nil
}

// Submit stores feedback, now. It is about an agent: the target itself, who reported the event, or who sent the message. It returns ErrInvalid
// with the faults at "target_type", "feedback_type", "rating", "comment" and "user", and id.NotFound when the tenant lacks the target.
func (s *Opinions) Submit(ctx context.Context, sc account.Scope, n NewFeedback) (Feedback, error) {
	if err := n.check(); err != nil {
		return Feedback{}, err
	}
	f := Feedback{
		ID: id.New[id.FeedbackKind](s.d.IDs), Tenant: sc.Tenant, Target: n.Target, TargetID: n.TargetID, Type: n.Type, Rating: n.Rating,
		Comment: n.Comment, User: n.User, At: clock.Stored(s.d.Clock.Now()),
	}
	err := s.d.TX.Do(ctx, func(ctx context.Context) (err error) {
		if f.Agent, err = s.about(ctx, sc, n); err != nil {
			return err
		}
		return s.d.Repository.InsertFeedback(ctx, sc, f)
	})
	if err != nil {
		return Feedback{}, err
	}
	return f, nil
}

func (n NewFeedback) check() error {
	var k check.Faults
	if !slices.Contains(Targets(), n.Target) {
		k.Addf("target_type", "must be agent, event or message")
	}
	k.Given("feedback_type", n.Type, MaxFeedbackType)
	if n.Rating < 0 || n.Rating > MaxRating {
		k.Addf("rating", "must be 1 to %d", MaxRating)
	}
	k.Text("comment", n.Comment, MaxComment)
	k.Text("user", n.User, MaxUser)
	return k.Err(ErrInvalid)
}

// about returns the agent that feedback is about.
func (s *Opinions) about(ctx context.Context, sc account.Scope, n NewFeedback) (id.Agent, error) {
	switch n.Target {
	case TargetEvent:
		e, err := s.d.Events.Event(ctx, sc, id.Of[id.ReportKind](n.TargetID))
		return e.Agent, err
	case TargetMessage:
		m, err := s.d.Messages.Message(ctx, sc, id.Of[id.AgentMessageKind](n.TargetID))
		return m.Sender, err
	case TargetAgent:
	}
	a := id.Of[id.AgentKind](n.TargetID)
	return a, s.d.Agents.Exists(ctx, sc, a)
}

// List returns feedback, the latest first.
func (s *Opinions) List(ctx context.Context, sc account.Scope, f FeedbackFilter, req page.Request) (page.Page[Feedback], error) {
	return s.d.Repository.Feedback(ctx, sc, f, req)
}

// Summary adds feedback up.
func (s *Opinions) Summary(ctx context.Context, sc account.Scope, f FeedbackFilter) (Satisfaction, error) {
	return s.d.Repository.Satisfaction(ctx, sc, f)
}

// ErrGrouping is returned for a grouping that SummaryBy does not know.
var ErrGrouping = fault.New(fault.Invalid, "feedback_grouping", "feedback is added up by agent or by day")

// SummaryBy adds feedback up by agent or by day. ErrGrouping for another grouping.
func (s *Opinions) SummaryBy(ctx context.Context, sc account.Scope, f FeedbackFilter, by SatisfactionGrouping) ([]SatisfactionGroup, error) {
	if by != SatisfactionByAgent && by != SatisfactionByDay {
		return nil, ErrGrouping
	}
	return s.d.Repository.SatisfactionBy(ctx, sc, f, by)
}
