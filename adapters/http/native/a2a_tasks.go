package native

import (
	"context"
	"net/http"

	"github.com/bureau-agents/bureau/adapters/http/internal/httpx"
	"github.com/bureau-agents/bureau/core/a2a"
	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/page"
)

// PeerTasks are what A2A peers asked of agents; *a2a.Service has them.
type PeerTasks interface {
	OfAgent(ctx context.Context, sc account.Scope, q a2a.AgentQuery) (page.Page[a2a.Task], error)
	Find(ctx context.Context, sc account.Scope, task id.Turn) (a2a.Task, error)
	Outputs(ctx context.Context, sc account.Scope, tasks []a2a.Task) (map[id.Turn][]a2a.Output, error)
}

// peerTaskWire is a task as it is answered. Every field is always there.
type peerTaskWire struct {
	ID        string         `json:"id" doc:"turn_...; the id of the task in A2A, and of its turn."`
	Type      string         `json:"type" enum:"a2a_task"`
	AgentID   string         `json:"agent_id"`
	APIKeyID  string         `json:"api_key_id" doc:"The peer."`
	ContextID string         `json:"context_id" doc:"The conversation as the peer names it."`
	SessionID *string        `json:"session_id" doc:"Where it is worked on; null: it was rejected before."`
	EventID   *string        `json:"event_id" doc:"The event in the session's log that its message became."`
	State     string         `json:"state" enum:"submitted,working,input-required,completed,failed,canceled,rejected"`
	Reason    *string        `json:"reason" doc:"Why it is in that state, where there is something to say."`
	Rule      *string        `json:"rule" doc:"The policy field or rule that ended it."`
	Files     []peerFileWire `json:"files" nullable:"false" doc:"What the agent made for it; the first 100."`
	CreatedAt stamp          `json:"created_at"`
	UpdatedAt stamp          `json:"updated_at" doc:"When its state changed last."`
}

type peerFileWire struct {
	FileID    string `json:"file_id" doc:"It may be gone by now."`
	Path      string `json:"path" doc:"Below /mnt/session/outputs."`
	Filename  string `json:"filename"`
	MediaType string `json:"media_type"`
	SizeBytes int64  `json:"size_bytes"`
}

func showPeerTask(t a2a.Task, made []a2a.Output) peerTaskWire {
	w := peerTaskWire{
		ID: t.ID.String(), Type: "a2a_task", AgentID: t.Agent.String(), APIKeyID: t.Key.String(), ContextID: t.Context,
		SessionID: textOrNull(t.Session.String()), EventID: textOrNull(t.Event.String()), State: string(t.State), Reason: textOrNull(t.Reason),
		Rule: textOrNull(t.Rule), Files: make([]peerFileWire, len(made)), CreatedAt: stampOf(t.CreatedAt), UpdatedAt: stampOf(t.UpdatedAt),
	}
	for i, o := range made {
		w.Files[i] = peerFileWire{o.File.String(), o.Path, o.Name, o.MediaType, o.Size}
	}
	return w
}

type listPeerTasksInput struct {
	AgentID string `path:"agent_id" doc:"The agent's id."`
	httpx.PageQuery

	State     string `query:"state" enum:"submitted,working,input-required,completed,failed,canceled,rejected" doc:"Only tasks in this state."`
	ContextID string `query:"context_id" maxLength:"255" doc:"Only tasks of this conversation, as peers name it."`
	APIKeyID  string `query:"api_key_id" maxLength:"128" doc:"Only tasks of this peer."`
}

func (in *listPeerTasksInput) query() (q a2a.AgentQuery, err error) {
	q = a2a.AgentQuery{Request: in.Request(), State: a2a.State(in.State), Context: in.ContextID}
	if q.Agent, err = id.Parse[id.AgentKind](in.AgentID); err == nil && in.APIKeyID != "" {
		q.Key, err = id.Parse[id.APIKeyKind](in.APIKeyID)
	}
	return q, err
}

type peerTaskInput struct {
	TaskID string `path:"a2a_task_id" doc:"The task's id."`
}

func (f *face) registerPeerTasks() {
	httpx.Register(f.Face, httpx.Op{
		ID: "listPeerTasks", Method: http.MethodGet, Path: "/v1/agents/{agent_id}/a2a_tasks", Tag: "agents",
		Summary: "List what A2A peers asked of an agent, newest first", Permission: account.AgentsRead,
		Description: "What was said is in the session's log. Tasks whose session was deleted are not listed.",
	}, func(ctx context.Context, in *listPeerTasksInput) (*output[httpx.List[peerTaskWire]], error) {
		q, err := in.query()
		if err != nil {
			return nil, err
		}
		found, err := f.deps.PeerTasks.OfAgent(ctx, httpx.Scope(ctx), q)
		if err != nil {
			return nil, err
		}
		made, err := f.deps.PeerTasks.Outputs(ctx, httpx.Scope(ctx), found.Items)
		if err != nil {
			return nil, err
		}
		return ok(httpx.NewList(found, func(t a2a.Task) peerTaskWire { return showPeerTask(t, made[t.ID]) })), nil
	})

	httpx.Register(f.Face, httpx.Op{
		ID: "getPeerTask", Method: http.MethodGet, Path: "/v1/a2a_tasks/{a2a_task_id}", Tag: "agents", Summary: "Read what an A2A peer asked of an agent",
		Permission: account.AgentsRead,
	}, func(ctx context.Context, in *peerTaskInput) (*output[peerTaskWire], error) {
		of, err := id.Parse[id.TurnKind](in.TaskID)
		if err != nil {
			return nil, err
		}
		t, err := f.deps.PeerTasks.Find(ctx, httpx.Scope(ctx), of)
		if err != nil {
			return nil, err
		}
		made, err := f.deps.PeerTasks.Outputs(ctx, httpx.Scope(ctx), []a2a.Task{t})
		if err != nil {
			return nil, err
		}
		return ok(showPeerTask(t, made[t.ID])), nil
	})
}
