package app_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/bureau-agents/bureau/app/apptest"
)

// TestBodiesOfDocuments sends every body that a document shows as an example: the call may miss what it names, and finds nothing wrong with
// its form.
func TestBodiesOfDocuments(t *testing.T) {
	t.Parallel()
	unraced(t)
	s := apptest.Start(t, apptest.Config{})
	tried := 0
	for _, face := range faces {
		var doc struct {
			Paths map[string]map[string]struct {
				RequestBody struct {
					Content map[string]struct{ Example json.RawMessage }
				} `json:"requestBody"`
			}
		}
		s.Admin.Call("GET", face.prefix+"/openapi.json", nil, &doc)
		for path, item := range doc.Paths {
			for method, op := range item {
				example := op.RequestBody.Content["application/json"].Example
				if example == nil || path == "/v1/model_cards" || path == "/v1/remote_agents" { // these ask the provider, and the agent
					continue
				}
				tried++
				at := face.prefix + strings.NewReplacer("{", "", "}", "").Replace(path)
				switch a := s.Admin.Do(strings.ToUpper(method), at, example); {
				case a.Status == http.StatusBadRequest, a.Status == http.StatusUnprocessableEntity, a.Status >= http.StatusInternalServerError:
					t.Errorf("%s %s %s: %d %s", method, at, example, a.Status, a.Body)
				}
			}
		}
	}
	if tried < 40 {
		t.Errorf("only %d operations have an example", tried)
	}
}
