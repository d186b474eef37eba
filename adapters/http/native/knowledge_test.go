package native

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/ports/id"
)

func (f *fixture) newAgent() string {
	f.t.Helper()
	return f.want(201, http.MethodPost, "/v1/agents", `{"name":"A","model":"m"}`).get("id").(string)
}

// ingest stores texts under a source.
func (f *fixture) ingest(agentID, source string, texts ...string) answer {
	f.t.Helper()
	type chunk map[string]string
	var chunks []chunk
	for _, t := range texts {
		chunks = append(chunks, chunk{"text": t, "source": source})
	}
	b, err := json.Marshal(map[string]any{"agent_id": agentID, "chunks": chunks})
	if err != nil {
		f.t.Fatal(err)
	}
	return f.want(201, http.MethodPost, "/v1/knowledge/ingest", string(b))
}

func (f *fixture) texts(query string) []any {
	f.t.Helper()
	out := []any{}
	for _, v := range f.want(200, http.MethodGet, "/v1/knowledge?"+query, "").get("data").([]any) {
		out = append(out, v.(map[string]any)["text"])
	}
	return out
}

func TestKnowledge(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	me := f.newAgent()
	made := f.want(201, http.MethodPost, "/v1/knowledge/ingest", fmt.Sprintf(`{"agent_id":%q,"chunks":[
		{"text":"The warehouse in Lisbon opens at half past seven in the morning.","source":"hours.md","metadata":{"type":"faq"}},
		{"text":"Invoices are sent on the first working day of each month.","source":"billing.md"},
		{"text":"THE WAREHOUSE in Lisbon opens at half past seven in the morning!","source":"hours.md"}]}`, me))
	list := f.want(200, http.MethodGet, "/v1/knowledge?agent_id="+me, "")
	first := list.get("data").([]any)[1].(map[string]any)
	want := decode(t, fmt.Sprintf(`{"id":%[1]q,"type":"knowledge_entry","agent_id":%[2]q,"swarm_id":null,
		"text":"The warehouse in Lisbon opens at half past seven in the morning.","source":"hours.md","entry_type":"faq","metadata":{"type":"faq"},"ingested_by":%[2]q,
		"embedder":"hashing-384","created_at":"2026-07-15T12:30:00.000Z","updated_at":"2026-07-15T12:30:00.000Z"}`, first["id"], me))
	if d := cmp.Diff(want, first); d != "" {
		t.Errorf("entry (-want +got):\n%s", d)
	}
	skipped := made.get("skipped_chunks").([]any)
	if made.get("stored") != 2.0 || made.get("skipped") != 1.0 || made.get("total") != 3.0 || len(skipped) != 1 {
		t.Fatalf("%s", made.body)
	}
	twin := skipped[0].(map[string]any)
	if sim, _ := twin["similarity"].(float64); twin["index"] != 2.0 || twin["duplicate_of"] != first["id"] || sim < 0.95 || sim > 1 {
		t.Errorf("%s", made.body)
	}
	found := f.want(200, http.MethodPost, "/v1/knowledge/search", fmt.Sprintf(`{"agent_id":%q,"query":"When does the warehouse open?","limit":1}`, me))
	hit := found.get("data").([]any)[0].(map[string]any)
	if score, _ := hit["score"].(float64); len(found.get("data").([]any)) != 1 || hit["id"] != first["id"] || score <= 0 || score > 1 {
		t.Errorf("%s", found.body)
	}
	empty := f.want(200, http.MethodPost, "/v1/knowledge/search", fmt.Sprintf(`{"agent_id":%q,"query":"x"}`, f.newAgent()))
	if strings.TrimSpace(string(empty.body)) != `{"data":[],"mode":"semantic","reembedding":false}` {
		t.Errorf("%s", empty.body)
	}
}

func TestKnowledgeListAndDelete(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	me := f.newAgent()
	q := "agent_id=" + me
	f.ingest(me, "a.md", "Penguins cannot fly.", "Invoices are sent monthly.")
	f.ingest(me, "b.md", "The courier is called Swift Crane.")
	if d := cmp.Diff([]any{"The courier is called Swift Crane.", "Invoices are sent monthly.", "Penguins cannot fly."}, f.texts(q)); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff([]any{"The courier is called Swift Crane."}, f.texts(q+"&source=b.md")); d != "" {
		t.Error(d)
	}
	page := f.want(200, http.MethodGet, "/v1/knowledge?limit=2&"+q, "")
	if d := cmp.Diff([]any{"Penguins cannot fly."}, f.texts(q+"&cursor="+page.get("next_page").(string))); d != "" || page.get("has_more") != true {
		t.Error(d, page.get("has_more"))
	}
	penguins := f.want(200, http.MethodGet, "/v1/knowledge?"+q, "").get("data").([]any)[2].(map[string]any)["id"].(string)
	for _, query := range []string{"", "&all=true", "&all=true&confirm=true&source=a.md", "&confirm=true"} {
		f.wantError(f.do(http.MethodDelete, "/v1/knowledge?"+q+query, ""), 400, "invalid_request_error", "knowledge_invalid")
	}
	f.wantError(f.do(http.MethodDelete, "/v1/knowledge?all=true&confirm=true", ""), 400, "invalid_request_error", "knowledge_invalid")
	other := "agent_id=" + f.newAgent()
	f.wantError(f.do(http.MethodDelete, "/v1/knowledge?"+other+"&id="+penguins, ""), 404, "not_found_error", "knowledge_entry_not_found")
	for _, step := range []struct {
		query string
		want  float64
	}{{"&id=" + penguins, 1}, {"&source=a.md", 1}, {"&source=a.md", 0}, {"&all=true&confirm=true", 1}, {"&all=true&confirm=true", 0}} {
		if got := f.want(200, http.MethodDelete, "/v1/knowledge?"+q+step.query, "").get("deleted"); got != step.want {
			t.Errorf("%s deleted %v; want %v", step.query, got, step.want)
		}
	}
	f.wantError(f.do(http.MethodDelete, "/v1/knowledge?"+q+"&id="+penguins, ""), 404, "not_found_error", "knowledge_entry_not_found")
	f.wantError(f.do(http.MethodDelete, "/v1/knowledge?"+q+"&id=nonsense", ""), 404, "not_found_error", "knowledge_entry_not_found")
}

func TestKnowledgeFaults(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	me := f.newAgent()
	good := `{"text":"Fine.","source":"s"}`
	body := func(chunks ...string) string {
		return fmt.Sprintf(`{"agent_id":%q,"chunks":[%s]}`, me, strings.Join(chunks, ","))
	}
	for text, path := range map[string]string{
		fmt.Sprintf(`{"agent_id":%q}`, me): "chunks",
		body():                             "chunks",
		body(strings.Repeat(good+",", 100) + good):                               "chunks",
		body(good, `{"text":"`+strings.Repeat("\u00e9", 4001)+`","source":"s"}`): "chunks[1].text",
		body(good, `{"text":" ","source":"s"}`):                                  "chunks[1].text",
		body(good, `{"source":"s"}`):                                             "chunks[1].text",
		body(good, good, `{"text":"No source."}`):                                "chunks[2].source",
		body(good, `{"text":"x","source":"s","metadata":"m"}`):                   "chunks[1].metadata",
		`{"chunks":[` + good + `]}`:                                              "agent_id",
		fmt.Sprintf(`{"agent_id":%q,"swarm_id":%q,"chunks":[%s]}`, me, id.New[id.SwarmKind](id.NewGenerator(time.Now)), good): "agent_id",
	} {
		a := f.do(http.MethodPost, "/v1/knowledge/ingest", text)
		f.wantError(a, 400, "invalid_request_error", a.code())
		fields, _ := a.get("error", "details", "fields").([]any)
		if len(fields) != 1 || fields[0].(map[string]any)["path"] != path {
			t.Errorf("%.120s: want %s: %.300s", text, path, a.body)
		}
	}
	if got := f.texts("agent_id=" + me); len(got) != 0 {
		t.Errorf("stored are %v", got)
	}
	for _, nobody := range []string{
		`"agent_id":"` + id.New[id.AgentKind](id.NewGenerator(time.Now)).String() + `"`, `"agent_id":"x"`,
		`"swarm_id":"` + id.New[id.SwarmKind](id.NewGenerator(time.Now)).String() + `"`,
	} {
		a := f.do(http.MethodPost, "/v1/knowledge/ingest", `{`+nobody+`,"chunks":[`+good+`]}`)
		f.wantError(a, 404, "not_found_error", a.code())
		a = f.do(http.MethodPost, "/v1/knowledge/search", `{`+nobody+`,"query":"x"}`)
		f.wantError(a, 404, "not_found_error", a.code())
	}
	_, theirs := f.newTenant(account.PlanFree)
	a := f.do(http.MethodGet, "/v1/knowledge?agent_id="+me, "", "x-api-key: "+theirs)
	f.wantError(a, 404, "not_found_error", "agent_not_found")
	read := "x-api-key: " + f.newKey(account.KnowledgeRead)
	f.want(200, http.MethodGet, "/v1/knowledge?agent_id="+me, "", read)
	f.wantError(f.do(http.MethodPost, "/v1/knowledge/ingest", body(good), read), 403, "permission_error", "permission_denied")
	f.wantError(f.do(http.MethodDelete, "/v1/knowledge?agent_id="+me+"&source=s", "", read), 403, "permission_error", "permission_denied")
	for _, text := range []string{`{"agent_id":%q,"query":""}`, `{"agent_id":%q,"query":"x","limit":101}`, `{"agent_id":%q,"query":"x","limit":0}`} {
		a := f.do(http.MethodPost, "/v1/knowledge/search", fmt.Sprintf(text, me))
		f.wantError(a, 400, "invalid_request_error", a.code())
	}
}
