package app_test

import (
	"encoding/base64"
	"os"
	"strings"
	"testing"

	"github.com/bureau-agents/bureau/app/apptest"
)

// TestKnowledgeFiles makes knowledge of whole files and asks for what is in them.
func TestKnowledgeFiles(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(t *testing.T, cfg apptest.Config) {
		s := apptest.Start(t, cfg)
		api := s.Admin.In(t)
		var agent, file struct{ ID string }
		api.Call("POST", "/v1/agents", m{"name": "clerk", "model": "offline"}, &agent)
		type result struct {
			Stored, Skipped, Total, Deleted int
			Source                          string
		}
		ingest := func(name, media string, data []byte, more m) (got result) {
			t.Helper()
			file.ID = upload(api, name, media, data)
			body := m{"agent_id": agent.ID, "file_id": file.ID}
			for k, v := range more {
				body[k] = v
			}
			api.Call("POST", "/v1/knowledge/files", body, &got)
			return got
		}
		handbook := []byte("# Handbook\n\n## Leave\n\nLeave is asked for two weeks before it begins.\n\n## Keys\n\nKeys are kept by the porter.\n")
		same(t, result{Stored: 2, Total: 2, Source: "handbook.md"}, ingest("handbook.md", "text/markdown", handbook, nil))
		same(t, result{Skipped: 2, Total: 2, Source: "handbook.md"}, ingest("handbook.md", "text/markdown", handbook, nil))

		changed := []byte(strings.Replace(string(handbook), "two weeks", "three days", 1))
		same(t, result{Stored: 1, Skipped: 1, Total: 2, Deleted: 1, Source: "handbook.md"},
			ingest("handbook.md", "text/markdown", changed, m{"replace": true}))

		pdf, err := os.ReadFile("../adapters/extract/testdata/harbour.pdf")
		if err != nil {
			t.Fatal(err)
		}
		if got := ingest("harbour.pdf", "application/pdf", pdf, m{"target_characters": 200, "metadata": m{"port": "north"}}); got.Stored < 3 {
			t.Errorf("of a PDF: %+v", got)
		}
		var found struct {
			Data []struct {
				Text, Source string
				Metadata     map[string]any
			}
		}
		api.Call("POST", "/v1/knowledge/search", m{"agent_id": agent.ID, "query": "When are fees due on leaving?", "limit": 1}, &found)
		if len(found.Data) != 1 || !strings.Contains(found.Data[0].Text, "Fees are due on leaving.") || found.Data[0].Source != "harbour.pdf" ||
			found.Data[0].Metadata["page"] != 2.0 || found.Data[0].Metadata["port"] != "north" {
			t.Errorf("found %+v", found.Data)
		}
		api.Call("POST", "/v1/knowledge/search", m{"agent_id": agent.ID, "query": "How long before must leave be asked for?", "limit": 1}, &found)
		if len(found.Data) != 1 || !strings.HasPrefix(found.Data[0].Text, "Handbook > Leave\n\n") || !strings.Contains(found.Data[0].Text, "three days") {
			t.Errorf("found %+v", found.Data)
		}

		file.ID = upload(api, "a.png", "image/png", []byte("\x89PNG\r\n\x1a\n"))
		api.Refuse(501, "POST", "/v1/knowledge/files", m{"agent_id": agent.ID, "file_id": file.ID})
		file.ID = upload(api, "blank.txt", "text/plain", []byte("  \n"))
		api.Refuse(400, "POST", "/v1/knowledge/files", m{"agent_id": agent.ID, "file_id": file.ID})
	})
}

// upload stores a file.
func upload(api *apptest.Client, name, media string, data []byte) string {
	var file struct{ ID string }
	api.Call("POST", "/v1/files", m{
		"filename": name, "media_type": media, "encoding": "base64", "content": base64.StdEncoding.EncodeToString(data),
	}, &file)
	return file.ID
}
