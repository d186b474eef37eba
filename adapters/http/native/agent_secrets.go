package native

import (
	"context"
	"net/http"

	"github.com/bureau-agents/bureau/adapters/http/internal/httpx"
	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/secret"
	"github.com/bureau-agents/bureau/ports/id"
)

// ownedWire is a secret of an agent, or a credential of a swarm: its name only.
type ownedWire struct {
	Name      string `json:"name"`
	Type      string `json:"type" enum:"secret"`
	UpdatedAt stamp  `json:"updated_at"`
}

func showOwned(o secret.Owned) ownedWire {
	return ownedWire{Name: o.Name, Type: "secret", UpdatedAt: stampOf(o.UpdatedAt)}
}

type changedSecretsWire struct {
	Type         string `json:"type" enum:"secrets_updated"`
	NeedsRestart bool   `json:"needs_restart" doc:"Whether the agent runs, and its program gets the change once it was restarted."`
}

// secretsBody changes secrets. The lengths are checked by the service, which names the place.
type secretsBody struct {
	Secrets       map[string]string `json:"secrets,omitempty" doc:"To set, by name: up to 8192 characters each."`
	DeleteSecrets []string          `json:"delete_secrets,omitempty" maxItems:"200" doc:"Names to delete; those that are not there are no error."`
}

func (b secretsBody) change() secret.Change {
	c := secret.Change{Set: make(map[string]secret.Value, len(b.Secrets)), Delete: b.DeleteSecrets}
	for name, v := range b.Secrets {
		c.Set[name] = secret.NewValue(v)
	}
	return c
}

type putSecretsInput struct {
	AgentInput
	Body secretsBody
}

type putCredentialsInput struct {
	SwarmID string `path:"swarm_id" doc:"The swarm's id."`
	Body    secretsBody
}

func (f *face) registerAgentSecrets() {
	httpx.Register(f.Face, httpx.Op{
		ID: "listAgentSecrets", Method: http.MethodGet, Path: "/v1/agents/{agent_id}/secrets", Tag: "secrets",
		Summary: "List the names of an agent's secrets", Description: "All of them, by name. Values are never shown.", Permission: account.AgentsRead,
	}, func(ctx context.Context, in *AgentInput) (*output[httpx.List[ownedWire]], error) {
		of, err := id.Parse[id.AgentKind](in.AgentID)
		if err != nil {
			return nil, err
		}
		return f.owned(ctx, secret.Owner{Agent: of})
	})
	for method, op := range map[string]string{
		http.MethodPut: "putAgentSecrets", http.MethodPatch: "patchAgentSecrets", http.MethodPost: "updateAgentSecrets",
	} {
		httpx.Register(f.Face, httpx.Op{
			ID: op, Method: method, Path: "/v1/agents/{agent_id}/secrets", Tag: "secrets", Summary: "Set and delete secrets of an agent",
			Example: `{"secrets":{"openai_api_key":"sk-...","SHOP_TOKEN":"t-..."},"delete_secrets":["OLD_TOKEN"]}`,
			Description: "All of it or nothing; the others stay; PUT, PATCH and POST do the same. `anthropic_api_key`, `openai_api_key` and " +
				"`google_api_key` answer the agent's model calls from the next one on, `telegram_bot_token`, `slack_bot_token` and `slack_app_token` " +
				"connect its channels: they stay in the server. Others are variables of the agent's own program. All are sealed, and masked in " +
				"whatever the agent says.",
			Permission: account.AgentsWrite, Statuses: []int{http.StatusConflict},
		}, func(ctx context.Context, in *putSecretsInput) (*output[changedSecretsWire], error) {
			of, err := id.Parse[id.AgentKind](in.AgentID)
			if err != nil {
				return nil, err
			}
			restart, err := f.deps.AgentSecrets.Set(ctx, httpx.Scope(ctx), of, in.Body.change())
			if err != nil {
				return nil, err
			}
			return ok(changedSecretsWire{"secrets_updated", restart}), nil
		})
	}

	httpx.Register(f.Face, httpx.Op{
		ID: "listSwarmCredentials", Method: http.MethodGet, Path: "/v1/swarms/{swarm_id}/credentials", Tag: "swarms",
		Summary: "List the names of a swarm's credentials", Description: "All of them, by name. Values are never shown.", Permission: account.SwarmsRead,
	}, func(ctx context.Context, in *swarmInput) (*output[httpx.List[ownedWire]], error) {
		of, err := id.Parse[id.SwarmKind](in.SwarmID)
		if err != nil {
			return nil, err
		}
		return f.owned(ctx, secret.Owner{Swarm: of})
	})
	for method, op := range map[string]string{
		http.MethodPut: "putSwarmCredentials", http.MethodPatch: "patchSwarmCredentials", http.MethodPost: "updateSwarmCredentials",
	} {
		httpx.Register(f.Face, httpx.Op{
			ID: op, Method: method, Path: "/v1/swarms/{swarm_id}/credentials", Tag: "swarms", Summary: "Set and delete credentials of a swarm",
			Example: `{"secrets":{"anthropic_api_key":"sk-ant-..."}}`,
			Description: "`anthropic_api_key`, `openai_api_key` and `google_api_key`: its agents that have no key of their own for the provider use them " +
				"from their next model call on, as long as they are in the swarm. They go with the swarm. PUT, PATCH and POST do the same.",
			Permission: account.SwarmsWrite,
		}, func(ctx context.Context, in *putCredentialsInput) (*output[httpx.List[ownedWire]], error) {
			of, err := id.Parse[id.SwarmKind](in.SwarmID)
			if err != nil {
				return nil, err
			}
			if err := f.deps.AgentSecrets.SetSwarm(ctx, httpx.Scope(ctx), of, in.Body.change()); err != nil {
				return nil, err
			}
			return f.owned(ctx, secret.Owner{Swarm: of})
		})
	}
}

// owned answers with the names of an owner's secrets.
func (f *face) owned(ctx context.Context, of secret.Owner) (*output[httpx.List[ownedWire]], error) {
	names, err := f.deps.AgentSecrets.Names(ctx, httpx.Scope(ctx), of)
	if err != nil {
		return nil, err
	}
	return ok(wholeList(names, showOwned)), nil
}
