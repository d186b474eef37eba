package telemetry

import (
	"context"
	"time"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/internal/check"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/page"
)

// Target says what a Feedback is about.
type Target string

// The targets.
const (
	TargetAgent   Target = "agent"
	TargetEvent   Target = "event"
	TargetMessage Target = "message"
)

// Targets lists every target.
func Targets() []Target { return []Target{TargetAgent, TargetEvent, TargetMessage} }

// ParseTarget reads the id of a target in any spelling. What cannot be parsed is id.NotFound of the target's kind; a target that there is not
// is ErrInvalid at "target_type".
func ParseTarget(t Target, spelled string) (id.UUID, error) {
	switch t {
	case TargetAgent:
		a, err := id.Parse[id.AgentKind](spelled)
		return a.UUID(), err
	case TargetEvent:
		e, err := id.Parse[id.ReportKind](spelled)
		return e.UUID(), err
	case TargetMessage:
		m, err := id.Parse[id.AgentMessageKind](spelled)
		return m.UUID(), err
	}
	var k check.Faults
	k.Addf("target_type", "must be agent, event or message")
	return id.UUID{}, k.Err(ErrInvalid)
}

// FindTarget is ParseTarget for those who may not say what the target is: without a t, any spelling of any target's id is good.
func FindTarget(t Target, spelled string) (id.UUID, error) {
	if t != "" {
		return ParseTarget(t, spelled)
	}
	var err error
	for _, t := range Targets() {
		var u id.UUID
		if u, err = ParseTarget(t, spelled); err == nil {
			return u, nil
		}
	}
	return id.UUID{}, err
}

// SpellTarget writes the id of a target as ids of its kind are written: "agent_...".
func SpellTarget(t Target, of id.UUID) string {
	switch t {
	case TargetAgent:
		return id.Of[id.AgentKind](of).String()
	case TargetEvent:
		return id.Of[id.ReportKind](of).String()
	case TargetMessage:
		return id.Of[id.AgentMessageKind](of).String()
	}
	return of.String()
}

// The types of feedback that mean something to the server; clients may use others.
const (
	ThumbsUp   = "thumbs_up"
	ThumbsDown = "thumbs_down"
)

// Limits of feedback, in characters.
const (
	MaxFeedbackType = 100
	MaxComment      = 10_000
	MaxUser         = 200
	MaxRating       = 5 // the best of ratings, which begin at 1
)

// Feedback is what a user thought of an agent, or of something that it did.
type Feedback struct {
	ID       id.Feedback
	Tenant   id.Tenant
	Target   Target
	TargetID id.UUID
	Agent    id.Agent // the agent that it is about: the target, who reported the event, or who sent the message
	Type     string   // "thumbs_up", "thumbs_down", "comment", or another word of the client's
	Rating   int      // 1 to 5; 0 is none
	Comment  string
	User     string // who says so, as the client names them; "" is nobody
	At       time.Time
}

// NewFeedback is feedback that was not stored yet.
type NewFeedback struct {
	Target   Target
	TargetID id.UUID // see ParseTarget
	Type     string  // at most MaxFeedbackType characters
	Rating   int     // 1 to 5; 0 is none
	Comment  string  // at most MaxComment characters
	User     string  // at most MaxUser characters
}

// FeedbackFilter chooses feedback. Zero fields choose all.
type FeedbackFilter struct {
	Target   Target
	TargetID id.UUID
	Type     string
	Agent    id.Agent
	TraceID  string    // about events and messages of this trace
	Since    time.Time // inclusive
	Until    time.Time // exclusive
}

// FeedbackRepository keeps feedback. Every method joins the transaction in ctx and sees the scope's tenant only.
type FeedbackRepository interface {
	InsertFeedback(ctx context.Context, sc account.Scope, f Feedback) error
	// Feedback returns what f chooses, the latest first; numbered pages as EventRepository.Events.
	Feedback(ctx context.Context, sc account.Scope, f FeedbackFilter, req page.Request) (page.Page[Feedback], error)
	// Satisfaction adds up what f chooses.
	Satisfaction(ctx context.Context, sc account.Scope, f FeedbackFilter) (Satisfaction, error)
	// SatisfactionBy adds up what f chooses by agent or by day, in the order of the keys.
	SatisfactionBy(ctx context.Context, sc account.Scope, f FeedbackFilter, by SatisfactionGrouping) ([]SatisfactionGroup, error)
	// DeleteFeedback deletes up to limit entries of before the time, of whenever when that is zero, of one agent unless it is zero, and
	// returns how many there were.
	DeleteFeedback(ctx context.Context, sc account.Scope, agent id.Agent, before time.Time, limit int) (int, error)
}
