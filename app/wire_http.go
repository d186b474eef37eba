package app

import (
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"go.uber.org/fx"

	"github.com/bureau-agents/bureau/adapters/http/native"
	"github.com/bureau-agents/bureau/adapters/otel"
	"github.com/bureau-agents/bureau/adapters/store/bunstore"
	"github.com/bureau-agents/bureau/core/a2a"
	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/agent"
	"github.com/bureau-agents/bureau/core/audit"
	"github.com/bureau-agents/bureau/core/chat"
	"github.com/bureau-agents/bureau/core/environment"
	"github.com/bureau-agents/bureau/core/eval"
	"github.com/bureau-agents/bureau/core/file"
	"github.com/bureau-agents/bureau/core/gate"
	"github.com/bureau-agents/bureau/core/hosting"
	"github.com/bureau-agents/bureau/core/integration"
	"github.com/bureau-agents/bureau/core/knowledge"
	"github.com/bureau-agents/bureau/core/memory"
	"github.com/bureau-agents/bureau/core/model"
	"github.com/bureau-agents/bureau/core/payment"
	"github.com/bureau-agents/bureau/core/policy"
	"github.com/bureau-agents/bureau/core/reconciliation"
	"github.com/bureau-agents/bureau/core/remote"
	"github.com/bureau-agents/bureau/core/retire"
	"github.com/bureau-agents/bureau/core/secret"
	"github.com/bureau-agents/bureau/core/session"
	"github.com/bureau-agents/bureau/core/skill"
	"github.com/bureau-agents/bureau/core/span"
	"github.com/bureau-agents/bureau/core/swarm"
	"github.com/bureau-agents/bureau/core/task"
	"github.com/bureau-agents/bureau/core/telemetry"
	"github.com/bureau-agents/bureau/core/usage"
	"github.com/bureau-agents/bureau/core/validation"
	"github.com/bureau-agents/bureau/core/wallet"
	"github.com/bureau-agents/bureau/core/webhook"
)

func httpModule() fx.Option {
	return fx.Module("http", fx.Provide(newOperator, newRegistry, provideHandler))
}

func newRegistry() *prometheus.Registry {
	r := prometheus.NewRegistry()
	r.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return r
}

// httpParts are the services behind the API.
type httpParts struct {
	fx.In

	Config         Config
	Store          *bunstore.Store
	Registry       *prometheus.Registry
	Telemetry      *otel.Telemetry
	Operator       *operator
	Accounts       *account.Service
	Agents         *agent.Service
	AgentCards     *a2a.Cards
	AgentSecrets   *secret.AgentSecrets
	Audit          *audit.Service
	Books          *reconciliation.Service
	Budgets        *usage.Budgets
	Cards          *model.Cards
	Channels       *chat.Channels
	Chat           *chat.Service
	Dashboard      *usage.Board
	Documents      *agent.Documents
	Environments   *environment.Service
	Evals          *eval.Service
	Events         *telemetry.Service
	Exchange       *telemetry.Exchange
	Files          *file.Service
	Gate           *gate.Gate
	Hosting        *hosting.Service
	Integrations   *integration.Service
	Keeping        *telemetry.Keeping
	Knowledge      *knowledge.Service
	KnowledgeFiles *knowledge.Documents
	Library        *skill.Library
	Links          *account.Links
	Market         *skill.Market
	Memory         *memory.Service
	Opinions       *telemetry.Opinions
	Payments       *payment.Service
	Peers          *a2a.Service
	People         *swarm.People
	Policies       *policy.Service
	Retire         *retire.Service
	Secrets        *secret.Service
	Sessions       *session.Service
	SignIns        *account.SignIns
	Quarantines    *skill.Quarantines
	Skills         *skill.Service
	Spans          *span.Service
	Swarms         *swarm.Service
	Tail           *telemetry.Tail
	Tasks          *task.Service
	Traces         *telemetry.Traces
	Prices         *usage.PriceBook
	Rerater        *usage.Rerater
	Usage          *usage.Service
	Validation     *validation.Service
	Remotes        *remote.Service
	Wallets        *wallet.Service
	Webhooks       *webhook.Service
}

func provideHandler(b base, p httpParts, others faceParts) (http.Handler, error) {
	settings := native.Settings{
		Accounts: p.Operator, Clock: b.Clock, Logger: b.Logger, Metrics: p.Registry, Version: Version(),
		PublicURL: p.Config.PublicURL, RateScale: *p.Config.RateLimitScale, TrustedProxies: p.Config.TrustedProxies,
		Requests: native.NewRequests(b.Clock), MaxUpload: p.Config.MaxUpload + formOverhead,
	}
	mounted, err := faces(settings, others)
	if err != nil {
		return nil, err
	}
	h, err := native.New(native.Deps{
		Settings: settings,
		Account:  p.Accounts, Ready: p.Store.Ping, Gatherer: p.Registry,
		Agents: p.Agents, AgentCards: p.AgentCards, AgentSecrets: p.AgentSecrets, Documents: p.Documents, People: p.People, Audit: p.Audit, Books: p.Books, Budgets: p.Budgets, Cards: p.Cards, Channels: p.Channels, Chat: p.Chat, Dashboard: p.Dashboard, Environments: p.Environments, Evals: p.Evals, Events: p.Events, Files: p.Files, Gate: p.Gate, Hosting: p.Hosting, Knowledge: p.Knowledge, KnowledgeFiles: p.KnowledgeFiles, Library: p.Library, Links: p.Links, Market: p.Market, Memory: p.Memory, Payments: p.Payments, Policies: p.Policies, Secrets: p.Secrets,
		Integrations: p.Integrations, SignIns: p.SignIns, Sessions: p.Sessions, Quarantines: p.Quarantines, Skills: p.Skills, Spans: p.Spans, Swarms: p.Swarms, Tail: p.Tail, Retire: p.Retire, Tasks: p.Tasks, Prices: p.Prices, Rerater: p.Rerater, Usage: p.Usage, Wallets: p.Wallets,
		Exchange: p.Exchange, Keeping: p.Keeping, Opinions: p.Opinions, Traces: p.Traces,
		Webhooks: p.Webhooks, Validation: p.Validation, Remotes: p.Remotes, PeerTasks: p.Peers,
	}, native.Config{Mount: mounted})
	if err != nil {
		return nil, err
	}
	return p.Telemetry.Middleware(h), nil
}
