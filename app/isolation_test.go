package app_test

import (
	"cmp"
	"encoding/json"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/bureau-agents/bureau/app/apptest"
	"github.com/bureau-agents/bureau/ports/id"
)

// TestIsolation calls every operation of the document with another tenant's ids: in the path, in the body and in the query. Nothing is
// found, nothing is shown and nothing changes, and the answer is that for an id that nobody has.
func TestIsolation(t *testing.T) {
	t.Parallel()
	unraced(t)
	eachDatabase(t, func(t *testing.T, cfg apptest.Config) {
		s := startUnhosted(t, cfg)
		s.WaitForPlugins() // the catalogue changes meanwhile
		d := readDocument(t, s.Admin)
		owner, stranger := newWorld(t, s, "aldebaran"), newWorld(t, s, "betelgeuse")
		before, own, traces := owner.snapshot(t, d), stranger.snapshot(t, d), owner.traces(t)
		callers := map[string]*apptest.Client{"another tenant": stranger.api, "the operator": s.Admin}

		for _, op := range d.ops {
			for who, api := range callers {
				t.Run(op.ID+" by "+who, func(t *testing.T) {
					api := api.In(t)
					foreignPath(t, api, op, owner, stranger, who == "the operator")
					foreignBody(t, api, op, owner, stranger)
					foreignQuery(t, api, op, owner, stranger, traces)
				})
			}
		}
		same(t, before, owner.snapshot(t, d))
		same(t, own, stranger.snapshot(t, d)) // a call with one bad id does nothing of the rest either
	})
}

// foreignPath calls an operation with the owner's ids in the path and a body that would suit the caller.
func foreignPath(t *testing.T, api *apptest.Client, op operation, owner, stranger *world, operator bool) {
	t.Helper()
	switch {
	case !hasForeignPath(op):
		return // there is nothing of a tenant in the path
	case op.Scope == "operator" && !operator:
		api.Refuse(403, op.Method, owner.path(t, op), stranger.body(t, op))
		return
	case strings.HasPrefix(op.Path, "/v1/tenants/") && operator:
		return // tenants are the operator's
	}
	body := stranger.body(t, op)
	code, message := api.Refuse(404, op.Method, owner.path(t, op), body)
	nobody := map[string]string{}
	for name := range owner.ids() {
		nobody[name] = id.New[id.AgentKind](ids).UUID().String()
	}
	for _, spelled := range []map[string]string{uuids(t, owner.ids()), nobody} {
		path := op.at(func(param string) string {
			if v, ok := spelled[param]; ok {
				return v
			}
			return plain[param]
		})
		gotCode, gotMessage := api.Refuse(404, op.Method, path, body)
		same(t, code+": "+anyID.ReplaceAllString(message, "ID"), gotCode+": "+anyID.ReplaceAllString(gotMessage, "ID"))
	}
	if op.Scope == "operator" {
		return
	}
	// What is below something of the caller's own is looked for there and nowhere else.
	for _, foreign := range op.named("path") {
		if _, own := plain[foreign]; own {
			continue
		}
		path := op.at(func(param string) string {
			if v, ok := plain[param]; ok {
				return v
			}
			if param == foreign {
				return owner.ids()[param]
			}
			return stranger.ids()[param]
		})
		api.Refuse(404, op.Method, path, body)
	}
}

// anyID is how answers spell ids.
var anyID = regexp.MustCompile(`[a-z]+_[0-9a-hjkmnp-tv-z]{26}`)

// ids makes ids that nobody has.
var ids = id.NewGenerator(time.Now)

// hasForeignPath reports whether an operation names something of a tenant in its path.
func hasForeignPath(op operation) bool {
	for _, name := range op.named("path") {
		if _, own := plain[name]; !own {
			return true
		}
	}
	return false
}

// foreignBody calls an operation of the caller's own with each of the owner's ids in turn in its body.
func foreignBody(t *testing.T, api *apptest.Client, op operation, owner, stranger *world) {
	t.Helper()
	if op.Body != "application/json" || op.Scope == "operator" {
		return
	}
	raw, err := json.Marshal(stranger.body(t, op))
	if err != nil {
		t.Fatal(err)
	}
	theirs := owner.ids()
	for name, own := range stranger.ids() {
		for _, foreign := range []string{theirs[name], uuidOf(t, theirs[name])} {
			body := strings.ReplaceAll(string(raw), `"`+own+`"`, `"`+foreign+`"`)
			if body != string(raw) {
				api.Refuse(404, op.Method, stranger.path(t, op), body)
			}
		}
	}
}

// foreignQuery reads without and with the owner's ids in the query; nothing of the owner may be in the answer.
func foreignQuery(t *testing.T, api *apptest.Client, op operation, owner, stranger *world, traces []string) {
	t.Helper()
	if op.Scope == "operator" || op.Public || op.Stream || op.Method != "GET" && op.Method != "DELETE" {
		return
	}
	// What else a query needs in order to be a good one.
	beside := map[string]string{
		"deleteKnowledge id": "agent_id=" + stranger.agent, "deleteKnowledge agent_id": "all=true&confirm=true",
		"deleteKnowledge swarm_id": "all=true&confirm=true", "cleanupEvents agent_id": "older_than_days=0",
		"valar.cleanupEvents agent_id": "older_than_days=0",
		"agento.deleteKnowledge id":    "agentId=" + stranger.agent, "agento.deleteKnowledge agentId": "all=true&confirm=true",
		"agento.deleteKnowledge swarmId": "all=true&confirm=true",
	}
	native := map[string]string{"agentId": "agent_id", "swarmId": "swarm_id"} // parameters of the agento face
	if strings.Contains(op.Path, "/chat/") {
		native["session_id"], native["sessionId"] = "chat_id", "chat_id" // others are not of chats
	}
	path := stranger.path(t, op)
	queries := map[string]string{} // to the foreign id in it
	if slices.Contains(op.named("query"), "limit") {
		queries["limit=100"] = ""
	}
	for _, name := range op.named("query") {
		if foreign, ok := owner.ids()[cmp.Or(native[name], name)]; ok {
			for _, spelled := range []string{foreign, uuidOf(t, foreign)} {
				queries[name+"="+spelled+"&"+beside[op.ID+" "+name]] = foreign
			}
		}
	}
	for _, name := range []string{"peer_id", "peerId"} {
		if slices.Contains(op.named("query"), name) {
			queries[name+"="+plain["peer_id"]] = "" // both have one of this name
		}
	}
	for query, foreign := range queries {
		if op.Method == "DELETE" && foreign == "" {
			continue
		}
		a := api.Do(op.Method, path+"?"+query, nil)
		bare := strings.HasSuffix(op.ID, "listKnowledge") && foreign == "" // it wants to know whose
		if a.Status != 200 && a.Status != 404 && !bare {
			t.Fatalf("%s %s?%s: %d %s", op.Method, path, query, a.Status, a.Body)
		}
		for _, trace := range traces {
			if trace != foreign && !strings.Contains(query, trace) && strings.Contains(string(a.Body), trace) {
				t.Fatalf("%s %s?%s shows %q:\n%s", op.Method, path, query, trace, a.Body)
			}
		}
		if foreign == "" || a.Status == 404 {
			continue
		}
		var found struct {
			Data  []any
			Total json.RawMessage
		}
		if len(a.Body) == 0 { // an export
			continue
		}
		into := any(&found)
		if a.Body[0] == '[' { // a list of the valar face
			into = &found.Data
		}
		err := json.Unmarshal(a.Body, into)
		var total struct {
			Rows        int
			TokensInput int `json:"tokens_input"`
		}
		_ = json.Unmarshal(found.Total, &total) // of usage; elsewhere a number
		if err != nil || len(found.Data) > 0 || total.Rows > 0 || total.TokensInput > 0 || op.Method == "DELETE" {
			t.Fatalf("%s %s?%s finds something: %s", op.Method, path, query, a.Body)
		}
	}
}

// TestForeignParents reports events as parts of another tenant's event. The whole may come after its parts, or never, so that its id is taken
// as it comes: what matters is that it is answered as an id that nobody has, and that neither tenant sees anything of the other by it.
func TestForeignParents(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(t *testing.T, cfg apptest.Config) {
		s := apptest.Start(t, cfg)
		owner, stranger := newReporter(t, s, "fornax"), newReporter(t, s, "gemini")
		shared := m{"agent_id": owner.agent, "event_type": owner.name, "trace_id": "shared", "payload": m{"of": owner.name}}
		var whole struct{ ID string }
		owner.api.Call("POST", "/v1/events", shared, &whole)
		reads := []string{
			"/v1/events?parent_event_id=" + whole.ID, "/v1/events/export?parent_event_id=" + whole.ID, "/v1/events/" + whole.ID, "/v1/traces", "/v1/traces/shared",
			"/v1/events?trace_id=shared", valarPrefix + "/events?parent_event_id=" + uuidOf(t, whole.ID),
		}
		read := func(api *apptest.Client) (shown []string) {
			for _, path := range reads {
				shown = append(shown, string(api.Do("GET", path, nil).Body))
			}
			return shown
		}
		before := read(owner.api)
		stream := stranger.api.Stream("GET", "/v1/events/stream?after="+whole.ID, nil)
		theirs := stranger.api.Stream("GET", "/v1/events/stream?agent_id="+owner.agent, nil)

		for _, path := range []string{"/v1/events", "/v1/events/batch", valarPrefix + "/events", valarPrefix + "/events/batch"} {
			answered := map[string]string{}
			for _, parent := range []string{whole.ID, uuidOf(t, whole.ID), id.New[id.ReportKind](ids).String()} {
				event := m{"agent_id": stranger.agent, "event_type": stranger.name, "trace_id": "shared", "parent_event_id": parent}
				body := any(event)
				if strings.HasSuffix(path, "/batch") {
					body = m{"events": []m{event}}
				}
				a := stranger.api.Do("POST", path, body)
				if a.Status != 201 || strings.Contains(string(a.Body), owner.name) {
					t.Fatalf("%s with the parent %s: %d %s", path, parent, a.Status, a.Body)
				}
				answered[timesAndIDs.ReplaceAllString(string(a.Body), "...")] = parent
			}
			if len(answered) != 1 {
				t.Errorf("%s tells a parent of another tenant from one that is not there: %v", path, answered)
			}
		}
		owner.api.Call("POST", "/v1/events", shared, nil)
		same(t, before[0], read(owner.api)[0])
		for i, shown := range read(owner.api) {
			if strings.Contains(shown, stranger.name) || strings.Contains(shown, stranger.agent) {
				t.Errorf("%s shows the owner the stranger's part: %s", reads[i], shown)
			}
		}
		for i, shown := range read(stranger.api) {
			if strings.Contains(shown, owner.name) || strings.Contains(shown, owner.agent) {
				t.Errorf("%s shows the stranger the owner's event: %s", reads[i], shown)
			}
		}
		stranger.api.Call("POST", "/v1/events", m{"agent_id": stranger.agent, "event_type": stranger.name}, nil)
		const own = 4*3 + 1 // the last one after all of the owner's
		for range own {
			if e, ok := stream.Next(); !ok || e.Type != stranger.name || strings.Contains(string(e.Data), owner.name) {
				t.Fatalf("streamed %v %s %s", ok, e.Type, e.Data)
			}
		}
		s.CloseStreams()
		for _, e := range theirs.Rest() {
			t.Errorf("streamed of the owner's agent: %s", e.Data)
		}
	})
}

// timesAndIDs are the parts of answers that differ from one event to the next.
var timesAndIDs = regexp.MustCompile(`[a-z]+_[0-9a-hjkmnp-tv-z]{26}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|\d{4}-\d\d-\d\dT[0-9:.]+Z`)

// reporter is a tenant with an agent.
type reporter struct {
	name, agent string
	api         *apptest.Client
}

func newReporter(t *testing.T, s *apptest.Server, name string) reporter {
	t.Helper()
	var tenant struct {
		APIKey string `json:"api_key"`
	}
	s.Admin.In(t).Call("POST", "/v1/tenants", m{"name": name}, &tenant)
	r := reporter{name: name, api: s.As(tenant.APIKey).In(t)}
	var made struct{ ID string }
	r.api.Call("POST", "/v1/agents", m{"name": name, "model": "offline"}, &made)
	r.agent = made.ID
	return r
}
