package app

import (
	"cmp"
	"fmt"

	"go.uber.org/fx"

	"github.com/bureau-agents/bureau/adapters/embedding/hashing"
	embedopenai "github.com/bureau-agents/bureau/adapters/embedding/openai"
	"github.com/bureau-agents/bureau/adapters/llm/anthropic"
	"github.com/bureau-agents/bureau/adapters/llm/offline"
	"github.com/bureau-agents/bureau/adapters/llm/openai"
	"github.com/bureau-agents/bureau/adapters/otel"
	"github.com/bureau-agents/bureau/core/model"
	"github.com/bureau-agents/bureau/ports/embedding"
	"github.com/bureau-agents/bureau/ports/llm"
)

func modelModule() fx.Option {
	return fx.Module("models", fx.Provide(provideModels, provideEmbedder))
}

func provideModels(cfg Config, o options, t *otel.Telemetry, cards *model.Cards) (*model.Registry, error) {
	deps := model.Deps{Offline: otel.WrapLLM(offline.New(), t), Cards: cards}
	source, err := defaultSource(cfg.LLM, o)
	if err != nil {
		return nil, err
	}
	if source == nil {
		return model.NewRegistry(deps, model.Config{})
	}
	source.Provider = otel.WrapLLM(source.Provider, t)
	deps.Sources = []model.Source{*source}
	return model.NewRegistry(deps, model.Config{Default: source.Name})
}

// defaultSource is the operator's provider, nil for the offline model.
func defaultSource(cfg LLMConfig, o options) (*model.Source, error) {
	if o.llm != nil {
		return &model.Source{Name: o.llm.Name(), Provider: o.llm, Model: cfg.Model}, nil
	}
	var p llm.Provider
	var err error
	switch cfg.Provider {
	case "offline":
		return nil, nil
	case "anthropic":
		p, err = anthropic.New(anthropic.Config{BaseURL: cfg.BaseURL, APIKey: cfg.APIKey, Model: cfg.Model})
	case "google":
		base := cfg.BaseURL
		if base == "" {
			base = model.GoogleBaseURL
		}
		p, err = openai.New(openai.Config{Name: "google", BaseURL: base, APIKey: cfg.APIKey, Model: cfg.Model})
	default:
		p, err = openai.New(openai.Config{Name: cfg.Provider, BaseURL: cfg.BaseURL, APIKey: cfg.APIKey, Model: cfg.Model})
	}
	if err != nil {
		return nil, fmt.Errorf("app: Config.LLM: %w", err)
	}
	return &model.Source{Name: cfg.Provider, Provider: p, Model: cfg.Model}, nil
}

// The embedding model of OpenAI that is taken when none is named, and how long its vectors are.
const (
	defaultEmbedding  = "text-embedding-3-small"
	defaultDimensions = 1536
)

func provideEmbedder(cfg Config, o options, t *otel.Telemetry) (embedding.Embedder, error) {
	e, err := chooseEmbedder(cfg, o)
	if err != nil {
		return nil, err
	}
	return otel.WrapEmbedding(e, t), nil
}

func chooseEmbedder(cfg Config, o options) (embedding.Embedder, error) {
	switch {
	case o.embedder != nil:
		return o.embedder, nil
	case cfg.Embedder.Provider == "hashing":
		return hashing.New(), nil
	}
	e, err := embedopenai.New(embedopenai.Config{
		BaseURL: cfg.Embedder.BaseURL, Key: cfg.Embedder.APIKey, Model: cmp.Or(cfg.Embedder.Model, defaultEmbedding),
		Dimensions: cmp.Or(cfg.Embedder.Dimensions, defaultDimensions),
	})
	if err != nil {
		return nil, fmt.Errorf("app: Config.Embedder: %w", err)
	}
	return e, nil
}
