package app

import (
	"context"

	"go.uber.org/fx"

	"github.com/bureau-agents/bureau/adapters/otel"
	"github.com/bureau-agents/bureau/adapters/store/bunstore"
	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/agent"
	"github.com/bureau-agents/bureau/core/audit"
	"github.com/bureau-agents/bureau/core/hosting"
	"github.com/bureau-agents/bureau/core/model"
	"github.com/bureau-agents/bureau/core/run"
	"github.com/bureau-agents/bureau/core/secret"
	"github.com/bureau-agents/bureau/ports/fault"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/keeper"
)

// documentsModule is what agents have beside their configuration: documents, secrets, and the models that these lead to.
func documentsModule() fx.Option {
	return fx.Module("documents", fx.Provide(provideDocuments, provideAgentSecrets, provideAgentModels))
}

func provideDocuments(b base, s *bunstore.Store, trail *audit.Service) (*agent.Documents, error) {
	return agent.NewDocuments(agent.DocumentsDeps{
		TX: b.TX, Clock: b.Clock, Repository: s.Documents(), Agents: s.Agents(), Standings: s.Agents(), Trail: trail,
	})
}

func provideAgentSecrets(b base, s *bunstore.Store, k keeper.Keeper, trail *audit.Service) (*secret.AgentSecrets, error) {
	return secret.NewAgentSecrets(secret.OwnedDeps{
		TX: b.TX, Clock: b.Clock, Keeper: k, Repository: s.OwnedSecrets(), Retired: s.OwnedSecrets(),
		Owners: secretOwners{s}, Audit: accountTrail{trail},
	})
}

// secretOwners tells secrets, which stand below agents and swarms, whose they are.
type secretOwners struct{ store *bunstore.Store }

// Exists implements secret.Owners.
func (o secretOwners) Exists(ctx context.Context, sc account.Scope, of secret.Owner) error {
	var err error
	if of.Swarm.IsZero() {
		_, err = o.store.Agents().Get(ctx, sc, of.Agent)
	} else {
		_, err = o.store.Swarms().Get(ctx, sc, of.Swarm)
	}
	return err
}

// Hold implements secret.Owners.
func (o secretOwners) Hold(ctx context.Context, sc account.Scope, of secret.Owner) error {
	if !of.Swarm.IsZero() {
		_, err := o.store.Swarms().Lock(ctx, sc, of.Swarm)
		return err
	}
	info, err := o.store.Agents().LockStanding(ctx, sc, of.Agent)
	if err == nil && info.Standing == agent.Archived {
		return agent.ErrArchived
	}
	return err
}

// SwarmOf implements secret.Owners.
func (o secretOwners) SwarmOf(ctx context.Context, sc account.Scope, of id.Agent) (id.Swarm, error) {
	return swarmOf(ctx, sc, o.store.Agents(), of)
}

// keyring tells models which keys an agent may use.
type keyring struct {
	secrets *secret.AgentSecrets
	hosting hosting.Repository
}

// Keys implements model.Keyring.
func (k keyring) Keys(ctx context.Context, sc account.Scope, of id.Agent) ([]model.Key, error) {
	found, err := k.secrets.ProviderKeys(ctx, sc, of)
	if err != nil {
		return nil, err
	}
	keys := make([]model.Key, len(found))
	for i, f := range found {
		keys[i] = model.Key{Provider: f.Provider, Secret: f.Key.Reveal()}
	}
	return keys, nil
}

// Chosen implements model.Keyring.
func (k keyring) Chosen(ctx context.Context, sc account.Scope, of id.Agent) (string, error) {
	return chosenProvider(ctx, sc, k.hosting, of)
}

func provideAgentModels(
	cfg Config, s *bunstore.Store, registry *model.Registry, secrets *secret.AgentSecrets, host agentHost, t *otel.Telemetry, lines *remoteLines,
) (*model.Agents, error) {
	guarded, err := modelTransport(cfg)
	if err != nil {
		return nil, err
	}
	return model.NewAgents(model.AgentDeps{
		Registry: registry, Keyring: keyring{secrets, s.Hosting()}, Factory: cardFactory{guarded, t},
		Programs: remotePrograms{lines, &programs{
			host: host, deployments: s.Hosting(), secrets: secrets, telemetry: t, remotes: lines.remotes, open: map[id.Agent]openProgram{},
		}},
	}, model.AgentConfig{BaseURLs: cfg.ProviderURLs})
}

// documentPrompt tells agents what their documents say.
type documentPrompt struct{ documents *agent.Documents }

// Prompt implements run.PromptSource.
func (p documentPrompt) Prompt(ctx context.Context, sc account.Scope, env run.Env) (string, error) {
	return p.documents.Prompt(ctx, sc, env.Agent)
}

// documentTools lets agents read their rules.
type documentTools struct{ documents *agent.Documents }

// Tools implements run.ToolSource.
func (t documentTools) Tools(ctx context.Context, sc account.Scope, env run.Env) ([]run.BoundTool, error) {
	tools, err := t.documents.Tools(ctx, sc, env.Agent.ID)
	return bind(tools), err
}

// swarmOf returns the swarm that an agent is in; zero for none, and for an agent that is not there.
func swarmOf(ctx context.Context, sc account.Scope, agents agent.Repository, of id.Agent) (id.Swarm, error) {
	a, err := agents.Get(ctx, sc, of)
	if fault.KindOf(err) == fault.NotFound {
		return id.Swarm{}, nil
	}
	return a.Swarm, err
}
