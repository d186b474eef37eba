package app_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/bureau-agents/bureau/app/apptest"
)

// TestAgentRemembers checks that what an agent notes in one session is there in the next, that the log of the store says who noted it,
// and that a store that may only be read is not written to.
func TestAgentRemembers(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(t *testing.T, cfg apptest.Config) {
		s := apptest.Start(t, cfg)
		var agent, sess, store struct{ ID string }
		s.Admin.Call("POST", "/v1/agents", m{"name": "Clerk", "model": "offline"}, &agent)
		open := func(resources ...m) string {
			t.Helper()
			body := m{"agent": agent.ID}
			if len(resources) > 0 {
				body["resources"] = resources
			}
			s.Admin.Call("POST", "/v1/sessions", body, &sess)
			return sess.ID
		}
		ask := func(session, text string) (tool, result string) {
			t.Helper()
			for _, e := range logged(t, s.Admin.Stream("POST", "/v1/sessions/"+session+"/messages", m{"content": text}).Rest()) {
				switch e.Type {
				case "agent.tool_use":
					tool = e.Name
				case "agent.tool_result":
					result = e.Content[0].Text
				}
			}
			return tool, result
		}
		first := open()
		if tool, result := ask(first, "Remember that the office closes at noon on Fridays"); tool != "memory_write" || !strings.Contains(result, "Remembered at /notes/") {
			t.Errorf("%s: %s", tool, result)
		}
		stores := apptest.All[struct {
			ID, Name string
			AgentID  string `json:"agent_id"`
		}](s.Admin, "/v1/memory_stores?agent_id="+agent.ID)
		if len(stores) != 1 || stores[0].Name != "Memory of Clerk" {
			t.Fatalf("got %+v", stores)
		}
		versions := apptest.All[struct {
			Operation string
			CreatedBy struct {
				Type      string
				SessionID string `json:"session_id"`
			} `json:"created_by"`
		}](s.Admin, "/v1/memory_stores/"+stores[0].ID+"/memory_versions?session_id="+first)
		if len(versions) != 1 || versions[0].CreatedBy.Type != "session_actor" || versions[0].CreatedBy.SessionID != first {
			t.Errorf("got %+v", versions)
		}
		if tool, result := ask(open(), `Use the memory_search tool with query "office closes at noon"`); tool != "memory_search" || !strings.Contains(result, "noon on Fridays") {
			t.Errorf("%s: %s", tool, result)
		}

		s.Admin.Call("POST", "/v1/memory_stores", m{"name": "House rules", "description": "What everybody keeps to."}, &store)
		s.Admin.Call("POST", "/v1/memory_stores/"+store.ID+"/memories", m{"path": "/rules.md", "content": "Be kind."}, nil)
		reading := open(m{"type": "memory_store", "memory_store_id": store.ID, "access": "read_only"})
		if tool, result := ask(reading, `Use the memory_read tool with path "/rules.md"`); tool != "memory_read" || !strings.Contains(result, "Be kind.") {
			t.Errorf("%s: %s", tool, result)
		}
		ask(reading, `Use the memory_delete tool with {"store":"house-rules","path":"/rules.md"}`)
		if got := apptest.All[json.RawMessage](s.Admin, "/v1/memory_stores/"+store.ID+"/memories"); len(got) != 1 {
			t.Errorf("the store that may only be read has %d memories", len(got))
		}
		s.Admin.Call("DELETE", "/v1/memory_stores/"+store.ID, nil, nil)
		if tool, result := ask(reading, `Use the memory_search tool with query "office closes at noon"`); tool != "memory_search" || !strings.Contains(result, "Fridays") {
			t.Errorf("a session whose store was deleted: %s: %s", tool, result)
		}
		s.Admin.Call("POST", "/v1/memory_stores/"+stores[0].ID+"/archive", nil, nil)
		s.Admin.Refuse(409, "POST", "/v1/sessions", m{"agent": agent.ID, "resources": []m{{"type": "memory_store", "memory_store_id": stores[0].ID}}})
	})
}

// TestMemoryAndSkillsInSandboxes checks that a sandbox shows the session's stores and skills, and that what programs change in a store is
// kept, but not in one that may only be read.
func TestMemoryAndSkillsInSandboxes(t *testing.T) {
	t.Parallel()
	b := newBench(t, apptest.Config{}, nil, nil)
	api := b.s.Admin
	var skill, notes, rules struct{ ID string }
	api.Call("POST", "/v1/skills", m{"files": []m{
		{"filename": "greet/SKILL.md", "content": "---\nname: greet\ndescription: Greets.\n---\nRun hello.sh."}, {"filename": "greet/hello.sh", "content": "echo hello from a skill"},
	}}, &skill)
	api.Call("PATCH", "/v1/agents/"+b.agent, m{"skills": []m{{"skill_id": skill.ID, "type": "custom"}}}, nil)
	for name, made := range map[string]*struct{ ID string }{"Notes": &notes, "Rules": &rules} {
		api.Call("POST", "/v1/memory_stores", m{"name": name}, made)
		api.Call("POST", "/v1/memory_stores/"+made.ID+"/memories", m{"path": "/dir/a.md", "content": "kept in " + name}, nil)
	}
	b.session = b.open(m{"resources": []m{
		{"type": "memory_store", "memory_store_id": notes.ID}, {"type": "memory_store", "memory_store_id": rules.ID, "access": "read_only"},
	}})
	for command, want := range map[string]string{
		"cat /mnt/memory/notes/dir/a.md /mnt/memory/rules/dir/a.md": "kept in Noteskept in Rules",
		"sh /mnt/skills/greet/hello.sh":                             "hello from a skill",
	} {
		if text, failed := b.bash(command); failed || !strings.Contains(text, want) {
			t.Errorf("%s: %s", command, text)
		}
	}
	if text, failed := b.bash("cd /mnt/memory/notes && printf changed > dir/a.md && printf new > b.md && printf no > /mnt/memory/rules/x.md; true"); failed {
		t.Errorf("got %s", text)
	}
	read := func(store string) map[string]string {
		t.Helper()
		got := map[string]string{}
		for _, memory := range apptest.All[struct{ Path, Content string }](api, "/v1/memory_stores/"+store+"/entries") {
			got[memory.Path] = memory.Content
		}
		return got
	}
	same(t, map[string]string{"/dir/a.md": "changed", "/b.md": "new"}, read(notes.ID))
	same(t, map[string]string{"/dir/a.md": "kept in Rules"}, read(rules.ID))
	last := apptest.All[struct {
		CreatedBy struct {
			SessionID string `json:"session_id"`
		} `json:"created_by"`
	}](api, "/v1/memory_stores/"+notes.ID+"/memory_versions")[0]
	if last.CreatedBy.SessionID != b.session {
		t.Errorf("the change is by %+v", last.CreatedBy)
	}
	if text, failed := b.bash("rm /mnt/memory/notes/b.md && cat /mnt/memory/notes/dir/a.md"); failed || !strings.Contains(text, "changed") {
		t.Errorf("got %s", text)
	}
	same(t, map[string]string{"/dir/a.md": "changed"}, read(notes.ID))
}
