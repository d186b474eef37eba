package native

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/bureau-agents/bureau/adapters/embedding/hashing"
	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/agent"
	"github.com/bureau-agents/bureau/core/knowledge"
	"github.com/bureau-agents/bureau/core/swarm"
	"github.com/bureau-agents/bureau/ports/fault"
	"github.com/bureau-agents/bureau/ports/id"
)

// models knows every model but one.
type models struct{}

func (models) CheckModel(_ context.Context, _ account.Scope, handle string) error {
	if handle == "unknown" {
		return fault.New(fault.Invalid, "model_unknown", "no such model")
	}
	return nil
}

// anyTrail notes nothing.
type anyTrail struct{}

func (anyTrail) Note(context.Context, account.Scope, string, id.Agent, map[string]any) error {
	return nil
}

// addAgents adds the services of agents and knowledge.
func (f *fixture) addAgents(d *Deps) {
	f.t.Helper()
	ids := id.NewGenerator(time.Now)
	log := slog.New(slog.DiscardHandler)
	var err error
	d.Agents, err = agent.NewService(agent.Deps{
		TX: f.store, Clock: f.clock, IDs: ids, Logger: log, Repository: f.store.Agents(), Models: models{}, Trail: anyTrail{},
	}, agent.ServiceConfig{Reserved: []string{"pay"}})
	if err != nil {
		f.t.Fatal(err)
	}
	d.Swarms, err = swarm.NewService(swarm.Deps{
		TX: f.store, Clock: f.clock, IDs: ids, Logger: log, Repository: f.store.Swarms(), Members: f.store.Agents(), Agents: f.store.Agents(),
		Trail: anyTrail{},
	})
	if err != nil {
		f.t.Fatal(err)
	}
	repo := f.store.Knowledge()
	d.Knowledge, err = knowledge.NewService(knowledge.Deps{
		TX: f.store, Clock: f.clock, IDs: ids, Logger: log, Ingestion: repo, Repository: repo, Reembedding: repo, Embedder: hashing.New(), Agents: d.Agents,
		Swarms: knowledge.NoSwarms{},
	}, knowledge.Config{})
	if err != nil {
		f.t.Fatal(err)
	}
}

// decode reads JSON for a comparison.
func decode(t *testing.T, text string) map[string]any {
	t.Helper()
	var v map[string]any
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		t.Fatal(err)
	}
	return v
}

func TestAgentMinimal(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	a := f.want(201, http.MethodPost, "/v1/agents", `{"name":"A","model":"offline","whatever":{"newer":true}}`)
	agentID, _ := a.get("id").(string)
	if !strings.HasPrefix(agentID, "agent_") {
		t.Fatalf("%s", a.body)
	}
	want := decode(t, fmt.Sprintf(`{
		"id": %q, "type": "agent", "name": "A", "version": 1, "description": null, "system": null,
		"model": {"id": "offline", "speed": "standard"}, "tools": [], "mcp_servers": [], "skills": [], "multiagent": null, "metadata": {},
		"execution_identity": {"type": "service_account"}, "standing": "active", "frozen_by": [], "swarm_id": null,
		"created_at": "2026-07-15T12:30:00.000Z", "updated_at": "2026-07-15T12:30:00.000Z", "archived_at": null
	}`, agentID))
	u, err := id.Parse[id.AgentKind](agentID)
	if err != nil {
		t.Fatal(err)
	}
	for _, spelled := range []string{agentID, u.UUID().String(), u.Spell("ag")} {
		got := f.want(200, http.MethodGet, "/v1/agents/"+spelled, "")
		if d := cmp.Diff(want, got.json); d != "" {
			t.Errorf("%s (-want +got):\n%s", spelled, d)
		}
	}
	for _, nobody := range []string{u.Spell("sesn"), "nonsense", id.New[id.AgentKind](id.NewGenerator(time.Now)).String()} {
		f.wantError(f.do(http.MethodGet, "/v1/agents/"+nobody, ""), 404, "not_found_error", "agent_not_found")
	}
	_, theirs := f.newTenant(account.PlanFree)
	for method, path := range map[string]string{
		http.MethodGet: "", http.MethodPatch: "", http.MethodPost: "", http.MethodPut: "", http.MethodDelete: "",
	} {
		f.wantError(f.do(method, "/v1/agents/"+agentID+path, "{}", "x-api-key: "+theirs), 404, "not_found_error", "agent_not_found")
	}
}

const fullAgent = `{
	"name": "Full", "description": "d", "system": "s <b>", "metadata": {"k": "v"},
	"model": {"id": "m", "speed": "fast", "effort": "high", "inference_geo": "eu"},
	"tools": [
		{"type": "agent_toolset_20260401", "configs": [
			{"name": "bash", "permission_policy": {"type": "always_ask"}},
			{"type": "web_fetch", "name": "web_fetch", "enabled": false, "allowed_domains": ["example.com"], "max_content_tokens": 5}
		]},
		{"type": "mcp_toolset", "mcp_server_name": "docs", "default_config": {"enabled": false}, "configs": [{"name": "find", "enabled": true}]},
		{"type": "custom", "name": "ask_user", "description": "Asks.", "input_schema": {"type": "object", "properties": {"q": {"type": "string"}}}}
	],
	"mcp_servers": [{"name": "docs", "type": "url", "url": "https://docs.example.com/mcp"}],
	"skills": [{"skill_id": "pdf", "type": "anthropic"}],
	"multiagent": {"type": "coordinator", "agents": [%q, {"type": "self"}, {"type": "advisor", "model": "m2"}]},
	"execution_identity": {"type": "aws_role", "role_arn": "arn:aws:iam::1:role/x"}
}`

func TestAgentFull(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	other := f.want(201, http.MethodPost, "/v1/agents", `{"name":"Other","model":{"id":"m","effort":{"type":"low"}}}`).get("id").(string)
	made := f.want(201, http.MethodPost, "/v1/agents", fmt.Sprintf(fullAgent, other))
	agentID := made.get("id").(string)
	want := decode(t, fmt.Sprintf(`{
		"id": %[1]q, "type": "agent", "name": "Full", "version": 1, "description": "d", "system": "s <b>", "metadata": {"k": "v"},
		"model": {"id": "m", "speed": "fast", "effort": {"type": "high"}, "inference_geo": "eu"},
		"tools": [
			{"type": "agent_toolset_20260401", "default_config": {"enabled": true, "permission_policy": {"type": "always_allow"}}, "configs": [
				{"type": "bash", "name": "bash", "enabled": true, "permission_policy": {"type": "always_ask"}},
				{"type": "web_fetch", "name": "web_fetch", "enabled": false, "permission_policy": {"type": "always_allow"},
					"allowed_domains": ["example.com"], "max_content_tokens": 5, "url_sources": null}
			]},
			{"type": "mcp_toolset", "mcp_server_name": "docs",
				"default_config": {"enabled": false, "permission_policy": {"type": "always_ask"}},
				"configs": [{"name": "find", "enabled": true, "permission_policy": {"type": "always_ask"}}]},
			{"type": "custom", "name": "ask_user", "description": "Asks.",
				"input_schema": {"type": "object", "properties": {"q": {"type": "string"}}}}
		],
		"mcp_servers": [{"name": "docs", "type": "url", "url": "https://docs.example.com/mcp"}],
		"skills": [{"skill_id": "pdf", "type": "anthropic", "version": "latest"}],
		"multiagent": {"type": "coordinator", "agents": [
			{"type": "agent", "id": %[2]q, "version": 1}, {"type": "agent", "id": %[1]q, "version": 1}, {"type": "advisor", "model": "m2"}]},
		"execution_identity": {"type": "aws_role", "role_arn": "arn:aws:iam::1:role/x"},
		"standing": "active", "frozen_by": [], "swarm_id": null,
		"created_at": "2026-07-15T12:30:00.000Z", "updated_at": "2026-07-15T12:30:00.000Z", "archived_at": null
	}`, agentID, other))
	got := f.want(200, http.MethodGet, "/v1/agents/"+agentID, "")
	if d := cmp.Diff(want, got.json); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	// What was read can be written back, and that changes nothing.
	back := f.want(200, http.MethodPut, "/v1/agents/"+agentID, string(got.body))
	if d := cmp.Diff(want, back.json); d != "" {
		t.Errorf("written back (-want +got):\n%s", d)
	}
	free := `{"type":"multiagent_20261001","advisor":{"model":"m"},"subagents":[],"workflows":[]}`
	moved := f.want(200, http.MethodPatch, "/v1/agents/"+agentID, `{"multiagent":`+free+`}`)
	if d := cmp.Diff(any(decode(t, free)), moved.get("multiagent")); d != "" {
		t.Error(d)
	}
	listed := f.want(200, http.MethodPatch, "/v1/agents/"+agentID, fmt.Sprintf(`{"multiagent":null,"callable_agents":[{"type":"agent","id":%q}]}`, other))
	if listed.get("multiagent") != nil {
		t.Errorf("multiagent is %v; want what the field itself says", listed.get("multiagent"))
	}
	listed = f.want(200, http.MethodPatch, "/v1/agents/"+agentID, fmt.Sprintf(`{"callable_agents":[{"type":"agent","id":%q}]}`, other))
	if listed.get("multiagent", "type") != "coordinator" || listed.get("version") != 4.0 {
		t.Errorf("%s", listed.body)
	}
}

func TestAgentUpdate(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	path := "/v1/agents/" + f.want(201, http.MethodPost, "/v1/agents",
		`{"name":"A","model":"m","description":"d","system":"s","metadata":{"a":"1","b":"2"},"skills":[{"skill_id":"pdf","type":"anthropic"}],
		"execution_identity":{"type":"service_account"}}`).get("id").(string)
	f.clock.Advance(time.Minute)
	same := f.want(200, http.MethodPost, path, `{"name":"A","model":{"id":"m"},"metadata":{"a":"1"},"version":1}`)
	if same.get("version") != 1.0 || same.get("updated_at") != "2026-07-15T12:30:00.000Z" {
		t.Fatalf("an update without a change: %s", same.body)
	}
	for i, step := range []struct{ method, body, field, want string }{
		{http.MethodPatch, `{"description":null}`, "description", `null`},
		{http.MethodPost, `{"system":""}`, "system", `null`},
		{http.MethodPut, `{"metadata":{"a":null,"c":"3"}}`, "metadata", `{"b":"2","c":"3"}`},
		{http.MethodPatch, `{"metadata":null}`, "metadata", `{}`},
		{http.MethodPatch, `{"skills":[]}`, "skills", `[]`},
		{http.MethodPatch, `{"tools":[{"type":"agent_toolset_20260401","default_config":{"permission_policy":{"type":"auto"}}}]}`, "tools",
			`[{"type":"agent_toolset_20260401","default_config":{"enabled":true,"permission_policy":{"type":"auto"}},"configs":[]}]`},
		{http.MethodPatch, `{"tools":null}`, "tools", `[]`},
		{http.MethodPatch, `{"model":{"id":"other","effort":"high","inference_geo":"eu"}}`, "model",
			`{"id":"other","speed":"standard","effort":{"type":"high"},"inference_geo":"eu"}`},
		{http.MethodPatch, `{"model":"m"}`, "model", `{"id":"m","speed":"standard","effort":{"type":"high"}}`},
		{http.MethodPatch, `{"name":"B","version":10}`, "name", `"B"`},
	} {
		got := f.want(200, step.method, path, step.body)
		var want any
		if err := json.Unmarshal([]byte(step.want), &want); err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(want, got.get(step.field)); d != "" || got.get("version") != float64(i+2) {
			t.Errorf("%s: version %v, %s", step.body, got.get("version"), d)
		}
	}
	stale := f.do(http.MethodPatch, path, `{"name":"C","version":9}`)
	f.wantError(stale, 409, "conflict_error", "agent_version_conflict")
	if stale.Header.Get("x-should-retry") != "false" {
		t.Errorf("x-should-retry is %q", stale.Header.Get("x-should-retry"))
	}
	for _, body := range []string{`{"name":null}`, `{"model":null}`, `{"name":""}`, `{"name":" "}`, `{"model":{"id":""}}`, `{"model":"unknown"}`, `{"version":0}`} {
		a := f.do(http.MethodPatch, path, body)
		f.wantError(a, 400, "invalid_request_error", a.code())
	}

	first := f.want(200, http.MethodGet, path+"?version=1", "")
	if first.get("name") != "A" || first.get("version") != 1.0 || first.get("description") != "d" {
		t.Errorf("version 1: %s", first.body)
	}
	var numbers []any
	for cursor := ""; ; {
		p := f.want(200, http.MethodGet, path+"/versions?limit=4"+cursor, "")
		for _, v := range p.get("data").([]any) {
			numbers = append(numbers, v.(map[string]any)["version"])
		}
		next, more := p.get("next_page").(string)
		if more != (p.get("has_more") == true) {
			t.Fatalf("%s", p.body)
		}
		if !more {
			break
		}
		cursor = "&page=" + next
	}
	if d := cmp.Diff([]any{11.0, 10.0, 9.0, 8.0, 7.0, 6.0, 5.0, 4.0, 3.0, 2.0, 1.0}, numbers); d != "" {
		t.Errorf("versions (-want +got):\n%s", d)
	}
	if got := f.want(200, http.MethodGet, path+"/versions/11", ""); got.get("name") != "B" {
		t.Errorf("%s", got.body)
	}
	for _, v := range []string{"12", "0", "x", "99999999999999999999"} {
		f.wantError(f.do(http.MethodGet, path+"/versions/"+v, ""), 404, "not_found_error", "agent_version_not_found")
	}
	f.wantError(f.do(http.MethodGet, path+"?version=12", ""), 404, "not_found_error", "agent_version_not_found")
}

func TestAgentFaults(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	body := func(field string) string { return `{"name":"A","model":"m",` + field + `}` }
	tool := func(t string) string { return body(`"tools":[` + t + `]`) }
	custom := func(schema string) string {
		return tool(`{"type":"agent_toolset_20260401"},{"type":"custom","name":"t","description":"d","input_schema":` + schema + `}`)
	}
	many := func(n int, item string) string { return "[" + strings.Repeat(item+",", n-1) + item + "]" }
	pairs := func(n int) string {
		var p []string
		for i := range n {
			p = append(p, fmt.Sprintf(`"k%d":"v"`, i))
		}
		return `"metadata":{` + strings.Join(p, ",") + `}`
	}
	for text, path := range map[string]string{
		`{"model":"m"}`:                                  "name",
		`{"name":"A"}`:                                   "model",
		`{"name":"A","model":7}`:                         "model",
		`{"name":"A","model":"unknown"}`:                 "model",
		`{"name":" ","model":"m"}`:                       "name",
		`{"name":7,"model":"m"}`:                         "name",
		`{"name":"A","model":{"id":"m","speed":"warp"}}`: "model",
		`{"name":"` + strings.Repeat("\u00e9", 257) + `","model":"m"}`: "name",
		body(`"description":"` + strings.Repeat("x", 2049) + `"`):      "description",
		body(`"system":"` + strings.Repeat("x", 100_001) + `"`):        "system",
		body(pairs(17)):            "metadata",
		body(`"metadata":{"k":7}`): "metadata.k",
		body(`"metadata":{"k":"` + strings.Repeat("x", 513) + `"}`):                                                "metadata.k",
		body(`"metadata":{"` + strings.Repeat("x", 65) + `":"v"}`):                                                 "metadata",
		tool(`{"type":"computer_20250124"}`):                                                                       "tools[0].type",
		tool(`{"name":"x"}`):                                                                                       "tools[0].type",
		tool(`{"type":"agent_toolset_20260401"},{"type":"agent_toolset_20260401"}`):                                "tools[1]",
		tool(`{"type":"agent_toolset_20260401","configs":[{"name":"fly"}]}`):                                       "tools[0].configs[0].name",
		tool(`{"type":"agent_toolset_20260401","configs":[{"name":"bash","permission_policy":{"type":"maybe"}}]}`): "tools[0].configs[0].permission_policy.type",
		tool(`{"type":"mcp_toolset","mcp_server_name":"nobody"}`):                                                  "tools[0].mcp_server_name",
		tool(`{"type":"custom","name":"a b","description":"d","input_schema":{"type":"object"}}`):                  "tools[0].name",
		tool(`{"type":"custom","name":"pay","description":"d","input_schema":{"type":"object"}}`):                  "tools[0].name",
		tool(`{"type":"custom","name":"t","input_schema":{"type":"object"}}`):                                      "tools[0].description",
		tool(`{"type":"custom","name":"t","description":"d"}`):                                                     "tools[0].input_schema",
		custom(`[]`):                "tools[1].input_schema",
		custom(`{"type":"string"}`): "tools[1].input_schema.type",
		custom(`{"type":"object","properties":{"a":{"type":"text"}}}`):                                                            "tools[1].input_schema.properties.a.type",
		custom(`{"type":"object","properties":{"a":{"$ref":"file:///etc/passwd"}}}`):                                              "tools[1].input_schema",
		custom(`{"type":"object","properties":{"a":{"$ref":"#/$defs/none"}}}`):                                                    "tools[1].input_schema",
		body(`"tools":` + many(257, `{"type":"agent_toolset_20260401"}`)):                                                         "tools",
		body(`"mcp_servers":[{"name":"s","url":"https://e.example"}]`):                                                            "mcp_servers[0].name",
		body(`"mcp_servers":[{"name":"s","url":"ftp://e.example"}],"tools":[{"type":"mcp_toolset","mcp_server_name":"s"}]`):       "mcp_servers[0].url",
		body(`"mcp_servers":[{"name":"s","url":"https://u:p@e.example"}],"tools":[{"type":"mcp_toolset","mcp_server_name":"s"}]`): "mcp_servers[0].url",
		body(`"mcp_servers":[{"name":"s","type":"pigeon","url":"x"}]`):                                                            "mcp_servers[0].type",
		body(`"mcp_servers":[{"name":"s","type":"stdio","url":"x"}]`):                                                             "mcp_servers[0].stdio",
		body(`"mcp_servers":[{"name":"s","type":"url","stdio":{"command":"x"}}]`):                                                 "mcp_servers[0].type",
		body(`"mcp_servers":[{"name":"s","url":"https://e.example","authorization_token":"x"}]`):                                  "mcp_servers[0].authorization_token",
		body(`"mcp_servers":` + many(21, `{"name":"s","url":"https://e.example"}`)):                                               "mcp_servers",
		body(`"skills":` + many(21, `{"skill_id":"s","type":"custom"}`)):                                                          "skills",
		body(`"skills":` + many(2, `{"skill_id":"s","type":"custom"}`)):                                                           "skills[1].skill_id",
		body(`"skills":[{"skill_id":"s","type":"own"}]`):                                                                          "skills[0].type",
		body(`"multiagent":{"type":"swarm"}`):                                                                                     "multiagent.type",
		body(`"multiagent":{}`):                                                                                                   "multiagent.type",
		body(`"multiagent":{"type":"coordinator","agents":[]}`):                                                                   "multiagent.agents",
		body(`"multiagent":{"type":"coordinator","agents":[{"type":"bee"}]}`):                                                     "multiagent.agents[0].type",
		body(`"execution_identity":{"type":"root"}`):                                                                              "execution_identity.type",
		body(`"execution_identity":{"type":"aws_role"}`):                                                                          "execution_identity.role_arn",
	} {
		a := f.do(http.MethodPost, "/v1/agents", text)
		f.wantError(a, 400, "invalid_request_error", a.code())
		fields, _ := a.get("error", "details", "fields").([]any)
		if len(fields) != 1 || fields[0].(map[string]any)["path"] != path {
			t.Errorf("%.120s: want %s: %.300s", text, path, a.body)
		}
	}
	nobody := id.New[id.AgentKind](id.NewGenerator(time.Now))
	f.wantError(f.do(http.MethodPost, "/v1/agents", body(`"multiagent":{"type":"coordinator","agents":["`+nobody.String()+`"]}`)),
		404, "not_found_error", "agent_not_found")
	if list := f.want(200, http.MethodGet, "/v1/agents?archived=true", ""); len(list.get("data").([]any)) != 0 {
		t.Errorf("something was stored: %s", list.body)
	}
}

func TestAgentArchive(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	_, theirs := f.newTenant(account.PlanFree)
	key := "x-api-key: " + theirs
	var paths []string
	for i := range 3 {
		paths = append(paths, "/v1/agents/"+f.want(201, http.MethodPost, "/v1/agents", fmt.Sprintf(`{"name":"A%d","model":"m"}`, i), key).get("id").(string))
	}
	f.wantError(f.do(http.MethodPost, "/v1/agents", `{"name":"A4","model":"m"}`, key), 403, "permission_error", "plan_limit")
	gone := f.want(200, http.MethodDelete, paths[0], "", key)
	if gone.get("standing") != "archived" || gone.get("archived_at") != "2026-07-15T12:30:00.000Z" || gone.get("version") != 1.0 {
		t.Fatalf("%s", gone.body)
	}
	f.clock.Advance(time.Hour)
	again := f.want(200, http.MethodPost, paths[0]+"/archive", "", key)
	if d := cmp.Diff(gone.json, again.json); d != "" {
		t.Errorf("archived again (-want +got):\n%s", d)
	}
	f.wantError(f.do(http.MethodPatch, paths[0], `{"name":"B"}`, key), 409, "conflict_error", "agent_archived")
	f.want(200, http.MethodGet, paths[0], "", key)
	f.want(200, http.MethodGet, paths[0]+"/versions", "", key)
	f.want(201, http.MethodPost, "/v1/agents", `{"name":"A3","model":"m"}`, key)

	names := func(query string) []any {
		t.Helper()
		out := []any{}
		for _, v := range f.want(200, http.MethodGet, "/v1/agents?"+query, "", key).get("data").([]any) {
			out = append(out, v.(map[string]any)["name"])
		}
		return out
	}
	for query, want := range map[string][]any{
		"":                      {"A3", "A2", "A1"},
		"archived=false":        {"A3", "A2", "A1"},
		"archived=true":         {"A3", "A2", "A1", "A0"},
		"include_archived=true": {"A3", "A2", "A1", "A0"},
		"name=a2":               {"A2"},
		"search=A":              {"A3", "A2", "A1"},
		"q=3&unknown=1":         {"A3"},
		"limit=1":               {"A3"},
		"created_at%5Bgt%5D=2026-07-15T12:30:00Z":                                              {"A3"},
		"created_at%5Bgte%5D=2026-07-15T12:30:00Z&created_at%5Blt%5D=2026-07-15T13:30:00Z":     {"A2", "A1"},
		"created_at%5Blte%5D=2026-07-15T12:30:00.000Z":                                         {"A2", "A1"},
		"created_at%5Blte%5D=2026-07-15T12:30:00.000Z&created_at%5Bgt%5D=2026-07-15T12:30:00Z": {},
	} {
		if d := cmp.Diff(want, names(query)); d != "" {
			t.Errorf("%s (-want +got):\n%s", query, d)
		}
	}
	for _, query := range []string{"limit=101", "archived=maybe", "created_at%5Bgte%5D=yesterday", "cursor=x"} {
		a := f.do(http.MethodGet, "/v1/agents?"+query, "", key)
		f.wantError(a, 400, "invalid_request_error", "invalid_request")
	}
}

func TestAgentPermissions(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	read, write := "x-api-key: "+f.newKey(account.AgentsRead), "x-api-key: "+f.newKey(account.AgentsWrite)
	path := "/v1/agents/" + f.want(201, http.MethodPost, "/v1/agents", `{"name":"A","model":"m"}`, write).get("id").(string)
	f.want(200, http.MethodGet, path, "", read)
	f.wantError(f.do(http.MethodGet, path, "", write), 403, "permission_error", "permission_denied")
	f.wantError(f.do(http.MethodPatch, path, `{}`, read), 403, "permission_error", "permission_denied")
	f.wantError(f.do(http.MethodDelete, path, "", read), 403, "permission_error", "permission_denied")
}

// Null stands for a default wherever client libraries declare it.
func TestAgentOfNulls(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	made := f.want(201, http.MethodPost, "/v1/agents", `{"name":"A","model":{"id":"m","effort":null,"speed":null,"inference_geo":null},"description":null,
		"system":null,"multiagent":null,"execution_identity":null,"skills":[{"type":"anthropic","skill_id":"pdf","version":null}],
		"mcp_servers":[{"type":"url","name":"m","url":"https://m.example/mcp"}],"tools":[
		{"type":"agent_toolset_20260401","default_config":null,"configs":[
			{"name":"web_fetch","enabled":null,"permission_policy":null,"max_content_tokens":null,"url_sources":{"user_input":"none",
				"client_tool_results":{"type":"only","tools":[{"type":"tool_reference","name":"t"}]},"server_tool_results":null}},
			{"name":"web_search","user_location":null,"blocked_domains":["ads.example/path"]}]},
		{"type":"mcp_toolset","mcp_server_name":"m","default_config":{"enabled":null,"permission_policy":null}},
		{"type":"custom","name":"t","description":"d","input_schema":{"type":"object","properties":null,"required":null}}]}`)
	tools := made.get("tools").([]any)
	if d := cmp.Diff(any(decode(t, `{"type":"agent_toolset_20260401","default_config":{"enabled":true,"permission_policy":{"type":"always_allow"}},"configs":[
		{"type":"web_fetch","name":"web_fetch","enabled":true,"permission_policy":{"type":"always_allow"},"url_sources":{"user_input":{"type":"none"},
			"client_tool_results":{"type":"only","tools":[{"type":"tool_reference","name":"t"}]},"server_tool_results":null}},
		{"type":"web_search","name":"web_search","enabled":true,"permission_policy":{"type":"always_allow"},"blocked_domains":["ads.example/path"]}]}`)),
		tools[0]); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	if d := cmp.Diff(any(decode(t, `{"type":"object"}`)), tools[2].(map[string]any)["input_schema"]); d != "" {
		t.Error(d)
	}
}

func TestAgentToolFaults(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	archived := f.want(201, http.MethodPost, "/v1/agents", `{"name":"B","model":"m"}`).get("id").(string)
	f.want(200, http.MethodDelete, "/v1/agents/"+archived, "")
	alive := f.want(201, http.MethodPost, "/v1/agents", `{"name":"C","model":"m"}`).get("id").(string)
	fetch := func(config string) string {
		return `"tools":[{"type":"agent_toolset_20260401","configs":[{"name":"web_fetch",` + config + `}]}]`
	}
	for body, path := range map[string]string{
		fetch(`"allowed_domains":[]`):                                                                          "tools[0].configs[0].allowed_domains",
		fetch(`"blocked_domains":["https://a.example"]`):                                                       "tools[0].configs[0].blocked_domains[0]",
		fetch(`"blocked_domains":["a.example/path"]`):                                                          "tools[0].configs[0].blocked_domains[0]",
		fetch(`"url_sources":7`):                                                                               "tools[0].configs[0].url_sources",
		fetch(`"url_sources":{"user_input":"some"}`):                                                           "tools[0].configs[0].url_sources.user_input.type",
		fetch(`"url_sources":{"user_input":{"type":"only"}}`):                                                  "tools[0].configs[0].url_sources.user_input.type",
		fetch(`"url_sources":{"client_tool_results":{"type":"only","tools":[]}}`):                              "tools[0].configs[0].url_sources.client_tool_results.tools",
		fetch(`"url_sources":{"user_input":"none","client_tool_results":"none","server_tool_results":"none"}`): "tools[0].configs[0].url_sources",
		fetch(`"url_sources":{"server_tool_results":{"type":"except","tools":[{"type":"tool_reference","name":"bash"}]}}`): "tools[0].configs[0]." +
			"url_sources.server_tool_results.tools[0].name",
		`"multiagent":{"type":"coordinator","agents":["` + archived + `"]}`:                              "multiagent.agents[0]",
		`"multiagent":{"type":"coordinator","agents":["` + alive + `","` + alive + `"]}`:                 "multiagent.agents[1]",
		`"multiagent":{"type":"coordinator","agents":[{"type":"self"},"` + alive + `",{"type":"self"}]}`: "multiagent.agents[2]",
	} {
		a := f.do(http.MethodPost, "/v1/agents", `{"name":"A","model":"m",`+body+`}`)
		f.wantError(a, 400, "invalid_request_error", a.code())
		fields, _ := a.get("error", "details", "fields").([]any)
		if len(fields) == 0 || fields[0].(map[string]any)["path"] != path {
			t.Errorf("%s: want %s: %s", body, path, a.body)
		}
	}
	// Who is on a roster stays there when they are archived.
	boss := f.want(201, http.MethodPost, "/v1/agents", `{"name":"A","model":"m","multiagent":{"type":"coordinator","agents":["`+alive+`"]}}`)
	f.want(200, http.MethodDelete, "/v1/agents/"+alive, "")
	f.want(200, http.MethodPost, "/v1/agents/"+boss.get("id").(string), `{"multiagent":{"type":"coordinator","agents":["`+alive+`",{"type":"self"}]}}`)
}
