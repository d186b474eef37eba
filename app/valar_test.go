package app_test

import (
	"encoding/json"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/bureau-agents/bureau/app"
	"github.com/bureau-agents/bureau/app/apptest"
)

const valarPrefix = "/compat/valar"

// valar calls the valar face.
type valar struct {
	t   *testing.T
	api *apptest.Client
}

// valarAgent is an agent as the face shows it.
type valarAgent struct {
	ID, Name, Type, Status      string
	Icon, Platform, Description *string
	Metadata                    map[string]any
	CreatedAt                   string `json:"created_at"`
	UpdatedAt                   string `json:"updated_at"`
}

// register makes an agent of a name.
func (v valar) register(body any) (made valarAgent) {
	v.t.Helper()
	a := v.api.Do("POST", valarPrefix+"/agents", body)
	if a.Status != http.StatusCreated || json.Unmarshal(a.Body, &made) != nil {
		v.t.Fatalf("registering %v: %d %s", body, a.Status, a.Body)
	}
	return made
}

// names lists the names of the agents that a query finds, and what X-Total-Count says.
func (v valar) names(query string) (names []string, total int) {
	v.t.Helper()
	a := v.api.Do("GET", valarPrefix+"/agents?"+query, nil)
	var found []valarAgent
	if a.Status != http.StatusOK || json.Unmarshal(a.Body, &found) != nil || found == nil {
		v.t.Fatalf("GET /agents?%s: %d %s", query, a.Status, a.Body)
	}
	total, err := strconv.Atoi(a.Header.Get("X-Total-Count"))
	if err != nil {
		v.t.Fatal(err)
	}
	names = []string{}
	for _, f := range found {
		names = append(names, f.Name)
	}
	return names, total
}

// finds checks what a query finds, all of it on one page.
func (v valar) finds(query string, want ...string) {
	v.t.Helper()
	names, total := v.names(query)
	if !slices.Equal(want, names) || total != len(want) {
		v.t.Errorf("%s finds %q of %d, want %q", query, names, total, want)
	}
}

// refuse sends what is refused for one fault in the input, at a place.
func (v valar) refuse(method, path string, body any, loc ...any) {
	v.t.Helper()
	a := v.api.Do(method, valarPrefix+path, body)
	var e struct {
		Detail []struct {
			Loc       []any
			Msg, Type string
		}
	}
	if a.Status != http.StatusUnprocessableEntity || json.Unmarshal(a.Body, &e) != nil || len(e.Detail) != 1 {
		v.t.Fatalf("%s %s %v: %d %s", method, path, body, a.Status, a.Body)
	}
	if d := e.Detail[0]; !slices.Equal(loc, d.Loc) || d.Msg == "" || d.Type == "" {
		v.t.Errorf("%s %s %v: the fault is %v, want it at %v", method, path, body, d, loc)
	}
}

// TestValar plays every call of the valar face.
func TestValar(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(t *testing.T, cfg apptest.Config) {
		s := apptest.Start(t, cfg)
		for _, part := range []struct {
			name string
			play func(valar)
		}{
			{"health", playValarHealth}, {"directory", playValarDirectory}, {"agents", playValarAgents}, {"names", playValarNames}, {"standing", playValarStanding},
			{"deletion", playValarDeletion}, {"refusals", playValarRefusals},
		} {
			t.Run(part.name, func(t *testing.T) {
				var tenant struct {
					APIKey string `json:"api_key"`
				}
				s.Admin.In(t).Call("POST", "/v1/tenants", m{"name": part.name}, &tenant)
				part.play(valar{t, s.As(tenant.APIKey).In(t)})
			})
		}
	})
}

func playValarHealth(v valar) {
	if a := v.api.Do("GET", valarPrefix+"/health", nil); a.Status != 200 || strings.TrimSpace(string(a.Body)) != `{"status":"ok"}` {
		v.t.Errorf("%d %s", a.Status, a.Body)
	}
}

func playValarAgents(v valar) {
	made := v.register(m{
		"name": "Ada", "type": "assistant", "icon": "🤖", "platform": "python", "description": "Counts.", "status": "busy", "metadata": m{"team": m{"of": 2}},
	})
	icon, platform, description := "🤖", "python", "Counts."
	if !regexp.MustCompile(`^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`).MatchString(made.ID) {
		v.t.Errorf("the id is %q", made.ID)
	}
	stamp := regexp.MustCompile(`^20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$`)
	if !stamp.MatchString(made.CreatedAt) || made.UpdatedAt != made.CreatedAt {
		v.t.Errorf("it was made at %q and changed at %q", made.CreatedAt, made.UpdatedAt)
	}
	want := valarAgent{
		ID: made.ID, Name: "Ada", Type: "assistant", Status: "busy", Icon: &icon, Platform: &platform, Description: &description,
		Metadata: map[string]any{"team": map[string]any{"of": 2.0}}, CreatedAt: made.CreatedAt, UpdatedAt: made.UpdatedAt,
	}
	same(v.t, want, made)
	path := valarPrefix + "/agents/" + made.ID
	var got valarAgent
	v.api.Call("GET", path, nil, &got)
	same(v.t, want, got)

	// The other faces have the same agent, and a change of its label makes no version of it.
	var native struct {
		ID, Name string
		Version  int
	}
	got = valarAgent{}
	v.api.Call("PATCH", path, `{"status":"idle","metadata":{"a":[]},"name":null,"type":null,"unknown":1}`, &got)
	v.api.Call("GET", "/v1/agents/"+made.ID, nil, &native)
	if native.Name != "Ada" || native.Version != 1 {
		v.t.Errorf("natively it is %+v", native)
	}
	want.Status, want.Metadata, want.UpdatedAt = "idle", map[string]any{"a": []any{}}, got.UpdatedAt
	same(v.t, want, got)
	if got.UpdatedAt < got.CreatedAt {
		v.t.Errorf("it was changed at %q, before it was made", got.UpdatedAt)
	}
	v.api.Call("PATCH", path, `{"name":"Ada II","description":"Reckons."}`, &got)
	v.api.Call("GET", "/v1/agents/"+made.ID, nil, &native)
	if got.Name != "Ada II" || *got.Description != "Reckons." || native.Version != 2 {
		v.t.Errorf("it is %+v, natively %+v", got, native)
	}
	was := got
	v.api.Call("PATCH", path, `{}`, &got)
	same(v.t, was, got)
	got = valarAgent{}
	v.api.Call("PATCH", path, `{"icon":null,"platform":null,"description":null,"status":null,"metadata":null}`, &got)
	same(v.t, valarAgent{ID: was.ID, Name: was.Name, Type: was.Type, Status: "active", CreatedAt: was.CreatedAt, UpdatedAt: got.UpdatedAt}, got)

	bare := v.register(m{"name": "Bare", "type": "worker"})
	same(v.t, valarAgent{ID: bare.ID, Name: "Bare", Type: "worker", Status: "active", CreatedAt: bare.CreatedAt, UpdatedAt: bare.CreatedAt}, bare)
	// An agent of another face is here, too.
	var other struct{ ID string }
	v.api.Call("POST", "/v1/agents", m{"name": "Native", "model": "offline"}, &other)
	v.api.Call("GET", valarPrefix+"/agents/"+other.ID, nil, &got)
	if got.Name != "Native" || got.Type != "assistant" || got.Status != "active" {
		v.t.Errorf("an agent that was made natively is %+v", got)
	}
}

func playValarDirectory(v valar) {
	v.finds("")
	for _, a := range []m{
		{"name": "Alpha one", "type": "assistant", "platform": "python"},
		{"name": "Beta", "type": "worker", "platform": "go", "status": "busy"},
		{"name": "alphabet_100%", "type": "worker", "platform": "python"},
	} {
		v.register(a)
	}
	v.finds("", "alphabet_100%", "Beta", "Alpha one")
	v.finds("name=alpha%20ONE", "Alpha one")
	v.finds("name=alpha")
	v.finds("search=ALPHA", "alphabet_100%", "Alpha one")
	v.finds("search=_100%25", "alphabet_100%")
	v.finds("search=%25", "alphabet_100%")
	v.finds("type=worker", "alphabet_100%", "Beta")
	v.finds("type=worker&platform=python", "alphabet_100%")
	v.finds("status=active", "alphabet_100%", "Alpha one")
	v.finds("status=busy&search=e", "Beta")
	v.finds("platform=perl")
	for query, want := range map[string][]string{
		"limit=2": {"alphabet_100%", "Beta"}, "limit=2&offset=2": {"Alpha one"}, "offset=3": {}, "limit=1&offset=1": {"Beta"}, "offset=1000000000": {},
	} {
		if names, total := v.names(query); !slices.Equal(want, names) || total != 3 {
			v.t.Errorf("%s finds %q of %d, want %q of 3", query, names, total, want)
		}
	}
	if names, total := v.names("type=worker&limit=1"); total != 2 || len(names) != 1 {
		v.t.Errorf("a page of a filtered list has %q of %d", names, total)
	}
}

func playValarNames(v valar) {
	first := v.register(m{"name": "Unique", "type": "assistant"})
	v.api.Refuse(409, "POST", valarPrefix+"/agents", m{"name": "unique", "type": "assistant"})
	second := v.register(m{"name": "Second", "type": "assistant"})
	v.api.Refuse(409, "PATCH", valarPrefix+"/agents/"+second.ID, m{"name": "UNIQUE"})
	v.api.Call("PATCH", valarPrefix+"/agents/"+first.ID, m{"name": "uniQue"}, nil) // its own

	const callers = 8
	statuses := make(chan int, callers)
	var all sync.WaitGroup
	for range callers {
		all.Go(func() {
			statuses <- v.api.Do("POST", valarPrefix+"/agents", m{"name": "Wanted", "type": "assistant"}).Status
		})
	}
	all.Wait()
	close(statuses)
	count := map[int]int{}
	for status := range statuses {
		count[status]++
	}
	same(v.t, map[int]int{201: 1, 409: callers - 1}, count)
	v.finds("name=wanted", "Wanted")
}

func playValarStanding(v valar) {
	a := v.register(m{"name": "Standing", "type": "assistant", "status": "busy"})
	path := valarPrefix + "/agents/" + a.ID
	shows := func(want string) {
		v.t.Helper()
		var got valarAgent
		v.api.Call("GET", path, nil, &got)
		same(v.t, want, got.Status)
	}
	v.api.Call("POST", "/v1/agents/"+a.ID+"/freeze", nil, nil)
	shows("frozen")
	v.finds("status=frozen", "Standing")
	v.finds("status=busy")
	var native struct{ Standing string }
	v.api.Call("PATCH", path, m{"status": "active"}, nil) // a label thaws nobody
	v.api.Call("GET", "/v1/agents/"+a.ID, nil, &native)
	same(v.t, "frozen", native.Standing)
	shows("frozen")
	v.api.Call("POST", "/v1/agents/"+a.ID+"/unfreeze", nil, nil)
	shows("active")
	v.api.Call("DELETE", "/v1/agents/"+a.ID, nil, nil) // archives
	shows("archived")
	v.finds("")
	v.api.Refuse(409, "PATCH", path, m{"name": "Other"})
	v.register(m{"name": "Standing", "type": "assistant"})
}

func playValarDeletion(v valar) {
	a := v.register(m{"name": "Gone", "type": "assistant"})
	path := valarPrefix + "/agents/" + a.ID
	if got := v.api.Do("DELETE", path, nil); got.Status != http.StatusNoContent || len(got.Body) != 0 {
		v.t.Fatalf("%d %s", got.Status, got.Body)
	}
	v.finds("")
	for _, call := range [][2]string{{"GET", ""}, {"PATCH", `{"status":"x"}`}, {"DELETE", ""}} {
		var body any
		if call[1] != "" {
			body = call[1]
		}
		v.api.Refuse(404, call[0], path, body)
	}
	v.api.Refuse(404, "GET", "/v1/agents/"+a.ID, nil)
	again := v.register(m{"name": "gone", "type": "assistant"})
	if again.ID == a.ID || again.Metadata != nil {
		v.t.Errorf("the next of its name is %+v", again)
	}
}

func playValarRefusals(v valar) {
	v.refuse("POST", "/agents", `{"type":"assistant"}`, "body", "name")
	v.refuse("POST", "/agents", `{"name":"x"}`, "body", "type")
	v.refuse("POST", "/agents", `{"name":" ","type":"assistant"}`, "body", "name")
	v.refuse("POST", "/agents", `{"name":1,"type":"assistant"}`, "body", "name")
	v.refuse("POST", "/agents", `{"name":"x","type":"assistant","metadata":[]}`, "body", "metadata")
	v.refuse("POST", "/agents", m{"name": "x", "type": "assistant", "metadata": m{"big": strings.Repeat("x", 70_000)}}, "body", "metadata")
	v.refuse("POST", "/agents", m{"name": strings.Repeat("x", 257), "type": "assistant"}, "body", "name")
	v.refuse("POST", "/agents", `[]`, "body")
	for _, query := range []string{"limit=0", "limit=501", "limit=x", "limit=-1", "offset=-1", "offset=x"} {
		name, _, _ := strings.Cut(query, "=")
		v.refuse("GET", "/agents?"+query, nil, "query", name)
	}
	a := v.register(m{"name": "x", "type": "assistant"})
	v.refuse("PATCH", "/agents/"+a.ID, `{"name":" "}`, "body", "name")
	v.refuse("PATCH", "/agents/"+a.ID, `{"metadata":7}`, "body", "metadata")
	v.refuse("PATCH", "/agents/"+a.ID, `{"icon":7}`, "body", "icon")
	v.refuse("PATCH", "/agents/"+a.ID, m{"icon": strings.Repeat("x", 101)}, "body", "icon")
	v.finds("", "x") // of what was refused nothing was stored

	for status, calls := range map[int][][3]string{
		400: {{"POST", "/agents", `{"name":`}, {"POST", "/agents", `{"name":"x","name":"y","type":"z"}`}, {"PATCH", "/agents/" + a.ID, "\xff"}},
		404: {{"GET", "/agents/nonsense", ""}, {"GET", "/agents/00000000-0000-0000-0000-000000000001", ""}, {"GET", "/nowhere", ""}},
		405: {{"PUT", "/agents/" + a.ID, "{}"}, {"DELETE", "/agents", ""}},
	} {
		for _, c := range calls {
			var body any
			if c[2] != "" {
				body = c[2]
			}
			v.api.Refuse(status, c[0], valarPrefix+c[1], body)
		}
	}
}

// TestValarRate lets an address make a hundred requests a minute, with whichever key.
func TestValarRate(t *testing.T) {
	t.Parallel()
	scale := 1.0
	s := apptest.Start(t, apptest.Config{Change: func(c *app.Config) { c.RateLimitScale = &scale }})
	var made struct{ Key string }
	s.Admin.Call("POST", "/v1/api_keys", m{"scopes": []string{"agents:read"}}, &made)
	keys := []*apptest.Client{s.Admin, s.As(made.Key)}
	begun, allowed := time.Now(), 0
	for ; allowed <= 100; allowed++ {
		a := keys[allowed%2].Do("GET", valarPrefix+"/agents", nil)
		if a.Status == http.StatusTooManyRequests {
			break
		}
		if a.Status != http.StatusOK {
			t.Fatalf("%d %s", a.Status, a.Body)
		}
	}
	if allowed != 100 && time.Since(begun) < time.Minute {
		t.Errorf("%d requests went through", allowed)
	}
	keys[1].Refuse(403, "POST", "/v1/agents", m{"name": "x", "model": "offline"}) // other faces count for themselves
}
