package valar

import (
	"context"
	"iter"
	"net/http"
	"net/url"
	"time"
)

// What feedback is about, and its kinds that summaries count.
const (
	TargetAgent   = "agent"
	TargetEvent   = "event"
	TargetMessage = "message"
	ThumbsUp      = "thumbs_up"
	ThumbsDown    = "thumbs_down"
)

// Feedback is what somebody thinks of an agent, an event or a message.
type Feedback struct {
	ID           string    `json:"id"`
	TargetType   string    `json:"target_type"`
	TargetID     string    `json:"target_id"`
	FeedbackType string    `json:"feedback_type"`
	Rating       int       `json:"rating"` // 1 to 5; 0 is none
	Comment      string    `json:"comment"`
	User         string    `json:"user"`
	CreatedAt    time.Time `json:"created_at"`
}

// NewFeedback is feedback to be submitted.
type NewFeedback struct {
	TargetType   string `json:"target_type"`      // required: TargetAgent, TargetEvent or TargetMessage
	TargetID     string `json:"target_id"`        // required
	FeedbackType string `json:"feedback_type"`    // required, such as ThumbsUp
	Rating       int    `json:"rating,omitempty"` // 1 to 5; 0 is none
	Comment      string `json:"comment,omitempty"`
	User         string `json:"user,omitempty"` // who thinks so
}

// FeedbackFilter says which feedback is listed; what is empty excludes none.
type FeedbackFilter struct {
	Paging

	TargetType, TargetID, FeedbackType, AgentID string
}

func (f FeedbackFilter) query() params {
	return params{}.text("target_type", f.TargetType).text("target_id", f.TargetID).text("feedback_type", f.FeedbackType).text("agent_id", f.AgentID)
}

// Span is what a summary is about; what is empty excludes nothing.
type Span struct {
	AgentID      string
	Since, Until time.Time
}

func (s Span) query() params {
	return params{}.text("agent_id", s.AgentID).time("since", s.Since).time("until", s.Until)
}

// FeedbackSummary is feedback added up.
type FeedbackSummary struct {
	Count         int      `json:"count"`
	AverageRating *float64 `json:"average_rating"` // nil without ratings
	ThumbsUp      int      `json:"thumbs_up"`
	ThumbsDown    int      `json:"thumbs_down"`
	Satisfaction  *float64 `json:"satisfaction"` // the share of thumbs up, 0 to 1; nil without any
}

// SubmitFeedback submits feedback and returns it as it is stored.
func (c *Client) SubmitFeedback(ctx context.Context, f NewFeedback) (Feedback, error) {
	return send[Feedback](ctx, c, http.MethodPost, "/feedback", f)
}

// ListFeedback returns a page of the feedback.
func (c *Client) ListFeedback(ctx context.Context, f FeedbackFilter) (Page[Feedback], error) {
	return list[Feedback](ctx, c, "/feedback", f.Paging, f.query())
}

// AllFeedback walks over the feedback.
func (c *Client) AllFeedback(ctx context.Context, f FeedbackFilter) iter.Seq2[Feedback, error] {
	return all(ctx, c, "/feedback", f.Paging, f.query(), func(f Feedback) string { return f.ID })
}

// SummarizeFeedback adds feedback up.
func (c *Client) SummarizeFeedback(ctx context.Context, s Span) (out FeedbackSummary, err error) {
	err = c.call(ctx, call{method: http.MethodGet, path: "/feedback/summary", query: url.Values(s.query()), out: &out})
	return out, err
}
