package telemetry

import (
	"context"
	"time"

	"github.com/bureau-agents/bureau/core/account"
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

// FeedbackFilter chooses feedback. Zero fields choose all.
type FeedbackFilter struct {
	Target   Target
	TargetID id.UUID
	Type     string
	Agent    id.Agent
	Since    time.Time // inclusive
	Until    time.Time // exclusive
}

// Satisfaction is feedback added up.
type Satisfaction struct {
	Count      int64
	Rated      int64 // those with a Rating
	RatingSum  int64
	ThumbsUp   int64
	ThumbsDown int64
}

// FeedbackRepository keeps feedback. Every method joins the transaction in ctx and sees the scope's tenant only.
type FeedbackRepository interface {
	InsertFeedback(ctx context.Context, sc account.Scope, f Feedback) error
	// Feedback returns what f chooses, the latest first; numbered pages as EventRepository.Events.
	Feedback(ctx context.Context, sc account.Scope, f FeedbackFilter, req page.Request) (page.Page[Feedback], error)
	// Satisfaction adds up what f chooses.
	Satisfaction(ctx context.Context, sc account.Scope, f FeedbackFilter) (Satisfaction, error)
	// DeleteFeedback deletes up to limit entries of before the time, of one agent unless it is zero.
	DeleteFeedback(ctx context.Context, sc account.Scope, agent id.Agent, before time.Time, limit int) (int, error)
}
