package valta

import (
	"cmp"
	"context"
	"net/http"
	"time"

	"github.com/bureau-agents/bureau/adapters/http/internal/httpx"
	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/task"
	"github.com/bureau-agents/bureau/ports/id"
)

type runWire struct {
	ID          string  `json:"id" doc:"run_..."`
	AgentID     string  `json:"agentId"`
	Status      string  `json:"status" enum:"running,completed,failed,waiting_approval"`
	Summary     *string `json:"summary" doc:"What the agent did; null while it runs."`
	Error       *string `json:"error" doc:"Why the run failed; it names the rule when one stopped it."`
	StartedAt   stamp   `json:"startedAt"`
	CompletedAt *stamp  `json:"completedAt"`
	DurationMS  *int64  `json:"durationMs" doc:"From start to end, in milliseconds; null while it goes on."`
}

func showRun(r task.Run) runWire {
	w := runWire{
		ID: r.ID.String(), AgentID: spellAgent(r.Agent), Status: string(r.Status), Error: textPtr(camelWords(r.Error, r.Rule)),
		StartedAt: stampOf(r.StartedAt), CompletedAt: stampPtr(r.CompletedAt),
	}
	w.Summary = textPtr(cmp.Or(r.Summary, unsaid[r.Status]))
	if d, ended := r.Duration(); ended {
		ms := d.Milliseconds()
		w.DurationMS = &ms
	}
	return w
}

// unsaid is the summary of a run whose agent has said nothing.
var unsaid = map[task.Status]string{
	task.Failed: "The run failed before the agent said anything.", task.WaitingApproval: "The run waits for an approval.",
}

type startRunInput struct {
	AgentInput
	Wait int `query:"wait" minimum:"0" maximum:"600" default:"60" doc:"How many seconds to wait for the outcome at most; 0 answers at once."`
	Body struct {
		Task    string `json:"task" minLength:"1" maxLength:"32000" pattern:"\\S" patternDescription:"more than blanks" doc:"What the agent should do."`
		Context string `json:"context,omitempty" maxLength:"100000" doc:"What else it should know, such as a deadline."`
	}
}

type listRunsInput struct {
	AgentInput
	PageQuery
	Status string `query:"status" enum:"running,completed,failed,waiting_approval" doc:"Only those."`
}

type runInput struct {
	AgentInput
	RunID string `path:"runId" doc:"The id of a run."`
}

func (f *face) registerRuns() {
	const how = "The agent's payments pass its policy. The answer is the run in the state that it reached while waited for. A run costs 3, 5 or " +
		"10 credits by how many acts it took; without 3 left it is 402 CREDITS_EXHAUSTED, a frozen agent is 403 AGENT_FROZEN, and nothing starts."

	httpx.Register(f.Face, httpx.Op{
		ID: "startRun", Method: http.MethodPost, Path: "/agents/{agentId}/runs", Tag: "runs", Status: http.StatusCreated,
		Example: `{"task":"Renew the subscription.","context":"Budget owner: Sarah Chen."}`, Statuses: []int{http.StatusPaymentRequired},
		Summary: "Give an agent a task", Permission: account.AgentsWrite, Description: how,
	}, f.startRun)

	httpx.Register(f.Face, httpx.Op{
		ID: "startRunAlias", Method: http.MethodPost, Path: "/agents/{agentId}/run", Tag: "runs", Status: http.StatusCreated,
		Example: `{"task":"Renew the subscription."}`, Statuses: []int{http.StatusPaymentRequired},
		Summary: "Give an agent a task, by another address", Permission: account.AgentsWrite, Description: how,
	}, f.startRun)

	httpx.Register(f.Face, httpx.Op{
		ID: "listRuns", Method: http.MethodGet, Path: "/agents/{agentId}/runs", Tag: "runs",
		Summary: "List an agent's runs, newest first", Permission: account.AgentsRead,
	}, func(ctx context.Context, in *listRunsInput) (*output[listWire[runWire]], error) {
		a, err := in.AgentInput.read()
		if err != nil {
			return nil, err
		}
		p, err := f.deps.Tasks.List(ctx, httpx.Scope(ctx), task.ListRequest{Agent: a, Status: task.Status(in.Status), Page: in.request()})
		if err != nil {
			return nil, err
		}
		return listOf(in.PageQuery, p, showRun), nil
	})

	httpx.Register(f.Face, httpx.Op{
		ID: "getRun", Method: http.MethodGet, Path: "/agents/{agentId}/runs/{runId}", Tag: "runs",
		Summary: "Read a run", Permission: account.AgentsRead,
	}, func(ctx context.Context, in *runInput) (*output[runWire], error) {
		a, err := in.AgentInput.read()
		if err != nil {
			return nil, err
		}
		run, err := id.Parse[id.RunKind](in.RunID)
		if err != nil {
			return nil, err
		}
		r, err := f.deps.Tasks.Get(ctx, httpx.Scope(ctx), a, run)
		if err != nil {
			return nil, err
		}
		return ok(showRun(r)), nil
	})
}

func (f *face) startRun(ctx context.Context, in *startRunInput) (*output[runWire], error) {
	a, err := in.AgentInput.read()
	if err != nil {
		return nil, err
	}
	r, err := f.deps.Tasks.Start(ctx, httpx.Scope(ctx), task.StartRequest{
		Agent: a, Task: in.Body.Task, Context: in.Body.Context, Wait: time.Duration(in.Wait) * time.Second,
	})
	if err != nil {
		return nil, err
	}
	return ok(showRun(r)), nil
}
