package valar

import (
	"context"
	"encoding/json"
	"iter"
	"net/http"
	"time"
)

// Agent is a registered agent.
type Agent struct {
	ID          string          `json:"id"`
	Name        string          `json:"name"`
	Type        string          `json:"type"`
	Icon        string          `json:"icon"`
	Platform    string          `json:"platform"`
	Description string          `json:"description"`
	Status      string          `json:"status"`   // a label of the client's, or frozen or archived while the agent is
	Metadata    json.RawMessage `json:"metadata"` // a JSON object, or null
	CreatedAt   time.Time       `json:"created_at"`
	UpdatedAt   time.Time       `json:"updated_at"`
}

// NewAgent is an agent to be registered.
type NewAgent struct {
	Name        string `json:"name"`                  // required; no other agent has it
	Type        string `json:"type"`                  // "" means assistant
	Icon        string `json:"icon,omitempty"`        //
	Platform    string `json:"platform,omitempty"`    //
	Description string `json:"description,omitempty"` //
	Status      string `json:"status,omitempty"`      // "" means active
	Metadata    any    `json:"metadata,omitempty"`    // written as a JSON object
}

// AgentChange is a change to an agent. What is nil stays; a text that is empty clears, but for the name and the type.
type AgentChange struct {
	Name        *string `json:"name,omitempty"`
	Type        *string `json:"type,omitempty"`
	Icon        *string `json:"icon,omitempty"`
	Platform    *string `json:"platform,omitempty"`
	Description *string `json:"description,omitempty"`
	Status      *string `json:"status,omitempty"`
	Metadata    any     `json:"metadata,omitempty"` // replaces what was there
}

// AgentFilter says which agents are listed; what is empty excludes none.
type AgentFilter struct {
	Paging

	Name, Type, Status, Platform string
	Search                       string // a part of the name
}

func (f AgentFilter) query() params {
	return params{}.text("name", f.Name).text("type", f.Type).text("status", f.Status).text("platform", f.Platform).text("search", f.Search)
}

// RegisterAgent registers an agent, or returns the one that has the name, unchanged. The error has status 409 when that cannot be found.
func (c *Client) RegisterAgent(ctx context.Context, a NewAgent) (Agent, error) {
	if a.Type == "" {
		a.Type = "assistant"
	}
	for last := false; ; last = true {
		agent, err := send[Agent](ctx, c, http.MethodPost, "/agents", a)
		if !IsStatus(err, http.StatusConflict) {
			return agent, err
		}
		found, lookErr := c.ListAgents(ctx, AgentFilter{Name: a.Name, Paging: Paging{Limit: MaxLimit}})
		if lookErr != nil {
			return Agent{}, lookErr
		}
		// Names are found whatever their case; of several, one that is spelt the same goes first.
		for _, agent := range found.Items {
			if agent.Name == a.Name {
				return agent, nil
			}
		}
		if len(found.Items) > 0 {
			return found.Items[0], nil
		}
		if last { // else it was deleted in between, and the name is free again
			return Agent{}, err
		}
	}
}

// ListAgents returns a page of the agents.
func (c *Client) ListAgents(ctx context.Context, f AgentFilter) (Page[Agent], error) {
	return list[Agent](ctx, c, "/agents", f.Paging, f.query())
}

// AllAgents walks over the agents.
func (c *Client) AllAgents(ctx context.Context, f AgentFilter) iter.Seq2[Agent, error] {
	return all(ctx, c, "/agents", f.Paging, f.query(), func(a Agent) string { return a.ID })
}

// GetAgent returns an agent.
func (c *Client) GetAgent(ctx context.Context, id string) (Agent, error) {
	return send[Agent](ctx, c, http.MethodGet, path("/agents/%s", id), nil)
}

// UpdateAgent changes an agent and returns it.
func (c *Client) UpdateAgent(ctx context.Context, id string, change AgentChange) (Agent, error) {
	return send[Agent](ctx, c, http.MethodPatch, path("/agents/%s", id), change)
}

// DeleteAgent deletes an agent with all that only it needs.
func (c *Client) DeleteAgent(ctx context.Context, id string) error {
	return c.call(ctx, call{method: http.MethodDelete, path: path("/agents/%s", id)})
}

// send makes a request with a body, unless that is nil, and returns the answer.
func send[T any](ctx context.Context, c *Client, method, path string, in any) (out T, err error) {
	err = c.call(ctx, call{method: method, path: path, in: in, out: &out})
	return out, err
}
