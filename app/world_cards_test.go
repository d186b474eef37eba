package app_test

import "testing"

// cardText is a card of the world's agent.
func (w *world) cardText() m {
	return m{"protocolVersion": "0.3.0", "name": w.name, "url": "https://" + w.name + ".example/a2a", "skills": []m{{"id": w.name}}}
}

// validates has a card judged, in a batch.
func (w *world) validates(t *testing.T) {
	t.Helper()
	var out struct {
		BatchID string `json:"batch_id"`
		Results []struct {
			ReportID    string `json:"report_id"`
			AgentCardID string `json:"agent_card_id"`
		}
	}
	w.api.Call("POST", "/v1/validate/batch", m{"cards": []m{{"id": w.name, "agent_card": w.cardText()}}}, &out)
	w.batch, w.report, w.agentCard = out.BatchID, out.Results[0].ReportID, out.Results[0].AgentCardID
}

// validationBodies are the bodies of what is done with agent cards; none stores anything.
func (w *world) validationBodies() map[string]any {
	options := m{"include_score": true, "include_suggestions": false, "protocolVersion": "0.3.0"}
	return map[string]any{
		"validateCard":  m{"agent_card": m{"name": w.name}, "validation_mode": "cli", "options": options},
		"validateCards": m{"cards": []m{{"id": w.name, "agent_card": m{"name": w.name}, "options": options}}, "validation_mode": "cli"},
		"migrateCard":   m{"agent_card": m{"name": w.name}, "to": "1.0", "hybrid": false},
	}
}
