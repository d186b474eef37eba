package native

import (
	"context"
	"maps"
	"net/http"
	"slices"

	"github.com/danielgtaylor/huma/v2"

	"github.com/bureau-agents/bureau/adapters/http/internal/httpx"
	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/session"
	"github.com/bureau-agents/bureau/ports/fault"
	"github.com/bureau-agents/bureau/ports/id"
)

// resourceWire is what is mounted into a session. The fields that do not belong to its type are left out; a repository's token is never
// shown.
type resourceWire struct {
	ID        string `json:"id" doc:"sesrsc_..."`
	Type      string `json:"type" enum:"file,github_repository,memory_store"`
	MountPath string `json:"mount_path"`

	FileID string `json:"file_id,omitempty" doc:"Of file."`

	URL      string        `json:"url,omitempty" doc:"Of github_repository."`
	Checkout *checkoutWire `json:"checkout,omitempty" doc:"Of github_repository; left out for the default branch."`

	MemoryStoreID string  `json:"memory_store_id,omitempty" doc:"Of memory_store, like the rest."`
	Access        string  `json:"access,omitempty" enum:"read_write,read_only"`
	Name          *string `json:"name,omitempty" doc:"As it was when the store was attached."`
	Description   *string `json:"description,omitempty" doc:"As it was when the store was attached."`
	Instructions  *string `json:"instructions,omitempty"`

	CreatedAt stamp `json:"created_at"`
	UpdatedAt stamp `json:"updated_at"`
}

// checkoutWire is what of a repository is checked out, in bodies and in answers.
type checkoutWire struct {
	Type string `json:"type" enum:"branch,commit"`
	Name string `json:"name,omitempty" doc:"Of branch."`
	SHA  string `json:"sha,omitempty" doc:"Of commit: the full hash."`
}

func showResource(r session.Resource) resourceWire {
	w := resourceWire{
		ID: r.ID.String(), Type: string(r.Type), MountPath: r.Mount, FileID: r.File.String(), URL: r.URL,
		CreatedAt: stampOf(r.CreatedAt), UpdatedAt: stampOf(r.UpdatedAt),
	}
	if c := r.Checkout; c != nil {
		w.Checkout = &checkoutWire{Type: "branch", Name: c.Branch}
		if c.Commit != "" {
			w.Checkout = &checkoutWire{Type: "commit", SHA: c.Commit}
		}
	}
	if r.Type == session.ResourceMemoryStore {
		w.MemoryStoreID, w.Access = r.Store.String(), "read_write"
		if r.ReadOnly {
			w.Access = "read_only"
		}
		w.Name, w.Description, w.Instructions = &r.Name, &r.Description, textOrNull(r.Instructions)
	}
	return w
}

// resourceParam asks for something to be mounted. Which of its fields matter depends on the type.
type resourceParam struct {
	Type      string  `json:"type" enum:"file,github_repository,memory_store"`
	MountPath *string `json:"mount_path,omitempty" maxLength:"1024" doc:"Of file and github_repository: an absolute path in the sandbox. Left out: /mnt/session/uploads/<file_id>, /workspace/<repository>."`

	FileID string `json:"file_id,omitempty" doc:"Of file."`

	URL                string        `json:"url,omitempty" maxLength:"2048" doc:"Of github_repository."`
	AuthorizationToken string        `json:"authorization_token,omitempty" maxLength:"4096" pattern:"^[!-~]*$" patternDescription:"printable characters without spaces" doc:"Of github_repository: what it is cloned with. It is sealed and never shown."`
	Checkout           *checkoutWire `json:"checkout,omitempty" doc:"Of github_repository; the default branch when left out."`

	MemoryStoreID string  `json:"memory_store_id,omitempty" doc:"Of memory_store."`
	Access        *string `json:"access,omitempty" enum:"read_write,read_only" doc:"Of memory_store; read_write when left out."`
	Instructions  *string `json:"instructions,omitempty" maxLength:"4096" doc:"Of memory_store: what the agent should know about using it."`
}

// TransformSchema implements huma.SchemaTransformer: it says what each type needs.
func (resourceParam) TransformSchema(_ huma.Registry, s *huma.Schema) *huma.Schema {
	needs := func(t session.ResourceType, members map[string]any) map[string]any {
		return map[string]any{
			"if":   map[string]any{"properties": map[string]any{"type": map[string]any{"const": string(t)}}},
			"then": map[string]any{"required": slices.Sorted(maps.Keys(members)), "properties": members},
		}
	}
	s.Extensions = map[string]any{"allOf": []any{
		needs(session.ResourceFile, map[string]any{"file_id": given()}),
		needs(session.ResourceRepository, map[string]any{"url": given()}),
		needs(session.ResourceMemoryStore, map[string]any{"memory_store_id": given()}),
	}}
	return s
}

// read decodes a resource; at says how its path begins in the body.
func (p resourceParam) read(at string) (session.NewResource, error) {
	r := session.NewResource{Type: session.ResourceType(p.Type), URL: p.URL, Token: p.AuthorizationToken}
	if p.MountPath != nil {
		r.Mount = *p.MountPath
	}
	var err error
	switch r.Type {
	case session.ResourceFile:
		if p.FileID == "" {
			return r, fault.Invalidf(at+"file_id", "is required")
		}
		r.File, err = id.Parse[id.FileKind](p.FileID)
	case session.ResourceRepository:
		if c := p.Checkout; c != nil {
			switch {
			case c.Type == "branch" && c.Name == "":
				return r, fault.Invalidf(at+"checkout.name", "is required")
			case c.Type == "commit" && c.SHA == "":
				return r, fault.Invalidf(at+"checkout.sha", "is required")
			}
			r.Checkout = &session.Checkout{Branch: c.Name}
			if c.Type == "commit" {
				r.Checkout = &session.Checkout{Commit: c.SHA}
			}
		}
	case session.ResourceMemoryStore:
		if p.MemoryStoreID == "" {
			return r, fault.Invalidf(at+"memory_store_id", "is required")
		}
		r.Store, err = id.Parse[id.MemoryStoreKind](p.MemoryStoreID)
		r.ReadOnly = p.Access != nil && *p.Access == "read_only"
		if p.Instructions != nil {
			r.Instructions = *p.Instructions
		}
	}
	return r, err
}

type attachInput struct {
	SessionID string `path:"session_id" doc:"The session's id."`
	Body      resourceParam
}

type resourceInput struct {
	SessionID  string `path:"session_id" doc:"The session's id."`
	ResourceID string `path:"resource_id" doc:"The resource's id."`
}

func (in *resourceInput) ids() (id.Session, id.Resource, error) {
	s, err := id.Parse[id.SessionKind](in.SessionID)
	if err != nil {
		return id.Session{}, id.Resource{}, err
	}
	r, err := id.Parse[id.ResourceKind](in.ResourceID)
	return s, r, err
}

type rotateInput struct {
	SessionID  string `path:"session_id" doc:"The session's id."`
	ResourceID string `path:"resource_id" doc:"The resource's id."`
	Body       struct {
		AuthorizationToken string `json:"authorization_token" minLength:"1" maxLength:"4096" pattern:"^[!-~]*$" patternDescription:"printable characters without spaces" doc:"Of github_repository: the new token. It is sealed and never shown."`
	}
}

type listResourcesInput struct {
	SessionID string `path:"session_id" doc:"The session's id."`
	httpx.PageQuery
}

func (f *face) registerSessionResources() {
	const all, one = "/v1/sessions/{session_id}/resources", "/v1/sessions/{session_id}/resources/{resource_id}"

	httpx.Register(f.Face, httpx.Op{
		ID: "attachSessionResource", Method: http.MethodPost, Path: all, Tag: "sessions", Status: http.StatusCreated,
		Example: `{"type":"github_repository","url":"https://github.com/octocat/hello-world"}`,
		Summary: "Mount something into a session", Permission: account.Chat, Statuses: []int{http.StatusConflict},
		Description: "A file, a repository or a memory store. At most 100 altogether and 8 memory stores.",
	}, func(ctx context.Context, in *attachInput) (*output[resourceWire], error) {
		s, err := id.Parse[id.SessionKind](in.SessionID)
		if err != nil {
			return nil, err
		}
		asked, err := in.Body.read("")
		if err != nil {
			return nil, err
		}
		return answerResource(f.deps.Sessions.Attach(ctx, httpx.Scope(ctx), s, asked))
	})

	httpx.Register(f.Face, httpx.Op{
		ID: "listSessionResources", Method: http.MethodGet, Path: all, Tag: "sessions",
		Summary: "List what is mounted into a session, in the order in which it was", Permission: account.Chat,
	}, func(ctx context.Context, in *listResourcesInput) (*output[httpx.List[resourceWire]], error) {
		s, err := id.Parse[id.SessionKind](in.SessionID)
		if err != nil {
			return nil, err
		}
		resources, err := f.deps.Sessions.Resources(ctx, httpx.Scope(ctx), s, in.Request())
		if err != nil {
			return nil, err
		}
		return ok(httpx.NewList(resources, showResource)), nil
	})

	httpx.Register(f.Face, httpx.Op{
		ID: "getSessionResource", Method: http.MethodGet, Path: one, Tag: "sessions",
		Summary: "Read what is mounted into a session", Permission: account.Chat,
	}, func(ctx context.Context, in *resourceInput) (*output[resourceWire], error) {
		s, r, err := in.ids()
		if err != nil {
			return nil, err
		}
		return answerResource(f.deps.Sessions.Resource(ctx, httpx.Scope(ctx), s, r))
	})

	for method, op := range map[string]string{
		http.MethodPatch: "patchSessionResource", http.MethodPost: "updateSessionResource", http.MethodPut: "putSessionResource",
	} {
		httpx.Register(f.Face, httpx.Op{
			ID: op, Method: method, Path: one, Tag: "sessions", Summary: "Replace the token of a repository",
			Example: `{"authorization_token":"github_pat_..."}`, Description: "POST, PATCH and PUT do the same.",
			Permission: account.Chat, Statuses: []int{http.StatusConflict},
		}, func(ctx context.Context, in *rotateInput) (*output[resourceWire], error) {
			s, r, err := (&resourceInput{in.SessionID, in.ResourceID}).ids()
			if err != nil {
				return nil, err
			}
			return answerResource(f.deps.Sessions.RotateToken(ctx, httpx.Scope(ctx), s, r, in.Body.AuthorizationToken))
		})
	}

	httpx.Register(f.Face, httpx.Op{
		ID: "detachSessionResource", Method: http.MethodDelete, Path: one, Tag: "sessions",
		Summary: "Take something out of a session", Permission: account.Chat, Statuses: []int{http.StatusConflict},
	}, func(ctx context.Context, in *resourceInput) (*output[httpx.Deleted], error) {
		s, r, err := in.ids()
		if err != nil {
			return nil, err
		}
		if err := f.deps.Sessions.Detach(ctx, httpx.Scope(ctx), s, r); err != nil {
			return nil, err
		}
		return ok(httpx.Deleted{ID: r.String(), Type: "session_resource_deleted"}), nil
	})
}

func answerResource(r session.Resource, err error) (*output[resourceWire], error) {
	if err != nil {
		return nil, err
	}
	return ok(showResource(r)), nil
}
