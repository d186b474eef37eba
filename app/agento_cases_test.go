package app_test

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/bureau-agents/bureau/app"
	"github.com/bureau-agents/bureau/app/apptest"
)

// agentoCase is a call on the agento face and what it answers. In paths and bodies $agent, $swarm and $own stand for ids.
type agentoCase struct {
	method, path, body string
	status             int
	want               string // a part of the answer
}

// agentoLab calls the agento face one case after the other.
type agentoLab struct {
	t    *testing.T
	api  *apptest.Client
	vars *strings.Replacer
}

func (l agentoLab) run(cases []agentoCase) {
	l.t.Helper()
	for _, c := range cases {
		path := l.vars.Replace(c.path)
		var body any
		if c.body != "" {
			body = l.vars.Replace(c.body)
		}
		got := l.api.Do(c.method, agentoPrefix+"/v1"+path, body)
		if want := l.vars.Replace(c.want); got.Status != c.status || !strings.Contains(string(got.Body), want) {
			l.t.Errorf("%s %s %s: %d %s\nwant %d with %s", c.method, path, c.body, got.Status, got.Body, c.status, want)
		}
	}
}

// TestAgentoCases holds the agento face to its contract where nothing else does: fields that are null, empty and missing, bounds, and what
// becomes of needsRestart, of documents and of knowledge.
func TestAgentoCases(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(t *testing.T, cfg apptest.Config) {
		s := apptest.Start(t, cfg)
		agent := hostAgent(s.Admin)
		var swarm struct{ Data struct{ ID string } }
		s.Admin.Call("POST", agentoPrefix+"/v1/swarms", m{"name": "Growth", "description": nil, "icon": nil}, &swarm)
		const none = "0192f000-0000-7000-8000-000000000000"
		l := agentoLab{t, s.Admin, strings.NewReplacer("$agent", agent, "$swarm", swarm.Data.ID, "$none", none)}
		l.run([]agentoCase{
			{"GET", "/agents/$agent", "", 200, `"swarm":null,"stoppedAt":null,"avatarUrl":null,"config":{"llmProvider":"offline"}`},
			{"GET", "/agents?unknown=1", "", 200, `"pagination":{"total":1,"limit":1,"offset":0}`},
			{"GET", "/agents?limit=5&offset=1", "", 200, `{"data":[],"pagination":{"total":1,"limit":5,"offset":1}}`},
			{"GET", "/agents?limit=x", "", 400, `"validation_error"`},
			{"GET", "/agents/nonsense", "", 404, `"not_found"`},
			{"PUT", "/agents", "", 405, `{"error":{"code":"method_not_allowed","message":"`},
			{"GET", "/nothing", "", 404, `"not_found"`},
			{"PATCH", "/agents/$agent", `{`, 400, `"validation_error"`},
			{"PATCH", "/agents/$agent", `{}`, 200, `"needsRestart":false`},
			{"PATCH", "/agents/$agent", `{"name":null}`, 400, `"validation_error"`},
			{"PATCH", "/agents/$agent", `{"name":" "}`, 400, `"validation_error"`},
			{"PATCH", "/agents/$agent", `{"swarmId":""}`, 404, `"not_found"`},
			{"PATCH", "/agents/$agent", `{"swarmId":"$none"}`, 404, `"not_found"`},
			{"PATCH", "/agents/$agent", `{"config":[]}`, 400, `"validation_error"`},
			{"PATCH", "/agents/$agent", `{"avatarUrl":"https://img.example/a.png"}`, 200, `"needsRestart":false`},
			{"PATCH", "/agents/$agent", `{"config":{"style":{"tone":"dry","pace":1}}}`, 200, `"needsRestart":true`},
			{"POST", "/agents/$agent/restart", "", 200, `"status":"running"`},
			{"PATCH", "/agents/$agent", `{"avatarUrl":null}`, 200, `"needsRestart":false`},
			{"PATCH", "/agents/$agent", `{"config":{"style":{"pace":null}}}`, 200, `"needsRestart":true`},
			{"GET", "/agents/$agent", "", 200, `"avatarUrl":null,"config":{"llmProvider":"offline","style":{"tone":"dry"}}`},

			{"GET", "/agents/$agent/logs?tail=0", "", 200, `{"data":{"logs":""}}`},
			{"GET", "/agents/$agent/logs?tail=-1", "", 400, `"validation_error"`},
			{"GET", "/agents/$agent/logs/stream?tail=x", "", 400, `"validation_error"`},
			{"GET", "/agents/$agent/chat/messages?limit=0", "", 400, `"validation_error"`},
			{"GET", "/agents/$agent/chat/messages?since=2026-02-10T14:00:00%2B02:00", "", 200, `{"total":0,"limit":50,"offset":0}`},
			{"GET", "/agents/$agent/chat/messages?sessionId=nonsense", "", 404, `"not_found"`},
			{"POST", "/agents/$agent/chat/messages", `{"message":" "}`, 400, `"validation_error"`},
			{"POST", "/agents/$agent/chat/messages", `{"message":"x","context":[1]}`, 400, `"validation_error"`},

			{"POST", "/agents/$agent/stop", "", 200, `"status":"stopped","stoppedAt":"2`},
			{"GET", "/agents/$agent", "", 200, `"needsRestart":false`},
			{"GET", "/agents/$agent/workflow", "", 409, `"conflict"`},
			{"POST", "/agents/$agent/chat/sessions", "", 409, `"conflict"`},
			{"GET", "/agents/$agent/status", "", 200, `{"status":"stopped","containerStatus":"exited","live":false,"resources":null,"source":"runtime"}`},
			{"PUT", "/agents/$agent/workflow", `{"workflowMd":"# Workflow"}`, 200, `{"data":{"workflowMd":"# Workflow","needsRestart":false}}`},
			{"PUT", "/agents/$agent/rules/refunds", `{"content":"ü"}`, 200, `{"data":{"name":"refunds","needsRestart":false}}`},
			{"GET", "/agents/$agent/rules", "", 200, `{"data":{"rules":[{"name":"refunds","size":2}]}}`},
			{"PUT", "/agents/$agent/rules/refunds.md", `{"content":"x"}`, 400, `"validation_error"`},
			{"PUT", "/agents/$agent/secrets", `{"secrets":{"SHOP_TOKEN":"token-of-the-shop"}}`, 200, `{"updated":true,"needsRestart":false}`},
			{"PUT", "/agents/$agent/secrets", `{}`, 200, `{"data":{"updated":true,"needsRestart":false}}`},
			{"POST", "/agents/$agent/secrets", `{"deleteSecrets":["SHOP_TOKEN","never_there"]}`, 200, `"updated":true`},
			{"PATCH", "/agents/$none/secrets", `{}`, 404, `"not_found"`},
			{"POST", "/agents/$agent/start", "", 200, `"status":"running"`},
			{"GET", "/agents/$agent/workflow", "", 200, `{"data":{"workflowMd":"# Workflow","rules":["refunds.md"]}}`},
			{"GET", "/agents/$agent", "", 200, `"lastError":null,"errorCategory":null,"needsRestart":false`},
			{"PUT", "/agents/$agent/personality", `{"soulMd":"x","expectedHash":"00"}`, 409, `"conflict"`},
			{"PUT", "/agents/$agent/personality", `{"soulMd":"Be kind.","expectedHash":null}`, 200, `"needsRestart":true`},
			{
				"GET", "/agents/$agent/personality", "", 200,
				`"soulMdHash":"5499befb38dbf3fcc08107141cb2a9e7f42a6aae403361dc3601b8296d7967ea"`,
			},

			{"POST", "/knowledge/ingest", `{"agentId":"$agent","chunks":[{"text":"The blue gate opens at nine.","source":"own"}]}`, 201, `"stored":1`},
			{"PATCH", "/agents/$agent", `{"swarmId":"$swarm"}`, 200, `"id":"$agent"`},
			{"GET", "/knowledge?agentId=$agent", "", 200, `{"data":[],"pagination":{"nextOffset":null,"hasMore":false}}`},
			{"POST", "/knowledge/ingest", `{"agentId":"$agent","swarmId":null,"chunks":[{"text":"Tea is at four.","source":"s"}]}`, 201, `"stored":1`},
			{"GET", "/knowledge?swarmId=$swarm", "", 200, `"text":"Tea is at four."`},
			{"GET", "/knowledge", "", 400, `"validation_error"`},
			{"GET", "/knowledge?swarmId=$swarm&offset=nonsense", "", 400, `"validation_error"`},
			{"DELETE", "/knowledge?swarmId=$swarm", "", 400, `"validation_error"`},
			{"DELETE", "/knowledge?swarmId=$swarm&all=true", "", 400, `"validation_error"`},
			{"DELETE", "/knowledge?swarmId=$swarm&all=false&confirm=true", "", 400, `"validation_error"`},
			{"DELETE", "/knowledge?swarmId=$swarm&source=s&id=$none", "", 400, `"validation_error"`},
			{"DELETE", "/knowledge?swarmId=$swarm&id=$none", "", 404, `"not_found"`},
			{"DELETE", "/knowledge?swarmId=$swarm&source=none", "", 200, `{"data":{"deleted":true}}`},
			{"PATCH", "/swarms/$swarm", `{"name":null}`, 400, `"validation_error"`},
			{"PATCH", "/swarms/$swarm", `{"name":"Other"}`, 200, `"name":"Other","slug":"growth","description":null,"icon":null,"agentCount":1`},
			{"DELETE", "/swarms/$swarm", "", 200, `{"data":{"id":"$swarm","deleted":true}}`},
			{"GET", "/knowledge?swarmId=$swarm", "", 404, `"not_found"`},
			{"GET", "/agents/$agent", "", 200, `"swarm":null`},
			{"GET", "/knowledge?agentId=$agent", "", 200, `"text":"The blue gate opens at nine."`},
			{"POST", "/swarms", `{"name":"日本"}`, 201, `"slug":"swarm"`},
			{"POST", "/swarms", `{"name":"!!!"}`, 201, `"slug":"swarm-2"`},
			{"POST", "/swarms", `{"name":"Ünïcode"}`, 201, `"slug":"unicode"`},
		})

		own := "/v1/agents/" + agent
		s.Admin.Call("POST", own+"/freeze", nil, nil)
		l.run([]agentoCase{
			{"POST", "/agents/$agent/chat/messages", `{"message":"x"}`, 403, `"forbidden"`},
			{"POST", "/agents/$agent/chat/sessions", "", 403, `"forbidden"`},
			{"POST", "/agents/$agent/start", "", 403, `"forbidden"`},
			{"POST", "/agents/$agent/restart", "", 403, `"forbidden"`},
			{"DELETE", "/agents/$agent", "", 200, `{"data":{"id":"$agent","deleted":true}}`},
			{"GET", "/agents/$agent", "", 404, `"not_found"`},
			{"GET", "/agents", "", 200, `{"data":[],"pagination":{"total":0,"limit":0,"offset":0}}`},
		})
		for _, path := range []string{own, "/compat/valar/agents/" + agent, "/compat/valta/agents/" + agent} {
			if got := s.Admin.Do("GET", path, nil); got.Status != 404 {
				t.Errorf("%s of a deleted agent: %d %s", path, got.Status, got.Body)
			}
		}
	})
}

// TestAgentoTimes: every time has milliseconds, and what streams has the headers of the rate limit, too.
func TestAgentoTimes(t *testing.T) {
	t.Parallel()
	scale := 1.0
	s := apptest.Start(t, apptest.Config{Change: func(c *app.Config) { c.RateLimitScale = &scale }})
	at := agentoPrefix + "/v1/agents/" + hostAgent(s.Admin)
	times := regexp.MustCompile(`"(\w+At|timestamp)":"([^"]*)"`)
	exact := regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$`)
	for _, c := range []agentoCase{
		{"POST", "/chat/messages", `{"message":"Hello!"}`, 200, "data: {"},
		{"GET", "/chat/messages", "", 200, `"timestamp"`},
		{"GET", "/chat/sessions", "", 200, `"startedAt"`},
		{"GET", "", "", 200, `"createdAt"`},
		{"GET", "/personality", "", 200, `"soulMdUpdatedAt"`},
		{"GET", "/rules/none", "", 404, `"not_found"`},
		{"GET", "/rules/a%20b", "", 400, `"validation_error"`},
	} {
		var body any
		if c.body != "" {
			body = c.body
		}
		got := s.Admin.Do(c.method, at+c.path, body)
		if got.Status != c.status || !strings.Contains(string(got.Body), c.want) {
			t.Errorf("%s %s: %d %s", c.method, c.path, got.Status, got.Body)
		}
		if got.Header.Get("X-RateLimit-Limit") != "120" || got.Header.Get("X-RateLimit-Remaining") == "" || got.Header.Get("X-RateLimit-Reset") == "" {
			t.Errorf("%s %s: the headers %v", c.method, c.path, got.Header)
		}
		for _, found := range times.FindAllSubmatch(got.Body, -1) {
			if !exact.Match(found[2]) {
				t.Errorf("%s %s: %s", c.method, c.path, found[0])
			}
		}
	}
}

// TestAgentoPlans: what a plan does not have is refused by name, and without a limit the account says -1.
func TestAgentoPlans(t *testing.T) {
	t.Parallel()
	s := apptest.Start(t, apptest.Config{})
	var tenant struct {
		Key string `json:"api_key"`
	}
	account := func(c *apptest.Client) string {
		var got struct {
			Data struct{ Plan json.RawMessage }
		}
		c.Call("GET", agentoPrefix+"/v1/account", nil, &got)
		return string(got.Data.Plan)
	}
	for plan, want := range map[string]string{
		"free":      `"limits":{"maxAgents":3,"maxSkillsPerAgent":5},"features":{"api_access":true,"swarms":false}}`,
		"pro":       `"limits":{"maxAgents":10,"maxSkillsPerAgent":20},"features":{"api_access":true,"swarms":true}}`,
		"unlimited": `"limits":{"maxAgents":-1,"maxSkillsPerAgent":-1},"features":{"api_access":true,"swarms":true}}`,
	} {
		s.Admin.Call("POST", "/v1/tenants", m{"name": "of plan " + plan, "plan": plan}, &tenant)
		c := s.As(tenant.Key)
		if got := account(c); !strings.Contains(got, want) || !strings.Contains(got, `"id":"plan_`+plan+`"`) {
			t.Errorf("%s: %s", plan, got)
		}
		if plan != "free" {
			continue
		}
		for i := range 3 {
			c.Call("POST", "/v1/agents", m{"name": fmt.Sprint("agent ", i), "model": "offline"}, nil)
		}
		agentoLab{t, c, strings.NewReplacer()}.run([]agentoCase{
			{"POST", "/agents", `{"name":"x","secrets":{"openaiApiKey":"sk-of-the-test"},"config":{"llmProvider":"offline"}}`, 403, `"code":"plan_limit"`},
			{"POST", "/swarms", `{"name":"x"}`, 403, `"code":"plan_limit"`},
			{"GET", "/agents", "", 200, `"status":"stopped","region":"eu"`},
			{"GET", "/account", "", 200, `"usage":{"agents":3,"runningAgents":0}`},
		})
	}
}
