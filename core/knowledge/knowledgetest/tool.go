package knowledgetest

import (
	"encoding/json"
	"testing"

	"github.com/bureau-agents/bureau/core/knowledge"
	"github.com/bureau-agents/bureau/ports/tool"
)

func serviceTool(t *testing.T, e *env) {
	w := newWorld(t, e)
	tl := w.SearchTool(w.sc, w.me.ID)
	equal(t, knowledge.ToolName, tl.Spec().Name)
	if !json.Valid(tl.Spec().InputSchema) {
		t.Errorf("schema %s", tl.Spec().InputSchema)
	}
	call := func(input string) tool.Result {
		t.Helper()
		res, err := tl.Call(w.ctx, tool.Call{Input: json.RawMessage(input)})
		noError(t, err)
		return res
	}
	equal(t, tool.Result{Text: `{"results":[],"message":"The knowledge base is empty."}`}, call(`{"query":"one"}`))
	w.ingest(t, "one", "two")
	equal(t, tool.Result{Text: `{"results":[{"id":"` + w.idOf(t, "one").String() + `","text":"one","source":"s","similarity":1}]}`},
		call(`{"query":"one","limit":1}`))
	for _, bad := range []string{`{}`, `{"query":" "}`, `{"query":"x","limit":-1}`, `[]`} {
		if res := call(bad); !res.IsError || res.Text == "" {
			t.Errorf("%s: %+v; want an error that the model can read", bad, res)
		}
	}
}
