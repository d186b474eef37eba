package app_test

import (
	"strings"
	"testing"
)

// valarBody returns a valid body of an operation of the valar face, in this world's ids.
func (w *world) valarBody(t *testing.T, op operation) any {
	t.Helper()
	agent := m{
		"name": w.name + " registered", "type": "assistant", "icon": "🤖", "platform": "python", "description": w.name, "status": "busy",
		"metadata": m{"of": w.name, "tags": []string{w.name}},
	}
	bodies := map[string]any{
		"createMessage": w.messageBody(), "createFeedback": w.feedbackBody(),
		"createEvent": w.eventBody(), "createEvents": m{"events": []m{w.eventBody(), w.eventBody()}},

		"createAgent": agent, "updateAgent": agent,
		"ingestSkills": w.submissionBody("3"), "approveSkill": m{"reason": w.name}, "denySkill": m{"reason": w.name},
		"createAgentLink": m{"agent_id": w.agent, "user": w.name + "@example.com"},
		"reportUsage": m{
			"agent_id": w.agent, "model": w.name + "-model", "tokens_input": 1500, "tokens_output": 800, "cached_tokens": 200,
			"cache_write_tokens": 3, "cache_write_1h_tokens": 4, "cost": 0.25, "api_calls": 2, "avg_latency_ms": 12.5, "provider": w.name,
		},
	}
	body, ok := bodies[strings.TrimPrefix(op.ID, "valar.")]
	if !ok {
		t.Fatalf("%s %s (%s) has a body that this test does not know: write a valid one here", op.Method, op.Path, op.ID)
	}
	return body
}
