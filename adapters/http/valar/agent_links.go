package valar

import (
	"context"
	"net/http"

	"github.com/bureau-agents/bureau/adapters/http/internal/httpx"
	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/ports/id"
)

type agentLinkWire struct {
	ID        string `json:"id"`
	AgentID   string `json:"agent_id"`
	User      string `json:"user" doc:"As the link was made for: the name or the id of an API key, or an e-mail address."`
	CreatedAt stamp  `json:"created_at"`
}

func showLink(l account.Link) agentLinkWire {
	return agentLinkWire{l.ID.UUID().String(), l.Agent.UUID().String(), l.Who, stampOf(l.CreatedAt)}
}

type createLinkInput struct {
	Body struct {
		AgentID string `json:"agent_id"`
		User    string `json:"user" minLength:"1" maxLength:"100" doc:"The id or the name of an API key, or the e-mail address of somebody who signs in."`
	}
}

type listLinksInput struct {
	PageQuery
	AgentID string `query:"agent_id" maxLength:"128" doc:"Only the links of this agent."`
}

type linkInput struct {
	LinkID string `path:"link_id" doc:"The link's id, in any spelling."`
}

func (f *face) registerAgentLinks() {
	httpx.Register(f.Face, httpx.Op{
		ID: "createAgentLink", Method: http.MethodPost, Path: "/agent-links", Tag: "agent-links", Status: http.StatusCreated,
		Example: `{"agent_id":"01890000-0000-7000-8000-000000000001","user":"ada"}`, Statuses: []int{http.StatusConflict},
		Summary: "Link a user to an agent", Permission: account.AgentsWrite,
		Description: "Linked users review the agent's skills. A name that no key has yet means the first key that gets it.",
	}, func(ctx context.Context, in *createLinkInput) (*output[agentLinkWire], error) {
		agentID, err := id.Parse[id.AgentKind](in.Body.AgentID)
		if err != nil {
			return nil, err
		}
		l, err := f.deps.Links.Create(ctx, httpx.Scope(ctx), agentID, in.Body.User)
		if err != nil {
			return nil, err
		}
		return ok(showLink(l)), nil
	})

	httpx.Register(f.Face, httpx.Op{
		ID: "listAgentLinks", Method: http.MethodGet, Path: "/agent-links", Tag: "agent-links", Permission: account.AgentsRead,
		Summary: "List links, newest first",
	}, func(ctx context.Context, in *listLinksInput) (*listOutput[agentLinkWire], error) {
		req := account.LinkRequest{Page: in.request()}
		if in.AgentID != "" {
			var err error
			if req.Agent, err = id.Parse[id.AgentKind](in.AgentID); err != nil {
				return nil, err
			}
		}
		found, err := f.deps.Links.List(ctx, httpx.Scope(ctx), req)
		if err != nil {
			return nil, err
		}
		return listOf(found, showLink), nil
	})

	httpx.Register(f.Face, httpx.Op{
		ID: "deleteAgentLink", Method: http.MethodDelete, Path: "/agent-links/{link_id}", Tag: "agent-links", Status: http.StatusNoContent,
		Summary: "Remove a link", Permission: account.AgentsWrite,
	}, func(ctx context.Context, in *linkInput) (*struct{}, error) {
		link, err := id.Parse[id.AgentLinkKind](in.LinkID)
		if err != nil {
			return nil, err
		}
		return nil, f.deps.Links.Delete(ctx, httpx.Scope(ctx), link)
	})
}
