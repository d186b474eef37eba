package telemetry

import (
	"context"
	"slices"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/ports/clock"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/page"
)

// TracesDeps is what Traces need; all fields are required.
type TracesDeps struct {
	Clock      clock.Clock
	Repository TraceRepository
	Messages   MessageRepository
	Feedback   FeedbackRepository
}

// Traces shows what events have in common: a trace, a time. It is safe for concurrent use.
type Traces struct{ d TracesDeps }

// NewTraces returns Traces, or an error that names what d lacks.
func NewTraces(d TracesDeps) (*Traces, error) {
	if err := required("TracesDeps", []dependency{
		{"Clock", d.Clock == nil},
		{"Repository", d.Repository == nil},
		{"Messages", d.Messages == nil},
		{"Feedback", d.Feedback == nil},
	}); err != nil {
		return nil, err
	}
	return &Traces{d}, nil
}

// maxRoots is how many events a page of traces looks at. Where many events without a Parent share a trace, pages get short before they get slow.
const maxRoots = 2000

// List returns traces, each once, where its newest event without a Parent that fits f stands, the latest first. A trace of which every event has a
// Parent is not listed. A page may be short, even empty, and have a Next. Offset and Count are not known.
func (s *Traces) List(ctx context.Context, sc account.Scope, f TraceFilter, req page.Request) (page.Page[Trace], error) {
	var out page.Page[Trace]
	before, err := s.place(req.Cursor)
	if err != nil {
		return out, err
	}
	var roots []Event
	var ids []string
	seen, looked, last, more := map[string]bool{}, 0, Place{}, false
	err = s.d.Repository.EachRoot(ctx, sc, f, before, maxRoots, func(e Event) bool {
		if !seen[e.TraceID] && len(roots) == req.Size() {
			more = true
			return false
		}
		if !seen[e.TraceID] {
			seen[e.TraceID] = true
			roots, ids = append(roots, e), append(ids, e.TraceID)
		}
		looked++
		last = e.Place()
		return true
	})
	if err != nil || len(roots) == 0 {
		return out, err
	}
	sums, err := s.d.Repository.SumTraces(ctx, sc, f, ids)
	if err != nil {
		return out, err
	}
	for _, e := range roots {
		// One with a newer root was on a page before.
		if t := sums[e.TraceID]; t.Events > 0 && t.NewestRoot == e.Place() {
			out.Items = append(out.Items, Trace{e.TraceID, e, t})
		}
	}
	if more || looked == maxRoots {
		out.Next = s.d.Repository.EncodePlace(last)
	}
	return out, nil
}

func (s *Traces) place(cursor string) (Place, error) {
	if cursor == "" {
		return Place{}, nil
	}
	return s.d.Repository.DecodePlace(cursor)
}

// Get returns a trace with everything that belongs to it. ErrTraceUnknown when nothing does.
func (s *Traces) Get(ctx context.Context, sc account.Scope, trace string) (Tree, error) {
	t := Tree{TraceID: trace}
	if trace == "" {
		return t, ErrTraceUnknown
	}
	var events []Event
	size := 0
	err := s.d.Repository.EachOfTrace(ctx, sc, trace, MaxTraceEvents+1, func(e Event) bool {
		size += len(e.Payload)
		if t.Truncated = len(events) == MaxTraceEvents || size > MaxTraceBytes && len(events) > 0; t.Truncated {
			return false
		}
		events = append(events, e)
		return true
	})
	if err != nil {
		return t, err
	}
	most := page.Request{Limit: MaxTraceOthers}
	messages, err := s.d.Messages.Messages(ctx, sc, MessageFilter{TraceID: trace}, most)
	if err != nil {
		return t, err
	}
	if len(events) == 0 && len(messages.Items) == 0 {
		return t, ErrTraceUnknown
	}
	feedback, err := s.d.Feedback.Feedback(ctx, sc, FeedbackFilter{TraceID: trace}, most)
	if err != nil {
		return t, err
	}
	t.Roots, t.TraceSums = buildTree(events), sum(events)
	t.Messages, t.Feedback = messages.Items, feedback.Items
	slices.Reverse(t.Messages)
	slices.Reverse(t.Feedback)
	t.Truncated = t.Truncated || messages.Next != "" || feedback.Next != ""
	return t, nil
}

// sum adds up events that come in the order of At.
func sum(events []Event) TraceSums {
	t := TraceSums{Events: int64(len(events))}
	for i, e := range events {
		if i == 0 {
			t.Start = e.At
		}
		t.End = e.At
		if e.Level == LevelError || e.Level == LevelCritical {
			t.Errors++
		}
		if e.Parent.IsZero() {
			t.NewestRoot = e.Place()
		}
		if !slices.Contains(t.Agents, e.Agent) {
			t.Agents = append(t.Agents, e.Agent)
		}
	}
	slices.SortFunc(t.Agents, compareAgents)
	return t
}

func compareAgents(a, b id.Agent) int {
	x, y := a.UUID(), b.UUID()
	return slices.Compare(x[:], y[:])
}
