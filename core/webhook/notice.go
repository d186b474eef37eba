package webhook

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/bureau-agents/bureau/ports/id"
)

// KeepFor is how long notices and finished deliveries are kept.
const KeepFor = 30 * 24 * time.Hour

// Notice is something that has happened. It never changes.
type Notice struct {
	ID        id.Notice
	Tenant    id.Tenant
	Kind      string
	Agent     id.Agent        // whom it concerns; zero for the account as a whole
	Data      json.RawMessage // a JSON object; ids in it are UUIDs, money is decimal strings
	CreatedAt time.Time
}

// Shown returns Data as it is shown outside: ids are spelled with their kinds' prefixes.
func (n Notice) Shown() (json.RawMessage, error) {
	var data map[string]any
	if err := json.Unmarshal(n.Data, &data); err != nil {
		return nil, fmt.Errorf("webhook: the data of %s: %w", n.ID, err)
	}
	out, err := json.Marshal(spelled("", data))
	if err != nil {
		return nil, fmt.Errorf("webhook: %w", err)
	}
	return out, nil
}

// body is what is delivered: the same bytes each time.
func (n Notice) body() ([]byte, error) {
	data, err := n.Shown()
	if err != nil {
		return nil, err
	}
	out, err := json.Marshal(struct {
		ID        string          `json:"id"`
		Type      string          `json:"type"`
		CreatedAt string          `json:"created_at"`
		Data      json.RawMessage `json:"data"`
	}{n.ID.String(), n.Kind, n.CreatedAt.UTC().Format("2006-01-02T15:04:05.000Z"), data})
	if err != nil {
		return nil, fmt.Errorf("webhook: %w", err)
	}
	return out, nil
}

// spellings say which members of notices are ids of which kind.
var spellings = map[string]func(string) string{
	"act_id": spell[id.ActKind], "agent_id": spell[id.AgentKind], "agent_ids": spell[id.AgentKind], "approval_id": spell[id.ApprovalKind],
	"budget_id":   spell[id.BudgetKind],
	"decision_id": spell[id.DecisionKind], "delivery_id": spell[id.AttemptKind], "from_agent_id": spell[id.AgentKind],
	"hold_id": spell[id.HoldKind], "payment_id": spell[id.PaymentKind], "policy_id": spell[id.PolicyKind],
	"remote_agent_id": spell[id.RemoteAgentKind], "run_id": spell[id.RunKind],
	"session_id": spell[id.SessionKind], "skill_id": spell[id.SkillKind], "swarm_id": spell[id.SwarmKind], "tenant_id": spell[id.TenantKind],
	"to_agent_id": spell[id.AgentKind], "tool_use_id": spell[id.EventKind], "transaction_id": spell[id.LedgerEntryKind],
	"wallet_id": spell[id.WalletKind], "webhook_id": spell[id.WebhookKind],
}

func spell[K id.Kind](s string) string {
	if v, err := id.Parse[K](s); err == nil {
		return v.String()
	}
	return s
}

// spelled returns a value of the data with the ids in it spelled; name is the member that it stands under.
func spelled(name string, v any) any {
	switch v := v.(type) {
	case string:
		if f := spellings[name]; f != nil {
			return f(v)
		}
	case map[string]any:
		for k, inner := range v {
			v[k] = spelled(k, inner)
		}
	case []any:
		for i, inner := range v {
			v[i] = spelled(name, inner)
		}
	}
	return v
}
