package llmtest

import (
	"context"
	"iter"
	"net/http"
	"strings"

	"github.com/bureau-agents/bureau/ports/fault"
	"github.com/bureau-agents/bureau/ports/llm"
)

// Scripted is an llm.Provider that plays a Script. It streams like a real one and honours Hold, Stay and Fail.
type Scripted struct {
	*Script

	// ProviderName is what Name returns; "" is "scripted". Set it before the first call.
	ProviderName string
}

var _ llm.Provider = (*Scripted)(nil)

// NewScripted returns a provider that gives these answers, one per call.
func NewScripted(answers ...Answer) *Scripted { return &Scripted{Script: NewScript(answers...)} }

// Name returns the configured name.
func (p *Scripted) Name() string {
	if p.ProviderName == "" {
		return "scripted"
	}
	return p.ProviderName
}

// Generate plays the next answer.
func (p *Scripted) Generate(ctx context.Context, req llm.Request) iter.Seq2[llm.Event, error] {
	return func(yield func(llm.Event, error) bool) {
		if err := ctx.Err(); err != nil {
			yield(llm.Event{}, err)
			return
		}
		answer := p.Take(req)
		defer p.Done()

		if answer.Hold != nil {
			select {
			case <-answer.Hold:
			case <-ctx.Done():
				yield(llm.Event{}, ctx.Err())
				return
			}
		}
		fail := answer.Fail
		if fail != nil && fail.Silent {
			yield(llm.Event{}, p.silence(ctx))
			return
		}
		if fail != nil && !fail.Late && !fail.Cut {
			yield(llm.Event{}, fail.err())
			return
		}
		for _, b := range answer.Blocks {
			for _, e := range deltas(b) {
				if err := ctx.Err(); err != nil {
					yield(llm.Event{}, err)
					return
				}
				if !yield(e, nil) {
					return
				}
			}
		}
		switch {
		case answer.Stay:
			<-ctx.Done()
			yield(llm.Event{}, ctx.Err())
		case fail != nil && fail.Cut:
			yield(llm.Event{}, llm.ErrCutStream)
		case fail != nil:
			yield(llm.Event{}, fail.err())
		default:
			model := answer.Model
			if model == "" {
				model = req.Model
			}
			yield(llm.Event{Response: &llm.Response{
				Blocks: answer.Blocks, StopReason: answer.StopReason(), Usage: answer.Usage, Model: model,
			}}, nil)
		}
	}
}

func (p *Scripted) silence(ctx context.Context) error {
	if p.FirstByteTimeout <= 0 {
		<-ctx.Done()
		return ctx.Err()
	}
	waiting, cancel := context.WithTimeout(ctx, p.FirstByteTimeout)
	defer cancel()
	<-waiting.Done()
	if err := ctx.Err(); err != nil {
		return err
	}
	return llm.ErrTimeout
}

// deltas returns the events that stream b.
func deltas(b llm.Block) []llm.Event {
	var out []llm.Event
	switch {
	case b.ToolUse != nil:
		use := b.ToolUse
		out = append(out, llm.Event{ToolInput: &llm.ToolInput{ID: use.ID, Name: use.Name}})
		for _, d := range Halves(use.Input) {
			out = append(out, llm.Event{ToolInput: &llm.ToolInput{ID: use.ID, Name: use.Name, Delta: d}})
		}
	case b.Thinking != nil:
		for _, d := range Chunks(b.Thinking.Text) {
			if d != "" {
				out = append(out, llm.Event{Thinking: d})
			}
		}
	default:
		for _, d := range Chunks(b.Text) {
			if d != "" {
				out = append(out, llm.Event{Text: d})
			}
		}
	}
	return out
}

// err is the port's error for a failure, as every adapter maps it.
func (f *Failure) err() error {
	sentinel := wantError(f.Status)
	if f.Message != "" && sentinel != llm.ErrCredentials {
		sentinel = sentinel.Withf("%s: %s", sentinel.Message, strings.TrimSpace(f.Message))
	}
	if f.RetryAfter > 0 {
		sentinel = sentinel.WithRetry(f.RetryAfter)
	}
	return sentinel
}

// wantError returns the error of the port that an HTTP status is.
func wantError(status int) *fault.Error {
	switch {
	case status == http.StatusUnauthorized, status == http.StatusForbidden:
		return llm.ErrCredentials
	case status == http.StatusTooManyRequests:
		return llm.ErrRateLimited
	case status == http.StatusRequestTimeout, status >= 500:
		return llm.ErrOverloaded
	default:
		return llm.ErrRefusedRequest
	}
}
