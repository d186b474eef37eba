package app

import (
	"context"
	"slices"

	"go.uber.org/fx"

	"github.com/bureau-agents/bureau/adapters/store/bunstore"
	"github.com/bureau-agents/bureau/core/a2a"
	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/agent"
	"github.com/bureau-agents/bureau/core/audit"
	"github.com/bureau-agents/bureau/core/chat"
	"github.com/bureau-agents/bureau/core/gate"
	"github.com/bureau-agents/bureau/core/hosting"
	"github.com/bureau-agents/bureau/core/integration"
	"github.com/bureau-agents/bureau/core/knowledge"
	"github.com/bureau-agents/bureau/core/memory"
	"github.com/bureau-agents/bureau/core/policy"
	"github.com/bureau-agents/bureau/core/remote"
	"github.com/bureau-agents/bureau/core/retire"
	"github.com/bureau-agents/bureau/core/secret"
	"github.com/bureau-agents/bureau/core/session"
	"github.com/bureau-agents/bureau/core/skill"
	"github.com/bureau-agents/bureau/core/swarm"
	"github.com/bureau-agents/bureau/core/task"
	"github.com/bureau-agents/bureau/core/telemetry"
	"github.com/bureau-agents/bureau/core/usage"
	"github.com/bureau-agents/bureau/core/wallet"
	"github.com/bureau-agents/bureau/ports/id"
)

func swarmModule() fx.Option {
	return fx.Module("swarms", fx.Provide(provideSwarms, providePeople, provideRetire))
}

// swarmCheck tells the contexts below swarm whether one is there.
type swarmCheck struct{ swarms swarm.Repository }

func (c swarmCheck) CheckSwarm(ctx context.Context, sc account.Scope, of id.Swarm) error {
	_, err := c.swarms.Get(ctx, sc, of)
	return err
}

func (c swarmCheck) Exists(ctx context.Context, sc account.Scope, of id.Swarm) error {
	return c.CheckSwarm(ctx, sc, of)
}

func provideSwarms(
	b base, s *bunstore.Store, trail *audit.Service, knows *knowledge.Service, policies *policy.Service, secrets *secret.AgentSecrets,
	people *swarm.People,
) (*swarm.Service, error) {
	return swarm.NewService(swarm.Deps{
		TX: b.TX, Clock: b.Clock, IDs: b.IDs, Logger: b.Logger, Repository: s.Swarms(), Members: s.Agents(), Agents: s.Agents(), Trail: trail,
		Dependents: []swarm.Dependent{policies, knows, secrets, people},
	})
}

func providePeople(b base, s *bunstore.Store, links *account.Links, trail *audit.Service) (*swarm.People, error) {
	return swarm.NewPeople(swarm.PeopleDeps{
		TX: b.TX, Clock: b.Clock, IDs: b.IDs, Swarms: s.Swarms(), Repository: s.SwarmMembers(), Users: links, Trail: trail,
	})
}

// retireParts are what has something of an agent.
type retireParts struct {
	fx.In

	Store        *bunstore.Store
	A2A          *a2a.Service
	Pushes       *a2a.Pushes
	Trail        *audit.Service
	Chat         *chat.Service
	Gate         *gate.Gate
	Sessions     *session.Service
	Wallets      *wallet.Service
	Policies     *policy.Service
	Budgets      *usage.Budgets
	Links        *account.Links
	Market       *skill.Market
	Knowledge    *knowledge.Service
	Memory       *memory.Service
	Hosting      *hosting.Service
	Integrations *integration.Service
	Directory    *agent.Directory
	Documents    *agent.Documents
	Secrets      *secret.AgentSecrets
	Tasks        *task.Service
	Events       *telemetry.Service
	Exchange     *telemetry.Exchange
	Opinions     *telemetry.Opinions
	Remotes      *remote.Service
}

func provideRetire(b base, p retireParts) (*retire.Service, error) {
	return retire.NewService(retire.Deps{
		TX: b.TX, Clock: b.Clock, Logger: b.Logger, Tenants: p.Store.Accounts(), Graves: p.Store.Agents(), Trail: p.Trail,
		Parts: []retire.Part{
			retire.PartFunc(func(ctx context.Context, sc account.Scope, of id.Agent) error {
				_, _, err := p.Gate.StopAgent(ctx, sc, of, "the agent was deleted")
				return err
			}),
			retire.PartFunc(p.Chat.ForgetAgent),
			retire.PartFunc(p.Pushes.Forget),
			retire.PartFunc(p.A2A.ForgetAgent),
			retire.PartFunc(p.Sessions.Destroy),
			retire.PartFunc(p.Tasks.Destroy),
			retire.PartFunc(func(ctx context.Context, sc account.Scope, of id.Agent) error {
				_, err := p.Wallets.Sweep(ctx, sc, of)
				return err
			}),
			retire.PartFunc(p.Policies.ForgetAgent),
			retire.PartFunc(p.Budgets.ForgetAgent),
			retire.PartFunc(p.Market.ForgetAgent),
			retire.PartFunc(p.Links.ForgetAgent),
			retire.PartFunc(func(ctx context.Context, sc account.Scope, of id.Agent) error {
				return p.Knowledge.Forget(ctx, sc, knowledge.Space{Agent: of})
			}),
			retire.PartFunc(p.Memory.ForgetAgent),
			retire.PartFunc(p.Integrations.ForgetAgent),
			retire.PartFunc(p.Hosting.Forget),
			retire.PartFunc(p.Remotes.ForgetAgent),
			retire.PartFunc(p.Directory.Forget),
			retire.PartFunc(p.Documents.Forget),
			retire.PartFunc(p.Secrets.Forget),
			retire.PartFunc(p.Events.Forget),
			retire.PartFunc(p.Exchange.Forget),
			retire.PartFunc(p.Opinions.Forget),
		},
		// A payment over a rail holds money until it ends, and what it gives back then is the account's. Events go a chunk at a time.
		Unfinished: func(ctx context.Context, sc account.Scope, of id.Agent) (bool, error) {
			for _, left := range []func(context.Context, account.Scope, id.Agent) (bool, error){
				p.Events.Unfinished, p.Exchange.Unfinished, p.Opinions.Unfinished,
			} {
				if there, err := left(ctx, sc, of); there || err != nil {
					return there, err
				}
			}
			wallets, err := p.Store.Wallets().List(ctx, sc, of)
			return slices.ContainsFunc(wallets, func(w wallet.Wallet) bool { return w.Held > 0 }), err
		},
	})
}
