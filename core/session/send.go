package session

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"unicode/utf8"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/ports/clock"
	"github.com/bureau-agents/bureau/ports/fault"
	"github.com/bureau-agents/bureau/ports/id"
)

// MaxDenyMessage bounds Input.DenyMessage, in characters.
const MaxDenyMessage = 10_000

// Input is an event that a client sends.
type Input struct {
	Type    EventType // UserMessage, UserInterrupt, UserToolConfirmation, UserCustomToolResult, UserToolResult or SystemMessage
	Content []Block   // messages, and results, where it may be empty
	ToolUse id.Event  // confirmations and results
	// Allow and DenyMessage belong to confirmations, IsError to results.
	Allow       bool
	DenyMessage string
	IsError     bool
	// Thread narrows an interrupt to one thread; zero is the session with all of them. Answers find their thread by ToolUse.
	Thread id.Thread
	// Outcome belongs to UserDefineOutcome.
	Outcome *OutcomeInput
	// Turn is the id of the turn that a UserMessage begins, of whose moves the TurnWatcher is told; zero makes one that it is not told of.
	Turn id.Turn
}

// work reports whether the input begins a turn.
func (in Input) work() bool { return in.Type == UserMessage || in.Type == UserDefineOutcome }

func (in Input) check(path string) error {
	switch in.Type {
	case UserMessage, SystemMessage:
		if err := CheckContent(in.Content, path+".content"); err != nil {
			return err
		}
		if in.Type == SystemMessage {
			for i, b := range in.Content {
				if b.Type != BlockText {
					return fault.Invalidf(fmt.Sprintf("%s.content[%d].type", path, i), "must be text")
				}
			}
		}
	case UserInterrupt:
	case UserDefineOutcome:
		return in.Outcome.check(path)
	case UserToolConfirmation:
		if in.ToolUse.IsZero() {
			return fault.Invalidf(path+".tool_use_id", "is required")
		}
		if utf8.RuneCountInString(in.DenyMessage) > MaxDenyMessage {
			return fault.Invalidf(path+".deny_message", "must have at most %d characters", MaxDenyMessage)
		}
	case UserCustomToolResult, UserToolResult:
		if in.ToolUse.IsZero() {
			return fault.Invalidf(path+"."+in.Type.RefName(), "is required")
		}
		if len(in.Content) > 0 {
			return checkBlocks(in.Content, path+".content")
		}
	default:
		return fault.Invalidf(path+".type", "is not an event that clients send")
	}
	return nil
}

func (in Input) body() any {
	switch in.Type {
	case UserMessage, SystemMessage:
		return MessageBody{in.Content}
	case UserToolConfirmation:
		if in.Allow {
			return ConfirmationBody{Result: PermissionAllow}
		}
		return ConfirmationBody{Result: PermissionDeny, DenyMessage: in.DenyMessage}
	case UserCustomToolResult, UserToolResult:
		content := in.Content
		if content == nil {
			content = []Block{}
		}
		return ToolResultBody{Content: content, IsError: in.IsError}
	}
	return nil
}

// Send accepts events of a client, in order, and returns them with their ids. Messages are queued, each for a turn of its own,
// and have no Seq and no ProcessedAt yet; the other types take effect at once. All are checked before the first takes effect.
//
// It returns id.NotFound, ErrArchived, ErrQueueFull, ErrNoSuchToolUse, a fault.Invalid, or account.ErrForbidden for a confirmation of an act that
// a policy parked by a key without the permission account.Approvals, in which case the act stays parked.
func (s *Service) Send(ctx context.Context, sc account.Scope, session id.Session, inputs []Input) ([]Event, error) {
	if len(inputs) == 0 {
		return nil, fault.Invalidf("events", "must not be empty")
	}
	if len(inputs) > MaxBatch {
		return nil, fault.Invalidf("events", "must have at most %d events", MaxBatch)
	}
	for i, in := range inputs {
		if err := in.check(fmt.Sprintf("events[%d]", i)); err != nil {
			return nil, err
		}
	}
	current, err := s.own(ctx, sc, session)
	if err != nil {
		return nil, err
	}
	if current.ArchivedAt != nil {
		return nil, ErrArchived
	}
	if s.admits != nil && slices.ContainsFunc(inputs, func(in Input) bool { return in.Type == UserMessage || in.Type == UserDefineOutcome }) {
		if err := s.admits(ctx, sc, current.ID); err != nil {
			return nil, err
		}
	}
	if err := s.checkFiles(ctx, sc, inputs); err != nil {
		return nil, err
	}
	if inputs, err = s.resolveRubrics(ctx, sc, inputs); err != nil {
		return nil, err
	}
	groups, err := s.route(ctx, sc, current, inputs)
	if err != nil {
		return nil, err
	}
	parked := map[id.Event]ToolUse{}
	for _, g := range groups {
		of, err := s.parkedUses(ctx, sc, g.to.ID, g.inputs, g.first)
		if err != nil {
			return nil, err
		}
		maps.Copy(parked, of)
	}
	out := make([]Event, 0, len(inputs))
	for _, g := range groups {
		events, err := s.sendTo(ctx, sc, g.to, g.inputs, parked)
		if err != nil {
			return nil, err
		}
		if g.to.ID != current.ID {
			events = s.tellRoot(ctx, g.to, events)
		}
		out = append(out, events...)
	}
	return out, nil
}

// sendTo takes checked inputs of one session; parked are the uses among them that wait for an approval of the gate.
func (s *Service) sendTo(ctx context.Context, sc account.Scope, current Session, inputs []Input, parked map[id.Event]ToolUse) ([]Event, error) {
	out := make([]Event, 0, len(inputs))
	for len(inputs) > 0 {
		var err error
		var events []Event
		n := 1
		if u, ok := parked[inputs[0].ToolUse]; ok {
			var e Event
			e, err = s.decide(ctx, sc, u, inputs[0])
			events = []Event{e}
		} else {
			for n < len(inputs) {
				if _, ok := parked[inputs[n].ToolUse]; ok {
					break
				}
				n++
			}
			events, err = s.take(ctx, sc, current, inputs[:n])
		}
		if err != nil {
			return nil, err
		}
		out = append(out, events...)
		inputs = inputs[n:]
	}
	return out, nil
}

// parkedUses finds the uses among inputs that wait for an approval of the gate, and refuses the whole batch when one of the inputs
// answers nothing, or answers what its sender may not.
func (s *Service) parkedUses(
	ctx context.Context, sc account.Scope, session id.Session, inputs []Input, first int,
) (map[id.Event]ToolUse, error) {
	var open map[id.Event]ToolUse
	parked := map[id.Event]ToolUse{}
	for i, in := range inputs {
		i += first
		if in.ToolUse.IsZero() {
			continue
		}
		if open == nil {
			var err error
			if open, err = s.handedOver(ctx, sc, session, inputs); err != nil {
				return nil, err
			}
		}
		u, ok := open[in.ToolUse]
		want := UseClient
		if in.Type == UserToolConfirmation {
			want = UseAsk
			if ok && u.State == UseParked {
				if err := sc.Require(account.Approvals); err != nil {
					return nil, err
				}
				parked[u.ID] = u
				want = UseParked
			}
		}
		if !ok || u.State != want {
			return nil, noSuchUse(in, i)
		}
	}
	return parked, nil
}

func noSuchUse(in Input, i int) error {
	path := fmt.Sprintf("events[%d].%s", i, in.Type.RefName())
	return ErrNoSuchToolUse.Withf("%s: %s does not wait for a %s", path, in.ToolUse, in.Type).
		WithFields(fault.Field{Path: path, Message: "names no tool use that waits for this"})
}

// decide carries a confirmation of a parked act to the gate. The event is appended in the gate's transaction, before what it
// causes; where several have to approve, all but the last one cause nothing, and are appended likewise.
func (s *Service) decide(ctx context.Context, sc account.Scope, u ToolUse, in Input) (Event, error) {
	now := clock.Stored(s.d.Clock.Now())
	data, err := encodeBody(in.body())
	if err != nil {
		return Event{}, err
	}
	e := Event{ID: s.d.Journal.NewEventID(), Type: in.Type, Ref: in.ToolUse, Data: data, ProcessedAt: now}
	entry := Entry{ID: e.ID, Type: e.Type, Ref: e.Ref, Body: data}
	with := context.WithValue(ctx, confirmationKey{}, confirmation{u.ID, entry})
	if in.Allow {
		_, _, err = s.d.Gate.Approve(with, sc, u.Approval)
	} else {
		_, err = s.d.Gate.Deny(with, sc, u.Approval, in.DenyMessage)
	}
	return e, err
}

// take does everything that needs no decision of the gate, in one transaction.
func (s *Service) take(ctx context.Context, sc account.Scope, current Session, inputs []Input) ([]Event, error) {
	var out []Event
	err := s.d.TX.Do(ctx, func(ctx context.Context) error {
		out = out[:0]
		if mixed(inputs) { // turns are locked before the session, as everywhere
			if _, err := s.d.Journal.lockTree(ctx, sc, current.ID); err != nil {
				return err
			}
		}
		for i := 0; i < len(inputs); i++ {
			in := inputs[i]
			var events []Event
			var err error
			switch in.Type {
			case UserMessage, UserDefineOutcome:
				n := i + 1
				for n < len(inputs) && inputs[n].work() {
					n++
				}
				events, err = s.enqueue(ctx, sc, current.ID, current.Agent, inputs[i:n])
				i = n - 1
			case UserInterrupt:
				events, err = s.interrupt(ctx, sc, current.ID, in)
			case SystemMessage:
				events, err = s.d.Journal.append(ctx, sc, Append{Session: current.ID}, []Entry{{Type: in.Type, Body: in.body()}})
			default:
				events, err = s.answer(ctx, sc, current.ID, in, i)
			}
			if err != nil {
				return err
			}
			out = append(out, events...)
		}
		return runAlso(ctx)
	})
	return out, err
}

// mixed reports whether some inputs change the session's row alone and others its turns.
func mixed(inputs []Input) bool {
	alone := 0
	for _, in := range inputs {
		if in.work() || in.Type == SystemMessage {
			alone++
		}
	}
	return alone > 0 && alone < len(inputs)
}

// enqueue adds one turn per message and announces them; it must run in a transaction.
func (s *Service) enqueue(ctx context.Context, sc account.Scope, session id.Session, agent id.Agent, inputs []Input) ([]Event, error) {
	if len(inputs) == 0 {
		return nil, nil
	}
	now := clock.Stored(s.d.Clock.Now())
	events := make([]Event, len(inputs))
	turns := make([]Turn, len(inputs))
	var outcomes []Outcome
	for i, in := range inputs {
		turn, body := in.Turn, in.body()
		if turn.IsZero() {
			turn = id.New[id.TurnKind](s.d.IDs)
		}
		if in.Type == UserDefineOutcome {
			o := s.outcomeOf(*in.Outcome, session, turn, now)
			outcomes, body = append(outcomes, o), o.body()
		}
		data, err := encodeBody(body)
		if err != nil {
			return nil, err
		}
		events[i] = Event{ID: s.d.Journal.NewEventID(), Type: in.Type, Data: data}
		turns[i] = Turn{
			ID: turn, Tenant: sc.Tenant, Session: session, Agent: agent, State: TurnQueued,
			Input: events[i], Watched: !in.Turn.IsZero(), CreatedAt: now,
		}
	}
	last, err := s.d.Turns.Enqueue(ctx, sc, session, turns)
	if err != nil {
		return nil, err
	}
	for _, o := range outcomes {
		if err := s.d.Journal.d.Outcomes.Create(ctx, sc, o); err != nil {
			return nil, err
		}
	}
	s.d.TX.AfterCommit(ctx, func() {
		for i, e := range events {
			s.d.Hub.Publish(session, Chunk{
				Kind: ChunkPending, ID: e.ID, Number: last - int64(len(events)-1-i), At: now, Event: &e,
			})
		}
		s.d.Hub.signalKick(Ref{sc.Tenant, session})
	})
	return events, nil
}

// interrupt ends the active turn, if there is one, with a result for every tool use that was open; it must run in a transaction.
// What is queued runs afterwards.
func (s *Service) interrupt(ctx context.Context, sc account.Scope, session id.Session, in Input) ([]Event, error) {
	e := Entry{ID: s.d.Journal.NewEventID(), Type: in.Type, Body: json.RawMessage("{}")}
	if err := s.d.Journal.stopThreads(ctx, sc, session, "interrupted by the user", false); err != nil {
		return nil, err
	}
	if _, err := s.d.Journal.stop(ctx, sc, session, halt{first: []Entry{e}, reason: "interrupted by the user", idle: true}); err != nil {
		return nil, err
	}
	if _, err := s.d.Gate.VoidSession(ctx, sc, session, "interrupted by the user"); err != nil {
		return nil, err
	}
	return []Event{{ID: e.ID, Type: e.Type, Data: json.RawMessage("{}"), ProcessedAt: s.d.Journal.now()}}, nil
}

// answer takes a client's result or its word on a tool whose author wants one; it must run in a transaction.
func (s *Service) answer(ctx context.Context, sc account.Scope, session id.Session, in Input, i int) ([]Event, error) {
	turns, err := s.d.Turns.LockSession(ctx, sc, session)
	if err != nil {
		return nil, err
	}
	t, active := activeOf(turns)
	if !active {
		return nil, noSuchUse(in, i)
	}
	data, err := encodeBody(in.body())
	if err != nil {
		return nil, err
	}
	e := Event{ID: s.d.Journal.NewEventID(), Type: in.Type, Ref: in.ToolUse, Data: data, ProcessedAt: s.d.Journal.now()}
	before := []Entry{{ID: e.ID, Type: e.Type, Ref: e.Ref, Body: data}}
	var after []Entry
	if in.Type == UserToolConfirmation && in.Allow {
		ok, err := s.d.Uses.SetState(ctx, sc, in.ToolUse, UseAsk, UseOpen, id.Approval{})
		if err != nil {
			return nil, err
		}
		if !ok {
			return nil, noSuchUse(in, i)
		}
	} else {
		u, ok, err := s.d.Uses.Close(ctx, sc, session, in.ToolUse)
		if err != nil {
			return nil, err
		}
		if !ok {
			return nil, noSuchUse(in, i)
		}
		if in.Type == UserToolConfirmation {
			text := "the user did not allow it"
			if in.DenyMessage != "" {
				text += ": " + in.DenyMessage
			}
			after = append(after, resultOf(u, ErrorResult(text)))
		}
	}
	return []Event{e}, s.d.Journal.resume(ctx, sc, t, before, after)
}
