package run

import (
	"errors"
	"iter"
	"testing"

	"github.com/bureau-agents/bureau/ports/llm"
)

// TestBounded ends what a model, or an agent's own program, says without end.
func TestBounded(t *testing.T) {
	t.Parallel()
	forever := func(ev llm.Event) iter.Seq2[llm.Event, error] {
		return func(yield func(llm.Event, error) bool) {
			for yield(ev, nil) {
			}
		}
	}
	for name, ev := range map[string]llm.Event{
		"text": {Text: "12345"}, "thinking": {Thinking: "12345"}, "tools": {ToolInput: &llm.ToolInput{ID: "12", Name: "3", Delta: "45"}},
	} {
		n := 0
		var last error
		for _, err := range bounded(forever(ev), 20) {
			if err != nil {
				last = err
				continue
			}
			n++
		}
		if n != 4 || !errors.Is(last, llm.ErrRefusedRequest) || retryable(last) {
			t.Errorf("%s: %d pieces, then %v", name, n, last)
		}
	}
	n := 0
	for range bounded(forever(llm.Event{Text: "1"}), 20) {
		if n++; n == 3 {
			break
		}
	}
	if n != 3 {
		t.Error("it goes on after its reader has gone")
	}
}
