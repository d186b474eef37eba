package app_test

import (
	"maps"
	"strings"
	"testing"
)

// agentoPrefix is where the agento face stands.
const agentoPrefix = "/compat/agento"

// agentoBody returns a valid body of an operation of the agento face, in this world's ids.
func (w *world) agentoBody(t *testing.T, op operation) any {
	t.Helper()
	bodies := map[string]any{
		"installSkill":    m{"skillId": "calculator", "trustLevel": "clawhub"},
		"createSwarm":     m{"name": "Growth"},
		"updateSwarm":     m{"name": "Growth Team"},
		"ingestKnowledge": m{"agentId": w.agent, "chunks": []m{{"text": "Penguins cannot fly.", "source": "birds.md"}}},
	}
	bodies["sendChatMessage"] = m{"message": w.name, "peerId": plain["peer_id"], "sessionId": w.chat, "context": m{"name": w.name}}
	bodies["createChatSession"] = m{"peerId": w.name, "name": w.name}
	maps.Copy(bodies, w.agentoDocumentBodies())
	maps.Copy(bodies, w.hostingAgentoBodies())
	body, ok := bodies[strings.TrimPrefix(op.ID, "agento.")]
	if !ok {
		t.Fatalf("%s %s (%s) has a body that this test does not know: write a valid one here", op.Method, op.Path, op.ID)
	}
	return body
}
