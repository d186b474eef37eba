package run

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"time"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/agent"
	"github.com/bureau-agents/bureau/core/gate"
	"github.com/bureau-agents/bureau/core/secret"
	"github.com/bureau-agents/bureau/core/session"
	"github.com/bureau-agents/bureau/ports/fault"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/money"
)

// turn is one holding of a turn by this process.
type turn struct {
	s    *Service
	sc   account.Scope
	t    session.Turn
	ref  session.Ref
	sess session.Session
	c    *conversation

	tools  []BoundTool
	byName map[string]BoundTool
	after  int64 // number of the newest event that this holder knows of, for chunks

	agent    agent.Agent // of the session, with its overrides
	system   string      // the agent's prompt, and what the sources add to it
	root     id.Session  // whose budget is spent
	budgeted bool        // root had a budget; it never gets one later

	thread *session.Thread // that the session is; nil for a session of its own
	roster []member        // whom the agent may delegate to

	outcome *session.Outcome // that the turn is to reach; nil for none
	quiet   bool             // what the model says now is not streamed

	redactor *secret.Redactor // of what must not be told

	inherited id.Event // the model call that the holder before had begun, if any
}

// run drives a turn until it ends, waits, is lost, or the process stops.
func (s *Service) run(ctx context.Context, c session.Claimed) {
	t := &turn{
		s: s, sc: account.System(c.Tenant), t: c.Turn, ref: session.Ref{Tenant: c.Tenant, Session: c.Session}, c: s.memory.take(c.Session),
		inherited: c.Span,
	}
	err := t.guarded(ctx, c.Fresh)
	if t.thread != nil {
		defer s.leaveThread(ctx, t.ref)
	}
	if err == nil || errors.Is(err, session.ErrFenced) || ctx.Err() != nil {
		s.memory.put(c.Session, t.c)
		return
	}
	if fault.KindOf(err) == fault.Unavailable {
		// The store cannot be reached, or is too busy. The lease runs out, and the turn is taken up again, a few times.
		s.d.Logger.WarnContext(ctx, "turn put off", "tenant_id", c.Tenant, "session_id", c.Session, "turn_id", c.ID, "error", err)
		return
	}
	// What went wrong may have left the conversation half read: it is not remembered.
	s.d.Logger.ErrorContext(ctx, "turn failed", "tenant_id", c.Tenant, "session_id", c.Session, "turn_id", c.ID, "error", err)
	if err := t.giveUp(ctx, session.ErrorDetail{
		Type: session.ErrTypeUnknown, Message: "the turn failed because of an internal error", RetryStatus: session.RetryStatus{Type: session.Exhausted},
	}, session.StopRetriesExhausted); err != nil && ctx.Err() == nil {
		// Its lease runs out, and it is taken up again.
		s.d.Logger.ErrorContext(ctx, "turn not ended", "turn_id", c.ID, "error", err)
	}
}

func (t *turn) guarded(ctx context.Context, fresh bool) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("run: panic: %v\n%s", p, debug.Stack())
		}
	}()
	return t.loop(ctx, fresh)
}

func (t *turn) loop(ctx context.Context, fresh bool) error {
	if err := t.prepare(ctx); err != nil {
		if fault.KindOf(err) == fault.NotFound { // the session was deleted, or its agent destroyed
			return t.giveUp(ctx, session.ErrorDetail{
				Type: session.ErrTypeUnknown, Message: "the session's agent is gone", RetryStatus: session.RetryStatus{Type: session.Exhausted},
			}, session.StopEndTurn)
		}
		return err
	}
	if t.t.Takeovers > maxTakeovers {
		return t.giveUp(ctx, session.ErrorDetail{
			Type: session.ErrTypeUnknown, Message: fmt.Sprintf("the turn was given up after %d interruptions", t.t.Takeovers),
			RetryStatus: session.RetryStatus{Type: session.Exhausted},
		}, session.StopRetriesExhausted)
	}
	if err := t.closeSpan(ctx, "the process that asked the model went away"); err != nil {
		return err
	}
	if fresh {
		if err := t.warnOfRoster(ctx); err != nil {
			return err
		}
	}
	for check := !fresh; ; check = true {
		if ctx.Err() != nil || t.s.isDraining() {
			return nil //nolint:nilerr // the lease is given up; whoever holds the turn next goes on from the log
		}
		if check {
			uses, err := t.s.d.Journal.Open(ctx, t.t)
			if err != nil {
				return err
			}
			if len(uses) > 0 {
				if waits, err := t.useTools(ctx, uses); err != nil || waits {
					return err
				}
				continue
			}
		}
		if t.outcome != nil && t.outcome.Result == session.OutcomeEvaluating {
			if done, err := t.evaluate(ctx); err != nil || done {
				return err
			}
			continue
		}
		if t.t.Calls >= t.callLimit() {
			return t.giveUp(ctx, session.ErrorDetail{
				Type:        session.ErrTypeToolUseLimit,
				Message:     fmt.Sprintf("the turn was ended after %d model calls", t.t.Calls),
				RetryStatus: session.RetryStatus{Type: session.Exhausted},
			}, session.StopRetriesExhausted)
		}
		if done, err := t.ask(ctx); err != nil || done {
			return err
		}
	}
}

// prepare reads what does not change while the turn is held.
func (t *turn) prepare(ctx context.Context) error {
	var err error
	if t.sess, err = t.s.d.Sessions.Get(ctx, t.sc, t.ref.Session); err != nil {
		return err
	}
	t.after = t.sess.LastSeq
	if t.c.agent.ID.IsZero() {
		if t.c.agent, err = t.s.d.Agents.GetVersion(ctx, t.sc, t.sess.Agent, t.sess.AgentVersion); err != nil {
			return err
		}
	}
	t.agent = t.c.agent
	t.agent.Config = t.agent.Config.With(t.sess.Overrides)
	t.root, t.budgeted = t.sess.ID, t.sess.Budget != nil
	if !t.sess.Parent.IsZero() {
		if err := t.enterThread(ctx); err != nil {
			return err
		}
	}
	if err := t.readOutcome(ctx); err != nil {
		return err
	}
	if err := t.arm(ctx); err != nil {
		return err
	}
	if err := t.offerTools(ctx); err != nil {
		return err
	}
	return t.prompt(ctx)
}

// prompt gathers what the model is told before the conversation.
func (t *turn) prompt(ctx context.Context) error {
	t.system = t.agent.Config.System
	if t.thread != nil && t.thread.Type == session.ThreadAdvisor {
		return nil
	}
	env := Env{Agent: t.agent, Session: t.sess}
	for _, src := range t.s.d.Prompts {
		text, err := src.Prompt(ctx, t.sc, env)
		if err != nil {
			return fmt.Errorf("run: prompt: %w", err)
		}
		if text != "" && t.system != "" {
			t.system += "\n\n"
		}
		t.system += text
	}
	return nil
}

// closeSpan ends, in the log and at the gate, a model call that has begun and will not be finished. What it had reserved counts as
// spent, since nobody knows.
func (t *turn) closeSpan(ctx context.Context, why string) error {
	if t.t.Span.IsZero() {
		return nil
	}
	begun, ended, err := t.span(ctx)
	if err != nil {
		return err
	}
	if !begun || ended {
		t.t.Span = id.Event{}
		return nil
	}
	failed := true
	entries := []session.Entry{{
		Type: session.SpanModelEnd, Ref: t.t.Span, Body: session.SpanEndBody{IsError: &failed, Error: why},
		Usage: session.Usage{Unknown: t.t.Reserved},
	}}
	cut, err := t.s.d.Journal.Unsummarised(ctx, t.t)
	if err != nil {
		return err
	}
	entries = append(entries, cut...)
	rec, ok, err := t.s.d.Gate.Lookup(ctx, t.sc, t.t.Span.String())
	if err != nil {
		return err
	}
	if ok && rec.State == gate.Started {
		_, err = t.s.d.Gate.End(ctx, t.sc, rec, gate.Settlement{State: gate.Done, Fence: t.t.Fence()}, func(ctx context.Context) error {
			return t.append(ctx, entries...)
		})
	} else {
		err = t.append(ctx, entries...)
	}
	if err == nil {
		t.t.Span, t.t.Reserved = id.Event{}, 0
	}
	return err
}

// span reports what the log has of the model call that is under way. A transaction whose commit failed may have committed.
func (t *turn) span(ctx context.Context) (begun, ended bool, err error) {
	events, err := t.s.d.Journal.Events(ctx, t.ref, session.EventQuery{
		AfterSeq: t.sess.LastSeq, Types: []session.EventType{session.SpanModelStart, session.SpanModelEnd},
	})
	begun = t.t.Span == t.inherited
	for _, e := range events {
		begun = begun || e.ID == t.t.Span
		ended = ended || e.Ref == t.t.Span
	}
	return begun, ended, err
}

// append writes entries under the turn's fence.
func (t *turn) append(ctx context.Context, entries ...session.Entry) error {
	return t.write(ctx, session.Step{Turn: t.t, Entries: entries})
}

func (t *turn) write(ctx context.Context, s session.Step) error {
	s.Entries = t.redacted(s.Entries)
	events, err := t.s.d.Journal.Append(ctx, s)
	if err == nil && len(events) > 0 {
		t.after = max(t.after, events[len(events)-1].Seq)
	}
	return err
}

// insist keeps what cannot be had again, a model's answer or a tool's result: while the store cannot be reached it tries again, as
// long as the turn is this process's. held is the turn's context; its end does not cut an attempt off.
func (t *turn) insist(held context.Context, keep func(ctx context.Context) error) error {
	ctx := context.WithoutCancel(held)
	begun, pause := t.now(), 50*time.Millisecond
	for {
		err := keep(ctx)
		if err == nil || fault.KindOf(err) != fault.Unavailable || t.now().Sub(begun) > t.s.cfg.RetryFor {
			return err
		}
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-held.Done():
			timer.Stop()
			return err
		}
		pause = min(2*pause, 2*time.Second)
	}
}

// giveUp ends a turn that cannot go on: every open tool use gets its result, what waits for an approval is void, and the log says
// why.
func (t *turn) giveUp(ctx context.Context, detail session.ErrorDetail, stop session.StopType) error {
	if err := t.closeSpan(ctx, detail.Message); err != nil {
		return err
	}
	if _, err := t.s.d.Gate.VoidSession(ctx, t.sc, t.ref.Session, "the turn was ended"); err != nil {
		return err
	}
	uses, err := t.s.d.Journal.Open(ctx, t.t)
	if err != nil {
		return err
	}
	for _, u := range uses {
		const unknown = "the turn was ended; the outcome of this call is unknown"
		rec, ok, err := t.s.d.Gate.Lookup(ctx, t.sc, u.ID.String())
		switch {
		case err != nil:
		case ok && rec.State == gate.Started:
			err = t.end(ctx, rec, u, gate.Settlement{State: gate.Failed, Error: unknown}, session.ErrorResult(unknown))
		default:
			err = t.answer(ctx, u, session.ErrorResult(unknown))
		}
		if err != nil {
			return err
		}
	}
	return t.finish(ctx, []session.Entry{{Type: session.SessionError, Body: session.ErrorBody{Error: detail}}}, stop)
}

// finish appends entries and the end of the turn.
func (t *turn) finish(ctx context.Context, entries []session.Entry, stop session.StopType) error {
	return t.write(ctx, session.Step{Turn: t.t, Entries: append(entries, idle(stop, "")), End: true})
}

func idle(stop session.StopType, details string) session.Entry {
	body := session.IdleBody{StopReason: session.StopReason{Type: stop}}
	if details != "" {
		body.StopDetails = &details
	}
	return session.Entry{Type: session.SessionIdle, Body: body}
}

// chunk publishes a piece of what is not in the log yet.
func (t *turn) chunk(c session.Chunk) {
	if t.quiet {
		return
	}
	c.After = t.after
	t.s.d.Journal.Publish(t.ref.Session, c)
}

// now returns the time as it is stored.
func (t *turn) now() time.Time { return t.s.d.Clock.Now() }

// usd makes an amount of a cost, rounded against the spender; nil stays nil.
func usd(p *money.Pico) *money.Amount {
	if p == nil {
		return nil
	}
	a := money.Of(p.CeilMicros(), money.USD)
	return &a
}
