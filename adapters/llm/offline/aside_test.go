package offline

import (
	"context"
	"encoding/json"
	"strings"
	"testing"

	"github.com/bureau-agents/bureau/ports/llm"
	"github.com/bureau-agents/bureau/ports/tool"
)

func respond(t *testing.T, req llm.Request) *llm.Response {
	t.Helper()
	var out *llm.Response
	for e, err := range New().Generate(context.Background(), req) {
		if err != nil {
			t.Fatal(err)
		}
		if e.Response != nil {
			out = e.Response
		}
	}
	return out
}

func one(text string) []llm.Message {
	return []llm.Message{{Role: llm.RoleUser, Blocks: []llm.Block{{Text: text}}}}
}

func TestJudge(t *testing.T) {
	t.Parallel()
	spec := tool.Spec{Name: "give", InputSchema: json.RawMessage(`{"type":"object","required":["result","explanation"],"properties":{
		"result":{"type":"string","enum":["satisfied","needs_revision","failed"]},"explanation":{"type":"string"}}}`)}
	const rubric = "# Rubric\n- The answer mentions Paris\n- It says \"two million people\"\n- Explains the rivers"
	for work, want := range map[string]struct{ result, explains string }{
		"Paris lies on the river Seine and has two million people.": {"satisfied", "met"},
		"Paris has two million people.":                             {"needs_revision", "missing: rivers"},
		"":                                                          {"needs_revision", "missing: paris"},
	} {
		resp := respond(t, llm.Request{Tools: []tool.Spec{spec}, Messages: one("<rubric>\n" + rubric + "\n</rubric>\n<work>\n" + work + "\n</work>\n")})
		var v verdict
		if len(resp.Blocks) != 1 || resp.Blocks[0].ToolUse == nil || json.Unmarshal(resp.Blocks[0].ToolUse.Input, &v) != nil {
			t.Fatalf("%+v", resp)
		}
		if resp.Blocks[0].ToolUse.Name != "give" || v.Result != want.result || !strings.Contains(v.Explanation, want.explains) {
			t.Errorf("%q: %+v", work, v)
		}
	}
	if v := judge("- It is complete\n- It is correct", "anything"); v.Result != "failed" {
		t.Errorf("%+v", v)
	}
}

func TestExtract(t *testing.T) {
	t.Parallel()
	long := "Summary of what came before: a deal was made\n\nUser: " + strings.Repeat("word ", 100) + "\n" + strings.Repeat("Agent: something\n", 500) + "User: the code is 4711"
	got := respond(t, llm.Request{Messages: one("Summarise this.\n<conversation>\n" + long + "\n</conversation>\n")}).Blocks[0].Text
	if !strings.Contains(got, "a deal was made") || !strings.HasSuffix(got, "User: the code is 4711") || len(got) > maxExtract+100 {
		t.Errorf("%d: %s", len(got), got)
	}
}
