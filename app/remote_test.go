package app_test

import (
	"context"
	"fmt"
	"iter"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/a2aproject/a2a-go/v2/a2a"
	"github.com/a2aproject/a2a-go/v2/a2asrv"

	"github.com/bureau-agents/bureau/app"
	"github.com/bureau-agents/bureau/app/apptest"
)

// painter is an agent of somebody else's: it asks for a colour, and wants a token.
type painter struct {
	*httptest.Server
	card atomic.Pointer[string]
}

const painterToken = "brush-of-the-painter-4711"

// Execute implements a2asrv.AgentExecutor.
func (p *painter) Execute(_ context.Context, req *a2asrv.ExecutorContext) iter.Seq2[a2a.Event, error] {
	return func(yield func(a2a.Event, error) bool) {
		said := ""
		for _, part := range req.Message.Parts {
			said += part.Text()
		}
		if req.StoredTask == nil {
			ask := a2a.NewMessageForTask(a2a.MessageRoleAgent, req, a2a.NewTextPart("Which colour for "+said+"? My token is "+painterToken+"."))
			_ = yield(a2a.NewSubmittedTask(req, req.Message), nil) && yield(a2a.NewStatusUpdateEvent(req, a2a.TaskStateInputRequired, ask), nil)
			return
		}
		_ = yield(a2a.NewArtifactEvent(req, a2a.NewTextPart("Painted "+said+".")), nil) &&
			yield(a2a.NewStatusUpdateEvent(req, a2a.TaskStateCompleted, nil), nil)
	}
}

// Cancel implements a2asrv.AgentExecutor.
func (p *painter) Cancel(_ context.Context, req *a2asrv.ExecutorContext) iter.Seq2[a2a.Event, error] {
	return func(yield func(a2a.Event, error) bool) {
		yield(a2a.NewStatusUpdateEvent(req, a2a.TaskStateCanceled, nil), nil)
	}
}

// say changes what the painter's card says of it; more are members of the card.
func (p *painter) say(description, more string) {
	card := fmt.Sprintf(`{"name":"painter","description":%q,"version":"1","supportedInterfaces":[{"url":%q,"protocolBinding":"JSONRPC",`+
		`"protocolVersion":"1.0"}],"capabilities":{"streaming":true},"defaultInputModes":["text/plain"],"defaultOutputModes":["text/plain"]%s}`,
		description, p.URL+"/rpc", more)
	p.card.Store(&card)
}

const painterSkills = `,"skills":[{"id":"paint","name":"Paint","description":"Paints things.","tags":["paint"]}]`

func newPainter(t *testing.T) *painter {
	t.Helper()
	p := &painter{}
	rpc := a2asrv.NewJSONRPCHandler(a2asrv.NewHandler(p))
	p.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Path == "/.well-known/agent-card.json":
			_, _ = w.Write([]byte(*p.card.Load()))
		case r.URL.Path == "/rpc" && r.Header.Get("Authorization") == "Bearer "+painterToken:
			rpc.ServeHTTP(w, r)
		case r.URL.Path == "/rpc":
			w.WriteHeader(http.StatusUnauthorized)
		default:
			http.NotFound(w, r)
		}
	}))
	t.Cleanup(p.Close)
	p.say("Paints.", painterSkills)
	return p
}

// remoteAnswer is a remote agent as the API shows it.
type remoteAnswer struct {
	ID, Name string
	AgentID  string `json:"agent_id"`
	Card     struct {
		Valid bool
		Score int
	}
}

// clashesOfRemote gives a remote agent the names of other tools: an agent that would have both is refused, and one that has both by then is told.
func clashesOfRemote(t *testing.T, api *apptest.Client, r remoteAnswer, use func(text string) turn) {
	t.Helper()
	rename := func(name string) { api.Call("POST", "/v1/remote_agents/"+r.ID, m{"name": name}, nil) }
	tools := func(others ...m) m {
		return m{"name": "x", "model": "offline", "tools": append(others, m{"type": "a2a_agent", "remote_agent_id": r.ID})}
	}
	refuse := func(path, word string, body m) {
		t.Helper()
		a := api.Do("POST", "/v1/agents", body)
		if a.Status != 400 || !strings.Contains(string(a.Body), path) || !strings.Contains(string(a.Body), word) {
			t.Errorf("%s: %d %s", path, a.Status, a.Body)
		}
	}
	custom := m{"type": "custom", "name": "painter", "description": "Paints.", "input_schema": m{"type": "object"}}
	refuse("tools[1].remote_agent_id", "custom tool", tools(custom))
	rename("bash")
	refuse("tools[1].remote_agent_id", "built-in tool", tools(m{"type": "agent_toolset_20260401"}))
	api.Call("POST", "/v1/agents", tools(), nil) // without the toolset there is no other
	rename("search_knowledge")
	refuse("tools[0].remote_agent_id", "named search_knowledge, as a built-in tool", tools())
	warnings := func(of turn) (n int) {
		for _, e := range of {
			if e.Type == "session.warning" {
				n++
			}
		}
		return n
	}
	if n := warnings(use("hello")); n != 1 {
		t.Errorf("%d warnings of a tool that is not offered", n)
	}
	if n := warnings(use("hello again")); n != 1 {
		t.Errorf("%d warnings, after it was told", n)
	}
	rename("painter")
	if res := use(`Use the painter tool with {"message":"the fence"}`).last(t, "agent.tool_result"); res.IsError {
		t.Errorf("with its own name again: %+v", res)
	}
}

// TestRemoteAgents registers an agent over A2A, talks to it in sessions, has another agent call it as a tool, and holds both to a policy.
func TestRemoteAgents(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(t *testing.T, cfg apptest.Config) {
		p := newPainter(t)
		cfg.Change = func(c *app.Config) { c.EgressAllow = append(c.EgressAllow, strings.TrimPrefix(p.URL, "http://")) }
		s := apptest.Start(t, cfg)
		api := s.Admin.In(t)
		p.say("Paints.", "")
		if a := api.Do("POST", "/v1/remote_agents", m{"url": p.URL}); a.Status != 400 || !strings.Contains(string(a.Body), "card.skills") {
			t.Errorf("an invalid card: %d %s", a.Status, a.Body)
		}
		p.say("Paints.", painterSkills)
		var r remoteAnswer
		api.Call("POST", "/v1/remote_agents", m{"url": p.URL, "credential": m{"type": "bearer", "secret": "an-0lder-token"}}, &r)
		if r.Name != "painter" || !r.Card.Valid || r.Card.Score < 50 {
			t.Fatalf("registered: %+v", r)
		}
		api.Refuse(409, "POST", "/v1/remote_agents", m{"url": p.URL})
		api.Refuse(404, "POST", "/v1/agents", m{"name": "x", "model": "offline", "tools": []m{{"type": "a2a_agent", "remote_agent_id": "remote_01h2xcejqtf2nbrexx3vqjhp41"}}})

		open := func(agent string) (ask func(text string) turn) {
			var sess struct{ ID string }
			api.Call("POST", "/v1/sessions", m{"agent": agent}, &sess)
			return func(text string) turn {
				t.Helper()
				api.Stream("POST", "/v1/sessions/"+sess.ID+"/messages", m{"content": text}).Rest()
				return turn(apptest.All[event](api, "/v1/sessions/"+sess.ID+"/events"))
			}
		}
		refused := open(r.AgentID)("the barn")
		if e := refused.last(t, "session.error"); !strings.Contains(e.Error.Message, "refused the credential that it was called with (status 401)") {
			t.Errorf("with an old credential: %+v", e.Error)
		}
		api.Call("POST", "/v1/remote_agents/"+r.ID, m{"credential": m{"secret": painterToken}}, nil)
		direct := open(r.AgentID)
		if said := direct("the barn").last(t, "agent.message").text(); !strings.HasPrefix(said, "Which colour for the barn?") {
			t.Errorf("the first answer: %q", said)
		}
		same(t, "Painted red.", direct("red").last(t, "agent.message").text())

		var lead struct{ ID string }
		api.Call("POST", "/v1/agents", m{"name": "lead", "model": "offline", "tools": []m{{
			"type": "a2a_agent", "remote_agent_id": r.ID, "default_config": m{"permission_policy": m{"type": "always_allow"}},
		}}}, &lead)
		use := open(lead.ID)
		res := use(`Use the painter tool with {"message":"the fence"}`).last(t, "agent.tool_result")
		if res.IsError || !strings.Contains(res.text(), "Which colour for the fence?") || !strings.Contains(res.text(), "context_id") {
			t.Errorf("as a tool: %+v", res)
		}
		if strings.Contains(res.text(), painterToken) {
			t.Errorf("the credential is told: %s", res.text())
		}

		clashesOfRemote(t, api, r, use)

		var pol struct{ ID string }
		api.Call("POST", "/v1/policies", m{"scope": m{"tenant": true}, "limits": m{"min_card_score": 100, "require_signed_card": true}}, &pol)
		if res := use(`Use the painter tool with {"message":"the gate"}`).last(t, "agent.tool_result"); !res.IsError || !strings.Contains(res.text(), "score") {
			t.Errorf("below the score: %+v", res)
		}
		direct("the door").last(t, "session.error")
		type entry struct {
			ID, Action string
			Metadata   struct {
				Rule string
				Card struct {
					RemoteAgentID string `json:"remote_agent_id"`
					Score         int
				}
			}
		}
		denied := 0
		for _, e := range apptest.All[entry](api, "/v1/audit") {
			if e.Action == "policy_violation" && e.Metadata.Rule == "min_card_score" && e.Metadata.Card.Score == r.Card.Score {
				denied++
			}
		}
		if denied != 2 {
			t.Errorf("%d denials have their evidence in the audit trail, want 2", denied)
		}
		api.Call("PATCH", "/v1/policies/"+pol.ID, m{"limits": m{"min_card_score": nil, "require_signed_card": false}}, nil)

		p.say("Paints quickly.", "")
		var now remoteAnswer
		if api.Call("POST", "/v1/remote_agents/"+r.ID+"/refresh", m{}, &now); now.Card.Valid {
			t.Errorf("a card without skills: %+v", now)
		}
		direct("the door").last(t, "session.error")
		if changes := apptest.All[struct{ Score int }](api, "/v1/remote_agents/"+r.ID+"/changes"); len(changes) != 2 {
			t.Errorf("%d changes", len(changes))
		}
		if notices := apptest.All[struct{ Kind string }](api, "/v1/notices?type=remote_agent.card_changed"); len(notices) != 1 {
			t.Errorf("%d notices", len(notices))
		}
		api.Call("DELETE", "/v1/remote_agents/"+r.ID, nil, nil)
		api.Refuse(404, "GET", "/v1/remote_agents/"+r.ID, nil)
	})
}

// TestRemoteAgentByVault: a remote agent without a credential of its own is called with what the session's vaults have for it.
func TestRemoteAgentByVault(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(t *testing.T, cfg apptest.Config) {
		p := newPainter(t)
		cfg.Change = func(c *app.Config) { c.EgressAllow = append(c.EgressAllow, strings.TrimPrefix(p.URL, "http://")) }
		s := apptest.Start(t, cfg)
		api := s.Admin.In(t)
		var r remoteAnswer
		api.Call("POST", "/v1/remote_agents", m{"url": p.URL}, &r)
		var vault, lead struct{ ID string }
		api.Call("POST", "/v1/vaults", m{"display_name": "Paints"}, &vault)
		api.Call("POST", "/v1/vaults/"+vault.ID+"/credentials", m{"auth": m{"type": "static_bearer", "mcp_server_url": p.URL, "token": painterToken}}, nil)
		api.Call("POST", "/v1/agents", m{"name": "lead", "model": "offline", "tools": []m{{
			"type": "a2a_agent", "remote_agent_id": r.ID, "default_config": m{"permission_policy": m{"type": "always_allow"}},
		}}}, &lead)
		say := func(agent string, vaults []string, text string) turn {
			t.Helper()
			var sess struct{ ID string }
			api.Call("POST", "/v1/sessions", m{"agent": agent, "vault_ids": vaults}, &sess)
			api.Stream("POST", "/v1/sessions/"+sess.ID+"/messages", m{"content": text}).Rest()
			return turn(apptest.All[event](api, "/v1/sessions/"+sess.ID+"/events"))
		}
		const use = `Use the painter tool with {"message":"the fence"}`
		if e := say(r.AgentID, nil, "the barn").last(t, "session.error"); !strings.Contains(e.Error.Message, "has none to be called with (status 401)") {
			t.Errorf("without a vault: %+v", e.Error)
		}
		if res := say(lead.ID, nil, use).last(t, "agent.tool_result"); !res.IsError || !strings.Contains(res.text(), "has none to be called with") {
			t.Errorf("as a tool, without a vault: %+v", res)
		}
		said := say(r.AgentID, []string{vault.ID}, "the barn").last(t, "agent.message").text()
		if !strings.HasPrefix(said, "Which colour for the barn?") || strings.Contains(said, painterToken) {
			t.Errorf("with the vault: %q", said)
		}
		if res := say(lead.ID, []string{vault.ID}, use).last(t, "agent.tool_result"); res.IsError || !strings.Contains(res.text(), "Which colour for the fence?") ||
			strings.Contains(res.text(), painterToken) {
			t.Errorf("as a tool, with the vault: %+v", res)
		}
	})
}
