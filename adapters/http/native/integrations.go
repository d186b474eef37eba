package native

import (
	"context"
	"io"
	"net/http"
	"net/url"
	"reflect"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"github.com/bureau-agents/bureau/adapters/http/internal/httpx"
	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/integration"
	"github.com/bureau-agents/bureau/ports/fault"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/page"
)

type integrationWire struct {
	ID            string             `json:"id" doc:"Its handle: slack, github."`
	Type          string             `json:"type" enum:"integration"`
	Name          string             `json:"name"`
	Description   string             `json:"description"`
	Configured    bool               `json:"configured" doc:"Whether the operator has given this server the credentials of an app."`
	Status        string             `json:"status" enum:"active,available,not_configured" doc:"active: installed in a workspace."`
	Scopes        []string           `json:"scopes" nullable:"false" doc:"What an installation asks for."`
	CallbackURL   string             `json:"callback_url" doc:"To be registered with the provider's app."`
	WebhookURL    string             `json:"webhook_url" doc:"Likewise."`
	Installations []installationWire `json:"installations" nullable:"false" doc:"The oldest first, uninstalled ones included."`
}

type installationWire struct {
	ID            string   `json:"id" doc:"inst_..."`
	Type          string   `json:"type" enum:"integration_installation"`
	Integration   string   `json:"integration"`
	WorkspaceID   string   `json:"workspace_id" doc:"As the provider calls it."`
	WorkspaceName string   `json:"workspace_name"`
	InstallKind   string   `json:"install_kind" doc:"What a workspace is there: team, enterprise, user."`
	BotUserID     string   `json:"bot_user_id" doc:"Who speaks there."`
	BotLogin      *string  `json:"bot_login" doc:"How people address it; null where the provider tells by itself who is addressed."`
	Scopes        []string `json:"scopes" nullable:"false" doc:"What was granted."`
	EnvironmentID *string  `json:"environment_id" doc:"Of publications that name none."`
	Status        string   `json:"status" enum:"live,needs_reauth,uninstalled"`
	AuthorizedBy  *string  `json:"authorized_by" doc:"The person at the provider who agreed."`
	InstalledBy   *string  `json:"installed_by" doc:"The API key that began it."`
	CreatedAt     stamp    `json:"created_at" doc:"Of the first installation in this workspace."`
	UpdatedAt     stamp    `json:"updated_at"`
	UninstalledAt *stamp   `json:"uninstalled_at"`
}

func showInstallation(i integration.Installation) installationWire {
	return installationWire{
		ID: i.ID.String(), Type: "integration_installation", Integration: i.Provider, WorkspaceID: i.WorkspaceID, WorkspaceName: i.WorkspaceName,
		InstallKind: i.Kind, BotUserID: i.BotUserID, BotLogin: textOrNull(i.BotLogin), Scopes: listed(i.Scopes),
		EnvironmentID: textOrNull(i.Environment.String()), Status: string(i.Status), AuthorizedBy: textOrNull(i.AuthorizedBy),
		InstalledBy: textOrNull(i.InstalledBy.String()), CreatedAt: stampOf(i.CreatedAt), UpdatedAt: stampOf(i.UpdatedAt),
		UninstalledAt: stampPtr(i.RemovedAt),
	}
}

// webhooks are the paths of providers' webhooks, by integration.
var webhooks = map[string]string{"slack": "/v1/integrations/slack/events", "github": "/v1/integrations/github/webhooks"}

func (f *face) showIntegration(base string) func(integration.Integration) integrationWire {
	return func(i integration.Integration) integrationWire {
		w := integrationWire{
			ID: i.Info.ID, Type: "integration", Name: i.Info.Name, Description: i.Info.Description, Configured: i.Configured,
			Status: "not_configured", Scopes: listed(i.Info.Scopes), CallbackURL: base + installCallback(i.Info.ID),
			WebhookURL: base + webhooks[i.Info.ID], Installations: []installationWire{},
		}
		if i.Configured {
			w.Status = "available"
		}
		for _, inst := range i.Installations {
			w.Installations = append(w.Installations, showInstallation(inst))
			if inst.Status != integration.Uninstalled {
				w.Status = "active"
			}
		}
		return w
	}
}

func installCallback(name string) string { return "/v1/integrations/" + name + "/callback" }

// base returns the address of this server as the outside knows it.
func (f *face) base(ctx context.Context) string {
	if f.deps.PublicURL != "" {
		return strings.TrimRight(f.deps.PublicURL, "/")
	}
	r := httpx.Request(ctx)
	if r.TLS != nil {
		return "https://" + r.Host
	}
	return "http://" + r.Host
}

type publicationWire struct {
	ID                 string      `json:"id" doc:"pub_..."`
	Type               string      `json:"type" enum:"integration_publication"`
	Integration        string      `json:"integration"`
	UserID             *string     `json:"user_id" doc:"Always null: publications belong to the tenant."`
	AgentID            string      `json:"agent_id"`
	InstallationID     string      `json:"installation_id"`
	WorkspaceID        string      `json:"workspace_id"`
	EnvironmentID      *string     `json:"environment_id" doc:"Of the sessions."`
	Mode               string      `json:"mode" enum:"full"`
	Status             string      `json:"status" enum:"pending_setup,credentials_filled,awaiting_install,live,needs_reauth,unpublished"`
	Persona            personaWire `json:"persona"`
	Capabilities       []string    `json:"capabilities" nullable:"false"`
	Channels           []string    `json:"channels" nullable:"false" doc:"Where it answers; empty is everywhere."`
	SessionGranularity string      `json:"session_granularity" enum:"per_thread,per_issue,per_channel,per_event"`
	CreatedAt          stamp       `json:"created_at"`
	UpdatedAt          stamp       `json:"updated_at"`
	UnpublishedAt      *stamp      `json:"unpublished_at"`
}

type personaWire struct {
	Name      *string `json:"name"`
	AvatarURL *string `json:"avatar_url"`
}

// showPublication needs the installations, for what their workspaces are called.
func showPublication(installations []integration.Installation) func(integration.Publication) publicationWire {
	return func(p integration.Publication) publicationWire {
		w := publicationWire{
			ID: p.ID.String(), Type: "integration_publication", Integration: p.Provider, AgentID: p.Agent.String(),
			InstallationID: p.Installation.String(), EnvironmentID: textOrNull(p.Environment.String()), Mode: p.Mode, Status: string(p.Status),
			Persona:      personaWire{textOrNull(p.Persona.Name), textOrNull(p.Persona.AvatarURL)},
			Capabilities: listed(p.Capabilities), Channels: listed(p.Channels), SessionGranularity: string(p.Granularity),
			CreatedAt: stampOf(p.CreatedAt), UpdatedAt: stampOf(p.UpdatedAt), UnpublishedAt: stampPtr(p.EndedAt),
		}
		for _, i := range installations {
			if i.ID == p.Installation {
				w.WorkspaceID = i.WorkspaceID
			}
		}
		return w
	}
}

func (f *face) publication(ctx context.Context, p integration.Publication) (*output[publicationWire], error) {
	i, err := f.deps.Integrations.Get(ctx, httpx.Scope(ctx), p.Provider)
	if err != nil {
		return nil, err
	}
	return ok(showPublication(i.Installations)(p)), nil
}

// IntegrationInput names an integration.
type IntegrationInput struct {
	IntegrationID string `path:"integration_id" doc:"The integration's handle: slack, github."`
}

type installInput struct {
	IntegrationInput
	EnvironmentID string `query:"environment_id" doc:"The environment of publications that name none."`
	Redirect      string `query:"redirect" doc:"A path of this server to send the browser to afterwards; without it, it sees a page."`
}

type installStartWire struct {
	RedirectURL string `json:"redirect_url" doc:"Where a person agrees, in a browser."`
	State       string `json:"state" doc:"It comes back once, within ten minutes."`
}

type callbackInput struct {
	IntegrationInput
	State string `query:"state" doc:"As the installation began with it."`
	Code  string `query:"code" doc:"The provider's, for a token."`
	Error string `query:"error" doc:"The provider's, when access was not granted."`
}

type uninstallInput struct {
	IntegrationInput
	Body *struct {
		InstallationID *string `json:"installation_id,omitempty" minLength:"1" doc:"Which; it may be left out when there is only one."`
	} `required:"false"`
}

type uninstalledWire struct {
	ID           string           `json:"id" doc:"The integration's handle."`
	Type         string           `json:"type" enum:"integration_uninstalled"`
	Installation installationWire `json:"installation"`
	Revoked      bool             `json:"revoked" doc:"Whether the provider has ended the app's access. The token is forgotten in any case."`
	Problem      *string          `json:"problem" doc:"Why it has not."`
}

type listPublicationsInput struct {
	IntegrationInput
	httpx.PageQuery
	AgentID        string `query:"agent_id" doc:"Only this agent's."`
	InstallationID string `query:"installation_id" doc:"Only those in this installation."`
	Status         string `query:"status" enum:"live,unpublished" doc:"Only those; live includes needs_reauth."`
}

// PublicationInput names a publication.
type PublicationInput struct {
	IntegrationInput
	PublicationID string `path:"publication_id" doc:"The publication's id."`
}

// personaParam is a persona in a body.
type personaParam struct {
	Name httpx.Opt[string] `json:"name,omitempty" maxLength:"80"`
	// AvatarURL and AvatarURLCamel are two spellings of one thing.
	AvatarURL      httpx.Opt[string] `json:"avatar_url,omitempty" maxLength:"2048" doc:"https://..."`
	AvatarURLCamel httpx.Opt[string] `json:"avatarUrl,omitempty" maxLength:"2048" doc:"Another name of avatar_url."`
}

func (p personaParam) avatar() httpx.Opt[string] {
	if p.AvatarURL.Set {
		return p.AvatarURL
	}
	return p.AvatarURLCamel
}

// PublicationFields are the fields that a creation and an update have in common.
type PublicationFields struct {
	EnvironmentID      httpx.Opt[string]       `json:"environment_id,omitempty" doc:"Of the sessions; in a creation, the installation's when left out."`
	SessionGranularity string                  `json:"session_granularity,omitempty" enum:"per_thread,per_issue,per_channel,per_event" doc:"What shares a session: a thread or an issue, a channel or a repository, or one message. per_thread (slack) or per_issue (github) when left out."`
	Mode               string                  `json:"mode,omitempty" enum:"full"`
	Persona            httpx.Opt[personaParam] `json:"persona,omitempty" doc:"How the agent appears, where the provider lets it."`
	Capabilities       httpx.Opt[[]string]     `json:"capabilities,omitempty" maxItems:"32" doc:"Labels of your own; what an agent may do is for its tools and policies to say."`
	Channels           httpx.Opt[[]string]     `json:"channels,omitempty" maxItems:"100" doc:"Ids of channels, or owner/name of repositories, that it answers in; all when empty."`
}

type publishInput struct {
	IntegrationInput
	Body publishBody
}

type publishBody struct {
	AgentID        string `json:"agent_id" minLength:"1"`
	InstallationID string `json:"installation_id,omitempty" minLength:"1" doc:"Either this or workspace_id."`
	WorkspaceID    string `json:"workspace_id,omitempty" minLength:"1"`
	PublicationFields
}

// TransformSchema implements huma.SchemaTransformer.
func (publishBody) TransformSchema(_ huma.Registry, s *huma.Schema) *huma.Schema {
	return oneOf(s, map[string]any{"installation_id": given(), "workspace_id": given()})
}

type updatePublicationInput struct {
	PublicationInput
	Body struct {
		PublicationFields
	}
}

type unpublishedWire struct {
	ID     string `json:"id"`
	Type   string `json:"type" enum:"integration_publication"`
	Status string `json:"status" enum:"unpublished"`
}

// readID reads an id that may be left out.
func readID[K id.Kind](spelled string) (id.ID[K], error) {
	if spelled == "" {
		return id.ID[K]{}, nil
	}
	return id.Parse[K](spelled)
}

func (b publishBody) request() (integration.PublishRequest, error) {
	req := integration.PublishRequest{
		Workspace: b.WorkspaceID, Granularity: integration.Granularity(b.SessionGranularity), Mode: b.Mode, Capabilities: b.Capabilities.Value,
		Channels: b.Channels.Value, Persona: integration.Persona{Name: b.Persona.Value.Name.Value, AvatarURL: b.Persona.Value.avatar().Value},
	}
	var err error
	if req.Agent, err = id.Parse[id.AgentKind](b.AgentID); err != nil {
		return req, err
	}
	if req.Installation, err = readID[id.InstallationKind](b.InstallationID); err != nil {
		return req, err
	}
	if b.EnvironmentID.Given() != nil {
		req.Environment, err = id.Parse[id.EnvironmentKind](b.EnvironmentID.Value)
	}
	return req, err
}

func (b PublicationFields) patch() (integration.PublicationPatch, error) {
	p := integration.PublicationPatch{Granularity: unlessEmpty(integration.Granularity(b.SessionGranularity)), Mode: unlessEmpty(b.Mode)}
	if b.EnvironmentID.Set {
		p.Environment = &id.Environment{}
		if !b.EnvironmentID.Null {
			e, err := id.Parse[id.EnvironmentKind](b.EnvironmentID.Value)
			if err != nil {
				return p, err
			}
			p.Environment = &e
		}
	}
	if b.Capabilities.Set {
		p.Capabilities = &b.Capabilities.Value
	}
	if b.Channels.Set {
		p.Channels = &b.Channels.Value
	}
	switch avatar := b.Persona.Value.avatar(); {
	case b.Persona.Null:
		p.PersonaName, p.AvatarURL = new(string), new(string)
	default:
		if b.Persona.Value.Name.Set {
			p.PersonaName = &b.Persona.Value.Name.Value
		}
		if avatar.Set {
			p.AvatarURL = &avatar.Value
		}
	}
	return p, nil
}

func (f *face) registerIntegrations() {
	httpx.Register(f.Face, httpx.Op{
		ID: "listIntegrations", Method: http.MethodGet, Path: "/v1/integrations", Tag: "integrations",
		Summary: "List integrations with their installations", Permission: account.IntegrationsRead,
	}, func(ctx context.Context, _ *struct{}) (*output[httpx.List[integrationWire]], error) {
		all, err := f.deps.Integrations.List(ctx, httpx.Scope(ctx))
		if err != nil {
			return nil, err
		}
		return ok(httpx.NewList(page.Page[integration.Integration]{Items: all}, f.showIntegration(f.base(ctx)))), nil
	})

	httpx.Register(f.Face, httpx.Op{
		ID: "getIntegration", Method: http.MethodGet, Path: "/v1/integrations/{integration_id}", Tag: "integrations",
		Summary: "Read an integration with its installations", Permission: account.IntegrationsRead,
	}, func(ctx context.Context, in *IntegrationInput) (*output[integrationWire], error) {
		i, err := f.deps.Integrations.Get(ctx, httpx.Scope(ctx), in.IntegrationID)
		if err != nil {
			return nil, err
		}
		return ok(f.showIntegration(f.base(ctx))(i)), nil
	})

	httpx.Register(f.Face, httpx.Op{
		ID: "installIntegration", Method: http.MethodGet, Path: "/v1/integrations/{integration_id}/install", Tag: "integrations",
		Summary: "Begin an installation", Permission: account.IntegrationsWrite, Statuses: []int{http.StatusServiceUnavailable},
		Description: "Send a person who may decide it to `redirect_url`. When they agree, the provider sends them back to this server, and the " +
			"workspace is connected to your tenant. Installing again in the same workspace replaces its token.",
	}, func(ctx context.Context, in *installInput) (*output[installStartWire], error) {
		environment, err := readID[id.EnvironmentKind](in.EnvironmentID)
		if err != nil {
			return nil, err
		}
		to, state, err := f.deps.Integrations.Install(ctx, httpx.Scope(ctx), in.IntegrationID, integration.InstallRequest{
			RedirectURI: f.base(ctx) + installCallback(in.IntegrationID), ReturnTo: in.Redirect, Environment: environment,
		})
		if err != nil {
			return nil, err
		}
		return ok(installStartWire{to, state}), nil
	})

	httpx.RegisterStream(f.Face, httpx.Op{
		ID: "completeInstallation", Method: http.MethodGet, Path: "/v1/integrations/{integration_id}/callback", Tag: "integrations",
		PublicRate: signInRate,
		Summary:    "Where the provider sends a person back to", Produces: contentHTML, Alternative: reflect.TypeFor[installationWire](),
		Statuses: []int{http.StatusConflict, http.StatusServiceUnavailable},
		Description: "The state, which is good once and for ten minutes, says on whose behalf it is called. Browsers see a page or are sent on; " +
			"whoever does not ask for `text/html` gets the installation.",
	}, func(ctx context.Context, in *callbackInput) (httpx.Stream, error) {
		i, returnTo, err := f.deps.Integrations.Complete(ctx, in.IntegrationID, integration.Callback{State: in.State, Code: in.Code, Error: in.Error})
		switch {
		case err != nil:
			return f.refusePage(ctx, err)
		case !wantsPage(ctx):
			return streamJSON(showInstallation(i)), nil
		case returnTo != "":
			return sendTo(withQuery(returnTo, "installation_id", i.ID.String())), nil
		}
		return showPage(http.StatusOK, "Connected", i.WorkspaceName+" is connected. You can close this window."), nil
	})

	httpx.Register(f.Face, httpx.Op{
		ID: "uninstallIntegration", Method: http.MethodPost, Path: "/v1/integrations/{integration_id}/uninstall", Tag: "integrations",
		Summary: "Remove an installation", Permission: account.IntegrationsWrite, Example: `{"installation_id":"inst_01h..."}`,
		Description: "The provider is asked to end the app's access, the token is forgotten whatever it answers, and the publications in the " +
			"workspace end. Removing it again changes nothing.",
	}, func(ctx context.Context, in *uninstallInput) (*output[uninstalledWire], error) {
		var installation id.Installation
		var err error
		if in.Body != nil && in.Body.InstallationID != nil {
			if installation, err = id.Parse[id.InstallationKind](*in.Body.InstallationID); err != nil {
				return nil, err
			}
		}
		r, err := f.deps.Integrations.Uninstall(ctx, httpx.Scope(ctx), in.IntegrationID, installation)
		if err != nil {
			return nil, err
		}
		return ok(uninstalledWire{in.IntegrationID, "integration_uninstalled", showInstallation(r.Installation), r.Revoked, textOrNull(r.Problem)}), nil
	})
	f.registerPublications()
	f.registerWebhooks()
}

func (f *face) registerPublications() {
	httpx.Register(f.Face, httpx.Op{
		ID: "listPublications", Method: http.MethodGet, Path: "/v1/integrations/{integration_id}/publications", Tag: "integrations",
		Summary: "List publications, newest first", Permission: account.IntegrationsRead,
	}, func(ctx context.Context, in *listPublicationsInput) (*output[httpx.List[publicationWire]], error) {
		req := integration.ListRequest{Request: in.Request(), Status: integration.Status(in.Status)}
		var err error
		if req.Agent, err = readID[id.AgentKind](in.AgentID); err != nil {
			return nil, err
		}
		if req.Installation, err = readID[id.InstallationKind](in.InstallationID); err != nil {
			return nil, err
		}
		sc := httpx.Scope(ctx)
		found, err := f.deps.Integrations.Publications(ctx, sc, in.IntegrationID, req)
		if err != nil {
			return nil, err
		}
		i, err := f.deps.Integrations.Get(ctx, sc, in.IntegrationID)
		if err != nil {
			return nil, err
		}
		return ok(httpx.NewList(found, showPublication(i.Installations))), nil
	})

	httpx.Register(f.Face, httpx.Op{
		ID: "createPublication", Method: http.MethodPost, Path: "/v1/integrations/{integration_id}/publications", Tag: "integrations",
		Status: http.StatusCreated, Permission: account.IntegrationsWrite, Summary: "Let an agent answer in a workspace",
		Example: `{"agent_id":"agent_01h...","installation_id":"inst_01h...","session_granularity":"per_thread"}`,
		Description: "Several agents may be published in one workspace. A message is answered by the oldest publication whose `channels` name " +
			"the message's channel, else by the oldest one without `channels`.",
	}, func(ctx context.Context, in *publishInput) (*output[publicationWire], error) {
		req, err := in.Body.request()
		if err != nil {
			return nil, err
		}
		p, err := f.deps.Integrations.Publish(ctx, httpx.Scope(ctx), in.IntegrationID, req)
		if err != nil {
			return nil, err
		}
		return f.publication(ctx, p)
	})

	httpx.Register(f.Face, httpx.Op{
		ID: "getPublication", Method: http.MethodGet, Path: "/v1/integrations/{integration_id}/publications/{publication_id}", Tag: "integrations",
		Summary: "Read a publication", Permission: account.IntegrationsRead,
	}, func(ctx context.Context, in *PublicationInput) (*output[publicationWire], error) {
		publication, err := id.Parse[id.PublicationKind](in.PublicationID)
		if err != nil {
			return nil, err
		}
		p, err := f.deps.Integrations.Publication(ctx, httpx.Scope(ctx), in.IntegrationID, publication)
		if err != nil {
			return nil, err
		}
		return f.publication(ctx, p)
	})

	for method, op := range map[string]string{
		http.MethodPatch: "patchPublication", http.MethodPost: "updatePublication", http.MethodPut: "putPublication",
	} {
		httpx.Register(f.Face, httpx.Op{
			ID: op, Method: method, Path: "/v1/integrations/{integration_id}/publications/{publication_id}", Tag: "integrations",
			Summary: "Change a publication", Permission: account.IntegrationsWrite, Statuses: []int{http.StatusConflict},
			Example:     `{"session_granularity":"per_channel","channels":["C0123456789"]}`,
			Description: "Changes what the body names; lists are replaced as a whole. POST, PATCH and PUT do the same.",
		}, func(ctx context.Context, in *updatePublicationInput) (*output[publicationWire], error) {
			publication, err := id.Parse[id.PublicationKind](in.PublicationID)
			if err != nil {
				return nil, err
			}
			patch, err := in.Body.patch()
			if err != nil {
				return nil, err
			}
			p, err := f.deps.Integrations.UpdatePublication(ctx, httpx.Scope(ctx), in.IntegrationID, publication, patch)
			if err != nil {
				return nil, err
			}
			return f.publication(ctx, p)
		})
	}

	httpx.Register(f.Face, httpx.Op{
		ID: "deletePublication", Method: http.MethodDelete, Path: "/v1/integrations/{integration_id}/publications/{publication_id}",
		Tag: "integrations", Summary: "End a publication", Permission: account.IntegrationsWrite,
		Description: "It stays readable. What the agent is working on is still answered. Ending it again changes nothing.",
	}, func(ctx context.Context, in *PublicationInput) (*output[unpublishedWire], error) {
		publication, err := id.Parse[id.PublicationKind](in.PublicationID)
		if err != nil {
			return nil, err
		}
		p, err := f.deps.Integrations.Unpublish(ctx, httpx.Scope(ctx), in.IntegrationID, publication)
		if err != nil {
			return nil, err
		}
		return ok(unpublishedWire{p.ID.String(), "integration_publication", string(p.Status)}), nil
	})
}

// webhookRate is how many webhooks per minute an address may send. Providers have few addresses for all workspaces, and send again what
// was refused.
const webhookRate = 3000

// maxWebhook bounds a webhook, in bytes; GitHub's own limit is 25 MiB, for pushes, which are not subscribed to.
const maxWebhook = 5 << 20

type challengeWire struct {
	OK        bool   `json:"ok"`
	Challenge string `json:"challenge,omitempty" doc:"What the provider wants to hear, when it asks whether this is the right address."`
}

func (f *face) registerWebhooks() {
	for name, path := range webhooks {
		httpx.Register(f.Face, httpx.Op{
			ID: name + "Webhook", Method: http.MethodPost, Path: path, Tag: "integrations", Summary: "What happens in workspaces, as " + name + " tells it",
			Description: "Signed by the provider. An event is stored and answered at once; an agent works on it afterwards. Repetitions are " +
				"recognized.",
			Upload: "application/json", UploadSchema: &huma.Schema{Type: huma.TypeObject}, MaxBody: maxWebhook,
			PublicRate: webhookRate,
			Statuses:   []int{http.StatusUnauthorized, http.StatusServiceUnavailable},
		}, func(ctx context.Context, _ *struct{}) (*output[challengeWire], error) {
			body, err := io.ReadAll(httpx.Body(ctx))
			if err != nil {
				return nil, err
			}
			challenge, err := f.deps.Integrations.Receive(ctx, name, httpx.Request(ctx).Header.Get, body)
			if err != nil {
				return nil, err
			}
			return ok(challengeWire{true, challenge}), nil
		})
	}
}

// withQuery adds a parameter to a path of this server.
func withQuery(path, name, value string) string {
	u, err := url.Parse(path)
	if err != nil {
		return path
	}
	q := u.Query()
	q.Set(name, value)
	u.RawQuery = q.Encode()
	return u.String()
}

// refusePage answers a browser's failed return with a page, and everybody else with the envelope.
func (f *face) refusePage(ctx context.Context, err error) (httpx.Stream, error) {
	e, known := fault.As(err)
	if !known || e.Kind == fault.Internal || !wantsPage(ctx) {
		return nil, err
	}
	return showPage(httpx.StatusOf(e), "That did not work", e.Message), nil
}
