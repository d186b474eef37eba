package native

import (
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/telemetry"
	"github.com/bureau-agents/bureau/ports/id"
)

// withExchange adds what agents report, tell each other and are told by users.
func withExchange(f *fixture, d *Deps) {
	f.t.Helper()
	ids, events := id.NewGenerator(f.clock.Now), f.store.Events()
	must := func(err error) {
		f.t.Helper()
		if err != nil {
			f.t.Fatal(err)
		}
	}
	var err error
	d.Events, err = telemetry.NewService(telemetry.Deps{
		TX: f.store, Clock: f.clock, IDs: ids, Logger: slog.New(slog.DiscardHandler), Events: events, Roster: f.store.Agents(), Trail: anyTrail{},
	}, telemetry.Config{})
	must(err)
	d.Exchange, err = telemetry.NewExchange(telemetry.ExchangeDeps{
		TX: f.store, Clock: f.clock, IDs: ids, Repository: f.store.AgentMessages(), Agents: owners{f},
	})
	must(err)
	d.Opinions, err = telemetry.NewOpinions(telemetry.OpinionsDeps{
		TX: f.store, Clock: f.clock, IDs: ids, Repository: f.store.Feedback(), Agents: owners{f}, Events: events, Messages: f.store.AgentMessages(),
	})
	must(err)
	d.Traces, err = telemetry.NewTraces(telemetry.TracesDeps{
		Clock: f.clock, Repository: events, Messages: f.store.AgentMessages(), Feedback: f.store.Feedback(),
	})
	must(err)
	d.Keeping, err = telemetry.NewKeeping(telemetry.KeepingDeps{
		TX: f.store, Clock: f.clock, Logger: slog.New(slog.DiscardHandler), Repository: f.store.Retention(), Tenants: f.account, Trail: anyTrail{},
		Events: events.DeleteEvents, Messages: f.store.AgentMessages().DeleteMessages, Feedback: f.store.Feedback().DeleteFeedback,
	}, telemetry.KeepingConfig{Default: telemetry.Retention{FeedbackDays: 365}})
	must(err)
}

func TestAgentMessages(t *testing.T) {
	t.Parallel()
	f := newFixture(t, withExchange)
	a, b := f.agentID(), f.agentID()
	first := f.want(201, http.MethodPost, "/v1/agent_messages", `{"sender_id":"`+a.String()+`","receiver_id":"`+b.UUID().String()+`",
		"message_type":"request","payload":{"task": "summarize"},"trace_id":"t1"}`)
	want := map[string]any{
		"type": "agent_message", "id": first.get("id"), "sender_id": a.String(), "receiver_id": b.String(), "message_type": "request",
		"payload": map[string]any{"task": "summarize"}, "trace_id": "t1", "created_at": "2026-07-15T12:30:00.000Z",
	}
	if d := cmp.Diff(want, first.json); d != "" {
		t.Error(d)
	}
	f.clock.Advance(time.Second)
	second := f.want(201, http.MethodPost, "/v1/agent_messages",
		`{"sender_id":"`+b.String()+`","receiver_id":"`+a.String()+`","message_type":"response","payload":null}`)
	if second.get("payload") != nil || second.get("trace_id") != nil {
		t.Errorf("%s", second.body)
	}
	if got := f.want(200, http.MethodGet, "/v1/agent_messages/"+first.get("id").(string), ""); cmp.Diff(want, got.json) != "" {
		t.Errorf("%s", got.body)
	}
	for query, found := range map[string][]any{
		"":                           {second.json, first.json},
		"agent_id=" + a.String():     {second.json, first.json},
		"sender_id=" + a.String():    {first.json},
		"receiver_id=" + a.String():  {second.json},
		"message_type=request":       {first.json},
		"trace_id=t1":                {first.json},
		"since=2026-07-15T12:30:01Z": {second.json},
		"until=2026-07-15T12:30:01Z": {first.json},
		"trace_id=t2":                {},
	} {
		if d := cmp.Diff(found, f.want(200, http.MethodGet, "/v1/agent_messages?"+query, "").get("data")); d != "" {
			t.Errorf("%s: %s", query, d)
		}
	}
	page := f.want(200, http.MethodGet, "/v1/agent_messages?limit=1", "")
	next := f.want(200, http.MethodGet, "/v1/agent_messages?limit=1&cursor="+page.get("next_page").(string), "")
	if d := cmp.Diff([]any{first.json}, next.get("data")); d != "" || next.get("next_page") != nil {
		t.Errorf("the second page: %s", next.body)
	}
	_, theirs := f.newTenant(account.PlanFree)
	theirs = "x-api-key: " + theirs
	whole := `{"sender_id":"` + a.String() + `","receiver_id":"` + b.String() + `","message_type":"x"}`
	f.wantError(f.do(http.MethodPost, "/v1/agent_messages", whole, theirs), 404, "not_found_error", "agent_not_found")
	f.wantError(f.do(http.MethodGet, "/v1/agent_messages/"+first.get("id").(string), "", theirs), 404, "not_found_error", "agent_message_not_found")
	for _, body := range []string{
		strings.Replace(whole, `"message_type":"x"`, `"message_type":" "`, 1), strings.Replace(whole, `"x"`, `"x","payload":[]`, 1), `{}`,
	} {
		f.wantError(f.do(http.MethodPost, "/v1/agent_messages", body), 400, "invalid_request_error", "invalid_request")
	}
}

func TestFeedback(t *testing.T) {
	t.Parallel()
	f := newFixture(t, withExchange)
	a, b := f.agentID(), f.agentID()
	event := f.want(201, http.MethodPost, "/v1/events", `{"agent_id":"`+a.String()+`","event_type":"answered","trace_id":"t1"}`).get("id").(string)
	message := f.want(201, http.MethodPost, "/v1/agent_messages",
		`{"sender_id":"`+a.String()+`","receiver_id":"`+b.String()+`","message_type":"x"}`).get("id").(string)
	var all []any
	for _, of := range [][3]string{{"agent", a.String(), "thumbs_up"}, {"event", event, "thumbs_down"}, {"message", message, "comment"}} {
		f.clock.Advance(time.Second)
		made := f.want(201, http.MethodPost, "/v1/feedback",
			`{"target_type":"`+of[0]+`","target_id":"`+of[1]+`","feedback_type":"`+of[2]+`","rating":4,"comment":"c","user":"ada"}`)
		want := map[string]any{
			"type": "feedback", "id": made.get("id"), "target_type": of[0], "target_id": of[1], "agent_id": a.String(), "feedback_type": of[2],
			"rating": 4.0, "comment": "c", "user": "ada", "created_at": made.get("created_at"),
		}
		if d := cmp.Diff(want, made.json); d != "" {
			t.Error(d)
		}
		all = append([]any{made.json}, all...)
	}
	bare := f.want(201, http.MethodPost, "/v1/feedback", `{"target_type":"agent","target_id":"`+b.String()+`","feedback_type":"x","rating":null}`)
	for query, found := range map[string][]any{
		"":                          append([]any{bare.json}, all...),
		"agent_id=" + a.String():    all,
		"target_type=event":         all[1:2],
		"target_id=" + message:      all[:1],
		"feedback_type=thumbs_up":   all[2:],
		"trace_id=t1":               all[1:2],
		"target_id=" + b.String():   {bare.json},
		"agent_id=" + b.String():    {bare.json},
		"until=2026-07-15T12:30:0Z": nil,
	} {
		if found == nil {
			f.wantError(f.do(http.MethodGet, "/v1/feedback?"+query, ""), 400, "invalid_request_error", "invalid_request")
			continue
		}
		if d := cmp.Diff(found, f.want(200, http.MethodGet, "/v1/feedback?"+query, "").get("data")); d != "" {
			t.Errorf("%s: %s", query, d)
		}
	}
	for query, want := range map[string]map[string]any{
		"agent_id=" + a.String(): {"count": 3.0, "average_rating": 4.0, "thumbs_up": 1.0, "thumbs_down": 1.0, "satisfaction": 2.0 / 3},
		"agent_id=" + b.String(): {"count": 1.0, "average_rating": nil, "thumbs_up": 0.0, "thumbs_down": 0.0, "satisfaction": nil},
		"trace_id=none":          {"count": 0.0, "average_rating": nil, "thumbs_up": 0.0, "thumbs_down": 0.0, "satisfaction": nil},
	} {
		if d := cmp.Diff(want, f.want(200, http.MethodGet, "/v1/feedback/summary?"+query, "").json); d != "" {
			t.Errorf("%s: %s", query, d)
		}
	}
	for _, c := range []struct{ body, code string }{
		{`{"target_type":"agent","target_id":"` + event + `","feedback_type":"x"}`, "agent_not_found"},
		{`{"target_type":"event","target_id":"` + message + `","feedback_type":"x"}`, "event_not_found"},
		{`{"target_type":"message","target_id":"nonsense","feedback_type":"x"}`, "agent_message_not_found"},
	} {
		f.wantError(f.do(http.MethodPost, "/v1/feedback", c.body), 404, "not_found_error", c.code)
	}
	f.wantError(f.do(http.MethodGet, "/v1/feedback?target_id=nonsense", ""), 404, "not_found_error", "agent_message_not_found")
	for _, part := range []string{`"feedback_type":"x","rating":0`, `"feedback_type":"x","rating":6`, `"feedback_type":"","user":""`, `"feedback_type":"x","rating":"5"`} {
		body := `{"target_type":"agent","target_id":"` + a.String() + `",` + part + `}`
		f.wantError(f.do(http.MethodPost, "/v1/feedback", body), 400, "invalid_request_error", "invalid_request")
	}
}

func TestTraces(t *testing.T) {
	t.Parallel()
	f := newFixture(t, withExchange)
	a := f.agentID()
	report := func(more string) string {
		t.Helper()
		f.clock.Advance(time.Second)
		return f.want(201, http.MethodPost, "/v1/events", `{"agent_id":"`+a.String()+`","trace_id":"t/1 ü",`+more+`}`).get("id").(string)
	}
	root := report(`"event_type":"run","payload":{"job":"daily report","user":{"id":42}}`)
	step := report(`"event_type":"step","level":"error","source":"planner","parent_event_id":"` + root + `"`)
	f.want(201, http.MethodPost, "/v1/agent_messages",
		`{"sender_id":"`+a.String()+`","receiver_id":"`+a.String()+`","message_type":"x","trace_id":"t/1 ü"}`)
	f.want(201, http.MethodPost, "/v1/feedback", `{"target_type":"event","target_id":"`+step+`","feedback_type":"thumbs_down"}`)

	list := f.want(200, http.MethodGet, "/v1/traces?agent_id="+a.String(), "")
	sums := map[string]any{
		"started_at": "2026-07-15T12:30:01.000Z", "ended_at": "2026-07-15T12:30:02.000Z", "events": 2.0, "errors": 1.0,
		"agent_ids": []any{a.String()},
	}
	want := map[string]any{
		"type": "trace", "trace_id": "t/1 ü",
		"root": map[string]any{
			"id": root, "agent_id": a.String(), "event_type": "run", "source": nil, "level": "info", "created_at": "2026-07-15T12:30:01.000Z",
		},
	}
	for k, v := range sums {
		want[k] = v
	}
	if d := cmp.Diff([]any{want}, list.get("data")); d != "" {
		t.Error(d)
	}
	tree := f.want(200, http.MethodGet, "/v1/traces/t%2F1%20%C3%BC", "")
	roots, _ := tree.get("roots").([]any)
	messages, _ := tree.get("messages").([]any)
	feedback, _ := tree.get("feedback").([]any)
	if len(roots) != 1 || len(messages) != 1 || len(feedback) != 1 || tree.get("truncated") != false || tree.get("errors") != 1.0 {
		t.Fatalf("%s", tree.body)
	}
	node := roots[0].(map[string]any)
	child := map[string]any{
		"type": "event", "id": step, "agent_id": a.String(), "event_type": "step", "source": "planner", "level": "error", "parent_event_id": root,
		"payload": nil, "created_at": "2026-07-15T12:30:02.000Z", "children": []any{},
	}
	if d := cmp.Diff([]any{child}, node["children"]); d != "" || node["id"] != root {
		t.Errorf("%v %s", node["id"], d)
	}
	f.wantError(f.do(http.MethodGet, "/v1/traces/nothing", ""), 404, "not_found_error", "trace_not_found")

	for query, found := range map[string]int{
		"search=DAILY": 1, "search=daily+nowhere": 0, "field=user.id:42": 1, "field=user.id:42&field=job:daily+report": 1,
		"field=user.id:42&field=job:weekly": 0, "search=planner&level=error": 1, "search=planner&level=info": 0,
	} {
		if data, _ := f.want(200, http.MethodGet, "/v1/events?"+query, "").get("data").([]any); len(data) != found {
			t.Errorf("%s: found %d events", query, len(data))
		}
	}
	for _, query := range []string{
		"field=nothing", "field=:x", "field=a:1&field=a:2", "search=" + strings.Repeat("x", 501), "field=" + strings.Repeat("x", 201) + ":1",
	} {
		f.wantError(f.do(http.MethodGet, "/v1/events?"+query, ""), 400, "invalid_request_error", f.do(http.MethodGet, "/v1/events?"+query, "").code())
	}
	hist := f.want(200, http.MethodGet, "/v1/events/histogram?interval=minute&since=2026-07-15T12:29:00Z&until=2026-07-15T12:31:00Z", "")
	bucket := func(start string, info, failed float64) map[string]any {
		return map[string]any{"start": start, "info": info, "warning": 0.0, "error": failed, "critical": 0.0, "total": info + failed}
	}
	buckets := []any{bucket("2026-07-15T12:29:00.000Z", 0, 0), bucket("2026-07-15T12:30:00.000Z", 1, 1)}
	if d := cmp.Diff(map[string]any{"interval": "minute", "buckets": buckets}, hist.json); d != "" {
		t.Error(d)
	}
	for _, query := range []string{"interval=week", "interval=minute&since=2026-01-01T00:00:00Z", "since=2027-01-01T00:00:00Z"} {
		got := f.do(http.MethodGet, "/v1/events/histogram?"+query, "")
		f.wantError(got, 400, "invalid_request_error", got.code())
	}
}

func TestRetention(t *testing.T) {
	t.Parallel()
	f := newFixture(t, withExchange)
	kept := func(events, messages, feedback any) map[string]any {
		return map[string]any{"type": "retention", "events_days": events, "messages_days": messages, "feedback_days": feedback}
	}
	check := func(got answer, want map[string]any) {
		t.Helper()
		if d := cmp.Diff(want, got.json); d != "" {
			t.Error(d)
		}
	}
	check(f.want(200, http.MethodGet, "/v1/retention", ""), kept(nil, nil, 365.0))
	check(f.want(200, http.MethodPut, "/v1/retention", `{"events_days":90,"messages_days":null}`), kept(90.0, nil, nil))
	check(f.want(200, http.MethodGet, "/v1/retention", ""), kept(90.0, nil, nil))
	for _, body := range []string{`{"events_days":0}`, `{"messages_days":3651}`, `{"feedback_days":1.5}`, `{"events_days":"1"}`} {
		f.wantError(f.do(http.MethodPut, "/v1/retention", body), 400, "invalid_request_error", "invalid_request")
	}
	reader := "x-api-key: " + f.newKey(account.TelemetryRead)
	check(f.want(200, http.MethodGet, "/v1/retention", "", reader), kept(90.0, nil, nil))
	f.wantError(f.do(http.MethodPut, "/v1/retention", `{}`, reader), 403, "permission_error", "permission_denied")
}
