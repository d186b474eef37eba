package run

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/bureau-agents/bureau/core/agent"
	"github.com/bureau-agents/bureau/core/gate"
	"github.com/bureau-agents/bureau/core/model"
	"github.com/bureau-agents/bureau/core/policy"
	"github.com/bureau-agents/bureau/core/session"
	"github.com/bureau-agents/bureau/core/usage"
	"github.com/bureau-agents/bureau/ports/fault"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/llm"
	"github.com/bureau-agents/bureau/ports/rule"
	"github.com/bureau-agents/bureau/ports/tool"
)

// ask makes one model call and appends its answer; done means that the turn has ended.
func (t *turn) ask(ctx context.Context) (done bool, err error) {
	if err := t.c.sync(ctx, t.s.d.Journal, t.ref, t.s.cfg.ContextBytes); err != nil {
		return false, err
	}
	if err := t.compact(ctx); err != nil {
		if ctx.Err() != nil {
			return false, nil //nolint:nilerr // the turn is given up, not failed
		}
		return false, err
	}
	resolved, err := t.s.d.Models.Resolve(ctx, t.sc, t.agent.ID, t.agent.Config.Model.ID)
	if err != nil {
		if ctx.Err() != nil {
			return false, nil //nolint:nilerr // the turn is given up, not failed
		}
		return true, t.finish(ctx, []session.Entry{errorEntry(err, session.Exhausted)}, session.StopRetriesExhausted)
	}
	messages, media, err := t.s.resolveMedia(ctx, t.sc, t.c.messages())
	if err != nil {
		return false, err
	}
	tools := t.tools
	if resolved.Autonomous {
		tools = nil
	}
	req := llm.Request{
		Model: resolved.Model, System: t.system, Messages: messages, MaxOutputTokens: t.s.cfg.MaxOutputTokens,
		Conversation: t.ref.Session.UUID().String(), Newest: t.c.newest(),
	}
	for _, b := range tools {
		req.Tools = append(req.Tools, b.Spec)
	}
	m, err := t.measure(ctx, resolved, t.c.estimate(t.system, tools)+media)
	if err != nil {
		return false, err
	}
	req.MaxOutputTokens = m.output
	span := t.s.d.Journal.NewEventID()
	t.t.Span = span
	rec, err := t.beginCall(ctx, resolved, span, m)
	switch {
	case errors.Is(err, session.ErrBudgetReached), errors.Is(err, session.ErrPriceUnknown):
		t.t.Span = id.Event{}
		return true, t.overBudget(ctx, err)
	case err != nil:
		return false, err
	}
	if rec.State != gate.Started {
		t.t.Span = id.Event{}
		return true, t.refused(ctx, rec)
	}
	t.t.Calls++
	started := t.now()
	resp, ids, err := t.stream(ctx, resolved.Provider, req, m)
	if err != nil {
		return t.failed(ctx, rec, resolved, err, ids.spoke())
	}
	return t.answered(ctx, rec, resolved, resp, ids, m, t.now().Sub(started))
}

// beginCall asks the gate for a model call, and appends its start in the transaction that allows it.
func (t *turn) beginCall(
	ctx context.Context, resolved model.Resolved, span id.Event, m measure, before ...session.Entry,
) (gate.Record, error) {
	args, err := json.Marshal(map[string]string{"provider": resolved.ProviderName, "model": resolved.Model})
	if err != nil {
		return gate.Record{}, fmt.Errorf("run: %w", err)
	}
	return t.s.d.Gate.Begin(ctx, t.sc, gate.Act{
		Key: span.String(), Action: rule.ActionModelCall, Agent: t.sess.Agent, Session: t.ref.Session, Run: t.root, Fence: t.t.Fence(),
		Amount: usd(m.cost), Tokens: m.input + int64(m.output), Arguments: args,
		Card: resolved.Card,
	}, func(ctx context.Context, _ gate.Record) error {
		entries := slices.Clone(before)
		if resolved.Warning != "" && !t.c.warned {
			entries = append(entries, session.Entry{
				Type: session.SessionWarning, Body: session.WarningBody{Source: "model", Message: resolved.Warning},
			})
		}
		err := t.write(ctx, session.Step{Turn: t.t, Reserve: t.reservation(m), Entries: append(entries, session.Entry{
			ID: span, Type: session.SpanModelStart, Body: session.SpanStartBody{Model: resolved.Model, Provider: resolved.ProviderName},
		})})
		if err == nil && t.budgeted && m.cost != nil {
			t.t.Reserved = *m.cost
		}
		return err
	})
}

// refused ends a turn whose model call the gate does not allow.
func (t *turn) refused(ctx context.Context, rec gate.Record) error {
	detail := session.ErrorDetail{
		Type: session.ErrTypeRequestFailed, Message: session.DenialText(rec), RetryStatus: session.RetryStatus{Type: session.Exhausted},
		Rule: rec.Decision.Rule,
	}
	stop := session.StopEndTurn
	switch {
	case rec.State == gate.Parked:
		detail.Message = "a model call cannot wait for an approval: " + rec.Decision.Reason
	case rec.Decision.Rule == policy.RulePriceUnknown, strings.Contains(rec.Decision.Rule, "limit"), strings.Contains(rec.Decision.Rule, "budget"),
		strings.Contains(rec.Decision.Rule, "credits"), rec.Decision.Rule == policy.RuleFunds:
		detail.Type, stop = session.ErrTypeBilling, session.StopBudgetReached
	}
	return t.finish(ctx, []session.Entry{{Type: session.SessionError, Body: session.ErrorBody{Error: detail}}}, stop)
}

// announced holds the ids under which a streamed answer has been announced; they become those of its events.
type announced struct {
	message  id.Event
	thinking id.Event
	uses     map[string]id.Event // by the provider's id
}

// spoke reports whether anything has come.
func (a announced) spoke() bool {
	return !a.message.IsZero() || !a.thinking.IsZero() || len(a.uses) > 0
}

// stream asks the provider, again where that makes sense, and publishes what comes.
func (t *turn) stream(ctx context.Context, p llm.Provider, req llm.Request, m measure) (*llm.Response, announced, error) {
	begun := t.now()
	pause := t.s.cfg.Backoff
	for attempt := 1; ; attempt++ {
		resp, ids, err := t.attempt(ctx, p, req)
		if err == nil || ctx.Err() != nil {
			return resp, ids, err
		}
		wait := pause/2 + rand.N(pause/2+1)
		if fe, ok := fault.As(err); ok && fe.RetryAfter > 0 {
			wait = fe.RetryAfter
		}
		if !retryable(err) || attempt >= t.s.cfg.Attempts || t.now().Sub(begun)+wait > t.s.cfg.RetryFor {
			return nil, ids, err
		}
		step := session.Step{Turn: t.t, Entries: []session.Entry{errorEntry(err, session.Retrying)}}
		if ids.spoke() { // it may be charged for
			if step.Reserve = t.reservation(m); step.Reserve != nil {
				step.Reserve.Again = true
			}
		}
		if err := t.write(ctx, step); err != nil {
			return nil, ids, err
		}
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return nil, ids, ctx.Err()
		}
		pause *= 2
	}
}

func retryable(err error) bool {
	if errors.Is(err, session.ErrFenced) || errors.Is(err, session.ErrBudgetReached) {
		return false
	}
	switch fault.KindOf(err) {
	case fault.RateLimited, fault.Unavailable, fault.Timeout:
		return true
	}
	return errors.Is(err, context.DeadlineExceeded)
}

// attempt makes one request and publishes its chunks as they come.
func (t *turn) attempt(ctx context.Context, p llm.Provider, req llm.Request) (resp *llm.Response, ids announced, err error) {
	ctx, cancel := context.WithTimeout(ctx, t.s.cfg.ModelTimeout)
	defer cancel()
	ids.uses = map[string]id.Event{}
	var open []session.Chunk // streams that have a start and no end
	pieces := streams{redactor: t.redactor}
	defer func() {
		status := session.ChunkCompleted
		if err != nil {
			status = session.ChunkAborted
			if errors.Is(context.Cause(ctx), errEnded) {
				status = session.ChunkInterrupted
			}
		}
		for _, c := range open {
			if rest := pieces.rest(c.ID); rest != "" && err == nil {
				c.Phase, c.Delta = session.PhaseDelta, rest
				t.chunk(c)
			}
			c.Phase, c.Status, c.Delta = session.PhaseEnd, status, ""
			if err != nil {
				c.Error = t.failure(err)
			}
			t.chunk(c)
		}
	}()
	piece := func(kind session.ChunkKind, e *id.Event, tool, delta string) {
		if e.IsZero() {
			*e = t.s.d.Journal.NewEventID()
			start := session.Chunk{Kind: kind, Phase: session.PhaseStart, ID: *e, Tool: tool}
			t.chunk(start)
			open = append(open, start)
		}
		if delta = pieces.write(*e, delta); delta != "" {
			t.chunk(session.Chunk{Kind: kind, Phase: session.PhaseDelta, ID: *e, Tool: tool, Delta: delta})
		}
	}
	for ev, err := range bounded(p.Generate(ctx, req), maxAnswer) {
		switch {
		case err != nil:
			return nil, ids, err
		case ev.Text != "":
			piece(session.ChunkMessage, &ids.message, "", ev.Text)
		case ev.Thinking != "":
			piece(session.ChunkThinking, &ids.thinking, "", ev.Thinking)
		case ev.ToolInput != nil:
			e := ids.uses[ev.ToolInput.ID]
			piece(session.ChunkToolInput, &e, ev.ToolInput.Name, ev.ToolInput.Delta)
			ids.uses[ev.ToolInput.ID] = e
		case ev.Response != nil:
			resp = ev.Response
		}
	}
	if resp == nil {
		return nil, ids, llm.ErrCutStream
	}
	if text := answerText(resp); text != "" && ids.message.IsZero() {
		piece(session.ChunkMessage, &ids.message, "", text) // a provider that does not stream
	}
	return resp, ids, nil
}

// maxAnswer is how long one answer of a model may be, in bytes, with what it thinks and what it gives to tools: far more than models say,
// and little enough for what talks without end, such as an agent's own program that is broken.
const maxAnswer = 4 << 20

// bounded ends an answer that is longer than most bytes.
func bounded(answer iter.Seq2[llm.Event, error], most int) iter.Seq2[llm.Event, error] {
	return func(yield func(llm.Event, error) bool) {
		size := 0
		for ev, err := range answer {
			if size += bytesOf(ev); err == nil && size > most {
				yield(llm.Event{}, llm.ErrRefusedRequest.Withf("the model's answer is longer than %d bytes", most))
				return
			}
			if !yield(ev, err) {
				return
			}
		}
	}
}

// bytesOf returns what a piece of an answer adds to it.
func bytesOf(ev llm.Event) int {
	n := len(ev.Text) + len(ev.Thinking)
	if ev.ToolInput != nil {
		n += len(ev.ToolInput.ID) + len(ev.ToolInput.Name) + len(ev.ToolInput.Delta)
	}
	return n
}

func answerText(resp *llm.Response) string {
	var sb strings.Builder
	for _, b := range resp.Blocks {
		sb.WriteString(b.Text)
	}
	return sb.String()
}

// failed settles a call that brought no answer, and ends the turn unless it was taken away. spoke says that an answer had begun.
func (t *turn) failed(ctx context.Context, rec gate.Record, resolved model.Resolved, cause error, spoke bool) (bool, error) {
	if ctx.Err() != nil || errors.Is(cause, session.ErrFenced) {
		// The turn is not this process's any more, or will not be for long: its log is left alone, but what the call has reserved is
		// settled. The model was at work, so it counts.
		return false, t.settle(ctx, rec, gate.Settlement{State: gate.Done}, t.t.Span, session.Usage{Unknown: t.t.Reserved})
	}
	if _, ok := fault.As(cause); !ok {
		t.s.d.Logger.WarnContext(ctx, "model call failed", "session_id", t.ref.Session, "provider", resolved.ProviderName, "error", t.cause(cause))
	}
	failed := true
	end := session.Entry{
		Type: session.SpanModelEnd, Ref: t.t.Span, Body: session.SpanEndBody{IsError: &failed, Model: resolved.Model, Error: publicText(cause)},
	}
	stop := session.StopRetriesExhausted
	if errors.Is(cause, session.ErrBudgetReached) {
		stop = session.StopBudgetReached
	}
	if spoke {
		end.Usage.Unknown = t.t.Reserved
	}
	entries := []session.Entry{end, errorEntry(cause, session.Exhausted)}
	_, err := t.s.d.Gate.End(ctx, t.sc, rec, gate.Settlement{State: gate.Failed, Error: t.failure(cause), Fence: t.t.Fence()},
		func(ctx context.Context) error {
			if err := t.finish(ctx, entries, stop); err != nil {
				return err
			}
			return t.s.d.Meter.Record(ctx, t.sc, t.unanswered(rec, resolved))
		})
	return true, err
}

// unanswered is a call that failed.
func (t *turn) unanswered(rec gate.Record, resolved model.Resolved) Call {
	return Call{
		Agent: t.sess.Agent, Session: t.ref.Session, Turn: t.t.ID, Act: rec.ID, Provider: resolved.ProviderName, Model: resolved.Model,
		Failed: true, At: t.now(),
	}
}

// settle ends an act of a turn that is not held any more. key is the act's; used is what it cost the session.
func (t *turn) settle(ctx context.Context, rec gate.Record, s gate.Settlement, key id.Event, used session.Usage) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	_, err := t.s.d.Gate.End(ctx, t.sc, rec, s, func(ctx context.Context) error {
		_, err := t.s.d.Journal.Settle(ctx, t.t, key, used)
		return err
	})
	return err
}

// answered appends a model's answer, with its usage and its cost, in one transaction. The answer is there: whatever else has ended
// meanwhile, only the fence decides whether it counts.
func (t *turn) answered(
	held context.Context, rec gate.Record, resolved model.Resolved, resp *llm.Response, ids announced, m measure, latency time.Duration,
) (bool, error) {
	entries := t.answerEntries(context.WithoutCancel(held), resp, ids)
	uses := slices.ContainsFunc(entries, func(e session.Entry) bool { return e.Type.IsToolUse() })
	ends := !uses && !t.pursues(resp.StopReason)
	err := t.keep(held, rec, resolved, resp, latency, func(_ *llm.Response, end session.Entry) (session.Step, func(context.Context) error) {
		step := session.Step{Turn: t.t, Entries: append(slices.Clone(entries), end), End: ends}
		switch {
		case uses:
			return step, nil
		case !ends:
			return step, t.hand
		}
		stop := stopEntry(resp.StopReason)
		if resp.StopReason == llm.StopMaxTokens && m.capped {
			stop = idle(session.StopBudgetReached, "the answer was cut where the session's budget ends")
		}
		step.Entries = append(step.Entries, stop)
		return step, nil
	})
	if err != nil {
		return false, err
	}
	t.c.warned = true
	if !uses && !ends {
		t.outcome.Result = session.OutcomeEvaluating
	}
	return ends, nil
}

// keep appends what an answer means, with its usage and its cost, in one transaction, in which also runs first. The answer is there:
// whatever else has ended meanwhile, only the fence decides whether it counts.
func (t *turn) keep(
	held context.Context, rec gate.Record, resolved model.Resolved, resp *llm.Response, latency time.Duration,
	done func(resp *llm.Response, end session.Entry) (step session.Step, also func(ctx context.Context) error),
) error {
	ctx := context.WithoutCancel(held)
	name := resp.Model
	if name == "" {
		name = resolved.Model
	}
	now := t.now()
	var quote usage.Quote
	err := t.insist(held, func(ctx context.Context) (err error) {
		quote, err = t.s.d.Meter.Price(ctx, t.sc, resolved.ProviderName, name, resp.Usage, now)
		if err == nil && quote.Cost == nil && name != resolved.Model {
			quote, err = t.s.d.Meter.Price(ctx, t.sc, resolved.ProviderName, resolved.Model, resp.Usage, now)
		}
		return err
	})
	if err != nil {
		return err
	}
	cost := quote.Cost
	end := session.Entry{
		Type: session.SpanModelEnd, Ref: t.t.Span, Usage: session.Usage{Tokens: resp.Usage},
		Body: session.SpanEndBody{
			Usage: session.UsageOf(resp.Usage), IsError: new(bool), Model: name, FinishReason: string(resp.StopReason), ProviderID: resp.ProviderID,
		},
	}
	end.Usage.Tokens.ReportedPicos = 0
	if cost == nil {
		end.Usage.Unpriced = 1
	} else {
		end.Usage.Cost = *cost
	}
	step, also := done(resp, end)
	call := Call{
		Agent: t.sess.Agent, Session: t.ref.Session, Turn: t.t.ID, Act: rec.ID, Provider: resolved.ProviderName, Model: name,
		Usage: resp.Usage, Quote: quote, Latency: latency, At: now,
	}
	s := gate.Settlement{
		State: gate.Done, Cost: cost, Tokens: resp.Usage.TotalInput() + resp.Usage.Output, Fence: t.t.Fence(),
	}
	tried := false
	err = t.insist(held, func(ctx context.Context) error {
		if tried { // the commit may have been what failed to answer
			if _, kept, err := t.span(ctx); err != nil || kept {
				return err
			}
		}
		tried = true
		_, err := t.s.d.Gate.End(ctx, t.sc, rec, s, func(ctx context.Context) error {
			if also != nil {
				if err := also(ctx); err != nil {
					return err
				}
			}
			if err := t.write(ctx, step); err != nil {
				return err
			}
			// The last thing, since what it adds to is shared with other turns of the agent.
			return t.s.d.Meter.Record(ctx, t.sc, call)
		})
		return err
	})
	if err != nil {
		if errors.Is(err, session.ErrFenced) {
			// Somebody ended the turn while the model spoke: the answer is not heard, but it was paid for.
			s.Fence = nil
			return errors.Join(session.ErrFenced, t.settleCall(ctx, rec, s, call, end.Usage))
		}
		return err
	}
	t.t.Span, t.t.Reserved = id.Event{}, 0
	return nil
}

func (t *turn) settleCall(ctx context.Context, rec gate.Record, s gate.Settlement, call Call, used session.Usage) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	_, err := t.s.d.Gate.End(ctx, t.sc, rec, s, func(ctx context.Context) error {
		if _, err := t.s.d.Journal.Settle(ctx, t.t, t.t.Span, used); err != nil {
			return err
		}
		return t.s.d.Meter.Record(ctx, t.sc, call)
	})
	return err
}

// answerEntries turns an answer into events: its thoughts, its text, its tool uses.
func (t *turn) answerEntries(ctx context.Context, resp *llm.Response, ids announced) []session.Entry {
	var entries, uses []session.Entry
	var thinking session.ThinkingBody
	var content []session.Block
	for _, b := range resp.Blocks {
		switch {
		case b.Thinking != nil:
			thinking.Text += b.Thinking.Text
			thinking.Blocks = append(thinking.Blocks, session.ThinkingBlock{
				Text: b.Thinking.Text, Signature: b.Thinking.Signature, Redacted: b.Thinking.Redacted,
			})
		case b.ToolUse != nil:
			uses = append(uses, t.useEntry(ctx, *b.ToolUse, ids.uses[b.ToolUse.ID]))
		case b.Text != "":
			content = append(content, session.Block{Type: session.BlockText, Text: b.Text})
		}
	}
	if thinking.Blocks != nil {
		entries = append(entries, session.Entry{ID: ids.thinking, Type: session.AgentThinking, Body: thinking})
	}
	if content != nil {
		entries = append(entries, session.Entry{ID: ids.message, Type: session.AgentMessage, Body: session.MessageBody{Content: content}})
	}
	return append(entries, uses...)
}

// useEntry makes the event of a tool use. What it says about permission is a forecast for people; the gate decides when the tool
// is used.
func (t *turn) useEntry(ctx context.Context, use llm.ToolUse, e id.Event) session.Entry {
	if e.IsZero() {
		e = t.s.d.Journal.NewEventID()
	}
	input := use.Input
	if !json.Valid(input) {
		// What is no JSON cannot be stored as such; the tool's schema will refuse this.
		input, _ = json.Marshal(map[string]string{"invalid_json": string(use.Input)}) //nolint:errchkjson // strings always marshal
	}
	b, known := t.byName[use.Name]
	out := session.Entry{ID: e, Type: session.AgentToolUse}
	body := session.ToolUseBody{Name: policy.Storable(use.Name), Input: input, Permission: session.PermissionAllow}
	if known {
		out.Type = b.eventType()
		body.MCPServer = b.MCPServer
		switch {
		case b.client():
			body.Permission = ""
		case b.Ask:
			body.Permission, out.State = session.PermissionAsk, session.UseAsk
			body.Evaluation = &session.EvaluationBody{Type: string(agent.AlwaysAsk)}
		default:
			body.Permission = t.forecast(ctx, b, e, input)
			body.Evaluation = &session.EvaluationBody{Type: string(agent.AlwaysAllow)}
			if body.Permission != session.PermissionAllow {
				body.Evaluation = &session.EvaluationBody{
					Type: string(agent.Auto), Permitted: &session.JudgementBody{Type: body.Permission, Reason: "policy"},
				}
			}
		}
	}
	out.Body = body
	return out
}

func (t *turn) forecast(ctx context.Context, b BoundTool, e id.Event, input json.RawMessage) string {
	act, err := t.actOf(b, session.ToolUse{ID: e, Name: b.Spec.Name, Input: input})
	if err != nil {
		return session.PermissionAllow
	}
	act.Fence = nil
	d, err := t.s.d.Gate.Simulate(ctx, t.sc, act)
	if err != nil {
		return session.PermissionAllow
	}
	switch d.Outcome {
	case policy.Parked:
		return session.PermissionAsk
	case policy.Denied:
		return session.PermissionDeny
	}
	return session.PermissionAllow
}

func stopEntry(r llm.StopReason) session.Entry {
	switch r {
	case llm.StopRefusal:
		return idle(session.StopRefusal, "")
	case llm.StopMaxTokens:
		return idle(session.StopEndTurn, "the answer was cut at the model's output limit")
	}
	return idle(session.StopEndTurn, "")
}

// errorEntry makes the session.error of a failed model call.
func errorEntry(err error, state session.RetryState) session.Entry {
	typ := session.ErrTypeUnknown
	switch fault.KindOf(err) {
	case fault.RateLimited:
		typ = session.ErrTypeRateLimited
	case fault.Unavailable, fault.Timeout:
		typ = session.ErrTypeOverloaded
	case fault.Invalid, fault.Unauthenticated, fault.Forbidden, fault.NotFound, fault.TooLarge, fault.Unsupported:
		typ = session.ErrTypeRequestFailed
	case fault.PaymentRequired:
		typ = session.ErrTypeBilling
	default:
		if errors.Is(err, context.DeadlineExceeded) {
			typ = session.ErrTypeOverloaded
		}
	}
	return session.Entry{Type: session.SessionError, Body: session.ErrorBody{Error: session.ErrorDetail{
		Type: typ, Message: publicText(err), RetryStatus: session.RetryStatus{Type: state},
	}}}
}

// publicText says what went wrong without inner details.
func publicText(err error) string {
	if fe, ok := fault.As(err); ok && fe.Kind != fault.Internal {
		return fe.Message
	}
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return "it took too long"
	case errors.Is(err, context.Canceled):
		return "it was interrupted"
	}
	return "an internal error"
}

// specOf completes a tool's description.
func specOf(b BoundTool) tool.Spec {
	if b.Spec.Name == "" && b.Tool != nil {
		return b.Tool.Spec()
	}
	return b.Spec
}
