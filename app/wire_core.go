package app

import (
	"context"
	"time"

	"go.uber.org/fx"

	"github.com/bureau-agents/bureau/adapters/otel"
	"github.com/bureau-agents/bureau/adapters/store/bunstore"
	"github.com/bureau-agents/bureau/adapters/tool/mcp"
	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/agent"
	"github.com/bureau-agents/bureau/core/audit"
	"github.com/bureau-agents/bureau/core/environment"
	"github.com/bureau-agents/bureau/core/file"
	"github.com/bureau-agents/bureau/core/gate"
	"github.com/bureau-agents/bureau/core/knowledge"
	"github.com/bureau-agents/bureau/core/memory"
	"github.com/bureau-agents/bureau/core/model"
	"github.com/bureau-agents/bureau/core/payment"
	"github.com/bureau-agents/bureau/core/policy"
	"github.com/bureau-agents/bureau/core/run"
	"github.com/bureau-agents/bureau/core/sandbox"
	"github.com/bureau-agents/bureau/core/secret"
	"github.com/bureau-agents/bureau/core/session"
	"github.com/bureau-agents/bureau/core/skill"
	"github.com/bureau-agents/bureau/core/usage"
	"github.com/bureau-agents/bureau/core/wallet"
	"github.com/bureau-agents/bureau/core/webhook"
	"github.com/bureau-agents/bureau/ports/blob"
	"github.com/bureau-agents/bureau/ports/bus"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/keeper"
	"github.com/bureau-agents/bureau/ports/llm"
	"github.com/bureau-agents/bureau/ports/money"
	"github.com/bureau-agents/bureau/ports/rule"
	"github.com/bureau-agents/bureau/ports/tool"
)

func coreModule() fx.Option {
	return fx.Module("core",
		fx.Provide(
			provideAudit, provideAccounts, provideAgents, provideDirectory, provideLibrary, provideWallets, provideUsage, providePolicies, provideGate,
			provideEnvironments, provideEvals, provideFiles, provideHub, provideJournal, provideSessions, provideRun, newOwners,
		),
		documentsModule(), sandboxModule(), memoryModule(), swarmModule(), knowledgeModule(), knowledgeFilesModule(), marketModule(), reportsModule(), exchangeModule(), spansModule(), budgetsModule(), quarantineModule(), pricesModule(),
		fx.Invoke(func(lc fx.Lifecycle, accounts *account.Service, trail *audit.Service, hub *session.Hub, loop *run.Service) {
			background(lc, func(ctx context.Context) { _ = accounts.Run(ctx) })
			background(lc, trail.Run)
			lc.Append(fx.Hook{OnStart: hub.Start, OnStop: hub.Stop})
			lc.Append(fx.Hook{OnStart: loop.Start, OnStop: loop.Stop})
		}))
}

// accountTrail notes what happens to keys and tenants, which account cannot do by itself: audit is above it.
type accountTrail struct{ audit *audit.Service }

func (t accountTrail) Record(ctx context.Context, sc account.Scope, action string, metadata map[string]any) error {
	return t.audit.Note(ctx, sc, action, id.Agent{}, metadata)
}

// agentCount counts the agents that use a slot of the plan.
type agentCount struct{ agents agent.Repository }

func (c agentCount) CountAgents(ctx context.Context, sc account.Scope) (int, error) {
	return c.agents.CountLive(ctx, sc)
}

func provideAccounts(b base, s *bunstore.Store, bus bus.Bus, k keeper.Keeper, trail *audit.Service) (*account.Service, error) {
	return account.NewService(account.Deps{
		TX: b.TX, Clock: b.Clock, IDs: b.IDs, Logger: b.Logger, Bus: bus, Keeper: k, Tenants: s.Accounts(), Keys: s.Accounts(),
		Idempotency: s.Accounts(), Credits: s.Accounts(), Auditor: accountTrail{trail}, Agents: agentCount{s.Agents()}, Links: s.AgentLinks(),
	}, account.Config{})
}

func provideAgents(
	b base, s *bunstore.Store, library *skill.Library, models *model.Registry, trail *audit.Service, g *gate.Gate,
) (*agent.Service, error) {
	return agent.NewService(agent.Deps{
		TX: b.TX, Clock: b.Clock, IDs: b.IDs, Logger: b.Logger, Repository: s.Agents(), Models: models, Skills: skillCheck{library},
		Trail: trail, Stopper: g, Remotes: remoteCheck{s.RemoteAgents()},
	}, agent.ServiceConfig{Reserved: append(memory.ToolNames(), run.PayTool, payment.FetchTool, run.DelegateTool, run.AdvisorTool, knowledge.ToolName, skill.ReadTool, agent.ReadRuleTool)})
}

func provideDirectory(b base, s *bunstore.Store, agents *agent.Service, trail *audit.Service) (*agent.Directory, error) {
	return agent.NewDirectory(agent.DirectoryDeps{TX: b.TX, Clock: b.Clock, Agents: agents, Profiles: s.Agents(), Trail: trail})
}

// owners tells the contexts below agent about agents.
type owners struct {
	agents  agent.Repository
	locks   agent.Standings
	tenants account.TenantRepository
}

func newOwners(s *bunstore.Store) owners { return owners{s.Agents(), s.Agents(), s.Accounts()} }

// Exists returns id.NotFound when the tenant has no such agent.
func (o owners) Exists(ctx context.Context, sc account.Scope, of id.Agent) error {
	_, err := o.agents.Get(ctx, sc, of)
	return err
}

// RequireActive holds the standing of the tenant and of the agent until the transaction ends.
func (o owners) RequireActive(ctx context.Context, sc account.Scope, of id.Agent) error {
	tenant, err := o.tenants.LockStanding(ctx, sc)
	if err != nil {
		return err
	}
	if tenant == account.Frozen {
		return account.ErrFrozen
	}
	info, err := o.locks.LockStanding(ctx, sc, of)
	if err != nil {
		return err
	}
	switch info.Standing {
	case agent.Frozen:
		return agent.ErrFrozen
	case agent.Archived:
		return agent.ErrArchived
	}
	return nil
}

func provideWallets(
	b base, cfg Config, s *bunstore.Store, o owners, trail *audit.Service, notices *webhook.Service,
) (*wallet.Service, error) {
	return wallet.NewService(wallet.Deps{
		TX: b.TX, Clock: b.Clock, IDs: b.IDs, Logger: b.Logger, Repository: s.Wallets(), Holds: s.Holds(), Books: s.Wallets(),
		Owners: o, Trail: trail, Outside: s.Payments(), Notices: notices,
	}, wallet.Config{LowBalance: cfg.LowBalance})
}

func provideUsage(
	b base, s *bunstore.Store, o owners, budgets *usage.Budgets, prices *usage.PriceBook,
) (*usage.Service, error) {
	return usage.NewService(usage.Deps{
		TX: b.TX, Clock: b.Clock, IDs: b.IDs, Logger: b.Logger, Repository: s.Usage(), Agents: o, Budgets: budgets, Lists: prices,
	})
}

// rules finds the judges that policies name: those that the embedder brought, then plugins.
type rules struct {
	own       map[string]rule.Evaluator
	skills    *skill.Service
	telemetry *otel.Telemetry
}

func (r rules) Rule(ctx context.Context, sc account.Scope, name string) (rule.Evaluator, error) {
	if e, ok := r.own[name]; ok {
		return otel.WrapRule(e, r.telemetry), nil
	}
	e, err := r.skills.Rule(ctx, sc, name)
	if err != nil {
		return nil, err
	}
	return otel.WrapRule(e, r.telemetry), nil
}

func providePolicies(
	b base, o options, s *bunstore.Store, trail *audit.Service, skills *skill.Service, t *otel.Telemetry,
) (*policy.Service, policy.Rules, error) {
	judges := rules{o.rules, skills, t}
	p, err := policy.NewService(policy.Deps{
		TX: b.TX, Clock: b.Clock, IDs: b.IDs, Logger: b.Logger, Repository: s.Policies(), Archive: s.Policies(), Trail: trail, Rules: judges, Sessions: ownSessions{s.Sessions()}, Swarms: swarmCheck{s.Swarms()},
	})
	return p, judges, err
}

// ownSessions tells policies of sessions that are no threads of others.
type ownSessions struct{ sessions session.Repository }

func (o ownSessions) Exists(ctx context.Context, sc account.Scope, of id.Session) error {
	found, err := o.sessions.Get(ctx, sc, of)
	if err == nil && !found.Parent.IsZero() {
		return id.NotFound[id.SessionKind](of.String())
	}
	return err
}

// gateParts are what the gate stands on.
type gateParts struct {
	fx.In

	Config  Config
	Store   *bunstore.Store
	Trail   *audit.Service
	Wallets *wallet.Service
	Rules   policy.Rules
	Journal *session.Journal
	Notices *webhook.Service
}

func provideGate(b base, p gateParts) (*gate.Gate, error) {
	g, err := gate.New(gate.Deps{
		TX: b.TX, Clock: b.Clock, IDs: b.IDs, Logger: b.Logger, Acts: p.Store.Acts(), Tenants: p.Store.Accounts(),
		Agents: p.Store.Agents(), Policies: p.Store.Policies(), Counters: p.Store.Counters(), Approvals: p.Store.Approvals(),
		Trail: p.Trail, Rules: p.Rules, Fences: p.Journal, Time: p.Store.Time(), Notices: p.Notices, Swarms: p.Store.Swarms(), Doors: p.Store.Doors(),
		Executors: map[rule.Action]gate.Executor{
			rule.ActionPayment: gate.Payments(p.Wallets), rule.ActionTransfer: gate.Transfers(p.Wallets),
		},
	}, gate.Config{DefaultAllow: p.Config.AllowByDefault})
	if err != nil {
		return nil, err
	}
	g.Connect(p.Journal, p.Journal)
	return g, nil
}

func provideHub(b base, cfg Config, s *bunstore.Store, bus bus.Bus) (*session.Hub, error) {
	return session.NewHub(session.HubDeps{Bus: bus, IDs: b.IDs, Logger: b.Logger, Repository: s.Sessions()},
		session.HubConfig{Replicated: cfg.DatabaseURL != ""})
}

func provideJournal(b base, s *bunstore.Store, h *session.Hub) (*session.Journal, error) {
	return session.NewJournal(session.JournalDeps{
		TX: b.TX, Clock: b.Clock, IDs: b.IDs, Logger: b.Logger, Hub: h, Log: s.Sessions(), Uses: s.ToolUses(),
		Turns: s.SessionTurns(), Leases: s.SessionTurns(), Repository: s.Sessions(), Threads: s.Threads(), Outcomes: s.Outcomes(), Spendings: s.Spendings(),
	})
}

// sessionParts are what sessions stand on.
type sessionParts struct {
	fx.In

	Store   *bunstore.Store
	Journal *session.Journal
	Hub     *session.Hub
	Agents  *agent.Service
	Gate    *gate.Gate
	Keeper  keeper.Keeper

	Policies *policy.Service

	Environments *environment.Service
	Vaults       *secret.Service
	Files        *file.Service
	Memory       *memory.Service
}

func provideSessions(b base, p sessionParts) (*session.Service, error) {
	return session.NewService(session.Deps{
		TX: b.TX, Clock: b.Clock, IDs: b.IDs, Logger: b.Logger, Repository: p.Store.Sessions(), Log: p.Store.Sessions(),
		Uses: p.Store.ToolUses(), Turns: p.Store.SessionTurns(), Journal: p.Journal, Hub: p.Hub, Agents: p.Agents, Gate: p.Gate,
		Spendings: p.Store.Spendings(), Eraser: p.Store.Sessions(), Stores: p.Memory, Environments: p.Environments, Vaults: p.Vaults, Files: sessionFiles{p.Files}, Keeper: p.Keeper,
		Rubrics: rubricFiles{p.Files}, Policies: p.Policies,
	})
}

// runParts are what the agent loop stands on.
type runParts struct {
	fx.In

	Config    Config
	Options   options
	Store     *bunstore.Store
	Journal   *session.Journal
	Agents    *agent.Service
	Gate      *gate.Gate
	Models    *model.Agents
	Redaction run.Secrets
	Usage     *usage.Service
	Knowledge *knowledge.Service
	Library   *skill.Library
	Market    *skill.Market
	Memory    *memory.Service
	Payments  *payment.Service
	MCP       *mcp.Source
	Remotes   *remoteLines
	Sandboxes *sandbox.Service
	Skills    *skill.Service
	Telemetry *otel.Telemetry
	Files     *file.Service
	Documents *agent.Documents
}

func provideRun(b base, p runParts) (*run.Service, error) {
	sources := append([]run.ToolSource{
		knowledgeTools{p.Knowledge}, documentTools{p.Documents}, memoryTools{p.Memory}, sandboxTools{p.Sandboxes}, libraryTools{p.Library, p.Market}, skillTools{p.Skills}, paymentTools{p.Payments}, p.MCP, remoteTools{p.Remotes},
	}, p.Options.tools...)
	for i, s := range sources {
		sources[i] = observedTools{s, p.Telemetry}
	}
	return run.NewService(run.Deps{
		Clock: b.Clock, IDs: b.IDs, Logger: b.Logger, Journal: p.Journal, Sessions: p.Store.Sessions(), Agents: p.Agents, Gate: p.Gate,
		Models: p.Models, Meter: meter{p.Usage}, Files: sessionFiles{p.Files}, Secrets: p.Redaction, Rails: p.Payments, Sources: sources, Prompts: []run.PromptSource{documentPrompt{p.Documents}, sandboxPrompt{p.Sandboxes}, libraryPrompt{p.Library, p.Market}, memoryPrompt{p.Memory}},
		Caution: p.Market,
	}, run.Config{SingleProcess: p.Config.DatabaseURL == ""})
}

// knowledgeTools offers every agent the search in its own knowledge.
type knowledgeTools struct{ knowledge *knowledge.Service }

func (k knowledgeTools) Tools(_ context.Context, sc account.Scope, env run.Env) ([]run.BoundTool, error) {
	return []run.BoundTool{{Tool: k.knowledge.SearchTool(sc, env.Agent.ID)}}, nil
}

// skillTools offers an agent the skills that are installed on it.
type skillTools struct{ skills *skill.Service }

func (s skillTools) Tools(ctx context.Context, sc account.Scope, env run.Env) ([]run.BoundTool, error) {
	tools, err := s.skills.Tools(ctx, sc, env.Agent.ID)
	bound := make([]run.BoundTool, len(tools))
	for i, t := range tools {
		bound[i] = run.BoundTool{Tool: t.Tool, Ask: t.Confirm}
	}
	return bound, err
}

func bind(tools []tool.Tool) []run.BoundTool {
	bound := make([]run.BoundTool, len(tools))
	for i, t := range tools {
		bound[i] = run.BoundTool{Tool: t}
	}
	return bound
}

// meter lets the agent loop price and keep its model calls.
type meter struct{ usage *usage.Service }

func (m meter) Estimate(ctx context.Context, sc account.Scope, provider, name string, input, output int64) (*money.Pico, error) {
	return m.usage.Estimate(ctx, sc, provider, name, input, output)
}

func (m meter) Price(ctx context.Context, sc account.Scope, provider, name string, u llm.Usage, at time.Time) (usage.Quote, error) {
	return m.usage.Price(ctx, sc, provider, name, u, at)
}

func (m meter) Record(ctx context.Context, sc account.Scope, c run.Call) error {
	var failed int64
	if c.Failed {
		failed = 1
	}
	_, err := m.usage.Record(ctx, sc, usage.Row{
		Agent: c.Agent, Session: c.Session, Turn: c.Turn, Act: c.Act, Model: c.Model, Provider: c.Provider, Usage: c.Usage, Calls: 1, Errors: failed,
		Latency: c.Latency, CreatedAt: c.At, Priced: true, Cost: c.Quote.Cost, Price: c.Quote.Price, PriceID: c.Quote.PriceID,
		Flags: c.Quote.Flags,
	})
	return err
}

// skillParts are what plugins stand on.
type skillParts struct {
	fx.In

	Store    *bunstore.Store
	Blobs    blob.Store
	Launcher skill.Launcher
	Signer   skill.Signer
	Shipped  skill.Shipped
	Owners   owners
	Trail    *audit.Service
	Ward     *skill.Ward
}

func provideSkills(b base, p skillParts) (*skill.Service, error) {
	store := p.Store.Skills()
	return skill.NewService(skill.Deps{
		TX: b.TX, Clock: b.Clock, IDs: b.IDs, Logger: b.Logger, Repository: store, Releases: store, Installations: p.Store.SkillInstallations(),
		Blobs: p.Blobs, Launcher: p.Launcher, Signer: p.Signer, Shipped: p.Shipped, Agents: p.Owners, Ward: p.Ward,
		Audit: skillTrail(p.Trail),
	}, skill.Config{})
}
