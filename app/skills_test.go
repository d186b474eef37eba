package app_test

import (
	"strings"
	"testing"

	"github.com/bureau-agents/bureau/app/apptest"
)

// TestAgentReadsSkills checks that an agent loads the skills of its configuration when a task asks for one, in the version that it is
// pinned to, and that a session outlives what it uses.
func TestAgentReadsSkills(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(t *testing.T, cfg apptest.Config) {
		s := apptest.Start(t, cfg)
		doc := func(text string) m {
			return m{"files": []m{
				{"filename": "letters/SKILL.md", "content": "---\nname: letters\ndescription: Letters of this company.\n---\n" + text},
				{"filename": "letters/tone.md", "content": "Be brief."},
			}}
		}
		var made struct{ ID string }
		s.Admin.Call("POST", "/v1/skills", doc("Begin with Ahoy."), &made)
		agent := func(version string) string {
			t.Helper()
			var a struct {
				ID     string
				Skills []struct {
					SkillID string `json:"skill_id"`
					Type    string
					Version string
				}
			}
			s.Admin.Call("POST", "/v1/agents", m{"name": "clerk", "model": "offline", "skills": []m{
				{"skill_id": uuidOf(t, made.ID), "type": "custom", "version": version}, {"skill_id": "pdf", "type": "anthropic"},
			}}, &a)
			if len(a.Skills) != 2 || a.Skills[0].SkillID != made.ID || a.Skills[0].Version != version || a.Skills[1].Version != "latest" {
				t.Fatalf("got %+v", a)
			}
			return a.ID
		}
		ask := func(session, text string) (tool, result string) {
			t.Helper()
			talk := logged(t, s.Admin.Stream("POST", "/v1/sessions/"+session+"/messages", m{"content": text}).Rest())
			for _, e := range talk {
				switch e.Type {
				case "agent.tool_use":
					tool = e.Name
				case "agent.tool_result":
					result = e.Content[0].Text
				}
			}
			return tool, result
		}
		session := func(agent string) string {
			t.Helper()
			var sess struct{ ID string }
			s.Admin.Call("POST", "/v1/sessions", m{"agent": agent}, &sess)
			return sess.ID
		}
		pinned, newest := session(agent("1")), session(agent("latest"))
		for _, of := range []string{pinned, newest} {
			tool, result := ask(of, "Use the letters skill to write to Bob")
			if tool != "read_skill" || !strings.Contains(result, "Begin with Ahoy.") || !strings.Contains(result, "tone.md") {
				t.Errorf("%s: %s", tool, result)
			}
		}
		if tool, result := ask(pinned, "Use the pdf skill to make a file"); tool != "read_skill" || !strings.Contains(result, "make_pdf.py") {
			t.Errorf("%s: %s", tool, result)
		}
		s.Admin.Call("POST", "/v1/skills/"+made.ID+"/versions", doc("Begin with Moin."), nil)
		if _, result := ask(pinned, "Use the letters skill to write to Bob"); !strings.Contains(result, "Ahoy") {
			t.Errorf("the pinned version changed: %s", result)
		}
		if _, result := ask(newest, "Use the letters skill to write to Bob"); !strings.Contains(result, "Moin") {
			t.Errorf("the newest version is not used: %s", result)
		}
		s.Admin.Call("DELETE", "/v1/skills/"+made.ID+"/versions/1", nil, nil)
		tool, result := ask(pinned, "Use the letters skill to write to Bob")
		if tool != "read_skill" || !strings.Contains(result, "not available") {
			t.Errorf("%s: %s", tool, result)
		}
		s.Admin.Call("DELETE", "/v1/skills/"+made.ID, nil, nil)
		if tool, result := ask(newest, "Use the pdf skill to make a file"); tool != "read_skill" || !strings.Contains(result, "make_pdf.py") {
			t.Errorf("without the other skill: %s: %s", tool, result)
		}

		for _, refs := range [][]m{
			{{"skill_id": made.ID, "type": "custom"}}, {{"skill_id": "builtin_cooking", "type": "anthropic"}}, {{"skill_id": "builtin_pdf", "type": "custom"}},
			{{"skill_id": "builtin_pdf", "type": "anthropic", "version": "9"}},
		} {
			code, _ := s.Admin.Refuse(404, "POST", "/v1/agents", m{"name": "clerk", "model": "offline", "skills": refs})
			if !strings.HasPrefix(code, "skill_") {
				t.Errorf("%v: %s", refs, code)
			}
		}
	})
}
