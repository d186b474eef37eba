package native

import (
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/bureau-agents/bureau/core/account"
)

func TestUsage(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	a := f.agentID()
	dollars := func(s string) map[string]any { return map[string]any{"amount": s, "currency": "USD"} }
	made := f.want(201, http.MethodPost, "/v1/usage", `{"agent_id":"`+a.String()+`","model":"claude-sonnet-4-20250514","provider":"anthropic",
		"tokens_input":1500,"tokens_output":800,"cached_tokens":200,"cost":"0.02","avg_latency_ms":1200}`)
	want := map[string]any{
		"id": made.get("id"), "type": "usage", "agent_id": a.String(), "session_id": nil, "model": "claude-sonnet-4-20250514",
		"provider": "anthropic", "tokens_input": 1500.0, "tokens_output": 800.0, "cached_tokens": 200.0, "cache_write_tokens": 0.0,
		"cache_write_1h_tokens": 0.0, "reasoning_tokens": 0.0, "api_calls": 1.0, "errors": 0.0, "avg_latency_ms": 1200.0, "cost": dollars("0.02"),
		"computed_cost": dollars("0.01656"), "price": "anthropic/claude-sonnet-4-20250514", "price_id": nil,
		"service_tier": nil, "modifiers": []any{}, "flags": []any{}, "rerate_id": nil, "created_at": "2026-07-15T12:30:00.000Z",
	}
	if d := cmp.Diff(want, made.json); d != "" {
		t.Error(d)
	}
	unknown := f.want(201, http.MethodPost, "/v1/usage", `{"agent_id":"`+a.String()+`","model":"unheard-of","tokens_input":7,"api_calls":2}`)
	if unknown.get("computed_cost") != nil || unknown.get("cost") != nil || unknown.get("price") != nil || unknown.get("provider") != nil {
		t.Errorf("%s", unknown.body)
	}
	list := f.want(200, http.MethodGet, "/v1/usage?limit=1", "")
	if d := cmp.Diff([]any{unknown.json}, list.get("data")); d != "" {
		t.Error(d)
	}
	list = f.want(200, http.MethodGet, "/v1/usage?provider=anthropic&agent_id="+a.String(), "")
	if d := cmp.Diff([]any{want}, list.get("data")); d != "" {
		t.Error(d)
	}
	sums := func(rows, in, out, cached, calls float64, cost, computed string, unpriced float64) map[string]any {
		return map[string]any{
			"rows": rows, "tokens_input": in, "tokens_output": out, "cached_tokens": cached, "cache_write_tokens": 0.0, "reasoning_tokens": 0.0,
			"api_calls": calls, "errors": 0.0, "avg_latency_ms": map[bool]any{true: 1200.0}[cached > 0],
			"cost": dollars(cost), "computed_cost": dollars(computed), "unpriced": unpriced,
		}
	}
	keyed := func(key string, s map[string]any) map[string]any { s["key"] = key; return s }
	total := func() map[string]any { return sums(2, 1507, 800, 200, 3, "0.02", "0.01656", 1) }
	for by, groups := range map[string][]any{
		"":               {},
		"group_by=agent": {keyed(a.String(), total())},
		"group_by=day":   {keyed("2026-07-15", total())},
		"group_by=model": {
			keyed("claude-sonnet-4-20250514", sums(1, 1500, 800, 200, 1, "0.02", "0.01656", 0)), keyed("unheard-of", sums(1, 7, 0, 0, 2, "0", "0", 1)),
		},
		"group_by=provider": {
			keyed("", sums(1, 7, 0, 0, 2, "0", "0", 1)), keyed("anthropic", sums(1, 1500, 800, 200, 1, "0.02", "0.01656", 0)),
		},
	} {
		got := f.want(200, http.MethodGet, "/v1/usage/summary?"+by, "")
		if d := cmp.Diff(map[string]any{"groups": groups, "total": total()}, got.json); d != "" {
			t.Errorf("%s: %s", by, d)
		}
	}
	f.wantError(f.do(http.MethodGet, "/v1/usage/summary?group_by=colour", ""), 400, "invalid_request_error", "invalid_request")

	_, theirs := f.newTenant(account.PlanFree)
	theirs = "x-api-key: " + theirs
	f.wantError(f.do(http.MethodPost, "/v1/usage", `{"agent_id":"`+a.String()+`","model":"m"}`, theirs), 404, "not_found_error", "agent_not_found")
	if got := f.want(200, http.MethodGet, "/v1/usage", "", theirs); len(got.get("data").([]any)) != 0 {
		t.Errorf("another tenant sees %s", got.body)
	}
	for _, body := range []string{
		`{"model":"m"}`, `{"agent_id":"x"}`, `{"agent_id":"x","model":"m","tokens_input":-1}`, `{"agent_id":"x","model":"m","tokens_input":1.5}`,
	} {
		f.wantError(f.do(http.MethodPost, "/v1/usage", body), 400, "invalid_request_error", "invalid_request")
	}
	f.wantError(f.do(http.MethodPost, "/v1/usage", `{"agent_id":"`+a.String()+`","model":"gpt-5.4-pro","tokens_output":999999999999}`),
		400, "invalid_request_error", "usage_cost_overflow")
	f.wantError(f.do(http.MethodPost, "/v1/usage", `{"agent_id":"`+a.String()+`","model":"m","cost":"1e3"}`),
		400, "invalid_request_error", "invalid_request")
	reader := "x-api-key: " + f.newKey(account.TelemetryRead)
	f.want(200, http.MethodGet, "/v1/usage", "", reader)
	f.wantError(f.do(http.MethodPost, "/v1/usage", `{"agent_id":"`+a.String()+`","model":"m"}`, reader), 403, "permission_error", "permission_denied")
}

func TestPrices(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	got := f.want(200, http.MethodGet, "/v1/prices", "")
	items, _ := got.get("data").([]any)
	if len(items) < 90 || got.get("has_more") != false {
		t.Fatalf("%d prices", len(items))
	}
	for _, i := range items {
		p := i.(map[string]any)
		if p["model"] != "claude-sonnet-4-5" || p["provider"] != "anthropic" {
			continue
		}
		rates := func(in, out, read, write string, hour any) map[string]any {
			return map[string]any{
				"input": in, "output": out, "cache_read": read, "cache_write": write, "cache_write_1h": hour, "reasoning": nil,
				"services": map[string]any{},
			}
		}
		want := map[string]any{
			"id": nil, "type": "price", "own": false, "deprecated_at": nil, "set_at": nil, "set_by": nil, "superseded_at": nil,
			"source": map[string]any{
				"text": "LiteLLM price map, 2026-08-01",
				"url":  "https://github.com/BerriAI/litellm/blob/main/model_prices_and_context_window.json",
			},
			"provider": "anthropic", "model": "claude-sonnet-4-5", "valid_from": nil, "valid_until": nil, "multipliers": map[string]any{"batch": 500.0},
			"rates": rates("3.00", "15.00", "0.30", "3.75", "6.00"),
			"tiers": []any{map[string]any{"above_input_tokens": 200000.0, "rates": rates("6.00", "22.50", "0.60", "7.50", nil)}},
		}
		if d := cmp.Diff(want, p); d != "" {
			t.Error(d)
		}
		return
	}
	t.Error("claude-sonnet-4-5 has no price")
}
