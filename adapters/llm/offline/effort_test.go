package offline

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/bureau-agents/bureau/ports/llm"
	"github.com/bureau-agents/bureau/ports/tool"
)

// TestSchemasThatTakeForever offers tools whose small schemas unfold without end: other tenants wait for the same model.
func TestSchemasThatTakeForever(t *testing.T) {
	t.Parallel()
	var doubling, wide strings.Builder
	doubling.WriteString(`{"type":"object","$ref":"#/$defs/a60","$defs":{"a0":{"type":"object"}`)
	for i := range 60 {
		fmt.Fprintf(&doubling, `,"a%d":{"allOf":[{"$ref":"#/$defs/a%d"},{"$ref":"#/$defs/a%d"}]}`, i+1, i, i)
	}
	doubling.WriteString(`}}`)
	wide.WriteString(`{"type":"object","properties":{"p":{"type":"string"}`)
	for i := range 60 {
		fmt.Fprintf(&wide, `,"p%d":{"$ref":"#"}`, i)
	}
	wide.WriteString(`}}`)
	for _, schema := range []string{doubling.String(), wide.String()} {
		done := make(chan struct{})
		go func() {
			defer close(done)
			for _, err := range New().Generate(t.Context(), llm.Request{
				Tools:    []tool.Spec{{Name: "send_report", Description: "Sends a report.", InputSchema: json.RawMessage(schema)}},
				Messages: []llm.Message{{Role: llm.RoleUser, Blocks: []llm.Block{{Text: "Send a report."}}}},
			}) {
				if err != nil {
					t.Error(err)
				}
			}
		}()
		select {
		case <-done:
		case <-time.After(20 * time.Second):
			t.Fatalf("%.80s... takes too long", schema)
		}
	}
}
