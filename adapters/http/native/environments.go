package native

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"unicode/utf8"

	"github.com/bureau-agents/bureau/adapters/http/internal/httpx"
	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/environment"
	"github.com/bureau-agents/bureau/core/session"
	"github.com/bureau-agents/bureau/ports/fault"
	"github.com/bureau-agents/bureau/ports/id"
)

// environmentWire is an environment as it is answered. Every field is always there, but for those that the config's type leaves out.
type environmentWire struct {
	ID          string                `json:"id" doc:"env_..."`
	Type        string                `json:"type" enum:"environment"`
	Name        string                `json:"name"`
	Description *string               `json:"description"`
	Config      environmentConfigWire `json:"config"`
	Metadata    map[string]string     `json:"metadata"`
	Scope       string                `json:"scope" enum:"organization,account"`
	State       string                `json:"state" enum:"active,archived"`
	CreatedAt   stamp                 `json:"created_at"`
	UpdatedAt   stamp                 `json:"updated_at"`
	ArchivedAt  *stamp                `json:"archived_at"`
}

type environmentConfigWire struct {
	Type       string          `json:"type" enum:"cloud,self_hosted"`
	Networking *networkingWire `json:"networking,omitempty" doc:"Of cloud."`
	Packages   *packagesWire   `json:"packages,omitempty" doc:"Of cloud."`
}

type networkingWire struct {
	Type                 string    `json:"type" enum:"unrestricted,limited"`
	AllowedHosts         *[]string `json:"allowed_hosts,omitempty" doc:"Of limited."`
	AllowMCPServers      *bool     `json:"allow_mcp_servers,omitempty" doc:"Of limited."`
	AllowPackageManagers *bool     `json:"allow_package_managers,omitempty" doc:"Of limited."`
}

type packagesWire struct {
	Type  string   `json:"type" enum:"packages"`
	Apt   []string `json:"apt" nullable:"false"`
	Cargo []string `json:"cargo" nullable:"false"`
	Gem   []string `json:"gem" nullable:"false"`
	Go    []string `json:"go" nullable:"false"`
	Npm   []string `json:"npm" nullable:"false"`
	Pip   []string `json:"pip" nullable:"false"`
}

func showEnvironment(e environment.Environment) environmentWire {
	w := environmentWire{
		ID: e.ID.String(), Type: "environment", Name: e.Name, Description: textOrNull(e.Description),
		Config: environmentConfigWire{Type: string(e.Config.Type)}, Metadata: e.Metadata, Scope: string(e.Scope), State: "active",
		CreatedAt: stampOf(e.CreatedAt), UpdatedAt: stampOf(e.UpdatedAt), ArchivedAt: stampPtr(e.ArchivedAt),
	}
	if w.Metadata == nil {
		w.Metadata = map[string]string{}
	}
	if e.ArchivedAt != nil {
		w.State = "archived"
	}
	if e.Config.Type != environment.Cloud {
		return w
	}
	n, p := e.Config.Networking, e.Config.Packages
	w.Config.Networking = &networkingWire{Type: string(n.Type)}
	if n.Type == environment.Limited {
		hosts := listed(n.AllowedHosts)
		w.Config.Networking.AllowedHosts = &hosts
		w.Config.Networking.AllowMCPServers, w.Config.Networking.AllowPackageManagers = &n.AllowMCPServers, &n.AllowPackageManagers
	}
	w.Config.Packages = &packagesWire{
		"packages", listed(p.Apt), listed(p.Cargo), listed(p.Gem), listed(p.Go), listed(p.Npm), listed(p.Pip),
	}
	return w
}

// listed returns l, and an empty list for nil.
func listed(l []string) []string {
	if l == nil {
		return []string{}
	}
	return l
}

// environmentConfigParam is a config in a body. Null is the same as nothing, everywhere in it.
type environmentConfigParam struct {
	Type       string                     `json:"type,omitempty" enum:"cloud,self_hosted" doc:"cloud when left out. It cannot be changed."`
	Networking httpx.Opt[networkingParam] `json:"networking,omitempty" doc:"Of cloud; unrestricted when left out of a creation."`
	Packages   httpx.Opt[packagesParam]   `json:"packages,omitempty" doc:"Of cloud: what is installed in the sandbox."`
	// Dockerfile is known only to be refused.
	Dockerfile json.RawMessage `json:"dockerfile,omitempty" doc:"Refused: this server's sandboxes are not built from images."`
}

type networkingParam struct {
	Type                 string              `json:"type,omitempty" enum:"unrestricted,limited"`
	AllowedHosts         httpx.Opt[[]string] `json:"allowed_hosts,omitempty" maxItems:"256" doc:"Of limited: names, *.example.com, IP addresses."`
	AllowMCPServers      httpx.Opt[bool]     `json:"allow_mcp_servers,omitempty" doc:"Of limited: the hosts of the agent's MCP servers, too."`
	AllowPackageManagers httpx.Opt[bool]     `json:"allow_package_managers,omitempty" doc:"Of limited: the registries of packages, too."`
}

type packagesParam struct {
	Type  string              `json:"type,omitempty" enum:"packages"`
	Apt   httpx.Opt[[]string] `json:"apt,omitempty" maxItems:"100" doc:"ffmpeg=7:6.1-1"`
	Cargo httpx.Opt[[]string] `json:"cargo,omitempty" maxItems:"100" doc:"ripgrep@14.1.0"`
	Gem   httpx.Opt[[]string] `json:"gem,omitempty" maxItems:"100" doc:"rails:7.1.0"`
	Go    httpx.Opt[[]string] `json:"go,omitempty" maxItems:"100" doc:"golang.org/x/tools/cmd/goimports@latest"`
	Npm   httpx.Opt[[]string] `json:"npm,omitempty" maxItems:"100" doc:"express@4.18.0"`
	Pip   httpx.Opt[[]string] `json:"pip,omitempty" maxItems:"100" doc:"requests==2.31.0"`
}

// unlessEmpty returns s, and nil for "".
func unlessEmpty[S ~string](s S) *S {
	if s == "" {
		return nil
	}
	return &s
}

func (p environmentConfigParam) patch() (*environment.ConfigPatch, error) {
	if d := bytes.TrimSpace(p.Dockerfile); len(d) > 0 && string(d) != "null" {
		return nil, fault.Invalidf("config.dockerfile", "is not offered: this server's sandboxes are not built from images; use config.packages")
	}
	out := &environment.ConfigPatch{Type: unlessEmpty(environment.Type(p.Type))}
	if n := p.Networking.Given(); n != nil {
		out.Networking = &environment.NetworkingPatch{
			Type: unlessEmpty(environment.NetworkingType(n.Type)), AllowedHosts: n.AllowedHosts.Given(),
			AllowMCPServers: n.AllowMCPServers.Given(), AllowPackageManagers: n.AllowPackageManagers.Given(),
		}
	}
	if q := p.Packages.Given(); q != nil {
		out.Packages = &environment.PackagesPatch{
			Apt: q.Apt.Given(), Cargo: q.Cargo.Given(), Gem: q.Gem.Given(), Go: q.Go.Given(), Npm: q.Npm.Given(), Pip: q.Pip.Given(),
		}
	}
	return out, nil
}

// EnvironmentFields are the fields of an environment that a creation and an update have in common.
type EnvironmentFields struct {
	Description httpx.Opt[string]                 `json:"description,omitempty" maxLength:"2048"`
	Config      httpx.Opt[environmentConfigParam] `json:"config,omitempty" doc:"An open cloud environment without packages when left out of a creation."`
	Metadata    httpx.Opt[metadataPatch]          `json:"metadata,omitempty" doc:"At most 16 pairs. In an update a patch: null or an empty text removes a key."`
	Scope       string                            `json:"scope,omitempty" enum:"organization,account" doc:"A label; organization when left out."`
}

func (f EnvironmentFields) patch() (environment.Patch, error) {
	p := environment.Patch{
		ClearMetadata: f.Metadata.Null, Metadata: f.Metadata.Value, Scope: unlessEmpty(environment.Scope(f.Scope)),
	}
	if f.Description.Set {
		p.Description = &f.Description.Value
	}
	if c := f.Config.Given(); c != nil {
		var err error
		if p.Config, err = c.patch(); err != nil {
			return environment.Patch{}, err
		}
	}
	return p, nil
}

type createEnvironmentInput struct {
	Body struct {
		Name string `json:"name" minLength:"1" maxLength:"256"`
		EnvironmentFields
	}
}

type updateEnvironmentInput struct {
	EnvironmentID string `path:"environment_id" doc:"The environment's id."`
	Body          struct {
		Name httpx.Opt[string] `json:"name,omitempty" minLength:"1" maxLength:"256" doc:"null leaves it."`
		EnvironmentFields
	}
}

// EnvironmentInput names an environment.
type EnvironmentInput struct {
	EnvironmentID string `path:"environment_id" doc:"The environment's id."`
}

type listEnvironmentsInput struct {
	httpx.PageQuery
	Archived        bool `query:"archived" doc:"Archived environments too."`
	IncludeArchived bool `query:"include_archived" doc:"Another name of archived."`
}

func (f *face) registerEnvironments() {
	httpx.Register(f.Face, httpx.Op{
		ID: "createEnvironment", Method: http.MethodPost, Path: "/v1/environments", Tag: "environments", Status: http.StatusCreated,
		Example: `{"name":"python","config":{"type":"cloud","networking":{"type":"limited","allowed_hosts":["api.example.com"],` +
			`"allow_package_managers":true},"packages":{"pip":["pandas==2.2.0"]}}}`,
		Summary: "Create an environment",
		Description: "A template of the sandboxes that sessions use. It is accepted when it is well-formed; whether this server's runtime can " +
			"keep it (not every one installs `apt` packages, for example) is said by the first tool that needs the sandbox. Both types of " +
			"networking keep out the server's own machine and private networks.",
		Permission: account.EnvironmentsWrite,
	}, func(ctx context.Context, in *createEnvironmentInput) (*output[environmentWire], error) {
		p, err := in.Body.patch()
		if err != nil {
			return nil, err
		}
		p.Name = &in.Body.Name
		e, err := f.deps.Environments.Create(ctx, httpx.Scope(ctx), p)
		if err != nil {
			return nil, err
		}
		return ok(showEnvironment(e)), nil
	})

	httpx.Register(f.Face, httpx.Op{
		ID: "listEnvironments", Method: http.MethodGet, Path: "/v1/environments", Tag: "environments",
		Summary: "List environments, newest first", Permission: account.EnvironmentsRead,
	}, func(ctx context.Context, in *listEnvironmentsInput) (*output[httpx.List[environmentWire]], error) {
		p, err := f.deps.Environments.List(ctx, httpx.Scope(ctx),
			environment.ListRequest{Request: in.Request(), Archived: in.Archived || in.IncludeArchived})
		if err != nil {
			return nil, err
		}
		return ok(httpx.NewList(p, showEnvironment)), nil
	})

	httpx.Register(f.Face, httpx.Op{
		ID: "getEnvironment", Method: http.MethodGet, Path: "/v1/environments/{environment_id}", Tag: "environments",
		Summary: "Read an environment", Permission: account.EnvironmentsRead,
	}, func(ctx context.Context, in *EnvironmentInput) (*output[environmentWire], error) {
		return f.environment(ctx, in.EnvironmentID, f.deps.Environments.Get)
	})

	for method, op := range map[string]string{
		http.MethodPatch: "patchEnvironment", http.MethodPost: "updateEnvironment", http.MethodPut: "putEnvironment",
	} {
		httpx.Register(f.Face, httpx.Op{
			ID: op, Method: method, Path: "/v1/environments/{environment_id}", Tag: "environments", Summary: "Change an environment",
			Example: `{"description":"For data analysis","config":{"type":"cloud","packages":{"pip":["pandas==2.2.0","polars"]}}}`,
			Description: "Changes what the body names, inside `config` too; lists are replaced as a whole, and networking of another type begins " +
				"anew. Sandboxes that exist keep what they were made with. POST, PATCH and PUT do the same.",
			Permission: account.EnvironmentsWrite,
		}, func(ctx context.Context, in *updateEnvironmentInput) (*output[environmentWire], error) {
			p, err := in.Body.patch()
			if err != nil {
				return nil, err
			}
			p.Name = in.Body.Name.Given()
			for key, value := range p.Metadata {
				if n := utf8.RuneCountInString(key); n > 0 && n <= session.MaxMetadataKey && value != nil && *value == "" {
					p.Metadata[key] = nil
				}
			}
			return f.environment(ctx, in.EnvironmentID,
				func(ctx context.Context, sc account.Scope, of id.Environment) (environment.Environment, error) {
					return f.deps.Environments.Update(ctx, sc, of, p)
				})
		})
	}

	httpx.Register(f.Face, httpx.Op{
		ID: "archiveEnvironment", Method: http.MethodPost, Path: "/v1/environments/{environment_id}/archive", Tag: "environments",
		Summary: "Archive an environment", Permission: account.EnvironmentsWrite,
		Description: "No session can be created with it any more; those that have it keep it, and it can be read. Archiving it again changes " +
			"nothing.",
	}, func(ctx context.Context, in *EnvironmentInput) (*output[environmentWire], error) {
		return f.environment(ctx, in.EnvironmentID, f.deps.Environments.Archive)
	})

	httpx.Register(f.Face, httpx.Op{
		ID: "deleteEnvironment", Method: http.MethodDelete, Path: "/v1/environments/{environment_id}", Tag: "environments",
		Summary: "Delete an environment", Permission: account.EnvironmentsWrite, Statuses: []int{http.StatusConflict},
		Description: "Refused while a session has it that is neither archived nor deleted.",
	}, func(ctx context.Context, in *EnvironmentInput) (*output[httpx.Deleted], error) {
		of, err := id.Parse[id.EnvironmentKind](in.EnvironmentID)
		if err != nil {
			return nil, err
		}
		if err := f.deps.Environments.Delete(ctx, httpx.Scope(ctx), of); err != nil {
			return nil, err
		}
		return ok(httpx.Deleted{ID: of.String(), Type: "environment_deleted"}), nil
	})
}

// environment answers with what do returns for the environment that is spelled.
func (f *face) environment(
	ctx context.Context, spelled string, do func(context.Context, account.Scope, id.Environment) (environment.Environment, error),
) (*output[environmentWire], error) {
	of, err := id.Parse[id.EnvironmentKind](spelled)
	if err != nil {
		return nil, err
	}
	e, err := do(ctx, httpx.Scope(ctx), of)
	if err != nil {
		return nil, err
	}
	return ok(showEnvironment(e)), nil
}
