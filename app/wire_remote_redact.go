package app

import (
	"iter"

	"github.com/bureau-agents/bureau/core/remote"
	"github.com/bureau-agents/bureau/core/secret"
	"github.com/bureau-agents/bureau/ports/fault"
	"github.com/bureau-agents/bureau/ports/llm"
)

// redactedLine takes out of an answer the secret of the line that it came over. A turn knows the secrets that there were when it began,
// and a vault's token may have been refreshed for this very call.
func redactedLine(line remote.Line, events iter.Seq2[llm.Event, error]) iter.Seq2[llm.Event, error] {
	r := secret.NewRedactor([]secret.Known{{Name: line.Name, Value: line.Secret}})
	if r == nil {
		return events
	}
	return func(yield func(llm.Event, error) bool) {
		said := r.Stream()
		for event, err := range events {
			switch {
			case err != nil:
				yield(llm.Event{}, redactedError(r, err))
				return
			case event.Text != "":
				if event.Text = said.Write(event.Text); event.Text == "" {
					continue // it may be the beginning of the secret
				}
			case event.Response != nil:
				if rest := said.Flush(); rest != "" && !yield(llm.Event{Text: rest}, nil) {
					return
				}
				event.Response = redactedResponse(r, *event.Response)
			}
			if !yield(event, nil) {
				return
			}
		}
	}
}

// redactedResponse returns what a remote agent has answered, which is text alone, without secrets.
func redactedResponse(r *secret.Redactor, resp llm.Response) *llm.Response {
	blocks := make([]llm.Block, len(resp.Blocks))
	for i, b := range resp.Blocks {
		b.Text = r.Redact(b.Text)
		blocks[i] = b
	}
	resp.Blocks, resp.ProviderID = blocks, r.Redact(resp.ProviderID)
	return &resp
}

// redactedError is err without secrets. Agents' words in errors are cut, so that they may end within one.
func redactedError(r *secret.Redactor, err error) error {
	fe, ok := fault.As(err)
	switch {
	case !ok:
		return withText{r.RedactCut(err.Error()), err}
	case fe.Unwrap() == nil:
		return fe.Withf("%s", r.RedactCut(fe.Message))
	}
	cause := fe.Unwrap()
	return fe.Withf("%s", r.RedactCut(fe.Message)).Wrap(withText{r.RedactCut(cause.Error()), cause})
}

// withText is an error with another text.
type withText struct {
	text string
	err  error
}

// Error implements error.
func (e withText) Error() string { return e.text }

// Unwrap returns the error that it was.
func (e withText) Unwrap() error { return e.err }
