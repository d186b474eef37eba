package native

import (
	"context"
	"net/http"
	"time"

	"github.com/bureau-agents/bureau/adapters/http/internal/httpx"
	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/policy"
	"github.com/bureau-agents/bureau/core/task"
	"github.com/bureau-agents/bureau/ports/id"
)

// RunWire is a run on the wire. Its type is exported because lists hold it.
type RunWire struct {
	ID          string  `json:"id" doc:"run_..."`
	Type        string  `json:"type" enum:"run"`
	AgentID     string  `json:"agent_id"`
	SessionID   string  `json:"session_id" doc:"The session that the run is, whose log tells what was done. It may have been deleted."`
	Status      string  `json:"status" enum:"running,completed,failed,waiting_approval" doc:"waiting_approval while a person must decide about an act of the run, or about its start."`
	Task        string  `json:"task"`
	Context     *string `json:"context"`
	Summary     *string `json:"summary" doc:"What the agent said last; null while the run goes on."`
	Error       *string `json:"error" doc:"Why the run failed. It names the rule, if one stopped it."`
	Rule        *string `json:"rule" doc:"The rule that stopped the run, such as daily_limit, or frozen; null when none did."`
	Credits     int     `json:"credits" doc:"What the run was charged; 0 while it goes on, and on a plan without a limit."`
	Acts        int     `json:"acts" doc:"The tool calls, payments and transfers that the charge counts; 0 while the run goes on."`
	StartedAt   stamp   `json:"started_at"`
	CompletedAt *stamp  `json:"completed_at"`
	DurationMS  *int64  `json:"duration_ms"`
}

func showRun(r task.Run) RunWire {
	w := RunWire{
		ID: r.ID.String(), Type: "run", AgentID: r.Agent.String(), SessionID: r.Session.String(), Status: string(r.Status), Task: r.Task,
		Context: textOrNull(r.Context), Summary: textOrNull(r.Summary), Error: textOrNull(r.Error), Rule: textOrNull(r.Rule),
		Credits: r.Credits, Acts: r.Acts, StartedAt: stampOf(r.StartedAt), CompletedAt: stampPtr(r.CompletedAt),
	}
	if d, ok := r.Duration(); ok {
		w.DurationMS = ptr(d.Milliseconds())
	}
	return w
}

type startRunInput struct {
	AgentID string `path:"agent_id" doc:"The agent's id."`
	Wait    int    `query:"wait" minimum:"0" maximum:"600" default:"60" doc:"Seconds to wait for the outcome; 0 answers at once. The body's counts first."`
	Body    struct {
		Task    string       `json:"task" minLength:"1" maxLength:"32000" pattern:"\\S" patternDescription:"more than blanks" doc:"What the agent should do."`
		Context string       `json:"context,omitempty" maxLength:"100000" doc:"What else the agent is told, such as who owns the budget."`
		Wait    *int         `json:"wait,omitempty" minimum:"0" maximum:"600" doc:"Seconds to wait for the outcome."`
		Limits  *limitsInput `json:"limits,omitempty" doc:"Limits for this run alone, as of a policy. They hold beside those of the agent's policies. Needs the scope policies:write, too."`
	}
}

func (in *startRunInput) request() (task.StartRequest, error) {
	of, err := id.Parse[id.AgentKind](in.AgentID)
	if err != nil {
		return task.StartRequest{}, err
	}
	wait := in.Wait
	if in.Body.Wait != nil {
		wait = *in.Body.Wait
	}
	req := task.StartRequest{Agent: of, Task: in.Body.Task, Context: in.Body.Context, Wait: time.Duration(wait) * time.Second}
	if in.Body.Limits != nil {
		req.Limits = new(policy.Limits)
		err = in.Body.Limits.apply(req.Limits)
	}
	return req, err
}

type listRunsInput struct {
	httpx.PageQuery
	AgentID string `path:"agent_id" doc:"The agent's id."`
	Status  string `query:"status" enum:"running,completed,failed,waiting_approval" doc:"Runs in this status."`
}

type runInput struct {
	AgentID string `path:"agent_id" doc:"The agent's id."`
	RunID   string `path:"run_id" doc:"The run's id."`
}

func (in *runInput) ids() (id.Agent, id.Run, error) {
	of, err := id.Parse[id.AgentKind](in.AgentID)
	if err != nil {
		return id.Agent{}, id.Run{}, err
	}
	run, err := id.Parse[id.RunKind](in.RunID)
	return of, run, err
}

func (f *face) registerRuns() {
	httpx.Register(f.Face, httpx.Op{
		ID: "startRun", Method: http.MethodPost, Path: "/v1/agents/{agent_id}/runs", Tag: "runs", Status: http.StatusCreated,
		Example: `{"task":"Say hello.","wait":0}`,
		Summary: "Give an agent a task",
		Description: "Starts a run and waits for its outcome; after `wait` seconds it answers with the state reached, and the run goes on. A run is " +
			"a session of its own, with the task as its message. It is `failed` when it could not be finished, and also when something that it " +
			"tried was refused, even if the agent went on: `error` says why, and `rule` names the rule. A run costs 3, 5 or 10 credits by " +
			"how many acts it took (up to 2, up to 6, more), and 3 must be there to start. A frozen agent and an account without credits start " +
			"nothing, and nothing is charged.",
		Permission: account.AgentsWrite, Strict: true,
		Statuses: []int{http.StatusPaymentRequired, http.StatusConflict},
	}, func(ctx context.Context, in *startRunInput) (*output[RunWire], error) {
		req, err := in.request()
		if err != nil {
			return nil, err
		}
		r, err := f.deps.Tasks.Start(ctx, httpx.Scope(ctx), req)
		if err != nil {
			return nil, err
		}
		return ok(showRun(r)), nil
	})

	httpx.Register(f.Face, httpx.Op{
		ID: "listRuns", Method: http.MethodGet, Path: "/v1/agents/{agent_id}/runs", Tag: "runs",
		Summary: "List the runs of an agent, newest first", Permission: account.AgentsRead,
	}, func(ctx context.Context, in *listRunsInput) (*output[httpx.List[RunWire]], error) {
		of, err := id.Parse[id.AgentKind](in.AgentID)
		if err != nil {
			return nil, err
		}
		runs, err := f.deps.Tasks.List(ctx, httpx.Scope(ctx), task.ListRequest{Agent: of, Status: task.Status(in.Status), Page: in.Request()})
		if err != nil {
			return nil, err
		}
		return ok(httpx.NewList(runs, showRun)), nil
	})

	httpx.Register(f.Face, httpx.Op{
		ID: "getRun", Method: http.MethodGet, Path: "/v1/agents/{agent_id}/runs/{run_id}", Tag: "runs",
		Summary: "Read a run", Permission: account.AgentsRead,
	}, func(ctx context.Context, in *runInput) (*output[RunWire], error) {
		of, run, err := in.ids()
		if err != nil {
			return nil, err
		}
		r, err := f.deps.Tasks.Get(ctx, httpx.Scope(ctx), of, run)
		if err != nil {
			return nil, err
		}
		return ok(showRun(r)), nil
	})

	httpx.Register(f.Face, httpx.Op{
		ID: "cancelRun", Method: http.MethodPost, Path: "/v1/agents/{agent_id}/runs/{run_id}/cancel", Tag: "runs",
		Summary: "Cancel a run", Permission: account.AgentsWrite,
		Description: "What it is doing ends, what it has waiting for an approval is void, and it is `failed` with the error `cancelled`. It is " +
			"charged like every run that began. A run that has ended is a conflict.",
		Statuses: []int{http.StatusConflict},
	}, func(ctx context.Context, in *runInput) (*output[RunWire], error) {
		of, run, err := in.ids()
		if err != nil {
			return nil, err
		}
		r, err := f.deps.Tasks.Cancel(ctx, httpx.Scope(ctx), of, run)
		if err != nil {
			return nil, err
		}
		return ok(showRun(r)), nil
	})
}

// approvals returns how to show approvals: those of acts of runs name the run.
func (f *face) approvals(ctx context.Context, all ...policy.Approval) (func(policy.Approval) ApprovalWire, error) {
	var sessions []id.Session
	for _, a := range all {
		if !a.Run.IsZero() {
			sessions = append(sessions, a.Run)
		}
	}
	var known map[id.Session]bool
	if len(sessions) > 0 {
		var err error
		if known, err = f.deps.Tasks.Known(ctx, httpx.Scope(ctx), sessions); err != nil {
			return nil, err
		}
	}
	return func(a policy.Approval) ApprovalWire {
		w := showApproval(a)
		if known[a.Run] {
			w.RunID = ptr(task.RunOf(a.Run).String())
		}
		return w
	}, nil
}
