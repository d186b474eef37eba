package app_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/bureau-agents/bureau/app"
	"github.com/bureau-agents/bureau/app/apptest"
)

// providersAt is a server whose model providers are its own fakes.
func providersAt(cfg apptest.Config) apptest.Config {
	cfg.Change = func(c *app.Config) {
		url := "http://" + c.EgressAllow[0]
		c.ProviderURLs = map[string]string{"anthropic": url, "openai": url, "google": url}
	}
	return cfg
}

// TestAgentKeys has agents answered by their own keys, by those of their swarm, and by none.
func TestAgentKeys(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(t *testing.T, cfg apptest.Config) {
		s := apptest.Start(t, providersAt(cfg))
		api := s.Admin.In(t)
		s.Models.Reply(func(r apptest.ModelRequest) []string { return []string{"my key is ", r.Key[:4], r.Key[4:], "."} })
		var agent, swarm struct{ ID string }
		api.Call("POST", "/v1/agents", m{"name": "a", "model": "default"}, &agent)
		api.Call("POST", "/v1/swarms", m{"name": "s"}, &swarm)
		secrets, credentials := "/v1/agents/"+agent.ID+"/secrets", "/v1/swarms/"+swarm.ID+"/credentials"
		// asked returns the model that answers, with the key that reached its provider and the path that was called.
		asked := func(want string) {
			t.Helper()
			before := len(s.Models.Seen())
			said, model := ask(t, api, agent.ID, "Hello!")
			got := model
			if seen := s.Models.Seen(); len(seen) > before {
				last := seen[len(seen)-1]
				got += " " + last.Key + " " + last.Path
				if strings.Contains(said, last.Key) || !strings.Contains(said, "[redacted:") {
					t.Errorf("the key is told: %q", said)
				}
			}
			same(t, want, got)
		}
		asked("offline/offline")
		api.Call("PUT", secrets, m{"secrets": m{"openaiApiKey": "own-openai-key"}}, nil)
		asked("openai/gpt-5-mini own-openai-key /v1/chat/completions")
		api.Call("PATCH", secrets, m{"secrets": m{"openai_api_key": "new-openai-key"}}, nil)
		asked("openai/gpt-5-mini new-openai-key /v1/chat/completions")
		api.Call("PUT", credentials, m{"secrets": m{"anthropicApiKey": "sk-ant-of-swarm", "openaiApiKey": "openai-of-swarm"}}, nil)
		asked("openai/gpt-5-mini new-openai-key /v1/chat/completions")
		api.Call("POST", "/v1/swarms/"+swarm.ID+"/agents", m{"agent_id": agent.ID}, nil)
		asked("openai/gpt-5-mini new-openai-key /v1/chat/completions")
		api.Call("POST", secrets, m{"delete_secrets": []string{"openaiApiKey"}}, nil)
		asked("anthropic/claude-sonnet-4-5 sk-ant-of-swarm /v1/messages")
		api.Call("DELETE", "/v1/swarms/"+swarm.ID+"/agents/"+agent.ID, nil, nil)
		asked("offline/offline")
		api.Call("PUT", secrets, m{"secrets": m{"google_api_key": "own-google-key"}}, nil)
		asked("google/gemini-2.5-flash own-google-key /v1/chat/completions")
		api.Call("POST", "/v1/agents/"+agent.ID, m{"model": "offline"}, nil)
		asked("offline/offline")
		api.Call("POST", "/v1/agents/"+agent.ID, m{"model": "gemini-x"}, nil)
		asked("google/gemini-x own-google-key /v1/chat/completions")

		providers := map[string]int{}
		for _, row := range apptest.All[struct{ Provider string }](api, "/v1/usage?agent_id="+agent.ID) {
			providers[row.Provider]++
		}
		same(t, map[string]int{"offline": 3, "openai": 4, "anthropic": 1, "google": 2}, providers)

		// Names are shown, values never; what is deleted takes its secrets along.
		names := apptest.All[struct{ Name string }](api, secrets)
		if len(names) != 1 || names[0].Name != "google_api_key" {
			t.Errorf("names: %v", names)
		}
		api.Call("POST", "/v1/swarms/"+swarm.ID+"/agents", m{"agent_id": agent.ID}, nil)
		api.Call("DELETE", "/v1/swarms/"+swarm.ID, nil, nil)
		api.Refuse(http.StatusNotFound, "GET", credentials, nil)
		api.Call("POST", "/v1/agents/"+agent.ID, m{"model": "default"}, nil)
		api.Call("PUT", secrets, m{"delete_secrets": []string{"googleApiKey"}}, nil)
		asked("offline/offline")
		if log := s.Log(); strings.Contains(log, "own-google-key") || strings.Contains(log, "sk-ant-of-swarm") {
			t.Error("a key is in the server's log")
		}
	})
}

// TestDocumentsInPrompts looks at what a model is told of an agent's documents, and lets it read a rule.
func TestDocumentsInPrompts(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(t *testing.T, cfg apptest.Config) {
		s := apptest.Start(t, providersAt(cfg))
		api := s.Admin.In(t)
		var agent struct{ ID string }
		api.Call("POST", "/v1/agents", m{"name": "Robin", "model": "default", "system": "The system prompt."}, &agent)
		of := "/v1/agents/" + agent.ID
		api.Call("PUT", of+"/secrets", m{"secrets": m{"anthropicApiKey": "sk-ant-own"}}, nil)
		prompt := func() string {
			t.Helper()
			ask(t, api, agent.ID, "Hello!")
			seen := s.Models.Seen()
			return seen[len(seen)-1].Body
		}
		inOrder := func(text string, parts ...string) {
			t.Helper()
			for _, p := range parts {
				_, rest, ok := strings.Cut(text, p)
				if !ok {
					t.Fatalf("%q is not there, or not in its place, in %s", p, text)
				}
				text = rest
			}
		}
		if text := prompt(); strings.Contains(text, "Robin") || strings.Contains(text, "read_rule") {
			t.Errorf("without documents: %s", text)
		}
		api.Call("PUT", of+"/personality", m{"soul_md": "The soul."}, nil)
		api.Call("PUT", of+"/workflow", m{"workflow_md": "The workflow."}, nil)
		inOrder(prompt(), "The system prompt.", "The soul.", "Robin", "The workflow.")
		api.Call("PUT", of+"/rules/refunds", m{"content": "The procedure of refunds."}, nil)
		text := prompt()
		inOrder(text, "The workflow.", "- refunds")
		if !strings.Contains(text, `"name":"read_rule"`) || strings.Contains(text, "The procedure") {
			t.Errorf("with a rule: %s", text)
		}
		var version struct {
			Version int
		}
		api.Call("GET", "/v1/agents/"+agent.ID, nil, &version)
		same(t, 1, version.Version) // documents make no version
		api.Call("POST", of, m{"model": "offline"}, nil)
		said, _ := ask(t, api, agent.ID, "Use the read_rule tool to read the rule refunds.")
		if !strings.Contains(said, "The procedure of refunds.") {
			t.Errorf("the rule was not read: %q", said)
		}
		api.Call("POST", of+"/documents/soul/versions/1/restore", m{}, nil)
		api.Call("DELETE", of+"/rules/refunds", nil, nil)
		api.Call("POST", of+"/rules/refunds/versions/1/restore", nil, nil)
		versions := apptest.All[struct{ Version int }](api, of+"/rules/refunds/versions?limit=1")
		same(t, 3, len(versions))
	})
}
