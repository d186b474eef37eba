package app_test

import (
	"bufio"
	"compress/gzip"
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"testing"

	"github.com/bureau-agents/bureau/app"
	"github.com/bureau-agents/bureau/app/apptest"
)

// tail reads a stream up to n events and returns the types of what came, and the id of the last.
func tail(t *testing.T, st *apptest.Events, n int) (types []string, last string) {
	t.Helper()
	for range n {
		e, ok := st.Next()
		if !ok {
			t.Fatalf("the stream ended after %v", types)
		}
		var shown agentEvent
		if err := json.Unmarshal(e.Data, &shown); err != nil || shown.Type != e.Type || e.ID != "" && e.ID != shown.ID {
			t.Fatalf("%q %q %s", e.Type, e.ID, e.Data)
		}
		types, last = append(types, e.Type), shown.ID
	}
	return types, last
}

// What is reported at one server is seen at another, what came by OTLP too, although it says that it happened earlier; and whoever comes back,
// wherever, goes on where the last stream ended.
func TestTail(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(t *testing.T, cfg apptest.Config) {
		cfg.Change = func(c *app.Config) { c.APIKey = "bureau_tail_test_key_0123456789abcdef" }
		one := apptest.Start(t, cfg)
		other := one
		if cfg.DatabaseURL != "" {
			other = apptest.Start(t, cfg)
		}
		here, there := one.Admin.In(t), other.Admin.In(t)
		var agent struct{ ID string }
		here.Call("POST", "/v1/agents", m{"name": "reporter", "model": "offline"}, &agent)
		report := func(c *apptest.Client, types ...string) {
			for _, kind := range types {
				c.Call("POST", "/v1/events", m{"agent_id": agent.ID, "event_type": kind, "level": "warning", "payload": m{"n": 1}}, nil)
			}
		}
		report(here, "before")
		all, some := there.Stream("GET", "/v1/events/stream", nil), there.Stream("GET", "/v1/events/stream?event_type=b&min_level=warning", nil)
		report(here, "a", "b")
		report(there, "c")
		if types, _ := tail(t, all, 3); !slices.Equal(types, []string{"a", "b", "c"}) {
			t.Errorf("got %v", types)
		}
		if types, _ := tail(t, some, 1); !slices.Equal(types, []string{"b"}) {
			t.Errorf("got %v with a filter", types)
		}
		post(t, one, one.Admin.Key(), "/v1/otlp/v1/traces", "application/json", "", []byte(otlpSpan("reporter", "00000000000000a1", "", asked...)))
		types, last := tail(t, all, 1)
		if !slices.Equal(types, []string{"chat"}) {
			t.Errorf("got %v by OTLP", types)
		}
		all.Close()
		report(here, "d")
		report(there, "e")
		again := here.Stream("GET", "/v1/events/stream?after="+last, nil)
		if types, _ := tail(t, again, 2); !slices.Equal(types, []string{"d", "e"}) {
			t.Errorf("got %v behind the last", types)
		}
		here.Refuse(404, "GET", "/v1/events/stream?after=rep_00000000000000000000000000", nil)
		one.CloseStreams()
		if _, more := again.Next(); more {
			t.Error("a stream outlives its server")
		}
		here.Refuse(503, "GET", "/v1/events/stream", nil)
	})
}

func TestExportsOfLists(t *testing.T) {
	t.Parallel()
	s := apptest.Start(t, apptest.Config{})
	c := s.Admin.In(t)
	var agent struct{ ID string }
	c.Call("POST", "/v1/agents", m{"name": "reporter", "model": "offline"}, &agent)
	const n = 250 // more than a page
	events := make([]m, n)
	for i := range events {
		events[i] = m{"agent_id": agent.ID, "event_type": "e" + strconv.Itoa(i), "level": []string{"info", "error"}[i%2], "payload": m{"i": i}}
	}
	c.Call("POST", "/v1/events/batch", m{"events": events}, nil)
	c.Call("POST", "/v1/usage", m{"agent_id": agent.ID, "model": "m"}, nil)
	for path, want := range map[string]int{
		"/v1/events/export": n, "/v1/events/export?level=error": n / 2, "/v1/events/export?event_type=none": 0, "/v1/usage/export": 1,
	} {
		for _, zipped := range []bool{false, true} {
			req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.URL+path, http.NoBody)
			if err != nil {
				t.Fatal(err)
			}
			req.Header.Set("x-api-key", c.Key())
			req.Header.Set("Accept-Encoding", map[bool]string{true: "br, gzip;q=0.5", false: "gzip;q=0"}[zipped])
			res, err := http.DefaultClient.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			body := res.Body
			if zipped {
				if body, err = gzip.NewReader(res.Body); err != nil {
					t.Fatalf("%s: %v", path, err)
				}
			}
			if res.Header.Get("Content-Type") != "application/x-ndjson" || (res.Header.Get("Content-Encoding") == "gzip") != zipped {
				t.Errorf("%s: %v", path, res.Header)
			}
			got := 0
			lines := bufio.NewScanner(body)
			for ; lines.Scan(); got++ {
				var e struct {
					ID, Type string
					Agent    string `json:"agent_id"`
				}
				if err := json.Unmarshal(lines.Bytes(), &e); err != nil || e.ID == "" || e.Agent != agent.ID {
					t.Fatalf("%s: line %d: %v %s", path, got, err, lines.Bytes())
				}
			}
			if lines.Err() != nil || got != want {
				t.Errorf("%s: %d lines, want %d: %v", path, got, want, lines.Err())
			}
			_ = res.Body.Close()
		}
	}
	c.Refuse(400, "GET", "/v1/events/export?level=loud", nil)
}
