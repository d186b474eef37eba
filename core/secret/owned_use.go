package secret

import (
	"context"
	"slices"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/ports/id"
)

// ProviderKey is a key of a model provider that an agent may use.
type ProviderKey struct {
	Provider string // "anthropic", "openai" or "google"
	Key      Value
}

// open returns the secrets of an owner by name.
func (s *AgentSecrets) open(ctx context.Context, sc account.Scope, o Owner) (map[string]Value, error) {
	all, err := s.d.Repository.Owned(ctx, sc, o)
	if err != nil {
		return nil, err
	}
	values := make(map[string]Value, len(all))
	for _, r := range all {
		plain, err := s.d.Keeper.Open(ctx, ownedPlace(sc, o, r.Name), r.Sealed)
		if err != nil {
			return nil, err
		}
		values[r.Name] = NewValue(string(plain))
	}
	return values, nil
}

// Environment returns the secrets of an agent that its own program gets as environment variables: all that the server does not use itself.
func (s *AgentSecrets) Environment(ctx context.Context, sc account.Scope, agent id.Agent) (map[string]string, error) {
	values, err := s.open(ctx, sc, Owner{Agent: agent})
	if err != nil {
		return nil, err
	}
	env := map[string]string{}
	for name, v := range values {
		if !slices.Contains(servers, name) {
			env[name] = v.text
		}
	}
	return env, nil
}

// Token returns one of the tokens by which an agent's channels sign in: TelegramToken, SlackToken or SlackAppToken; the zero Value when the
// agent has none.
func (s *AgentSecrets) Token(ctx context.Context, sc account.Scope, agent id.Agent, name string) (Value, error) {
	values, err := s.open(ctx, sc, Owner{Agent: agent})
	if err != nil || providersOf[name] != "" || !slices.Contains(servers, name) {
		return Value{}, err
	}
	return values[name], nil
}

// ProviderKeys returns the keys of model providers that an agent may use, in the order in which they count: its own, then those that its
// swarm has besides; among each, Anthropic's, OpenAI's and Google's.
func (s *AgentSecrets) ProviderKeys(ctx context.Context, sc account.Scope, agent id.Agent) ([]ProviderKey, error) {
	var keys []ProviderKey
	for o, err := range s.owners(ctx, sc, agent) {
		if err != nil {
			return nil, err
		}
		values, err := s.open(ctx, sc, o)
		if err != nil {
			return nil, err
		}
		for _, name := range servers {
			provider, ok := providersOf[name]
			v := values[name]
			if ok && !v.IsZero() && !slices.ContainsFunc(keys, func(k ProviderKey) bool { return k.Provider == provider }) {
				keys = append(keys, ProviderKey{provider, v})
			}
		}
	}
	return keys, nil
}

// Known returns the secrets of an agent and of its swarm under the names that a Redactor shows instead, and those that the agent had, as
// long as they are kept.
func (s *AgentSecrets) Known(ctx context.Context, sc account.Scope, agent id.Agent) ([]Known, error) {
	var known []Known
	for o, err := range s.owners(ctx, sc, agent) {
		if err != nil {
			return nil, err
		}
		values, err := s.open(ctx, sc, o)
		if err != nil {
			return nil, err
		}
		for name, v := range values {
			known = append(known, Known{Name: name, Value: v})
		}
	}
	had, err := s.retired(ctx, sc, Owner{Agent: agent})
	return append(known, had...), err
}

// owners ranges over whose secrets count for an agent: itself and its swarm.
func (s *AgentSecrets) owners(ctx context.Context, sc account.Scope, agent id.Agent) func(yield func(Owner, error) bool) {
	return func(yield func(Owner, error) bool) {
		if !yield(Owner{Agent: agent}, nil) {
			return
		}
		swarm, err := s.d.Owners.SwarmOf(ctx, sc, agent)
		if err != nil || !swarm.IsZero() {
			yield(Owner{Swarm: swarm}, err)
		}
	}
}

// Begin sets the first secrets of an agent, by name, in the transaction of ctx. Errors are those of Set.
func (s *AgentSecrets) Begin(ctx context.Context, sc account.Scope, agent id.Agent, values map[string]string) error {
	c := Change{Set: make(map[string]Value, len(values))}
	for name, v := range values {
		c.Set[name] = NewValue(v)
	}
	_, err := s.Set(ctx, sc, agent, c)
	return err
}

// HasModelKey reports whether one of the names is that of a model provider's key, with a value.
func (*AgentSecrets) HasModelKey(values map[string]string) bool {
	for name, v := range values {
		if providersOf[OwnedName(name)] != "" && v != "" {
			return true
		}
	}
	return false
}

// Redactor knows the secrets of an agent and of its swarm; nil when there are none.
func (s *AgentSecrets) Redactor(ctx context.Context, sc account.Scope, agent id.Agent) (*Redactor, error) {
	known, err := s.Known(ctx, sc, agent)
	if err != nil {
		return nil, err
	}
	return NewRedactor(known), nil
}
