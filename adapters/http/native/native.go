package native

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/bureau-agents/bureau/adapters/http/internal/httpx"
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
	"github.com/bureau-agents/bureau/ports/fault"
)

// Settings are what the faces of one server have in common.
type Settings = httpx.Settings

// Deps are the services behind the API. All are required unless they say otherwise; Settings.Accounts may be left to Account.
type Deps struct {
	Settings
	Account      *account.Service
	AgentCards   AgentCards
	Agents       *agent.Service
	AgentSecrets *secret.AgentSecrets
	Audit        *audit.Service
	Books        *reconciliation.Service
	Budgets      *usage.Budgets
	Cards        *model.Cards
	Channels     ChannelProblems
	Chat         *chat.Service
	Dashboard    *usage.Board
	Documents    *agent.Documents
	Environments *environment.Service
	Evals        *eval.Service
	Events       *telemetry.Service
	Exchange     *telemetry.Exchange
	Files        *file.Service
	Gate         *gate.Gate
	Hosting      *hosting.Service
	Integrations *integration.Service
	Keeping      *telemetry.Keeping
	Knowledge    *knowledge.Service
	// KnowledgeFiles make knowledge of whole files.
	KnowledgeFiles *knowledge.Documents
	Library        *skill.Library
	Links          *account.Links
	Market         *skill.Market
	Memory         *memory.Service
	Opinions       *telemetry.Opinions
	Payments       *payment.Service
	PeerTasks      PeerTasks
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
	Remotes        *remote.Service
	Usage          *usage.Service
	Validation     *validation.Service
	Wallets        *wallet.Service
	Webhooks       *webhook.Service
	// Ready reports whether the server can do its work: whether the store answers. It gets a second.
	Ready func(context.Context) error
	// Gatherer is what /metrics shows; nil shows nothing.
	Gatherer prometheus.Gatherer
}

// Config is how the API is served.
type Config struct {
	// Mount serves other handlers of this server by their path's beginning: "/compat/valar" takes that path and all below it. The
	// longest wins.
	Mount map[string]http.Handler
}

// face is the native API while it is put together.
type face struct {
	*httpx.Face
	deps Deps
}

// public is every route that needs no key.
var public = []string{
	"GET /healthz",
	"GET /readyz",
	"GET /openapi.json",
	"GET /docs",
	"GET /v1/integrations/{integration_id}/callback",
	"POST /v1/integrations/slack/events",
	"POST /v1/integrations/github/webhooks",
	"POST /v1/payments/stripe/webhook",
	"GET /v1/oauth/{provider}/authorize",
	"GET /v1/oauth/{provider}/callback",
	"POST /v1/oauth/logout",
	"DELETE /v1/oauth/logout",
	"POST /v1/validate",
	"GET /reports/{report}",
	"GET /reports/{report}/badge.svg",
	"GET /cards/{card}/badge.svg",
}

var tags = []httpx.Tag{
	{Name: "account", Description: "The caller's tenant, API keys, and the tenants of the server."},
	{Name: "agents", Description: "Agents and their versions."},
	{Name: "approvals", Description: "Acts that wait for a person."},
	{Name: "audit", Description: "What was done, by whom, in a chain that nobody can change unnoticed."},
	{Name: "cards", Description: "Agent cards of A2A: validation, reports, scores over time, migration."},
	{Name: "documents", Description: "What agents are told about who they are and what they do."},
	{Name: "chat", Description: "Talking to hosted agents: sessions and memory for everybody they talk to."},
	{Name: "environments", Description: "What the sandboxes of sessions hold and reach."},
	{Name: "evals", Description: "How well agents do: tasks, trials, scores, comparisons."},
	{Name: "files", Description: "What callers upload and sessions produce."},
	{Name: "hosting", Description: "Agents that run on a host: their lives, what they use, their logs."},
	{Name: "integrations", Description: "Workspaces elsewhere in which agents answer: Slack, GitHub."},
	{Name: "knowledge", Description: "Texts that agents answer from."},
	{Name: "oauth", Description: "Signing in to the console."},
	{Name: "models", Description: "Models with keys of your own."},
	{Name: "memory", Description: "What agents remember from one session to the next."},
	{Name: "payments", Description: "Money that leaves over rails: Stripe, x402."},
	{Name: "plugins", Description: "Skills and rules as programs, which the operator installs."},
	{Name: "policies", Description: "What agents may do and spend."},
	{Name: "remote agents", Description: "Agents elsewhere that speak A2A, by their cards."},
	{Name: "runs", Description: "Tasks given to agents, with their outcomes."},
	{Name: "secrets", Description: "Keys and tokens of agents; they can be written, never read."},
	{Name: "sessions", Description: "Conversations with agents, their events and their streams."},
	{Name: "server", Description: "Health and metrics."},
	{Name: "skills", Description: "What agents can be given to do, and what they hand in."},
	{Name: "swarms", Description: "Groups of agents that share knowledge and policies."},
	{Name: "telemetry", Description: "What agents report of themselves."},
	{Name: "usage", Description: "Tokens and what they cost."},
	{Name: "vaults", Description: "What agents sign in with, sealed."},
	{Name: "wallets", Description: "Agents' money."},
	{Name: "webhooks", Description: "Programs outside that are told what happens."},
}

// New returns the handler of the whole API, and of what Config.Mount adds.
func New(deps Deps, cfg Config) (http.Handler, error) {
	if err := deps.validate(); err != nil {
		return nil, err
	}
	return assemble(deps, cfg)
}

// assemble makes the handler. Services are not called before requests come, so tests of one area leave the others out.
func assemble(deps Deps, cfg Config) (http.Handler, error) {
	if deps.Accounts == nil {
		deps.Accounts = deps.Account
	}
	hf, err := httpx.New(httpx.Config{
		Settings: deps.Settings,
		Name:     "native",
		Title:    "Bureau",
		Description: "A control plane for AI agents: it registers them, runs them, pays for them, governs what they do, and shows what they " +
			"did.\n\nSend an API key as `x-api-key` or as `Authorization: Bearer`. Lists are pages: repeat a call with `cursor` set to " +
			"`next_page`. Any POST may carry an `Idempotency-Key`.",
		Envelope: httpx.Envelope{Encode: encodeError},
		Public:   public,
		Tags:     tags,
	})
	if err != nil {
		return nil, err
	}
	f := &face{Face: hf, deps: deps}
	f.registerAccount()
	f.registerAgents()
	f.registerAgentCards()
	f.registerAgentMessages()
	f.registerAgentLinks()
	f.registerAgentSecrets()
	f.registerApprovals()
	f.registerAudit()
	f.registerBudgets()
	f.registerDashboard()
	f.registerDocuments()
	f.registerEnvironments()
	f.registerEvals()
	f.registerEvents()
	f.registerEventStream()
	f.registerExports()
	f.registerFeedback()
	f.registerFiles()
	f.registerHosting()
	f.registerIntegrations()
	f.registerKnowledge()
	f.registerKnowledgeFiles()
	f.registerMarketplace()
	f.registerChat()
	f.registerMemory()
	f.registerModelCards()
	f.registerOAuth()
	f.registerOTLP()
	f.registerPayments()
	f.registerPeerTasks()
	f.registerRailPayments()
	f.registerPlugins()
	f.registerPolicies()
	f.registerReconciliation()
	f.registerRetention()
	f.registerRuns()
	f.registerPolicyVersions()
	f.registerBacktest()
	f.registerServer()
	f.registerSessions()
	f.registerQuarantine()
	f.registerSkills()
	f.registerSkillLibrary()
	f.registerStanding()
	f.registerSwarms()
	f.registerRemotes()
	f.registerSwarmMembers()
	f.registerTraces()
	f.registerUsage()
	f.registerPrices()
	f.registerRerates()
	f.registerVaults()
	f.registerValidation()
	f.registerCardReports()
	f.registerCardRules()
	f.registerReportPages()
	f.registerWallets()
	f.registerNotifications()
	f.RegisterDocs()
	if err := f.Build(); err != nil {
		return nil, err
	}
	return mount(consoleKeys(f), cfg.Mount), nil
}

func (d *Deps) validate() error {
	switch {
	case d.Account == nil:
		return errors.New("native: Deps.Account is required")
	case d.AgentCards == nil:
		return errors.New("native: Deps.AgentCards is required")
	case d.Agents == nil:
		return errors.New("native: Deps.Agents is required")
	case d.AgentSecrets == nil:
		return errors.New("native: Deps.AgentSecrets is required")
	case d.Audit == nil:
		return errors.New("native: Deps.Audit is required")
	case d.Books == nil:
		return errors.New("native: Deps.Books is required")
	case d.Budgets == nil:
		return errors.New("native: Deps.Budgets is required")
	case d.Dashboard == nil:
		return errors.New("native: Deps.Dashboard is required")
	case d.Documents == nil:
		return errors.New("native: Deps.Documents is required")
	case d.Environments == nil:
		return errors.New("native: Deps.Environments is required")
	case d.Evals == nil:
		return errors.New("native: Deps.Evals is required")
	case d.Events == nil:
		return errors.New("native: Deps.Events is required")
	case d.Exchange == nil:
		return errors.New("native: Deps.Exchange is required")
	case d.Keeping == nil:
		return errors.New("native: Deps.Keeping is required")
	case d.Opinions == nil:
		return errors.New("native: Deps.Opinions is required")
	case d.Traces == nil:
		return errors.New("native: Deps.Traces is required")
	case d.Files == nil:
		return errors.New("native: Deps.Files is required")
	case d.Cards == nil:
		return errors.New("native: Deps.Cards is required")
	case d.Channels == nil:
		return errors.New("native: Deps.Channels is required")
	case d.Chat == nil:
		return errors.New("native: Deps.Chat is required")
	case d.Gate == nil:
		return errors.New("native: Deps.Gate is required")
	case d.Integrations == nil:
		return errors.New("native: Deps.Integrations is required")
	case d.Knowledge == nil:
		return errors.New("native: Deps.Knowledge is required")
	case d.KnowledgeFiles == nil:
		return errors.New("native: Deps.KnowledgeFiles is required")
	case d.Library == nil:
		return errors.New("native: Deps.Library is required")
	case d.Links == nil:
		return errors.New("native: Deps.Links is required")
	case d.Market == nil:
		return errors.New("native: Deps.Market is required")
	case d.Memory == nil:
		return errors.New("native: Deps.Memory is required")
	case d.Payments == nil:
		return errors.New("native: Deps.Payments is required")
	case d.PeerTasks == nil:
		return errors.New("native: Deps.PeerTasks is required")
	case d.People == nil:
		return errors.New("native: Deps.People is required")
	case d.Policies == nil:
		return errors.New("native: Deps.Policies is required")
	case d.Secrets == nil:
		return errors.New("native: Deps.Secrets is required")
	case d.Sessions == nil:
		return errors.New("native: Deps.Sessions is required")
	case d.Spans == nil:
		return errors.New("native: Deps.Spans is required")
	case d.Swarms == nil:
		return errors.New("native: Deps.Swarms is required")
	case d.Tail == nil:
		return errors.New("native: Deps.Tail is required")
	case d.Retire == nil:
		return errors.New("native: Deps.Retire is required")
	case d.Ready == nil:
		return errors.New("native: Deps.Ready is required")
	case d.SignIns == nil:
		return errors.New("native: Deps.SignIns is required")
	case d.Quarantines == nil:
		return errors.New("native: Deps.Quarantines is required")
	case d.Skills == nil:
		return errors.New("native: Deps.Skills is required")
	case d.Tasks == nil:
		return errors.New("native: Deps.Tasks is required")
	case d.Prices == nil:
		return errors.New("native: Deps.Prices is required")
	case d.Rerater == nil:
		return errors.New("native: Deps.Rerater is required")
	case d.Usage == nil:
		return errors.New("native: Deps.Usage is required")
	case d.Remotes == nil:
		return errors.New("native: Deps.Remotes is required")
	case d.Validation == nil:
		return errors.New("native: Deps.Validation is required")
	case d.Wallets == nil:
		return errors.New("native: Deps.Wallets is required")
	case d.Webhooks == nil:
		return errors.New("native: Deps.Webhooks is required")
	}
	return nil
}

// mount sends what begins with a prefix to its handler and the rest to api.
func mount(api http.Handler, others map[string]http.Handler) http.Handler {
	if len(others) == 0 {
		return api
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		best, handler := "", api
		for prefix, h := range others {
			rest, ok := strings.CutPrefix(r.URL.Path, prefix)
			if ok && (rest == "" || rest[0] == '/') && len(prefix) > len(best) {
				best, handler = prefix, h
			}
		}
		handler.ServeHTTP(w, r)
	})
}

// errorWire is the envelope of every error.
type errorWire struct {
	Type      string     `json:"type" enum:"error"`
	Error     errorInner `json:"error"`
	RequestID string     `json:"request_id" doc:"Also in the header request-id."`
}

type errorInner struct {
	Type    string       `json:"type" doc:"What kind of error it is, such as not_found_error."`
	Message string       `json:"message" doc:"For people."`
	Details errorDetails `json:"details"`
	Conflict
}

// Conflict names the memory that is in the way. It is exported because others embed it.
type Conflict struct {
	ConflictingMemoryID string `json:"conflicting_memory_id,omitempty" doc:"Of memory_path_conflict_error."`
	ConflictingPath     string `json:"conflicting_path,omitempty" doc:"Of memory_path_conflict_error."`
}

type errorDetails struct {
	ErrorCode string       `json:"error_code" doc:"Which error it is, such as agent_not_found. Codes do not change."`
	Fields    []errorField `json:"fields,omitempty" doc:"The faults in the input."`
	Conflict
}

type errorField struct {
	Path    string `json:"path" doc:"Where, such as limits.daily_limit or query.limit."`
	Message string `json:"message"`
}

// errorTypes are the kinds as the official client libraries know them.
var errorTypes = map[fault.Kind]string{
	fault.Internal:        "api_error",
	fault.Invalid:         "invalid_request_error",
	fault.Unauthenticated: "authentication_error",
	fault.PaymentRequired: "billing_error",
	fault.Forbidden:       "permission_error",
	fault.NotFound:        "not_found_error",
	fault.Conflict:        "conflict_error",
	fault.TooLarge:        "invalid_request_error",
	fault.RateLimited:     "rate_limit_error",
	fault.Timeout:         "timeout_error",
	fault.Unavailable:     "overloaded_error",
	fault.Unsupported:     "api_error",
}

// errorTypesByCode are those that the client libraries know more exactly than by their kind.
var errorTypesByCode = map[string]string{
	memory.ErrPathConflict.Code: "memory_path_conflict_error",
	memory.ErrPrecondition.Code: "memory_precondition_failed_error",
}

func encodeError(_ int, e *fault.Error, requestID string) any {
	conflict := Conflict{e.Details["conflicting_memory_id"], e.Details["conflicting_path"]}
	out := errorWire{
		Type: "error", RequestID: requestID,
		Error: errorInner{
			Type: cmp.Or(errorTypesByCode[e.Code], errorTypes[e.Kind]), Message: e.Message, Conflict: conflict,
			Details: errorDetails{ErrorCode: e.Code, Conflict: conflict},
		},
	}
	for _, f := range e.Fields {
		out.Error.Details.Fields = append(out.Error.Details.Fields, errorField(f))
	}
	return out
}

// output is the output of most operations.
type output[T any] struct{ Body T }

func ok[T any](body T) *output[T] { return &output[T]{Body: body} }

// stamp is a time as this API writes it: RFC 3339 in UTC with milliseconds.
type stamp string

const stampLayout = "2006-01-02T15:04:05.000Z"

func stampOf(t time.Time) stamp { return stamp(t.UTC().Format(stampLayout)) }

// stampPtr is stampOf for a time that may not be there.
func stampPtr(t *time.Time) *stamp {
	if t == nil {
		return nil
	}
	s := stampOf(*t)
	return &s
}
