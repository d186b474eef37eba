package session

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/gate"
	"github.com/bureau-agents/bureau/core/policy"
	"github.com/bureau-agents/bureau/ports/clock"
	"github.com/bureau-agents/bureau/ports/fault"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/money"
	"github.com/bureau-agents/bureau/ports/rule"
	"github.com/bureau-agents/bureau/ports/tx"
)

// JournalDeps is what a Journal needs. All fields are required.
type JournalDeps struct {
	TX     tx.Runner
	Clock  clock.Clock
	IDs    id.Generator
	Logger *slog.Logger
	Hub    *Hub
	Log    Log
	Uses   ToolUses
	Turns  Turns
	Leases Leases
	// Repository and Threads are for sessions that work for others.
	Repository Repository
	Threads    Threads
	Outcomes   Outcomes
	Spendings  Spendings
}

// Journal appends to logs and moves turns. It is what the run loop writes through, and how the gate learns who holds a turn and
// tells what became of an act. It is safe for concurrent use.
type Journal struct {
	d    JournalDeps
	void func(ctx context.Context, sc account.Scope, session id.Session, reason string) (int, error) // see VoidWith

	watcher  Watcher // nil: nobody watches
	turns    TurnWatcher
	listener Listener
}

// NewJournal returns a Journal, or an error that names the missing dependency.
func NewJournal(d JournalDeps) (*Journal, error) {
	switch {
	case d.TX == nil:
		return nil, errors.New("session: JournalDeps.TX is required")
	case d.Clock == nil:
		return nil, errors.New("session: JournalDeps.Clock is required")
	case d.IDs == nil:
		return nil, errors.New("session: JournalDeps.IDs is required")
	case d.Logger == nil:
		return nil, errors.New("session: JournalDeps.Logger is required")
	case d.Hub == nil:
		return nil, errors.New("session: JournalDeps.Hub is required")
	case d.Log == nil:
		return nil, errors.New("session: JournalDeps.Log is required")
	case d.Uses == nil:
		return nil, errors.New("session: JournalDeps.Uses is required")
	case d.Turns == nil:
		return nil, errors.New("session: JournalDeps.Turns is required")
	case d.Leases == nil:
		return nil, errors.New("session: JournalDeps.Leases is required")
	case d.Repository == nil:
		return nil, errors.New("session: JournalDeps.Repository is required")
	case d.Threads == nil:
		return nil, errors.New("session: JournalDeps.Threads is required")
	case d.Outcomes == nil:
		return nil, errors.New("session: JournalDeps.Outcomes is required")
	case d.Spendings == nil:
		return nil, errors.New("session: JournalDeps.Spendings is required")
	}
	return &Journal{d: d}, nil
}

var (
	_ gate.Observer    = (*Journal)(nil)
	_ gate.Interrupter = (*Journal)(nil)
	_ gate.Locker      = (*Journal)(nil)
	_ gate.Ender       = (*Journal)(nil)
)

// VoidWith implements gate.Ender.
func (j *Journal) VoidWith(void func(ctx context.Context, sc account.Scope, session id.Session, reason string) (int, error)) {
	j.void = void
}

// Entry is an event that is to be appended.
type Entry struct {
	ID   id.Event // zero makes one
	Type EventType
	Ref  id.Event
	Body any // one of this package's bodies; json.RawMessage is taken as it is; nil is empty
	// State is what a tool use waits for at first; "" is UseOpen.
	State UseState
	// Usage is what a span's end adds to the session's sums.
	Usage Usage
	// Dequeued is set for a user.message that comes from the queue.
	Dequeued bool

	crossed bool // it tells what is open in another session's log
}

// Step is one append by a turn's holder.
type Step struct {
	Turn    Turn
	Entries []Entry
	End     bool // the turn is done
	// Reserve holds what the model call that begins with this step may cost against a budget; nil: there is none.
	Reserve *Reservation
}

// Reservation asks for a part of a budget.
type Reservation struct {
	Root id.Session  // whose budget it is
	Cost *money.Pico // what the call costs at most; nil: nobody knows
	// Again is set when the turn's call is tried again after an attempt that may have cost something: what was held for that attempt
	// counts as spent.
	Again bool
}

// Claimed is a turn that this process runs now.
type Claimed struct {
	Turn
	// Fresh is set when the turn has just begun: its message is in the log since this claim.
	Fresh bool
}

// now returns the time as it is stored.
func (j *Journal) now() time.Time { return clock.Stored(j.d.Clock.Now()) }

// NewEventID makes the id of an event that is announced before it is appended.
func (j *Journal) NewEventID() id.Event { return id.New[id.EventKind](j.d.IDs) }

// Claim begins the next turn of a session, or goes on with its ready one; false when there is none to run. The message of a turn
// that begins gets its place in the log, followed by session.status_running.
func (j *Journal) Claim(ctx context.Context, ref Ref, owner string, lease time.Duration) (Claimed, bool, error) {
	sc := account.System(ref.Tenant)
	var out Claimed
	var found bool
	err := j.d.TX.Do(ctx, func(ctx context.Context) error {
		t, ok, err := j.d.Turns.Claim(ctx, sc, ref.Session, Lease{Owner: owner, Now: j.now(), For: lease})
		if err != nil || !ok {
			found = false
			return err
		}
		out, found = Claimed{Turn: t, Fresh: t.Epoch == 1}, true
		if !out.Fresh {
			return nil
		}
		events, err := j.append(ctx, sc, Append{Session: t.Session}, []Entry{
			{ID: t.Input.ID, Type: t.Input.Type, Body: t.Input.Data, Dequeued: true},
			{Type: SessionRunning},
		})
		if err != nil {
			return err
		}
		first := events[0]
		j.tellListener(ctx, t, events)
		if err := j.moved(ctx, sc, TurnMove{Turn: t, Seq: first.Seq}); err != nil {
			return err
		}
		j.d.TX.AfterCommit(ctx, func() {
			j.d.Hub.Publish(t.Session, Chunk{
				Kind: ChunkPromoted, ID: first.ID, Number: t.Number, Seq: first.Seq, At: first.ProcessedAt, After: first.Seq,
			})
		})
		return nil
	})
	switch {
	case errors.Is(err, ErrFenced):
		return Claimed{}, false, nil
	case err != nil:
		return Claimed{}, false, err
	}
	return out, found, nil
}

// Append writes entries of a turn that the caller holds and returns them as events. It joins the transaction in ctx. ErrFenced: the
// turn is not held any more and nothing was written. With a reservation it may return ErrBudgetReached or ErrPriceUnknown.
func (j *Journal) Append(ctx context.Context, s Step) ([]Event, error) {
	sc := account.System(s.Turn.Tenant)
	a := Append{Session: s.Turn.Session, Fence: s.Turn.Fence(), Turn: &TurnChange{}}
	if s.End {
		a.Turn.State = TurnDone
	}
	for i := range s.Entries {
		e := &s.Entries[i]
		if e.ID.IsZero() {
			e.ID = j.NewEventID()
		}
		switch e.Type {
		case SpanModelStart:
			a.Turn.Span = &e.ID
			a.Turn.Calls++
		case SpanModelEnd:
			a.Turn.Span = &id.Event{}
		}
	}
	var out []Event
	err := j.d.TX.Do(ctx, func(ctx context.Context) error {
		a := a
		turn := *a.Turn
		a.Turn = &turn
		if err := j.reserve(ctx, sc, s, &a); err != nil {
			return err
		}
		entries := s.Entries
		if s.End {
			left, err := j.leaveOutcome(ctx, sc, s.Turn, OutcomeFailed, "the turn ended before the outcome was reached")
			if err != nil {
				return err
			}
			entries = slices.Concat(left, entries)
		}
		var err error
		if out, err = j.append(ctx, sc, a, entries); err != nil {
			return err
		}
		j.tellListener(ctx, s.Turn, out)
		if !s.End {
			return nil
		}
		j.kickAfterCommit(ctx, Ref{s.Turn.Tenant, s.Turn.Session})
		return j.ended(ctx, sc, endOf(s.Turn, entries), out[len(out)-1].Seq)
	})
	return out, err
}

// reserve holds what a step asks for, unless the budget does not cover it.
func (j *Journal) reserve(ctx context.Context, sc account.Scope, s Step, a *Append) error {
	r := s.Reserve
	if r == nil {
		return nil
	}
	if err := j.d.Turns.Check(ctx, sc, *s.Turn.Fence()); err != nil { // turns are locked before sessions, as everywhere
		return err
	}
	spent, err := j.d.Spendings.Spent(ctx, sc, r.Root)
	switch {
	case err != nil:
		return err
	case spent.Budget == nil: // it was removed
		return nil
	case r.Cost == nil:
		return ErrPriceUnknown
	case spent.left(*spent.Budget) < *r.Cost:
		return ErrBudgetReached
	}
	a.Turn.Reserved = *r.Cost
	if r.Again {
		a.Turn.Span = &s.Turn.Span
		a.Usage.Unknown += s.Turn.Reserved
	}
	return nil
}

// Answer appends the result of a tool use of a turn that the caller holds, together with what comes before it. false: the use has
// a result already, and nothing was written.
func (j *Journal) Answer(ctx context.Context, t Turn, use id.Event, body ToolResultBody) (bool, error) {
	sc := account.System(t.Tenant)
	answered := false
	err := j.d.TX.Do(ctx, func(ctx context.Context) error {
		answered = false
		if err := j.d.Turns.Check(ctx, sc, *t.Fence()); err != nil {
			return err
		}
		u, ok, err := j.d.Uses.Close(ctx, sc, t.Session, use)
		if err != nil || !ok {
			return err
		}
		answered = true
		_, err = j.append(ctx, sc, Append{Session: t.Session}, []Entry{resultOf(u, body)})
		return err
	})
	return answered, err
}

// Left returns how much of a session's budget is neither spent nor reserved at this moment; false: it has none.
func (j *Journal) Left(ctx context.Context, root Ref) (money.Pico, bool, error) {
	var left money.Pico
	var limited bool
	err := j.d.TX.Do(ctx, func(ctx context.Context) error {
		spent, err := j.d.Spendings.Spent(ctx, account.System(root.Tenant), root.Session)
		if limited = spent.Budget != nil; err == nil && limited {
			left = spent.left(*spent.Budget)
		}
		return err
	})
	return left, limited, err
}

// Settle adds what an act cost that was under way when its turn was ended from outside. false: it is settled already, or its turn goes
// on elsewhere. It joins the transaction in ctx.
func (j *Journal) Settle(ctx context.Context, t Turn, key id.Event, used Usage) (bool, error) {
	return j.d.Spendings.Settle(ctx, account.System(t.Tenant), key, used)
}

// Overdue lists acts whose turn was ended from outside and whose holder has vanished since.
func (j *Journal) Overdue(ctx context.Context, limit int) ([]LooseEnd, error) {
	return j.d.Spendings.Overdue(ctx, Lease{Now: j.now()}, limit)
}

// Park ends the holding of a turn that waits: its open uses that somebody else must act on are named in session.status_idle. false:
// none of them waits any more, and the caller goes on.
func (j *Journal) Park(ctx context.Context, t Turn) (bool, error) {
	sc := account.System(t.Tenant)
	parked := false
	err := j.d.TX.Do(ctx, func(ctx context.Context) error {
		parked = false
		if err := j.d.Turns.Check(ctx, sc, *t.Fence()); err != nil {
			return err
		}
		uses, err := j.d.Uses.Open(ctx, sc, t.Session)
		if err != nil {
			return err
		}
		if !slices.ContainsFunc(uses, func(u ToolUse) bool { return u.State.Blocks() }) {
			return nil
		}
		parked = true
		need, err := j.needed(ctx, sc, t.Session, uses)
		if err != nil {
			return err
		}
		var entries []Entry // none while only threads work: then the session is not idle
		if len(need) > 0 {
			entries = []Entry{{Type: SessionIdle, Body: IdleBody{StopReason: StopReason{Type: StopRequiresAction, Events: need}}}}
		}
		if _, err = j.append(ctx, sc, Append{Session: t.Session, Fence: t.Fence(), Turn: &TurnChange{State: TurnParked}}, entries); err != nil {
			return err
		}
		if len(need) > 0 {
			t.State = TurnParked
			if err := j.moved(ctx, sc, TurnMove{Turn: t, Waits: true}); err != nil {
				return err
			}
		}
		return j.awaitClient(ctx, sc, t.Session, uses)
	})
	return parked, err
}

// Open lists the tool uses of a session that have no result.
func (j *Journal) Open(ctx context.Context, t Turn) ([]ToolUse, error) {
	return j.d.Uses.Open(ctx, account.System(t.Tenant), t.Session)
}

// Await records that an open use of a turn that the caller holds waits for a client or for an approval. false: it does not any
// more, because it was answered or approved meanwhile.
func (j *Journal) Await(ctx context.Context, t Turn, use id.Event, state UseState, approval id.Approval) (bool, error) {
	sc := account.System(t.Tenant)
	var ok bool
	err := j.d.TX.Do(ctx, func(ctx context.Context) error {
		err := j.d.Turns.Check(ctx, sc, *t.Fence())
		if err == nil {
			ok, err = j.d.Uses.SetState(ctx, sc, use, UseOpen, state, approval)
		}
		return err
	})
	return ok, err
}

// Events reads a part of a session's log.
func (j *Journal) Events(ctx context.Context, ref Ref, q EventQuery) ([]Event, error) {
	return j.d.Log.Events(ctx, account.System(ref.Tenant), ref.Session, q)
}

// Publish sends a chunk to the readers of a session.
func (j *Journal) Publish(session id.Session, c Chunk) { j.d.Hub.Publish(session, c) }

// OnSignals is Hub.OnSignals.
func (j *Journal) OnSignals(kick func(Ref), cancel func(id.Turn)) { j.d.Hub.OnSignals(kick, cancel) }

// Renew extends the leases of the turns that owner still runs and returns those; the others are lost.
func (j *Journal) Renew(ctx context.Context, owner string, lease time.Duration, turns []id.Turn) ([]id.Turn, error) {
	return j.d.Leases.Renew(ctx, Lease{Owner: owner, Now: j.now(), For: lease}, turns)
}

// Release lets everybody else take over what owner runs.
func (j *Journal) Release(ctx context.Context, owner string) error {
	return j.d.Leases.Release(ctx, owner, j.now())
}

// TakeOver claims running turns whose holder has vanished; with all, every running turn of another owner.
func (j *Journal) TakeOver(ctx context.Context, owner string, lease time.Duration, all bool, limit int) ([]Turn, error) {
	return j.d.Leases.TakeOver(ctx, Lease{Owner: owner, Now: j.now(), For: lease}, all, limit)
}

// Waiting lists sessions that have had a turn to run for longer than age.
func (j *Journal) Waiting(ctx context.Context, age time.Duration, limit int) ([]Ref, error) {
	return j.d.Leases.Waiting(ctx, j.now().Add(-age), limit)
}

// CheckFence returns ErrFenced unless the fence's turn is still held; it implements gate.FenceChecker.
func (j *Journal) CheckFence(ctx context.Context, sc account.Scope, f gate.Fence) error {
	return j.d.Turns.Check(ctx, sc, f)
}

// LockTurns implements gate.Locker.
func (j *Journal) LockTurns(ctx context.Context, sc account.Scope, session id.Session) error {
	_, err := j.d.Turns.LockSession(ctx, sc, session)
	return err
}

// append writes entries with their projections and tells the readers after the commit. It must run in a transaction.
func (j *Journal) append(ctx context.Context, sc account.Scope, a Append, entries []Entry) ([]Event, error) {
	a.At = j.now()
	for _, e := range withUsage(entries) {
		if e.ID.IsZero() {
			e.ID = j.NewEventID()
		}
		data, ok := e.Body.(json.RawMessage)
		if !ok {
			var err error
			if data, err = encodeBody(e.Body); err != nil {
				return nil, err
			}
		}
		a.Events = append(a.Events, Event{ID: e.ID, Type: e.Type, Ref: e.Ref, Data: data, ProcessedAt: a.At})
		if e.Type == SessionUsage {
			if err := j.snapshot(ctx, sc, &a); err != nil {
				return nil, err
			}
		}
		if err := j.project(&a, e, data); err != nil {
			return nil, err
		}
	}
	last, err := j.d.Log.Append(ctx, sc, a)
	if err != nil {
		return nil, err
	}
	for i := range a.Events {
		a.Events[i].Seq = last - int64(len(a.Events)-1-i)
	}
	if len(a.Events) > 0 {
		j.d.TX.AfterCommit(ctx, func() { j.d.Hub.Appended(a.Session, last) })
	}
	return a.Events, nil
}

// project derives from one entry what the store keeps beside the log.
func (j *Journal) project(a *Append, e Entry, data json.RawMessage) error {
	switch {
	case e.Type == SessionRunning:
		a.Active, a.StopReason = StatusRunning, nil
	case e.Type == SessionIdle:
		body, ok := e.Body.(IdleBody)
		if !ok {
			return errors.New("session: session.status_idle needs an IdleBody")
		}
		a.Active, a.StopReason = StatusIdle, &body.StopReason
	case e.crossed:
	case e.Type.IsToolUse():
		body, ok := e.Body.(ToolUseBody)
		if !ok {
			return errors.New("session: a tool use needs a ToolUseBody")
		}
		if a.Fence == nil {
			return errors.New("session: a tool use belongs to a held turn")
		}
		u := ToolUse{ID: e.ID, Session: a.Session, Turn: a.Fence.Turn, Type: e.Type, Name: body.Name, Input: body.Input, State: e.State}
		if u.State == "" {
			u.State = UseOpen
		}
		a.Opened = append(a.Opened, u)
	}
	if e.Dequeued {
		a.Dequeued++
	}
	if e.Type == UserMessage || e.Type == AgentMessage {
		a.Said++
	}
	a.Usage = a.Usage.Plus(e.Usage)
	return nil
}

func (j *Journal) kickAfterCommit(ctx context.Context, r Ref) {
	j.d.TX.AfterCommit(ctx, func() { j.d.Hub.signalKick(r) })
}

// resultOf makes the event that answers u. The server answers MCP tools under their own type, and everything else as a tool.
func resultOf(u ToolUse, body ToolResultBody) Entry {
	typ := AgentToolResult
	if u.Type == AgentMCPToolUse {
		typ = AgentMCPToolResult
	}
	return Entry{Type: typ, Ref: u.ID, Body: body}
}

// ErrorResult makes the body of a result that reports a failure.
func ErrorResult(text string) ToolResultBody {
	return ToolResultBody{Content: Text(text), IsError: true}
}

// ActEnded implements gate.Observer: it runs in the gate's transaction. The result of a payment or a transfer, and every refusal,
// becomes the result of the tool use that asked for it; a turn that waited for it goes on after the commit. The results of other
// tools are appended by the turn's holder, which alone has them.
func (j *Journal) ActEnded(ctx context.Context, sc account.Scope, rec gate.Record) error {
	if rec.Act.ToolUse.IsZero() && j.watcher != nil {
		j.watcher.ActEnded(ctx, rec)
	}
	if rec.Act.Session.IsZero() || rec.Act.ToolUse.IsZero() ||
		rec.Act.Action == rule.ActionToolCall && (rec.State == gate.Done || rec.State == gate.Failed) {
		return nil
	}
	turns, err := j.d.Turns.LockSession(ctx, sc, rec.Act.Session)
	if err != nil {
		return err
	}
	t, active := activeOf(turns)
	if !active {
		return nil
	}
	var before []Entry
	c, confirmed := ctx.Value(confirmationKey{}).(confirmation)
	if confirmed = confirmed && c.use == rec.Act.ToolUse; confirmed {
		before = append(before, c.entry)
	}
	var after []Entry
	switch rec.State {
	case gate.Ready:
		// Whether it is parked or its holder has not yet noted so: the approval on record tells the holder to begin it again.
		moved, err := j.d.Uses.SetState(ctx, sc, rec.Act.ToolUse, UseParked, UseOpen, rec.Approval)
		if err == nil && !moved {
			_, err = j.d.Uses.SetState(ctx, sc, rec.Act.ToolUse, UseOpen, UseOpen, rec.Approval)
		}
		if err != nil {
			return err
		}
	case gate.Done, gate.Failed, gate.Denied:
		u, ok, err := j.d.Uses.Close(ctx, sc, rec.Act.Session, rec.Act.ToolUse)
		if err != nil || !ok {
			return err
		}
		after = append(after, resultOf(u, ResultOf(rec)))
	default:
		return nil
	}
	if err := j.resume(ctx, sc, t, before, after); err != nil || !confirmed {
		return err
	}
	return runAlso(ctx)
}

var _ gate.Voter = (*Journal)(nil)

// ActVoted implements gate.Voter: a user.tool_confirmation that others have to give, too, is in the log, and the act goes on waiting.
func (j *Journal) ActVoted(ctx context.Context, sc account.Scope, rec gate.Record) error {
	c, ok := ctx.Value(confirmationKey{}).(confirmation)
	if !ok || c.use != rec.Act.ToolUse {
		return nil
	}
	if _, err := j.append(ctx, sc, Append{Session: rec.Act.Session}, []Entry{c.entry}); err != nil {
		return err
	}
	return runAlso(ctx)
}

// ResultOf says in words for the model what became of an act.
func ResultOf(rec gate.Record) ToolResultBody {
	switch rec.State {
	case gate.Done:
		text := string(rec.Output)
		if text == "" {
			text = "done"
		}
		return ToolResultBody{Content: Text(spelled(rec, text))}
	case gate.Denied:
		return ErrorResult(DenialText(rec))
	case gate.Failed:
		text := rec.Error
		if text == "" {
			text = "it did not work"
		}
		return ErrorResult("failed: " + text)
	}
	return ErrorResult("the outcome is unknown")
}

// spelled writes the transaction of a payment or a transfer as people and models are told it. What is stored has UUIDs.
func spelled(rec gate.Record, text string) string {
	if rec.Act.Action != rule.ActionPayment && rec.Act.Action != rule.ActionTransfer {
		return text
	}
	var out struct {
		Transaction string `json:"transaction_id"`
	}
	if err := json.Unmarshal(rec.Output, &out); err != nil {
		return text
	}
	u, err := id.ParseUUID(out.Transaction)
	if err != nil {
		return text
	}
	return strings.Replace(text, out.Transaction, id.Of[id.LedgerEntryKind](u).String(), 1)
}

// DenialText names the rule and the reason of a refusal.
func DenialText(rec gate.Record) string {
	reason := rec.Decision.Reason
	if reason == "" {
		reason = rec.Error
	}
	switch {
	case rec.Decision.Rule != "" && reason != "":
		return "denied by " + rec.Decision.Rule + ": " + reason
	case rec.Decision.Rule != "":
		return "denied by " + rec.Decision.Rule
	case reason != "":
		return "denied: " + reason
	}
	return "denied"
}

// resume appends before and after to the log of a locked turn; when the turn was parked and nothing holds it up any more, it
// becomes ready, with session.status_running in between, and is kicked after the commit.
func (j *Journal) resume(ctx context.Context, sc account.Scope, t Turn, before, after []Entry) error {
	entries := before
	if t.State == TurnParked {
		uses, err := j.d.Uses.Open(ctx, sc, t.Session)
		if err != nil {
			return err
		}
		blocked := false
		for _, u := range uses {
			blocked = blocked || u.State.Blocks()
		}
		if !blocked {
			t.State = TurnReady
			if err := j.d.Turns.Save(ctx, sc, t); err != nil {
				return err
			}
			v, err := j.d.Repository.Get(ctx, sc, t.Session)
			if err != nil && fault.KindOf(err) != fault.NotFound {
				return err
			}
			if v.Active != StatusRunning { // while only threads worked it was
				entries = append(entries, Entry{Type: SessionRunning})
			}
			if err := j.moved(ctx, sc, TurnMove{Turn: t}); err != nil {
				return err
			}
			j.kickAfterCommit(ctx, Ref{t.Tenant, t.Session})
		}
	}
	entries = append(entries, after...)
	if len(entries) > 0 {
		if _, err := j.append(ctx, sc, Append{Session: t.Session}, entries); err != nil {
			return err
		}
	}
	return j.reflect(ctx, sc, t.Session, []Turn{t})
}

// alsoKey is where a context has what Also runs.
type alsoKey struct{}

// Also returns a context for Service.Send in which also runs in every transaction by which what is sent takes effect, after the rest of
// it: a Send that answers approvals has one for each of them, since the gate decides about them by itself. When also fails the effect is
// undone. also is called again for each further transaction, and for one that is run again.
func Also(ctx context.Context, also func(ctx context.Context) error) context.Context {
	return context.WithValue(ctx, alsoKey{}, also)
}

// runAlso runs what Also was given. It must run in the transaction of an effect.
func runAlso(ctx context.Context) error {
	if also, ok := ctx.Value(alsoKey{}).(func(ctx context.Context) error); ok {
		return also(ctx)
	}
	return nil
}

// confirmation travels in the context of an approval that a user.tool_confirmation asked for, so that the event stands before
// what it causes, in the same transaction.
type confirmation struct {
	use   id.Event
	entry Entry
}

type confirmationKey struct{}

func activeOf(turns []Turn) (Turn, bool) {
	for _, t := range turns {
		if t.State != TurnQueued {
			return t, true
		}
	}
	return Turn{}, false
}

// halt says how stop ends what a session is doing.
type halt struct {
	first  []Entry      // appended before everything else
	reason string       // the result of tool uses that are open
	rule   string       // what forbids the turn to go on; "": nothing does
	err    *ErrorDetail // appended before going idle
	idle   bool         // append session.status_idle if the session was doing something
	drop   bool         // drop the queue, too
	only   id.Turn      // ends nothing but this turn, queued or not; zero: all of them
	queued bool         // that turn has not begun: what the session's active one does goes on
	last   []Entry
}

// stop ends the active turn of a session from outside, whoever holds it, and says so in the log. It must run in a transaction and
// returns how many turns it ended.
func (j *Journal) stop(ctx context.Context, sc account.Scope, session id.Session, h halt) (int, error) {
	turns, err := j.d.Turns.LockSession(ctx, sc, session)
	if err != nil {
		return 0, err
	}
	entries := h.first
	var ends []LooseEnd
	var over []TurnEnd
	var last int64
	flush := func() error {
		if len(entries) == 0 {
			return nil
		}
		events, err := j.append(ctx, sc, Append{Session: session}, entries)
		if err == nil {
			last = events[len(events)-1].Seq
		}
		entries = nil
		return err
	}
	stopped := 0
	now := j.now()
	for _, t := range turns {
		queued := t.State == TurnQueued
		if queued && !h.drop && h.only != t.ID || !h.only.IsZero() && h.only != t.ID {
			continue
		}
		stopped++
		if queued {
			data, err := j.d.Turns.Message(ctx, sc, t.ID)
			if err != nil {
				return 0, err
			}
			entries = append(entries, Entry{ID: t.Input.ID, Type: t.Input.Type, Body: data, Dequeued: true})
			left, err := j.leaveOutcome(ctx, sc, t, OutcomeInterrupted, h.reason)
			if err != nil {
				return 0, err
			}
			entries = append(entries, left...)
			if err := flush(); err != nil { // one message after the other: they may be long
				return 0, err
			}
			j.d.TX.AfterCommit(ctx, func() {
				j.d.Hub.Publish(session, Chunk{Kind: ChunkCancelled, ID: t.Input.ID, Number: t.Number, At: now})
			})
		} else {
			if !t.Span.IsZero() {
				failed := true
				entries = append(entries, Entry{Type: SpanModelEnd, Ref: t.Span, Body: SpanEndBody{IsError: &failed, Error: h.reason}})
				cut, err := j.Unsummarised(ctx, t)
				if err != nil {
					return 0, err
				}
				entries = append(entries, cut...)
				ends = append(ends, LooseEnd{Tenant: t.Tenant, Session: session, Key: t.Span, Reserved: t.Reserved, Turn: t.ID})
			}
			uses, err := j.d.Uses.Open(ctx, sc, session)
			if err != nil {
				return 0, err
			}
			for _, u := range uses {
				if _, _, err := j.d.Uses.Close(ctx, sc, session, u.ID); err != nil {
					return 0, err
				}
				entries = append(entries, resultOf(u, ErrorResult(h.reason)))
				if t.State == TurnRunning && u.State == UseOpen {
					ends = append(ends, LooseEnd{Tenant: t.Tenant, Session: session, Key: u.ID, Turn: t.ID})
				}
			}
			if err := j.d.Spendings.Leave(ctx, sc, ends); err != nil {
				return 0, err
			}
			left, err := j.leaveOutcome(ctx, sc, t, OutcomeInterrupted, h.reason)
			if err != nil {
				return 0, err
			}
			entries = append(entries, left...)
			j.d.TX.AfterCommit(ctx, func() { j.d.Hub.cancelTurn(t.ID) })
		}
		t.State, t.Owner, t.EndedAt, t.Span, t.Reserved = TurnCancelled, "", now, id.Event{}, 0
		t.Epoch++
		if err := j.d.Turns.Save(ctx, sc, t); err != nil {
			return 0, err
		}
		over = append(over, TurnEnd{Turn: t, Stopped: true, Reason: h.reason, Rule: h.rule})
	}
	if stopped > 0 && h.err != nil {
		entries = append(entries, Entry{Type: SessionError, Body: ErrorBody{*h.err}})
	}
	if stopped > 0 && h.idle {
		entries = append(entries, Entry{Type: SessionIdle, Body: IdleBody{StopReason: StopReason{Type: StopEndTurn}}})
	}
	entries = append(entries, h.last...)
	if err := flush(); err != nil {
		return 0, err
	}
	if stopped == 0 {
		return 0, nil
	}
	j.kickAfterCommit(ctx, Ref{sc.Tenant, session})
	if j.void != nil && !h.queued { // what a turn that is over has parked must not be done when somebody approves it later
		if _, err := j.void(ctx, sc, session, h.reason); err != nil {
			return 0, err
		}
	}
	for _, e := range over {
		if err := j.ended(ctx, sc, e, last); err != nil {
			return 0, err
		}
	}
	return stopped, nil
}

// InterruptAgents implements gate.Interrupter: it ends what the agents' sessions are doing, and what they have queued, because they are
// frozen. No agents means every agent of the tenant.
func (j *Journal) InterruptAgents(ctx context.Context, sc account.Scope, agents []id.Agent, reason string) (int, error) {
	return j.interruptAgents(ctx, sc, agents, reason, policy.RuleFrozen)
}

func (j *Journal) interruptAgents(ctx context.Context, sc account.Scope, agents []id.Agent, reason, rule string) (int, error) {
	sessions, err := j.d.Turns.OfAgents(ctx, sc, agents)
	if err != nil {
		return 0, err
	}
	total := 0
	for _, session := range sessions {
		n := 0
		err := j.d.TX.Do(ctx, func(ctx context.Context) error {
			var err error
			n, err = j.stopTree(ctx, sc, session, halt{
				reason: reason, rule: rule, drop: true, idle: true,
				err: &ErrorDetail{Type: ErrTypeUnknown, Message: reason, RetryStatus: RetryStatus{Exhausted}},
			})
			return err
		})
		if err != nil {
			return total, err
		}
		total += n
	}
	return total, nil
}
