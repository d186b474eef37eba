package native

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/skill"
	"github.com/bureau-agents/bureau/ports/id"
)

// silentTrail hears of links and forgets them.
type silentTrail struct{}

func (silentTrail) Note(context.Context, account.Scope, string, id.Agent, map[string]any) error {
	return nil
}

// provideMarket adds the marketplace, and the links that say who reviews for it.
func (f *fixture) provideMarket(d *Deps, library *skill.Library) {
	f.t.Helper()
	exists := func(ctx context.Context, sc account.Scope, a id.Agent) error {
		_, err := d.Agents.Get(ctx, sc, a)
		return err
	}
	var err error
	d.Links, err = account.NewLinks(account.LinkDeps{
		TX: f.store, Clock: f.clock, IDs: id.NewGenerator(time.Now), Repository: f.store.AgentLinks(), Users: f.store.Users(), Trail: silentTrail{}, Agent: exists,
	})
	if err != nil {
		f.t.Fatal(err)
	}
	d.Market, err = skill.NewMarket(skill.MarketDeps{
		TX: f.store, Clock: f.clock, IDs: id.NewGenerator(time.Now), Logger: slog.New(slog.DiscardHandler), Submissions: f.store.Submissions(),
		Contents: f.store.Submissions(), Listings: f.store.Submissions(), Installations: f.store.SkillInstallations(), Plugins: d.Skills, Library: library,
		Links: d.Links, Agents: skill.AgentsFunc(exists),
	}, skill.MarketConfig{})
	if err != nil {
		f.t.Fatal(err)
	}
}

// first returns a member of the first item of a list.
func (a answer) first(list string, path ...string) any {
	items, _ := a.json[list].([]any)
	if len(items) == 0 {
		return nil
	}
	item, _ := items[0].(map[string]any)
	return answer{json: item}.get(path...)
}

// TestMarketplace plays the way of a skill from an agent over a reviewer to another agent.
func TestMarketplace(t *testing.T) {
	t.Parallel()
	f := libraryFixture(t)
	author, user := f.newAgent(), f.newAgent()
	body := func(version, text string) string {
		b, err := json.Marshal(map[string]any{"agent_id": author, "skills": []any{map[string]any{
			"key": "send-dm", "name": "Send a message", "category": "Messaging", "tags": []string{"Slack"}, "version": version, "summary": "Sends a message",
			"prompt_template": text, "code_snippet": "``` not the end", "config_schema": map[string]any{"type": "object"},
			"requirements": []any{map[string]any{"name": "Bot token", "type": "credential"}},
		}}})
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	made := f.want(http.StatusCreated, "POST", "/v1/skills/ingest", body("1", "First."))
	first, _ := made.first("skills", "sha256").(string)
	of, _ := made.first("skills", "id").(string)
	if again := f.want(http.StatusCreated, "POST", "/v1/skills/ingest", body("1", "First.")); again.first("skills", "new") != false {
		t.Errorf("the same again: %s", again.body)
	}
	f.wantError(f.do("POST", "/v1/skills/ingest", body("1", "Second.")), 409, "conflict_error", "skill_version_exists")
	f.wantError(f.do("GET", "/v1/marketplace/skills/"+of, ""), 404, "not_found_error", "skill_not_found")
	f.wantError(f.do("POST", "/v1/agents/"+user+"/skills", `{"skill_id":"`+of+`"}`), 404, "not_found_error", "skill_not_found")

	queue := f.want(200, "GET", "/v1/skills/review", "")
	if queue.first("data", "sha256") != first || queue.first("data", "scan", "verdict") == nil {
		t.Errorf("the queue: %s", queue.body)
	}
	f.wantError(f.do("POST", "/v1/skills/"+of+"/approve", `{"digest":"`+strings.Repeat("0", 64)+`"}`), 409, "conflict_error", "skill_changed")
	f.want(200, "POST", "/v1/skills/"+of+"/approve", `{"digest":"`+first+`"}`)
	for query, want := range map[string]int{
		"?search=SEND": 1, "?category=messaging": 1, "?tag=slack": 1, "?tag=slac": 0, "?category=mess": 0, "?kind=plugin&search=send": 0, "?search=send&sort=installs": 1,
	} {
		if got := f.want(200, "GET", "/v1/marketplace/skills"+query, ""); len(got.json["data"].([]any)) != want {
			t.Errorf("%s: %s", query, got.body)
		}
	}
	in := f.want(http.StatusCreated, "POST", "/v1/agents/"+user+"/skills", `{"skill_id":"`+of+`"}`)
	if in.get("kind") != "structured" || in.get("sha256") != first || in.get("name") != "send-dm" {
		t.Errorf("installed: %s", in.body)
	}
	prompt, _ := f.want(200, "GET", "/v1/marketplace/skills/"+of+"/install-prompt", "").get("prompt").(string)
	for _, part := range []string{"First.", "````\n``` not the end\n````\n", "Bot token (credential)", first, "Send a message"} {
		if !strings.Contains(prompt, part) {
			t.Errorf("the prompt lacks %q:\n%s", part, prompt)
		}
	}

	f.want(http.StatusCreated, "POST", "/v1/skills/ingest", body("2", "Second."))
	if got := f.want(200, "GET", "/v1/marketplace/skills/"+of, ""); got.get("version") != "1" || got.get("installs") != 1.0 {
		t.Errorf("while another version waits: %s", got.body)
	}
	f.want(200, "POST", "/v1/skills/"+of+"/approve", "")
	have := f.want(200, "GET", "/v1/agents/"+user+"/skills", "")
	if have.first("data", "sha256") != first || have.first("data", "outdated") != true {
		t.Errorf("after another version was approved: %s", have.body)
	}
	f.want(200, "DELETE", "/v1/agents/"+user+"/skills/send-dm", "")

	for _, ref := range []string{"builtin_pdf", "pdf"} {
		in := f.want(http.StatusCreated, "POST", "/v1/agents/"+user+"/skills", `{"skill_id":"`+ref+`"}`)
		if in.get("kind") != "instructions" || in.get("name") != "pdf" {
			t.Errorf("%s: %s", ref, in.body)
		}
	}
	uploaded := f.want(http.StatusCreated, "POST", "/v1/skills", skillExample)
	of, _ = uploaded.get("id").(string)
	if in := f.want(http.StatusCreated, "POST", "/v1/agents/"+user+"/skills", `{"skill_id":"`+of+`"}`); in.get("version") != "1" {
		t.Errorf("an uploaded skill: %s", in.body)
	}
	if got := f.want(200, "GET", "/v1/marketplace/skills?sort=installs&limit=2", ""); got.first("data", "installs") != 1.0 || got.get("has_more") != true {
		t.Errorf("by installs: %s", got.body)
	}
}

func TestAgentLinks(t *testing.T) {
	t.Parallel()
	f := libraryFixture(t)
	agent := f.newAgent()
	made := f.want(http.StatusCreated, "POST", "/v1/agent_links", `{"agent_id":"`+agent+`","user":"ada"}`)
	of, _ := made.get("id").(string)
	again := f.want(http.StatusCreated, "POST", "/v1/agent_links", `{"agent_id":"`+agent+`","user":"ada"}`)
	if made.get("user") != "ada" || again.get("id") != of {
		t.Errorf("made %s, again %s", made.body, again.body)
	}
	if got := f.want(200, "GET", "/v1/agent_links?agent_id="+agent, ""); got.first("data", "id") != of {
		t.Errorf("listed: %s", got.body)
	}
	f.wantError(f.do("POST", "/v1/agent_links", `{"agent_id":"`+agent+`","user":"key_01h455vb4pex5vsknk084sn02q"}`), 404, "not_found_error", "api_key_not_found")
	f.want(200, "DELETE", "/v1/agent_links/"+of, "")
	f.wantError(f.do("DELETE", "/v1/agent_links/"+of, ""), 404, "not_found_error", "agent_link_not_found")
}
