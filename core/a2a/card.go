package a2a

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/agent"
	"github.com/bureau-agents/bureau/core/card"
	"github.com/bureau-agents/bureau/core/skill"
	"github.com/bureau-agents/bureau/ports/id"
)

// CardAgents reads agents. app wires core/agent.
type CardAgents interface {
	// Get returns the agent's current version, or id.NotFound.
	Get(ctx context.Context, sc account.Scope, agent id.Agent) (agent.Agent, error)
}

// CardOwners says whose an agent is, because a card is asked for without a key.
type CardOwners interface {
	// AgentOwner returns the tenant of an agent that was not destroyed, or id.NotFound[id.AgentKind].
	AgentOwner(ctx context.Context, agent id.Agent) (id.Tenant, error)
}

// CardSkills lists what was installed for an agent. app wires skill.Market.
type CardSkills interface {
	// Installed returns what the agent has, also what it cannot use at the moment.
	Installed(ctx context.Context, sc account.Scope, agent id.Agent) ([]skill.Held, error)
}

// CardGuides looks up the skills that an agent's configuration names. app wires skill.Library.
type CardGuides interface {
	// Attach returns one for each of refs, with a Problem where it cannot be used.
	Attach(ctx context.Context, sc account.Scope, refs []skill.Ref) ([]skill.Attached, error)
}

// CardSigner signs cards with the operator's keys.
type CardSigner interface {
	// SignCard returns the card with a signature more, and which key made it: another key has another name. The signature need not be the same
	// each time. When no key may sign at the moment, the card comes back as it was, and the name is "".
	SignCard(ctx context.Context, text []byte) (signed []byte, key string, err error)
}

// CardsDeps is what Cards needs. All fields are required unless they say otherwise.
type CardsDeps struct {
	Agents CardAgents
	Owners CardOwners
	Skills CardSkills
	Guides CardGuides
	Signer CardSigner // nil: cards are not signed
}

// CardsConfig is what cards say of the server.
type CardsConfig struct {
	// PublicURL is the server's address, a slash at its end or not; "" is the one by which it was asked, see CardRequest.
	PublicURL string
	// ProviderName is who offers the agents; "" is "Bureau". ProviderURL is their address; "" is the server's.
	ProviderName, ProviderURL string
	// DocumentationURL is where people read how to use the agents; "" is /docs of the server.
	DocumentationURL string
}

// Cards makes the cards of agents out of what the agents are. It stores nothing and is safe for concurrent use.
type Cards struct {
	d CardsDeps
	c CardsConfig
}

// NewCards returns Cards, or an error that names what is missing.
func NewCards(d CardsDeps, c CardsConfig) (*Cards, error) {
	switch {
	case d.Agents == nil:
		return nil, errors.New("a2a: CardsDeps.Agents is required")
	case d.Owners == nil:
		return nil, errors.New("a2a: CardsDeps.Owners is required")
	case d.Skills == nil:
		return nil, errors.New("a2a: CardsDeps.Skills is required")
	case d.Guides == nil:
		return nil, errors.New("a2a: CardsDeps.Guides is required")
	}
	c.ProviderName = cmp.Or(c.ProviderName, "Bureau")
	return &Cards{d, c}, nil
}

// Shape is for which readers a card is written.
type Shape string

// The shapes.
const (
	// ShapeBoth is a card of 1.0 with the members of 0.3 beside those of 1.0, which readers of either understand.
	ShapeBoth Shape = "both"
	// ShapeLegacy is a card of 0.3.0 alone, which is one of 0.2.6, too.
	ShapeLegacy Shape = "legacy"
	// ShapeCurrent is a card of 1.0 alone.
	ShapeCurrent Shape = "current"
)

// Card is an agent's card.
type Card struct {
	Agent id.Agent
	// Standing is the agent's. A frozen agent has its card all the same: who it is has not changed, and its tasks say that they are rejected.
	Standing agent.Standing
	Text     []byte // JSON
	// Tag changes whenever what the card says does, and when it is signed with another key: fit for an ETag. A signature that differs from one
	// time to the next does not change it.
	Tag string
	// Signed says that Text has a signature of the server's.
	Signed bool
	// ModifiedAt is when the agent, or a skill that it has, was changed last; that a skill was taken away does not show.
	ModifiedAt time.Time
}

// CardRequest asks for a card.
type CardRequest struct {
	Agent id.Agent
	Shape Shape // "" is ShapeBoth
	// Address is by which the server was asked, "https://bureau.example.com"; it counts where CardsConfig has no PublicURL.
	Address string
}

// Public returns the card that everybody may read. id.NotFound for an agent that is unknown, destroyed or archived.
func (s *Cards) Public(ctx context.Context, r CardRequest) (Card, error) {
	tenant, err := s.d.Owners.AgentOwner(ctx, r.Agent)
	if err != nil {
		return Card{}, err
	}
	return s.make(ctx, account.System(tenant), r, false)
}

// Of returns the same card to somebody who may read the agent. Errors are those of Public.
func (s *Cards) Of(ctx context.Context, sc account.Scope, r CardRequest) (Card, error) {
	return s.make(ctx, sc, r, false)
}

// Extended returns the card for callers with a key: it names, as skills, also the tools of the agent's configuration. Errors are those of Public.
func (s *Cards) Extended(ctx context.Context, sc account.Scope, r CardRequest) (Card, error) {
	return s.make(ctx, sc, r, true)
}

func (s *Cards) make(ctx context.Context, sc account.Scope, r CardRequest, extended bool) (Card, error) {
	a, err := s.d.Agents.Get(ctx, sc, r.Agent)
	if err != nil {
		return Card{}, err
	}
	if a.Standing == agent.Archived {
		return Card{}, id.NotFound[id.AgentKind](r.Agent.String())
	}
	if r.Shape == "" {
		r.Shape = ShapeBoth
	}
	p := portrait{agent: a, address: strings.TrimRight(cmp.Or(s.c.PublicURL, r.Address), "/"), modified: a.UpdatedAt}
	if err := s.addSkills(ctx, sc, &p); err != nil {
		return Card{}, err
	}
	if extended {
		p.addTools()
	}
	text, err := s.write(p, r.Shape)
	if err != nil {
		return Card{}, err
	}
	out := Card{Agent: r.Agent, Standing: a.Standing, Text: text, ModifiedAt: p.modified}
	sum := sha256.Sum256(text)
	out.Tag = hex.EncodeToString(sum[:16])
	if s.d.Signer != nil && r.Shape != ShapeLegacy {
		var key string
		if out.Text, key, err = s.d.Signer.SignCard(ctx, text); err != nil {
			return Card{}, err
		}
		if key != "" {
			sum = sha256.Sum256([]byte(out.Tag + " " + key))
			out.Signed, out.Tag = true, hex.EncodeToString(sum[:16])
		}
	}
	return out, nil
}

// write writes a card that core/card has nothing against. What it warns of came from the agent's configuration, which may say whatever its author
// likes: a text that looks like an order to the reader's model is left out, or said more soberly.
func (s *Cards) write(p portrait, shape Shape) ([]byte, error) {
	held := card.V10
	if shape == ShapeLegacy {
		held = card.V030
	}
	for range 4 {
		text, err := s.document(p, shape)
		if err != nil {
			return nil, err
		}
		r := card.Validate(text, card.Options{Version: held})
		if !p.soften(append(r.Errors, r.Warnings...)) {
			return text, nil
		}
	}
	p.skills, p.plain = p.skills[:1], plainName|plainDescription
	return s.document(p, shape)
}

// versionText spells the number of an agent's version as a semantic version, which is what registries sort by.
func versionText(n int) string { return strconv.Itoa(n) + ".0.0" }
