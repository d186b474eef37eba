package model

import (
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/ports/fault"
	"github.com/bureau-agents/bureau/ports/llm"
	"github.com/bureau-agents/bureau/ports/rule"
)

// Offline is the handle, and the provider's name, of the deterministic model that needs no network.
const Offline = "offline"

// Default is the handle of whatever model the server's configuration says.
const Default = "default"

// Source is one configured provider.
type Source struct {
	// Name is how handles and Config.Default call it; "" is Provider.Name(). Names are unique.
	Name string
	// Provider answers.
	Provider llm.Provider
	// Model is the provider's name of the model to use when a handle names none; "" is the provider's own default.
	Model string
	// Models are the names of models that it is known to serve, as path.Match patterns: "gpt-5", "claude-*". A handle that
	// matches goes to this source. Sources are asked in order, the default one first.
	Models []string
}

// Deps is what a Registry needs.
type Deps struct {
	Offline llm.Provider // answers Offline; required
	Sources []Source     // the configured providers beside it
	Cards   CardFinder   // the tenants' own; nil: there are none
}

// CardFinder resolves handles to the tenants' own models; Cards does.
type CardFinder interface {
	// Find returns the model of a tenant's card: the default one for ""; false when the tenant has none of that handle.
	Find(ctx context.Context, sc account.Scope, handle string) (Resolved, bool, error)
	// Any reports whether the tenant has cards.
	Any(ctx context.Context, sc account.Scope) (bool, error)
}

// Config says what a Registry does without a handle.
type Config struct {
	// Default is the name of the source that answers handles that name no model; "" is Offline.
	Default string
}

// Resolved is the model that a handle means.
type Resolved struct {
	Provider     llm.Provider
	ProviderName string // the source's name, as prices and spans know it
	Model        string // the provider's name of the model; "" is the provider's default
	Warning      string // why another model than the one asked for runs, for the user; "" when it is the one
	// Autonomous says that an agent answers which has tools of its own: it is offered none.
	Autonomous bool
	// Card is that of the remote agent which answers; nil when none does. Policies may demand something of it.
	Card *rule.Card
}

// Registry resolves handles. It is immutable, and so safe for concurrent use.
type Registry struct {
	offline  Source
	fallback Source
	sources  []Source // the fallback first
	cards    CardFinder
}

// NewRegistry checks deps and returns a Registry.
func NewRegistry(deps Deps, config Config) (*Registry, error) {
	if deps.Offline == nil {
		return nil, errors.New("model: Deps.Offline is required")
	}
	r := &Registry{offline: Source{Name: Offline, Provider: deps.Offline, Model: Offline}, cards: deps.Cards}
	r.fallback = r.offline
	seen := map[string]bool{Offline: true}
	var others []Source
	for i, src := range deps.Sources {
		if src.Provider == nil {
			return nil, fmt.Errorf("model: Deps.Sources[%d].Provider is required", i)
		}
		if src.Name == "" {
			src.Name = src.Provider.Name()
		}
		if seen[src.Name] {
			return nil, fmt.Errorf("model: two sources are named %q", src.Name)
		}
		seen[src.Name] = true
		for _, pattern := range src.Models {
			if _, err := path.Match(pattern, ""); err != nil {
				return nil, fmt.Errorf("model: source %q: bad pattern %q", src.Name, pattern)
			}
		}
		if src.Name == config.Default {
			r.fallback = src
		} else {
			others = append(others, src)
		}
	}
	if config.Default != "" && !seen[config.Default] {
		return nil, fmt.Errorf("model: Config.Default %q is not a source", config.Default)
	}
	if r.fallback.Name != Offline {
		r.sources = append(r.sources, r.fallback)
	}
	r.sources = append(r.sources, others...)
	return r, nil
}

// Resolve returns the model that handle means in the scope. It is, in this order: the offline model for "offline", the tenant's card of
// that handle, or its default card for "" and "default"; then, of the server's own, the default for "" and "default", a configured
// provider for "provider/model" or for a model that it is known to serve, the default provider under that model name, and at last the
// offline model with a Warning.
func (r *Registry) Resolve(ctx context.Context, sc account.Scope, handle string) (Resolved, error) {
	if err := ctx.Err(); err != nil {
		return Resolved{}, err
	}
	handle = strings.TrimSpace(handle)
	if handle == Default {
		handle = ""
	}
	if handle == Offline {
		return r.offline.resolved(Offline), nil
	}
	if r.cards != nil {
		if res, ok, err := r.cards.Find(ctx, sc, handle); err != nil || ok {
			return res, err
		}
	}
	if res, ok := r.resolve(handle); ok {
		return res, nil
	}
	res := r.offline.resolved(Offline)
	res.Warning = fmt.Sprintf("the model %q is not configured on this server; the offline model answers instead", handle)
	return res, nil
}

// CheckModel returns ErrUnknownModel for a handle that neither a card nor a configured provider has, when the tenant has cards: it is a
// slip then. Without cards such a handle is allowed, and runs on the offline model.
func (r *Registry) CheckModel(ctx context.Context, sc account.Scope, handle string) error {
	handle = strings.TrimSpace(handle)
	if r.cards == nil || handle == "" || handle == Default || handle == Offline {
		return nil
	}
	if _, ok := r.resolve(handle); ok {
		return nil
	}
	any, err := r.cards.Any(ctx, sc)
	if err != nil || !any {
		return err
	}
	if _, ok, err := r.cards.Find(ctx, sc, handle); err != nil || ok {
		return err
	}
	what := fmt.Sprintf("no model card and no configured provider has the model %q", handle)
	return ErrUnknownModel.Withf("%s", what).WithFields(fault.Field{Path: "model", Message: what})
}

// resolve finds a handle among the server's own models; false when only the offline model would be left.
func (r *Registry) resolve(handle string) (Resolved, bool) {
	if handle == "" {
		return r.fallback.resolved(r.fallback.Model), true
	}
	if name, model, ok := strings.Cut(handle, "/"); ok && model != "" {
		for _, src := range r.sources {
			if src.Name == name {
				return src.resolved(model), true
			}
		}
	}
	for _, src := range r.sources {
		if src.serves(handle) {
			return src.resolved(handle), true
		}
	}
	if r.fallback.Name != Offline {
		return r.fallback.resolved(handle), true
	}
	return Resolved{}, false
}

// has reports whether a configured provider has the name.
func (r *Registry) has(name string) bool {
	return slices.ContainsFunc(r.sources, func(s Source) bool { return s.Name == name })
}

// Sources returns the names of what handles can mean: the offline model and every configured provider.
func (r *Registry) Sources() []string {
	names := []string{Offline}
	for _, src := range r.sources {
		names = append(names, src.Name)
	}
	return names
}

func (s Source) resolved(model string) Resolved {
	return Resolved{Provider: s.Provider, ProviderName: s.Name, Model: model}
}

func (s Source) serves(handle string) bool {
	if s.Model != "" && s.Model == handle {
		return true
	}
	for _, pattern := range s.Models {
		if ok, err := path.Match(pattern, handle); ok && err == nil {
			return true
		}
	}
	return false
}
