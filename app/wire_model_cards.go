package app

import (
	"net/http"
	"time"

	"go.uber.org/fx"

	"github.com/bureau-agents/bureau/adapters/llm/anthropic"
	"github.com/bureau-agents/bureau/adapters/llm/openai"
	"github.com/bureau-agents/bureau/adapters/otel"
	"github.com/bureau-agents/bureau/adapters/store/bunstore"
	"github.com/bureau-agents/bureau/core/audit"
	"github.com/bureau-agents/bureau/core/model"
	"github.com/bureau-agents/bureau/ports/egress"
	"github.com/bureau-agents/bureau/ports/fault"
	"github.com/bureau-agents/bureau/ports/keeper"
	"github.com/bureau-agents/bureau/ports/llm"
)

// cardParts are what model cards stand on.
type cardParts struct {
	fx.In

	Config    Config
	Store     *bunstore.Store
	Keeper    keeper.Keeper
	Trail     *audit.Service
	Telemetry *otel.Telemetry
}

func provideCards(b base, p cardParts) (*model.Cards, error) {
	guarded, err := modelTransport(p.Config)
	if err != nil {
		return nil, err
	}
	return model.NewCards(model.CardDeps{
		TX: b.TX, Clock: b.Clock, IDs: b.IDs, Logger: b.Logger, Keeper: p.Keeper, Repository: p.Store.ModelCards(),
		Factory: cardFactory{guarded, p.Telemetry}, Audit: accountTrail{p.Trail},
	})
}

// modelTransport reaches the models of tenants. Their answers are streams: what bounds them is the providers' own patience.
func modelTransport(cfg Config) (http.RoundTripper, error) {
	guarded, err := egress.New(egress.Config{Allow: cfg.EgressAllow, MaxBody: -1, Timeout: -1, MaxRedirects: -1})
	if err != nil {
		return nil, err
	}
	return guarded.HTTPClient().Transport, nil
}

// cardFactory makes the providers of model cards and of agents' keys, which reach public addresses only.
type cardFactory struct {
	transport http.RoundTripper
	telemetry *otel.Telemetry
}

// cardPatience is how long a tenant's model may be silent.
const cardPatience = 2 * time.Minute

func (f cardFactory) Open(e model.Endpoint) (llm.Provider, error) {
	var p llm.Provider
	var err error
	switch e.Provider {
	case model.Ant, model.AntCompatible:
		p, err = anthropic.New(anthropic.Config{
			Name: e.Name, BaseURL: e.BaseURL, APIKey: e.APIKey, Model: e.Model, Headers: e.Headers, IdleTimeout: cardPatience, Transport: f.transport,
		})
	default:
		p, err = openai.New(openai.Config{
			Name: e.Name, BaseURL: e.BaseURL, APIKey: e.APIKey, Model: e.Model, Headers: e.Headers, IdleTimeout: cardPatience, Transport: f.transport,
		})
	}
	if err != nil {
		return nil, fault.Invalidf("base_url", "is not an address that can be used").Wrap(err)
	}
	return otel.WrapLLM(p, f.telemetry), nil
}
