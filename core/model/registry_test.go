package model_test

import (
	"context"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/model"
	"github.com/bureau-agents/bureau/ports/llm/llmtest"
)

func named(name string) *llmtest.Scripted {
	p := llmtest.NewScripted()
	p.ProviderName = name
	return p
}

type outcome struct {
	Provider, Name, Model, Warning string
}

func TestResolve(t *testing.T) {
	t.Parallel()
	sources := []model.Source{
		{Provider: named("anthropic"), Model: "claude-sonnet", Models: []string{"claude-*"}},
		{Name: "local", Provider: named("openai"), Model: "qwen", Models: []string{"gpt-*"}},
	}
	const unknown = `the model "nothing" is not configured on this server; the offline model answers instead`
	tests := []struct {
		name, fallback, handle string
		want                   outcome
	}{
		{"empty is the default", "local", "", outcome{"openai", "local", "qwen", ""}},
		{"by its handle", "local", "default", outcome{"openai", "local", "qwen", ""}},
		{"empty without a default", "", "", outcome{"offline", "offline", "offline", ""}},
		{"offline beside a default", "local", "offline", outcome{"offline", "offline", "offline", ""}},
		{"pattern", "local", "claude-opus", outcome{"anthropic", "anthropic", "claude-opus", ""}},
		{"pattern without a default", "", "gpt-5", outcome{"openai", "local", "gpt-5", ""}},
		{"a source's own model", "anthropic", "qwen", outcome{"openai", "local", "qwen", ""}},
		{"provider and model", "anthropic", "local/x/y", outcome{"openai", "local", "x/y", ""}},
		{"anything goes to the default", "anthropic", "nothing", outcome{"anthropic", "anthropic", "nothing", ""}},
		{"an unknown provider's spelling too", "anthropic", "meta/llama", outcome{"anthropic", "anthropic", "meta/llama", ""}},
		{"unknown on the offline default", "", "nothing", outcome{"offline", "offline", "offline", unknown}},
		{"white space", "", " offline ", outcome{"offline", "offline", "offline", ""}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r, err := model.NewRegistry(model.Deps{Offline: named("offline"), Sources: sources}, model.Config{Default: tt.fallback})
			if err != nil {
				t.Fatal(err)
			}
			got, err := r.Resolve(t.Context(), account.Scope{}, tt.handle)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, outcome{got.Provider.Name(), got.ProviderName, got.Model, got.Warning}); diff != "" {
				t.Errorf("Resolve(%q) (-want +got):\n%s", tt.handle, diff)
			}
		})
	}
}

func TestResolveCancelled(t *testing.T) {
	t.Parallel()
	r, err := model.NewRegistry(model.Deps{Offline: named("offline")}, model.Config{})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := r.Resolve(ctx, account.Scope{}, ""); !errors.Is(err, context.Canceled) {
		t.Errorf("Resolve on a cancelled context: %v, want context.Canceled", err)
	}
}

func TestNewRegistryRefuses(t *testing.T) {
	t.Parallel()
	offline := named("offline")
	tests := map[string]struct {
		deps   model.Deps
		config model.Config
		want   string
	}{
		"no offline model":  {model.Deps{}, model.Config{}, "model: Deps.Offline is required"},
		"no provider":       {model.Deps{Offline: offline, Sources: []model.Source{{}}}, model.Config{}, "model: Deps.Sources[0].Provider is required"},
		"unknown default":   {model.Deps{Offline: offline}, model.Config{Default: "x"}, `model: Config.Default "x" is not a source`},
		"twins":             {model.Deps{Offline: offline, Sources: []model.Source{{Provider: offline}}}, model.Config{}, `model: two sources are named "offline"`},
		"malformed pattern": {model.Deps{Offline: offline, Sources: []model.Source{{Name: "a", Provider: offline, Models: []string{"["}}}}, model.Config{}, `model: source "a": bad pattern "["`},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := model.NewRegistry(tt.deps, tt.config)
			if err == nil || err.Error() != tt.want {
				t.Errorf("NewRegistry: %v, want %q", err, tt.want)
			}
		})
	}
}
