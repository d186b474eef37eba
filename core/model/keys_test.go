package model_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/model"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/llm"
)

// ring is the keyring of one agent.
type ring struct {
	keys   []model.Key
	chosen string
	err    error
}

func (r *ring) Keys(context.Context, account.Scope, id.Agent) ([]model.Key, error) {
	return r.keys, r.err
}

func (r *ring) Chosen(context.Context, account.Scope, id.Agent) (string, error) { return r.chosen, nil }

// opener opens providers that are named after the key that they were opened with.
type opener struct{ opened []model.Endpoint }

func (o *opener) Open(e model.Endpoint) (llm.Provider, error) {
	if e.APIKey == "unusable" {
		return nil, errors.New("no provider")
	}
	o.opened = append(o.opened, e)
	return named(e.APIKey), nil
}

// card is the only card of a tenant.
type card string

func (c card) Find(_ context.Context, _ account.Scope, handle string) (model.Resolved, bool, error) {
	return model.Resolved{Provider: named("card"), ProviderName: "openai", Model: "of-card"}, handle == string(c), nil
}

func (c card) Any(context.Context, account.Scope) (bool, error) { return true, nil }

func TestAgents(t *testing.T) {
	t.Parallel()
	all := []model.Key{{Provider: "openai", Secret: "own-openai"}, {Provider: "google", Secret: "own-google"}, {Provider: "anthropic", Secret: "swarm-anthropic"}}
	const none = `there is no key for the provider %q; the offline model answers instead`
	tests := []struct {
		name, chosen, handle string
		keys                 []model.Key
		want                 outcome
	}{
		{"the first key there is", "", "", all, outcome{"own-openai", "openai", "gpt-5-mini", ""}},
		{"for the default, too", "", "default", all, outcome{"own-openai", "openai", "gpt-5-mini", ""}},
		{"chosen", "google", "", all, outcome{"own-google", "google", "gemini-2.5-flash", ""}},
		{"chosen, by the swarm's key", "anthropic", "", all, outcome{"swarm-anthropic", "anthropic", "claude-sonnet-4-5", ""}},
		{"chosen, by the server's key", "anthropic", "", nil, outcome{"server", "anthropic", "claude-server", ""}},
		{"chosen without any key", "google", "", all[:1], outcome{"offline", "offline", "offline", fmt.Sprintf(none, "google")}},
		{"an unknown one chosen", "mistral", "", all, outcome{"offline", "offline", "offline", fmt.Sprintf(none, "mistral")}},
		{"offline chosen", "offline", "", all, outcome{"offline", "offline", "offline", ""}},
		{"offline chosen beside a name", "offline", "gpt-5", all, outcome{"offline", "offline", "offline", ""}},
		{"no keys", "", "", nil, outcome{"server", "anthropic", "claude-server", ""}},
		{"offline by the handle", "openai", " offline ", all, outcome{"offline", "offline", "offline", ""}},
		{"a card", "openai", "my-card", all, outcome{"card", "openai", "of-card", ""}},
		{"the server's provider by name", "openai", "anthropic/claude-x", all, outcome{"server", "anthropic", "claude-x", ""}},
		{"a provider that only a key is for", "", "openai/gpt-x", all, outcome{"own-openai", "openai", "gpt-x", ""}},
		{"a provider that no key is for", "", "openai/gpt-x", nil, outcome{"server", "anthropic", "openai/gpt-x", ""}},
		{"a name of the chosen one", "openai", "o9", all, outcome{"own-openai", "openai", "o9", ""}},
		{"a name of the chosen one, by the server's key", "anthropic", "claude-x", nil, outcome{"server", "anthropic", "claude-x", ""}},
		{"a name that tells whose it is", "", "gemini-x", all, outcome{"own-google", "google", "gemini-x", ""}},
		{"likewise without a key", "", "gemini-x", nil, outcome{"server", "anthropic", "gemini-x", ""}},
		{"a name that does not", "", "qwen", all, outcome{"server", "anthropic", "qwen", ""}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			registry, err := model.NewRegistry(model.Deps{
				Offline: named("offline"), Cards: card("my-card"),
				Sources: []model.Source{{Name: "anthropic", Provider: named("server"), Model: "claude-server"}},
			}, model.Config{Default: "anthropic"})
			if err != nil {
				t.Fatal(err)
			}
			agents, err := model.NewAgents(model.AgentDeps{
				Registry: registry, Keyring: &ring{keys: tt.keys, chosen: tt.chosen}, Factory: &opener{},
			}, model.AgentConfig{})
			if err != nil {
				t.Fatal(err)
			}
			got, err := agents.Resolve(t.Context(), account.Scope{}, id.New[id.AgentKind](ids), tt.handle)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, outcome{got.Provider.Name(), got.ProviderName, got.Model, got.Warning}); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			got, err = agents.Resolve(t.Context(), account.Scope{}, id.Agent{}, "") // nobody's keys
			if err != nil || got.Provider.Name() != "server" {
				t.Errorf("for no agent: %v, %v", got, err)
			}
		})
	}
}

var ids = id.NewGenerator(time.Now)

func TestAgentsProviders(t *testing.T) {
	t.Parallel()
	registry, err := model.NewRegistry(model.Deps{Offline: named("offline")}, model.Config{})
	if err != nil {
		t.Fatal(err)
	}
	keys, open := &ring{}, &opener{}
	agents, err := model.NewAgents(model.AgentDeps{Registry: registry, Keyring: keys, Factory: open},
		model.AgentConfig{BaseURLs: map[string]string{"openai": "https://gateway.example.com"}})
	if err != nil {
		t.Fatal(err)
	}
	of := id.New[id.AgentKind](ids)
	resolve := func(k model.Key) error {
		keys.keys = []model.Key{k}
		_, err := agents.Resolve(t.Context(), account.Scope{}, of, "")
		return err
	}
	for range 2 { // what was opened once is kept
		for _, k := range []model.Key{{"anthropic", "a"}, {"openai", "b"}, {"google", "c"}, {"openai", "d"}} {
			if err := resolve(k); err != nil {
				t.Fatal(err)
			}
		}
	}
	want := []model.Endpoint{
		{Provider: model.Ant, Name: "anthropic", Model: "claude-sonnet-4-5", APIKey: "a"},
		{Provider: model.OAI, Name: "openai", Model: "gpt-5-mini", APIKey: "b", BaseURL: "https://gateway.example.com"},
		{Provider: model.OAI, Name: "google", Model: "gemini-2.5-flash", APIKey: "c", BaseURL: model.GoogleBaseURL},
		{Provider: model.OAI, Name: "openai", Model: "gpt-5-mini", APIKey: "d", BaseURL: "https://gateway.example.com"},
	}
	if diff := cmp.Diff(want, open.opened); diff != "" {
		t.Errorf("opened (-want +got):\n%s", diff)
	}
	if err := resolve(model.Key{Provider: "openai", Secret: "unusable"}); err == nil {
		t.Error("a provider that cannot be opened")
	}
	keys.err = errors.New("no keys")
	if err := resolve(model.Key{}); !errors.Is(err, keys.err) {
		t.Errorf("the ring's error: %v", err)
	}
	if _, err := model.NewAgents(model.AgentDeps{Registry: registry}, model.AgentConfig{BaseURLs: map[string]string{"other": ""}}); err == nil {
		t.Error("an address of a provider that is not known")
	}
	if _, err := model.NewAgents(model.AgentDeps{Registry: registry, Keyring: keys}, model.AgentConfig{}); err == nil {
		t.Error("no factory")
	}
}
