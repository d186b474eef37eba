package native

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/bureau-agents/bureau/core/session"
	"github.com/bureau-agents/bureau/ports/keeper"
	"github.com/bureau-agents/bureau/ports/llm/llmtest"
)

const missingFile = "file_01h455vb4pex5vsknk084sn02q"

// boundKeeper seals by writing the place before the secret.
type boundKeeper struct{}

func (boundKeeper) Seal(_ context.Context, place string, plaintext []byte) ([]byte, error) {
	return append([]byte(place+"="), plaintext...), nil
}

func (boundKeeper) Open(_ context.Context, place string, sealed []byte) ([]byte, error) {
	plain, ok := bytes.CutPrefix(sealed, []byte(place+"="))
	if !ok {
		return nil, keeper.ErrOpen
	}
	return plain, nil
}

func TestSessionSetup(t *testing.T) {
	t.Parallel()
	f := newFixture(t, withSessions(llmtest.NewScripted(llmtest.Text("well"))))
	agentID := f.want(http.StatusCreated, http.MethodPost, "/v1/agents", `{"name":"a","model":"offline","system":"plain"}`).get("id").(string)
	made := f.want(http.StatusCreated, http.MethodPost, "/v1/sessions", fmt.Sprintf(`{
		"agent":{"type":"agent_with_overrides","id":%q,"system":null,"tools":[{"type":"custom","name":"x","description":"d","input_schema":{"type":"object"}}]},
		"budget":{"type":"limit","max_list_cost":{"amount":"2500","currency":"USD"}},
		"resources":[{"type":"github_repository","url":"https://github.com/o/hello.git","checkout":{"type":"commit","sha":"%s"}}]}`,
		agentID, strings.Repeat("ab", 20)))
	sesn := "/v1/sessions/" + made.get("id").(string)
	if made.get("agent", "system") != nil || made.get("agent", "version") != 1.0 || len(made.get("agent", "tools").([]any)) != 1 {
		t.Errorf("%s", made.body)
	}
	if made.get("budget", "max_list_cost", "amount") != "2500" || made.get("budget", "type") != "limit" {
		t.Errorf("%s", made.body)
	}
	repo := made.get("resources").([]any)[0].(map[string]any)
	if repo["mount_path"] != "/workspace/hello" || repo["checkout"].(map[string]any)["type"] != "commit" || repo["authorization_token"] != nil {
		t.Errorf("%v", repo)
	}
	if a := f.want(http.StatusOK, http.MethodGet, "/v1/agents/"+agentID, ""); a.get("system") != "plain" {
		t.Errorf("the agent has changed: %s", a.body)
	}

	// Resources.
	added := f.want(http.StatusCreated, http.MethodPost, sesn+"/resources",
		`{"type":"github_repository","url":"https://github.com/o/other","mount_path":"/workspace/src/other","authorization_token":"secret-token"}`)
	if strings.Contains(string(added.body), "secret-token") {
		t.Errorf("%s", added.body)
	}
	one := sesn + "/resources/" + added.get("id").(string)
	f.want(http.StatusOK, http.MethodGet, one, "")
	for _, method := range []string{http.MethodPost, http.MethodPatch, http.MethodPut} {
		if a := f.want(http.StatusOK, method, one, `{"authorization_token":"another-token"}`); strings.Contains(string(a.body), "another-token") {
			t.Errorf("%s", a.body)
		}
	}
	list := f.want(http.StatusOK, http.MethodGet, sesn+"/resources?limit=1", "")
	if len(list.get("data").([]any)) != 1 || list.get("next_page") == nil {
		t.Errorf("%s", list.body)
	}
	list = f.want(http.StatusOK, http.MethodGet, sesn+"/resources?limit=1&page="+list.get("next_page").(string), "")
	if list.get("data").([]any)[0].(map[string]any)["id"] != added.get("id") || list.get("next_page") != nil {
		t.Errorf("%s", list.body)
	}
	if d := f.want(http.StatusOK, http.MethodDelete, one, ""); d.get("type") != "session_resource_deleted" {
		t.Errorf("%s", d.body)
	}
	f.want(http.StatusNotFound, http.MethodDelete, one, "")
	f.want(http.StatusNotFound, http.MethodGet, one, "")

	// Changes, each told in the log.
	updated := f.want(http.StatusOK, http.MethodPost, sesn, `{"agent":{"tools":[]},"budget":{"type":"limit","max_list_cost":{"amount":"30.50","currency":"USD"}}}`)
	if len(updated.get("agent", "tools").([]any)) != 0 || updated.get("budget", "max_list_cost", "amount") != "30.50" {
		t.Errorf("%s", updated.body)
	}
	log := f.sessionLog(made.get("id").(string))
	told := log[len(log)-1].(map[string]any)
	if told["type"] != "session.updated" || told["agent"].(map[string]any)["id"] != agentID || told["title"] != nil {
		t.Errorf("%v", told)
	}
	if d := cmp.Diff(map[string]any{"type": "limit", "max_list_cost": map[string]any{"amount": "30.50", "currency": "USD"}}, told["budget"]); d != "" {
		t.Error(d)
	}
	f.want(http.StatusOK, http.MethodPost, sesn, `{"agent":{"tools":[]}}`)
	if again := f.want(http.StatusOK, http.MethodPost, sesn, `{"budget":null}`); again.get("budget") != nil {
		t.Errorf("%s", again.body)
	}

	// What cannot be.
	for body, path := range map[string]string{
		`"budget":{"type":"limit","max_list_cost":{"amount":"0","currency":"USD"}}`:                                               "budget.max_list_cost.amount",
		`"budget":{"type":"limit","max_list_cost":{"amount":"1.00","currency":"EUR"}}`:                                            "budget.max_list_cost.currency",
		`"resources":[{"type":"github_repository","url":"ftp://x/o/r"}]`:                                                          "resources[0].url",
		`"resources":[{"type":"github_repository","url":"https://github.com/o/r","mount_path":"etc"}]`:                            "resources[0].mount_path",
		`"resources":[{"type":"github_repository","url":"https://github.com/o/r","mount_path":"/a/../b"}]`:                        "resources[0].mount_path",
		`"resources":[{"type":"github_repository","url":"https://github.com/o/r","mount_path":"/mnt"}]`:                           "resources[0].mount_path",
		`"resources":[{"type":"github_repository","url":"https://u:p@github.com/o/r"}]`:                                           "resources[0].url",
		`"resources":[{"type":"github_repository","url":"https://g.c/o/r"},{"type":"github_repository","url":"https://g.c/p/r"}]`: "resources[1].mount_path",
		`"resources":[{"type":"github_repository","url":"https://g.c/o/r","checkout":{"type":"commit","sha":"abc"}}]`:             "resources[0].checkout.sha",
		`"resources":[{"type":"github_repository","url":"https://g.c/o/r","checkout":{"type":"branch","name":"-x"}}]`:             "resources[0].checkout.name",
		`"resources":[{"type":"github_repository","url":"https://g.c/o/r","mount_path":"/data/r"}]`:                               "resources[0].mount_path",
		`"resources":[{"type":"github_repository","url":"https://g.c/o/r","mount_path":"/workspace"}]`:                            "resources[0].mount_path",
		`"resources":[{"type":"github_repository","url":"https://g.c/o/r","mount_path":"/workspaces/r"}]`:                         "resources[0].mount_path",
		`"resources":[{"type":"github_repository","url":"https://g.c/o/r","mount_path":"/mnt/session/.bureau/r"}]`:                "resources[0].mount_path",
		`"resources":[{"type":"github_repository","url":"https://g.c/o/r","mount_path":"/home/agent/.bureau/r"}]`:                 "resources[0].mount_path",
		`"resources":[{"type":"github_repository","url":"https://g.c/o/r","mount_path":"/home/agent/.packages"}]`:                 "resources[0].mount_path",
		`"resources":[{"type":"github_repository","url":"https://g.c/o/r","mount_path":"/proc/r"}]`:                               "resources[0].mount_path",
		`"resources":[{"type":"file"}]`:   "resources[0].file_id",
		`"resources":[{"type":"volume"}]`: "resources[0].type",
	} {
		a := f.want(http.StatusBadRequest, http.MethodPost, "/v1/sessions", fmt.Sprintf(`{"agent":%q,%s}`, agentID, body))
		if !strings.Contains(string(a.body), `"`+path+`"`) && !strings.Contains(string(a.body), path) {
			t.Errorf("%s: want %s: %s", body, path, a.body)
		}
	}
	bad := f.want(http.StatusBadRequest, http.MethodPost, "/v1/sessions",
		fmt.Sprintf(`{"agent":{"type":"agent_with_overrides","id":%q,"mcp_servers":[{"name":"m","url":"https://m.example"}]}}`, agentID))
	if !strings.Contains(string(bad.body), "agent.mcp_servers[0]") {
		t.Errorf("%s", bad.body)
	}
	f.want(http.StatusBadRequest, http.MethodPost, "/v1/sessions", fmt.Sprintf(`{"agent":{"type":"agent","id":%q,"system":"x"}}`, agentID))
	for _, body := range []string{
		`"resources":[{"type":"file","file_id":"` + missingFile + `"}]`, `"vault_ids":["vlt_01h455vb4pex5vsknk084sn02q"]`,
		`"environment_id":"env_01h455vb4pex5vsknk084sn02q"`, `"environment":"nowhere"`,
		`"resources":[{"type":"memory_store","memory_store_id":"memstore_01h455vb4pex5vsknk084sn02q"}]`,
		`"initial_events":[{"type":"user.message","content":[{"type":"image","source":{"type":"file","file_id":"` + missingFile + `"}}]}]`,
	} {
		f.want(http.StatusNotFound, http.MethodPost, "/v1/sessions", fmt.Sprintf(`{"agent":%q,%s}`, agentID, body))
	}
	for _, dir := range []string{"/workspace/r", "/mnt/session/uploads/r", "/tmp/r", "/home/agent/r"} {
		body := `{"type":"github_repository","url":"https://g.c/o/r","mount_path":"` + dir + `"}`
		f.want(http.StatusCreated, http.MethodPost, sesn+"/resources", body)
	}
	if a := f.want(http.StatusBadRequest, http.MethodPost, sesn+"/resources", `{"type":"github_repository","url":"https://g.c/o/q","mount_path":"/srv/q"}`); !strings.Contains(string(a.body), "mount_path") {
		t.Errorf("%s", a.body)
	}
	plain := f.want(http.StatusCreated, http.MethodPost, "/v1/sessions", fmt.Sprintf(`{"agent":%q}`, agentID)).get("id").(string)
	refused := f.want(http.StatusBadRequest, http.MethodPost, "/v1/sessions/"+plain, `{"budget":{"type":"limit","max_list_cost":{"amount":"1.00","currency":"USD"}}}`)
	if !strings.Contains(string(refused.body), "budget_create_only") {
		t.Errorf("%s", refused.body)
	}
	f.want(http.StatusOK, http.MethodPost, "/v1/sessions/"+plain+"/archive", "")
	f.want(http.StatusConflict, http.MethodPost, "/v1/sessions/"+plain+"/resources", `{"type":"github_repository","url":"https://g.c/o/r"}`)
	f.want(http.StatusConflict, http.MethodPost, "/v1/sessions/"+plain, `{"agent":{"tools":[]}}`)
}

// A session shows whom its agent may delegate to as the agents that they are, and so does its log.
func TestSessionTeam(t *testing.T) {
	t.Parallel()
	f := newFixture(t, withSessions(llmtest.NewScripted(llmtest.Text("well"))))
	helper := f.want(http.StatusCreated, http.MethodPost, "/v1/agents", `{"name":"helper","model":"offline","system":"help"}`).get("id").(string)
	boss := f.want(http.StatusCreated, http.MethodPost, "/v1/agents", fmt.Sprintf(
		`{"name":"boss","model":"offline","multiagent":{"type":"coordinator","agents":[%q,{"type":"self"},{"type":"advisor","model":"offline"}]}}`, helper)).get("id").(string)
	f.want(http.StatusOK, http.MethodPost, "/v1/agents/"+helper, `{"system":"help more"}`)
	made := f.want(http.StatusCreated, http.MethodPost, "/v1/sessions", fmt.Sprintf(`{"agent":%q}`, boss))
	sesn := made.get("id").(string)
	f.want(http.StatusOK, http.MethodPost, "/v1/sessions/"+sesn, `{"agent":{"tools":[{"type":"agent_toolset_20260401","configs":[{"name":"web_fetch"}]}]}}`)
	log := f.sessionLog(sesn)
	listed := f.want(http.StatusOK, http.MethodGet, "/v1/sessions", "").get("data").([]any)[0]
	for name, holder := range map[string]any{"made": made.json, "listed": listed, "told": log[len(log)-1]} {
		of := holder.(map[string]any)["agent"].(map[string]any)
		multiagent := of["multiagent"].(map[string]any)
		team := multiagent["agents"].([]any)
		if multiagent["type"] != "coordinator" || len(team) != 3 || of["execution_identity"].(map[string]any)["type"] != "service_account" {
			t.Fatalf("%s: %v", name, of)
		}
		first, self := team[0].(map[string]any), team[1].(map[string]any)
		if first["id"] != helper || first["type"] != "agent" || first["system"] != "help" || first["version"] != 1.0 || first["tools"] == nil || first["multiagent"] != nil {
			t.Errorf("%s: %v", name, first)
		}
		if self["id"] != boss || self["name"] != "boss" || self["model"].(map[string]any)["id"] != "offline" {
			t.Errorf("%s: %v", name, self)
		}
		if d := cmp.Diff(any(map[string]any{"type": "advisor", "model": "offline"}), team[2]); d != "" {
			t.Errorf("%s: %s", name, d)
		}
		for _, tool := range of["tools"].([]any) {
			config := tool.(map[string]any)["configs"].([]any)[0].(map[string]any)
			if sources, there := config["url_sources"]; !there || sources != nil {
				t.Errorf("%s: %v", name, config)
			}
		}
	}
	thread := f.want(http.StatusOK, http.MethodGet, "/v1/sessions/"+sesn+"/threads", "").get("data").([]any)[0].(map[string]any)
	if thread["agent"].(map[string]any)["multiagent"] != nil {
		t.Errorf("%v", thread)
	}
}

func TestStopDetails(t *testing.T) {
	t.Parallel()
	text := "because"
	for _, c := range []struct {
		why  session.StopType
		text *string
		want string
	}{
		{session.StopEndTurn, nil, `{"stop_reason":{"type":"end_turn"},"stop_details":null}`},
		{session.StopEndTurn, &text, `{"stop_reason":{"type":"end_turn"},"stop_details":null,"message":"because"}`},
		{session.StopRefusal, nil, `{"stop_reason":{"type":"refusal"},"stop_details":null}`},
		{session.StopRefusal, &text, `{"stop_reason":{"type":"refusal"},"stop_details":{"type":"refusal","category":null,"explanation":"because"}}`},
	} {
		for _, e := range []struct {
			typ  session.EventType
			body any
			drop []string
		}{
			{session.SessionIdle, session.IdleBody{StopReason: session.StopReason{Type: c.why}, StopDetails: c.text}, []string{"id", "type", "processed_at"}},
			{session.ThreadIdle, session.ThreadIdleBody{
				Thread: "01890a5d-ac96-774b-bcce-b302099a8057", Agent: "a", StopReason: session.StopReason{Type: c.why}, StopDetails: c.text,
			}, []string{"id", "type", "processed_at", "session_thread_id", "agent_name"}},
		} {
			data, err := json.Marshal(e.body)
			if err != nil {
				t.Fatal(err)
			}
			got := decode(t, string(showEvent(session.Event{Type: e.typ, Data: data})))
			for _, name := range e.drop {
				delete(got, name)
			}
			if d := cmp.Diff(decode(t, c.want), got); d != "" {
				t.Errorf("%s %s (-want +got):\n%s", e.typ, c.why, d)
			}
		}
	}
}
