package native

import (
	"bytes"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/audit"
)

func TestAudit(t *testing.T) {
	t.Parallel()
	var trail *audit.Service
	f := newFixture(t, func(_ *fixture, d *Deps) { trail = d.Audit })
	a := f.agentID()
	for _, n := range []audit.NewEntry{
		{Action: "agent_frozen", Agent: a, Metadata: map[string]any{"reason": "test"}}, {Action: "server_started"}, {Action: "agent_unfrozen", Agent: a},
	} {
		if _, err := trail.Record(t.Context(), f.admin, n); err != nil {
			t.Fatal(err)
		}
		f.clock.Advance(time.Minute)
	}
	list := f.want(200, http.MethodGet, "/v1/audit?limit=1&agent_id="+a.String(), "")
	next := f.want(200, http.MethodGet, "/v1/audit?agent_id="+a.UUID().String()+"&page="+list.get("next_page").(string), "")
	items, _ := next.get("data").([]any)
	if len(items) != 1 {
		t.Fatalf("%s", next.body)
	}
	first := items[0].(map[string]any)
	want := map[string]any{
		"id": first["id"], "type": "audit_entry", "action": "agent_frozen", "agent_id": a.String(), "actor": f.admin.Key.String(),
		"metadata": map[string]any{"reason": "test"}, "seq": 1.0, "hash": first["hash"], "previous_hash": audit.Genesis,
		"created_at": "2026-07-15T12:30:00.000Z",
	}
	if d := cmp.Diff(want, first); d != "" {
		t.Error(d)
	}
	if one := f.want(200, http.MethodGet, "/v1/audit/"+first["id"].(string), ""); cmp.Diff(want, one.json) != "" {
		t.Errorf("%s", one.body)
	}
	for query, n := range map[string]int{
		"": 3, "?action=server_started": 1, "?since=2026-07-15T12:31:00Z": 2, "?until=2026-07-15T12:31:00Z": 1,
		"?since=2026-07-15T12:31:00Z&until=2026-07-15T12:32:00Z": 1,
	} {
		got := f.want(200, http.MethodGet, "/v1/audit"+query, "")
		if items, _ := got.get("data").([]any); len(items) != n {
			t.Errorf("%q: %d entries; want %d", query, len(items), n)
		}
	}
	verdict := f.want(200, http.MethodGet, "/v1/audit/verify", "")
	if verdict.get("valid") != true || verdict.get("count") != 3.0 || verdict.get("first_broken") != nil {
		t.Errorf("%s", verdict.body)
	}
	export := f.want(200, http.MethodGet, "/v1/audit/export", "")
	if ct := export.Header.Get("Content-Type"); ct != "application/x-ndjson" {
		t.Errorf("content type %q", ct)
	}
	report, err := audit.VerifyExport(bytes.NewReader(export.body))
	if err != nil || !report.Valid || report.Count != 3 || report.Head != verdict.get("head") {
		t.Errorf("the export is %+v, %v", report, err)
	}

	_, theirs := f.newTenant(account.PlanFree)
	f.wantError(f.do(http.MethodGet, "/v1/audit/"+first["id"].(string), "", "x-api-key: "+theirs), 404, "not_found_error", "audit_entry_not_found")
	f.wantError(f.do(http.MethodGet, "/v1/audit/nonsense", ""), 404, "not_found_error", "audit_entry_not_found")
	f.wantError(f.do(http.MethodGet, "/v1/audit?since=yesterday", ""), 400, "invalid_request_error", "invalid_request")
	f.wantError(f.do(http.MethodGet, "/v1/audit?limit=101", ""), 400, "invalid_request_error", "invalid_request")
	other := "x-api-key: " + f.newKey(account.WalletsRead)
	for _, path := range []string{"", "/verify", "/export", "/" + first["id"].(string)} {
		f.wantError(f.do(http.MethodGet, "/v1/audit"+path, "", other), 403, "permission_error", "permission_denied")
	}
	if foreign := f.want(200, http.MethodGet, "/v1/audit/export", "", "x-api-key: "+theirs); strings.Contains(string(foreign.body), "frozen") {
		t.Errorf("another tenant's export holds %s", foreign.body)
	}
}
