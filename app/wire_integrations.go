package app

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"net/url"
	"time"

	"go.uber.org/fx"

	"github.com/bureau-agents/bureau/adapters/jobs/river"
	"github.com/bureau-agents/bureau/adapters/oauth/github"
	"github.com/bureau-agents/bureau/adapters/oauth/oidc"
	"github.com/bureau-agents/bureau/adapters/oauth/slack"
	"github.com/bureau-agents/bureau/adapters/otel"
	"github.com/bureau-agents/bureau/adapters/store/bunstore"
	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/agent"
	"github.com/bureau-agents/bureau/core/audit"
	"github.com/bureau-agents/bureau/core/environment"
	"github.com/bureau-agents/bureau/core/integration"
	"github.com/bureau-agents/bureau/core/session"
	"github.com/bureau-agents/bureau/ports/egress"
	"github.com/bureau-agents/bureau/ports/fault"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/jobs"
	"github.com/bureau-agents/bureau/ports/keeper"
)

// OAuthConfig holds the credentials of the apps that the operator has registered elsewhere. What has none is listed as not configured.
type OAuthConfig struct {
	Slack  SlackConfig
	GitHub GitHubConfig
	// Google and OIDC let people sign in to the console. Google's issuer need not be named; OIDC is any OpenID provider.
	Google IdentityConfig
	OIDC   IdentityConfig

	// AllowedEmails and AllowedDomains say who may sign in; with neither nobody may.
	AllowedEmails  []string
	AllowedDomains []string
	// Permissions of whoever signs in, in the default tenant; default everything but admin.
	Permissions []account.Permission
	// SessionTTL is how long a sign-in lasts; default account.DefaultSessionTTL.
	SessionTTL time.Duration
}

// SlackConfig is a Slack app.
type SlackConfig struct {
	ClientID, ClientSecret string
	SigningSecret          string // of the app's requests to this server; without it, it hears nothing
	BaseURL                string // default slack.DefaultBaseURL
}

// GitHubConfig is an OAuth app of GitHub.
type GitHubConfig struct {
	ClientID, ClientSecret string
	WebhookSecret          string // of the webhooks that point at this server; without it, it hears nothing
	BaseURL                string // default github.DefaultBaseURL; another one is a GitHub Enterprise Server
}

// IdentityConfig is a client at an OpenID provider.
type IdentityConfig struct {
	ClientID, ClientSecret string
	Issuer                 string
}

// validate reports what is half configured.
func (c OAuthConfig) validate(bad func(name, format string, args ...any)) {
	for _, p := range []struct {
		name  string
		parts []string
		what  string
	}{
		{"OAuth.Slack", []string{c.Slack.ClientID, c.Slack.ClientSecret}, "ClientID and ClientSecret"},
		{"OAuth.GitHub", []string{c.GitHub.ClientID, c.GitHub.ClientSecret}, "ClientID and ClientSecret"},
		{"OAuth.Google", []string{c.Google.ClientID, c.Google.ClientSecret}, "ClientID and ClientSecret"},
		{"OAuth.OIDC", []string{c.OIDC.ClientID, c.OIDC.ClientSecret, c.OIDC.Issuer}, "ClientID, ClientSecret and Issuer"},
	} {
		given := 0
		for _, part := range p.parts {
			if part != "" {
				given++
			}
		}
		if given > 0 && given < len(p.parts) {
			bad(p.name, "needs %s", p.what)
		}
	}
	for _, p := range c.Permissions {
		if p == account.Operator {
			bad("OAuth.Permissions", "%q is none that a key may be given", p)
		}
	}
	if c.SessionTTL < 0 {
		bad("OAuth.SessionTTL", "must not be negative")
	}
}

// providerTimeout bounds a request to a provider; an installation's callback makes up to three.
const providerTimeout = 15 * time.Second

// providerClient reaches providers like every address that tenants may have a say in, and what the operator has named besides.
func providerClient(cfg Config) (*http.Client, error) {
	allow := withHosts(cfg.EgressAllow, cfg.OAuth.Slack.BaseURL, cfg.OAuth.GitHub.BaseURL, cfg.OAuth.Google.Issuer, cfg.OAuth.OIDC.Issuer)
	c, err := egress.New(egress.Config{Allow: allow, Timeout: providerTimeout, MaxBody: 4 << 20, MaxRedirects: -1})
	if err != nil {
		return nil, err
	}
	return c.HTTPClient(), nil
}

// withHosts returns allow with the hosts of addresses that the operator has named, which may be private.
func withHosts(allow []string, addresses ...string) []string {
	allow = append([]string(nil), allow...)
	for _, address := range addresses {
		u, err := url.Parse(address)
		if err != nil || u.Host == "" {
			continue
		}
		port := u.Port()
		switch {
		case port != "":
		case u.Scheme == "http":
			port = "80"
		default:
			port = "443"
		}
		allow = append(allow, net.JoinHostPort(u.Hostname(), port))
	}
	return allow
}

func integrationModule() fx.Option {
	return fx.Module("integrations",
		fx.Provide(provideFlows, provideIntegrations, provideSignIns),
		fx.Invoke(func(lc fx.Lifecycle, q *river.Queue, s *integration.Service, flows *account.Flows, t *otel.Telemetry) error {
			background(lc, s.Run)
			return errors.Join(
				q.Handle(integration.JobBegin, otel.WrapJobs(s.Begin, t, integration.JobBegin)),
				q.Handle(integration.JobSend, otel.WrapJobs(s.Send, t, integration.JobSend)),
				scheduleChore(q, t, chore{"rescue_replies", 30 * time.Second, s.Rescue}),
				scheduleChore(q, t, chore{"expire_oauth_flows", 5 * time.Minute, flows.Expire}),
				scheduleChore(q, t, chore{"prune_deliveries", time.Hour, s.Prune}),
			)
		}))
}

// scheduleChore has the queue do a chore.
func scheduleChore(q *river.Queue, t *otel.Telemetry, c chore) error {
	do := func(ctx context.Context, _ json.RawMessage) error {
		_, err := c.do(ctx)
		return err
	}
	if err := q.Handle(c.kind, otel.WrapJobs(do, t, c.kind)); err != nil {
		return err
	}
	return q.Schedule(jobs.Schedule{Kind: c.kind, Every: c.every})
}

func provideFlows(b base, s *bunstore.Store, k keeper.Keeper) (*account.Flows, error) {
	return account.NewFlows(account.FlowDeps{Clock: b.Clock, Keeper: k, Repository: s.Users()})
}

// integrationParts are what integrations stand on.
type integrationParts struct {
	fx.In

	Config       Config
	Store        *bunstore.Store
	Queue        jobs.Queue
	Keeper       keeper.Keeper
	Flows        *account.Flows
	Agents       *agent.Service
	Environments *environment.Service
	Sessions     *session.Service
	Trail        *audit.Service
}

func provideIntegrations(b base, p integrationParts) (*integration.Service, error) {
	offers, err := integrationOffers(p.Config)
	if err != nil {
		return nil, err
	}
	publications, deliveries := p.Store.Publications(), p.Store.Deliveries()
	return integration.NewService(integration.Deps{
		TX: b.TX, Clock: b.Clock, IDs: b.IDs, Logger: b.Logger, Queue: p.Queue, Keeper: p.Keeper, Flows: p.Flows,
		Installations: p.Store.Installations(), Publications: publications, Conversations: publications, Deliveries: deliveries,
		Outbox: deliveries, Agents: publishable{p.Agents}, Environments: usableEnvironments{p.Environments}, Sessions: conversations{p.Sessions},
		Trail: p.Trail, Offers: offers,
	})
}

func integrationOffers(cfg Config) ([]integration.Offer, error) {
	client, err := providerClient(cfg)
	if err != nil {
		return nil, err
	}
	offers := []integration.Offer{
		{
			Info:    slack.Info(),
			Missing: "BUREAU_OAUTH_SLACK_CLIENT_ID and BUREAU_OAUTH_SLACK_CLIENT_SECRET, and BUREAU_OAUTH_SLACK_SIGNING_SECRET for its events",
		},
		{
			Info:    github.Info(),
			Missing: "BUREAU_OAUTH_GITHUB_CLIENT_ID and BUREAU_OAUTH_GITHUB_CLIENT_SECRET, and BUREAU_OAUTH_GITHUB_WEBHOOK_SECRET for its webhooks",
		},
	}
	if c := cfg.OAuth.Slack; c.ClientID != "" {
		offers[0].Provider, err = slack.New(slack.Config{
			ClientID: c.ClientID, ClientSecret: c.ClientSecret, SigningSecret: c.SigningSecret, BaseURL: c.BaseURL, HTTP: client,
		})
		if err != nil {
			return nil, err
		}
	}
	if c := cfg.OAuth.GitHub; c.ClientID != "" {
		offers[1].Provider, err = github.New(github.Config{
			ClientID: c.ClientID, ClientSecret: c.ClientSecret, WebhookSecret: c.WebhookSecret, BaseURL: c.BaseURL, HTTP: client,
		})
		if err != nil {
			return nil, err
		}
	}
	return offers, nil
}

func provideSignIns(b base, cfg Config, s *bunstore.Store, accounts *account.Service, flows *account.Flows) (*account.SignIns, error) {
	client, err := providerClient(cfg)
	if err != nil {
		return nil, err
	}
	google := cfg.OAuth.Google
	if google.Issuer == "" {
		google.Issuer = oidc.GoogleIssuer
	}
	providers := map[string]account.IdentityProvider{}
	for name, c := range map[string]IdentityConfig{"google": google, "oidc": cfg.OAuth.OIDC} {
		providers[name] = nil
		if c.ClientID == "" {
			continue
		}
		p, err := oidc.New(oidc.Config{
			Issuer: c.Issuer, ClientID: c.ClientID, ClientSecret: c.ClientSecret, HTTP: client, Now: b.Clock.Now,
		})
		if err != nil {
			return nil, err
		}
		providers[name] = p
	}
	return account.NewSignIns(account.SignInDeps{
		TX: b.TX, Clock: b.Clock, IDs: b.IDs, Logger: b.Logger, Accounts: accounts, Tenants: s.Accounts(), Users: s.Users(), Flows: flows,
		Providers: providers,
	}, account.SignInConfig{
		Emails: cfg.OAuth.AllowedEmails, Domains: cfg.OAuth.AllowedDomains, Permissions: cfg.OAuth.Permissions, TTL: cfg.OAuth.SessionTTL,
	})
}

// publishable tells integrations about agents.
type publishable struct{ agents *agent.Service }

func (p publishable) Publishable(ctx context.Context, sc account.Scope, of id.Agent) error {
	a, err := p.agents.Get(ctx, sc, of)
	if err != nil {
		return err
	}
	if a.Standing == agent.Archived {
		return integration.ErrAgentArchived.Withf("agent %s is archived", of)
	}
	return nil
}

// usableEnvironments tells integrations about environments.
type usableEnvironments struct{ environments *environment.Service }

func (u usableEnvironments) Exists(ctx context.Context, sc account.Scope, of id.Environment) error {
	e, err := u.environments.Get(ctx, sc, of)
	if err != nil {
		return err
	}
	if e.ArchivedAt != nil {
		return environment.ErrArchived
	}
	return nil
}

// conversations lets integrations hold sessions.
type conversations struct{ sessions *session.Service }

func (c conversations) Open(ctx context.Context, sc account.Scope, req integration.SessionRequest) (id.Session, error) {
	s, err := c.sessions.Create(ctx, sc, session.CreateRequest{
		Agent: req.Agent, Environment: req.Environment, Title: req.Title, Metadata: req.Metadata,
	})
	return s.ID, err
}

func (c conversations) Say(ctx context.Context, sc account.Scope, to id.Session, texts []string) (id.Event, bool, error) {
	in := session.Input{Type: session.UserMessage}
	for _, t := range texts {
		in.Content = append(in.Content, session.Text(t)...)
	}
	events, err := c.sessions.Send(ctx, sc, to, []session.Input{in})
	switch {
	case errors.Is(err, session.ErrArchived), fault.KindOf(err) == fault.NotFound:
		return id.Event{}, true, nil
	case err != nil:
		return id.Event{}, false, err
	}
	return events[0].ID, false, nil
}

// outcomePage is how many events of a turn are read at a time.
const outcomePage = 200

func (c conversations) Outcome(ctx context.Context, sc account.Scope, of id.Session, message id.Event) (integration.Outcome, error) {
	// The session first: its queue is shorter only when the log is longer.
	s, err := c.sessions.Get(ctx, sc, of)
	if err != nil {
		return integration.Outcome{}, err
	}
	seq, err := c.find(ctx, sc, of, message)
	if err != nil {
		return integration.Outcome{}, err
	}
	switch {
	case seq > 0:
	case s.ArchivedAt != nil:
		return integration.Outcome{Ended: true, Problem: "the session was archived"}, nil
	case s.Queued == 0:
		return integration.Outcome{Ended: true, Problem: "the message was dropped before its turn began"}, nil
	default:
		return integration.Outcome{}, nil
	}
	var out integration.Outcome
	q := session.EventQuery{
		AfterSeq: seq, Limit: outcomePage, Types: []session.EventType{
			session.UserMessage, session.UserInterrupt, session.AgentMessage, session.SessionRunning, session.SessionIdle, session.SessionError,
			session.SessionTerminated,
		},
	}
	for {
		events, more, err := c.sessions.Events(ctx, sc, of, q)
		if err != nil {
			return integration.Outcome{}, err
		}
		for _, e := range events {
			if err := follow(&out, e); err != nil || out.Ended {
				return out, err
			}
			q.AfterSeq = e.Seq
		}
		if !more {
			return out, nil
		}
	}
}

// follow adds to an outcome what an event of the turn says.
func follow(out *integration.Outcome, e session.Event) error {
	switch e.Type {
	case session.UserMessage: // the next turn: this one was ended from outside
		out.Ended = true
	case session.UserInterrupt:
		out.Problem = "it was interrupted"
	case session.SessionTerminated:
		out.Ended, out.Problem = true, "the session was archived"
	case session.SessionRunning:
		out.Waiting = 0
	case session.SessionError:
		var b session.ErrorBody
		if err := e.Body(&b); err != nil {
			return err
		}
		out.Problem = ""
		if b.Error.RetryStatus.Type != session.Retrying {
			out.Problem = b.Error.Message
		}
	case session.AgentMessage:
		var b session.MessageBody
		if err := e.Body(&b); err != nil {
			return err
		}
		if out.Text != "" {
			out.Text += "\n\n"
		}
		out.Text += session.PlainText(b.Content)
	case session.SessionIdle:
		var b session.IdleBody
		if err := e.Body(&b); err != nil {
			return err
		}
		if b.StopReason.Type == session.StopRequiresAction {
			out.Waiting = e.Seq
			return nil
		}
		out.Ended = true
	}
	return nil
}

// find returns the number of a message in a session's log; 0: it waits in the queue, or was dropped from it. Messages that were queued
// lately are near the end.
func (c conversations) find(ctx context.Context, sc account.Scope, of id.Session, message id.Event) (int64, error) {
	q := session.EventQuery{Types: []session.EventType{session.UserMessage}, Desc: true, Limit: outcomePage}
	for {
		events, more, err := c.sessions.Events(ctx, sc, of, q)
		if err != nil {
			return 0, err
		}
		for _, e := range events {
			if e.ID == message {
				return e.Seq, nil
			}
			q.BeforeSeq = e.Seq
		}
		if !more {
			return 0, nil
		}
	}
}
