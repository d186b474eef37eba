package app_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/bureau-agents/bureau/app"
	"github.com/bureau-agents/bureau/app/apptest"
)

// childOf starts a session of a coordinator that may ask one helper, and returns how to ask it: the answer is what the helper's thread
// has in its log.
func childOf(t *testing.T, api *apptest.Client, helper, session m) (ask func(text string) turn) {
	t.Helper()
	var child, lead, sess struct{ ID string }
	helper["name"], helper["model"] = "helper", "offline"
	api.Call("POST", "/v1/agents", helper, &child)
	api.Call("POST", "/v1/agents", m{"name": "lead", "model": "offline", "multiagent": m{
		"type": "coordinator", "agents": []m{{"type": "agent", "id": child.ID}},
	}}, &lead)
	session["agent"] = lead.ID
	api.Call("POST", "/v1/sessions", session, &sess)
	path := "/v1/sessions/" + sess.ID
	return func(text string) turn {
		t.Helper()
		api.Stream("POST", path+"/messages", m{"content": "Ask the helper: " + text}).Rest()
		threads := apptest.All[threadAnswer](api, path+"/threads")
		if len(threads) < 2 {
			t.Fatalf("nothing was delegated: %s", text)
		}
		return turn(apptest.All[event](api, path+"/threads/"+threads[len(threads)-1].ID+"/events"))
	}
}

// TestThreadsShareMemory has another agent of a session remember and read in the memory stores that the session was given.
func TestThreadsShareMemory(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(t *testing.T, cfg apptest.Config) {
		s := apptest.Start(t, cfg)
		var store, rules struct{ ID string }
		s.Admin.Call("POST", "/v1/memory_stores", m{"name": "Notes"}, &store)
		s.Admin.Call("POST", "/v1/memory_stores", m{"name": "Rules"}, &rules)
		s.Admin.Call("POST", "/v1/memory_stores/"+rules.ID+"/memories", m{"path": "/tea.md", "content": "Tea at five."}, nil)
		ask := childOf(t, s.Admin, m{}, m{"resources": []m{
			{"type": "memory_store", "memory_store_id": store.ID}, {"type": "memory_store", "memory_store_id": rules.ID, "access": "read_only"},
		}})
		log := ask(`Use the memory_write tool with {"store":"notes","path":"/from-child.md","content":"The child was here."}`)
		if use, res := log.last(t, "agent.tool_use"), log.last(t, "agent.tool_result"); use.Name != "memory_write" || res.IsError {
			t.Fatalf("%+v: %s", use, res.text())
		}
		kept := apptest.All[struct{ Path, Content string }](s.Admin, "/v1/memory_stores/"+store.ID+"/entries")
		if len(kept) != 1 || kept[0].Path != "/from-child.md" || kept[0].Content != "The child was here." {
			t.Errorf("kept %+v", kept)
		}
		if res := ask(`Use the memory_read tool with {"store":"rules","path":"/tea.md"}`).last(t, "agent.tool_result"); !strings.Contains(res.text(), "Tea at five.") {
			t.Errorf("read %q", res.text())
		}
		ask(`Use the memory_write tool with {"store":"rules","path":"/tea.md","content":"Never."}`)
		if got := apptest.All[struct{ Content string }](s.Admin, "/v1/memory_stores/"+rules.ID+"/entries"); len(got) != 1 || got[0].Content != "Tea at five." {
			t.Errorf("a store that may only be read holds %+v", got)
		}
	})
}

// TestThreadsShareVaults has another agent of a session call an MCP server that wants a token of the session's vault.
func TestThreadsShareVaults(t *testing.T) {
	t.Parallel()
	const token = "token-of-the-root"
	var greeted, refused atomic.Int64
	handler := sdk.NewStreamableHTTPHandler(func(*http.Request) *sdk.Server {
		srv := sdk.NewServer(&sdk.Implementation{Name: "greeter", Version: "1"}, nil)
		sdk.AddTool(srv, &sdk.Tool{Name: "greet", Description: "Greets somebody"},
			func(_ context.Context, _ *sdk.CallToolRequest, in struct {
				Name string `json:"name"`
			},
			) (*sdk.CallToolResult, any, error) {
				greeted.Add(1)
				return &sdk.CallToolResult{Content: []sdk.Content{&sdk.TextContent{Text: "Hello, " + in.Name}}}, nil, nil
			})
		return srv
	}, nil)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer "+token {
			refused.Add(1)
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		handler.ServeHTTP(w, r)
	}))
	t.Cleanup(srv.Close)
	addr := strings.TrimPrefix(srv.URL, "http://")
	s := apptest.Start(t, apptest.Config{Change: func(c *app.Config) { c.EgressAllow = append(c.EgressAllow, addr) }})
	var vault struct{ ID string }
	s.Admin.Call("POST", "/v1/vaults", m{"display_name": "Keys"}, &vault)
	s.Admin.Call("POST", "/v1/vaults/"+vault.ID+"/credentials", m{
		"display_name": "Greeter", "auth": m{"type": "static_bearer", "token": token, "mcp_server_url": srv.URL + "/mcp"},
	}, nil)
	helper := func() m {
		return m{
			"mcp_servers": []m{{"name": "greeter", "type": "url", "url": srv.URL + "/mcp"}},
			"tools": []m{{"type": "mcp_toolset", "mcp_server_name": "greeter", "default_config": m{
				"enabled": true, "permission_policy": m{"type": "always_allow"},
			}}},
		}
	}
	log := childOf(t, s.Admin, helper(), m{"vault_ids": []string{vault.ID}})("Use the greet tool with the name `Ada`")
	if res := log.last(t, "agent.mcp_tool_result"); res.IsError || res.text() != "Hello, Ada" || greeted.Load() != 1 {
		t.Errorf("%+v", res)
	}
	childOf(t, s.Admin, helper(), m{})("Use the greet tool with the name `Eve`")
	if greeted.Load() != 1 || refused.Load() == 0 {
		t.Errorf("without the vault: %d greeted, %d refused", greeted.Load(), refused.Load())
	}
}
