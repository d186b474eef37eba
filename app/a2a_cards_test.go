package app_test

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/bureau-agents/bureau/app"
	"github.com/bureau-agents/bureau/app/apptest"
	cards "github.com/bureau-agents/bureau/core/card"
)

// TestAgentCards reads agents' cards as strangers do, and as their owner.
func TestAgentCards(t *testing.T) {
	t.Parallel()
	s := apptest.Start(t, apptest.Config{Change: func(c *app.Config) {
		c.PublicURL, c.Provider = "https://bureau.example.com", app.ProviderConfig{Name: "Example", URL: "https://example.com"}
	}})
	var agent struct{ ID string }
	s.Admin.Call("POST", "/v1/agents", map[string]any{"name": "Clerk", "model": "offline"}, &agent)
	path := "/a2a/" + agent.ID + "/.well-known/agent-card.json"
	ask := func(method, path string, headers ...string) (*http.Response, string) {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), method, s.URL+path, http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		for i := 0; i < len(headers); i += 2 {
			req.Header.Set(headers[i], headers[i+1])
		}
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		text, err := io.ReadAll(res.Body)
		if err != nil {
			t.Fatal(err)
		}
		return res, string(text)
	}
	res, text := ask("GET", path)
	tag := res.Header.Get("ETag")
	if res.StatusCode != 200 || tag == "" || res.Header.Get("Access-Control-Allow-Origin") != "*" || res.Header.Get("Last-Modified") == "" ||
		!strings.Contains(res.Header.Get("Cache-Control"), "max-age=") || res.Header.Get("Content-Type") != "application/json" {
		t.Errorf("%d %v", res.StatusCode, res.Header)
	}
	if r := cards.Validate([]byte(text), cards.Options{Version: cards.V10}); !r.Valid || r.Score != 100 || len(r.Warnings) > 0 || r.Name != "Clerk" {
		t.Errorf("%+v\n%s", r, text)
	}
	if res, text := ask("GET", path, "If-None-Match", tag); res.StatusCode != 304 || text != "" {
		t.Errorf("%d %s", res.StatusCode, text)
	}
	if res, text := ask("HEAD", path); res.StatusCode != 200 || text != "" || res.Header.Get("ETag") != tag {
		t.Errorf("%d %v", res.StatusCode, res.Header)
	}
	if _, text := ask("GET", strings.Replace(path, "agent-card", "agent", 1)); strings.Contains(text, "supportedInterfaces") ||
		!cards.Validate([]byte(text), cards.Options{Version: cards.V030}).Valid {
		t.Errorf("the old card is %s", text)
	}
	for _, other := range []string{"agent_00000000000000000000000000", "nothing"} {
		if res, _ := ask("GET", strings.Replace(path, agent.ID, other, 1)); res.StatusCode != 404 {
			t.Errorf("%s: %d", other, res.StatusCode)
		}
	}

	var own struct {
		Standing, URL string
		Valid, Signed bool
		Score         int
		Warnings      []any
		Card          struct {
			Provider struct{ Organization, URL string }
		}
	}
	s.Admin.Call("POST", "/v1/agents/"+agent.ID+"/freeze", map[string]any{}, nil)
	s.Admin.Call("GET", "/v1/agents/"+agent.ID+"/card", nil, &own)
	if own.Standing != "frozen" || !own.Valid || own.Score != 100 || len(own.Warnings) > 0 || own.Card.Provider.Organization != "Example" ||
		own.URL != "https://bureau.example.com"+path {
		t.Errorf("%+v", own)
	}
	s.Admin.Call("POST", "/v1/agents/"+agent.ID+"/unfreeze", map[string]any{}, nil)
	s.Admin.Call("DELETE", "/v1/agents/"+agent.ID, nil, nil)
	if res, _ := ask("GET", path); res.StatusCode != 404 {
		t.Errorf("archived: %d", res.StatusCode)
	}
	s.Admin.Refuse(404, "GET", "/v1/agents/"+agent.ID+"/card", nil)
}
