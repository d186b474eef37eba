package app

import (
	"context"
	"encoding/json"
	"time"

	"go.uber.org/fx"

	"github.com/bureau-agents/bureau/adapters/jobs/river"
	"github.com/bureau-agents/bureau/adapters/otel"
	"github.com/bureau-agents/bureau/adapters/store/bunstore"
	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/agent"
	"github.com/bureau-agents/bureau/core/environment"
	"github.com/bureau-agents/bureau/core/eval"
	"github.com/bureau-agents/bureau/core/gate"
	"github.com/bureau-agents/bureau/core/model"
	"github.com/bureau-agents/bureau/core/sandbox"
	"github.com/bureau-agents/bureau/core/session"
	"github.com/bureau-agents/bureau/core/usage"
	"github.com/bureau-agents/bureau/ports/fault"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/tool"
)

// evalParts are what evaluations stand on.
type evalParts struct {
	fx.In

	Store        *bunstore.Store
	Queue        *river.Queue
	Telemetry    *otel.Telemetry
	Agents       *agent.Service
	Environments *environment.Service
	Sessions     *session.Service
	Sandboxes    *sandbox.Service
	Gate         *gate.Gate
	Models       *model.Agents
	Usage        *usage.Service
}

func provideEvals(lc fx.Lifecycle, b base, p evalParts) (*eval.Service, error) {
	store := p.Store.Evals()
	s, err := eval.NewService(eval.Deps{
		TX: b.TX, Clock: b.Clock, IDs: b.IDs, Logger: b.Logger, Repository: store, Stalls: store, Jobs: p.Queue, Agents: p.Agents,
		Environments: p.Environments, Sessions: p.Sessions, Sandboxes: evalSandboxes{p.Sandboxes, p.Sessions},
		Judges: eval.ModelJudge{Clock: b.Clock, Gate: p.Gate, Models: p.Models, Meter: meter{p.Usage}},
	}, eval.Config{})
	if err != nil {
		return nil, err
	}
	background(lc, s.Run)
	return s, p.Queue.Handle(eval.JobKind, otel.WrapJobs(s.Do, p.Telemetry, eval.JobKind))
}

// evalSandboxes lets evaluations work in the sandboxes of their sessions, by the tools that agents have.
type evalSandboxes struct {
	sandboxes *sandbox.Service
	sessions  *session.Service
}

// use calls a tool of the agent toolset, whatever the agent itself may use.
func (e evalSandboxes) use(ctx context.Context, sc account.Scope, of id.Session, name string, input any) (tool.Result, error) {
	sess, err := e.sessions.Get(ctx, sc, of)
	if err != nil {
		return tool.Result{}, err
	}
	a, err := e.sessions.Agent(ctx, sc, sess)
	if err != nil {
		return tool.Result{}, err
	}
	a.Config.Tools = []agent.Tool{{Type: agent.AgentToolset, Default: agent.ToolDefault{Enabled: true, Permission: agent.AlwaysAllow}}}
	offers, err := e.sandboxes.Tools(ctx, sc, sess, a)
	if err != nil {
		return tool.Result{}, err
	}
	raw, err := json.Marshal(input)
	if err != nil {
		return tool.Result{}, err
	}
	for _, o := range offers {
		if o.Spec.Name == name && o.Tool != nil {
			return o.Tool.Call(ctx, tool.Call{Input: raw})
		}
	}
	return tool.Result{}, eval.ErrNoSandbox
}

// Write implements eval.Sandboxes.
func (e evalSandboxes) Write(ctx context.Context, sc account.Scope, of id.Session, path, content string) error {
	res, err := e.use(ctx, sc, of, "write", map[string]string{"file_path": path, "content": content})
	if err != nil || !res.IsError {
		return err
	}
	return fault.New(fault.Invalid, "eval_setup", res.Text)
}

// Run implements eval.Sandboxes.
func (e evalSandboxes) Run(
	ctx context.Context, sc account.Scope, of id.Session, script string, timeout time.Duration,
) (output string, ok bool, err error) {
	res, err := e.use(ctx, sc, of, "bash", map[string]any{"command": script, "timeout_ms": timeout.Milliseconds()})
	return res.Text, !res.IsError, err
}
