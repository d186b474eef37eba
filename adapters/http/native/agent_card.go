package native

import (
	"context"
	"encoding/json"
	"net/http"

	"github.com/bureau-agents/bureau/adapters/http/internal/httpx"
	"github.com/bureau-agents/bureau/core/a2a"
	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/card"
	"github.com/bureau-agents/bureau/ports/id"
)

// AgentCards makes the cards of agents; *a2a.Cards is one.
type AgentCards interface {
	Of(ctx context.Context, sc account.Scope, r a2a.CardRequest) (a2a.Card, error)
}

// ownCardWire is an agent's A2A card with what the server's validator has to say of it.
type ownCardWire struct {
	Type        string                `json:"type" enum:"agent_card"`
	AgentID     string                `json:"agent_id"`
	Standing    string                `json:"standing" enum:"active,frozen" doc:"A frozen agent has its card, but rejects tasks."`
	URL         string                `json:"url" doc:"Where everybody can read the card."`
	Card        json.RawMessage       `json:"card" doc:"The card, of A2A 1.0 with the members of 0.3 beside them."`
	Signed      bool                  `json:"signed" doc:"Whether the card has a signature of the server's."`
	Version     string                `json:"version" doc:"The version of A2A that the verdict holds the card to."`
	Valid       bool                  `json:"valid"`
	Score       int                   `json:"score" minimum:"0" maximum:"100"`
	Errors      []cardRemarkWire      `json:"errors" nullable:"false"`
	Warnings    []cardRemarkWire      `json:"warnings" nullable:"false" doc:"A server without a public https address is warned of that."`
	Suggestions []cardImprovementWire `json:"suggestions" nullable:"false" doc:"What would be worth most comes first."`
}

type cardRemarkWire struct {
	Code    string `json:"code"`
	Path    string `json:"path" doc:"Dotted, with indexes: skills[0].tags."`
	Pointer string `json:"pointer" doc:"The same as a JSON Pointer."`
	Message string `json:"message"`
}

type cardImprovementWire struct {
	Path    string `json:"path"`
	Message string `json:"message"`
	Worth   int    `json:"worth" doc:"How many points it would add to the score."`
}

type ownCardInput struct {
	AgentID string `path:"agent_id" doc:"The agent's id."`
}

func (f *face) registerAgentCards() {
	httpx.Register(f.Face, httpx.Op{
		ID: "getAgentCard", Method: http.MethodGet, Path: "/v1/agents/{agent_id}/card", Tag: "agents", Summary: "Read an agent's A2A card",
		Description: "The card that other agents find the agent by. It is made of the agent's name, description and skills, and is served without a key " +
			"at `url`. An archived agent has none.",
		Permission: account.AgentsRead,
	}, func(ctx context.Context, in *ownCardInput) (*output[ownCardWire], error) {
		of, err := id.Parse[id.AgentKind](in.AgentID)
		if err != nil {
			return nil, err
		}
		base := f.base(ctx)
		c, err := f.deps.AgentCards.Of(ctx, httpx.Scope(ctx), a2a.CardRequest{Agent: of, Address: base})
		if err != nil {
			return nil, err
		}
		return ok(showOwnCard(c, base)), nil
	})
}

func showOwnCard(c a2a.Card, base string) ownCardWire {
	r := card.Validate(c.Text, card.Options{Version: card.V10})
	out := ownCardWire{
		Type: "agent_card", AgentID: c.Agent.String(), Standing: string(c.Standing), URL: base + "/a2a/" + c.Agent.String() + "/.well-known/agent-card.json",
		Card: c.Text, Signed: c.Signed, Version: string(r.Version), Valid: r.Valid, Score: r.Score,
		Errors: showCardRemarks(r.Errors), Warnings: showCardRemarks(r.Warnings), Suggestions: make([]cardImprovementWire, 0, len(r.Suggestions)),
	}
	for _, s := range r.Suggestions {
		out.Suggestions = append(out.Suggestions, cardImprovementWire{s.Field, s.Text, s.Worth})
	}
	return out
}

func showCardRemarks(all []card.Finding) []cardRemarkWire {
	out := make([]cardRemarkWire, 0, len(all))
	for _, f := range all {
		out = append(out, cardRemarkWire{f.Code, f.Path, f.Pointer, f.Message})
	}
	return out
}
