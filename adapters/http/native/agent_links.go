package native

import (
	"context"
	"net/http"

	"github.com/bureau-agents/bureau/adapters/http/internal/httpx"
	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/ports/id"
)

type agentLinkWire struct {
	ID        string  `json:"id" doc:"alnk_..."`
	Type      string  `json:"type" enum:"agent_link"`
	AgentID   string  `json:"agent_id"`
	User      string  `json:"user" doc:"As the link was made for: the name or the id of an API key, or an e-mail address."`
	APIKeyID  *string `json:"api_key_id" doc:"The key that is meant; null for an address, and while no key has the name."`
	CreatedAt stamp   `json:"created_at"`
}

func showLink(l account.Link) agentLinkWire {
	w := agentLinkWire{
		ID: l.ID.String(), Type: "agent_link", AgentID: l.Agent.String(), User: l.Who, APIKeyID: textOrNull(l.Key.String()), CreatedAt: stampOf(l.CreatedAt),
	}
	if l.Who == l.Key.UUID().String() {
		w.User = l.Key.String()
	}
	return w
}

type createLinkInput struct {
	Body struct {
		AgentID string `json:"agent_id" minLength:"1" maxLength:"128"`
		User    string `json:"user" minLength:"1" maxLength:"100" doc:"The id or the name of an API key, or the e-mail address of somebody who signs in."`
	}
}

type listLinksInput struct {
	httpx.PageQuery
	AgentID string `query:"agent_id" maxLength:"128" doc:"Only the links of this agent."`
}

type linkInput struct {
	LinkID string `path:"link_id" doc:"The link's id."`
}

func (f *face) registerAgentLinks() {
	httpx.Register(f.Face, httpx.Op{
		ID: "createAgentLink", Method: http.MethodPost, Path: "/v1/agent_links", Tag: "agents", Status: http.StatusCreated,
		Summary: "Link a user to an agent", Permission: account.AgentsWrite, Statuses: []int{http.StatusConflict},
		Example: `{"agent_id":"agent_01h455vb4pex5vsknk084sn02q","user":"ada"}`,
		Description: "Linked users review the skills that the agent hands in. A name that no key has yet means the first key that gets it. Linking the " +
			"same user again answers with the link that is there. A link goes with its agent and with its key.",
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
		ID: "listAgentLinks", Method: http.MethodGet, Path: "/v1/agent_links", Tag: "agents",
		Summary: "List who looks after which agent, newest first", Permission: account.AgentsRead,
	}, func(ctx context.Context, in *listLinksInput) (*output[httpx.List[agentLinkWire]], error) {
		req := account.LinkRequest{Page: in.Request()}
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
		return ok(httpx.NewList(found, showLink)), nil
	})

	httpx.Register(f.Face, httpx.Op{
		ID: "deleteAgentLink", Method: http.MethodDelete, Path: "/v1/agent_links/{link_id}", Tag: "agents",
		Summary: "Remove a link", Permission: account.AgentsWrite,
	}, func(ctx context.Context, in *linkInput) (*output[httpx.Deleted], error) {
		link, err := id.Parse[id.AgentLinkKind](in.LinkID)
		if err != nil {
			return nil, err
		}
		if err := f.deps.Links.Delete(ctx, httpx.Scope(ctx), link); err != nil {
			return nil, err
		}
		return ok(httpx.Deleted{ID: link.String(), Type: "agent_link_deleted"}), nil
	})
}
