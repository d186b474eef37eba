package app

import (
	"go.uber.org/fx"

	"github.com/bureau-agents/bureau/adapters/oauth/refresh"
	"github.com/bureau-agents/bureau/adapters/store/bunstore"
	"github.com/bureau-agents/bureau/core/audit"
	"github.com/bureau-agents/bureau/core/secret"
	"github.com/bureau-agents/bureau/ports/egress"
	"github.com/bureau-agents/bureau/ports/keeper"
)

func secretModule() fx.Option {
	return fx.Module("secrets", fx.Provide(provideSecrets))
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
