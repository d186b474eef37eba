package valar

import (
	"context"
	"iter"
	"net/http"
	"time"
)

// AgentLink says that a user reviews the skills of an agent.
type AgentLink struct {
	ID        string    `json:"id"`
	AgentID   string    `json:"agent_id"`
	User      string    `json:"user"` // a key's id or name, or an e-mail address
	CreatedAt time.Time `json:"created_at"`
}

// CreateAgentLink lets a user review an agent's skills.
func (c *Client) CreateAgentLink(ctx context.Context, agentID, user string) (AgentLink, error) {
	in := struct {
		AgentID string `json:"agent_id"`
		User    string `json:"user"`
	}{agentID, user}
	return send[AgentLink](ctx, c, http.MethodPost, "/agent-links", in)
}

// ListAgentLinks returns a page of the links.
func (c *Client) ListAgentLinks(ctx context.Context, p Paging) (Page[AgentLink], error) {
	return list[AgentLink](ctx, c, "/agent-links", p, params{})
}

// AllAgentLinks walks over the links.
func (c *Client) AllAgentLinks(ctx context.Context, p Paging) iter.Seq2[AgentLink, error] {
	return all(ctx, c, "/agent-links", p, params{}, func(l AgentLink) string { return l.ID })
}

// DeleteAgentLink takes a link away.
func (c *Client) DeleteAgentLink(ctx context.Context, id string) error {
	return c.call(ctx, call{method: http.MethodDelete, path: path("/agent-links/%s", id)})
}
