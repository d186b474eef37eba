package valar

import (
	"context"
	"encoding/json"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"github.com/bureau-agents/bureau/adapters/http/internal/httpx"
	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/agent"
	"github.com/bureau-agents/bureau/ports/id"
)

type agentWire struct {
	ID          string  `json:"id" doc:"A UUID."`
	Name        string  `json:"name"`
	Type        string  `json:"type"`
	Icon        *string `json:"icon"`
	Platform    *string `json:"platform"`
	Description *string `json:"description"`
	Status      string  `json:"status" doc:"The client's label; frozen or archived while the agent is."`
	Metadata    object  `json:"metadata"`
	CreatedAt   stamp   `json:"created_at"`
	UpdatedAt   stamp   `json:"updated_at"`
}

func showAgent(l agent.Listed) agentWire {
	return agentWire{
		ID: l.ID.UUID().String(), Name: l.Config.Name, Type: l.Profile.Type, Icon: textPtr(l.Profile.Icon), Platform: textPtr(l.Profile.Platform),
		Description: textPtr(l.Config.Description), Status: l.Profile.Shown(l.Standing), CreatedAt: stampOf(l.CreatedAt),
		UpdatedAt: stampOf(l.UpdatedAt()), Metadata: object(l.Profile.Metadata),
	}
}

// AgentInput names an agent. Its type is exported because others embed it.
type AgentInput struct {
	AgentID string `path:"agent_id" doc:"The agent's id, in any spelling."`
}

func (in AgentInput) read() (id.Agent, error) { return id.Parse[id.AgentKind](in.AgentID) }

// object is a field that holds a JSON object, kept as it was sent.
type object json.RawMessage

// UnmarshalJSON implements json.Unmarshaler.
func (o *object) UnmarshalJSON(b []byte) error {
	*o = append((*o)[:0], b...)
	return nil
}

// MarshalJSON implements json.Marshaler.
func (o object) MarshalJSON() ([]byte, error) {
	if len(o) == 0 {
		return []byte("null"), nil
	}
	return o, nil
}

// Schema implements huma.SchemaProvider.
func (object) Schema(huma.Registry) *huma.Schema {
	return &huma.Schema{Type: huma.TypeObject, Nullable: true, AdditionalProperties: true}
}

// raw returns the object, nil for null or none.
func (o object) raw() json.RawMessage {
	if len(o) == 0 || string(o) == "null" {
		return nil
	}
	return json.RawMessage(o)
}

type createAgentInput struct {
	Body struct {
		Name        string  `json:"name" minLength:"1" maxLength:"256" pattern:"\\S" patternDescription:"more than blanks" doc:"No other agent may have it."`
		Type        string  `json:"type" minLength:"1" maxLength:"100" doc:"What kind of agent it is, such as assistant."`
		Icon        *string `json:"icon,omitempty" maxLength:"100"`
		Platform    *string `json:"platform,omitempty" maxLength:"100"`
		Description *string `json:"description,omitempty" maxLength:"2048"`
		Status      *string `json:"status,omitempty" maxLength:"100" doc:"A label of yours; active when it is left out."`
		Metadata    object  `json:"metadata,omitempty" doc:"Whatever you like, up to 64 KiB."`
	}
}

type updateAgentInput struct {
	AgentInput
	Body struct {
		Name        *string `json:"name,omitempty" minLength:"1" maxLength:"256" pattern:"\\S" patternDescription:"more than blanks"`
		Type        *string `json:"type,omitempty" minLength:"1" maxLength:"100"`
		Icon        cleared `json:"icon,omitempty" maxLength:"100"`
		Platform    cleared `json:"platform,omitempty" maxLength:"100"`
		Description cleared `json:"description,omitempty" maxLength:"2048"`
		Status      cleared `json:"status,omitempty" maxLength:"100" doc:"null is active."`
		Metadata    object  `json:"metadata,omitempty" doc:"Replaces what was there."`
	}
}

type listAgentsInput struct {
	PageQuery
	Name     string `query:"name" maxLength:"256" doc:"Exactly this name, whatever the case."`
	Type     string `query:"type" maxLength:"100"`
	Status   string `query:"status" maxLength:"100"`
	Platform string `query:"platform" maxLength:"100"`
	Search   string `query:"search" maxLength:"256" doc:"A part of the name, whatever the case."`
}

func deref(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

// cleared is a text that null clears; one that is left out stays.
type cleared struct{ agent.Change[string] }

// UnmarshalJSON implements json.Unmarshaler; it is not called for a missing field.
func (c *cleared) UnmarshalJSON(b []byte) error {
	var s *string
	if err := json.Unmarshal(b, &s); err != nil {
		return err
	}
	c.Change = agent.Set(deref(s))
	return nil
}

// Schema implements huma.SchemaProvider.
func (cleared) Schema(huma.Registry) *huma.Schema {
	return &huma.Schema{Type: huma.TypeString, Nullable: true}
}

// change is a change to what was sent, if it was.
func change(s *string) (c agent.Change[string]) {
	if s == nil {
		return c
	}
	return agent.Set(*s)
}

func (f *face) registerAgents() {
	httpx.Register(f.Face, httpx.Op{
		ID: "createAgent", Method: http.MethodPost, Path: "/agents", Tag: "agents", Status: http.StatusCreated, Statuses: []int{http.StatusConflict},
		Example: `{"name":"my-agent","type":"assistant","icon":"🤖","platform":"python"}`,
		Summary: "Register an agent", Permission: account.AgentsWrite,
	}, func(ctx context.Context, in *createAgentInput) (*output[agentWire], error) {
		b := in.Body
		l, err := f.deps.Directory.Register(ctx, httpx.Scope(ctx), agent.Config{Name: b.Name, Description: deref(b.Description)}, agent.Profile{
			Type: b.Type, Icon: deref(b.Icon), Platform: deref(b.Platform), Status: deref(b.Status), Metadata: b.Metadata.raw(),
		})
		if err != nil {
			return nil, err
		}
		return ok(showAgent(l)), nil
	})

	httpx.Register(f.Face, httpx.Op{
		ID: "listAgents", Method: http.MethodGet, Path: "/agents", Tag: "agents", Summary: "List agents, newest first", Permission: account.AgentsRead,
	}, func(ctx context.Context, in *listAgentsInput) (*listOutput[agentWire], error) {
		found, err := f.deps.Directory.List(ctx, httpx.Scope(ctx), agent.DirectoryRequest{
			Request: in.request(), Name: in.Name, Search: in.Search, Type: in.Type, Platform: in.Platform, Status: in.Status,
		})
		if err != nil {
			return nil, err
		}
		return listOf(found, showAgent), nil
	})

	httpx.Register(f.Face, httpx.Op{
		ID: "getAgent", Method: http.MethodGet, Path: "/agents/{agent_id}", Tag: "agents", Summary: "Read an agent", Permission: account.AgentsRead,
	}, func(ctx context.Context, in *AgentInput) (*output[agentWire], error) {
		a, err := in.read()
		if err != nil {
			return nil, err
		}
		l, err := f.deps.Directory.Get(ctx, httpx.Scope(ctx), a)
		if err != nil {
			return nil, err
		}
		return ok(showAgent(l)), nil
	})

	httpx.Register(f.Face, httpx.Op{
		ID: "updateAgent", Method: http.MethodPatch, Path: "/agents/{agent_id}", Tag: "agents", Statuses: []int{http.StatusConflict},
		Example: `{"status":"busy"}`,
		Summary: "Change an agent", Permission: account.AgentsWrite, Description: "What is left out stays. null clears what may be empty, and leaves the name and the type.",
	}, func(ctx context.Context, in *updateAgentInput) (*output[agentWire], error) {
		a, err := in.read()
		if err != nil {
			return nil, err
		}
		b := in.Body
		r := agent.Revision{
			Unique:  true,
			Patch:   agent.Patch{Name: change(b.Name), Description: b.Description.Change},
			Profile: agent.ProfilePatch{Type: change(b.Type), Icon: b.Icon.Change, Platform: b.Platform.Change, Status: b.Status.Change},
		}
		if len(b.Metadata) > 0 {
			r.Profile.Metadata = agent.Set(b.Metadata.raw())
		}
		l, err := f.deps.Directory.Revise(ctx, httpx.Scope(ctx), a, r)
		if err != nil {
			return nil, err
		}
		return ok(showAgent(l)), nil
	})

	httpx.Register(f.Face, httpx.Op{
		ID: "deleteAgent", Method: http.MethodDelete, Path: "/agents/{agent_id}", Tag: "agents", Status: http.StatusNoContent,
		Summary: "Delete an agent", Permission: account.AgentsWrite,
		Description: "It is gone with all that only it needs, and its name is free. What was spent and the audit trail stay.",
	}, func(ctx context.Context, in *AgentInput) (*struct{}, error) {
		a, err := in.read()
		if err != nil {
			return nil, err
		}
		return nil, f.deps.Destroyer.Destroy(ctx, httpx.Scope(ctx), a)
	})
}
