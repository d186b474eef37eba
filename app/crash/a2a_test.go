package crash

import (
	"context"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/a2aproject/a2a-go/v2/a2a"
	"github.com/a2aproject/a2a-go/v2/a2aclient"

	"github.com/bureau-agents/bureau/app/apptest"
)

// keyed sends an API key with each request.
type keyed struct{ key string }

func (k keyed) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("X-Api-Key", k.key)
	return http.DefaultTransport.RoundTrip(r)
}

// TestA2ATasksSurvive kills the server on SQLite while a task of a peer is worked on: the task goes on under its id, the message is answered
// once, and whoever comes back follows it to its end.
func TestA2ATasksSurvive(t *testing.T) {
	models := apptest.NewModels(t)
	s := start(t, []string{"BUREAU_EGRESS_ALLOW=" + models.Host()})[0]
	ctx, cancel := context.WithTimeout(t.Context(), settleTime)
	defer cancel()
	must(t, s.Call(ctx, "POST", "/v1/model_cards", "", map[string]any{
		"model_id": "held", "provider": "ant-compatible", "model": "claude-x", "base_url": models.URL + "/v1/", "api_key": "sk-good-key-0001",
	}, nil))
	var agent struct{ ID string }
	must(t, s.Call(ctx, "POST", "/v1/agents", "", map[string]any{"name": "peerless", "model": "held"}, &agent))
	begun, never := make(chan struct{}, 10), make(chan struct{})
	t.Cleanup(func() { close(never) })
	hold := func(apptest.ModelRequest) []string {
		begun <- struct{}{}
		<-never
		return nil
	}
	models.Reply(hold)

	peer := func() a2aclient.Transport {
		return a2aclient.NewJSONRPCTransport(s.URL+"/a2a/"+agent.ID, &http.Client{Transport: keyed{s.Key}, Timeout: time.Minute})
	}
	message := a2a.NewMessage(a2a.MessageRoleUser, a2a.NewTextPart("Work"))
	send := func(wait bool) *a2a.Task {
		t.Helper()
		out, err := peer().SendMessage(ctx, nil, &a2a.SendMessageRequest{Message: message, Config: &a2a.SendMessageConfig{ReturnImmediately: !wait}})
		must(t, err)
		return out.(*a2a.Task)
	}
	task := send(false)
	<-begun
	s.Kill()
	must(t, s.Restart(ctx))
	<-begun // by whoever took the turn over

	var states []a2a.TaskState
	for e, err := range peer().SubscribeToTask(ctx, nil, &a2a.SubscribeToTaskRequest{ID: task.ID}) {
		if err != nil {
			t.Logf("the stream ended with %v", err) // the server was killed
			break
		}
		switch v := e.(type) {
		case *a2a.Task:
			states = append(states, v.Status.State)
			models.Reply(func(apptest.ModelRequest) []string { return []string{"Done."} })
			s.Kill()
		case *a2a.TaskStatusUpdateEvent:
			states = append(states, v.Status.State)
		}
	}
	if !slices.Equal(states, []a2a.TaskState{a2a.TaskStateWorking}) {
		t.Errorf("the stream told %v", states)
	}
	must(t, s.Restart(ctx))
	if again := send(true); again.ID != task.ID || again.Status.State != a2a.TaskStateCompleted || again.Artifacts[0].Parts[0].Text() != "Done." {
		t.Errorf("%+v", again)
	}
	list, err := peer().ListTasks(ctx, nil, &a2a.ListTasksRequest{})
	must(t, err)
	if list.TotalSize != 1 {
		t.Errorf("one message became %d tasks", list.TotalSize)
	}
}
