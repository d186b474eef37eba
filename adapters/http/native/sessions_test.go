package native

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/bureau-agents/bureau/adapters/bus/memory"
	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/gate"
	"github.com/bureau-agents/bureau/core/model"
	"github.com/bureau-agents/bureau/core/run"
	"github.com/bureau-agents/bureau/core/session"
	"github.com/bureau-agents/bureau/core/usage"
	"github.com/bureau-agents/bureau/ports/clock"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/llm"
	"github.com/bureau-agents/bureau/ports/llm/llmtest"
	"github.com/bureau-agents/bureau/ports/money"
	"github.com/bureau-agents/bureau/ports/rule"
)

// freeMeter prices every call at a micro-dollar a token and keeps nothing.
type freeMeter struct{}

func (freeMeter) Estimate(_ context.Context, _ account.Scope, _, _ string, in, out int64) (*money.Pico, error) {
	p := money.Pico((in + out) * money.PicosPerMicro)
	return &p, nil
}

func (freeMeter) Price(_ context.Context, _ account.Scope, _, _ string, u llm.Usage, _ time.Time) (usage.Quote, error) {
	p := money.Pico((u.TotalInput() + u.Output) * money.PicosPerMicro)
	return usage.Quote{Cost: &p}, nil
}
func (freeMeter) Record(context.Context, account.Scope, run.Call) error { return nil }

// withSessions adds sessions whose model is scripted.
func withSessions(m *llmtest.Scripted) func(*fixture, *Deps) {
	return func(f *fixture, d *Deps) {
		must := func(err error) {
			f.t.Helper()
			if err != nil {
				f.t.Fatal(err)
			}
		}
		s, log, ids, real := f.store, slog.New(slog.DiscardHandler), id.NewGenerator(time.Now), clock.Func(time.Now)
		hub, err := session.NewHub(session.HubDeps{Bus: memory.New(), IDs: ids, Logger: log, Repository: s.Sessions()}, session.HubConfig{})
		must(err)
		journal, err := session.NewJournal(session.JournalDeps{
			TX: s, Clock: real, IDs: ids, Logger: log, Hub: hub, Log: s.Sessions(), Uses: s.ToolUses(), Turns: s.SessionTurns(), Leases: s.SessionTurns(),
			Repository: s.Sessions(), Threads: s.Threads(), Outcomes: s.Outcomes(), Spendings: s.Spendings(),
		})
		must(err)
		g, err := gate.New(gate.Deps{
			TX: s, Clock: real, IDs: ids, Logger: log, Acts: s.Acts(), Tenants: s.Accounts(), Agents: s.Agents(), Policies: s.Policies(),
			Counters: s.Counters(), Approvals: s.Approvals(), Trail: d.Audit, Fences: journal,
			Executors: map[rule.Action]gate.Executor{rule.ActionPayment: gate.Payments(d.Wallets), rule.ActionTransfer: gate.Transfers(d.Wallets)},
		}, gate.Config{})
		must(err)
		g.Connect(journal, journal)
		d.Gate = g
		d.Sessions, err = session.NewService(session.Deps{
			TX: s, Clock: real, IDs: ids, Logger: log, Repository: s.Sessions(), Log: s.Sessions(), Uses: s.ToolUses(), Turns: s.SessionTurns(),
			Journal: journal, Hub: hub, Agents: d.Agents, Gate: g, Spendings: s.Spendings(), Keeper: boundKeeper{},
		})
		must(err)
		registry, err := model.NewRegistry(model.Deps{Offline: m}, model.Config{})
		must(err)
		models, err := model.NewAgents(model.AgentDeps{Registry: registry}, model.AgentConfig{})
		must(err)
		loop, err := run.NewService(run.Deps{
			Clock: real, IDs: ids, Logger: log, Journal: journal, Sessions: s.Sessions(), Agents: d.Agents, Gate: g, Models: models, Meter: freeMeter{},
		}, run.Config{SingleProcess: true})
		must(err)
		must(hub.Start(context.Background()))
		must(loop.Start(context.Background()))
		f.t.Cleanup(func() {
			ctx, cancel := context.WithTimeout(context.Background(), time.Second)
			defer cancel()
			_ = loop.Stop(ctx)
			_ = hub.Stop(ctx)
		})
	}
}

// sse is one event of a stream.
type sse struct {
	name, id string
	data     map[string]any
}

func (e sse) String() string { return e.name }

// stream opens a stream of events; next reads one, and ends the test after ten seconds of silence.
func (f *fixture) stream(method, path, body string, header ...string) (next func() (sse, bool), resp *http.Response) {
	f.t.Helper()
	ctx, cancel := context.WithTimeout(f.t.Context(), 10*time.Second)
	f.t.Cleanup(cancel)
	req, err := http.NewRequestWithContext(ctx, method, f.url+path, strings.NewReader(body))
	if err != nil {
		f.t.Fatal(err)
	}
	req.Header.Set("X-Api-Key", adminSecret)
	for _, h := range header {
		name, value, _ := strings.Cut(h, ": ")
		req.Header.Set(name, value)
	}
	if resp, err = http.DefaultTransport.RoundTrip(req); err != nil {
		f.t.Fatal(err)
	}
	f.t.Cleanup(func() { resp.Body.Close() })
	if resp.StatusCode != http.StatusOK || resp.Header.Get("Content-Type") != "text/event-stream" {
		f.t.Fatalf("%s %s: %d %s", method, path, resp.StatusCode, resp.Header.Get("Content-Type"))
	}
	lines := bufio.NewScanner(resp.Body)
	lines.Buffer(nil, 1<<20)
	return func() (sse, bool) {
		var e sse
		for lines.Scan() {
			name, value, _ := strings.Cut(lines.Text(), ": ")
			switch name {
			case "event":
				e.name = value
			case "id":
				e.id = value
			case "data":
				if err := json.Unmarshal([]byte(value), &e.data); err != nil {
					f.t.Fatalf("%v in %s", err, value)
				}
			case "":
				if e.name != "" {
					return e, true
				}
			}
		}
		if ctx.Err() != nil {
			f.t.Fatal("the stream is silent")
		}
		return sse{}, false
	}, resp
}

// untilIdle reads up to session.status_idle.
func untilIdle(next func() (sse, bool)) []sse {
	var out []sse
	for {
		e, ok := next()
		if !ok {
			return out
		}
		out = append(out, e)
		if e.name == "session.status_idle" {
			return out
		}
	}
}

func names(events []sse) string {
	var out []string
	for _, e := range events {
		if n := len(out); n == 0 || out[n-1] != e.name {
			out = append(out, e.name) // neighbouring chunks count once
		}
	}
	return strings.Join(out, " ")
}

func (f *fixture) newSession() string {
	f.t.Helper()
	agentID := f.want(http.StatusCreated, http.MethodPost, "/v1/agents", `{"name":"a","model":"offline"}`).get("id")
	a := f.want(http.StatusCreated, http.MethodPost, "/v1/sessions", fmt.Sprintf(`{"agent":%q}`, agentID))
	return a.get("id").(string)
}

// sessionLog reads the whole log.
func (f *fixture) sessionLog(sesn string) []any {
	f.t.Helper()
	req, err := http.NewRequestWithContext(f.t.Context(), http.MethodGet, f.url+"/v1/sessions/"+sesn+"/log", nil)
	if err != nil {
		f.t.Fatal(err)
	}
	req.Header.Set("X-Api-Key", adminSecret)
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		f.t.Fatal(err)
	}
	defer resp.Body.Close()
	var out []any
	if err := json.NewDecoder(resp.Body).Decode(&out); err != nil || resp.StatusCode != http.StatusOK {
		f.t.Fatalf("log: %d, %v", resp.StatusCode, err)
	}
	return out
}

const hello = `{"events":[{"type":"user.message","content":[{"type":"text","text":"hello"}]}]}`

const turnEvents = "user.message session.status_running span.model_request_start agent.message span.model_request_end session.usage session.status_idle"

func TestSessionLifecycle(t *testing.T) {
	t.Parallel()
	f := newFixture(t, withSessions(llmtest.NewScripted(llmtest.Text("hi"))))
	agentID := f.newAgent()
	f.want(http.StatusOK, http.MethodPatch, "/v1/agents/"+agentID, `{"description":"two"}`)
	a := f.want(http.StatusCreated, http.MethodPost, "/v1/sessions", fmt.Sprintf(`{"agent":%q,"title":"T","metadata":{"by":"me"},"environment_id":null}`, agentID))
	sesn := a.get("id").(string)
	for path, want := range map[string]any{
		"type": "session", "status": "idle", "title": "T", "agent_id": agentID, "environment_id": nil, "archived_at": nil, "budget": nil,
	} {
		if got := a.get(path); got != want {
			t.Errorf("%s: %v, want %v", path, got, want)
		}
	}
	if !strings.HasPrefix(sesn, "sesn_") || a.get("agent", "version") != 2.0 || a.get("metadata", "by") != "me" {
		t.Errorf("%s", a.body)
	}
	old := f.want(http.StatusCreated, http.MethodPost, "/v1/sessions", fmt.Sprintf(`{"agent":{"type":"agent","id":%q,"version":1}}`, agentID))
	if old.get("agent", "version") != 1.0 || old.get("title") != nil {
		t.Errorf("%s", old.body)
	}
	u, err := id.Parse[id.SessionKind](sesn)
	if err != nil {
		t.Fatal(err)
	}
	if got := f.want(http.StatusOK, http.MethodGet, "/v1/sessions/"+u.UUID().String(), ""); got.get("id") != sesn {
		t.Errorf("%s", got.body)
	}
	for _, method := range []string{http.MethodPost, http.MethodPatch, http.MethodPut} {
		got := f.want(http.StatusOK, method, "/v1/sessions/"+sesn, fmt.Sprintf(`{"title":%q,"metadata":{"by":null,"m":%q}}`, method, method))
		if got.get("title") != method || got.get("metadata", "m") != method || got.get("metadata", "by") != nil {
			t.Errorf("%s", got.body)
		}
	}
	for query, want := range map[string]int{
		"": 2, "?agent_id=" + agentID: 2, "?agent_version=1": 2, "?agent_version=1&agent_id=" + agentID: 1, "?status=running": 0, "?statuses[]=idle&statuses[]=running": 2, "?agent_id=nobody": 0,
	} {
		if got := len(f.want(http.StatusOK, http.MethodGet, "/v1/sessions"+query, "").get("data").([]any)); got != want {
			t.Errorf("%s: %d sessions, want %d", query, got, want)
		}
	}
	first := f.want(http.StatusOK, http.MethodGet, "/v1/sessions?limit=1", "")
	second := f.want(http.StatusOK, http.MethodGet, "/v1/sessions?limit=1&page="+first.get("next_page").(string), "")
	if first.get("has_more") != true || second.get("next_page") != nil || second.get("data").([]any)[0].(map[string]any)["id"] != sesn {
		t.Errorf("%s\n%s", first.body, second.body)
	}
	got := f.want(http.StatusOK, http.MethodPost, "/v1/sessions/"+sesn+"/archive", "")
	if got.get("status") != "terminated" || got.get("archived_at") == nil {
		t.Errorf("%s", got.body)
	}
	f.wantError(f.do(http.MethodPost, "/v1/sessions/"+sesn+"/events", hello), http.StatusConflict, "conflict_error", "session_archived")
	if got := f.want(http.StatusOK, http.MethodDelete, "/v1/sessions/"+sesn, ""); got.get("type") != "session_deleted" || got.get("id") != sesn {
		t.Errorf("%s", got.body)
	}
	f.wantError(f.do(http.MethodGet, "/v1/sessions/"+sesn, ""), http.StatusNotFound, "not_found_error", "session_not_found")
}

func TestSessionRefusals(t *testing.T) {
	t.Parallel()
	f := newFixture(t, withSessions(llmtest.NewScripted()))
	sesn := f.newSession()
	agentID := f.newAgent()
	_, foreign := f.newTenant(account.PlanUnlimited)
	noChat := f.newKey(account.AgentsRead)
	events := "/v1/sessions/" + sesn + "/events"
	for _, tc := range []struct {
		method, path, body, key string
		status                  int
	}{
		{http.MethodPost, "/v1/sessions", `{}`, "", 400},
		{http.MethodPost, "/v1/sessions", `{"agent":"agent_none"}`, "", 404},
		{http.MethodPost, "/v1/sessions", fmt.Sprintf(`{"agent":%q}`, agentID), foreign, 404},
		{http.MethodPost, "/v1/sessions", fmt.Sprintf(`{"agent":{"id":%q,"version":9}}`, agentID), "", 404},
		{http.MethodPost, "/v1/sessions", fmt.Sprintf(`{"agent":%q,"budget":{"type":"limit"}}`, agentID), "", 400},
		{http.MethodPost, "/v1/sessions", fmt.Sprintf(`{"agent":%q,"initial_events":[{"type":"user.interrupt"}]}`, agentID), "", 400},
		{http.MethodGet, "/v1/sessions/" + sesn, "", foreign, 404},
		{http.MethodGet, "/v1/sessions/" + sesn, "", noChat, 403},
		{http.MethodGet, "/v1/sessions/" + agentID, "", "", 404},
		{http.MethodDelete, "/v1/sessions/" + sesn, "", foreign, 404},
		{http.MethodGet, events, "", foreign, 404},
		{http.MethodGet, events + "/stream", "", foreign, 404},
		{http.MethodGet, "/v1/sessions/" + sesn + "/log", "", foreign, 404},
		{http.MethodPost, events, hello, foreign, 404},
		{http.MethodPost, "/v1/sessions/" + sesn + "/messages", `{"content":"x"}`, foreign, 404},
		{http.MethodPost, "/v1/sessions/" + sesn + "/cancel", "", foreign, 404},
		{http.MethodPost, events, `{"events":[]}`, "", 400},
		{http.MethodPost, events, `{"events":[{"type":"user.nonsense"}]}`, "", 400},
		{http.MethodPost, events, `{"events":[{"type":"agent.message","content":"x"}]}`, "", 400},
		{http.MethodPost, events, `{"events":[{"type":"user.message"}]}`, "", 400},
		{http.MethodPost, events, `{"events":[{"type":"user.message","content":[]}]}`, "", 400},
		{http.MethodPost, events, `{"events":[{"type":"user.message","content":[{"type":"image"}]}]}`, "", 400},
		{http.MethodPost, events, `{"events":[{"type":"user.tool_confirmation","tool_use_id":"sevt_none","result":"allow"}]}`, "", 404},
		{http.MethodPost, events, `{"events":[{"type":"user.tool_confirmation","tool_use_id":"` + id.New[id.EventKind](id.NewGenerator(time.Now)).String() + `","result":"allow"}]}`, "", 404},
		{http.MethodPost, events, `{"events":[{"type":"user.define_outcome"}]}`, "", 400},
		{http.MethodPost, "/v1/sessions/" + sesn + "/messages", `{"content":" "}`, "", 400},
		{http.MethodGet, events + "?limit=1001", "", "", 400},
		{http.MethodGet, events + "?page=x", "", "", 400},
		{http.MethodGet, events + "?order=up", "", "", 400},
		{http.MethodGet, "/v1/sessions?status=done", "", "", 400},
		{http.MethodGet, "/v1/sessions?statuses[]=done", "", "", 400},
	} {
		key := tc.key
		if key == "" {
			key = adminSecret
		}
		if a := f.do(tc.method, tc.path, tc.body, "X-Api-Key: "+key); a.StatusCode != tc.status || a.get("type") != "error" {
			t.Errorf("%s %s %s: %d, want %d: %s", tc.method, tc.path, tc.body, a.StatusCode, tc.status, a.body)
		}
	}
	if got := f.sessionLog(sesn); len(got) != 0 {
		t.Errorf("refused events are in the log: %v", got)
	}
}

func TestSessionStream(t *testing.T) {
	t.Parallel()
	answer := llmtest.Text("ready when you are")
	answer.Usage = llm.Usage{Input: 10, Output: 5}
	m := llmtest.NewScripted(answer, llmtest.Text("again"), llmtest.Text("third time"))
	f := newFixture(t, withSessions(m))
	sesn := f.newSession()
	base := "/v1/sessions/" + sesn
	next, resp := f.stream(http.MethodGet, base+"/events/stream?event_deltas%5B%5D=agent.message", "", "Accept: application/json")
	if resp.Header.Get("Cache-Control") != "no-cache, no-transform" || resp.Header.Get("X-Accel-Buffering") != "no" {
		t.Errorf("%v", resp.Header)
	}
	sent := f.want(http.StatusAccepted, http.MethodPost, base+"/events", hello)
	accepted := sent.get("data").([]any)[0].(map[string]any)
	if accepted["type"] != "user.message" || accepted["processed_at"] != nil {
		t.Errorf("%s", sent.body)
	}
	got := untilIdle(next)
	const withDeltas = "user.message session.status_running span.model_request_start event_start event_delta agent.message " +
		"span.model_request_end session.usage session.status_idle"
	if names(got) != withDeltas {
		t.Errorf("%s", names(got))
	}
	var text string
	byName := map[string]sse{}
	seq := 0
	for _, e := range got {
		byName[e.name] = e
		if e.data["type"] != e.name {
			t.Errorf("event %s has type %v", e.name, e.data["type"])
		}
		if strings.HasPrefix(e.name, "event_") {
			if e.id != "" {
				t.Errorf("%s has the id %s", e.name, e.id)
			}
			if delta, is := e.data["delta"].(map[string]any); is {
				text += delta["content"].(map[string]any)["text"].(string)
			}
			continue
		}
		if seq++; e.id != fmt.Sprint(seq) || e.data["seq"] != float64(seq) {
			t.Errorf("%s is number %s, want %d", e.name, e.id, seq)
		}
		if s, _ := e.data["processed_at"].(string); !strings.HasSuffix(s, "Z") {
			t.Errorf("%s has no time: %v", e.name, e.data)
		}
	}
	final := byName["agent.message"].data
	content := final["content"].([]any)[0].(map[string]any)
	if content["text"] != "ready when you are" || text != content["text"] {
		t.Errorf("%v, deltas %q", final, text)
	}
	if byName["event_start"].data["event"].(map[string]any)["id"] != final["id"] || byName["event_delta"].data["event_id"] != final["id"] {
		t.Error("the preview has another id than the message")
	}
	if byName["user.message"].data["id"] != accepted["id"] {
		t.Error("the message has another id than the answer said")
	}
	end := byName["span.model_request_end"].data
	if end["model_request_start_id"] != byName["span.model_request_start"].data["id"] || end["model_usage"].(map[string]any)["input_tokens"] != 10.0 {
		t.Errorf("%v", end)
	}
	if d := cmp.Diff(map[string]any{"type": "end_turn"}, byName["session.status_idle"].data["stop_reason"]); d != "" {
		t.Error(d)
	}

	// One shot: the message and what follows from it, with chunks and without numbers, closed by the server.
	one, _ := f.stream(http.MethodPost, base+"/messages", `{"content":"again"}`)
	got = nil
	for e, ok := one(); ok; e, ok = one() {
		got = append(got, e)
		if e.id != "" {
			t.Errorf("%s has the id %s", e.name, e.id)
		}
	}
	const oneShot = "user.message system.user_message_promoted session.status_running span.model_request_start agent.message_stream_start " +
		"agent.message_chunk agent.message_stream_end agent.message span.model_request_end session.usage session.status_idle"
	if names(got) != oneShot {
		t.Errorf("%s", names(got))
	}

	// Replays and pages.
	for path, want := range map[string]string{
		"/events/stream?replay=1": turnEvents + " " + turnEvents,
		"/stream?replay=1":        turnEvents + " " + turnEvents,
		"/events?replay=1":        turnEvents + " " + turnEvents,
		"/events?after_seq=7":     turnEvents,
	} {
		next, _ := f.stream(http.MethodGet, base+path, "", "Accept: text/event-stream")
		var got []sse
		for range strings.Count(want, " ") + 1 {
			e, _ := next()
			got = append(got, e)
		}
		if names(got) != want {
			t.Errorf("%s: %s", path, names(got))
		}
	}
	resumed, _ := f.stream(http.MethodGet, base+"/events/stream", "", "Last-Event-ID: 13")
	if e, _ := resumed(); e.name != "session.status_idle" || e.id != "14" {
		t.Errorf("resumed with %+v", e)
	}
	whole := f.sessionLog(sesn)
	if len(whole) != 14 {
		t.Fatalf("%d events in the log", len(whole))
	}
	pages := func(query string) []any {
		var out []any
		for page := ""; ; {
			a := f.want(http.StatusOK, http.MethodGet, base+"/events?"+query+page, "")
			out = append(out, a.get("data").([]any)...)
			if a.get("next_page") == nil {
				if a.get("has_more") != false {
					t.Errorf("%s", a.body)
				}
				return out
			}
			page = "&page=" + a.get("next_page").(string)
		}
	}
	backwards := slices.Clone(whole)
	slices.Reverse(backwards)
	for query, want := range map[string][]any{
		"limit=5": whole, "limit=100": whole, "limit=5&order=desc": backwards, "after_seq=10": whole[10:], "limit=1&types%5B%5D=agent.message": {whole[3], whole[10]},
		"types=user.message,agent.message": {whole[0], whole[3], whole[7], whole[10]}, "created_at[gt]=2100-01-01T00:00:00Z": nil,
	} {
		if d := cmp.Diff(want, pages(query)); d != "" {
			t.Errorf("%s: %s", query, d)
		}
	}
	s := f.want(http.StatusOK, http.MethodGet, base, "")
	if s.get("usage", "input_tokens") != 10.0 || s.get("usage", "list_cost", "amount") != "0.000015" || s.get("stop_reason", "type") != "end_turn" {
		t.Errorf("%s", s.body)
	}
}

func TestSessionNeedsAction(t *testing.T) {
	t.Parallel()
	m := llmtest.NewScripted(llmtest.Call("x", "lookup", `{"q":"a"}`), llmtest.Text("found it"), llmtest.Call("y", "lookup", `{}`))
	f := newFixture(t, withSessions(m))
	agentID := f.want(http.StatusCreated, http.MethodPost, "/v1/agents",
		`{"name":"a","model":"offline","tools":[{"type":"custom","name":"lookup","description":"looks up","input_schema":{"type":"object"}}]}`).get("id")
	sesn := f.want(http.StatusCreated, http.MethodPost, "/v1/sessions", fmt.Sprintf(
		`{"agent":%q,"initial_events":[{"type":"user.message","content":"go"}]}`, agentID)).get("id").(string)
	base := "/v1/sessions/" + sesn
	next, _ := f.stream(http.MethodGet, base+"/events/stream?replay=1", "")
	got := untilIdle(next)
	use, idle := got[3], got[len(got)-1]
	if use.name != "agent.custom_tool_use" || use.data["name"] != "lookup" {
		t.Fatalf("%s", names(got))
	}
	if d := cmp.Diff(map[string]any{"type": "requires_action", "event_ids": []any{use.data["id"]}}, idle.data["stop_reason"]); d != "" {
		t.Error(d)
	}
	s := f.want(http.StatusOK, http.MethodGet, base, "")
	if s.get("status") != "idle" || s.get("stop_reason", "type") != "requires_action" {
		t.Errorf("%s", s.body)
	}
	f.want(http.StatusAccepted, http.MethodPost, base+"/events", fmt.Sprintf(
		`{"events":[{"type":"user.custom_tool_result","custom_tool_use_id":%q,"content":[{"type":"text","text":"42"}]}]}`, use.data["id"]))
	got = untilIdle(next)
	if names(got) != "user.custom_tool_result "+strings.TrimPrefix(turnEvents, "user.message ") || got[0].data["custom_tool_use_id"] != use.data["id"] {
		t.Errorf("%s: %v", names(got), got[0].data)
	}
	f.want(http.StatusAccepted, http.MethodPost, base+"/events", hello)
	untilIdle(next)
	cancelled := f.want(http.StatusOK, http.MethodPost, base+"/cancel", "")
	if cancelled.get("status") != "idle" {
		t.Errorf("%s", cancelled.body)
	}
	if got := names(untilIdle(next)); got != "user.interrupt agent.tool_result session.usage session.status_idle" {
		t.Errorf("%s", got)
	}
	f.want(http.StatusAccepted, http.MethodPost, base+"/events", `{"events":[{"type":"user.interrupt"}]}`)
}

// TestMessageOutlivesItsCaller leaves in the middle of an answer: the turn goes on.
func TestMessageOutlivesItsCaller(t *testing.T) {
	t.Parallel()
	hold := make(chan struct{})
	late := llmtest.Text("after you left")
	late.Hold = hold
	f := newFixture(t, withSessions(llmtest.NewScripted(late)))
	sesn := f.newSession()
	next, resp := f.stream(http.MethodPost, "/v1/sessions/"+sesn+"/messages", `{"content":"hello"}`)
	next()
	resp.Body.Close()
	close(hold)
	again, _ := f.stream(http.MethodGet, "/v1/sessions/"+sesn+"/stream?replay=1", "")
	if got := names(untilIdle(again)); got != turnEvents {
		t.Errorf("%s", got)
	}
}
