package app_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/bureau-agents/bureau/app/apptest"
)

// TestEvents reports events over both faces, in bodies that are read fast and in others, which must make no difference.
func TestEvents(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(t *testing.T, cfg apptest.Config) {
		s := apptest.Start(t, cfg)
		var made struct{ ID string }
		s.Admin.Call("POST", valarPrefix+"/agents", m{"name": "reporter", "type": "assistant"}, &made)
		t.Run("same", func(t *testing.T) { playSameEvents(t, s.Admin.In(t), made.ID) })
		t.Run("refused", func(t *testing.T) { playRefusedEvents(t, s.Admin.In(t), made.ID) })
		t.Run("repeated", func(t *testing.T) { playRepeatedEvents(t, s.Admin.In(t), made.ID) })
		t.Run("destroyed", func(t *testing.T) { playDestroyedReporter(t, s.Admin.In(t), made.ID) })
	})
}

// playSameEvents sends the same events plainly, and with a field that the server does not know, which only the usual way passes over.
func playSameEvents(t *testing.T, api *apptest.Client, agent string) {
	event := `{"agent_id":"` + agent + `","event_type":"caf\u00e9 \"x\"","source":null,"level":"warning","trace_id":"t","payload":{"b":[1.0,{"a":"}"}],"a":null}`
	for _, at := range []struct{ path, begin, end, items string }{
		{"/v1/events", "", "", ""}, {"/v1/events/batch", `{"events":[`, `]}`, "data"},
		{valarPrefix + "/events", "", "", ""}, {valarPrefix + "/events/batch", `{"events":[`, `]}`, "events"},
	} {
		var answers []map[string]any
		for _, more := range []string{`}`, `,"unknown":[1]}`} {
			a := api.Do("POST", at.path, json.RawMessage(at.begin+event+more+at.end))
			var got map[string]any
			if a.Status != http.StatusCreated || json.Unmarshal(a.Body, &got) != nil {
				t.Fatalf("%s: %d %s", at.path, a.Status, a.Body)
			}
			if at.items != "" {
				if got["created"] != 1.0 {
					t.Errorf("%s: %s", at.path, a.Body)
				}
				got = got[at.items].([]any)[0].(map[string]any)
			}
			for _, own := range []string{"id", "created_at"} {
				if text, _ := got[own].(string); text == "" {
					t.Errorf("%s: no %s in %s", at.path, own, a.Body)
				}
				delete(got, own)
			}
			answers = append(answers, got)
		}
		if diff := cmp.Diff(answers[0], answers[1]); diff != "" {
			t.Errorf("%s (-fast +usual):\n%s", at.path, diff)
		}
		if answers[0]["event_type"] != "caf\u00e9 \"x\"" || answers[0]["level"] != "warning" || answers[0]["source"] != nil {
			t.Errorf("%s: %v", at.path, answers[0])
		}
	}
}

func playRefusedEvents(t *testing.T, api *apptest.Client, agent string) {
	good := `{"agent_id":"` + agent + `","event_type":"x"}`
	before := api.Do("GET", valarPrefix+"/events?limit=1", nil).Header.Get("X-Total-Count")
	for _, tc := range []struct {
		body   string
		status int    // of the valar face
		native int    // of the native one
		says   string // somewhere in the valar answer
	}{
		{`{"events":[` + good + `,` + good, 400, 400, "JSON"},
		{`{"events":[` + good + `,{"agent_id":"` + agent + `","event_type":"x","event_type":"y"}]}`, 400, 400, "events[1].event_type"},
		{`{"events":[{"agent_id":"` + agent + `","event_type":"x","payload":{"a":{"b":1,"b":2}}}]}`, 400, 400, "events[0].payload.a.b"},
		{`{"events":[` + good + `,{"agent_id":"` + agent + `"}]}`, 422, 400, `["body","events",1,"event_type"]`},
		{`{"events":[` + good + `,{"agent_id":"` + agent + `","event_type":"x","level":"fatal"}]}`, 422, 400, `["body","events",1,"level"]`},
		{`{"events":[{"agent_id":"` + agent + `","event_type":"x","payload":[]}]}`, 422, 400, `["body","events",0,"payload"]`},
		{`{"events":[]}`, 422, 400, `["body","events"]`},
		{`{"events":[` + strings.Repeat(good+",", 500) + good + `]}`, 422, 400, `["body","events"]`},
		{`{"events":[` + good + `,{"agent_id":"01890a5d-ac96-774b-bcce-b302099a8057","event_type":"x"}]}`, 404, 404, "agent"},
		{`{"events":[` + good + `,{"agent_id":"nobody","event_type":"x"}]}`, 404, 404, "agent"},
		{`{"events":[{"agent_id":"` + agent + `","event_type":"x","payload":{"a":"` + strings.Repeat("x", 17<<20) + `"}}]}`, 413, 413, "limit"},
	} {
		a := api.Do("POST", valarPrefix+"/events/batch", json.RawMessage(tc.body))
		if a.Status != tc.status || !strings.Contains(string(a.Body), tc.says) {
			t.Errorf("%.200s: %d %s, want %d with %s", tc.body, a.Status, a.Body, tc.status, tc.says)
		}
		if a := api.Do("POST", "/v1/events/batch", json.RawMessage(tc.body)); a.Status != tc.native {
			t.Errorf("%.200s: %d %s, want %d", tc.body, a.Status, a.Body, tc.native)
		}
	}
	for query, status := range map[string]int{"": 422, "older_than_days=-1": 422, "older_than_days=0&agent_name=nobody": 404} {
		if a := api.Do("DELETE", valarPrefix+"/events?"+query, nil); a.Status != status {
			t.Errorf("DELETE %s: %d %s", query, a.Status, a.Body)
		}
	}
	if after := api.Do("GET", valarPrefix+"/events?limit=1", nil).Header.Get("X-Total-Count"); after != before {
		t.Errorf("%s events after the refusals, %s before", after, before)
	}
}

// playRepeatedEvents repeats a batch under its Idempotency-Key.
func playRepeatedEvents(t *testing.T, api *apptest.Client, agent string) {
	body := m{"events": []m{{"agent_id": agent, "event_type": "once"}, {"agent_id": agent, "event_type": "once"}}}
	var first string
	for range 2 {
		a := api.Do("POST", "/v1/events/batch", body, "Idempotency-Key: a batch")
		if a.Status != http.StatusCreated || first != "" && first != string(a.Body) {
			t.Fatalf("%d %s, first %s", a.Status, a.Body, first)
		}
		first = string(a.Body)
	}
	if there := apptest.All[m](api, "/v1/events?event_type=once"); len(there) != 2 {
		t.Errorf("%d events", len(there))
	}
}

// playDestroyedReporter deletes the agent: its events are no longer there, and it reports no more.
func playDestroyedReporter(t *testing.T, api *apptest.Client, agent string) {
	if there := apptest.All[m](api, "/v1/events?agent_id="+agent); len(there) == 0 {
		t.Fatal("there is nothing to delete")
	}
	if a := api.Do("DELETE", valarPrefix+"/agents/"+agent, nil); a.Status != http.StatusNoContent {
		t.Fatalf("%d %s", a.Status, a.Body)
	}
	if there := apptest.All[m](api, "/v1/events"); len(there) != 0 {
		t.Errorf("%d events are there still", len(there))
	}
	api.Refuse(404, "POST", "/v1/events", m{"agent_id": agent, "event_type": "late"})
}
