package app_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/a2aproject/a2a-go/v2/a2a"
	"github.com/a2aproject/a2a-go/v2/a2aclient"
	"github.com/a2aproject/a2a-go/v2/a2acompat/a2av0"

	"github.com/bureau-agents/bureau/app"
	"github.com/bureau-agents/bureau/app/apptest"
)

const a2aPrefix = "/a2a"

// keyed sends an API key with each request.
type keyed struct{ key string }

func (k keyed) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("Authorization", "Bearer "+k.key)
	return http.DefaultTransport.RoundTrip(r)
}

// a2aBindings are the ways in which an agent can be talked to, by the official client.
var a2aBindings = map[string]func(base string, c *http.Client) (a2aclient.Transport, error){
	"1.0 JSON-RPC": func(base string, c *http.Client) (a2aclient.Transport, error) {
		return a2aclient.NewJSONRPCTransport(base, c), nil
	},
	"1.0 HTTP+JSON": func(base string, c *http.Client) (a2aclient.Transport, error) {
		u, err := url.Parse(base)
		return a2aclient.NewRESTTransport(u, c), err
	},
	"0.3 JSON-RPC": func(base string, c *http.Client) (a2aclient.Transport, error) {
		return a2av0.NewJSONRPCTransport(a2av0.JSONRPCTransportConfig{URL: base, Client: c}), nil
	},
	"0.3 HTTP+JSON": func(base string, c *http.Client) (a2aclient.Transport, error) {
		return a2av0.NewRESTTransport(a2av0.RESTTransportConfig{URL: base, Client: c})
	},
}

// a2aPeer is a program that talks to an agent.
type a2aPeer struct {
	t   *testing.T
	ctx context.Context
	to  a2aclient.Transport
	url string
	// params are the headers that the protocol asks for.
	params a2aclient.ServiceParams
}

func newA2APeer(t *testing.T, s *apptest.Server, binding string, api *apptest.Client, agent string) *a2aPeer {
	t.Helper()
	base := s.URL + a2aPrefix + "/" + agent
	to, err := a2aBindings[binding](base, &http.Client{Transport: keyed{api.Key()}, Timeout: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	return &a2aPeer{t: t, ctx: ctx, to: to, url: base, params: a2aclient.ServiceParams{"A2A-Version": {binding[:3]}}}
}

func says(parts ...*a2a.Part) *a2a.Message { return a2a.NewMessage(a2a.MessageRoleUser, parts...) }

func saysText(text string) *a2a.Message { return says(a2a.NewTextPart(text)) }

func in(m *a2a.Message, task *a2a.Task) *a2a.Message {
	m.TaskID, m.ContextID = task.ID, task.ContextID
	return m
}

// try sends a message and waits for what comes of it.
func (p *a2aPeer) try(m *a2a.Message) (*a2a.Task, error) {
	p.t.Helper()
	out, err := p.to.SendMessage(p.ctx, p.params, &a2a.SendMessageRequest{Message: m, Config: &a2a.SendMessageConfig{}})
	if err != nil {
		return nil, err
	}
	task, ok := out.(*a2a.Task)
	if !ok {
		p.t.Fatalf("%T", out)
	}
	return task, nil
}

func (p *a2aPeer) send(m *a2a.Message) *a2a.Task {
	p.t.Helper()
	task, err := p.try(m)
	if err != nil {
		p.t.Fatalf("send: %v", err)
	}
	return task
}

// begin sends a message and does not wait.
func (p *a2aPeer) begin(m *a2a.Message) *a2a.Task {
	p.t.Helper()
	out, err := p.to.SendMessage(p.ctx, p.params, &a2a.SendMessageRequest{Message: m, Config: &a2a.SendMessageConfig{ReturnImmediately: true}})
	if err != nil {
		p.t.Fatalf("begin: %v", err)
	}
	return out.(*a2a.Task)
}

func (p *a2aPeer) get(task a2a.TaskID) *a2a.Task {
	p.t.Helper()
	out, err := p.to.GetTask(p.ctx, p.params, &a2a.GetTaskRequest{ID: task})
	if err != nil {
		p.t.Fatalf("get: %v", err)
	}
	return out
}

// followed is what a stream told.
type followed struct {
	first  *a2a.Task
	states []a2a.TaskState
	chunks []*a2a.TaskArtifactUpdateEvent
	last   a2a.TaskStatus
}

func (f *followed) take(t *testing.T, e a2a.Event) {
	t.Helper()
	switch v := e.(type) {
	case *a2a.Task:
		if f.first != nil {
			t.Error("a second task in a stream")
		}
		f.first, f.last = v, v.Status
	case *a2a.TaskStatusUpdateEvent:
		f.states, f.last = append(f.states, v.Status.State), v.Status
	case *a2a.TaskArtifactUpdateEvent:
		f.chunks = append(f.chunks, v)
	default:
		t.Errorf("%T in a stream", e)
	}
}

// text is the artifact as a reader has it at the end.
func (f *followed) text() string {
	var b strings.Builder
	for _, c := range f.chunks {
		if !c.Append {
			b.Reset()
		}
		b.WriteString(textIn(c.Artifact.Parts))
	}
	return b.String()
}

func textIn(parts a2a.ContentParts) string {
	var b strings.Builder
	for _, p := range parts {
		b.WriteString(p.Text())
	}
	return b.String()
}

func answerIn(t *testing.T, task *a2a.Task) string {
	t.Helper()
	if len(task.Artifacts) != 1 {
		t.Fatalf("%d artifacts: %+v", len(task.Artifacts), task)
	}
	return textIn(task.Artifacts[0].Parts)
}

func reason(s a2a.TaskStatus) string {
	if s.Message == nil {
		return ""
	}
	return textIn(s.Message.Parts)
}

func wantState(t *testing.T, task *a2a.Task, want a2a.TaskState) {
	t.Helper()
	if task.Status.State != want {
		t.Fatalf("the task is %s (%s), want %s", task.Status.State, reason(task.Status), want)
	}
}

// scripted is an agent whose model says what the test wants.
func scripted(t *testing.T, s *apptest.Server, api *apptest.Client, extra m) string {
	t.Helper()
	api.Call("POST", "/v1/model_cards", m{
		"model_id": "scripted", "provider": "ant-compatible", "model": "claude-x", "base_url": s.Models.URL + "/v1/", "api_key": "sk-good-key-0001",
	}, nil)
	return agentWith(t, api, m{"model": "scripted"}, extra)
}

func agentWith(t *testing.T, api *apptest.Client, bodies ...m) string {
	t.Helper()
	all := m{"name": "peerless", "model": "offline", "description": "Answers."}
	for _, b := range bodies {
		for k, v := range b {
			all[k] = v
		}
	}
	var made struct{ ID string }
	api.Call("POST", "/v1/agents", all, &made)
	return made.ID
}

// TestA2A talks to agents with the official Go client, in both bindings and both versions.
func TestA2A(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(t *testing.T, cfg apptest.Config) {
		s := apptest.Start(t, cfg)
		api := s.Admin.In(t)
		agent := scripted(t, s, api, nil)
		tools := agentWith(t, api, m{"tools": []m{
			{"type": "custom", "name": "look_up", "description": "Looks something up", "input_schema": m{"type": "object"}},
		}})
		for binding := range a2aBindings {
			t.Run(binding, func(t *testing.T) {
				p := newA2APeer(t, s, binding, s.Admin, agent)
				p.t = t
				t.Run("send", func(t *testing.T) { testA2ASend(t, s, p) })
				t.Run("stream", func(t *testing.T) { testA2AStream(t, s, p) })
				t.Run("cancel", func(t *testing.T) { testA2ACancel(t, s, p) })
				t.Run("subscribe", func(t *testing.T) { testA2ASubscribe(t, s, p) })
				t.Run("refusals", func(t *testing.T) { testA2ARefusals(t, p) })
				t.Run("input", func(t *testing.T) { testA2AInput(t, newA2APeer(t, s, binding, s.Admin, tools)) })
			})
		}
	})
}

func testA2ASend(t *testing.T, s *apptest.Server, p *a2aPeer) {
	s.Models.Reply(func(r apptest.ModelRequest) []string { return []string{"It is ", "blue."} })
	m := saysText("What colour is the sky?")
	task := p.send(m)
	wantState(t, task, a2a.TaskStateCompleted)
	if got := answerIn(t, task); got != "It is blue." {
		t.Errorf("%q", got)
	}
	if task.ContextID == "" || len(task.History) != 1 || task.History[0].ID != m.ID || task.History[0].Role != a2a.MessageRoleUser ||
		textIn(task.History[0].Parts) != "What colour is the sky?" || task.Status.Timestamp == nil {
		t.Errorf("%+v", task)
	}
	if again := p.send(m); again.ID != task.ID {
		t.Errorf("the same message began %s beside %s", again.ID, task.ID)
	}
	other := saysText("Something else")
	other.ID = m.ID
	if _, err := p.try(other); !errors.Is(err, a2a.ErrInvalidParams) {
		t.Errorf("another message under the same id: %v", err)
	}
	// The context goes on: the model is shown what was said before.
	var seen string
	s.Models.Reply(func(r apptest.ModelRequest) []string { seen = r.Body; return []string{"Yes."} })
	next := saysText("Always?")
	next.ContextID = task.ContextID
	second := p.send(next)
	if second.ContextID != task.ContextID || second.ID == task.ID || !strings.Contains(seen, "It is blue.") {
		t.Errorf("%+v after %q", second, seen)
	}
	// A context of the client's own is kept.
	own := saysText("Hello")
	own.ContextID = "my-context " + t.Name()
	if got := p.send(own); got.ContextID != own.ContextID {
		t.Errorf("%q became %q", own.ContextID, got.ContextID)
	}
	if strings.Contains(seen, "blue") {
		t.Error("contexts are mixed")
	}
	zero := 0
	short, err := p.to.GetTask(p.ctx, p.params, &a2a.GetTaskRequest{ID: task.ID, HistoryLength: &zero})
	if err != nil || len(short.History) != 0 || answerIn(t, short) != "It is blue." {
		t.Errorf("%+v, %v", short, err)
	}
	// Files and data reach the model, and are not what it cannot read.
	s.Models.Reply(func(r apptest.ModelRequest) []string { seen = r.Body; return []string{"Read."} })
	file := a2a.NewRawPart([]byte("the secret word is xyzzy"))
	file.Filename, file.MediaType = "note.txt", "text/plain"
	task = p.send(says(a2a.NewTextPart("Read"), file, a2a.NewDataPart(map[string]any{"colour": "teal"})))
	if wantState(t, task, a2a.TaskStateCompleted); !strings.Contains(seen, "xyzzy") || !strings.Contains(seen, "teal") {
		t.Errorf("the model saw %s", seen)
	}
	zip := a2a.NewRawPart([]byte{'P', 'K', 3, 4, 0xff})
	zip.MediaType = "application/zip"
	if _, err := p.try(says(zip)); !errors.Is(err, a2a.ErrUnsupportedContentType) {
		t.Errorf("a zip: %v", err)
	}
	// A message that refers to a task of another context is read with what was answered there. HTTP+JSON of 0.3 has no place for that.
	if strings.Contains(t.Name(), "0.3_HTTP") {
		return
	}
	refers := saysText("What did you say?")
	refers.ReferenceTasks = []a2a.TaskID{second.ID}
	p.send(refers)
	if !strings.Contains(seen, "\\u003e Yes.") && !strings.Contains(seen, "> Yes.") {
		t.Errorf("the model saw %s", seen)
	}
}

func testA2AStream(t *testing.T, s *apptest.Server, p *a2aPeer) {
	s.Models.Reply(func(apptest.ModelRequest) []string { return []string{"One ", "two ", "three."} })
	var f followed
	for e, err := range p.to.SendStreamingMessage(p.ctx, p.params, &a2a.SendMessageRequest{Message: saysText("Count")}) {
		if err != nil {
			t.Fatal(err)
		}
		f.take(t, e)
	}
	if f.first == nil || f.last.State != a2a.TaskStateCompleted || f.text() != "One two three." {
		t.Fatalf("%+v: %q", f, f.text())
	}
	if n := len(f.chunks); n == 0 || !f.chunks[n-1].LastChunk || f.chunks[0].Append || f.chunks[0].Artifact.ID == "" {
		t.Errorf("%d chunks", n)
	}
	if slices.Contains(f.states[:len(f.states)-1], a2a.TaskStateCompleted) {
		t.Errorf("%v", f.states)
	}
	if got := p.get(f.first.ID); answerIn(t, got) != "One two three." || got.Artifacts[0].ID != f.chunks[0].Artifact.ID {
		t.Errorf("%+v", got)
	}
}

// held has the model wait until the test lets it speak; begun says that it was asked.
func held(s *apptest.Server, pieces ...string) (begun chan struct{}, release func()) {
	begun = make(chan struct{}, 10)
	wait := make(chan struct{})
	s.Models.Reply(func(apptest.ModelRequest) []string {
		begun <- struct{}{}
		<-wait
		return pieces
	})
	return begun, func() { close(wait) }
}

func testA2ACancel(t *testing.T, s *apptest.Server, p *a2aPeer) {
	begun, release := held(s, "late")
	defer release()
	first := p.begin(saysText("Work"))
	if first.Status.State.Terminal() || len(first.Artifacts) != 0 {
		t.Errorf("%+v", first)
	}
	<-begun
	queued := saysText("More work")
	queued.ContextID = first.ContextID
	second := p.begin(queued)
	wantState(t, second, a2a.TaskStateSubmitted)
	if _, err := p.try(in(saysText("And this?"), first)); !errors.Is(err, a2a.ErrUnsupportedOperation) {
		t.Errorf("a message to a task that works: %v", err)
	}
	got, err := p.to.CancelTask(p.ctx, p.params, &a2a.CancelTaskRequest{ID: second.ID})
	if err != nil {
		t.Fatal(err)
	}
	wantState(t, got, a2a.TaskStateCanceled)
	wantState(t, p.get(first.ID), a2a.TaskStateWorking)
	if got, err = p.to.CancelTask(p.ctx, p.params, &a2a.CancelTaskRequest{ID: first.ID}); err != nil {
		t.Fatal(err)
	}
	if wantState(t, got, a2a.TaskStateCanceled); reason(got.Status) == "" {
		t.Error("no reason")
	}
	for _, task := range []a2a.TaskID{first.ID, second.ID} {
		if _, err := p.to.CancelTask(p.ctx, p.params, &a2a.CancelTaskRequest{ID: task}); !errors.Is(err, a2a.ErrTaskNotCancelable) {
			t.Errorf("again: %v", err)
		}
	}
	if _, err := p.try(in(saysText("Go on"), first)); !errors.Is(err, a2a.ErrUnsupportedOperation) {
		t.Errorf("a message to a task that is over: %v", err)
	}
}

func testA2ASubscribe(t *testing.T, s *apptest.Server, p *a2aPeer) {
	begun, release := held(s, "At ", "last.")
	task := p.begin(saysText("Work"))
	<-begun
	var f followed
	for e, err := range p.to.SubscribeToTask(p.ctx, p.params, &a2a.SubscribeToTaskRequest{ID: task.ID}) {
		if err != nil {
			t.Fatal(err)
		}
		if f.take(t, e); len(f.states) == 0 && len(f.chunks) == 0 {
			wantState(t, f.first, a2a.TaskStateWorking)
			release()
		}
	}
	if f.last.State != a2a.TaskStateCompleted || f.text() != "At last." {
		t.Errorf("%+v: %q", f, f.text())
	}
	var err error
	for _, err = range p.to.SubscribeToTask(p.ctx, p.params, &a2a.SubscribeToTaskRequest{ID: task.ID}) {
		if err != nil {
			break
		}
	}
	if !errors.Is(err, a2a.ErrUnsupportedOperation) {
		t.Errorf("to a task that is over: %v", err)
	}
}

func testA2ARefusals(t *testing.T, p *a2aPeer) {
	nobody := a2a.TaskID("turn_01jd0000000000000000000000")
	for name, call := range map[string]func() error{
		"get": func() error { _, err := p.to.GetTask(p.ctx, p.params, &a2a.GetTaskRequest{ID: nobody}); return err },
		"cancel": func() error {
			_, err := p.to.CancelTask(p.ctx, p.params, &a2a.CancelTaskRequest{ID: nobody})
			return err
		},
		"odd id": func() error { _, err := p.to.GetTask(p.ctx, p.params, &a2a.GetTaskRequest{ID: "odd"}); return err },
		"send": func() error {
			m := saysText("Hello")
			m.TaskID = nobody
			_, err := p.try(m)
			return err
		},
		"subscribe": func() error {
			for _, err := range p.to.SubscribeToTask(p.ctx, p.params, &a2a.SubscribeToTaskRequest{ID: nobody}) {
				return err
			}
			return nil
		},
	} {
		if err := call(); !errors.Is(err, a2a.ErrTaskNotFound) {
			t.Errorf("%s: %v", name, err)
		}
	}
	agent := a2a.NewMessage(a2a.MessageRoleAgent, a2a.NewTextPart("I am the agent"))
	if _, err := p.try(agent); !errors.Is(err, a2a.ErrInvalidParams) {
		t.Errorf("a message of the agent: %v", err)
	}
	_, err := p.to.SendMessage(p.ctx, p.params, &a2a.SendMessageRequest{
		Message: saysText("Hello"), Config: &a2a.SendMessageConfig{AcceptedOutputModes: []string{"audio/ogg"}},
	})
	if !errors.Is(err, a2a.ErrUnsupportedContentType) {
		t.Errorf("audio: %v", err)
	}
}

func testA2AInput(t *testing.T, p *a2aPeer) {
	task := p.send(saysText("Use the look_up tool"))
	wantState(t, task, a2a.TaskStateInputRequired)
	var asked map[string]any
	for _, part := range task.Status.Message.Parts {
		if d, ok := part.Data().(map[string]any); ok {
			asked = d
		}
	}
	if asked["name"] != "look_up" || asked["type"] != "tool_result" || asked["tool_use_id"] == nil {
		t.Fatalf("%+v", asked)
	}
	answer := in(says(a2a.NewDataPart(map[string]any{"tool_use_id": asked["tool_use_id"], "result": "forty-two"})), task)
	elsewhere := *answer
	elsewhere.ID, elsewhere.ContextID = a2a.NewMessageID(), "another"
	if _, err := p.try(&elsewhere); !errors.Is(err, a2a.ErrInvalidParams) {
		t.Errorf("in another context: %v", err)
	}
	done := p.send(answer)
	if wantState(t, done, a2a.TaskStateCompleted); done.ID != task.ID || !strings.Contains(answerIn(t, done), "forty-two") {
		t.Errorf("%+v", done)
	}
	if len(done.History) < 2 || done.History[len(done.History)-1].ID != answer.ID {
		t.Errorf("the history: %+v", done.History)
	}
	if again := p.send(answer); again.ID != task.ID {
		t.Errorf("the answer again began %s", again.ID)
	}
	// In plain words, and followed.
	task = p.send(saysText("Use the look_up tool"))
	var f followed
	for e, err := range p.to.SendStreamingMessage(p.ctx, p.params, &a2a.SendMessageRequest{Message: in(saysText("seven"), task)}) {
		if err != nil {
			t.Fatal(err)
		}
		f.take(t, e)
	}
	if f.last.State != a2a.TaskStateCompleted || f.first.ID != task.ID {
		t.Errorf("%+v", f)
	}
	canceled := p.send(saysText("Use the look_up tool"))
	got, err := p.to.CancelTask(p.ctx, p.params, &a2a.CancelTaskRequest{ID: canceled.ID})
	if err != nil {
		t.Fatal(err)
	}
	wantState(t, got, a2a.TaskStateCanceled)
}

// TestA2ALists lists tasks: by context and state, page by page, and never those of another key.
func TestA2ALists(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(t *testing.T, cfg apptest.Config) {
		s := apptest.Start(t, cfg)
		agent := agentWith(t, s.Admin)
		p := newA2APeer(t, s, "1.0 JSON-RPC", s.Admin, agent)
		var tasks []a2a.TaskID
		context := ""
		for i := range 5 {
			m := saysText(fmt.Sprintf("Hello number %d", i))
			if i > 2 {
				m.ContextID = context
			}
			task := p.send(m)
			tasks, context = append(tasks, task.ID), task.ContextID
		}
		slices.Reverse(tasks)
		list := func(req a2a.ListTasksRequest) *a2a.ListTasksResponse {
			t.Helper()
			out, err := p.to.ListTasks(p.ctx, p.params, &req)
			if err != nil {
				t.Fatal(err)
			}
			return out
		}
		var got []a2a.TaskID
		for token := ""; ; {
			page := list(a2a.ListTasksRequest{PageSize: 2, PageToken: token})
			if page.TotalSize != 5 || page.PageSize != 2 {
				t.Errorf("%d of %d", page.PageSize, page.TotalSize)
			}
			for _, task := range page.Tasks {
				if got = append(got, task.ID); task.Artifacts != nil || task.History != nil {
					t.Errorf("%+v", task)
				}
			}
			if token = page.NextPageToken; token == "" {
				break
			}
		}
		if !slices.Equal(got, tasks) {
			t.Errorf("%v, want %v", got, tasks)
		}
		one := 1
		whole := list(a2a.ListTasksRequest{ContextID: context, Status: a2a.TaskStateCompleted, IncludeArtifacts: true, HistoryLength: &one})
		if len(whole.Tasks) != 3 || whole.TotalSize != 3 || len(whole.Tasks[0].Artifacts) != 1 || len(whole.Tasks[0].History) != 1 {
			t.Errorf("%+v", whole)
		}
		if n := len(list(a2a.ListTasksRequest{Status: a2a.TaskStateFailed}).Tasks); n != 0 {
			t.Errorf("%d failed", n)
		}
		since := *whole.Tasks[0].Status.Timestamp
		if n := list(a2a.ListTasksRequest{StatusTimestampAfter: &since}); len(n.Tasks) != 1 || n.Tasks[0].ID != tasks[0] {
			t.Errorf("since %s: %+v", since, n)
		}
		for name, req := range map[string]a2a.ListTasksRequest{
			"a page of 101": {PageSize: 101}, "a negative page": {PageSize: -1}, "no token": {PageToken: "odd"}, "no state": {Status: "odd"},
		} {
			if _, err := p.to.ListTasks(p.ctx, p.params, &req); !errors.Is(err, a2a.ErrInvalidParams) {
				t.Errorf("%s: %v", name, err)
			}
		}

		// Another key of the tenant is another peer.
		var made struct{ Key string }
		s.Admin.Call("POST", "/v1/api_keys", m{"name": "other", "scopes": []string{"chat"}}, &made)
		other := newA2APeer(t, s, "1.0 JSON-RPC", s.As(made.Key), agent)
		if page, err := other.to.ListTasks(other.ctx, other.params, &a2a.ListTasksRequest{}); err != nil || page.TotalSize != 0 || len(page.Tasks) != 0 {
			t.Errorf("%+v, %v", page, err)
		}
		if _, err := other.to.GetTask(other.ctx, other.params, &a2a.GetTaskRequest{ID: tasks[0]}); !errors.Is(err, a2a.ErrTaskNotFound) {
			t.Errorf("another key's task: %v", err)
		}
		m := saysText("What did we talk about?")
		m.ContextID = context
		if theirs := other.send(m); theirs.ContextID != context {
			t.Errorf("%+v", theirs)
		}
		if page := list(a2a.ListTasksRequest{ContextID: context}); page.TotalSize != 3 {
			t.Errorf("another key spoke in the context: %+v", page)
		}
	})
}

// call sends a JSON-RPC request as it is.
func callA2A(t *testing.T, api *apptest.Client, agent, method string, params any, headers ...string) (status int, code int, message string, result m) {
	t.Helper()
	a := api.In(t).Do("POST", a2aPrefix+"/"+agent, m{"jsonrpc": "2.0", "id": "7", "method": method, "params": params}, headers...)
	var out struct {
		ID     string
		Result m
		Error  struct {
			Code    int
			Message string
		}
	}
	if err := json.Unmarshal(a.Body, &out); err != nil {
		t.Fatalf("%s: %v in %s", method, err, a.Body)
	}
	if a.Status == http.StatusOK && out.ID != "7" {
		t.Errorf("%s: the id is %q", method, out.ID)
	}
	return a.Status, out.Error.Code, out.Error.Message, out.Result
}

// TestA2AVersions says which version a call is read as, and which are refused.
func TestA2AVersions(t *testing.T) {
	t.Parallel()
	s := apptest.Start(t, apptest.Config{})
	agent := agentWith(t, s.Admin)
	get := m{"id": "turn_01jd0000000000000000000000"}
	for _, tc := range []struct {
		method, version string
		code            int
	}{
		{"GetTask", "", -32001}, {"tasks/get", "", -32001},
		{"GetTask", "1.0", -32001}, {"GetTask", "1.0.1", -32001}, {"tasks/get", "0.3", -32001}, {"tasks/get", "0.3.0", -32001},
		{"tasks/get", "1.0", -32601}, {"GetTask", "0.3", -32601},
		{"GetTask", "2.0", -32009}, {"tasks/get", "0.2.6", -32009}, {"Odd", "", -32601}, {"odd/odd", "", -32601}, {"", "", -32600},
	} {
		var headers []string
		if tc.version != "" {
			headers = []string{"A2A-Version: " + tc.version, "A2A-Extensions: https://example.com/x"}
		}
		if status, code, message, _ := callA2A(t, s.Admin, agent, tc.method, get, headers...); status != http.StatusOK || code != tc.code {
			t.Errorf("%s of %q: %d, %d %s, want %d", tc.method, tc.version, status, code, message, tc.code)
		}
	}
	for body, want := range map[string]int{
		"{": -32700, `{"jsonrpc":"2.0","id":"7","method":"GetTask","id":"8"}`: -32700, `{"jsonrpc":"1.0","id":"7","method":"GetTask"}`: -32600,
		`{"jsonrpc":"2.0","id":"7","method":"SendMessage","params":{"message":7}}`:                                               -32602,
		`{"jsonrpc":"2.0","id":"7","method":"SendMessage","params":{"message":{"messageId":"1","role":"ROLE_USER","parts":[]}}}`: -32602,
		`{"jsonrpc":"2.0","id":"7","method":"SendMessage","params":{}}`:                                                          -32602,
		`{"jsonrpc":"2.0","id":"7","method":"SendMessage"}`:                                                                      -32602,
		`{"jsonrpc":"2.0","id":"7","method":"message/send"}`:                                                                     -32602,
		` { "jsonrpc":"2.0","id":"7","method":"GetTask"}`:                                                                        -32602,
		`{"jsonrpc":"2.0","id":"7","method":"ListTasks","params":{"statusTimestampAfter":"yesterday"}}`:                          -32602,
		`{"jsonrpc":"2.0","id":"7","method":"GetTask","params":"odd"}`:                                                           -32602,
		` [{"jsonrpc":"2.0","id":"7","method":"ListTasks"}]`:                                                                     -32600, `"odd"`: -32600, "7": -32600, " {}": -32600,
	} {
		a := s.Admin.Do("POST", a2aPrefix+"/"+agent, body)
		var out struct{ Error struct{ Code int } }
		if err := json.Unmarshal(a.Body, &out); err != nil || a.Status != http.StatusOK || out.Error.Code != want {
			t.Errorf("%s: %d %s, want %d", body, a.Status, a.Body, want)
		}
	}
	for path, want := range map[string]int{
		"/tasks/turn_01jd0000000000000000000000": 404, "/v1/tasks/turn_01jd0000000000000000000000": 404, "/tasks/odd:odd": 404, "/odd": 404,
		"/tasks?pageSize=101": 400, "/tasks?pageSize=odd": 400, "/tasks/turn_01jd0000000000000000000000:subscribe": 404,
	} {
		if a := s.Admin.Do("GET", a2aPrefix+"/"+agent+path, nil); a.Status != want || a.Header.Get("Content-Type") != "application/json" {
			t.Errorf("%s: %d %s %s, want %d", path, a.Status, a.Header.Get("Content-Type"), a.Body, want)
		}
	}
	for path, version := range map[string]string{"/tasks": "0.3", "/v1/tasks": "1.0", "/tasks?A2A-Version=3": ""} {
		a := s.Admin.Do("GET", a2aPrefix+"/"+agent+path, nil, "A2A-Version: "+version)
		if a.Status != http.StatusBadRequest || !strings.Contains(string(a.Body), "VERSION_NOT_SUPPORTED") ||
			!strings.Contains(string(a.Body), "FAILED_PRECONDITION") || !strings.Contains(string(a.Body), `"requestId":"req_`) {
			t.Errorf("%s in %q: %d %s", path, version, a.Status, a.Body)
		}
	}
}

// TestA2AGuards tries what keys may not do, and what belongs to others.
func TestA2AGuards(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(t *testing.T, cfg apptest.Config) {
		s := apptest.Start(t, cfg)
		agent := agentWith(t, s.Admin)
		task := newA2APeer(t, s, "1.0 JSON-RPC", s.Admin, agent).send(saysText("Hello")).ID
		var tenant struct {
			APIKey string `json:"api_key"`
		}
		s.Admin.Call("POST", "/v1/tenants", m{"name": "stranger"}, &tenant)
		var narrow struct{ Key string }
		s.Admin.Call("POST", "/v1/api_keys", m{"scopes": []string{"agents:read"}}, &narrow)
		unknown := "agent_01jd0000000000000000000000"
		for _, tc := range []struct {
			who, agent string
			api        *apptest.Client
			status     int
		}{
			{"nobody", agent, s.As(""), 401},
			{"a bad key", agent, s.As("sk-odd"), 401},
			{"a key without chat", agent, s.As(narrow.Key), 403},
			{"another tenant", agent, s.As(tenant.APIKey), 404},
			{"about an unknown agent", unknown, s.Admin, 404},
			{"about what is no agent", "odd", s.Admin, 404},
		} {
			api := tc.api.In(t)
			status, code, message, _ := callA2A(t, api, tc.agent, "GetTask", m{"id": task})
			if status != tc.status || code >= 0 || message == "" {
				t.Errorf("%s: %d, %d %q", tc.who, status, code, message)
			}
			for _, call := range []string{
				"GET /tasks", "GET /tasks/" + string(task), "POST /tasks/" + string(task) + ":cancel", "GET /tasks/" + string(task) + ":subscribe",
				"POST /message:send", "POST /message:stream", "GET /v1/tasks/" + string(task), "POST /v1/message:send",
				"GET /tasks/" + string(task) + "/pushNotificationConfigs", "GET /extendedAgentCard", "GET /v1/card",
			} {
				method, path, _ := strings.Cut(call, " ")
				a := api.Do(method, a2aPrefix+"/"+tc.agent+path, m{"message": m{"messageId": "1", "role": "ROLE_USER", "parts": []m{{"text": "Hello"}}}})
				var out struct {
					Error struct {
						Code    int
						Message string
					}
				}
				if err := json.Unmarshal(a.Body, &out); err != nil || a.Status != tc.status || out.Error.Code != tc.status || out.Error.Message == "" {
					t.Errorf("%s, %s: %d %s", tc.who, call, a.Status, a.Body)
				}
				if got := a.Header.Get("WWW-Authenticate") != ""; got != (tc.status == 401) || a.Header.Get("Request-Id") == "" {
					t.Errorf("%s, %s: %v", tc.who, call, a.Header)
				}
			}
		}
		// The tenant's own agent does not answer for the task of another one.
		other := newA2APeer(t, s, "1.0 HTTP+JSON", s.Admin, agentWith(t, s.Admin))
		if _, err := other.to.GetTask(other.ctx, other.params, &a2a.GetTaskRequest{ID: task}); !errors.Is(err, a2a.ErrTaskNotFound) {
			t.Errorf("another agent's task: %v", err)
		}
	})
}

// TestA2AGoverned has policies, freezes and people decide about what peers ask for.
func TestA2AGoverned(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(t *testing.T, cfg apptest.Config) {
		s := apptest.Start(t, cfg)
		agent := scripted(t, s, s.Admin, nil)
		p := newA2APeer(t, s, "1.0 JSON-RPC", s.Admin, agent)
		begun, release := held(s, "late")
		defer release()
		task := p.begin(saysText("Work"))
		<-begun
		s.Admin.Call("POST", "/v1/agents/"+agent+"/freeze", m{"reason": "a test"}, nil)
		got := p.get(task.ID)
		if wantState(t, got, a2a.TaskStateRejected); !strings.Contains(reason(got.Status), "frozen") {
			t.Errorf("%q", reason(got.Status))
		}
		rejected := p.send(saysText("Hello?"))
		if wantState(t, rejected, a2a.TaskStateRejected); rejected.ContextID == "" || reason(rejected.Status) == "" || len(rejected.History) != 1 {
			t.Errorf("%+v", rejected)
		}
		wantState(t, p.get(rejected.ID), a2a.TaskStateRejected)
		s.Admin.Call("POST", "/v1/agents/"+agent+"/unfreeze", nil, nil)

		// A session that its owner deletes takes its tasks along.
		s.Models.Reply(func(apptest.ModelRequest) []string { return []string{"Fine."} })
		done := p.send(saysText("How are you?"))
		s.Admin.Call("DELETE", "/v1/sessions/"+done.ContextID, nil, nil)
		if _, err := p.to.GetTask(p.ctx, p.params, &a2a.GetTaskRequest{ID: done.ID}); !errors.Is(err, a2a.ErrTaskNotFound) {
			t.Errorf("a task of a deleted session: %v", err)
		}
		again := saysText("And now?")
		again.ContextID = done.ContextID
		wantState(t, p.send(again), a2a.TaskStateCompleted)

		s.Admin.Call("POST", "/v1/agents/"+agent+"/destroy", nil, nil)
		if _, err := p.to.GetTask(p.ctx, p.params, &a2a.GetTaskRequest{ID: task.ID}); err == nil {
			t.Error("the task of a destroyed agent is there")
		}
	})
}

// TestA2AReplicas has one server answer for what another one does, and peers repeat themselves at once.
func TestA2AReplicas(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(t *testing.T, cfg apptest.Config) {
		cfg.Change = func(c *app.Config) { c.APIKey = "bureau_a2a_test_key_0123456789abcdef" }
		one := apptest.Start(t, cfg)
		other := one
		if cfg.DatabaseURL != "" {
			other = apptest.Start(t, cfg)
		}
		agent := agentWith(t, one.Admin, m{"tools": []m{
			{"type": "custom", "name": "look_up", "description": "Looks something up", "input_schema": m{"type": "object"}},
		}})
		here, there := newA2APeer(t, one, "1.0 JSON-RPC", one.Admin, agent), newA2APeer(t, other, "1.0 HTTP+JSON", other.Admin, agent)
		task := here.send(saysText("Use the look_up tool"))
		wantState(t, task, a2a.TaskStateInputRequired)

		answer := in(saysText("seven"), task)
		var f followed
		for e, err := range there.to.SubscribeToTask(there.ctx, there.params, &a2a.SubscribeToTaskRequest{ID: task.ID}) {
			if err != nil {
				t.Fatal(err)
			}
			if f.take(t, e); len(f.states) == 0 && len(f.chunks) == 0 {
				here.begin(answer)
			}
		}
		if f.last.State != a2a.TaskStateCompleted || !strings.Contains(f.text(), "seven") {
			t.Errorf("%+v", f)
		}

		hello := saysText("Hello")
		var group sync.WaitGroup
		tasks := make([]a2a.TaskID, 8)
		for i := range tasks {
			p := []*a2aPeer{here, there}[i%2]
			group.Go(func() {
				task, err := p.try(hello)
				if err == nil {
					tasks[i] = task.ID
				}
			})
		}
		group.Wait()
		if slices.Sort(tasks); tasks[0] == "" || tasks[0] != tasks[7] {
			t.Errorf("one message began %v", tasks)
		}
	})
}

// TestA2AApprovals has peers say yes and no to tools, as far as their keys may.
func TestA2AApprovals(t *testing.T) {
	t.Parallel()
	s := apptest.Start(t, apptest.Config{})
	agent := agentWith(t, s.Admin, m{"name": "Payer"})
	s.Admin.Call("POST", "/v1/agents/"+agent+"/wallet/deposits", m{"amount": usdc("100")}, nil)
	s.Admin.Call("POST", "/v1/policies", m{
		"scope": m{"agent_id": agent}, "limits": m{"require_approval_above": usdc("5")},
	}, nil)
	var narrow struct{ Key string }
	s.Admin.Call("POST", "/v1/api_keys", m{"scopes": []string{"chat"}}, &narrow)
	p := newA2APeer(t, s, "1.0 JSON-RPC", s.As(narrow.Key), agent)
	task := p.send(saysText("Pay 20 USDC to vendor.example"))
	wantState(t, task, a2a.TaskStateInputRequired)
	if text := reason(task.Status); !strings.Contains(text, "approval") || strings.Contains(text, "vendor") {
		t.Errorf("%q", text)
	}
	if _, err := p.try(in(saysText("yes"), task)); err == nil {
		t.Error("a key without approvals approves")
	}
	wantState(t, p.get(task.ID), a2a.TaskStateInputRequired)
	var use string
	for _, part := range task.Status.Message.Parts {
		if d, ok := part.Data().(map[string]any); ok {
			use, _ = d["tool_use_id"].(string)
		}
	}
	s.Admin.Call("POST", "/v1/sessions/"+task.ContextID+"/events", m{"events": []m{
		{"type": "user.tool_confirmation", "tool_use_id": use, "result": "allow"},
	}}, nil)
	var f followed
	for e, err := range p.to.SendStreamingMessage(p.ctx, p.params, &a2a.SendMessageRequest{Message: saysText("Pay 3 USDC to vendor.example")}) {
		if err != nil {
			t.Fatal(err)
		}
		f.take(t, e)
	}
	if f.last.State != a2a.TaskStateCompleted {
		t.Errorf("%+v", f.last)
	}

	boss := newA2APeer(t, s, "0.3 JSON-RPC", s.Admin, agent)
	task = boss.send(saysText("Pay 21 USDC to vendor.example"))
	wantState(t, task, a2a.TaskStateInputRequired)
	task = boss.send(in(saysText("No, too dear"), task))
	if wantState(t, task, a2a.TaskStateCompleted); !strings.Contains(answerIn(t, task), "too dear") {
		t.Errorf("%q", answerIn(t, task))
	}
}
