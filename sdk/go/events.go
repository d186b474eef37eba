package valar

import (
	"context"
	"encoding/json"
	"iter"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// Levels of events.
const (
	LevelInfo     = "info"
	LevelWarning  = "warning"
	LevelError    = "error"
	LevelCritical = "critical"
)

// MaxBatch is the most events that LogEvents takes.
const MaxBatch = 500

// Event is something that an agent did.
type Event struct {
	ID            string          `json:"id"`
	AgentID       string          `json:"agent_id"`
	EventType     string          `json:"event_type"`
	Source        string          `json:"source"`
	Level         string          `json:"level"`
	TraceID       string          `json:"trace_id"`
	ParentEventID string          `json:"parent_event_id"`
	Payload       json.RawMessage `json:"payload"` // a JSON object, or null
	CreatedAt     time.Time       `json:"created_at"`
}

// NewEvent is an event to be logged.
type NewEvent struct {
	AgentID       string `json:"agent_id"`                  // required
	EventType     string `json:"event_type"`                // required: what happened, such as task_completed
	Source        string `json:"source,omitempty"`          // which part of the agent says so
	Level         string `json:"level,omitempty"`           // "" means LevelInfo
	TraceID       string `json:"trace_id,omitempty"`        // joins what belongs together
	ParentEventID string `json:"parent_event_id,omitempty"` // the event that this is a part of
	Payload       any    `json:"payload,omitempty"`         // written as a JSON object
}

// EventFilter says which events are listed; what is empty excludes none.
type EventFilter struct {
	Paging

	AgentID, EventType, Source, Level, TraceID, ParentEventID string
	Since, Until                                              time.Time
}

func (f EventFilter) query() params {
	return params{}.text("agent_id", f.AgentID).text("event_type", f.EventType).text("source", f.Source).text("level", f.Level).
		text("trace_id", f.TraceID).text("parent_event_id", f.ParentEventID).time("since", f.Since).time("until", f.Until)
}

// Cleanup says which events CleanupEvents deletes.
type Cleanup struct {
	OlderThanDays int    // 0 is all that are there
	AgentID       string // only of this agent
	AgentName     string // only of the agent of this name
}

// LogEvent logs an event and returns it as it is stored.
func (c *Client) LogEvent(ctx context.Context, e NewEvent) (Event, error) {
	return send[Event](ctx, c, http.MethodPost, "/events", e)
}

// LogEvents logs 1 to MaxBatch events, all or none, and returns them in their order.
func (c *Client) LogEvents(ctx context.Context, events []NewEvent) ([]Event, error) {
	in := struct {
		Events []NewEvent `json:"events"`
	}{events}
	out, err := send[struct{ Events []Event }](ctx, c, http.MethodPost, "/events/batch", in)
	return out.Events, err
}

// ListEvents returns a page of the events.
func (c *Client) ListEvents(ctx context.Context, f EventFilter) (Page[Event], error) {
	return list[Event](ctx, c, "/events", f.Paging, f.query())
}

// AllEvents walks over the events.
func (c *Client) AllEvents(ctx context.Context, f EventFilter) iter.Seq2[Event, error] {
	return all(ctx, c, "/events", f.Paging, f.query(), func(e Event) string { return e.ID })
}

// CleanupEvents deletes old events and returns how many there were.
func (c *Client) CleanupEvents(ctx context.Context, r Cleanup) (deleted int, err error) {
	q := params{"older_than_days": {strconv.Itoa(r.OlderThanDays)}}.text("agent_id", r.AgentID).text("agent_name", r.AgentName)
	var out struct{ Deleted int }
	err = c.call(ctx, call{method: http.MethodDelete, path: "/events", query: url.Values(q), out: &out})
	return out.Deleted, err
}
