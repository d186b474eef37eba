package session

import (
	"context"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/ports/fault"
	"github.com/bureau-agents/bureau/ports/id"
)

// Limits of an outcome. They are those of the Managed Agents API; texts count characters.
const (
	MaxRubric            = 262_144
	MaxOutcome           = 100_000 // of a description
	DefaultMaxIterations = 3
	MostMaxIterations    = 20
)

// OutcomeResult is how far an outcome came.
type OutcomeResult string

// The results. The last four are final.
const (
	OutcomePending       OutcomeResult = "pending"    // its turn has not begun
	OutcomeRunning       OutcomeResult = "running"    // the agent works or revises
	OutcomeEvaluating    OutcomeResult = "evaluating" // the work is being judged
	OutcomeSatisfied     OutcomeResult = "satisfied"
	OutcomeMaxIterations OutcomeResult = "max_iterations_reached" // judged as often as allowed, and never satisfied
	OutcomeFailed        OutcomeResult = "failed"                 // the rubric does not apply, or the turn could not go on
	OutcomeInterrupted   OutcomeResult = "interrupted"

	// OutcomeNeedsRevision is the result of an evaluation and never that of an outcome.
	OutcomeNeedsRevision OutcomeResult = "needs_revision"
)

// Final reports whether nothing more happens to the outcome.
func (r OutcomeResult) Final() bool {
	switch r {
	case OutcomeSatisfied, OutcomeMaxIterations, OutcomeFailed, OutcomeInterrupted:
		return true
	}
	return false
}

// Outcome is what a turn is to reach. The work of the agent is judged by the rubric, and revised until it is satisfied or
// MaxIterations evaluations were made.
type Outcome struct {
	ID            id.Outcome
	Session       id.Session
	Turn          id.Turn
	Description   string
	Rubric        string
	MaxIterations int // 1 to MostMaxIterations
	Iteration     int // from 0: which evaluation is next, or was the last
	Result        OutcomeResult
	Explanation   string   // of the newest evaluation; "": none was made
	Start         id.Event // of the evaluation under way; zero: none is
	CreatedAt     time.Time
	CompletedAt   time.Time // zero while not Final
}

// Outcomes stores outcomes, and the summaries by which sessions go on once their older part is out of a model's reach. All methods
// are safe for concurrent use and join the transaction in ctx.
type Outcomes interface {
	// Create stores a new outcome.
	Create(ctx context.Context, sc account.Scope, o Outcome) error
	// OfTurn returns the outcome of a turn; false when it has none.
	OfTurn(ctx context.Context, sc account.Scope, turn id.Turn) (Outcome, bool, error)
	// Save stores Iteration, Result, Explanation, Start and CompletedAt.
	Save(ctx context.Context, sc account.Scope, o Outcome) error
	// Of lists the outcomes of sessions, the oldest first.
	Of(ctx context.Context, sc account.Scope, sessions []id.Session) (map[id.Session][]Outcome, error)
	// Compaction returns the newest summary of a session; false when it has none.
	Compaction(ctx context.Context, sc account.Scope, session id.Session) (Compaction, bool, error)
	// SaveCompaction replaces it.
	SaveCompaction(ctx context.Context, sc account.Scope, c Compaction) error
}

// Compaction stands for the older part of a session's conversation.
type Compaction struct {
	Session   id.Session
	Through   int64 // number of the last event that the summary stands for
	Summary   string
	CreatedAt time.Time
}

// The types of events that outcomes and compactions bring.
const (
	UserDefineOutcome  EventType = "user.define_outcome"
	SpanOutcomeStart   EventType = "span.outcome_evaluation_start"
	SpanOutcomeOngoing EventType = "span.outcome_evaluation_ongoing"
	SpanOutcomeEnd     EventType = "span.outcome_evaluation_end"
	ThreadCompacted    EventType = "agent.thread_context_compacted"
	// SpanCompactionStart and SpanCompactionEnd are extensions: not part of the spec's union.
	SpanCompactionStart EventType = "span.compaction_summarize_start"
	SpanCompactionEnd   EventType = "span.compaction_summarize_end"
)

// The bodies of those events. Outcome ids are UUIDs, like all ids in bodies.
type (
	// DefineOutcomeBody is that of user.define_outcome.
	DefineOutcomeBody struct {
		Outcome       string     `json:"outcome_id"`
		Description   string     `json:"description"`
		Rubric        RubricBody `json:"rubric"`
		MaxIterations int        `json:"max_iterations"`
	}
	// RubricBody is a rubric: that of a file is resolved to its text when it is sent.
	RubricBody struct {
		Type    string `json:"type"` // "text"
		Content string `json:"content"`
	}
	// OutcomeSpanBody is that of span.outcome_evaluation_start and span.outcome_evaluation_ongoing.
	OutcomeSpanBody struct {
		Outcome   string `json:"outcome_id"`
		Iteration int    `json:"iteration"`
	}
	// OutcomeEndBody is that of span.outcome_evaluation_end; its Ref is the start.
	OutcomeEndBody struct {
		Outcome     string        `json:"outcome_id"`
		Iteration   int           `json:"iteration"`
		Result      OutcomeResult `json:"result"`
		Explanation string        `json:"explanation"`
		Usage       ModelUsage    `json:"usage"`
	}
	// CompactionEndBody is that of span.compaction_summarize_end; its Ref is the start.
	CompactionEndBody struct {
		Usage   ModelUsage `json:"usage"`
		IsError bool       `json:"is_error"`
	}
)

// OutcomeInput is what a client sends to define an outcome.
type OutcomeInput struct {
	Description   string
	Rubric        string  // "" with RubricFile
	RubricFile    id.File // zero: Rubric is the text
	MaxIterations int     // 0: DefaultMaxIterations
}

// Rubrics reads the files that rubrics are in. app wires core/file.
type Rubrics interface {
	// Text returns a file's text, or id.NotFound, or a fault.Invalid for what is no text or too long.
	Text(ctx context.Context, sc account.Scope, file id.File) (string, error)
}

func (o *OutcomeInput) check(path string) error {
	switch {
	case o == nil || strings.TrimSpace(o.Description) == "":
		return fault.Invalidf(path+".description", "is required")
	case utf8.RuneCountInString(o.Description) > MaxOutcome:
		return fault.Invalidf(path+".description", "must have at most %d characters", MaxOutcome)
	case o.RubricFile.IsZero() && strings.TrimSpace(o.Rubric) == "":
		return fault.Invalidf(path+".rubric.content", "is required")
	case utf8.RuneCountInString(o.Rubric) > MaxRubric:
		return fault.Invalidf(path+".rubric.content", "must have at most %d characters", MaxRubric)
	case o.MaxIterations < 0 || o.MaxIterations > MostMaxIterations:
		return fault.Invalidf(path+".max_iterations", "must be 1 to %d", MostMaxIterations)
	}
	return nil
}

var errRubricFiles = fault.New(fault.Invalid, "not_offered", "this server does not offer it")

// resolveRubrics replaces the rubrics that are files by their texts.
func (s *Service) resolveRubrics(ctx context.Context, sc account.Scope, inputs []Input) ([]Input, error) {
	out := inputs
	for i, in := range inputs {
		if in.Type != UserDefineOutcome || in.Outcome.RubricFile.IsZero() {
			continue
		}
		if s.d.Rubrics == nil {
			return nil, errRubricFiles.Withf("this server does not offer rubrics in files")
		}
		text, err := s.d.Rubrics.Text(ctx, sc, in.Outcome.RubricFile)
		if err != nil {
			return nil, err
		}
		resolved := *in.Outcome
		resolved.Rubric, resolved.RubricFile = text, id.File{}
		if err := resolved.check("events"); err != nil {
			return nil, err
		}
		if &out[0] == &inputs[0] {
			out = append([]Input(nil), inputs...)
		}
		out[i].Outcome = &resolved
	}
	return out, nil
}

// outcomeOf makes the outcome that an input defines.
func (s *Service) outcomeOf(in OutcomeInput, session id.Session, turn id.Turn, now time.Time) Outcome {
	o := Outcome{
		ID: id.New[id.OutcomeKind](s.d.IDs), Session: session, Turn: turn, Description: in.Description, Rubric: in.Rubric,
		MaxIterations: in.MaxIterations, Result: OutcomePending, CreatedAt: now,
	}
	if o.MaxIterations == 0 {
		o.MaxIterations = DefaultMaxIterations
	}
	return o
}

// body returns the event by which an outcome was defined.
func (o Outcome) body() DefineOutcomeBody {
	return DefineOutcomeBody{o.ID.UUID().String(), o.Description, RubricBody{"text", o.Rubric}, o.MaxIterations}
}

// Outcomes lists the outcomes of sessions, by session, the oldest first.
func (s *Service) Outcomes(ctx context.Context, sc account.Scope, sessions []id.Session) (map[id.Session][]Outcome, error) {
	return s.d.Journal.d.Outcomes.Of(ctx, sc, sessions)
}

// Outcome returns the outcome that a turn is to reach; false when it has none.
func (j *Journal) Outcome(ctx context.Context, t Turn) (Outcome, bool, error) {
	if t.Input.Type != UserDefineOutcome {
		return Outcome{}, false, nil
	}
	return j.d.Outcomes.OfTurn(ctx, account.System(t.Tenant), t.ID)
}

// SaveOutcome stores how far an outcome of a turn that the caller holds came. It joins the transaction in ctx, in which the caller
// appends what it stands for, or has one of its own. It returns ErrFenced.
func (j *Journal) SaveOutcome(ctx context.Context, t Turn, o Outcome) error {
	if o.Result.Final() && o.CompletedAt.IsZero() {
		o.CompletedAt = j.now()
	}
	sc := account.System(t.Tenant)
	return j.d.TX.Do(ctx, func(ctx context.Context) error {
		if err := j.d.Turns.Check(ctx, sc, *t.Fence()); err != nil {
			return err
		}
		return j.d.Outcomes.Save(ctx, sc, o)
	})
}

// leaveOutcome ends the outcome of a turn that is over: it returns what the log is told of an evaluation that was under way. It must
// run in a transaction.
func (j *Journal) leaveOutcome(ctx context.Context, sc account.Scope, t Turn, result OutcomeResult, why string) ([]Entry, error) {
	if t.Input.Type != UserDefineOutcome {
		return nil, nil
	}
	o, ok, err := j.d.Outcomes.OfTurn(ctx, sc, t.ID)
	if err != nil || !ok || o.Result.Final() {
		return nil, err
	}
	var entries []Entry
	if !o.Start.IsZero() {
		entries = append(entries, Entry{Type: SpanOutcomeEnd, Ref: o.Start, Body: OutcomeEndBody{
			Outcome: o.ID.UUID().String(), Iteration: o.Iteration, Result: result, Explanation: why,
		}})
	}
	o.Result, o.Start, o.Explanation, o.CompletedAt = result, id.Event{}, why, j.now()
	return entries, j.d.Outcomes.Save(ctx, sc, o)
}

// Compaction returns what stands for the older part of a session's conversation; false when nothing does.
func (j *Journal) Compaction(ctx context.Context, ref Ref) (Compaction, bool, error) {
	return j.d.Outcomes.Compaction(ctx, account.System(ref.Tenant), ref.Session)
}

// Unsummarised ends, for the log, the summary that the model call of a turn was to bring, when that call is over without one; it returns
// nothing for other calls.
func (j *Journal) Unsummarised(ctx context.Context, t Turn) ([]Entry, error) {
	events, err := j.d.Log.Events(ctx, account.System(t.Tenant), t.Session, EventQuery{
		Types: []EventType{SpanModelStart, SpanCompactionStart, SpanCompactionEnd}, Desc: true, Limit: 2,
	})
	if err != nil || len(events) < 2 || events[0].ID != t.Span || events[1].Type != SpanCompactionStart {
		return nil, err
	}
	return []Entry{{Type: SpanCompactionEnd, Ref: events[1].ID, Body: CompactionEndBody{IsError: true}}}, nil
}

// Compact stores what stands for the older part of a conversation. It joins the transaction in ctx, in which the caller appends
// agent.thread_context_compacted.
func (j *Journal) Compact(ctx context.Context, ref Ref, through int64, summary string) error {
	return j.d.Outcomes.SaveCompaction(ctx, account.System(ref.Tenant), Compaction{ref.Session, through, summary, j.now()})
}

// Together runs fn in one transaction, which may run it again: what it appends and stores happens as a whole or not at all.
func (j *Journal) Together(ctx context.Context, fn func(ctx context.Context) error) error {
	return j.d.TX.Do(ctx, fn)
}
