package valar

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestRequests(t *testing.T) {
	ctx := t.Context()
	at := time.Date(2026, 3, 1, 13, 0, 0, 0, time.FixedZone("", 3600))
	icon := ""
	calls := []struct {
		do         func(*Client) error
		want, body string
		answer     string
	}{
		{func(c *Client) error {
			return second(c.RegisterAgent(ctx, NewAgent{Name: "a", Metadata: map[string]int{"k": 1}}))
		},
			"POST /agents", `{"name":"a","type":"assistant","metadata":{"k":1}}`, `{}`},
		{func(c *Client) error {
			return second(c.ListAgents(ctx, AgentFilter{Search: "x y", Paging: Paging{2, 4}}))
		},
			"GET /agents?limit=2&offset=4&search=x+y", "", `[]`},
		{func(c *Client) error { return second(c.GetAgent(ctx, "a/b")) }, "GET /agents/a%2Fb", "", `{}`},
		{func(c *Client) error { return second(c.UpdateAgent(ctx, "a", AgentChange{Icon: &icon})) }, "PATCH /agents/a", `{"icon":""}`, `{}`},
		{func(c *Client) error { return c.DeleteAgent(ctx, "a") }, "DELETE /agents/a", "", ""},
		{func(c *Client) error {
			return second(c.LogEvent(ctx, NewEvent{AgentID: "a", EventType: "e", Level: LevelError, Payload: map[string]any{}}))
		}, "POST /events", `{"agent_id":"a","event_type":"e","level":"error","payload":{}}`, `{}`},
		{func(c *Client) error { return second(c.LogEvents(ctx, []NewEvent{{AgentID: "a", EventType: "e"}})) },
			"POST /events/batch", `{"events":[{"agent_id":"a","event_type":"e"}]}`, `{"created":1,"events":[{}]}`},
		{func(c *Client) error { return second(c.ListEvents(ctx, EventFilter{AgentID: "a", Since: at})) },
			"GET /events?agent_id=a&since=2026-03-01T12%3A00%3A00Z", "", `[]`},
		{func(c *Client) error { return second(c.CleanupEvents(ctx, Cleanup{AgentName: "n"})) },
			"DELETE /events?agent_name=n&older_than_days=0", "", `{"deleted":3}`},
		{func(c *Client) error {
			return second(c.SendMessage(ctx, NewMessage{SenderID: "a", ReceiverID: "b", MessageType: "m"}))
		},
			"POST /messages", `{"sender_id":"a","receiver_id":"b","message_type":"m"}`, `{}`},
		{func(c *Client) error { return second(c.ListMessages(ctx, MessageFilter{AgentID: "a", Until: at})) },
			"GET /messages?agent_id=a&until=2026-03-01T12%3A00%3A00Z", "", `[]`},
		{func(c *Client) error {
			return second(c.SubmitFeedback(ctx, NewFeedback{TargetType: TargetAgent, TargetID: "a", FeedbackType: ThumbsUp, Rating: 5}))
		}, "POST /feedback", `{"target_type":"agent","target_id":"a","feedback_type":"thumbs_up","rating":5}`, `{"rating":null}`},
		{func(c *Client) error { return second(c.ListFeedback(ctx, FeedbackFilter{TargetID: "a"})) }, "GET /feedback?target_id=a", "", `[]`},
		{func(c *Client) error { return second(c.SummarizeFeedback(ctx, Span{AgentID: "a"})) }, "GET /feedback/summary?agent_id=a", "", `{}`},
		{func(c *Client) error {
			return second(c.ReportUsage(ctx, NewUsage{AgentID: "a", Model: "m", TokensInput: 1}))
		},
			"POST /usage", `{"agent_id":"a","model":"m","tokens_input":1,"tokens_output":0}`, `{"computed_cost":null,"avg_latency_ms":1.5}`},
		{func(c *Client) error { return second(c.ListUsage(ctx, UsageFilter{Model: "m"})) }, "GET /usage?model=m", "", `[]`},
		{func(c *Client) error { return second(c.SummarizeUsage(ctx, Span{}, ByDay)) }, "GET /usage/summary?group_by=day", "", `{}`},
		{func(c *Client) error {
			return second(c.IngestSkills(ctx, "a", []NewSkill{{Key: "k", Name: "n", Category: "c"}}))
		},
			"POST /skills/ingest", `{"agent_id":"a","skills":[{"key":"k","name":"n","category":"c"}]}`, `{"ingested":1,"skills":[{}]}`},
		{func(c *Client) error { return second(c.ListSkillReviews(ctx, ReviewFilter{Status: SkillDenied})) }, "GET /skills/review?status=denied", "", `[]`},
		{func(c *Client) error { return second(c.ApproveSkill(ctx, "s", Approval{Digest: "d"})) }, "POST /skills/s/approve", `{"digest":"d"}`, `{}`},
		{func(c *Client) error { return second(c.DenySkill(ctx, "s", "why")) }, "POST /skills/s/deny", `{"reason":"why"}`, `{}`},
		{func(c *Client) error { return second(c.ListMarketplaceSkills(ctx, SkillFilter{Tag: "t"})) }, "GET /marketplace/skills?tag=t", "", `[]`},
		{func(c *Client) error { return second(c.GetMarketplaceSkill(ctx, "s")) }, "GET /marketplace/skills/s", "", `{}`},
		{func(c *Client) error { return second(c.InstallPrompt(ctx, "s")) }, "GET /marketplace/skills/s/install-prompt", "", `{"prompt":"p"}`},
		{func(c *Client) error { return second(c.CreateAgentLink(ctx, "a", "ada")) }, "POST /agent-links", `{"agent_id":"a","user":"ada"}`, `{}`},
		{func(c *Client) error { return second(c.ListAgentLinks(ctx, Paging{Limit: 9})) }, "GET /agent-links?limit=9", "", `[]`},
		{func(c *Client) error { return c.DeleteAgentLink(ctx, "l") }, "DELETE /agent-links/l", "", ""},
		{func(c *Client) error { return c.Do(ctx, "POST", "x?y=1", 7, nil) }, "POST /x?y=1", "7", `no JSON, and nobody asked`},
	}
	for _, call := range calls {
		a := ok(call.answer)
		if call.answer == "" {
			a.status = http.StatusNoContent
		}
		f := serve(a)
		if err := call.do(f.client(t)); err != nil {
			t.Errorf("%s: %v", call.want, err)
			continue
		}
		got := f.seen()[0]
		if s := got.method + " " + strings.TrimPrefix(got.url, "http://valar.test/api"); s != call.want || got.body != call.body {
			t.Errorf("%s %s, want %s %s", s, got.body, call.want, call.body)
		}
		if got.header.Get("X-Api-Key") != "key" || (got.header.Get("Idempotency-Key") != "") != (got.method == http.MethodPost) {
			t.Errorf("%s: headers %v", call.want, got.header)
		}
	}
}

func second[T any](_ T, err error) error { return err }

func TestHealthSendsNoKey(t *testing.T) {
	f := serve(ok(`{"status":"ok"}`), ok(`{"status":"ill"}`))
	c := f.client(t)
	if err := c.Health(t.Context()); err != nil || f.seen()[0].header.Get("X-Api-Key") != "" {
		t.Errorf("%v with %v", err, f.seen()[0].header)
	}
	if err := c.Health(t.Context()); err == nil {
		t.Error("an ill server is well")
	}
}

func TestConfig(t *testing.T) {
	for _, bad := range []string{"", "valar.test", "ftp://valar.test", "http://", "http://a?b=c", "http://%zz"} {
		if _, err := New(Config{BaseURL: bad}); err == nil {
			t.Errorf("%q is taken", bad)
		}
	}
}

func TestRegisterReturnsTheAgentThatHasTheName(t *testing.T) {
	taken := refusal(409, "taken")
	f := serve(taken, ok(`[{"id":"1","name":"My-Bot"},{"id":"2","name":"my-bot"}]`))
	if a, err := f.client(t).RegisterAgent(t.Context(), NewAgent{Name: "my-bot"}); err != nil || a.ID != "2" {
		t.Errorf("%+v, %v", a, err)
	}
	f = serve(taken, ok(`[]`), ok(`{"id":"3"}`)) // deleted in between
	if a, err := f.client(t).RegisterAgent(t.Context(), NewAgent{Name: "my-bot"}); err != nil || a.ID != "3" {
		t.Errorf("%+v, %v", a, err)
	}
	f = serve(taken, ok(`[]`), taken, ok(`[]`))
	if _, err := f.client(t).RegisterAgent(t.Context(), NewAgent{Name: "my-bot"}); !IsStatus(err, 409) {
		t.Errorf("%v", err)
	}
}

func TestErrors(t *testing.T) {
	f := serve(refusal(404, "no such agent", "Request-Id", "req_1"))
	_, err := f.client(t).GetAgent(t.Context(), "a")
	var e *Error
	if !errors.As(fmt.Errorf("while testing: %w", err), &e) || e.Status != 404 || e.Detail != "no such agent" || e.RequestID != "req_1" {
		t.Errorf("%+v", err)
	}
	if err.Error() != "valar: GET /agents/a: 404: no such agent" {
		t.Error(err)
	}
	if !IsStatus(err, 403, 404) || IsStatus(err, 403) || IsStatus(errBroken, 404) || IsStatus(nil, 0) {
		t.Error("IsStatus is wrong")
	}
	f = serve(answer{status: 422, body: `{"detail":[{"loc":["body","events",1,"level"],"msg":"is none","type":"value_error"}]}`})
	_, err = f.client(t).LogEvents(t.Context(), nil)
	want := []Field{{[]string{"body", "events", "1", "level"}, "is none", "value_error"}}
	if !errors.As(err, &e) || !reflect.DeepEqual(e.Fields, want) || e.Detail != "body.events.1.level: is none" {
		t.Errorf("%+v", err)
	}
	for _, body := range []string{"<html>", "", `"x"`, `[]`, `{"detail":{"a":1}}`, `{"detail":null}`} {
		f = serve(answer{status: 403, body: body})
		if _, err := f.client(t).GetAgent(t.Context(), "a"); !IsStatus(err, 403) {
			t.Errorf("%q: %v", body, err)
		}
	}
	f = serve(answer{status: 307, header: http.Header{"Location": {"http://elsewhere.test/"}}})
	if _, err := f.client(t).GetAgent(t.Context(), "a"); !IsStatus(err, 307) || len(f.seen()) != 1 {
		t.Errorf("a redirect took the key elsewhere: %v", err)
	}
	for _, body := range []string{"<html>", `"x"`, ``} {
		f = serve(ok(body))
		if _, err := f.client(t).ListAgents(t.Context(), AgentFilter{}); !IsStatus(err, 200) || len(f.seen()) != 1 {
			t.Errorf("%q is a list: %v", body, err)
		}
	}
	f = serve(ok(`{}`))
	if _, err := f.client(t).LogEvent(t.Context(), NewEvent{Payload: make(chan int)}); err == nil || len(f.seen()) > 0 {
		t.Error("a channel is no JSON")
	}
}

func TestRetries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, bad := range []answer{{err: errBroken}, {status: 429}, {status: 500}, {status: 503}, {hang: true}} {
			f := serve(bad, bad, bad, ok(`{"id":"e"}`))
			if e, err := f.client(t).LogEvent(t.Context(), NewEvent{AgentID: "a", EventType: "e"}); err != nil || e.ID != "e" {
				t.Errorf("%+v: %v", bad, err)
			}
			seen := f.seen()
			if len(seen) != 4 {
				t.Fatalf("%+v: %d requests", bad, len(seen))
			}
			for i := 1; i < 4; i++ {
				if seen[i].header.Get("Idempotency-Key") != seen[0].header.Get("Idempotency-Key") || seen[i].body != seen[0].body {
					t.Errorf("%+v: another request", bad)
				}
				pause, least := seen[i].at.Sub(seen[i-1].at), firstPause<<(i-1)*3/4
				if bad.hang {
					pause -= DefaultTimeout
				}
				if pause < least || pause > least*5/3 {
					t.Errorf("%+v: pause %d is %v", bad, i, pause)
				}
			}
			f = serve(bad)
			if _, err := f.client(t).GetAgent(t.Context(), "a"); !IsStatus(err, bad.status) || len(f.seen()) != 4 {
				t.Errorf("%+v: %v after %d requests", bad, err, len(f.seen()))
			}
			f = serve(bad)
			_, err := f.client(t, func(c *Config) { c.MaxRetries = -1 }).GetAgent(t.Context(), "a")
			if len(f.seen()) != 1 || bad.err != nil && !errors.Is(err, errBroken) || bad.hang && !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("%+v: %v after %d requests", bad, err, len(f.seen()))
			}
		}
		for _, status := range []int{400, 401, 403, 404, 409, 413, 422} {
			f := serve(answer{status: status})
			if _, err := f.client(t).GetAgent(t.Context(), "a"); !IsStatus(err, status) || len(f.seen()) != 1 {
				t.Errorf("%d: %v after %d requests", status, err, len(f.seen()))
			}
		}
	})
}

func TestRetryAfter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		date := time.Now().Add(20 * time.Second).UTC().Format(http.TimeFormat)
		f := serve(refusal(429, "slow", "Retry-After", "7"), refusal(429, "slow", "Retry-After", date), refusal(429, "slow", "Retry-After", "soon"), ok(`{}`))
		if _, err := f.client(t).GetAgent(t.Context(), "a"); err != nil {
			t.Fatal(err)
		}
		s := f.seen()
		first, second, third := s[1].at.Sub(s[0].at), s[2].at.Sub(s[1].at), s[3].at.Sub(s[2].at)
		if first != 7*time.Second || second < 10*time.Second || second > 20*time.Second || third > 2*time.Second {
			t.Errorf("pauses are %v, %v, %v", first, second, third)
		}
		f = serve(refusal(429, "slow", "Retry-After", "3600"))
		if _, err := f.client(t).GetAgent(t.Context(), "a"); !IsStatus(err, 429) || len(f.seen()) != 1 {
			t.Errorf("an hour is waited for: %v", err)
		}
		f = serve(answer{err: errBroken}, refusal(409, "still being answered", "Retry-After", "1"), ok(`{}`))
		if _, err := f.client(t).LogEvent(t.Context(), NewEvent{}); err != nil || len(f.seen()) != 3 {
			t.Errorf("%v after %d requests", err, len(f.seen()))
		}
		f = serve(answer{err: errBroken}, refusal(404, "gone"))
		if err := f.client(t).DeleteAgent(t.Context(), "a"); err != nil {
			t.Errorf("deleted by the attempt before: %v", err)
		}
	})
}

func TestContextEndsPauses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		why := errors.New("enough")
		ctx, cancel := context.WithTimeoutCause(t.Context(), 100*time.Millisecond, why)
		defer cancel()
		f := serve(answer{status: 500})
		if _, err := f.client(t).GetAgent(ctx, "a"); !errors.Is(err, why) || len(f.seen()) != 1 {
			t.Errorf("%v after %d requests", err, len(f.seen()))
		}
	})
}

// shelf serves a list, two or so many at a time, and lets others add to it.
func shelf(items *[]string) *fake {
	return &fake{decide: func(r request) answer {
		_, query, _ := strings.Cut(r.url, "?")
		limit, offset := 50, 0
		for part := range strings.SplitSeq(query, "&") {
			name, value, _ := strings.Cut(part, "=")
			switch name {
			case "limit":
				limit, _ = strconv.Atoi(value)
			case "offset":
				offset, _ = strconv.Atoi(value)
			}
		}
		from := min(offset, len(*items))
		page := make([]Event, 0)
		for _, id := range (*items)[from:min(from+limit, len(*items))] {
			page = append(page, Event{ID: id})
		}
		b, _ := json.Marshal(page)
		return answer{status: 200, body: string(b), header: http.Header{"X-Total-Count": {strconv.Itoa(len(*items))}}}
	}}
}

func TestPages(t *testing.T) {
	items := []string{"0", "1", "2", "3", "4"}
	f := shelf(&items)
	c := f.client(t)
	page, err := c.ListEvents(t.Context(), EventFilter{Paging: Paging{Limit: 2, Offset: 1}})
	if err != nil || page.Total != 5 || len(page.Items) != 2 || page.Items[0].ID != "1" {
		t.Fatalf("%+v, %v", page, err)
	}
	var seen []string
	for e, err := range c.AllEvents(t.Context(), EventFilter{AgentID: "a", Paging: Paging{Limit: 2}}) {
		if err != nil {
			t.Fatal(err)
		}
		if seen = append(seen, e.ID); e.ID == "1" {
			items = append([]string{"new"}, items...)
		}
	}
	if got := strings.Join(seen, ""); got != "01234" {
		t.Errorf("items are %s", got)
	}
	for e, err := range c.AllEvents(t.Context(), EventFilter{}) {
		if err != nil || e.ID != "new" {
			t.Errorf("%+v, %v", e, err)
		}
		break
	}
	if last := f.seen()[len(f.seen())-1]; !strings.HasSuffix(last.url, "limit=500") {
		t.Errorf("asked for %s", last.url)
	}
	n := 0
	for _, err := range serve(refusal(403, "no")).client(t).AllAgents(t.Context(), AgentFilter{}) {
		if n++; !IsStatus(err, 403) {
			t.Error(err)
		}
	}
	if n != 1 {
		t.Errorf("%d errors", n)
	}
	f = serve(ok(`[{"id":"1"}]`), ok(`[]`)) // does not count
	page2, err := f.client(t).ListAgents(t.Context(), AgentFilter{})
	if err != nil || page2.Total != -1 {
		t.Errorf("%+v, %v", page2, err)
	}
}
