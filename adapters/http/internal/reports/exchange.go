package reports

import (
	"encoding/json"

	"github.com/bureau-agents/bureau/core/telemetry"
	"github.com/bureau-agents/bureau/ports/id"
)

// SentMessage is a message between agents as a body has it.
type SentMessage struct {
	SenderID    string  `json:"sender_id" doc:"Who sent it."`
	ReceiverID  string  `json:"receiver_id" doc:"Who got it."`
	MessageType string  `json:"message_type" minLength:"1" maxLength:"200" pattern:"\\S" patternDescription:"more than blanks" doc:"Such as request or response."`
	Payload     Object  `json:"payload,omitempty" doc:"Whatever you like, up to 256 KiB."`
	TraceID     *string `json:"trace_id,omitempty" maxLength:"200" doc:"What belongs together has one."`
}

// Read returns the message, or id.NotFound for an agent whose id cannot be read.
func (m *SentMessage) Read() (telemetry.NewMessage, error) {
	n := telemetry.NewMessage{Type: m.MessageType, Payload: json.RawMessage(m.Payload), TraceID: deref(m.TraceID)}
	var err error
	if n.Sender, err = id.Parse[id.AgentKind](m.SenderID); err != nil {
		return n, err
	}
	n.Receiver, err = id.Parse[id.AgentKind](m.ReceiverID)
	return n, err
}

// ReadSides reads the agents that a filter names; "" is none. It returns id.NotFound for an id that cannot be read.
func ReadSides(f *telemetry.MessageFilter, agent, sender, receiver string) (err error) {
	for _, side := range []struct {
		spelled string
		to      *id.Agent
	}{{agent, &f.Agent}, {sender, &f.Sender}, {receiver, &f.Receiver}} {
		if side.spelled == "" {
			continue
		}
		if *side.to, err = id.Parse[id.AgentKind](side.spelled); err != nil {
			return err
		}
	}
	return nil
}

// SentFeedback is feedback as a body has it.
type SentFeedback struct {
	TargetType   string  `json:"target_type" enum:"agent,event,message" doc:"What it is about."`
	TargetID     string  `json:"target_id" doc:"Which one."`
	FeedbackType string  `json:"feedback_type" minLength:"1" maxLength:"100" pattern:"\\S" patternDescription:"more than blanks" doc:"thumbs_up, thumbs_down, or another word of yours."`
	Rating       *int    `json:"rating,omitempty" minimum:"1" maximum:"5"`
	Comment      *string `json:"comment,omitempty" maxLength:"10000"`
	User         *string `json:"user,omitempty" maxLength:"200" doc:"Who says so, as you name them."`
}

// Read returns the feedback, or id.NotFound for a target whose id cannot be read.
func (o *SentFeedback) Read() (telemetry.NewFeedback, error) {
	n := telemetry.NewFeedback{Target: telemetry.Target(o.TargetType), Type: o.FeedbackType, Comment: deref(o.Comment), User: deref(o.User)}
	if o.Rating != nil {
		n.Rating = *o.Rating
	}
	var err error
	n.TargetID, err = telemetry.ParseTarget(n.Target, o.TargetID)
	return n, err
}

// OpinionQuery is what chooses feedback.
type OpinionQuery struct {
	TargetType   string `query:"target_type" enum:"agent,event,message" doc:"Only about one of these."`
	TargetID     string `query:"target_id" doc:"Only about this one."`
	FeedbackType string `query:"feedback_type" maxLength:"100" doc:"Only this type."`
	AgentID      string `query:"agent_id" doc:"Only about this agent, its events and its messages."`
}

// Filter reads the query. It returns id.NotFound for an id that cannot be read.
func (q *OpinionQuery) Filter() (telemetry.FeedbackFilter, error) {
	f := telemetry.FeedbackFilter{Target: telemetry.Target(q.TargetType), Type: q.FeedbackType}
	var err error
	if q.TargetID != "" {
		if f.TargetID, err = telemetry.FindTarget(f.Target, q.TargetID); err != nil {
			return f, err
		}
	}
	if q.AgentID != "" {
		f.Agent, err = id.Parse[id.AgentKind](q.AgentID)
	}
	return f, err
}

// Satisfaction is feedback added up, as an answer has it.
type Satisfaction struct {
	Count         int64    `json:"count"`
	AverageRating *float64 `json:"average_rating" doc:"1 to 5; null without ratings."`
	ThumbsUp      int64    `json:"thumbs_up"`
	ThumbsDown    int64    `json:"thumbs_down"`
	Satisfaction  *float64 `json:"satisfaction" doc:"The part of those who were satisfied among those who were or were not, 0 to 1: by thumb, and without a thumb by a rating of at least 4 or of at most 2. null when nobody says."`
}

// ShowSatisfaction writes it.
func ShowSatisfaction(s telemetry.Satisfaction) Satisfaction {
	return Satisfaction{s.Count, s.AverageRating(), s.ThumbsUp, s.ThumbsDown, s.Share()}
}
