package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync"

	"go.uber.org/fx"
	"go.uber.org/fx/fxevent"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/agent"
	"github.com/bureau-agents/bureau/core/audit"
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
	"github.com/bureau-agents/bureau/core/secret"
	"github.com/bureau-agents/bureau/core/session"
	"github.com/bureau-agents/bureau/core/skill"
	"github.com/bureau-agents/bureau/core/task"
	"github.com/bureau-agents/bureau/core/telemetry"
	"github.com/bureau-agents/bureau/core/usage"
	"github.com/bureau-agents/bureau/core/wallet"
	"github.com/bureau-agents/bureau/core/webhook"
)

// App is a server without its listener: the services of core, wired to their adapters, and the HTTP handler over them. The services
// may be called from Go directly; each checks what it is given and takes the account.Scope on whose behalf it acts.
type App struct {
	Accounts     *account.Service     // tenants and API keys
	Agents       *agent.Service       // agents and their versions
	Audit        *audit.Service       // the trail of what was done
	Cards        *model.Cards         // models with keys of tenants' own
	Environments *environment.Service // what sandboxes are made from
	Evals        *eval.Service        // tasks, their trials and comparisons
	Files        *file.Service        // uploads, and what sessions made
	Gate         *gate.Gate           // payments, transfers, approvals, freezing
	Hosting      *hosting.Service     // agents that run on a host
	Integrations *integration.Service // workspaces elsewhere
	Knowledge    *knowledge.Service   // the texts that agents answer from
	Library      *skill.Library       // skills made of instructions
	Links        *account.Links       // who looks after which agent
	Market       *skill.Market        // skills of every kind
	Memory       *memory.Service      // what agents keep from one session to the next
	Payments     *payment.Service     // money that leaves over rails
	Policies     *policy.Service      // what agents may do
	Secrets      *secret.Service      // vaults and their credentials
	Sessions     *session.Service     // conversations and their streams
	Skills       *skill.Service       // plugins, and who has which
	Tasks        *task.Service        // tasks given to agents, and what became of them
	Usage        *usage.Service       // tokens and what they cost
	Wallets      *wallet.Service      // money
	Webhooks     *webhook.Service     // what programs outside are told

	fx       *fx.App
	closers  *closers
	handler  http.Handler
	operator *operator
	streams  func()
	key      string
}

// New opens the store, brings its schema up to date and wires everything. Nothing runs in the background before Start. The caller
// calls Stop in any case once New has succeeded. An error of New has cleaned up behind itself.
func New(ctx context.Context, cfg Config, opts ...Option) (*App, error) {
	cfg = cfg.WithDefaults()
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	var o options
	for _, opt := range opts {
		opt(&o)
	}
	a := &App{closers: &closers{}}
	var hub *session.Hub
	var tail *telemetry.Tail
	a.fx = fx.New(
		fx.WithLogger(func() fxevent.Logger { return quiet{cfg.Logger} }),
		fx.StartTimeout(startTimeout), fx.StopTimeout(cfg.DrainTimeout+stopGrace),
		fx.Supply(cfg, o, a.closers),
		telemetryModule(ctx), storeModule(ctx), coreModule(), secretModule(), mcpModule(), hostingModule(), chatModule(), channelModule(), modelModule(), runtimeModule(), pluginModule(), integrationModule(), webhookModule(), validationModule(), paymentModule(), reconciliationModule(), taskModule(), a2aModule(), cardModule(), remoteModule(), httpModule(), jobModule(),
		fx.Populate(&a.Accounts, &a.Agents, &a.Audit, &a.Cards, &a.Environments, &a.Evals, &a.Files, &a.Gate, &a.Hosting, &a.Integrations, &a.Knowledge,
			&a.Library, &a.Links, &a.Market, &a.Memory, &a.Payments, &a.Policies, &a.Secrets, &a.Sessions, &a.Skills, &a.Tasks, &a.Usage, &a.Wallets, &a.Webhooks, &a.handler, &a.operator, &hub, &tail),
	)
	if err := a.fx.Err(); err != nil {
		return nil, errors.Join(rootCause(err), a.closers.close())
	}
	a.streams = func() {
		_, _ = hub.Stop(context.WithoutCancel(ctx)), tail.Stop(context.WithoutCancel(ctx))
		a.Hosting.CloseStreams()
	}

	boot, err := a.Accounts.Bootstrap(ctx, cfg.APIKey, cfg.Plan)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("app: bootstrap: %w", err), a.closers.close())
	}
	a.key = boot.Secret
	a.operator.adopt(boot.Tenant)
	return a, nil
}

// Start begins what runs in the background: turns, jobs, sealing, plugins. It returns when everything runs.
func (a *App) Start(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	if err := a.fx.Start(ctx); err != nil {
		return errors.Join(rootCause(err), a.closers.close())
	}
	return nil
}

// Stop ends it again: running steps finish, within the deadline of ctx and Config.DrainTimeout; then the store is closed.
func (a *App) Stop(ctx context.Context) error {
	return errors.Join(a.fx.Stop(ctx), a.closers.close())
}

// Handler serves the API to everyone who has a key.
func (a *App) Handler() http.Handler { return a.handler }

// OperatorHandler serves the same API to a caller who needs no key, because whoever can reach it owns the server: mount it on nothing
// but a socket that only the operator can open.
func (a *App) OperatorHandler() http.Handler { return a.operator.handler(a.handler) }

// BootstrapKey returns the admin key that the first start has generated, and "" ever after: it is stored as a hash.
func (a *App) BootstrapKey() string { return a.key }

// Scope is the operator's: it may do everything in the default tenant.
func (a *App) Scope() account.Scope { return a.operator.scope }

// CloseStreams ends every open event stream, with a hint to the reader to come back; a server calls it before it waits for open
// requests.
func (a *App) CloseStreams() { a.streams() }

// closers are undone in reverse, once.
type closers struct {
	mu    sync.Mutex
	funcs []func() error
}

func (c *closers) add(fn func() error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.funcs = append(c.funcs, fn)
}

func (c *closers) close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	var errs []error
	for i := len(c.funcs) - 1; i >= 0; i-- {
		errs = append(errs, c.funcs[i]())
	}
	c.funcs = nil
	return errors.Join(errs...)
}

// quiet logs what fx has to say only when it is an error.
type quiet struct{ log *slog.Logger }

// LogEvent implements fxevent.Logger.
func (q quiet) LogEvent(e fxevent.Event) {
	switch e := e.(type) {
	case *fxevent.OnStartExecuted:
		q.failed("start hook failed", e.FunctionName, e.Err)
	case *fxevent.OnStopExecuted:
		q.failed("stop hook failed", e.FunctionName, e.Err)
	}
}

func (q quiet) failed(msg, hook string, err error) {
	if err != nil {
		q.log.Error(msg, "hook", hook, "error", err)
	}
}
