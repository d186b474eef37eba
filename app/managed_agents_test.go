package app_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"net/textproto"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/bureau-agents/bureau/app"
	"github.com/bureau-agents/bureau/app/apptest"
)

var update = flag.Bool("update", false, "write docs/managed-agents.md anew")

// managed is one call of the Managed Agents API under its documented name, with a test that would notice its absence.
type managed struct {
	call string // method and path, as documented
	does string
	test func(t *testing.T, s *managedServer)
}

// managedServer is a running server and what the tests of single calls need beside them.
type managedServer struct {
	*apptest.Server
	api      *apptest.Client
	provider *httptest.Server
}

func (s *managedServer) create(t *testing.T, path string, body any) string {
	t.Helper()
	var made struct{ ID string }
	s.api.In(t).Call("POST", path, body, &made)
	if made.ID == "" {
		t.Fatalf("POST %s made nothing with an id", path)
	}
	return made.ID
}

func (s *managedServer) agent(t *testing.T) string {
	t.Helper()
	return s.create(t, "/v1/agents", m{"name": t.Name(), "model": "offline", "description": "first"})
}

func (s *managedServer) environment(t *testing.T) string {
	t.Helper()
	return s.create(t, "/v1/environments", m{"name": t.Name(), "config": m{"type": "cloud"}})
}

func (s *managedServer) session(t *testing.T) string {
	t.Helper()
	return s.create(t, "/v1/sessions", m{"agent": s.agent(t), "environment_id": s.environment(t), "title": "a talk"})
}

// talk makes a session in which one turn is over.
func (s *managedServer) talk(t *testing.T) string {
	t.Helper()
	id := s.session(t)
	s.api.In(t).Stream("POST", "/v1/sessions/"+id+"/messages", m{"content": "What is 6 times 7?"}).Rest()
	return id
}

// get reads an object.
func (s *managedServer) get(t *testing.T, path string) m {
	t.Helper()
	var out m
	s.api.In(t).Call("GET", path, nil, &out)
	return out
}

// lists fails the test unless a list has an entry with this id.
func (s *managedServer) lists(t *testing.T, path, id string) {
	t.Helper()
	ids := s.listed(t, path)
	if !slices.Contains(ids, id) {
		t.Errorf("GET %s does not list %s: %v", path, id, ids)
	}
}

func (s *managedServer) lacks(t *testing.T, path, id string) {
	t.Helper()
	if slices.Contains(s.listed(t, path), id) {
		t.Errorf("GET %s lists %s", path, id)
	}
}

func (s *managedServer) listed(t *testing.T, path string) []string {
	t.Helper()
	var ids []string
	for _, e := range apptest.All[struct{ ID string }](s.api.In(t), path) {
		ids = append(ids, e.ID)
	}
	return ids
}

// deletes deletes something and fails the test unless it is gone then.
func (s *managedServer) deletes(t *testing.T, path, ack string) {
	t.Helper()
	var out struct{ ID, Type string }
	s.api.In(t).Call("DELETE", path, nil, &out)
	same(t, ack, out.Type)
	same(t, path[strings.LastIndex(path, "/")+1:], out.ID)
	s.api.In(t).Refuse(http.StatusNotFound, "GET", path, nil)
}

// part is one part of a form: a file when it has a name.
type part struct{ field, name, text string }

func form(t *testing.T, parts ...part) (body []byte, contentType string) {
	t.Helper()
	var buf bytes.Buffer
	w := multipart.NewWriter(&buf)
	for _, p := range parts {
		h := textproto.MIMEHeader{"Content-Disposition": {fmt.Sprintf("form-data; name=%q", p.field)}}
		if p.name != "" {
			h.Set("Content-Disposition", fmt.Sprintf("form-data; name=%q; filename=%q", p.field, p.name))
			h.Set("Content-Type", "text/plain")
		}
		pw, err := w.CreatePart(h)
		if err == nil {
			_, err = pw.Write([]byte(p.text))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes(), "Content-Type: " + w.FormDataContentType()
}

func (s *managedServer) upload(t *testing.T, path string, parts ...part) string {
	t.Helper()
	body, contentType := form(t, parts...)
	var made struct{ ID string }
	s.api.In(t).Call("POST", path, body, &made, contentType)
	return made.ID
}

const skillText = "---\nname: greeting\ndescription: How to greet people\n---\n# Greeting\nSay hello.\n"

func (s *managedServer) skill(t *testing.T) string {
	t.Helper()
	return s.upload(t, "/v1/skills", part{field: "display_title", text: "Greeting"}, part{"files", "greeting/SKILL.md", skillText})
}

func (s *managedServer) vault(t *testing.T) string {
	t.Helper()
	return s.create(t, "/v1/vaults", m{
		"display_name": "Keys", "auth": m{"type": "static_bearer", "token": "a-very-secret-token", "mcp_server_url": "https://mcp.example.com/mcp"},
	})
}

func (s *managedServer) store(t *testing.T) string {
	t.Helper()
	store := s.create(t, "/v1/memory_stores", m{"name": "Notes"})
	for path, text := range map[string]string{"/tea.md": "Ann drinks green tea every morning", "/car.md": "Bob drives a red car to work"} {
		s.create(t, "/v1/memory_stores/"+store+"/memories", m{"path": path, "content": text})
	}
	return store
}

// managedCalls are all of the API's documented calls, in the document's order.
func managedCalls() []managed {
	return slices.Concat(managedAgents(), managedSessions(), managedWorkplaces(), managedStores(), managedModels(), managedAccount())
}

func managedAgents() []managed {
	return []managed{
		{"GET /v1/agents", "Lists agents.", func(t *testing.T, s *managedServer) {
			live, gone := s.agent(t), s.agent(t)
			s.api.In(t).Call("DELETE", "/v1/agents/"+gone, nil, nil)
			s.lists(t, "/v1/agents?limit=1", live)
			s.lacks(t, "/v1/agents", gone)
			s.lists(t, "/v1/agents?archived=true", gone)
		}},
		{"POST /v1/agents", "Creates an agent.", func(t *testing.T, s *managedServer) {
			var made struct {
				ID, Type, Name string
				Version        int
			}
			s.api.In(t).Call("POST", "/v1/agents", m{"name": "Ann", "model": "offline"}, &made)
			same(t, "agent Ann 1", fmt.Sprint(made.Type, " ", made.Name, " ", made.Version))
			s.api.In(t).Refuse(http.StatusBadRequest, "POST", "/v1/agents", m{"model": "offline"})
		}},
		{"GET /v1/agents/:id", "Reads an agent's current version.", func(t *testing.T, s *managedServer) {
			id := s.agent(t)
			same(t, id, s.get(t, "/v1/agents/"+id)["id"])
			s.api.In(t).Refuse(http.StatusNotFound, "GET", "/v1/agents/agent_nothing", nil)
		}},
		{"GET /v1/agents/:id/versions", "Lists an agent's versions, the current one included.", func(t *testing.T, s *managedServer) {
			id := s.agent(t)
			s.api.In(t).Call("PATCH", "/v1/agents/"+id, m{"description": "second"}, nil)
			var versions []int
			for _, v := range apptest.All[struct{ Version int }](s.api.In(t), "/v1/agents/"+id+"/versions?limit=1") {
				versions = append(versions, v.Version)
			}
			slices.Sort(versions)
			same(t, []int{1, 2}, versions)
		}},
		{"GET /v1/agents/:id/versions/:version", "Reads one version of an agent.", func(t *testing.T, s *managedServer) {
			id := s.agent(t)
			s.api.In(t).Call("PATCH", "/v1/agents/"+id, m{"description": "second"}, nil)
			same(t, "first", s.get(t, "/v1/agents/"+id+"/versions/1")["description"])
		}},
		{"PATCH /v1/agents/:id", "Changes an agent, which makes a new version.", func(t *testing.T, s *managedServer) {
			id := s.agent(t)
			var changed struct{ Version int }
			s.api.In(t).Call("PATCH", "/v1/agents/"+id, m{"description": "second", "version": 1}, &changed)
			same(t, 2, changed.Version)
			s.api.In(t).Refuse(http.StatusConflict, "PATCH", "/v1/agents/"+id, m{"description": "third", "version": 1})
		}},
		{"DELETE /v1/agents/:id", "Archives an agent; its sessions keep their version.", func(t *testing.T, s *managedServer) {
			id := s.agent(t)
			session := s.create(t, "/v1/sessions", m{"agent": id})
			s.api.In(t).Call("DELETE", "/v1/agents/"+id, nil, nil)
			if s.get(t, "/v1/agents/"+id)["archived_at"] == nil {
				t.Error("the agent is not archived")
			}
			s.get(t, "/v1/sessions/"+session)
			s.api.In(t).Refuse(http.StatusConflict, "POST", "/v1/sessions", m{"agent": id})
		}},
	}
}

func managedSessions() []managed {
	return []managed{
		{"POST /v1/sessions", "Creates a session.", func(t *testing.T, s *managedServer) {
			agent, env := s.agent(t), s.environment(t)
			id := s.create(t, "/v1/sessions", m{"agent": agent, "environment_id": env, "title": "a talk"})
			got := s.get(t, "/v1/sessions/"+id)
			same(t, []any{"idle", "a talk", env}, []any{got["status"], got["title"], got["environment_id"]})
			s.api.In(t).Refuse(http.StatusNotFound, "POST", "/v1/sessions", m{"agent": agent, "environment_id": "env_nothing"})
		}},
		{"GET /v1/sessions", "Lists sessions.", func(t *testing.T, s *managedServer) {
			agent := s.agent(t)
			one, two := s.create(t, "/v1/sessions", m{"agent": agent}), s.create(t, "/v1/sessions", m{"agent": agent})
			same(t, []string{two, one}, s.listed(t, "/v1/sessions?limit=1&agent_id="+agent))
			s.lists(t, "/v1/sessions?status=idle", one)
			s.lacks(t, "/v1/sessions?status=running", one)
		}},
		{"GET /v1/sessions/:id", "Reads a session.", func(t *testing.T, s *managedServer) {
			got := s.get(t, "/v1/sessions/"+s.talk(t))
			same(t, "idle", got["status"])
			if usage, ok := got["usage"].(m); !ok || usage["output_tokens"] == 0.0 {
				t.Errorf("usage: %v", got["usage"])
			}
		}},
		{"GET /v1/sessions/:id/events", "Reads a session's log in pages, or streams it.", func(t *testing.T, s *managedServer) {
			path := "/v1/sessions/" + s.talk(t) + "/events"
			type event struct {
				ID, Type string
				Seq      int
			}
			events := apptest.All[event](s.api.In(t), path+"?limit=2")
			for i, e := range events {
				same(t, i+1, e.Seq)
			}
			later := apptest.All[event](s.api.In(t), path+"?after_seq=2")
			same(t, events[2:], later)
			newest := apptest.All[event](s.api.In(t), path+"?order=desc&limit=3")
			slices.Reverse(newest)
			same(t, events, newest)
			stream := s.api.In(t).Stream("GET", path+"?replay=1", nil)
			for i, e := range stream.Until(func(e apptest.Event) bool { return e.Type == "session.status_idle" }) {
				same(t, events[i].Type, e.Type)
			}
			stream.Close()
		}},
		{"GET /v1/sessions/:id/events/stream", "Streams a session's events.", func(t *testing.T, s *managedServer) {
			id := s.session(t)
			stream := s.api.In(t).Stream("GET", "/v1/sessions/"+id+"/events/stream", nil)
			s.api.In(t).Call("POST", "/v1/sessions/"+id+"/events", m{"events": []m{{"type": "user.message", "content": "Hello"}}}, nil)
			seen := stream.Until(func(e apptest.Event) bool { return e.Type == "session.status_idle" })
			stream.Close()
			same(t, "user.message", seen[0].Type)
		}},
		{"POST /v1/sessions/:id/events", "Sends events to a session.", func(t *testing.T, s *managedServer) {
			id := s.session(t)
			a := s.api.In(t).Do("POST", "/v1/sessions/"+id+"/events", m{"events": []m{{"type": "user.message", "content": "Hello"}}})
			same(t, http.StatusAccepted, a.Status)
			s.api.In(t).Refuse(http.StatusBadRequest, "POST", "/v1/sessions/"+id+"/events", m{"events": []m{{"type": "user.nonsense"}}})
		}},
		{"GET /v1/sessions/:id/log", "Reads a session's whole log.", func(t *testing.T, s *managedServer) {
			var log []struct{ Type string }
			s.api.In(t).Call("GET", "/v1/sessions/"+s.talk(t)+"/log", nil, &log)
			same(t, "user.message", log[0].Type)
			same(t, "session.status_idle", log[len(log)-1].Type)
		}},
		{"POST /v1/sessions/:id/messages", "Sends a message and streams the answer.", func(t *testing.T, s *managedServer) {
			stream := s.api.In(t).Stream("POST", "/v1/sessions/"+s.session(t)+"/messages", m{"content": "What is 6 times 7?"})
			events := stream.Rest() // it ends by itself
			same(t, "session.status_idle", events[len(events)-1].Type)
			if !strings.Contains(string(events[len(events)-1].Data), "end_turn") {
				t.Errorf("the last event: %s", events[len(events)-1].Data)
			}
		}},
		{"POST /v1/sessions/:id/cancel", "Cancels what a session is doing.", func(t *testing.T, s *managedServer) {
			agent := s.create(t, "/v1/agents", m{"name": "Ann", "model": "offline", "tools": []m{
				{"type": "custom", "name": "look_up", "description": "Looks something up", "input_schema": m{"type": "object"}},
			}})
			id := s.create(t, "/v1/sessions", m{"agent": agent})
			s.api.In(t).Stream("POST", "/v1/sessions/"+id+"/messages", m{"content": "Use the look_up tool"}).
				Until(func(e apptest.Event) bool { return e.Type == "session.status_idle" })
			same(t, "requires_action", s.get(t, "/v1/sessions/"+id)["stop_reason"].(m)["type"])
			s.api.In(t).Call("POST", "/v1/sessions/"+id+"/cancel", nil, nil)
			same(t, "end_turn", s.get(t, "/v1/sessions/"+id)["stop_reason"].(m)["type"])
		}},
		{"DELETE /v1/sessions/:id", "Deletes a session; its log is kept out of reach.", func(t *testing.T, s *managedServer) {
			s.deletes(t, "/v1/sessions/"+s.talk(t), "session_deleted")
		}},
	}
}

func managedWorkplaces() []managed {
	return []managed{
		{"GET /v1/environments", "Lists environments.", func(t *testing.T, s *managedServer) {
			id := s.environment(t)
			s.environment(t)
			s.lists(t, "/v1/environments?limit=1", id)
		}},
		{"POST /v1/environments", "Creates an environment.", func(t *testing.T, s *managedServer) {
			id := s.create(t, "/v1/environments", m{"name": "lab", "config": m{"type": "cloud", "packages": m{"pip": []string{"requests"}}}})
			packages := s.get(t, "/v1/environments/"+id)["config"].(m)["packages"].(m)
			same(t, []any{"requests"}, packages["pip"])
			s.api.In(t).Refuse(http.StatusBadRequest, "POST", "/v1/environments", m{"name": "lab", "config": m{"type": "moon"}})
		}},
		{"GET /v1/environments/:id", "Reads an environment.", func(t *testing.T, s *managedServer) {
			id := s.environment(t)
			same(t, "environment", s.get(t, "/v1/environments/"+id)["type"])
		}},
		{"PATCH /v1/environments/:id", "Changes an environment.", func(t *testing.T, s *managedServer) {
			id := s.environment(t)
			s.api.In(t).Call("PATCH", "/v1/environments/"+id, m{"description": "new"}, nil)
			same(t, "new", s.get(t, "/v1/environments/"+id)["description"])
		}},
		{"DELETE /v1/environments/:id", "Deletes an environment that no session uses.", func(t *testing.T, s *managedServer) {
			s.deletes(t, "/v1/environments/"+s.environment(t), "environment_deleted")
			used := s.environment(t)
			s.create(t, "/v1/sessions", m{"agent": s.agent(t), "environment_id": used})
			s.api.In(t).Refuse(http.StatusConflict, "DELETE", "/v1/environments/"+used, nil)
		}},
		{"GET /v1/skills", "Lists built-in and custom skills.", func(t *testing.T, s *managedServer) {
			s.lists(t, "/v1/skills?limit=100", s.skill(t))
			s.lists(t, "/v1/skills?limit=100", "builtin_pdf")
		}},
		{"POST /v1/skills", "Uploads a custom skill.", func(t *testing.T, s *managedServer) {
			same(t, "Greeting", s.get(t, "/v1/skills/"+s.skill(t))["display_title"])
			body, contentType := form(t, part{"files", "greeting/README.md", "no skill"})
			s.api.In(t).Refuse(http.StatusBadRequest, "POST", "/v1/skills", body, contentType)
		}},
		{"GET /v1/skills/:id", "Reads what a skill is.", func(t *testing.T, s *managedServer) {
			same(t, "skill", s.get(t, "/v1/skills/"+s.skill(t))["type"])
		}},
		{"GET /v1/skills/:id/files/:filename", "Downloads a file of a skill.", func(t *testing.T, s *managedServer) {
			id := s.skill(t)
			same(t, skillText, string(s.api.In(t).Do("GET", "/v1/skills/"+id+"/files/SKILL.md", nil).Body))
			s.api.In(t).Refuse(http.StatusNotFound, "GET", "/v1/skills/"+id+"/files/nothing.md", nil)
		}},
		{"DELETE /v1/skills/:id", "Deletes a custom skill.", func(t *testing.T, s *managedServer) {
			s.deletes(t, "/v1/skills/"+s.skill(t), "skill_deleted")
			a := s.api.In(t).Do("DELETE", "/v1/skills/builtin_pdf", nil)
			if a.Status < 400 || a.Status > 499 {
				t.Errorf("deleting a built-in skill: %d", a.Status)
			}
		}},
	}
}

func managedStores() []managed {
	return []managed{
		{"GET /v1/vaults", "Lists vaults, without what is in them.", func(t *testing.T, s *managedServer) {
			s.lists(t, "/v1/vaults", s.vault(t))
			if a := s.api.In(t).Do("GET", "/v1/vaults", nil); bytes.Contains(a.Body, []byte("very-secret")) {
				t.Errorf("the list shows a secret: %s", a.Body)
			}
		}},
		{"POST /v1/vaults", "Creates a vault, with a secret if one is given.", func(t *testing.T, s *managedServer) {
			id := s.vault(t)
			same(t, 1, len(s.listed(t, "/v1/vaults/"+id+"/credentials")))
		}},
		{"PATCH /v1/vaults/:id", "Changes a vault, or rotates its secret.", func(t *testing.T, s *managedServer) {
			id := s.vault(t)
			s.api.In(t).Call("PATCH", "/v1/vaults/"+id, m{"display_name": "Other keys"}, nil)
			same(t, "Other keys", s.get(t, "/v1/vaults/"+id)["display_name"])
		}},
		{"DELETE /v1/vaults/:id", "Deletes a vault with its credentials.", func(t *testing.T, s *managedServer) {
			s.deletes(t, "/v1/vaults/"+s.vault(t), "vault_deleted")
		}},
		{"GET /v1/memory_stores", "Lists memory stores, of one agent if asked.", func(t *testing.T, s *managedServer) {
			agent := s.agent(t)
			own := s.create(t, "/v1/memory_stores", m{"name": "Own", "agent_id": agent})
			same(t, []string{own}, s.listed(t, "/v1/memory_stores?agent_id="+agent))
		}},
		{"POST /v1/memory_stores", "Creates a memory store.", func(t *testing.T, s *managedServer) {
			same(t, "Notes", s.get(t, "/v1/memory_stores/"+s.store(t))["name"])
		}},
		{"GET /v1/memory_stores/:id/entries", "Lists recent memories.", func(t *testing.T, s *managedServer) {
			store := s.store(t)
			last := s.create(t, "/v1/memory_stores/"+store+"/memories", m{"path": "/last.md", "content": "the newest"})
			ids := s.listed(t, "/v1/memory_stores/"+store+"/entries")
			same(t, 3, len(ids))
			same(t, last, ids[0])
		}},
		{"POST /v1/memory_stores/:id/search", "Searches memories by meaning.", func(t *testing.T, s *managedServer) {
			var found struct {
				Data []struct {
					Path  string
					Score float64
				}
			}
			s.api.In(t).Call("POST", "/v1/memory_stores/"+s.store(t)+"/search", m{"query": "what does Ann drink in the morning", "limit": 1}, &found)
			if len(found.Data) != 1 || found.Data[0].Path != "/tea.md" || found.Data[0].Score <= 0 {
				t.Errorf("found %v", found.Data)
			}
		}},
		{"DELETE /v1/memory_stores/:id", "Deletes a memory store with its index.", func(t *testing.T, s *managedServer) {
			s.deletes(t, "/v1/memory_stores/"+s.store(t), "memory_store_deleted")
		}},
		{"POST /v1/files", "Uploads a file.", func(t *testing.T, s *managedServer) {
			session := s.session(t)
			id := s.upload(t, "/v1/files", part{field: "session_id", text: session}, part{"file", "notes.txt", "hello"})
			s.lists(t, "/v1/files?scope_id="+session, id)
		}},
		{"GET /v1/files/:id", "Downloads a file, or reads what it is.", func(t *testing.T, s *managedServer) {
			id := s.upload(t, "/v1/files", part{"file", "notes.txt", "hello"})
			same(t, "hello", string(s.api.In(t).Do("GET", "/v1/files/"+id, nil, "Accept: */*").Body))
			var meta struct {
				Filename string
				Size     int `json:"size_bytes"`
			}
			s.api.In(t).Call("GET", "/v1/files/"+id, nil, &meta, "Accept: application/json")
			same(t, "notes.txt 5", fmt.Sprint(meta.Filename, " ", meta.Size))
		}},
		{"DELETE /v1/files/:id", "Deletes a file.", func(t *testing.T, s *managedServer) {
			s.deletes(t, "/v1/files/"+s.upload(t, "/v1/files", part{"file", "notes.txt", "hello"}), "file_deleted")
		}},
	}
}

func managedModels() []managed {
	return []managed{
		{"GET /v1/model_cards", "Lists model cards, with the last four characters of their keys.", func(t *testing.T, s *managedServer) {
			id := s.card(t)
			s.lists(t, "/v1/model_cards", id)
			if a := s.api.In(t).Do("GET", "/v1/model_cards", nil); bytes.Contains(a.Body, []byte(goodKey)) {
				t.Errorf("the list shows a key: %s", a.Body)
			}
		}},
		{"POST /v1/model_cards", "Adds a model card after trying its key.", func(t *testing.T, s *managedServer) {
			card := s.get(t, "/v1/model_cards/"+s.card(t))
			same(t, goodKey[len(goodKey)-4:], card["api_key_preview"])
			s.api.In(t).Refuse(http.StatusBadRequest, "POST", "/v1/model_cards", m{
				"model_id": "bad", "provider": "oai-compatible", "base_url": s.provider.URL, "model": "m", "api_key": "a-wrong-key",
			})
		}},
		{"POST /v1/model_cards/:id", "Rotates a model card's key, address or model.", func(t *testing.T, s *managedServer) {
			id := s.card(t)
			s.api.In(t).Refuse(http.StatusBadRequest, "POST", "/v1/model_cards/"+id, m{"api_key": "a-wrong-key"})
			s.api.In(t).Call("POST", "/v1/model_cards/"+id, m{"model": "another"}, nil)
			same(t, "another", s.get(t, "/v1/model_cards/"+id)["model"])
		}},
		{"DELETE /v1/model_cards/:id", "Deletes a model card.", func(t *testing.T, s *managedServer) {
			s.deletes(t, "/v1/model_cards/"+s.card(t), "model_card_deleted")
		}},
		{"GET /v1/model_cards/:id/key", "Is for workers alone: every API key is refused.", func(t *testing.T, s *managedServer) {
			id := s.card(t)
			s.api.In(t).Refuse(http.StatusForbidden, "GET", "/v1/model_cards/"+id+"/key", nil)
		}},
		{"GET /v1/integrations", "Lists the integrations, with where they are installed.", func(t *testing.T, s *managedServer) {
			installation := s.api.In(t).Install("slack", "T-"+t.Name())
			a := s.api.In(t).Do("GET", "/v1/integrations", nil)
			if !bytes.Contains(a.Body, []byte(installation)) || !bytes.Contains(a.Body, []byte(`"github"`)) {
				t.Errorf("%s", a.Body)
			}
		}},
		{"GET /v1/integrations/:id/install", "Starts the installation: answers where to send the browser.", func(t *testing.T, s *managedServer) {
			got := s.get(t, "/v1/integrations/slack/install")
			if to, ok := got["redirect_url"].(string); !ok || !strings.HasPrefix(to, s.Slack.URL) || got["state"] == "" {
				t.Errorf("%v", got)
			}
		}},
		{"POST /v1/integrations/:id/uninstall", "Revokes an installation.", func(t *testing.T, s *managedServer) {
			installation := s.api.In(t).Install("slack", "T-"+t.Name())
			s.api.In(t).Call("POST", "/v1/integrations/slack/uninstall", m{"installation_id": installation}, nil)
			var shown struct {
				Installations []struct{ ID, Status string }
			}
			s.api.In(t).Call("GET", "/v1/integrations/slack", nil, &shown)
			for _, i := range shown.Installations {
				if i.ID == installation && i.Status != "uninstalled" {
					t.Errorf("it is still installed: %+v", i)
				}
			}
		}},
		{"GET /v1/integrations/:id/publications", "Lists which agents serve which workspaces.", func(t *testing.T, s *managedServer) {
			_, _, publication := published(t, s.api.In(t), "slack", "T-"+t.Name(), nil)
			s.lists(t, "/v1/integrations/slack/publications", publication)
		}},
		{"POST /v1/integrations/:id/publications", "Has an agent serve a workspace.", func(t *testing.T, s *managedServer) {
			agent, _, publication := published(t, s.api.In(t), "slack", "T-"+t.Name(), nil)
			same(t, agent, s.get(t, "/v1/integrations/slack/publications/"+publication)["agent_id"])
		}},
		{"DELETE /v1/integrations/:id/publications/:pub_id", "Ends a publication.", func(t *testing.T, s *managedServer) {
			_, _, publication := published(t, s.api.In(t), "slack", "T-"+t.Name(), nil)
			var ack struct{ ID, Status string }
			s.api.In(t).Call("DELETE", "/v1/integrations/slack/publications/"+publication, nil, &ack)
			same(t, publication+" unpublished", ack.ID+" "+ack.Status)
		}},
		{"GET /v1/evals", "Lists runs of evaluations.", func(t *testing.T, s *managedServer) {
			s.lists(t, "/v1/evals", s.eval(t))
		}},
		{"POST /v1/evals", "Starts an evaluation.", func(t *testing.T, s *managedServer) {
			same(t, 1.0, s.get(t, "/v1/evals/"+s.eval(t))["task_count"])
			s.api.In(t).Refuse(http.StatusBadRequest, "POST", "/v1/evals", m{"agent_id": s.agent(t), "tasks": []m{}})
		}},
		{"GET /v1/evals/:id", "Reads the results of an evaluation.", func(t *testing.T, s *managedServer) {
			id := s.eval(t)
			for until := time.Now().Add(patience); s.get(t, "/v1/evals/"+id)["status"] != "completed"; {
				if time.Now().After(until) {
					t.Fatal("the run does not end")
				}
			}
			got := s.get(t, "/v1/evals/"+id)
			same(t, []any{1.0, 0.0, 1.0}, []any{got["completed_count"], got["failed_count"], got["agent_version"]})
		}},
	}
}

// goodKey is the key that the provider takes.
const goodKey = "a-good-key-1234"

// newProvider is a model provider that knows one key.
func newProvider(t *testing.T) *httptest.Server {
	t.Helper()
	p := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var req struct{ Stream bool }
		if r.Header.Get("Authorization") != "Bearer "+goodKey {
			w.WriteHeader(http.StatusUnauthorized)
			_, _ = io.WriteString(w, `{"error":{"message":"Incorrect API key provided","type":"invalid_request_error"}}`)
			return
		}
		_ = json.NewDecoder(r.Body).Decode(&req)
		const usage = `"usage":{"prompt_tokens":1,"completion_tokens":1,"total_tokens":2}`
		if !req.Stream {
			w.Header().Set("Content-Type", "application/json")
			_, _ = io.WriteString(w, `{"id":"c","object":"chat.completion","model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"Hi"},"finish_reason":"stop"}],`+usage+`}`)
			return
		}
		w.Header().Set("Content-Type", "text/event-stream")
		_, _ = io.WriteString(w, `data: {"id":"c","object":"chat.completion.chunk","model":"m","choices":[{"index":0,"delta":{"content":"Hi"},"finish_reason":"stop"}]}`+"\n\n"+
			`data: {"id":"c","object":"chat.completion.chunk","model":"m","choices":[],`+usage+"}\n\ndata: [DONE]\n\n")
	}))
	t.Cleanup(p.Close)
	return p
}

// card makes a model card in a tenant of its own: where there are cards, agents are held to them.
func (s *managedServer) card(t *testing.T) string {
	t.Helper()
	var tenant struct {
		APIKey string `json:"api_key"`
	}
	s.Admin.In(t).Call("POST", "/v1/tenants", m{"name": t.Name()}, &tenant)
	s.api = s.As(tenant.APIKey)
	t.Cleanup(func() { s.api = s.Admin })
	return s.create(t, "/v1/model_cards", m{
		"model_id": "mine", "provider": "oai-compatible", "base_url": s.provider.URL, "model": "m", "api_key": goodKey,
	})
}

func (s *managedServer) eval(t *testing.T) string {
	t.Helper()
	return s.create(t, "/v1/evals", m{"agent_id": s.agent(t), "environment_id": s.environment(t), "tasks": []m{
		{"id": "sum", "messages": []string{"What is 6 times 7?"}, "scorer": m{"type": "includes", "text": "42"}},
	}})
}

func managedAccount() []managed {
	return []managed{
		{"GET /v1/api_keys", "Lists API keys, without their values.", func(t *testing.T, s *managedServer) {
			var made struct{ ID, Key string }
			s.api.In(t).Call("POST", "/v1/api_keys", m{"name": "ci"}, &made)
			s.lists(t, "/v1/api_keys", made.ID)
			if a := s.api.In(t).Do("GET", "/v1/api_keys", nil); bytes.Contains(a.Body, []byte(made.Key)) {
				t.Error("the list shows a key")
			}
		}},
		{"POST /v1/api_keys", "Creates an API key and shows it this once.", func(t *testing.T, s *managedServer) {
			var made struct{ ID, Key, Prefix, Name string }
			s.api.In(t).Call("POST", "/v1/api_keys", m{"name": "ci", "scopes": []string{"agents:read"}}, &made)
			same(t, made.Key[:8], made.Prefix)
			s.As(made.Key).In(t).Call("GET", "/v1/agents", nil, nil)
			s.As(made.Key).In(t).Refuse(http.StatusForbidden, "POST", "/v1/agents", m{"name": "x", "model": "offline"})
		}},
		{"DELETE /v1/api_keys/:id", "Revokes an API key at once.", func(t *testing.T, s *managedServer) {
			var made struct{ ID, Key string }
			s.api.In(t).Call("POST", "/v1/api_keys", m{"name": "ci"}, &made)
			s.As(made.Key).In(t).Call("GET", "/v1/agents", nil, nil)
			var ack struct{ Type string }
			s.api.In(t).Call("DELETE", "/v1/api_keys/"+made.ID, nil, &ack)
			same(t, "api_key_deleted", ack.Type)
			s.As(made.Key).In(t).Refuse(http.StatusUnauthorized, "GET", "/v1/agents", nil)
		}},
		{"GET /v1/oauth/:provider/authorize", "Sends a browser to sign in.", func(t *testing.T, s *managedServer) {
			status, to := visit(t, browser(t), "GET", s.URL+"/v1/oauth/google/authorize")
			if status != http.StatusFound || !strings.Contains(to, "code_challenge_method=S256") {
				t.Errorf("%d %s", status, to)
			}
		}},
		{"GET /v1/oauth/:provider/callback", "Takes the browser back, signed in.", func(t *testing.T, s *managedServer) {
			b := browser(t)
			back := signIn(t, b, s.Server, "")
			status, _ := visit(t, b, "GET", back)
			same(t, http.StatusFound, status)
			status, _ = visit(t, b, "GET", s.URL+"/v1/agents")
			same(t, http.StatusOK, status)
			if status, _ = visit(t, browser(t), "GET", back); status < 400 {
				t.Errorf("the same answer signs another browser in: %d", status)
			}
		}},
		{"GET /healthz", "Says that the server is up, without a key.", func(t *testing.T, s *managedServer) {
			var health struct{ OK bool }
			s.As("").In(t).Call("GET", "/healthz", nil, &health)
			same(t, true, health.OK)
		}},
	}
}

// TestManagedAgents calls every documented call of the API once, to see that it does what it says.
func TestManagedAgents(t *testing.T) {
	t.Parallel()
	provider := newProvider(t)
	_, server := identities(t, func(c *app.Config) { c.EgressAllow = append(c.EgressAllow, provider.Listener.Addr().String()) })
	s := &managedServer{provider: provider, Server: server}
	s.api = s.Admin
	for _, c := range managedCalls() {
		t.Run(c.call, func(t *testing.T) { c.test(t, s) })
	}
}

const managedDoc = "../docs/managed-agents.md"

// TestManagedAgentsDoc keeps the table of calls and their tests true.
func TestManagedAgentsDoc(t *testing.T) {
	t.Parallel()
	var sb strings.Builder
	sb.WriteString("# Managed agents: every documented call and its test\n\n" +
		"Made by `go test ./app -run TestManagedAgentsDoc -update`. The calls that client libraries make beside these are driven by `app/clients`.\n\n" +
		"| call | what it does | test |\n|---|---|---|\n")
	for _, c := range managedCalls() {
		fmt.Fprintf(&sb, "| `%s` | %s | `TestManagedAgents/%s` |\n", c.call, c.does, strings.ReplaceAll(c.call, " ", "_"))
	}
	if *update {
		if err := os.WriteFile(managedDoc, []byte(sb.String()), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	have, err := os.ReadFile(managedDoc)
	if err != nil {
		t.Fatal(err)
	}
	if string(have) != sb.String() {
		t.Errorf("%s is out of date: go test ./app -run TestManagedAgentsDoc -update", managedDoc)
	}
}
