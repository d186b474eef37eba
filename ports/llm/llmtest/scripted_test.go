package llmtest_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/bureau-agents/bureau/ports/llm"
	"github.com/bureau-agents/bureau/ports/llm/llmtest"
)

func TestScripted(t *testing.T) {
	t.Parallel()
	llmtest.Run(t, llmtest.Config{New: func(_ *testing.T, script *llmtest.Script) llm.Provider {
		return &llmtest.Scripted{Script: script}
	}})
}

func TestScriptedWithoutAnswer(t *testing.T) {
	t.Parallel()
	p := llmtest.NewScripted()
	for _, err := range p.Generate(t.Context(), llm.Request{}) {
		const want = "model_request_failed: the model refused the request: llmtest: no answer is scripted for call 1"
		if err == nil || err.Error() != want {
			t.Errorf("error %v, want %q", err, want)
		}
	}
}

func ExampleScripted() {
	p := llmtest.NewScripted(
		llmtest.Call("call_1", "pay", `{"amount":"20","payee":"vendor.example"}`),
		llmtest.Text("Paid."),
	)
	for range 2 {
		for event, err := range p.Generate(context.Background(), llm.Request{}) {
			if err != nil {
				fmt.Println(err)
				return
			}
			if event.Response != nil {
				fmt.Println(event.Response.StopReason)
			}
		}
	}
	// Output:
	// tool_use
	// end
}
