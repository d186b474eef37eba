package app

import (
	"context"
	"iter"
	"net/http"
	"strings"
	"time"

	"go.uber.org/fx"

	"github.com/bureau-agents/bureau/adapters/card/wellknown"
	"github.com/bureau-agents/bureau/adapters/jobs/river"
	"github.com/bureau-agents/bureau/adapters/llm/a2a"
	"github.com/bureau-agents/bureau/adapters/otel"
	"github.com/bureau-agents/bureau/adapters/store/bunstore"
	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/agent"
	"github.com/bureau-agents/bureau/core/audit"
	"github.com/bureau-agents/bureau/core/card"
	"github.com/bureau-agents/bureau/core/model"
	"github.com/bureau-agents/bureau/core/remote"
	"github.com/bureau-agents/bureau/core/run"
	"github.com/bureau-agents/bureau/core/secret"
	"github.com/bureau-agents/bureau/core/session"
	"github.com/bureau-agents/bureau/core/webhook"
	"github.com/bureau-agents/bureau/ports/fault"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/keeper"
	"github.com/bureau-agents/bureau/ports/llm"
	"github.com/bureau-agents/bureau/ports/tool"
)

func remoteModule() fx.Option {
	return fx.Module("remote",
		fx.Provide(provideRemotes, provideRemoteLines),
		fx.Invoke(func(q *river.Queue, s *remote.Service, t *otel.Telemetry) error {
			return scheduleChore(q, t, chore{"recheck_remote_agents", time.Minute, s.Recheck})
		}))
}

func provideRemotes(
	b base, cfg Config, s *bunstore.Store, k keeper.Keeper, agents *agent.Service, vaults *secret.Service, trail *audit.Service,
	notices *webhook.Service,
) (*remote.Service, error) {
	transport, err := modelTransport(cfg)
	if err != nil {
		return nil, err
	}
	source := wellknown.New(wellknown.Config{Transport: transport, UserAgent: "bureau/" + Version()})
	return remote.NewService(remote.Deps{
		TX: b.TX, Clock: b.Clock, IDs: b.IDs, Logger: b.Logger, Keeper: k, Remotes: s.RemoteAgents(), History: s.RemoteHistory(),
		Conversations: s.RemoteConversations(), Agents: agents, Vaults: vaults, Fetcher: cardFetcher{source}, Trail: trail, Notices: notices,
		Judge: func(text []byte, now time.Time) card.Result {
			return card.Validate(text, card.Options{Keys: cfg.CardKeys, Now: now})
		},
	}, remote.Config{})
}

// cardFetcher fetches cards for core/remote.
type cardFetcher struct{ source *wellknown.Source }

// Fetch implements remote.Fetcher.
func (f cardFetcher) Fetch(ctx context.Context, address, etag string) (remote.Fetched, error) {
	got, err := f.source.Fetch(ctx, address, etag)
	return remote.Fetched(got), err
}

// remoteCheck tells agents whether a remote agent is there.
type remoteCheck struct{ remotes remote.Repository }

// CheckRemote implements agent.RemoteChecker.
func (c remoteCheck) CheckRemote(ctx context.Context, sc account.Scope, of id.RemoteAgent) (string, error) {
	r, err := c.remotes.Get(ctx, sc, of)
	return r.Name, err
}

// remoteProvider names the models that are remote agents.
const remoteProvider = "a2a"

// remotePatience is how long a remote agent may be silent: agents work before they answer.
const remotePatience = 5 * time.Minute

// remoteLimit is how long a remote agent may take for an answer, however it is called: a little less than a turn waits for a model, and a
// tool, so that the answer ends with what is wrong with it, and the agent is told.
const remoteLimit = remote.ToolTimeout - 10*time.Second

// remoteLines reaches remote agents.
type remoteLines struct {
	remotes   *remote.Service
	sessions  session.Repository
	transport http.RoundTripper // guarded
	telemetry *otel.Telemetry
}

func provideRemoteLines(cfg Config, s *remote.Service, store *bunstore.Store, t *otel.Telemetry) (*remoteLines, error) {
	transport, err := modelTransport(cfg)
	return &remoteLines{s, store.Sessions(), transport, t}, err
}

// open returns who speaks over a line.
func (l *remoteLines) open(line remote.Line, keep a2a.Conversations) (*a2a.Provider, error) {
	cfg := a2a.Config{
		Name: remoteProvider, Card: line.Card, FirstByteTimeout: remotePatience, IdleTimeout: remotePatience, Limit: remoteLimit,
		Transport: l.transport, Conversations: keep,
	}
	if line.Lack != "" {
		cfg.Lack = "in the session's vaults, " + line.Lack
	}
	switch line.Credential.Kind {
	case remote.Bearer:
		cfg.Token = line.Secret.Reveal()
	case remote.APIKey:
		cfg.Header = http.Header{}
		cfg.Header.Set(line.Credential.Header, line.Secret.Reveal())
	}
	if !line.Credential.AnyOrigin {
		cfg.Origin = line.Origin
	}
	return a2a.New(cfg)
}

// Ask implements remote.Caller.
func (l *remoteLines) Ask(ctx context.Context, line remote.Line, c remote.Conversation, message string) (remote.Answer, error) {
	p, err := l.open(line, nil)
	if err != nil {
		return remote.Answer{}, err
	}
	r, err := p.Ask(ctx, a2a.Conversation{Context: c.Context, Task: c.Task, Waiting: c.Waiting}, message)
	if err != nil {
		return remote.Answer{}, err
	}
	out := remote.Answer{
		Text: r.Text, Failed: r.Failed,
		Conversation: remote.Conversation{Context: r.Conversation.Context, Task: r.Conversation.Task, Waiting: r.Conversation.Waiting},
	}
	for _, f := range r.Files {
		if strings.HasPrefix(f.MediaType, "image/") || f.MediaType == "application/pdf" {
			out.Media = append(out.Media, tool.Media{MediaType: f.MediaType, Data: f.Data, Title: f.Name})
		}
	}
	return out, nil
}

// remotePrograms answers for the agents that stand for remote ones, and leaves the others to next.
type remotePrograms struct {
	*remoteLines
	next model.Programs
}

// Program implements model.Programs.
func (p remotePrograms) Program(ctx context.Context, sc account.Scope, of id.Agent) (model.Resolved, bool, error) {
	r, ok, err := p.remotes.ForUse(ctx, sc, of)
	if err != nil {
		return model.Resolved{}, false, err
	}
	if !ok {
		return p.next.Program(ctx, sc, of)
	}
	provider := remoteProgram{p.remoteLines, sc, of, r}
	return model.Resolved{
		Provider: otel.WrapLLM(provider, p.telemetry), ProviderName: remoteProvider, Model: r.Name, Autonomous: true, Card: r.Standing(),
	}, true, nil
}

// remoteProgram answers for an agent that stands for a remote one.
type remoteProgram struct {
	*remoteLines
	sc account.Scope
	of id.Agent
	r  remote.Remote
}

// Name implements llm.Provider.
func (p remoteProgram) Name() string { return remoteProvider }

// Generate implements llm.Provider. The session that a request belongs to may have the credential.
func (p remoteProgram) Generate(ctx context.Context, req llm.Request) iter.Seq2[llm.Event, error] {
	return func(yield func(llm.Event, error) bool) {
		provider, line, err := p.reach(ctx, req.Conversation)
		if err != nil {
			yield(llm.Event{}, err)
			return
		}
		for event, err := range redactedLine(line, provider.Generate(ctx, req)) {
			if !yield(event, err) {
				return
			}
		}
	}
}

func (p remoteProgram) reach(ctx context.Context, conversation string) (*a2a.Provider, remote.Line, error) {
	vaults, err := p.vaults(ctx, p.sc, conversation)
	if err != nil {
		return nil, remote.Line{}, err
	}
	line, err := p.remotes.Line(ctx, p.sc, p.r, vaults)
	if err != nil {
		return nil, remote.Line{}, err
	}
	provider, err := p.open(line, conversationsOf{p.remotes, p.sc, p.of})
	return provider, line, err
}

// vaults returns those of the session that a conversation is; threads have those of the session at the top.
func (l *remoteLines) vaults(ctx context.Context, sc account.Scope, conversation string) ([]id.Vault, error) {
	of, err := id.ParseUUID(conversation)
	if err != nil {
		return nil, nil //nolint:nilerr // it belongs to no session, such as a probe
	}
	v, err := l.sessions.Get(ctx, sc, id.Of[id.SessionKind](of))
	if err == nil && !v.Root.IsZero() {
		v, err = l.sessions.Get(ctx, sc, v.Root)
	}
	if fault.KindOf(err) == fault.NotFound {
		return nil, nil
	}
	return v.Vaults, err
}

// conversationsOf keeps the conversations that an agent's sessions have over A2A.
type conversationsOf struct {
	remotes *remote.Service
	sc      account.Scope
	of      id.Agent
}

// Load implements a2a.Conversations.
func (c conversationsOf) Load(ctx context.Context, name string) (a2a.Conversation, error) {
	got, err := c.remotes.Conversation(ctx, c.sc, c.of, name)
	return a2a.Conversation{Context: got.Context, Task: got.Task, Waiting: got.Waiting}, err
}

// Save implements a2a.Conversations.
func (c conversationsOf) Save(ctx context.Context, name string, s a2a.Conversation) error {
	return c.remotes.Remember(ctx, c.sc, c.of, name, remote.Conversation{Context: s.Context, Task: s.Task, Waiting: s.Waiting})
}

// remoteTools offers agents the remote agents that their configurations name.
type remoteTools struct{ *remoteLines }

// Tools implements run.ToolSource. Remote agents that cannot be called are reported in a *run.Trouble, beside the others.
func (t remoteTools) Tools(ctx context.Context, sc account.Scope, env run.Env) ([]run.BoundTool, error) {
	var out []run.BoundTool
	trouble := &run.Trouble{}
	for _, c := range env.Agent.Config.Tools {
		if c.Type != agent.A2AAgent || !c.Default.Enabled {
			continue
		}
		r, err := t.remotes.Get(ctx, sc, c.Remote)
		if err == nil {
			r, err = t.remotes.Fresh(ctx, sc, r)
		}
		fe, known := fault.As(err)
		switch {
		case err == nil:
			in := remote.Holder{Agent: env.Agent.ID, Session: env.Session.ID, Vaults: env.Session.Vaults}
			out = append(out, run.BoundTool{
				Tool: t.remotes.Tool(sc, r, t.remoteLines, in), Ask: c.Default.Permission == agent.AlwaysAsk,
				Timeout: remote.ToolTimeout, Card: r.Standing(),
			})
		case !known || fe.Kind == fault.Internal:
			return nil, err
		default:
			trouble.Errors = append(trouble.Errors, session.ErrorDetail{
				Type: session.ErrTypeRequestFailed, RetryStatus: session.RetryStatus{Type: session.Retrying},
				Message: "a tool of the agent is not there: " + fe.Message,
			})
		}
	}
	if len(trouble.Errors) > 0 {
		return out, trouble
	}
	return out, nil
}
