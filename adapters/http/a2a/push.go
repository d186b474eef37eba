package a2a

import (
	"context"
	"encoding/json"
	"errors"

	"github.com/a2aproject/a2a-go/v2/a2a"
	"github.com/a2aproject/a2a-go/v2/a2acompat/a2av0"

	"github.com/bureau-agents/bureau/adapters/http/internal/httpx"
	tasks "github.com/bureau-agents/bureau/core/a2a"
	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/secret"
)

// pushFrom reads a configuration, for callers of whichever version.
func pushFrom(c *a2a.PushConfig, legacy bool) tasks.NewPush {
	n := tasks.NewPush{ID: c.ID, URL: c.URL, Token: secret.NewValue(c.Token), Protocol: tasks.Push10}
	if c.Auth != nil {
		n.Scheme, n.Credentials = c.Auth.Scheme, secret.NewValue(c.Auth.Credentials)
	}
	if legacy {
		n.Protocol, n.ReplaceFirst = tasks.Push03, true
	}
	return n
}

// wrapPush returns what the SDK reads as a request of 0.3 for a configuration. By the protocol's own mapping to HTTP the body is the configuration of the
// task, and the rest of the request stands in the address; the SDK wants the whole request in the body, which is left alone where it is that.
func wrapPush(body []byte, config string) []byte {
	var said map[string]json.RawMessage
	if json.Unmarshal(body, &said) != nil || said == nil || said["config"] != nil {
		return body // or what is for the SDK to refuse
	}
	whole, err := json.Marshal(struct {
		Config json.RawMessage `json:"config"`
		ID     string          `json:"configId,omitempty"`
	}{body, config})
	if err != nil {
		return body
	}
	return whole
}

// pushOf shows a configuration. What it authenticates with is not shown, not even to who gave it.
func pushOf(c tasks.PushConfig) *a2a.PushConfig {
	out := &a2a.PushConfig{TaskID: a2a.TaskID(c.Task.String()), ID: c.ID, URL: c.URL}
	if c.Scheme != "" {
		out.Auth = &a2a.PushAuthInfo{Scheme: c.Scheme}
	}
	return out
}

// pushed returns what a message with a push notification configuration does once it has begun a task; nil for none.
func (h *handler) pushed(ctx context.Context, c *a2a.PushConfig) (func(context.Context, tasks.Task) error, error) {
	if c == nil {
		return nil, nil
	}
	n := pushFrom(c, callOf(ctx).legacy)
	if err := h.deps.Pushes.Check(n); err != nil {
		return nil, h.failure(ctx, err)
	}
	sc := httpx.Scope(ctx)
	return func(ctx context.Context, t tasks.Task) error {
		_, err := h.deps.Pushes.Set(ctx, sc, t, n)
		return err
	}, nil
}

// owned returns the task that a request about configurations names.
func (h *handler) owned(ctx context.Context, spelled a2a.TaskID) (tasks.Task, error) {
	task, err := taskID(spelled)
	if err != nil {
		return tasks.Task{}, err
	}
	t, err := h.deps.Tasks.Get(ctx, httpx.Scope(ctx), callOf(ctx).agent, task)
	if err != nil {
		return tasks.Task{}, h.failure(ctx, err)
	}
	return t, nil
}

// GetTaskPushConfig implements a2asrv.RequestHandler.
func (h *handler) GetTaskPushConfig(ctx context.Context, req *a2a.GetTaskPushConfigRequest) (*a2a.PushConfig, error) {
	t, err := h.owned(ctx, req.TaskID)
	if err != nil {
		return nil, err
	}
	c, err := h.deps.Pushes.Get(ctx, httpx.Scope(ctx), t.ID, req.ID)
	if err != nil {
		return nil, h.failure(ctx, err)
	}
	return pushOf(c), nil
}

// ListTaskPushConfigs implements a2asrv.RequestHandler. A task has so few that they are one page.
func (h *handler) ListTaskPushConfigs(ctx context.Context, req *a2a.ListTaskPushConfigRequest) (*a2a.ListTaskPushConfigResponse, error) {
	t, err := h.owned(ctx, req.TaskID)
	if err != nil {
		return nil, err
	}
	if req.PageToken != "" {
		return nil, a2a.NewError(a2a.ErrInvalidParams, "pageToken is none that this server gave: there is one page")
	}
	all, err := h.deps.Pushes.List(ctx, httpx.Scope(ctx), t.ID)
	if err != nil {
		return nil, h.failure(ctx, err)
	}
	out := &a2a.ListTaskPushConfigResponse{Configs: make([]*a2a.PushConfig, len(all))}
	for i, c := range all {
		out.Configs[i] = pushOf(c)
	}
	return out, nil
}

// CreateTaskPushConfig implements a2asrv.RequestHandler.
func (h *handler) CreateTaskPushConfig(ctx context.Context, req *a2a.PushConfig) (*a2a.PushConfig, error) {
	t, err := h.owned(ctx, req.TaskID)
	if err != nil {
		return nil, err
	}
	c, err := h.deps.Pushes.Set(ctx, httpx.Scope(ctx), t, pushFrom(req, callOf(ctx).legacy))
	if err != nil {
		return nil, h.failure(ctx, err)
	}
	return pushOf(c), nil
}

// DeleteTaskPushConfig implements a2asrv.RequestHandler. Deleting what is not there is no error (A2A 1.0, 3.1.10).
func (h *handler) DeleteTaskPushConfig(ctx context.Context, req *a2a.DeleteTaskPushConfigRequest) error {
	t, err := h.owned(ctx, req.TaskID)
	if err != nil {
		return err
	}
	err = h.deps.Pushes.Delete(ctx, httpx.Scope(ctx), t.ID, req.ID)
	if err != nil && !errors.Is(err, tasks.ErrPushNotFound) {
		return h.failure(ctx, err)
	}
	return nil
}

// PushWriter writes changes of tasks as the versions of the protocol post them.
type PushWriter struct {
	Tasks *tasks.Service
	Store tasks.Tasks
	// PublicURL is the server's address, for files that are too large to be posted; "": they are told of only.
	PublicURL string
}

var _ tasks.PushWriter = PushWriter{}

// WritePush implements tasks.PushWriter.
func (w PushWriter) WritePush(ctx context.Context, c tasks.PushConfig, change tasks.PushChange) ([]byte, error) {
	sc := account.System(c.Tenant)
	t, err := w.Store.Get(ctx, sc, c.Task)
	if err != nil {
		return nil, err
	}
	waits := t.State == change.State // what it waited for then is not known any more when it goes on
	t.State, t.Reason, t.Rule, t.UpdatedAt = change.State, change.Reason, change.Rule, change.At
	legacy := c.Protocol == tasks.Push03
	if legacy && change.Artifacts {
		return nil, nil // the task that follows has them
	}
	made := change.Artifacts || legacy && t.State.Terminal()
	content, err := w.Tasks.Content(ctx, sc, t, tasks.ContentOptions{Answer: made, Bytes: made, Asks: waits})
	if err != nil {
		return nil, err
	}
	info := a2a.TaskInfo{TaskID: a2a.TaskID(t.ID.String()), ContextID: t.Context}
	switch {
	case legacy:
		return json.Marshal(a2av0.FromV1Task(taskOf(t, content, w.PublicURL)))
	case change.Artifacts && len(content.Outputs) > 0: // more than one artifact: a change is one notification
		return json.Marshal(a2a.StreamResponse{Event: taskOf(t, content, w.PublicURL)})
	case change.Artifacts && (content.Answer == nil || change.State != tasks.Completed): // what was said before a failure is no answer
		return nil, nil
	case change.Artifacts:
		return json.Marshal(a2a.StreamResponse{Event: chunkOf(info, tasks.Chunk{Text: content.Answer.Text, Last: true})})
	}
	return json.Marshal(a2a.StreamResponse{
		Event: &a2a.TaskStatusUpdateEvent{TaskID: info.TaskID, ContextID: info.ContextID, Status: statusOfTask(t, content.Asks)},
	})
}
