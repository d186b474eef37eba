package app

import (
	"context"

	"go.uber.org/fx"

	"github.com/bureau-agents/bureau/adapters/oauth/refresh"
	"github.com/bureau-agents/bureau/adapters/store/bunstore"
	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/audit"
	"github.com/bureau-agents/bureau/core/model"
	"github.com/bureau-agents/bureau/core/remote"
	"github.com/bureau-agents/bureau/core/run"
	"github.com/bureau-agents/bureau/core/secret"
	"github.com/bureau-agents/bureau/ports/egress"
	"github.com/bureau-agents/bureau/ports/keeper"
)

func secretModule() fx.Option {
	return fx.Module("secrets", fx.Provide(provideSecrets, provideCards, newRedaction))
}

// secretParts are what vaults stand on.
type secretParts struct {
	fx.In

	Config Config
	Store  *bunstore.Store
	Keeper keeper.Keeper
	Trail  *audit.Service
}

func provideSecrets(b base, p secretParts) (*secret.Service, error) {
	servers, err := egress.New(egress.Config{Allow: p.Config.EgressAllow})
	if err != nil {
		return nil, err
	}
	endpoints, err := egress.New(egress.Config{Allow: p.Config.EgressAllow, MaxRedirects: -1})
	if err != nil {
		return nil, err
	}
	client, err := refresh.New(refresh.Config{Endpoints: endpoints.HTTPClient(), Servers: servers.HTTPClient(), Version: Version()})
	if err != nil {
		return nil, err
	}
	return secret.NewService(secret.Deps{
		TX: b.TX, Clock: b.Clock, IDs: b.IDs, Logger: b.Logger, Keeper: p.Keeper, Vaults: p.Store.Vaults(), Credentials: p.Store.Credentials(),
		Guard: servers, Exchanger: client, Prober: client, Audit: accountTrail{p.Trail},
	}, secret.Config{})
}

// redaction knows what must not be told in a session: the credentials of its vaults, the secrets of the agent and of its swarm, the keys
// of the tenant's model cards, what remote agents are called with, and those of the server's own providers.
type redaction struct {
	secrets *secret.Service
	agents  *secret.AgentSecrets
	cards   *model.Cards
	remotes *remote.Service
	own     []secret.Known
	always  *secret.Redactor // of own
}

func newRedaction(cfg Config, secrets *secret.Service, agents *secret.AgentSecrets, cards *model.Cards, remotes *remote.Service) run.Secrets {
	r := redaction{secrets: secrets, agents: agents, cards: cards, remotes: remotes}
	for name, key := range map[string]string{"llm_api_key": cfg.LLM.APIKey, "embedder_api_key": cfg.Embedder.APIKey} {
		if key != "" {
			r.own = append(r.own, secret.Known{Name: name, Value: secret.NewValue(key)})
		}
	}
	r.always = secret.NewRedactor(r.own)
	return r
}

// Redactor implements run.Secrets.
func (r redaction) Redactor(ctx context.Context, sc account.Scope, env run.Env) (*secret.Redactor, error) {
	known, err := r.secrets.Known(ctx, sc, env.Session.Vaults)
	if err != nil {
		return nil, err
	}
	own, err := r.agents.Known(ctx, sc, env.Agent.ID)
	if err != nil {
		return nil, err
	}
	known = append(known, own...)
	elsewhere, err := r.remotes.Known(ctx, sc, env.Agent)
	if err != nil {
		return nil, err
	}
	known = append(known, elsewhere...)
	cards, err := r.cards.Secrets(ctx, sc)
	if err != nil {
		return nil, err
	}
	if len(known) == 0 && len(cards) == 0 {
		return r.always, nil
	}
	for handle, values := range cards {
		for _, v := range values {
			known = append(known, secret.Known{Name: handle, Value: secret.NewValue(v)})
		}
	}
	return secret.NewRedactor(append(known, r.own...)), nil
}
