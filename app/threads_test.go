package app_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/bureau-agents/bureau/app/apptest"
)

type threadAnswer struct {
	ID, Type, Status string
	SessionID        string  `json:"session_id"`
	ParentThreadID   *string `json:"parent_thread_id"`
	Agent            struct{ Type, Name string }
	Usage            *struct {
		OutputTokens int64 `json:"output_tokens"`
	}
}

// TestDelegates has a coordinator on the offline model ask another agent, and reads the thread like a client does.
func TestDelegates(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(t *testing.T, cfg apptest.Config) {
		s := apptest.Start(t, cfg)
		var helper, lead, sess struct{ ID string }
		s.Admin.Call("POST", "/v1/agents", m{"name": "researcher", "model": "offline", "description": "Looks things up."}, &helper)
		s.Admin.Call("POST", "/v1/agents", m{"name": "lead", "model": "offline", "multiagent": m{
			"type": "coordinator", "agents": []m{{"type": "agent", "id": helper.ID}, {"type": "self"}},
		}}, &lead)
		s.Admin.Call("POST", "/v1/sessions", m{"agent": lead.ID}, &sess)
		path := "/v1/sessions/" + sess.ID
		talk := s.Admin.Stream("POST", path+"/messages", m{"content": "Ask the researcher agent to tell me its name."}).Rest()
		var kinds []string
		for _, e := range talk {
			kinds = append(kinds, e.Type)
		}
		for _, want := range []string{
			"agent.tool_use", "session.thread_created", "agent.thread_message_sent", "session.thread_status_running", "session.thread_status_idle",
			"agent.thread_message_received", "agent.tool_result", "session.status_idle",
		} {
			if !slices.Contains(kinds, want) {
				t.Errorf("no %s: %v", want, kinds)
			}
		}
		threads := apptest.All[threadAnswer](s.Admin, path+"/threads?limit=1")
		if len(threads) != 2 || threads[0].ParentThreadID != nil || threads[1].ParentThreadID == nil || *threads[1].ParentThreadID != threads[0].ID {
			t.Fatalf("%+v", threads)
		}
		th := threads[1]
		if !strings.HasPrefix(th.ID, "sthr_") || th.Type != "session_thread" || th.SessionID != sess.ID || th.Agent.Name != "researcher" || th.Status != "idle" || th.Usage == nil {
			t.Errorf("%+v", th)
		}
		if n := len(apptest.All[threadAnswer](s.Admin, path+"/threads?statuses[]=running")); n != 0 {
			t.Errorf("%d threads run", n)
		}
		events := apptest.All[m](s.Admin, path+"/threads/"+th.ID+"/events?limit=2")
		if len(events) < 4 || events[0]["type"] != "agent.thread_message_received" || events[0]["from_session_thread_id"] != threads[0].ID {
			t.Errorf("%v", events)
		}
		var shown threadAnswer
		s.Admin.Call("GET", path+"/threads/"+th.ID, nil, &shown)
		if shown.ID != th.ID {
			t.Errorf("%+v", shown)
		}
		s.Admin.Refuse(409, "POST", path+"/threads/"+threads[0].ID+"/archive", nil)
		s.Admin.Call("POST", path+"/threads/"+th.ID+"/archive", nil, &shown)
		if shown.Status != "terminated" {
			t.Errorf("%+v", shown)
		}
		s.Admin.Refuse(404, "GET", path+"/threads/sthr_00000000000000000000000000", nil)
		s.Admin.Refuse(404, "GET", "/v1/sessions/sesn_"+strings.TrimPrefix(th.ID, "sthr_"), nil)
		st := s.Admin.Stream("GET", path+"/threads/"+th.ID+"/stream?replay=1", nil)
		if got := st.Rest(); got[len(got)-1].Type != "session.status_terminated" {
			t.Errorf("%v", got)
		}
		var all struct{ Data []m }
		s.Admin.Call("GET", "/v1/sessions", nil, &all)
		if len(all.Data) != 1 {
			t.Errorf("%d sessions", len(all.Data))
		}
	})
}

// TestReachesOutcomes defines outcomes on the offline model: one that its answer meets, and one that it never does.
func TestReachesOutcomes(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(t *testing.T, cfg apptest.Config) {
		s := apptest.Start(t, cfg)
		var agent struct{ ID string }
		s.Admin.Call("POST", "/v1/agents", m{"name": "clerk", "model": "offline"}, &agent)
		for rubric, want := range map[string]string{`- It says "offline"`: "satisfied", `- It says "a sonnet"`: "max_iterations_reached"} {
			var sess struct{ ID string }
			s.Admin.Call("POST", "/v1/sessions", m{"agent": agent.ID, "initial_events": []m{{
				"type": "user.define_outcome", "description": "Who are you?", "rubric": m{"type": "text", "content": rubric}, "max_iterations": 2,
			}}}, &sess)
			var got struct {
				Status   string
				Outcomes []struct {
					ID          string `json:"outcome_id"`
					Result      string
					Explanation string
					CompletedAt *string `json:"completed_at"`
				} `json:"outcome_evaluations"`
			}
			for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) {
				s.Admin.Call("GET", "/v1/sessions/"+sess.ID, nil, &got)
				if got.Status == "idle" || time.Now().After(deadline) {
					break
				}
			}
			if len(got.Outcomes) != 1 || got.Outcomes[0].Result != want || !strings.HasPrefix(got.Outcomes[0].ID, "outc_") || got.Outcomes[0].CompletedAt == nil {
				t.Errorf("%s: %+v", rubric, got)
			}
			for _, e := range apptest.All[m](s.Admin, "/v1/sessions/"+sess.ID+"/events") {
				if id, ok := e["outcome_id"]; ok && id != got.Outcomes[0].ID {
					t.Errorf("%v", e)
				}
			}
		}
		for body, field := range map[string]string{
			`{"type":"user.define_outcome"}`: "description", `{"type":"user.define_outcome","description":"x"}`: "rubric",
			`{"type":"user.define_outcome","description":"x","rubric":{"type":"text"}}`:                                   "content",
			`{"type":"user.define_outcome","description":"x","rubric":{"type":"text","content":"y"},"max_iterations":21}`: "max_iterations",
			`{"type":"user.define_outcome","description":"x","rubric":{"type":"text","content":"y"},"max_iterations":0}`:  "max_iterations",
			`{"type":"user.define_outcome","description":"x","rubric":{"type":"poem","content":"y"}}`:                     "type",
		} {
			var sess struct{ ID string }
			s.Admin.Call("POST", "/v1/sessions", m{"agent": agent.ID}, &sess)
			if _, message := s.Admin.Refuse(400, "POST", "/v1/sessions/"+sess.ID+"/events", m{"events": []json.RawMessage{json.RawMessage(body)}}); !strings.Contains(message, field) {
				t.Errorf("%s: %s", body, message)
			}
		}
	})
}
