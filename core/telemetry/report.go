package telemetry

import (
	"bytes"
	"context"
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/internal/check"
	"github.com/bureau-agents/bureau/ports/id"
)

// Report stores a batch of 1 to MaxBatch events, all or none, and returns them in their order. ErrInvalid names every fault at
// "events[3].level" and the like; an agent that the tenant does not have is id.NotFound. Once it returns, the events are committed, unless ctx
// has a transaction: then they are when that is.
func (s *Service) Report(ctx context.Context, sc account.Scope, events []NewEvent) ([]Event, error) {
	out, _, err := s.report(ctx, sc, events)
	return out, err
}

// ReportNew is Report, but returns only the events that were not stored already, under the ID that they bring.
func (s *Service) ReportNew(ctx context.Context, sc account.Scope, events []NewEvent) ([]Event, error) {
	_, fresh, err := s.report(ctx, sc, events)
	return fresh, err
}

func (s *Service) report(ctx context.Context, sc account.Scope, events []NewEvent) (all, fresh []Event, err error) {
	var faults check.Faults
	if len(events) == 0 || len(events) > MaxBatch {
		faults.Addf("events", "must have 1 to %d events, has %d", MaxBatch, len(events))
		return nil, nil, faults.Err(ErrInvalid)
	}
	for i := range events {
		if !sound(&events[i]) {
			checkEvent(&faults, "events["+strconv.Itoa(i)+"].", &events[i])
		}
	}
	if err := faults.Err(ErrInvalid); err != nil {
		return nil, nil, err
	}
	return s.store(ctx, sc, events)
}

// ReportOne is Report for a single event, whose faults are at "level" and the like.
func (s *Service) ReportOne(ctx context.Context, sc account.Scope, event NewEvent) (Event, error) {
	var faults check.Faults
	checkEvent(&faults, "", &event)
	if err := faults.Err(ErrInvalid); err != nil {
		return Event{}, err
	}
	all, _, err := s.store(ctx, sc, []NewEvent{event})
	if err != nil {
		return Event{}, err
	}
	return all[0], nil
}

// The times that an event may say it happened at.
var (
	earliest = time.UnixMilli(0)
	latest   = time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC)
)

// sound reports whether an event is surely right: most are, and are short texts in ASCII. checkEvent looks at the others.
func sound(e *NewEvent) bool {
	switch e.Level {
	case "", LevelInfo, LevelWarning, LevelError, LevelCritical:
	default:
		return false
	}
	p := e.Payload
	return !e.Agent.IsZero() && e.ID.IsZero() && e.At.IsZero() && e.Type != "" && e.Type[0] != ' ' && simple(e.Type, MaxType) && simple(e.Source, MaxSource) &&
		simple(e.TraceID, MaxTrace) && (len(p) == 0 || len(p) <= MaxPayload && p[0] == '{' && p[len(p)-1] == '}')
}

// simple reports whether s is at most so many characters of printable ASCII.
func simple(s string, most int) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return false
		}
	}
	return len(s) <= most
}

func checkEvent(k *check.Faults, at string, e *NewEvent) {
	if e.Agent.IsZero() {
		k.Addf(at+"agent_id", "is required")
	}
	if e.Type == "" {
		k.Addf(at+"event_type", "is required")
	} else {
		k.Given(at+"event_type", e.Type, MaxType)
	}
	k.Text(at+"source", e.Source, MaxSource)
	if e.Level != "" && !slices.Contains(Levels(), e.Level) {
		k.Addf(at+"level", "must be info, warning, error or critical")
	}
	k.Text(at+"trace_id", e.TraceID, MaxTrace)
	switch p := bytes.TrimSpace(e.Payload); {
	case len(p) == 0, string(p) == "null":
		e.Payload = nil
	case len(p) > MaxPayload:
		k.Addf(at+"payload", "has %d bytes; at most %d are allowed", len(p), MaxPayload)
	case p[0] != '{' || p[len(p)-1] != '}':
		k.Addf(at+"payload", "must be a JSON object")
	default:
		e.Payload = p
	}
	if !e.ID.IsZero() {
		if _, own := timeOf(e.ID.UUID()); own {
			k.Addf(at+"id", "must not be a UUIDv7: the server makes those")
		}
	}
	switch {
	case e.At.IsZero():
	case e.ID.IsZero():
		k.Addf(at+"at", "needs an id")
	case e.At.Before(earliest) || e.At.After(latest):
		k.Addf(at+"at", "must be from 1970 until the year 9999")
	}
}

// store keeps events in which nothing is wrong.
func (s *Service) store(ctx context.Context, sc account.Scope, events []NewEvent) (all, fresh []Event, err error) {
	if err := s.known(ctx, sc, events); err != nil {
		return nil, nil, err
	}
	all = make([]Event, len(events))
	for i := range events {
		n := &events[i]
		e := Event{
			ID: n.ID, Tenant: sc.Tenant, Agent: n.Agent, Type: n.Type, Source: n.Source, Level: n.Level, TraceID: n.TraceID, Parent: n.Parent,
			Payload: oneLine(n.Payload), At: n.At,
		}
		if e.Level == "" {
			e.Level = LevelInfo
		}
		if e.ID.IsZero() {
			e.ID = id.New[id.ReportKind](s.d.IDs)
			e.At, _ = timeOf(e.ID.UUID())
		} else if e.At.IsZero() {
			e.At = s.d.Clock.Now()
		}
		e.At = e.At.UTC().Truncate(time.Millisecond)
		all[i] = e
	}
	if fresh, err = s.d.Events.InsertEvents(ctx, sc, all); err != nil {
		return nil, nil, err
	}
	if s.d.Listener != nil && len(fresh) > 0 {
		s.d.TX.AfterCommit(ctx, func() { s.d.Listener.Reported(context.WithoutCancel(ctx), sc, fresh) })
	}
	return all, fresh, nil
}

// oneLine returns the payload without line breaks, which are only there between its parts: exports write an event a line.
func oneLine(payload json.RawMessage) json.RawMessage {
	if len(payload) == 0 {
		return nil
	}
	if bytes.IndexByte(payload, '\n') < 0 && bytes.IndexByte(payload, '\r') < 0 {
		return payload
	}
	return json.RawMessage(strings.NewReplacer("\n", "", "\r", "").Replace(string(payload)))
}
