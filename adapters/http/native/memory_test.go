package native

import (
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/bureau-agents/bureau/adapters/embedding/hashing"
	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/memory"
	"github.com/bureau-agents/bureau/ports/id"
)

// withMemory adds memory stores.
func withMemory(f *fixture, d *Deps) {
	repo := f.store.Memory()
	var err error
	d.Memory, err = memory.NewService(memory.Deps{
		TX: f.store, Clock: f.clock, IDs: id.NewGenerator(time.Now), Logger: slog.New(slog.DiscardHandler), Stores: repo, Memories: repo, Index: repo,
		Versions: repo, Embedder: hashing.New(), Agents: d.Agents,
	}, memory.Config{})
	if err != nil {
		f.t.Fatal(err)
	}
}

func memoryFixture(t *testing.T) *fixture {
	t.Helper()
	return newFixture(t, withMemory)
}

func TestMemoryStores(t *testing.T) {
	t.Parallel()
	f := memoryFixture(t)
	agent := f.want(201, "POST", "/v1/agents", `{"name":"a","model":"offline"}`).get("id").(string)
	made := f.want(201, "POST", "/v1/memory_stores", `{"name":"Customers","agent_id":"`+agent+`","metadata":{"k":"v"}}`)
	ref := made.get("id").(string)
	if made.get("type") != "memory_store" || made.get("description") != "" || made.get("archived_at") != nil || made.get("agent_id") != agent ||
		made.get("metadata", "k") != "v" || !strings.HasPrefix(ref, "memstore_") {
		t.Errorf("got %s", made.body)
	}
	other := f.want(201, "POST", "/v1/memory_stores", `{"name":"Other","description":null,"agent_id":null}`).get("id").(string)
	for query, want := range map[string]int{
		"": 2, "?agent_id=" + agent: 1, "?limit=1": 1, "?agent_id=nothing": 0, "?created_at[gte]=2100-01-01T00:00:00Z": 0,
		"?created_at%5Blte%5D=2100-01-01T00:00:00Z": 2,
	} {
		if a := f.want(200, "GET", "/v1/memory_stores"+query, ""); len(a.get("data").([]any)) != want {
			t.Errorf("%s: got %s", query, a.body)
		}
	}
	for _, method := range []string{"POST", "PATCH", "PUT"} {
		a := f.want(200, method, "/v1/memory_stores/"+ref, `{"name":null,"description":"`+method+`","metadata":{"k":null,"m":"`+method+`"},"agent_id":null}`)
		if a.get("name") != "Customers" || a.get("description") != method || a.get("metadata", "k") != nil || a.get("metadata", "m") != method ||
			a.get("agent_id") != nil {
			t.Errorf("%s: got %s", method, a.body)
		}
	}
	f.wantError(f.do("POST", "/v1/memory_stores", `{"name":"x","agent_id":"agent_01h455vb4pex5vsknk084sn02q"}`), 404, "not_found_error", "agent_not_found")
	for _, bad := range []string{
		`{}`, `{"name":null}`, `{"name":""}`, `{"name":" "}`, `{"name":"a\nb"}`, `{"name":1}`, `{"name":"x","metadata":{"k":1}}`, `[]`,
		`{"name":"` + strings.Repeat("x", 256) + `"}`, `{"name":"x","description":"` + strings.Repeat("x", 1025) + `"}`,
	} {
		if a := f.do("POST", "/v1/memory_stores", bad); a.StatusCode != 400 {
			t.Errorf("%.50s: %d %s", bad, a.StatusCode, a.body)
		}
	}
	if a := f.want(200, "POST", "/v1/memory_stores/"+other+"/archive", ""); a.get("archived_at") == nil {
		t.Errorf("got %s", a.body)
	}
	f.wantError(f.do("POST", "/v1/memory_stores/"+other, `{"name":"x"}`), 409, "conflict_error", "memory_store_archived")
	f.wantError(f.do("POST", "/v1/memory_stores/"+other+"/memories", `{"path":"/a","content":"x"}`), 409, "conflict_error", "memory_store_archived")
	for query, want := range map[string]int{"": 1, "?archived=true": 2, "?include_archived=true": 2} {
		if a := f.want(200, "GET", "/v1/memory_stores"+query, ""); len(a.get("data").([]any)) != want {
			t.Errorf("%s: got %s", query, a.body)
		}
	}
	if a := f.want(200, "DELETE", "/v1/memory_stores/"+ref, ""); a.get("type") != "memory_store_deleted" || a.get("id") != ref {
		t.Errorf("got %s", a.body)
	}
	f.wantError(f.do("GET", "/v1/memory_stores/"+ref, ""), 404, "not_found_error", "memory_store_not_found")
	f.wantError(f.do("GET", "/v1/memory_stores/"+ref+"/entries", ""), 404, "not_found_error", "memory_store_not_found")
}

func TestMemories(t *testing.T) {
	t.Parallel()
	f := memoryFixture(t)
	store := "/v1/memory_stores/" + f.want(201, "POST", "/v1/memory_stores", `{"name":"s"}`).get("id").(string)
	brief := f.want(201, "POST", store+"/memories", `{"path":"/notes/a.md","content":"alpha"}`)
	ref, sum := brief.get("id").(string), brief.get("content_sha256").(string)
	if brief.get("type") != "memory" || brief.get("content") != nil || brief.get("content_size_bytes") != 5.0 || brief.get("path") != "/notes/a.md" ||
		sum != "8ed3f6ad685b959ead7022518e1af76cd816f8e8ec7ccdda1ed4018e8f2223f8" || !strings.HasPrefix(ref, "mem_") {
		t.Errorf("got %s", brief.body)
	}
	first := brief.get("memory_version_id").(string)
	if a := f.want(200, "GET", store+"/memories/"+ref, ""); a.get("content") != "alpha" {
		t.Errorf("got %s", a.body)
	}
	if a := f.want(200, "GET", store+"/memories/"+ref+"?view=basic", ""); a.get("content") != nil {
		t.Errorf("got %s", a.body)
	}
	if a := f.want(201, "POST", store+"/memories?view=full", `{"path":"/empty","content":null}`); a.get("content") != "" {
		t.Errorf("got %s", a.body)
	}
	for _, path := range []string{"/notes/a.md", "/notes", "/notes/a.md/b"} {
		a := f.do("POST", store+"/memories", `{"path":"`+path+`","content":"x"}`)
		f.wantError(a, 409, "memory_path_conflict_error", "memory_path_conflict")
		if a.get("error", "details", "conflicting_memory_id") != ref || a.get("error", "details", "conflicting_path") != "/notes/a.md" ||
			a.get("error", "conflicting_memory_id") != ref || a.Header.Get("X-Should-Retry") != "false" {
			t.Errorf("got %s, %v", a.body, a.Header)
		}
	}
	for _, bad := range []string{
		`{}`, `{"path":"/x"}`, `{"content":"x"}`, `{"path":"x","content":""}`, `{"path":"/a/../b","content":""}`, `{"path":null,"content":""}`,
		`{"path":"/x","content":1}`, `{"path":"/x","content":"` + strings.Repeat("x", 102_401) + `"}`, `{"path":"/` + strings.Repeat("ü", 600) + `","content":""}`,
	} {
		if a := f.do("POST", store+"/memories", bad); a.StatusCode != 400 {
			t.Errorf("%.50s: %d %s", bad, a.StatusCode, a.body)
		}
	}
	update := func(method, fields string) answer {
		t.Helper()
		return f.do(method, store+"/memories/"+ref+"?view=full", fields)
	}
	wrong := update("POST", `{"content":"x","precondition":{"type":"content_sha256","content_sha256":"`+strings.Repeat("0", 64)+`"}}`)
	f.wantError(wrong, 409, "memory_precondition_failed_error", "memory_precondition_failed")
	if wrong.Header.Get("X-Should-Retry") != "false" {
		t.Errorf("got %v", wrong.Header)
	}
	if a := update("POST", `{"content":"beta","path":null,"precondition":{"type":"content_sha256","content_sha256":"`+sum+`"}}`); a.get("content") != "beta" {
		t.Errorf("got %s", a.body)
	}
	if a := update("PATCH", `{"path":"/moved.md","content":null,"precondition":null}`); a.get("content") != "beta" || a.get("path") != "/moved.md" || a.get("id") != ref {
		t.Errorf("got %s", a.body)
	}
	if a := update("PUT", `{}`); a.StatusCode != 200 || a.get("path") != "/moved.md" {
		t.Errorf("got %s", a.body)
	}
	for _, bad := range []string{
		`{"precondition":{}}`, `{"precondition":{"type":"x","content_sha256":"` + sum + `"}}`, `{"precondition":{"type":"content_sha256"}}`,
		`{"precondition":{"type":"content_sha256","content_sha256":"` + strings.ToUpper(sum) + `"}}`, `{"content":1}`, `{"path":""}`,
	} {
		if a := update("POST", bad); a.StatusCode != 400 {
			t.Errorf("%s: %d %s", bad, a.StatusCode, a.body)
		}
	}

	t.Run("versions", func(t *testing.T) {
		ops := func(query string) string {
			t.Helper()
			var out []string
			for _, v := range f.want(200, "GET", store+"/memory_versions"+query, "").get("data").([]any) {
				out = append(out, v.(map[string]any)["operation"].(string))
			}
			return strings.Join(out, " ")
		}
		for query, want := range map[string]string{
			"?memory_id=" + ref: "modified modified created", "?operation=created": "created created", "?session_id=sesn_01h455vb4pex5vsknk084sn02q": "",
			"?api_key_id=" + f.admin.Key.String() + "&memory_id=" + ref: "modified modified created", "?service_account_id=svac_1": "", "?memory_id=x": "",
			"?view=full&limit=1": "modified", "?created_at[lte]=2000-01-01T00:00:00Z": "",
		} {
			if got := ops(query); got != want {
				t.Errorf("%s: got %q, want %q", query, got, want)
			}
		}
		v := f.want(200, "GET", store+"/memory_versions/"+first, "")
		if v.get("content") != "alpha" || v.get("created_by", "type") != "api_actor" || v.get("created_by", "api_key_id") != f.admin.Key.String() ||
			v.get("redacted_at") != nil || v.get("redacted_by") != nil || v.get("memory_id") != ref || v.get("type") != "memory_version" {
			t.Errorf("got %s", v.body)
		}
		for range 2 {
			v = f.want(200, "POST", store+"/memory_versions/"+first+"/redact", "")
			if v.get("content") != nil || v.get("path") != nil || v.get("content_sha256") != nil || v.get("content_size_bytes") != nil ||
				v.get("redacted_at") == nil || v.get("redacted_by", "api_key_id") != f.admin.Key.String() {
				t.Errorf("got %s", v.body)
			}
		}
		now := f.want(200, "GET", store+"/memories/"+ref, "").get("memory_version_id").(string)
		f.wantError(f.do("POST", store+"/memory_versions/"+now+"/redact", ""), 409, "conflict_error", "memory_version_current")
		f.wantError(f.do("GET", store+"/memory_versions/memver_01h455vb4pex5vsknk084sn02q", ""), 404, "not_found_error", "memory_version_not_found")
	})
	t.Run("lists", func(t *testing.T) {
		for i := range 25 {
			f.want(201, "POST", store+"/memories", fmt.Sprintf(`{"path":"/many/%02d.md","content":"number %d"}`, i, i))
		}
		list := f.want(200, "GET", store+"/memories?depth=1", "").get("data").([]any)
		if len(list) != 3 || list[1].(map[string]any)["type"] != "memory_prefix" || list[1].(map[string]any)["path"] != "/many/" {
			t.Errorf("got %v", list)
		}
		full := f.want(200, "GET", store+"/memories?path_prefix=/many/&view=full&limit=100", "")
		items := full.get("data").([]any)
		if len(items) != 20 || items[0].(map[string]any)["content"] != "number 0" || full.get("next_page") == nil {
			t.Errorf("got %d, %v", len(items), full.get("next_page"))
		}
		rest := f.want(200, "GET", store+"/memories?path_prefix=/many/&view=full&limit=100&page="+full.get("next_page").(string), "")
		if len(rest.get("data").([]any)) != 5 || rest.get("next_page") != nil {
			t.Errorf("got %s", rest.body)
		}
		f.clock.Advance(time.Second)
		f.want(201, "POST", store+"/memories", `{"path":"/last","content":"the newest"}`)
		entries := f.want(200, "GET", store+"/entries?limit=2", "").get("data").([]any)
		if len(entries) != 2 || entries[0].(map[string]any)["path"] != "/last" || entries[0].(map[string]any)["content"] != "the newest" {
			t.Errorf("got %v", entries)
		}
		for _, query := range []string{"?depth=-1", "?depth=x", "?path_prefix=x", "?view=other", "?limit=0", "?cursor=x"} {
			if a := f.do("GET", store+"/memories"+query, ""); a.StatusCode != 400 {
				t.Errorf("%s: %d %s", query, a.StatusCode, a.body)
			}
		}
	})
	t.Run("search", func(t *testing.T) {
		f.want(201, "POST", store+"/memories", `{"path":"/ada.md","content":"Ada drinks green tea in the morning."}`)
		hits := f.want(200, "POST", store+"/search", `{"query":"Ada drinks green tea in the morning.","limit":2}`).get("data").([]any)
		best := hits[0].(map[string]any)
		if len(hits) != 2 || best["path"] != "/ada.md" || best["score"].(float64) < 0.999 || best["content"] == nil {
			t.Errorf("got %v", hits)
		}
		for _, bad := range []string{`{}`, `{"query":""}`, `{"query":"x","limit":0}`, `{"query":"x","limit":101}`, `{"query":null}`} {
			if a := f.do("POST", store+"/search", bad); a.StatusCode != 400 {
				t.Errorf("%s: %d %s", bad, a.StatusCode, a.body)
			}
		}
	})
	t.Run("delete", func(t *testing.T) {
		a := f.do("DELETE", store+"/memories/"+ref+"?expected_content_sha256="+sum, "")
		f.wantError(a, 409, "memory_precondition_failed_error", "memory_precondition_failed")
		if a := f.do("DELETE", store+"/memories/"+ref+"?expected_content_sha256=x", ""); a.StatusCode != 400 {
			t.Errorf("got %s", a.body)
		}
		if a := f.want(200, "DELETE", store+"/memories/"+ref, ""); a.get("type") != "memory_deleted" || a.get("id") != ref {
			t.Errorf("got %s", a.body)
		}
		f.wantError(f.do("GET", store+"/memories/"+ref, ""), 404, "not_found_error", "memory_not_found")
		last := f.want(200, "GET", store+"/memory_versions?view=full&limit=1&memory_id="+ref, "").get("data").([]any)[0].(map[string]any)
		if last["operation"] != "deleted" || last["path"] != "/moved.md" || last["content"] != nil || last["content_sha256"] != nil {
			t.Errorf("got %v", last)
		}
	})
	t.Run("permissions", func(t *testing.T) {
		reader := "x-api-key: " + f.newKey(account.MemoryRead)
		f.want(200, "GET", store+"/memories", "", reader)
		f.want(200, "POST", store+"/search", `{"query":"x"}`, reader)
		f.wantError(f.do("POST", store+"/memories", `{"path":"/x","content":""}`, reader), 403, "permission_error", "permission_denied")
	})
}
