package integration

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/ports/clock"
	"github.com/bureau-agents/bureau/ports/fault"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/jobs"
	"github.com/bureau-agents/bureau/ports/keeper"
	"github.com/bureau-agents/bureau/ports/page"
	"github.com/bureau-agents/bureau/ports/tx"
)

// Agents tells about agents, which stand above this package.
type Agents interface {
	// Publishable returns nil for an agent that may be published, id.NotFound, or ErrAgentArchived. It joins the transaction in ctx.
	Publishable(ctx context.Context, sc account.Scope, agent id.Agent) error
}

// Environments tells about environments.
type Environments interface {
	// Exists returns nil for an environment that sessions may have, or an error that says why not. It joins the transaction in ctx.
	Exists(ctx context.Context, sc account.Scope, environment id.Environment) error
}

// SessionRequest describes a session that a conversation is to be held in.
type SessionRequest struct {
	Agent       id.Agent
	Environment id.Environment
	Title       string
	Metadata    map[string]string
}

// Outcome is how far the turn of a message came.
type Outcome struct {
	Ended   bool
	Waiting int64  // the number of the event that says that the turn waits for somebody; 0: it does not
	Text    string // what the agent said, once Ended
	Problem string // why it said no more; "": nothing went wrong
}

// Sessions holds conversations. Sessions stand above this package; app wires them.
type Sessions interface {
	// Open makes a session. It joins the transaction in ctx.
	Open(ctx context.Context, sc account.Scope, req SessionRequest) (id.Session, error)
	// Say queues a message, and returns its id. It joins the transaction in ctx. ended is set, and nothing was said, when the session takes no
	// messages any more.
	Say(ctx context.Context, sc account.Scope, session id.Session, texts []string) (message id.Event, ended bool, err error)
	// Outcome tells what became of a message.
	Outcome(ctx context.Context, sc account.Scope, session id.Session, message id.Event) (Outcome, error)
}

// Auditor notes what was done; audit.Service does. Note joins the transaction in ctx.
type Auditor interface {
	Note(ctx context.Context, sc account.Scope, action string, agent id.Agent, metadata map[string]any) error
}

// Offer is an integration that the server knows.
type Offer struct {
	Info     Info
	Provider Provider // nil: it is not configured
	// Missing names the settings that it needs, for whoever meets it without a Provider.
	Missing string
}

// Deps is what a Service needs. All fields are required.
type Deps struct {
	TX            tx.Runner
	Clock         clock.Clock
	IDs           id.Generator
	Logger        *slog.Logger
	Queue         jobs.Queue
	Keeper        keeper.Keeper
	Flows         *account.Flows
	Installations Installations
	Publications  Publications
	Conversations Conversations
	Deliveries    Deliveries
	Outbox        Outbox
	Agents        Agents
	Environments  Environments
	Sessions      Sessions
	Trail         Auditor
	Offers        []Offer // in the order in which they are listed
}

// Service connects workspaces and carries what is said in them. It is safe for concurrent use.
type Service struct{ d Deps }

// NewService returns a Service, or an error that names the missing dependency.
func NewService(d Deps) (*Service, error) {
	for _, dep := range []struct {
		name    string
		missing bool
	}{
		{"TX", d.TX == nil},
		{"Clock", d.Clock == nil},
		{"IDs", d.IDs == nil},
		{"Logger", d.Logger == nil},
		{"Queue", d.Queue == nil},
		{"Keeper", d.Keeper == nil},
		{"Flows", d.Flows == nil},
		{"Installations", d.Installations == nil},
		{"Publications", d.Publications == nil},
		{"Conversations", d.Conversations == nil},
		{"Deliveries", d.Deliveries == nil},
		{"Outbox", d.Outbox == nil},
		{"Agents", d.Agents == nil},
		{"Environments", d.Environments == nil},
		{"Sessions", d.Sessions == nil},
		{"Trail", d.Trail == nil},
		{"Offers", len(d.Offers) == 0},
	} {
		if dep.missing {
			return nil, fmt.Errorf("integration: Deps.%s is required", dep.name)
		}
	}
	return &Service{d}, nil
}

func (s *Service) now() time.Time { return clock.Stored(s.d.Clock.Now()) }

// offer returns an integration, configured or not.
func (s *Service) offer(name string) (Offer, error) {
	for _, o := range s.d.Offers {
		if o.Info.ID == name {
			return o, nil
		}
	}
	if len(name) > 64 {
		name = name[:64]
	}
	return Offer{}, ErrNotFound.Withf("no integration %q", name)
}

// provider returns a configured integration.
func (s *Service) provider(name string) (Provider, error) {
	o, err := s.offer(name)
	if err != nil {
		return nil, err
	}
	if o.Provider == nil {
		return nil, ErrNotConfigured.Withf("the integration %s is not configured: set %s", name, o.Missing)
	}
	return o.Provider, nil
}

// Integration is an integration as a tenant sees it.
type Integration struct {
	Info          Info
	Configured    bool
	Installations []Installation // the oldest first, uninstalled ones included
}

// List returns every integration with the tenant's installations.
func (s *Service) List(ctx context.Context, sc account.Scope) ([]Integration, error) {
	all, err := s.d.Installations.List(ctx, sc, "")
	if err != nil {
		return nil, err
	}
	out := make([]Integration, len(s.d.Offers))
	for i, o := range s.d.Offers {
		out[i] = Integration{Info: o.Info, Configured: o.Provider != nil}
		for _, inst := range all {
			if inst.Provider == o.Info.ID {
				out[i].Installations = append(out[i].Installations, inst)
			}
		}
	}
	return out, nil
}

// Get returns one integration with the tenant's installations, or ErrNotFound.
func (s *Service) Get(ctx context.Context, sc account.Scope, name string) (Integration, error) {
	o, err := s.offer(name)
	if err != nil {
		return Integration{}, err
	}
	found, err := s.d.Installations.List(ctx, sc, name)
	return Integration{Info: o.Info, Configured: o.Provider != nil, Installations: found}, err
}

// installPurpose is that of an installation's flow.
const installPurpose = "install"

type installData struct {
	Verifier    string `json:"verifier"`
	RedirectURI string `json:"redirect_uri"`
	ReturnTo    string `json:"return_to"`
	Environment string `json:"environment"`
}

// InstallRequest describes an installation that is to begin.
type InstallRequest struct {
	RedirectURI string         // the address of the callback
	ReturnTo    string         // a path of this server to send the browser to afterwards; "": a page of its own
	Environment id.Environment // for publications that name none; zero: none
}

// Install begins an installation: it returns where a person agrees, and the state that the callback will show, once, within
// account.FlowTTL. It returns ErrNotFound, ErrNotConfigured, or why the environment or ReturnTo will not do.
func (s *Service) Install(ctx context.Context, sc account.Scope, name string, req InstallRequest) (redirectURL, state string, err error) {
	p, err := s.provider(name)
	if err != nil {
		return "", "", err
	}
	data := installData{Verifier: account.NewToken(), RedirectURI: req.RedirectURI, Environment: req.Environment.String()}
	if req.ReturnTo != "" {
		if data.ReturnTo, err = account.LocalPath("query.redirect", req.ReturnTo); err != nil {
			return "", "", err
		}
	}
	if err := s.checkEnvironment(ctx, sc, req.Environment); err != nil {
		return "", "", err
	}
	if state, err = s.d.Flows.Begin(ctx, sc, installPurpose, name, data); err != nil {
		return "", "", err
	}
	return p.AuthURL(state, data.Verifier, data.RedirectURI), state, nil
}

func (s *Service) checkEnvironment(ctx context.Context, sc account.Scope, environment id.Environment) error {
	if environment.IsZero() {
		return nil
	}
	return s.d.Environments.Exists(ctx, sc, environment)
}

// Callback is what a provider sends a person back with.
type Callback struct {
	State string
	Code  string
	Error string // RFC 6749, 4.1.2.1; "": the person agreed
}

// Complete ends an installation, on behalf of the tenant that began it: the state is used up, whatever comes of it. returnTo is what
// InstallRequest said, also beside an error when the state was good. It returns ErrNotFound, ErrNotConfigured, account.ErrFlow, ErrDenied,
// ErrExchange, ErrUnreachable or ErrWorkspaceTaken.
func (s *Service) Complete(ctx context.Context, name string, c Callback) (out Installation, returnTo string, err error) {
	p, err := s.provider(name)
	if err != nil {
		return Installation{}, "", err
	}
	var data installData
	flow, err := s.d.Flows.End(ctx, installPurpose, name, c.State, &data)
	if err != nil {
		return Installation{}, "", err
	}
	switch {
	case c.Error == "access_denied":
		return Installation{}, data.ReturnTo, ErrDenied.Withf("access was not granted")
	case c.Error != "":
		return Installation{}, data.ReturnTo, ErrDenied
	case c.Code == "":
		return Installation{}, data.ReturnTo, fault.Invalidf("query.code", "is required")
	}
	g, err := p.Exchange(ctx, c.Code, data.Verifier, data.RedirectURI)
	if err != nil {
		return Installation{}, data.ReturnTo, err
	}
	out, err = s.install(ctx, name, flow, data, g)
	if err != nil {
		// Nobody can use what was granted: take it back, as far as that can be done.
		if !errors.Is(err, ErrWorkspaceTaken) { // whose other tenant's access a revocation would end too
			if rerr := p.Revoke(context.WithoutCancel(ctx), g.Token); rerr != nil {
				s.d.Logger.WarnContext(ctx, "a token that is not used could not be revoked", "provider", name, "error", rerr)
			}
		}
		return Installation{}, data.ReturnTo, err
	}
	return out, data.ReturnTo, nil
}

func (s *Service) install(ctx context.Context, name string, flow account.Flow, data installData, g Grant) (Installation, error) {
	sc := account.System(flow.Tenant)
	sc.Key = flow.Key
	now := s.now()
	i := Installation{
		ID: id.New[id.InstallationKind](s.d.IDs), Tenant: sc.Tenant, Provider: name, WorkspaceID: g.WorkspaceID, WorkspaceName: g.WorkspaceName,
		Kind: g.Kind, BotUserID: g.BotUserID, BotLogin: g.BotLogin, AuthorizedBy: g.AuthorizedBy, Scopes: g.Scopes, Accounts: g.Accounts,
		Status: Installed, TokenExpiry: expiryOf(g.Token), InstalledBy: flow.Key, CreatedAt: now, UpdatedAt: now,
	}
	var err error
	if data.Environment != "" {
		if i.Environment, err = id.Parse[id.EnvironmentKind](data.Environment); err != nil {
			return Installation{}, err
		}
	}
	if i.SealedToken, err = s.seal(ctx, i, g.Token); err != nil {
		return Installation{}, err
	}
	var out Installation
	err = s.d.TX.Do(ctx, func(ctx context.Context) error {
		if out, err = s.d.Installations.Save(ctx, sc, i); err != nil {
			return err
		}
		return s.note(ctx, sc, "integration_installed", id.Agent{}, out, nil)
	})
	return out, err
}

// note writes to the audit trail.
func (s *Service) note(ctx context.Context, sc account.Scope, action string, agent id.Agent, i Installation, more map[string]any) error {
	metadata := map[string]any{
		"integration": i.Provider, "installation_id": i.ID.UUID().String(), "workspace_id": i.WorkspaceID, "workspace_name": i.WorkspaceName,
	}
	for k, v := range more {
		metadata[k] = v
	}
	return s.d.Trail.Note(ctx, sc, action, agent, metadata)
}

// seal binds a token to its tenant and workspace, which an installation keeps for good.
func (s *Service) seal(ctx context.Context, i Installation, t Token) ([]byte, error) {
	plain, err := json.Marshal(t)
	if err != nil {
		return nil, fmt.Errorf("integration: %w", err)
	}
	return s.d.Keeper.Seal(ctx, tokenPlace(i), plain)
}

func (s *Service) open(ctx context.Context, i Installation) (Token, error) {
	plain, err := s.d.Keeper.Open(ctx, tokenPlace(i), i.SealedToken)
	if err != nil {
		return Token{}, err
	}
	var t Token
	if err := json.Unmarshal(plain, &t); err != nil {
		return Token{}, fmt.Errorf("integration: the token of %s: %w", i.ID, err)
	}
	return t, nil
}

// expiryOf returns when a token expires, as stores keep it.
func expiryOf(t Token) time.Time {
	if t.Expiry.IsZero() {
		return time.Time{}
	}
	return clock.Stored(t.Expiry)
}

func tokenPlace(i Installation) string {
	return i.Tenant.UUID().String() + "/integration_installations/" + i.Provider + "/" + i.WorkspaceID + "/token"
}

// Removal is what became of an installation that was to be removed.
type Removal struct {
	Installation Installation
	Revoked      bool   // the provider has ended the app's access
	Problem      string // why not; "" when Revoked, or when there was nothing to revoke
}

// Uninstall removes an installation: the provider is asked to end the app's access, the token is forgotten, whatever it answers, and the
// installation's publications end. installation may be zero when the tenant has exactly one live installation of the integration. Removing
// a removed one changes nothing. It returns ErrNotFound, id.NotFound or a fault.Invalid.
func (s *Service) Uninstall(ctx context.Context, sc account.Scope, name string, installation id.Installation) (Removal, error) {
	o, err := s.offer(name)
	if err != nil {
		return Removal{}, err
	}
	i, err := s.choose(ctx, sc, name, installation)
	if err != nil {
		return Removal{}, err
	}
	if i.Status == Uninstalled {
		return Removal{Installation: i}, nil
	}
	out := Removal{}
	// The provider first: a crash in between leaves an installation that can be removed again, and not a token that nobody knows of.
	if o.Provider == nil {
		out.Problem = "the integration is not configured, so the provider could not be asked to revoke the token"
	} else if t, err := s.open(ctx, i); err != nil {
		out.Problem = "the token could not be read, so the provider could not be asked to revoke it"
	} else if err := o.Provider.Revoke(ctx, t); err != nil {
		s.d.Logger.WarnContext(ctx, "a token could not be revoked", "installation_id", i.ID, "error", err)
		out.Problem = "the provider did not revoke the token: " + messageOf(err)
	} else {
		out.Revoked = true
	}
	out.Installation, err = s.remove(ctx, sc, i, map[string]any{"revoked": out.Revoked})
	return out, err
}

func (s *Service) choose(ctx context.Context, sc account.Scope, name string, installation id.Installation) (Installation, error) {
	if !installation.IsZero() {
		i, err := s.d.Installations.Get(ctx, sc, installation)
		if err == nil && i.Provider != name {
			return Installation{}, id.NotFound[id.InstallationKind](installation.String())
		}
		return i, err
	}
	all, err := s.d.Installations.List(ctx, sc, name)
	if err != nil {
		return Installation{}, err
	}
	var live []Installation
	for _, i := range all {
		if i.Status != Uninstalled {
			live = append(live, i)
		}
	}
	switch len(live) {
	case 0:
		return Installation{}, fault.New(fault.NotFound, "installation_not_found", "the integration is not installed")
	case 1:
		return live[0], nil
	}
	return Installation{}, fault.Invalidf("installation_id", "is required: the integration is installed in %d workspaces", len(live))
}

// remove forgets the token of an installation and ends its publications.
func (s *Service) remove(ctx context.Context, sc account.Scope, i Installation, more map[string]any) (Installation, error) {
	var out Installation
	err := s.d.TX.Do(ctx, func(ctx context.Context) error {
		now := s.now()
		fresh := false
		var err error
		out, err = s.d.Installations.Update(ctx, sc, i.ID, func(i *Installation) error {
			if fresh = i.Status != Uninstalled; fresh {
				i.Status, i.SealedToken, i.TokenExpiry, i.UpdatedAt, i.RemovedAt = Uninstalled, nil, time.Time{}, now, &now
			}
			return nil
		})
		if err != nil || !fresh {
			return err
		}
		live, err := s.d.Publications.Live(ctx, sc, i.ID)
		if err != nil {
			return err
		}
		for _, p := range live {
			if _, err := s.unpublish(ctx, sc, p.ID, out); err != nil {
				return err
			}
		}
		return s.note(ctx, sc, "integration_uninstalled", id.Agent{}, out, more)
	})
	return out, err
}

// PublishRequest describes a publication.
type PublishRequest struct {
	Agent        id.Agent
	Installation id.Installation // either this or Workspace
	Workspace    string
	Environment  id.Environment // zero: the installation's
	Granularity  Granularity    // "": the integration's
	Mode         string         // "": ModeFull
	Persona      Persona
	Capabilities []string
	Channels     []string
}

// Publish lets an agent answer in a workspace. It returns ErrNotFound, id.NotFound, ErrAgentArchived, ErrUninstalled, ErrPublished or a
// fault.Invalid.
func (s *Service) Publish(ctx context.Context, sc account.Scope, name string, req PublishRequest) (Publication, error) {
	o, err := s.offer(name)
	if err != nil {
		return Publication{}, err
	}
	if req.Granularity == "" {
		req.Granularity = o.Info.Granularity
	}
	if req.Mode == "" {
		req.Mode = ModeFull
	}
	now := s.now()
	p := Publication{
		ID: id.New[id.PublicationKind](s.d.IDs), Tenant: sc.Tenant, Provider: name, Agent: req.Agent, Environment: req.Environment,
		Granularity: req.Granularity, Mode: req.Mode, Persona: req.Persona, Capabilities: req.Capabilities, Channels: req.Channels, Status: Live,
		CreatedAt: now, UpdatedAt: now,
	}
	if err := p.check(); err != nil {
		return Publication{}, err
	}
	i, err := s.workspace(ctx, sc, name, req)
	if err != nil {
		return Publication{}, err
	}
	p.Installation = i.ID
	if p.Environment.IsZero() {
		p.Environment = i.Environment
	}
	err = s.d.TX.Do(ctx, func(ctx context.Context) error {
		// Held, so that nobody removes the installation meanwhile.
		_, err := s.d.Installations.Update(ctx, sc, i.ID, func(i *Installation) error {
			if i.Status == Uninstalled {
				return ErrUninstalled
			}
			return nil
		})
		if err != nil {
			return err
		}
		if err := s.d.Agents.Publishable(ctx, sc, p.Agent); err != nil {
			return err
		}
		if err := s.checkEnvironment(ctx, sc, p.Environment); err != nil {
			return err
		}
		if err := s.d.Publications.Insert(ctx, sc, p); err != nil {
			return err
		}
		return s.note(ctx, sc, "agent_published", p.Agent, i, map[string]any{"publication_id": p.ID.UUID().String()})
	})
	return p, err
}

// workspace finds the installation that a request is about.
func (s *Service) workspace(ctx context.Context, sc account.Scope, name string, req PublishRequest) (Installation, error) {
	switch {
	case req.Installation.IsZero() == (req.Workspace == ""):
		return Installation{}, fault.Invalidf("installation_id", "give either this or workspace_id")
	case !req.Installation.IsZero():
		i, err := s.d.Installations.Get(ctx, sc, req.Installation)
		if err == nil && i.Provider != name {
			return Installation{}, id.NotFound[id.InstallationKind](req.Installation.String())
		}
		return i, err
	}
	all, err := s.d.Installations.List(ctx, sc, name)
	if err != nil {
		return Installation{}, err
	}
	for _, i := range all {
		if i.WorkspaceID == req.Workspace {
			return i, nil
		}
	}
	return Installation{}, fault.New(fault.NotFound, "workspace_not_found", "the workspace is not installed").
		WithFields(fault.Field{Path: "workspace_id", Message: "names no workspace in which the integration is installed"})
}

// Publications lists publications of an integration, newest first.
func (s *Service) Publications(ctx context.Context, sc account.Scope, name string, req ListRequest) (page.Page[Publication], error) {
	if _, err := s.offer(name); err != nil {
		return page.Page[Publication]{}, err
	}
	req.Provider = name
	found, err := s.d.Publications.List(ctx, sc, req)
	if err != nil {
		return page.Page[Publication]{}, err
	}
	return found, s.showReauth(ctx, sc, name, found.Items)
}

// showReauth shows the live publications of installations that are NeedsReauth as Reauth.
func (s *Service) showReauth(ctx context.Context, sc account.Scope, name string, ps []Publication) error {
	all, err := s.d.Installations.List(ctx, sc, name)
	if err != nil {
		return err
	}
	for i := range ps {
		for _, inst := range all {
			if ps[i].Status == Live && inst.ID == ps[i].Installation && inst.Status == NeedsReauth {
				ps[i].Status = Reauth
			}
		}
	}
	return nil
}

// Publication returns one publication of an integration, or id.NotFound.
func (s *Service) Publication(ctx context.Context, sc account.Scope, name string, publication id.Publication) (Publication, error) {
	p, err := s.publication(ctx, sc, name, publication)
	if err != nil {
		return Publication{}, err
	}
	shown := []Publication{p}
	err = s.showReauth(ctx, sc, name, shown)
	return shown[0], err
}

func (s *Service) publication(ctx context.Context, sc account.Scope, name string, publication id.Publication) (Publication, error) {
	if _, err := s.offer(name); err != nil {
		return Publication{}, err
	}
	p, err := s.d.Publications.Get(ctx, sc, publication)
	if err == nil && p.Provider != name {
		return Publication{}, id.NotFound[id.PublicationKind](publication.String())
	}
	return p, err
}

// PublicationPatch is a change to a publication. nil fields stay.
type PublicationPatch struct {
	Environment  *id.Environment // zero: none
	Granularity  *Granularity
	Mode         *string
	PersonaName  *string
	AvatarURL    *string
	Capabilities *[]string
	Channels     *[]string
}

// UpdatePublication changes a live publication. It returns id.NotFound, ErrUnpublished or a fault.Invalid. Sessions that conversations are
// held in stay.
func (s *Service) UpdatePublication(
	ctx context.Context, sc account.Scope, name string, publication id.Publication, patch PublicationPatch,
) (Publication, error) {
	if _, err := s.publication(ctx, sc, name, publication); err != nil {
		return Publication{}, err
	}
	var out Publication
	err := s.d.TX.Do(ctx, func(ctx context.Context) error {
		if patch.Environment != nil {
			if err := s.checkEnvironment(ctx, sc, *patch.Environment); err != nil {
				return err
			}
		}
		var err error
		out, err = s.d.Publications.Update(ctx, sc, publication, func(p *Publication) error {
			if p.Status == Unpublished {
				return ErrUnpublished
			}
			set(&p.Environment, patch.Environment)
			set(&p.Granularity, patch.Granularity)
			set(&p.Mode, patch.Mode)
			set(&p.Persona.Name, patch.PersonaName)
			set(&p.Persona.AvatarURL, patch.AvatarURL)
			set(&p.Capabilities, patch.Capabilities)
			set(&p.Channels, patch.Channels)
			p.UpdatedAt = s.now()
			return p.check()
		})
		return err
	})
	if err != nil {
		return Publication{}, err
	}
	shown := []Publication{out}
	err = s.showReauth(ctx, sc, name, shown)
	return shown[0], err
}

func set[T any](field *T, to *T) {
	if to != nil {
		*field = *to
	}
}

// Unpublish ends a publication; ending it again changes nothing. Turns that run go on, and their replies are said. It returns id.NotFound.
func (s *Service) Unpublish(ctx context.Context, sc account.Scope, name string, publication id.Publication) (Publication, error) {
	p, err := s.publication(ctx, sc, name, publication)
	if err != nil {
		return Publication{}, err
	}
	i, err := s.d.Installations.Get(ctx, sc, p.Installation)
	if err != nil {
		return Publication{}, err
	}
	var out Publication
	err = s.d.TX.Do(ctx, func(ctx context.Context) error {
		out, err = s.unpublish(ctx, sc, publication, i)
		return err
	})
	return out, err
}

func (s *Service) unpublish(ctx context.Context, sc account.Scope, publication id.Publication, i Installation) (Publication, error) {
	fresh := false
	out, err := s.d.Publications.Update(ctx, sc, publication, func(p *Publication) error {
		if fresh = p.Status != Unpublished; fresh {
			now := s.now()
			p.Status, p.UpdatedAt, p.EndedAt = Unpublished, now, &now
		}
		return nil
	})
	if err != nil || !fresh {
		return out, err
	}
	return out, s.note(ctx, sc, "agent_unpublished", out.Agent, i, map[string]any{"publication_id": out.ID.UUID().String()})
}

// messageOf is what of an error is fit to be shown.
func messageOf(err error) string {
	if f, ok := fault.As(err); ok && f.Kind != fault.Internal {
		return f.Message
	}
	return "an internal error"
}

// cut shortens a text to n characters.
func cut(text string, n int) string {
	r := []rune(strings.ToValidUTF8(strings.ReplaceAll(text, "\x00", ""), "\uFFFD"))
	if len(r) <= n {
		return string(r)
	}
	return string(r[:n-1]) + "…"
}
