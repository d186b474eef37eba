package span

import (
	"context"
	"encoding/hex"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/telemetry"
	"github.com/bureau-agents/bureau/core/usage"
	"github.com/bureau-agents/bureau/ports/clock"
	"github.com/bureau-agents/bureau/ports/fault"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/tx"
)

// Events is where events go; *telemetry.Service is one.
type Events interface {
	// ReportNew stores up to telemetry.MaxBatch events in the transaction of ctx, passes over those that are there, and returns the others.
	ReportNew(ctx context.Context, sc account.Scope, events []telemetry.NewEvent) ([]telemetry.Event, error)
}

// Meter is where usage goes; *usage.Service is one.
type Meter interface {
	// RecordAll prices rows and stores them in the transaction of ctx, or none of them: usage.ErrCostOverflow when one cannot be priced.
	RecordAll(ctx context.Context, sc account.Scope, rows ...usage.Row) ([]usage.Row, error)
}

// Deps is what a Service needs; all fields are required.
type Deps struct {
	TX     tx.Runner
	Clock  clock.Clock
	IDs    id.Generator
	Agents Directory
	Events Events
	Meter  Meter
	Ledger Ledger
}

// Service takes what is exported. It is safe for concurrent use.
type Service struct{ d Deps }

// NewService returns a Service, or an error that names the missing dependency.
func NewService(d Deps) (*Service, error) {
	switch {
	case d.TX == nil:
		return nil, errors.New("span: Deps.TX is required")
	case d.Clock == nil:
		return nil, errors.New("span: Deps.Clock is required")
	case d.IDs == nil:
		return nil, errors.New("span: Deps.IDs is required")
	case d.Agents == nil:
		return nil, errors.New("span: Deps.Agents is required")
	case d.Events == nil:
		return nil, errors.New("span: Deps.Events is required")
	case d.Meter == nil:
		return nil, errors.New("span: Deps.Meter is required")
	case d.Ledger == nil:
		return nil, errors.New("span: Deps.Ledger is required")
	}
	return &Service{d}, nil
}

// rejections gathers what was refused and why, each reason once.
type rejections struct {
	n       int
	reasons []string
}

// maxReasons is how many reasons a message has.
const maxReasons = 5

func (r *rejections) add(reason string) {
	r.n++
	if len(r.reasons) < maxReasons && !slices.Contains(r.reasons, reason) {
		r.reasons = append(r.reasons, reason)
	}
}

func (r *rejections) result() Result { return Result{r.n, strings.Join(r.reasons, "; ")} }

// item is what is about to be stored.
type item struct {
	event telemetry.NewEvent
	usage *usage.Row // nil: nothing is billed
}

// Spans stores spans as events, and the usage that they tell of, all in one transaction. Result counts those that cannot be stored, by
// themselves or for want of an agent; the others are stored all the same. An error, ErrTooMany or one of the store's, stores nothing.
func (s *Service) Spans(ctx context.Context, sc account.Scope, spans []Span) (Result, error) {
	if len(spans) > MaxItems {
		return Result{}, ErrTooMany
	}
	var refused rejections
	agents := &roster{s, sc, map[string]found{}}
	now := s.d.Clock.Now()
	spans = slices.Clone(spans)
	small := newOrigins()
	for i := range spans {
		spans[i].Origin = small.small(spans[i].Origin)
	}
	whose := claims(spans)
	billed := outermost(spans)
	items := make([]item, 0, len(spans))
	for i := range spans {
		sp := &spans[i]
		if reason := sp.fault(now); reason != "" {
			refused.add(reason)
			continue
		}
		f, err := agents.find(ctx, whose[i])
		if err != nil {
			return Result{}, err
		}
		if f.refused != "" {
			refused.add(f.refused)
			continue
		}
		e, err := sp.event(sc.Tenant, now)
		if err != nil {
			refused.add(err.Error())
			continue
		}
		e.Agent = f.agent
		it := item{event: e}
		if billed[i] {
			row := sp.usage(&e, now)
			it.usage = &row
		}
		items = append(items, it)
	}
	return refused.result(), s.store(ctx, sc, items, now)
}

// outermost says which spans are billed, of those inside of each other the outermost.
func outermost(spans []Span) []bool {
	at := make(map[[2]string]int, len(spans))
	for i := range spans {
		at[[2]string{spans[i].TraceID, spans[i].SpanID}] = i
	}
	billed := make([]bool, len(spans))
	for i := range spans { // each once, however many are inside of it
		billed[i] = spans[i].billed()
	}
	out := make([]bool, len(spans))
	for i := range spans {
		if !billed[i] {
			continue
		}
		out[i] = true
		eachAround(spans, at, i, func(j int) bool {
			out[i] = j == i || !billed[j]
			return out[i]
		})
	}
	return out
}

// How old what is exported may be, and how far ahead of the server's clock. Nobody knows any more whether older things were taken before.
const (
	maxAge   = 30 * 24 * time.Hour
	maxAhead = 24 * time.Hour
)

// untimely says what is wrong with when something happened, "" nothing; zero times were not said.
func untimely(now time.Time, said ...time.Time) string {
	for _, t := range said {
		switch {
		case t.IsZero():
		case t.Before(now.Add(-maxAge)):
			return "it happened more than 30 days ago"
		case t.After(now.Add(maxAhead)):
			return "it has not happened yet: its time is more than a day ahead"
		}
	}
	return ""
}

// fault says what keeps a span from being stored, "" nothing.
func (s *Span) fault(now time.Time) string {
	switch {
	case !isID(s.TraceID, 16):
		return "trace_id must be 16 bytes that are not all zero"
	case !isID(s.SpanID, 8):
		return "span_id must be 8 bytes that are not all zero"
	case s.ParentID != "" && !isID(s.ParentID, 8):
		return "parent_span_id must be empty or 8 bytes that are not all zero"
	case s.absurd():
		return "gen_ai.usage counts more tokens than a call can use"
	}
	return untimely(now, s.End, s.Start)
}

func isID(digits string, size int) bool {
	b, err := hex.DecodeString(digits)
	return err == nil && len(b) == size && strings.Trim(digits, "0") != "" && digits == strings.ToLower(digits)
}

// Records stores log records as events, as Spans does.
func (s *Service) Records(ctx context.Context, sc account.Scope, records []Record) (Result, error) {
	if len(records) > MaxItems {
		return Result{}, ErrTooMany
	}
	var refused rejections
	agents := &roster{s, sc, map[string]found{}}
	now := s.d.Clock.Now()
	items := make([]item, 0, len(records))
	same := map[id.Report]int{}
	small := newOrigins()
	for _, r := range records {
		r.Origin = small.small(r.Origin)
		switch {
		case r.TraceID != "" && !isID(r.TraceID, 16):
			refused.add("trace_id must be empty or 16 bytes that are not all zero")
			continue
		case r.SpanID != "" && !isID(r.SpanID, 8):
			refused.add("span_id must be empty or 8 bytes that are not all zero")
			continue
		}
		if reason := untimely(now, r.At, r.Observed); reason != "" {
			refused.add(reason)
			continue
		}
		c, ok := says(r.Attributes)
		if !ok {
			c = r.Origin.claim()
		}
		c.platform = text(r.Origin.Resource, "telemetry.sdk.language")
		f, err := agents.find(ctx, c)
		if err != nil {
			return Result{}, err
		}
		if f.refused != "" {
			refused.add(f.refused)
			continue
		}
		first := r.identity(sc.Tenant, 0)
		e, err := r.event(sc.Tenant, now, same[first])
		if err != nil {
			refused.add(err.Error())
			continue
		}
		same[first]++
		e.Agent = f.agent
		items = append(items, item{event: e})
	}
	return refused.result(), s.store(ctx, sc, items, now)
}

// remembered is how long the ledger knows what was taken: longer than maxAge.
const remembered = maxAge + maxAhead

// store writes what was not taken before.
func (s *Service) store(ctx context.Context, sc account.Scope, items []item, now time.Time) error {
	if len(items) == 0 {
		return nil
	}
	err := s.d.TX.Do(ctx, func(ctx context.Context) error {
		fresh, err := s.take(ctx, sc, items, now)
		if err != nil {
			return err
		}
		stored := make(map[id.Report]bool, len(fresh))
		for batch := range slices.Chunk(fresh, telemetry.MaxBatch) {
			events := make([]telemetry.NewEvent, len(batch))
			for i := range batch {
				events[i] = batch[i].event
			}
			kept, err := s.d.Events.ReportNew(ctx, sc, events)
			if err != nil {
				return err
			}
			for _, e := range kept {
				stored[e.ID] = true
			}
		}
		return s.bill(ctx, sc, slices.DeleteFunc(fresh, func(it item) bool { return it.usage == nil || !stored[it.event.ID] }))
	})
	if fault.KindOf(err) == fault.NotFound {
		return ErrAgentGone.Wrap(err)
	}
	return err
}

// take notes the items that bear ids of their own, and returns all but those that were noted before.
func (s *Service) take(ctx context.Context, sc account.Scope, items []item, now time.Time) ([]item, error) {
	var arrivals []Arrival
	for _, it := range items {
		if e := &it.event; !e.ID.IsZero() {
			arrivals = append(arrivals, Arrival{Event: e.ID, Parent: e.Parent, Number: id.New[id.ReportKind](s.d.IDs)})
		}
	}
	if err := s.d.Ledger.Forget(ctx, sc, before(now.Add(-remembered)), 2*len(arrivals)); err != nil {
		return nil, err
	}
	fresh, err := s.d.Ledger.Take(ctx, sc, arrivals)
	if err != nil {
		return nil, err
	}
	out := make([]item, 0, len(items))
	for _, it := range items {
		switch e := &it.event; {
		case e.ID.IsZero():
			out = append(out, it)
		case fresh[e.ID]:
			delete(fresh, e.ID) // a span that one export has twice counts once
			out = append(out, it)
		}
	}
	return out, nil
}

// bill stores the usage of items, but for those next to which one was billed before.
func (s *Service) bill(ctx context.Context, sc account.Scope, items []item) error {
	if len(items) == 0 {
		return nil
	}
	kin := make([]id.Report, 0, 2*len(items))
	for _, it := range items {
		kin = append(kin, it.event.ID)
		if !it.event.Parent.IsZero() {
			kin = append(kin, it.event.Parent)
		}
	}
	billed, above, err := s.d.Ledger.Kin(ctx, sc, kin)
	if err != nil {
		return err
	}
	var rows []usage.Row
	var done []id.Report
	for _, it := range items {
		if above[it.event.ID] || billed[it.event.Parent] {
			continue
		}
		rows, done = append(rows, *it.usage), append(done, it.event.ID)
	}
	if len(rows) == 0 {
		return nil
	}
	if err := s.d.Ledger.SetBilled(ctx, sc, done); err != nil {
		return err
	}
	return s.record(ctx, sc, rows) // last, since it locks the sums of whole days
}

// record stores rows. One that costs more than can be represented is stored without a cost: the others are worth more than its price.
func (s *Service) record(ctx context.Context, sc account.Scope, rows []usage.Row) error {
	_, err := s.d.Meter.RecordAll(ctx, sc, rows...)
	if !errors.Is(err, usage.ErrCostOverflow) {
		return err
	}
	for _, r := range rows {
		_, err := s.d.Meter.RecordAll(ctx, sc, r)
		if errors.Is(err, usage.ErrCostOverflow) {
			r.Priced = true
			_, err = s.d.Meter.RecordAll(ctx, sc, r)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// before returns an id that is lower than those made at a time or later, and higher than those made in earlier milliseconds.
func before(t time.Time) id.Report {
	var u id.UUID
	ms := max(t.UnixMilli(), 0)
	for i := 5; i >= 0; i-- {
		u[i] = byte(ms)
		ms >>= 8
	}
	return id.Of[id.ReportKind](u)
}
