package aimock

import (
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/bureau-agents/bureau/ports/fault"
	"github.com/bureau-agents/bureau/ports/llm"
	"github.com/bureau-agents/bureau/ports/tool"
)

// Check drives a provider whose server is Start's through every fixture. Both APIs share the fixtures, and so this.
func Check(t *testing.T, p llm.Provider) {
	t.Helper()
	ask := func(text string) llm.Request {
		return llm.Request{
			Model: "mock-model", MaxOutputTokens: 100,
			Messages: []llm.Message{{Role: llm.RoleUser, Blocks: []llm.Block{{Text: text}}}},
		}
	}
	t.Run("text", func(t *testing.T) {
		text, chunks := "", 0
		var resp *llm.Response
		for e, err := range p.Generate(t.Context(), ask("Say hello")) {
			if err != nil {
				t.Fatal(err)
			}
			if e.Text != "" {
				chunks++
			}
			text += e.Text
			resp = e.Response
		}
		const want = "Hello from the mock server, in several chunks."
		if text != want || chunks < 3 {
			t.Errorf("%d chunks make %q", chunks, text)
		}
		if diff := cmp.Diff(&llm.Response{
			Blocks: []llm.Block{{Text: want}}, StopReason: llm.StopEnd, Usage: llm.Usage{Input: 21, Output: 9}, Model: "mock-model", ProviderID: resp.ProviderID,
		}, resp); diff != "" {
			t.Errorf("response (-want +got):\n%s", diff)
		}
	})
	t.Run("tools", func(t *testing.T) {
		req := ask("How is the weather in Oslo and Rome?")
		req.Tools = []tool.Spec{{
			Name: "get_weather", Description: "Tells the weather.",
			InputSchema: json.RawMessage(`{"type":"object","properties":{"city":{"type":"string"}},"required":["city"]}`),
		}}
		first := answer(t, p, req)
		want := []llm.Block{
			{Text: "I look it up."},
			{ToolUse: &llm.ToolUse{ID: "call_oslo", Name: "get_weather", Input: json.RawMessage(`{"city":"Oslo"}`)}},
			{ToolUse: &llm.ToolUse{ID: "call_rome", Name: "get_weather", Input: json.RawMessage(`{"city":"Rome"}`)}},
		}
		if diff := cmp.Diff(want, first.Blocks); diff != "" || first.StopReason != llm.StopToolUse {
			t.Fatalf("stop reason %q, blocks (-want +got):\n%s", first.StopReason, diff)
		}
		req.Messages = append(req.Messages,
			llm.Message{Role: llm.RoleAssistant, Blocks: first.Blocks},
			llm.Message{Role: llm.RoleUser, Blocks: []llm.Block{
				{ToolResult: &llm.ToolResult{ID: "call_oslo", Text: "rain in Oslo"}},
				{ToolResult: &llm.ToolResult{ID: "call_rome", Text: "sun in Rome"}},
			}})
		second := answer(t, p, req)
		if diff := cmp.Diff([]llm.Block{{Text: "Rain in Oslo and sun in Rome."}}, second.Blocks); diff != "" {
			t.Errorf("blocks (-want +got):\n%s", diff)
		}
	})
	t.Run("thinking", func(t *testing.T) {
		resp := answer(t, p, ask("Think first"))
		if len(resp.Blocks) != 2 || resp.Blocks[0].Thinking == nil || resp.Blocks[0].Thinking.Text != "Six times seven." || resp.Blocks[1].Text != "Forty-two." {
			t.Errorf("blocks %+v", resp.Blocks)
		}
	})
	t.Run("system", func(t *testing.T) {
		req := ask("Who are you?")
		req.System = "You are Ada."
		if diff := cmp.Diff([]llm.Block{{Text: "I am Ada."}}, answer(t, p, req).Blocks); diff != "" {
			t.Errorf("blocks (-want +got):\n%s", diff)
		}
	})
	for _, tt := range []struct {
		text  string
		want  error
		after time.Duration
	}{
		{"Too fast", llm.ErrRateLimited, 3 * time.Second},
		{"Too much", llm.ErrOverloaded, 0},
		{"Wrong", llm.ErrRefusedRequest, 0},
		{"Break off", llm.ErrCutStream, 0},
	} {
		t.Run(tt.text, func(t *testing.T) {
			var last error
			for _, err := range p.Generate(t.Context(), ask(tt.text)) {
				last = err
			}
			if !errors.Is(last, tt.want) {
				t.Fatalf("error %v, want %v", last, tt.want)
			}
			if told, _ := fault.As(last); told.RetryAfter != tt.after {
				t.Errorf("RetryAfter %v, want %v", told.RetryAfter, tt.after)
			}
		})
	}
}

func answer(t *testing.T, p llm.Provider, req llm.Request) *llm.Response {
	t.Helper()
	var resp *llm.Response
	for e, err := range p.Generate(t.Context(), req) {
		if err != nil {
			t.Fatal(err)
		}
		resp = e.Response
	}
	if resp == nil {
		t.Fatal("the answer has no Response")
	}
	return resp
}
