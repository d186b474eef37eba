package model

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/llm"
)

// KeyProvider is a model provider that agents may bring keys for.
type KeyProvider struct {
	Name     string       // as prices and spans know it
	Protocol CardProvider // Ant or OAI
	BaseURL  string       // its public endpoint; "" is the protocol's own
	Model    string       // what answers an agent that names no model: a model of middle size that the prices know
	Models   string       // how the names of its models begin: "gpt-"
}

// keyProviders are the providers that agents may bring keys for, in the order in which keys count.
var keyProviders = []KeyProvider{
	{Name: "anthropic", Protocol: Ant, Model: "claude-sonnet-4-5", Models: "claude-"},
	{Name: "openai", Protocol: OAI, Model: "gpt-5-mini", Models: "gpt-"},
	// The endpoint of Gemini that speaks as OpenAI does.
	{Name: "google", Protocol: OAI, BaseURL: GoogleBaseURL, Model: "gemini-2.5-flash", Models: "gemini-"},
}

// GoogleBaseURL is Gemini's endpoint that speaks the OpenAI protocol.
const GoogleBaseURL = "https://generativelanguage.googleapis.com/v1beta/openai"

// DefaultModel returns the model of a provider that is asked when none is named; "" for a provider that is not known.
func DefaultModel(provider string) string {
	p, _ := keyProvider(provider)
	return p.Model
}

// Key is a key that an agent may use.
type Key struct {
	Provider string // a KeyProvider's Name
	Secret   string
}

// Keyring knows the keys of agents. app wires core/secret and core/hosting.
type Keyring interface {
	// Keys returns the keys that an agent may use, in the order in which they count: its own before its swarm's, one of each provider.
	Keys(ctx context.Context, sc account.Scope, agent id.Agent) ([]Key, error)
	// Chosen returns the provider that the agent's hosting names, Offline among them; "" when it names none.
	Chosen(ctx context.Context, sc account.Scope, agent id.Agent) (string, error)
}

// Programs knows the agents that are programs of their own; app wires core/hosting.
type Programs interface {
	// Program returns the program that answers for an agent; false when Bureau's agent loop does. An error when it cannot be reached.
	Program(ctx context.Context, sc account.Scope, agent id.Agent) (Resolved, bool, error)
}

// AgentDeps is what Agents needs.
type AgentDeps struct {
	Registry *Registry // required
	Keyring  Keyring   // nil: no agent has keys of its own
	Factory  Factory   // required with Keyring
	Programs Programs  // nil: no agent is a program
}

// AgentConfig tunes Agents; the zero value is the default.
type AgentConfig struct {
	// BaseURLs replaces the public endpoints of providers, by their names: for a gateway before them.
	BaseURLs map[string]string
}

// Agents chooses the models of agents, which may have keys of their own. It is safe for concurrent use.
type Agents struct {
	d   AgentDeps
	cfg AgentConfig

	mu   sync.Mutex
	open map[[sha256.Size]byte]llm.Provider // by provider and key
}

// NewAgents returns Agents, or an error that names what is missing.
func NewAgents(d AgentDeps, cfg AgentConfig) (*Agents, error) {
	switch {
	case d.Registry == nil:
		return nil, errors.New("model: AgentDeps.Registry is required")
	case d.Keyring != nil && d.Factory == nil:
		return nil, errors.New("model: AgentDeps.Factory is required")
	}
	for name := range cfg.BaseURLs {
		if _, ok := keyProvider(name); !ok {
			return nil, fmt.Errorf("model: AgentConfig.BaseURLs names %q, which is no provider", name)
		}
	}
	return &Agents{d: d, cfg: cfg, open: map[[sha256.Size]byte]llm.Provider{}}, nil
}

func keyProvider(name string) (KeyProvider, bool) {
	i := slices.IndexFunc(keyProviders, func(p KeyProvider) bool { return p.Name == name })
	if i < 0 {
		return KeyProvider{}, false
	}
	return keyProviders[i], true
}

// Resolve returns the model that a handle means for an agent; for the zero agent it is Registry.Resolve.
//
// What a handle says outright stays: "offline", a card of the tenant, "provider/model" where the server has that provider. An agent that
// names no model gets the default model of the provider that its hosting chose, and where nothing was chosen of the first that it has a key
// for. Other names of models go to the provider chosen, or else to the one whose models are called so. In each case its own key counts
// before its swarm's, and that before the server's; what is left over is Registry.Resolve's. A chosen provider that there is no key for is
// answered offline, with a Warning. An agent that is a program answers by that, whatever the handle.
func (a *Agents) Resolve(ctx context.Context, sc account.Scope, agent id.Agent, handle string) (Resolved, error) {
	if a.d.Programs != nil && !agent.IsZero() {
		if res, ok, err := a.d.Programs.Program(ctx, sc, agent); err != nil || ok {
			return res, err
		}
	}
	handle = strings.TrimSpace(handle)
	if handle == Default {
		handle = ""
	}
	if a.d.Keyring == nil || agent.IsZero() || handle == Offline {
		return a.d.Registry.Resolve(ctx, sc, handle)
	}
	if kept, err := a.kept(ctx, sc, handle); err != nil || kept {
		return a.d.Registry.Resolve(ctx, sc, handle)
	}
	provider, model, ok := strings.Cut(handle, "/")
	if !ok {
		chosen, err := a.d.Keyring.Chosen(ctx, sc, agent)
		switch {
		case err != nil:
			return Resolved{}, err
		case chosen == Offline:
			return a.d.Registry.Resolve(ctx, sc, Offline)
		case chosen != "":
			return a.chosen(ctx, sc, agent, chosen, handle)
		}
		provider, model = providerOf(handle), handle
	}
	if provider != "" || handle == "" {
		if res, ok, err := a.byKey(ctx, sc, agent, provider, model); err != nil || ok {
			return res, err
		}
	}
	return a.d.Registry.Resolve(ctx, sc, handle)
}

// kept reports whether a handle names a card of the tenant, or a provider that the server has.
func (a *Agents) kept(ctx context.Context, sc account.Scope, handle string) (bool, error) {
	if handle == "" {
		return false, nil
	}
	if cards := a.d.Registry.cards; cards != nil {
		if _, ok, err := cards.Find(ctx, sc, handle); err != nil || ok {
			return ok, err
		}
	}
	name, _, ok := strings.Cut(handle, "/")
	return ok && a.d.Registry.has(name), nil
}

// providerOf returns the provider whose models are called like this; "" when none is known to call them so.
func providerOf(handle string) string {
	for _, p := range keyProviders {
		if strings.HasPrefix(handle, p.Models) {
			return p.Name
		}
	}
	return ""
}

// chosen resolves for the provider that an agent's hosting chose. model is the provider's name of it, "" its default.
func (a *Agents) chosen(ctx context.Context, sc account.Scope, agent id.Agent, provider, model string) (Resolved, error) {
	if res, ok, err := a.byKey(ctx, sc, agent, provider, model); err != nil || ok {
		return res, err
	}
	for _, src := range a.d.Registry.sources {
		if src.Name == provider {
			return src.resolved(cmp.Or(model, src.Model)), nil
		}
	}
	res, err := a.d.Registry.Resolve(ctx, sc, Offline)
	res.Warning = fmt.Sprintf("there is no key for the provider %q; the offline model answers instead", provider)
	return res, err
}

// byKey resolves by a key of the agent's for a provider, the first that it has for ""; model is the provider's name of it, "" its default.
// False when there is no such key.
func (a *Agents) byKey(ctx context.Context, sc account.Scope, agent id.Agent, provider, model string) (Resolved, bool, error) {
	keys, err := a.d.Keyring.Keys(ctx, sc, agent)
	if err != nil {
		return Resolved{}, false, err
	}
	for _, k := range keys {
		p, known := keyProvider(k.Provider)
		if !known || provider != "" && provider != p.Name {
			continue
		}
		if model == "" {
			model = p.Model
		}
		opened, err := a.provider(p, k.Secret)
		return Resolved{Provider: opened, ProviderName: p.Name, Model: model}, err == nil, err
	}
	return Resolved{}, false, nil
}

// provider returns the provider of a key. Those that were made are remembered by a digest of the key, at most maxOpen.
func (a *Agents) provider(p KeyProvider, key string) (llm.Provider, error) {
	digest := sha256.Sum256([]byte(p.Name + "\x00" + key))
	a.mu.Lock()
	defer a.mu.Unlock()
	if opened, ok := a.open[digest]; ok {
		return opened, nil
	}
	e := Endpoint{Provider: p.Protocol, Name: p.Name, BaseURL: p.BaseURL, Model: p.Model, APIKey: key}
	if base := a.cfg.BaseURLs[p.Name]; base != "" {
		e.BaseURL = base
	}
	opened, err := a.d.Factory.Open(e)
	if err != nil {
		return nil, err
	}
	if len(a.open) >= maxOpen {
		clear(a.open)
	}
	a.open[digest] = opened
	return opened, nil
}
