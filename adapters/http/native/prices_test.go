package native

import (
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/bureau-agents/bureau/core/account"
)

func TestOwnPrices(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	body := `{"prices":[{"provider":"OpenAI","model":"gpt-4o","valid_from":"2026-01-01T00:00:00Z","rates":{"input":"2.10","output":"8.4","cache_read":"0.000001",
		"services":{"batch":{"input":"1.05"}}},"tiers":[{"above_input_tokens":1000,"rates":{"input":"4","output":"16"}}],"multipliers":{"eu":1100},
		"source":{"text":"our contract"}}]}`
	made := f.want(200, http.MethodPut, "/v1/prices", body).get("data").([]any)[0].(map[string]any)
	rates := func(in, out string, read any, services map[string]any) map[string]any {
		return map[string]any{
			"input": in, "output": out, "cache_read": read, "cache_write": nil, "cache_write_1h": nil, "reasoning": nil, "services": services,
		}
	}
	want := map[string]any{
		"id": made["id"], "type": "price", "own": true, "provider": "openai", "model": "gpt-4o", "valid_from": "2026-01-01T00:00:00.000Z",
		"valid_until": nil, "rates": rates("2.10", "8.40", "0.000001", map[string]any{"batch": map[string]any{
			"input": "1.05", "output": nil, "cache_read": nil, "cache_write": nil, "cache_write_1h": nil, "reasoning": nil,
		}}),
		"tiers":       []any{map[string]any{"above_input_tokens": 1000.0, "rates": rates("4.00", "16.00", nil, map[string]any{})}},
		"multipliers": map[string]any{"eu": 1100.0}, "deprecated_at": nil, "source": map[string]any{"text": "our contract", "url": nil},
		"set_at": "2026-07-15T12:30:00.000Z", "set_by": made["set_by"], "superseded_at": nil,
	}
	if d := cmp.Diff(want, made); d != "" || made["set_by"] == nil {
		t.Error(d)
	}
	path := "/v1/prices/" + made["id"].(string)
	if got := f.want(200, http.MethodGet, path, ""); cmp.Diff(want, got.json) != "" {
		t.Error(cmp.Diff(want, got.json))
	}
	if got := f.want(200, http.MethodGet, "/v1/prices?own=true", "").get("data").([]any); len(got) != 1 || cmp.Diff(want, got[0]) != "" {
		t.Errorf("own: %v", got)
	}
	if got := f.want(200, http.MethodGet, "/v1/prices?model=gpt-4o&provider=openai&own=false&limit=1", "").get("data").([]any); len(got) == 0 {
		t.Error("the server's is not listed")
	}
	if got := f.want(200, http.MethodGet, "/v1/prices?own=true&at=2025-12-31T00:00:00Z", "").get("data").([]any); len(got) != 0 {
		t.Errorf("before it counts: %v", got)
	}
	a := f.agentID()
	row := f.want(201, http.MethodPost, "/v1/usage", `{"agent_id":"`+a.String()+`","model":"gpt-4o","provider":"openai","tokens_input":10,
		"service_tier":"batch","modifiers":["eu","night"]}`)
	if row.get("price_id") != made["id"] || row.get("price") != "openai/gpt-4o@2026-01-01!batch" ||
		cmp.Diff(map[string]any{"amount": "0.00001155", "currency": "USD"}, row.get("computed_cost")) != "" ||
		cmp.Diff([]any{"modifier_unpriced"}, row.get("flags")) != "" || row.get("service_tier") != "batch" {
		t.Errorf("%s", row.body)
	}

	for path, rates := range map[string]string{
		"prices[0].rates.input":                `{"input":"-1","output":"1"}`,
		"prices[0].rates.output":               `{"input":"1","output":"1.0000001"}`,
		"prices[0].rates.cache_read":           `{"input":"1","output":"1","cache_read":"1e3"}`,
		"prices[0].rates.services.batch.input": `{"input":"1","output":"1","services":{"batch":{"input":"x"}}}`,
		"prices[0].rates.services.Auto":        `{"input":"1","output":"1","services":{"Auto":{"input":"1"}}}`,
		"prices[0].rates.reasoning":            `{"input":"1","output":"1","reasoning":"1000001"}`,
	} {
		a := f.do(http.MethodPut, "/v1/prices", `{"prices":[{"provider":"p","model":"m","rates":`+rates+`}]}`)
		f.wantError(a, 400, "invalid_request_error", "invalid_request")
		if got := fieldOf(a); got != path {
			t.Errorf("%s is at %q", path, got)
		}
	}
	for _, bad := range []string{
		`{}`, `{"prices":[]}`, `{"prices":[{}]}`, `{"prices":[{"provider":"p","model":"m","rates":{"input":"1","output":"1"},"colour":1}]}`,
		`{"prices":[{"provider":"p","model":"m","rates":{"input":1,"output":"1"}}]}`,
	} {
		f.wantError(f.do(http.MethodPut, "/v1/prices", bad), 400, "invalid_request_error", "invalid_request")
	}
	overlap := `{"prices":[{"provider":"openai","model":"gpt-4o","valid_until":"2026-02-01T00:00:00Z","rates":{"input":"1","output":"1"}}]}`
	f.wantError(f.do(http.MethodPut, "/v1/prices", overlap), 400, "invalid_request_error", "price_overlap")
	_, theirs := f.newTenant(account.PlanFree)
	theirs = "x-api-key: " + theirs
	f.wantError(f.do(http.MethodGet, path, "", theirs), 404, "not_found_error", "price_not_found")
	f.wantError(f.do(http.MethodDelete, path, "", theirs), 404, "not_found_error", "price_not_found")
	writer := "x-api-key: " + f.newKey(account.TelemetryWrite)
	f.wantError(f.do(http.MethodPut, "/v1/prices", body, writer), 403, "permission_error", "permission_denied")

	got := f.want(200, http.MethodDelete, path, "")
	if d := cmp.Diff(map[string]any{"id": made["id"], "type": "price_deleted"}, got.json); d != "" {
		t.Error(d)
	}
	if got := f.want(200, http.MethodGet, path, ""); got.get("superseded_at") == nil {
		t.Errorf("%s", got.body)
	}
	f.wantError(f.do(http.MethodDelete, path, ""), 404, "not_found_error", "price_not_found")
}

func TestUsageBatch(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	a := f.agentID().String()
	got := f.want(201, http.MethodPost, "/v1/usage/batch", `{"reports":[{"agent_id":"`+a+`","model":"gpt-4o","tokens_input":1},
		{"agent_id":"`+a+`","model":"gpt-5.6-luna","tokens_input":10,"used_at":"2026-07-01T00:00:00Z"}]}`)
	rows := got.get("data").([]any)
	if len(rows) != 2 || rows[1].(map[string]any)["created_at"] != "2026-07-01T00:00:00.000Z" {
		t.Errorf("%s", got.body)
	}
	for path, second := range map[string]string{
		"reports[1].cost":    `"model":"m","cost":"1e3"`,
		"reports[1].used_at": `"model":"m","used_at":"2026-07-15T13:30:00Z"`,
		"reports[1]":         `"model":"gpt-5.4-pro","tokens_output":999999999999`,
	} {
		a := f.do(http.MethodPost, "/v1/usage/batch", `{"reports":[{"agent_id":"`+a+`","model":"m"},{"agent_id":"`+a+`",`+second+`}]}`)
		if got := fieldOf(a); a.StatusCode != 400 || got != path {
			t.Errorf("%s: %d at %q", path, a.StatusCode, got)
		}
	}
	if got := f.want(200, http.MethodGet, "/v1/usage", "").get("data").([]any); len(got) != 2 {
		t.Errorf("%d rows are stored", len(got))
	}
}

func TestRerate(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	a := f.agentID().String()
	f.want(201, http.MethodPost, "/v1/usage", `{"agent_id":"`+a+`","model":"own-model","provider":"acme","tokens_input":1000000}`)
	f.want(200, http.MethodPut, "/v1/prices", `{"prices":[{"provider":"acme","model":"own-model","rates":{"input":"1.25","output":"2"}}]}`)
	usd := func(s string) map[string]any { return map[string]any{"amount": s, "currency": "USD"} }
	sums := func(settled float64) map[string]any {
		return map[string]any{
			"rows": 1.0, "old": usd("0"), "new": usd("1.25"), "difference": usd("1.25"), "unpriced_before": 1.0, "unpriced": 0.0, "changed": 1.0,
			"settled": settled,
		}
	}
	asked := f.want(200, http.MethodPost, "/v1/usage/rerate", `{"since":"2026-07-01T00:00:00Z","until":"2026-07-16T00:00:00Z","agent_id":"`+a+`"}`)
	model := sums(0)
	model["provider"], model["model"] = "acme", "own-model"
	want := map[string]any{
		"id": nil, "type": "usage_rerate", "status": "done", "applied": false, "since": "2026-07-01T00:00:00.000Z",
		"until": "2026-07-16T00:00:00.000Z", "agent_id": a, "model": nil, "provider": nil, "at": nil, "total": sums(0), "models": []any{model},
		"created_at": "2026-07-15T12:30:00.000Z", "ended_at": "2026-07-15T12:30:00.000Z",
	}
	if d := cmp.Diff(want, asked.json); d != "" {
		t.Error(d)
	}
	begun := f.want(200, http.MethodPost, "/v1/usage/rerate", `{"since":"2026-07-01T00:00:00Z","until":"2026-07-16T00:00:00Z","apply":true}`)
	done := f.want(200, http.MethodGet, "/v1/usage/rerates/"+begun.get("id").(string), "")
	if d := cmp.Diff(sums(0), done.get("total")); d != "" || done.get("status") != "done" || begun.get("status") != "running" {
		t.Errorf("%s\n%s", begun.body, done.body)
	}
	row := f.want(200, http.MethodGet, "/v1/usage", "").get("data").([]any)[0].(map[string]any)
	if row["rerate_id"] != begun.get("id") || cmp.Diff(usd("1.25"), row["computed_cost"]) != "" {
		t.Errorf("%v", row)
	}
	f.wantError(f.do(http.MethodPost, "/v1/usage/rerate", `{"since":"2026-07-01T00:00:00Z","at":"2026-07-01T00:00:00Z","apply":true}`),
		400, "invalid_request_error", "invalid_request")
	f.wantError(f.do(http.MethodPost, "/v1/usage/rerate", `{}`), 400, "invalid_request_error", "invalid_request")
	_, theirs := f.newTenant(account.PlanFree)
	f.wantError(f.do(http.MethodGet, "/v1/usage/rerates/"+begun.get("id").(string), "", "x-api-key: "+theirs), 404, "not_found_error",
		"usage_rerate_not_found")
}

// fieldOf returns where the first fault of an answer is.
func fieldOf(a answer) string {
	fields, _ := a.get("error", "details", "fields").([]any)
	if len(fields) == 0 {
		return ""
	}
	path, _ := fields[0].(map[string]any)["path"].(string)
	return path
}
