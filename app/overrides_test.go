package app_test

import (
	"strings"
	"testing"

	"github.com/bureau-agents/bureau/app/apptest"
)

// TestOverridesAreChecked holds what a session replaces of its agent to the rules of agents.
func TestOverridesAreChecked(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(t *testing.T, cfg apptest.Config) {
		s := apptest.Start(t, cfg)
		api := s.Admin.In(t)
		var skill, agent, sess struct{ ID string }
		api.Call("POST", "/v1/skills", m{"files": []m{{"filename": "greet/SKILL.md", "content": "---\nname: greet\ndescription: Greets.\n---\nSay hello."}}}, &skill)
		api.Call("POST", "/v1/model_cards", m{
			"model_id": "mine", "provider": "ant-compatible", "model": "claude-x", "base_url": s.Models.URL + "/v1/", "api_key": "sk-good-key-0001",
		}, nil)
		api.Call("POST", "/v1/agents", m{"name": "a", "model": "mine"}, &agent)
		with := func(more m) m {
			more["type"], more["id"] = "agent_with_overrides", agent.ID
			return m{"agent": more}
		}
		for _, c := range []struct {
			status int
			with   m
			path   string
		}{
			{404, m{"skills": []m{{"type": "custom", "skill_id": "skill_01h455vb4pex5vsknk084sn02q"}}}, "agent.skills[0].skill_id"},
			{404, m{"skills": []m{{"type": "custom", "skill_id": skill.ID}, {"type": "anthropic", "skill_id": "no-such-skill"}}}, "agent.skills[1].skill_id"},
			{404, m{"skills": []m{{"type": "custom", "skill_id": skill.ID, "version": "7"}}}, "agent.skills[0].version"},
			{400, m{"skills": []m{{"type": "custom", "skill_id": skill.ID}, {"type": "custom", "skill_id": skill.ID}}}, "agent.skills[1]"},
			{400, m{"model": "nobody-has-this"}, "agent.model"},
			{400, m{"model": m{"id": "nobody-has-this"}}, "agent.model"},
		} {
			got := api.Do("POST", "/v1/sessions", with(c.with))
			if got.Status != c.status || !strings.Contains(string(got.Body), c.path) {
				t.Errorf("%v: want %d and %s: %d %s", c.with, c.status, c.path, got.Status, got.Body)
			}
		}
		api.Call("POST", "/v1/sessions", with(m{"skills": []m{{"type": "custom", "skill_id": skill.ID}}, "model": m{"id": "mine"}}), &sess)
		// What the session has already is not asked about again.
		api.Call("DELETE", "/v1/skills/"+skill.ID, nil, nil)
		api.Call("POST", "/v1/sessions/"+sess.ID, m{"agent": m{"tools": []m{}}}, nil)
		got := api.Do("POST", "/v1/sessions/"+sess.ID, m{"agent": m{"tools": []m{{"type": "mcp_toolset", "mcp_server_name": "none"}}}})
		if got.Status != 400 || !strings.Contains(string(got.Body), "agent.tools[0]") {
			t.Errorf("%d %s", got.Status, got.Body)
		}
	})
}
