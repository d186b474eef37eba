package app_test

import (
	"strings"
	"testing"
)

// valtaIDs are the world's ids as the paths, bodies and queries of the valta face call them.
func (w *world) valtaIDs() map[string]string {
	return map[string]string{
		"agentId": "ag_" + strings.TrimPrefix(w.agent, "agent_"), "toAgentId": "ag_" + strings.TrimPrefix(w.helper, "agent_"),
		"runId": w.run, "approvalId": w.approval, "entryId": w.entry,
	}
}

// valtaBody returns a valid body of an operation of the valta face, in this world's ids.
func (w *world) valtaBody(t *testing.T, op operation) any {
	t.Helper()
	ids := w.valtaIDs()
	task := m{"task": "Say " + w.name, "context": w.name}
	limits := m{
		"maxPerTransaction": 50, "dailyLimit": 100.5, "monthlyLimit": 500, "requireApprovalAbove": 25,
		"blockedCategories": []string{w.name}, "allowedDomains": []string{w.name + ".example"}, "blockedDomains": []string{"bad.example"},
	}
	bodies := map[string]any{
		"createAgent": m{"name": w.name + " payer", "description": w.name},
		"updateAgent": m{"name": w.name + " payer", "description": w.name},
		"deposit":     m{"amount": 1.5, "description": w.name},
		"spend":       m{"amount": 1.5, "description": w.name, "payee": w.name + ".example", "category": "stamps"},
		"transfer":    m{"fromAgentId": ids["agentId"], "toAgentId": ids["toAgentId"], "amount": 1.5, "description": w.name},
		"startRun":    task, "startRunAlias": task,
		"createPolicy": limits, "updatePolicy": limits,
		"deny": m{"reason": w.name},
	}
	body, ok := bodies[strings.TrimPrefix(op.ID, "valta.")]
	if !ok {
		t.Fatalf("%s %s (%s) has a body that this test does not know: write a valid one here", op.Method, op.Path, op.ID)
	}
	return body
}
