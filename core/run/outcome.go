package run

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/bureau-agents/bureau/core/session"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/llm"
	"github.com/bureau-agents/bureau/ports/tool"
)

const (
	// maxWork bounds what of an agent's work is shown to the grader: its end counts most.
	maxWork = 256 << 10
	// graderOutput bounds a verdict, in tokens.
	graderOutput = 2048
)

const graderSystem = "You judge whether work meets a rubric. Judge only what the work shows, criterion by criterion, and be strict: what " +
	"is missing or cannot be seen is not met. Answer by calling the tool verdict once. Its result is satisfied when every criterion is met, " +
	"needs_revision when some are not, and failed when the rubric cannot be applied to work of this kind at all."

// verdictSpec is the tool by which a grader answers.
func verdictSpec() tool.Spec {
	return tool.Spec{
		Name: "verdict", Description: "Give the verdict on the work.",
		InputSchema: schemaOf(map[string]any{
			"result": map[string]any{"type": "string", "enum": []string{
				string(session.OutcomeSatisfied), string(session.OutcomeNeedsRevision), string(session.OutcomeFailed),
			}},
			"explanation": map[string]any{"type": "string", "description": "Which criteria are met and which are not, and why"},
		}, "result", "explanation"),
	}
}

// readOutcome reads what the turn is to reach, if anything.
func (t *turn) readOutcome(ctx context.Context) error {
	o, ok, err := t.s.d.Journal.Outcome(ctx, t.t)
	if err != nil || !ok {
		return err
	}
	t.outcome = &o
	if o.Result == session.OutcomePending {
		o.Result = session.OutcomeRunning
		return t.s.d.Journal.SaveOutcome(ctx, t.t, o)
	}
	return nil
}

// pursues reports whether an answer without tool uses is work to be judged rather than the end of the turn.
func (t *turn) pursues(r llm.StopReason) bool {
	return t.outcome != nil && !t.outcome.Result.Final() && r != llm.StopRefusal
}

// callLimit is how many model calls the turn may make: every iteration of an outcome has its own.
func (t *turn) callLimit() int {
	if t.outcome == nil {
		return t.s.cfg.MaxCalls
	}
	return t.s.cfg.MaxCalls * (t.outcome.MaxIterations + 1)
}

// hand makes the work of the turn ready to be judged. It runs in the transaction that appends the answer.
func (t *turn) hand(ctx context.Context) error {
	o := *t.outcome
	o.Result = session.OutcomeEvaluating
	return t.s.d.Journal.SaveOutcome(ctx, t.t, o)
}

// evaluate has the work judged, once per iteration; done means that the turn has ended.
func (t *turn) evaluate(ctx context.Context) (done bool, err error) {
	o := *t.outcome
	work, err := t.work(ctx)
	if err != nil {
		return false, err
	}
	mark := session.OutcomeSpanBody{Outcome: o.ID.UUID().String(), Iteration: o.Iteration}
	if o.Start.IsZero() {
		o.Start = t.s.d.Journal.NewEventID()
		if err := t.advance(ctx, o, session.Step{Turn: t.t, Entries: []session.Entry{{ID: o.Start, Type: session.SpanOutcomeStart, Body: mark}}}); err != nil {
			return false, err
		}
	}
	var next session.Outcome
	ended := false
	err = t.consult(ctx, aside{
		req: llm.Request{
			System: graderSystem, Tools: []tool.Spec{verdictSpec()}, MaxOutputTokens: graderOutput,
			Messages: []llm.Message{{Role: llm.RoleUser, Blocks: []llm.Block{{
				Text: wrapped("outcome", o.Description) + wrapped("rubric", o.Rubric) + wrapped("work", work),
			}}}},
		},
		begin: []session.Entry{{Type: session.SpanOutcomeOngoing, Body: mark}},
		done: func(resp *llm.Response, end session.Entry) (session.Step, func(context.Context) error) {
			result, explanation := verdictOf(resp)
			var step session.Step
			next, step = t.judged(o, result, explanation, session.UsageOf(resp.Usage))
			step.Entries = append([]session.Entry{end}, step.Entries...)
			ended = step.End
			return step, func(ctx context.Context) error { return t.s.d.Journal.SaveOutcome(ctx, t.t, next) }
		},
	})
	var aside *errAside
	if errors.As(err, &aside) {
		var step session.Step
		next, step = t.judged(o, session.OutcomeFailed, "the work could not be judged: "+aside.text, session.ModelUsage{})
		step.Entries = append([]session.Entry{{Type: session.SessionError, Body: session.ErrorBody{Error: session.ErrorDetail{
			Type: session.ErrTypeRequestFailed, Message: next.Explanation, RetryStatus: session.RetryStatus{Type: session.Exhausted},
		}}}}, step.Entries...)
		return true, t.advance(ctx, next, step)
	}
	if err != nil {
		return false, err
	}
	t.outcome = &next
	return ended, nil
}

// advance stores how far the outcome came together with what the log is told.
func (t *turn) advance(ctx context.Context, o session.Outcome, step session.Step) error {
	err := t.s.d.Journal.Together(ctx, func(ctx context.Context) error {
		if err := t.s.d.Journal.SaveOutcome(ctx, t.t, o); err != nil {
			return err
		}
		return t.write(ctx, step)
	})
	if err == nil {
		t.outcome = &o
	}
	return err
}

// judged says what a verdict leads to. When the last iteration is not satisfied the agent gets one more answer, to close with.
func (t *turn) judged(o session.Outcome, result session.OutcomeResult, explanation string, used session.ModelUsage) (session.Outcome, session.Step) {
	start := o.Start
	if result == session.OutcomeNeedsRevision && o.Iteration+1 >= o.MaxIterations {
		result = session.OutcomeMaxIterations
	}
	step := session.Step{Turn: t.t, Entries: []session.Entry{{Type: session.SpanOutcomeEnd, Ref: start, Body: session.OutcomeEndBody{
		Outcome: o.ID.UUID().String(), Iteration: o.Iteration, Result: result, Explanation: explanation, Usage: used,
	}}}}
	o.Start, o.Explanation, o.Result = id.Event{}, explanation, result
	switch result {
	case session.OutcomeNeedsRevision:
		o.Iteration++
		o.Result = session.OutcomeRunning
	case session.OutcomeMaxIterations:
	default:
		step.End = true
		step.Entries = append(step.Entries, idle(session.StopEndTurn, ""))
	}
	return o, step
}

// verdictOf reads a grader's answer. One that says nothing usable asks for a revision, in its own words.
func verdictOf(resp *llm.Response) (session.OutcomeResult, string) {
	var v struct {
		Result      session.OutcomeResult `json:"result"`
		Explanation string                `json:"explanation"`
	}
	text := answerText(resp)
	for _, b := range resp.Blocks {
		if b.ToolUse != nil {
			_ = json.Unmarshal(b.ToolUse.Input, &v) // what cannot be read is no verdict
		}
	}
	if v.Result == "" {
		from, to := strings.Index(text, "{"), strings.LastIndex(text, "}")
		if from >= 0 && to > from {
			_ = json.Unmarshal([]byte(text[from:to+1]), &v) // as above
		}
	}
	switch v.Result {
	case session.OutcomeSatisfied, session.OutcomeNeedsRevision, session.OutcomeFailed:
		return v.Result, v.Explanation
	}
	return session.OutcomeNeedsRevision, strings.TrimSpace("the grader gave no verdict. " + text)
}

// work returns what the agent has made in this turn: its messages, and what its tools answered in between, the newest part of it.
func (t *turn) work(ctx context.Context) (string, error) {
	var parts []string
	size, before := 0, int64(0)
	for size < maxWork {
		events, err := t.s.d.Journal.Events(ctx, t.ref, session.EventQuery{
			BeforeSeq: before, Desc: true, Limit: loadBatch, MaxBytes: maxWork,
			Types: []session.EventType{session.UserDefineOutcome, session.AgentMessage, session.AgentToolUse, session.AgentMCPToolUse, session.AgentCustomToolUse},
		})
		if err != nil || len(events) == 0 {
			return join(parts), err
		}
		for _, e := range events {
			before = e.Seq
			if e.ID == t.t.Input.ID {
				return join(parts), nil
			}
			if e.Crossed() {
				continue
			}
			part := ""
			if e.Type == session.AgentMessage {
				var body session.MessageBody
				if err := e.Body(&body); err != nil {
					return "", err
				}
				part = session.PlainText(body.Content)
			} else if e.Type.IsToolUse() {
				var body session.ToolUseBody
				if err := e.Body(&body); err != nil {
					return "", err
				}
				part = fmt.Sprintf("[used %s: %s]", body.Name, body.Input)
			}
			if size += len(part); size > maxWork {
				return join(parts), nil
			}
			parts = append(parts, part)
		}
	}
	return join(parts), nil
}

// join puts parts, the newest first, into the order of the log.
func join(parts []string) string {
	var sb strings.Builder
	for i := len(parts) - 1; i >= 0; i-- {
		sb.WriteString(parts[i])
		sb.WriteString("\n")
	}
	return strings.TrimSpace(sb.String())
}

// notice begins what the server, and not the user, says in a conversation.
const notice = "[system] "

// outcomeBlocks is how a model is told what to reach.
func outcomeBlocks(e session.Event) ([]llm.Block, error) {
	var body session.DefineOutcomeBody
	if err := e.Body(&body); err != nil {
		return nil, err
	}
	return []llm.Block{
		{Text: body.Description},
		{Text: notice + "Your work on this will be judged by the following rubric, and you can revise it when it is not met:\n" + body.Rubric.Content},
	}, nil
}

// verdictBlocks is how a model is told what its work was judged to be; nothing for work that ended the turn.
func verdictBlocks(e session.Event) ([]llm.Block, error) {
	var body session.OutcomeEndBody
	if err := e.Body(&body); err != nil {
		return nil, err
	}
	switch body.Result {
	case session.OutcomeNeedsRevision:
		return []llm.Block{{Text: notice + "Your work does not meet the rubric yet. Revise it. " + body.Explanation}}, nil
	case session.OutcomeMaxIterations:
		return []llm.Block{{Text: notice + "Your work does not meet the rubric, and there are no more revisions: close by saying what it lacks. " + body.Explanation}}, nil
	}
	return nil, nil
}
