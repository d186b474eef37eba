package agento

import (
	"context"
	"net/http"

	"github.com/bureau-agents/bureau/adapters/http/internal/httpx"
	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/secret"
	"github.com/bureau-agents/bureau/ports/id"
)

type putSecretsInput struct {
	AgentID string `path:"agent_id" doc:"The agent's id, in any spelling."`
	Body    struct {
		Secrets       map[string]string `json:"secrets,omitempty" doc:"To set, by name."`
		DeleteSecrets []string          `json:"deleteSecrets,omitempty" maxItems:"200" doc:"Names to delete."`
	}
}

type changedSecretsWire struct {
	Updated      bool `json:"updated"`
	NeedsRestart bool `json:"needsRestart"`
}

func (f *face) registerSecrets() {
	for method, op := range map[string]string{
		http.MethodPut: "putSecrets", http.MethodPatch: "patchSecrets", http.MethodPost: "updateSecrets",
	} {
		httpx.Register(f.Face, httpx.Op{
			ID: op, Method: method, Path: "/v1/agents/{agent_id}/secrets", Tag: "secrets", Summary: "Set and delete secrets of an agent",
			Example: `{"secrets":{"openai_api_key":"sk-...","SHOP_TOKEN":"t-..."},"deleteSecrets":["OLD_TOKEN"]}`,
			Description: "All of it or nothing; nothing shows them again. `anthropicApiKey` and `anthropic_api_key` are one secret, and so are the other " +
				"keys of model providers and tokens of channels; they stay in the server. Others are variables of the agent's own program. PUT, PATCH " +
				"and POST do the same.",
			Permission: account.AgentsWrite, Statuses: []int{http.StatusConflict},
		}, func(ctx context.Context, in *putSecretsInput) (*output[changedSecretsWire], error) {
			of, err := id.Parse[id.AgentKind](in.AgentID)
			if err != nil {
				return nil, err
			}
			c := secret.Change{Set: make(map[string]secret.Value, len(in.Body.Secrets)), Delete: in.Body.DeleteSecrets}
			for name, v := range in.Body.Secrets {
				c.Set[name] = secret.NewValue(v)
			}
			restart, err := f.deps.Secrets.Set(ctx, httpx.Scope(ctx), of, c)
			if err != nil {
				return nil, err
			}
			return ok(changedSecretsWire{true, restart}), nil
		})
	}
}
