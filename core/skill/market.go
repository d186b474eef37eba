package skill

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/ports/clock"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/tx"
)

// Links is what this context asks about who looks after which agent. core/account answers.
type Links interface {
	// LinkedAgents returns the agents that the caller is linked to.
	LinkedAgents(ctx context.Context, sc account.Scope) ([]id.Agent, error)
}

// Hosting learns what changes for agents that are running. core/hosting answers.
type Hosting interface {
	// Changed reports whether the agent runs with what it had before. It joins the transaction in ctx.
	Changed(ctx context.Context, sc account.Scope, agent id.Agent) (needsRestart bool, err error)
}

// Quarantine knows what must not be used any more. Implementations are safe for concurrent use.
type Quarantine interface {
	// Held returns those of the digests that are in quarantine. It joins the transaction in ctx.
	Held(ctx context.Context, sc account.Scope, digests []string) (map[string]bool, error)
}

// MarketDeps are what a Market works with. All are required but those that say otherwise.
type MarketDeps struct {
	TX            tx.Runner
	Clock         clock.Clock
	IDs           id.Generator
	Logger        *slog.Logger
	Submissions   SubmissionRepository
	Contents      ContentRepository
	Listings      ListingRepository
	Installations InstallationRepository
	Plugins       *Service
	Library       *Library
	Links         Links
	Agents        Agents
	Audit         Auditor    // nil: nobody is told
	Quarantine    Quarantine // nil: nothing is held
}

// DefaultIngestPerHour is how many skills an agent may hand in within an hour.
const DefaultIngestPerHour = 50

// MarketConfig tunes a Market; the zero value is the default.
type MarketConfig struct {
	// IngestPerHour is how many new skills and versions of skills an agent may hand in within an hour; 0 is DefaultIngestPerHour,
	// account.Unlimited any number.
	IngestPerHour int
}

// Market is where skills of every kind are offered: what agents hand in, once somebody who is linked to the agent has approved it, what a
// tenant uploads, what comes with the server, and plugins. It is safe for concurrent use.
type Market struct {
	d       MarketDeps
	cfg     MarketConfig
	hosting Hosting // see Connect
}

// Connect names who hosts agents; without it nobody does. It stands above this context, which is why MarketDeps do not have it. It must be
// called before the first skill is installed, and once.
func (m *Market) Connect(h Hosting) { m.hosting = h }

// NewMarket checks its arguments and returns the market.
func NewMarket(d MarketDeps, cfg MarketConfig) (*Market, error) {
	for _, dep := range []struct {
		name    string
		missing bool
	}{
		{"TX", d.TX == nil}, {"Clock", d.Clock == nil}, {"IDs", d.IDs == nil}, {"Logger", d.Logger == nil},
		{"Submissions", d.Submissions == nil}, {"Contents", d.Contents == nil}, {"Listings", d.Listings == nil},
		{"Installations", d.Installations == nil}, {"Plugins", d.Plugins == nil}, {"Library", d.Library == nil},
		{"Links", d.Links == nil}, {"Agents", d.Agents == nil},
	} {
		if dep.missing {
			return nil, fmt.Errorf("skill: MarketDeps.%s is required", dep.name)
		}
	}
	switch {
	case cfg.IngestPerHour < account.Unlimited:
		return nil, errors.New("skill: MarketConfig.IngestPerHour must not be negative")
	case cfg.IngestPerHour == 0:
		cfg.IngestPerHour = DefaultIngestPerHour
	}
	return &Market{d: d, cfg: cfg}, nil
}

func (m *Market) now() time.Time { return clock.Stored(m.d.Clock.Now()) }

// record notes in the audit trail what was done.
func (m *Market) record(ctx context.Context, sc account.Scope, action string, agent id.Agent, metadata map[string]any) error {
	if m.d.Audit == nil {
		return nil
	}
	b, err := json.Marshal(metadata)
	if err != nil {
		return fmt.Errorf("skill: %w", err)
	}
	return m.d.Audit.Record(ctx, sc, action, agent, b)
}

// held reports whether a digest is in quarantine.
func (m *Market) held(ctx context.Context, sc account.Scope, digest string) (bool, error) {
	if m.d.Quarantine == nil || digest == "" {
		return false, nil
	}
	held, err := m.d.Quarantine.Held(ctx, sc, []string{digest})
	return held[digest], err
}

// ForgetAgent removes what an agent has handed in and takes every skill from it. Agents that have installed one of its skills keep that.
// It joins the transaction in ctx.
func (m *Market) ForgetAgent(ctx context.Context, sc account.Scope, agent id.Agent) error {
	return m.d.TX.Do(ctx, func(ctx context.Context) error {
		pins, err := m.d.Installations.Pins(ctx, sc, agent)
		if err != nil {
			return err
		}
		if err := m.d.Installations.DeleteAll(ctx, sc, agent); err != nil {
			return err
		}
		for _, in := range pins {
			if in.Kind != ContentStructured {
				continue
			}
			if err := m.d.Contents.Prune(ctx, sc, in.Version); err != nil {
				return err
			}
		}
		return m.d.Contents.ForgetSubmissions(ctx, sc, agent)
	})
}
