package eval

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/gate"
	"github.com/bureau-agents/bureau/core/run"
	"github.com/bureau-agents/bureau/core/session"
	"github.com/bureau-agents/bureau/core/usage"
	"github.com/bureau-agents/bureau/ports/clock"
	"github.com/bureau-agents/bureau/ports/fault"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/llm"
	"github.com/bureau-agents/bureau/ports/money"
	"github.com/bureau-agents/bureau/ports/rule"
)

// Gate allows and settles model calls; gate.Gate does.
type Gate interface {
	Begin(ctx context.Context, sc account.Scope, act gate.Act, also func(context.Context, gate.Record) error) (gate.Record, error)
	End(ctx context.Context, sc account.Scope, rec gate.Record, s gate.Settlement, also func(context.Context) error) (gate.Record, error)
}

// ModelJudge is the Judges that asks the server's models. Each question is one model call of the agent that is evaluated, without a
// conversation and without tools: it is limited, priced and kept like any other. It is safe for concurrent use.
type ModelJudge struct {
	Clock  clock.Clock
	Gate   Gate
	Models run.Models
	Meter  run.Meter
}

var _ Judges = ModelJudge{}

const (
	judgeTokens  = 1024 // of an answer
	judgeTimeout = time.Minute
)

// ErrJudge is returned when a judge may not be asked or does not answer.
var ErrJudge = fault.New(fault.Unavailable, "eval_judge", "the judge did not answer")

// Ask implements Judges.
func (j ModelJudge) Ask(ctx context.Context, sc account.Scope, q Question) (string, *money.Pico, error) {
	resolved, err := j.Models.Resolve(ctx, sc, id.Agent{}, q.Model) // the judge is no agent of the tenant's
	if err != nil {
		return "", nil, err
	}
	req := llm.Request{
		Model: resolved.Model, System: q.System, MaxOutputTokens: judgeTokens,
		Messages: []llm.Message{{Role: llm.RoleUser, Blocks: []llm.Block{{Text: q.Text}}}},
	}
	input := int64(len(q.System)+len(q.Text))/3 + 16 // more than any tokenizer makes of ordinary text
	act := gate.Act{Action: rule.ActionModelCall, Agent: q.Agent, Session: q.Session, Tokens: input + judgeTokens}
	most, err := j.Meter.Estimate(ctx, sc, resolved.ProviderName, resolved.Model, input, judgeTokens)
	if err != nil {
		return "", nil, err
	}
	if most != nil {
		a := money.Of(most.CeilMicros(), money.USD)
		act.Amount = &a
	}
	if act.Arguments, err = json.Marshal(map[string]string{"provider": resolved.ProviderName, "model": resolved.Model}); err != nil {
		return "", nil, fmt.Errorf("eval: %w", err)
	}
	rec, err := j.Gate.Begin(ctx, sc, act, nil)
	if err != nil {
		return "", nil, err
	}
	if rec.State != gate.Started {
		return "", nil, ErrJudge.Withf("the judge could not be asked: %s", session.DenialText(rec))
	}
	begun := j.Clock.Now()
	resp, err := generate(ctx, resolved.Provider, req)
	now := clock.Stored(j.Clock.Now())
	// What the call has used is settled even when the job is being stopped.
	back, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	if err != nil {
		_, end := j.Gate.End(back, sc, rec, gate.Settlement{State: gate.Failed, Error: "the model did not answer"}, nil)
		text := ErrJudge.Message
		if f, ok := fault.As(err); ok {
			text = "the judge did not answer: " + f.Message
		}
		return "", nil, errors.Join(ErrJudge.Withf("%s", text).Wrap(err), end)
	}
	name := resp.Model
	if name == "" {
		name = resolved.Model
	}
	// When the prices cannot be read, the call has none: it is settled all the same.
	quote, err := j.Meter.Price(back, sc, resolved.ProviderName, name, resp.Usage, now)
	if err == nil && quote.Cost == nil {
		quote, err = j.Meter.Price(back, sc, resolved.ProviderName, resolved.Model, resp.Usage, now)
	}
	if err != nil {
		quote = usage.Quote{}
	}
	cost := quote.Cost
	_, err = j.Gate.End(back, sc, rec, gate.Settlement{
		State: gate.Done, Cost: cost, Tokens: resp.Usage.TotalInput() + resp.Usage.Output,
	}, func(ctx context.Context) error {
		return j.Meter.Record(ctx, sc, run.Call{
			Agent: q.Agent, Session: q.Session, Act: rec.ID, Provider: resolved.ProviderName, Model: name, Usage: resp.Usage, Quote: quote,
			Latency: now.Sub(begun), At: now,
		})
	})
	if err != nil {
		return "", nil, err
	}
	var text strings.Builder
	for _, b := range resp.Blocks {
		text.WriteString(b.Text)
	}
	return text.String(), cost, nil
}

// generate reads a whole answer.
func generate(ctx context.Context, p llm.Provider, req llm.Request) (*llm.Response, error) {
	ctx, cancel := context.WithTimeout(ctx, judgeTimeout)
	defer cancel()
	for ev, err := range p.Generate(ctx, req) {
		if err != nil {
			return nil, err
		}
		if ev.Response != nil {
			return ev.Response, nil
		}
	}
	return nil, llm.ErrCutStream
}
