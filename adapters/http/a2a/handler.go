package a2a

import (
	"context"
	"iter"

	"github.com/a2aproject/a2a-go/v2/a2a"
	"github.com/a2aproject/a2a-go/v2/a2asrv"

	"github.com/bureau-agents/bureau/adapters/http/internal/httpx"
	tasks "github.com/bureau-agents/bureau/core/a2a"
	"github.com/bureau-agents/bureau/ports/fault"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/page"
)

// handler is the protocol over core/a2a. The agent that a request is for is in its context.
type handler struct{ deps Deps }

var _ a2asrv.RequestHandler = (*handler)(nil)

// GetTask implements a2asrv.RequestHandler.
func (h *handler) GetTask(ctx context.Context, req *a2a.GetTaskRequest) (*a2a.Task, error) {
	history, err := historyOf(req.HistoryLength, -1)
	if err != nil {
		return nil, err
	}
	task, err := taskID(req.ID)
	if err != nil {
		return nil, err
	}
	t, err := h.deps.Tasks.Get(ctx, httpx.Scope(ctx), callOf(ctx).agent, task)
	if err != nil {
		return nil, h.failure(ctx, err)
	}
	return h.whole(ctx, t, history)
}

// ListTasks implements a2asrv.RequestHandler.
func (h *handler) ListTasks(ctx context.Context, req *a2a.ListTasksRequest) (*a2a.ListTasksResponse, error) {
	history, err := historyOf(req.HistoryLength, 0)
	if err != nil {
		return nil, err
	}
	if req.PageSize < 0 || req.PageSize > tasks.MaxTasks {
		return nil, a2a.NewError(a2a.ErrInvalidParams, "pageSize must be between 1 and 100")
	}
	q := tasks.Query{
		Request: page.Request{Limit: req.PageSize, Cursor: req.PageToken, Count: true}, Who: tasks.Who{Agent: callOf(ctx).agent}, Context: req.ContextID,
	}
	if req.Status != "" {
		if q.State = stateFrom(req.Status); q.State == "" {
			return nil, a2a.NewError(a2a.ErrInvalidParams, "status is no state that tasks of this agent can be in")
		}
	}
	if req.StatusTimestampAfter != nil {
		q.Since = *req.StatusTimestampAfter
	}
	p, err := h.deps.Tasks.List(ctx, httpx.Scope(ctx), q)
	if err != nil {
		return nil, h.failure(ctx, err)
	}
	contents, err := h.deps.Tasks.Contents(ctx, httpx.Scope(ctx), p.Items, tasks.ContentOptions{History: history, Answer: req.IncludeArtifacts})
	if err != nil {
		return nil, h.failure(ctx, err)
	}
	out := &a2a.ListTasksResponse{Tasks: make([]*a2a.Task, len(p.Items)), TotalSize: p.Total, PageSize: q.Size(), NextPageToken: p.Next}
	base := h.deps.address(httpx.Request(ctx))
	for i, t := range p.Items {
		out.Tasks[i] = taskOf(t, contents[i], base)
	}
	return out, nil
}

// CancelTask implements a2asrv.RequestHandler.
func (h *handler) CancelTask(ctx context.Context, req *a2a.CancelTaskRequest) (*a2a.Task, error) {
	task, err := taskID(req.ID)
	if err != nil {
		return nil, err
	}
	t, err := h.deps.Tasks.Cancel(ctx, httpx.Scope(ctx), callOf(ctx).agent, task)
	if err != nil {
		return nil, h.failure(ctx, err)
	}
	return h.whole(ctx, t, -1)
}

// SendMessage implements a2asrv.RequestHandler.
func (h *handler) SendMessage(ctx context.Context, req *a2a.SendMessageRequest) (a2a.SendMessageResult, error) {
	m, history, err := h.message(ctx, req)
	if err != nil {
		return nil, err
	}
	sc := httpx.Scope(ctx)
	t, err := h.deps.Tasks.Send(ctx, sc, m)
	if err == nil && (req.Config == nil || !req.Config.ReturnImmediately) {
		t, err = h.deps.Tasks.Wait(ctx, sc, t)
	}
	if err != nil {
		return nil, h.failure(ctx, err)
	}
	return h.whole(ctx, t, history)
}

// SendStreamingMessage implements a2asrv.RequestHandler.
func (h *handler) SendStreamingMessage(ctx context.Context, req *a2a.SendMessageRequest) iter.Seq2[a2a.Event, error] {
	return func(yield func(a2a.Event, error) bool) {
		m, history, err := h.message(ctx, req)
		if err != nil {
			yield(nil, err)
			return
		}
		_, f, err := h.deps.Tasks.Stream(ctx, httpx.Scope(ctx), m)
		if err != nil {
			yield(nil, h.failure(ctx, err))
			return
		}
		defer f.Close()
		if h.first(ctx, f, history, yield) && !f.Task().State.Rests() {
			h.follow(ctx, f, yield)
		}
	}
}

// SubscribeToTask implements a2asrv.RequestHandler.
func (h *handler) SubscribeToTask(ctx context.Context, req *a2a.SubscribeToTaskRequest) iter.Seq2[a2a.Event, error] {
	return func(yield func(a2a.Event, error) bool) {
		task, err := taskID(req.ID)
		if err != nil {
			yield(nil, err)
			return
		}
		f, err := h.deps.Tasks.Subscribe(ctx, httpx.Scope(ctx), callOf(ctx).agent, task)
		if err != nil {
			yield(nil, h.failure(ctx, err))
			return
		}
		defer f.Close()
		if h.first(ctx, f, -1, yield) {
			h.follow(ctx, f, yield)
		}
	}
}

// first tells a task as it is when the following begins.
func (h *handler) first(ctx context.Context, f *tasks.Follow, history int, yield func(a2a.Event, error) bool) bool {
	c, err := h.content(ctx, f.Task(), history)
	if err != nil {
		yield(nil, err)
		return false
	}
	f.Told(c.Outputs)
	return yield(taskOf(f.Task(), c, h.deps.address(httpx.Request(ctx))), nil)
}

// follow tells what happens to a task.
func (h *handler) follow(ctx context.Context, f *tasks.Follow, yield func(a2a.Event, error) bool) {
	info := a2a.TaskInfo{TaskID: a2a.TaskID(f.Task().ID.String()), ContextID: f.Task().Context}
	room := int64(tasks.MaxOutputsSize)
	for u, err := range f.Updates(ctx) {
		if err != nil {
			if ctx.Err() == nil {
				yield(nil, h.failure(ctx, err))
			}
			return
		}
		var event a2a.Event
		switch {
		case u.Chunk != nil:
			event = chunkOf(info, *u.Chunk)
		case u.Output != nil:
			made := []tasks.Output{*u.Output}
			if room, err = h.deps.Tasks.FillOutputs(ctx, httpx.Scope(ctx), made, room); err != nil {
				yield(nil, h.failure(ctx, err))
				return
			}
			event = madeOf(info, artifactOf(f.Task(), made[0], h.deps.address(httpx.Request(ctx))))
		default:
			c, err := h.deps.Tasks.Content(ctx, httpx.Scope(ctx), *u.Task, tasks.ContentOptions{Asks: true})
			if err != nil {
				yield(nil, h.failure(ctx, err))
				return
			}
			event = &a2a.TaskStatusUpdateEvent{TaskID: info.TaskID, ContextID: info.ContextID, Status: statusOfTask(*u.Task, c.Asks)}
		}
		if !yield(event, nil) {
			return
		}
	}
}

// whole returns a task with what is in it.
func (h *handler) whole(ctx context.Context, t tasks.Task, history int) (*a2a.Task, error) {
	c, err := h.content(ctx, t, history)
	if err != nil {
		return nil, err
	}
	return taskOf(t, c, h.deps.address(httpx.Request(ctx))), nil
}

// content reads all that whoever has a task is shown of it.
func (h *handler) content(ctx context.Context, t tasks.Task, history int) (tasks.Content, error) {
	c, err := h.deps.Tasks.Content(ctx, httpx.Scope(ctx), t, tasks.ContentOptions{History: history, Answer: true, Bytes: true, Asks: true})
	if err != nil {
		return tasks.Content{}, h.failure(ctx, err)
	}
	return c, nil
}

// taskID reads the id of a task. One that cannot be read is one that nobody has.
func taskID(spelled a2a.TaskID) (id.Turn, error) {
	if spelled == "" {
		return id.Turn{}, a2a.NewError(a2a.ErrInvalidParams, "id: is required")
	}
	t, err := id.Parse[id.TurnKind](string(spelled))
	if e, ok := fault.As(err); ok {
		return t, a2a.NewError(a2a.ErrTaskNotFound, e.Message)
	}
	return t, err
}

// historyOf reads how many messages of a history are asked for.
func historyOf(n *int, unset int) (int, error) {
	switch {
	case n == nil:
		return unset, nil
	case *n < 0:
		return 0, a2a.NewError(a2a.ErrInvalidParams, "historyLength must not be negative")
	}
	return *n, nil
}
