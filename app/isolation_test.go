package app_test

import (
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
	eachDatabase(t, func(t *testing.T, cfg apptest.Config) {
		s := apptest.Start(t, cfg)
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
	}
	path := stranger.path(t, op)
	queries := map[string]string{} // to the foreign id in it
	if slices.Contains(op.named("query"), "limit") {
		queries["limit=100"] = ""
	}
	for _, name := range op.named("query") {
		if foreign, ok := owner.ids()[name]; ok {
			for _, spelled := range []string{foreign, uuidOf(t, foreign)} {
				queries[name+"="+spelled+"&"+beside[op.ID+" "+name]] = foreign
			}
		}
	}
	for query, foreign := range queries {
		if op.Method == "DELETE" && foreign == "" {
			continue
		}
		a := api.Do(op.Method, path+"?"+query, nil)
		bare := op.ID == "listKnowledge" && foreign == "" // it wants to know whose
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
