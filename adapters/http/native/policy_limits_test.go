package native

import (
	"fmt"
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestPolicyLimits(t *testing.T) {
	t.Parallel()
	f := newFixture(t, withGate)
	agent := f.newAgent()
	made := f.want(201, http.MethodPost, "/v1/policies", fmt.Sprintf(`{"scope":{"agent_id":%q},"limits":{
		"max_per_transaction":"100","per_run_limit":"50","new_payee":"require_approval",
		"windows":[
			{"measure":"amount","window":"day","rolling":true,"max":{"amount":"20","currency":"EUR"}},
			{"measure":"count","window":"hour","max_count":3},
			{"measure":"tokens","window":"run","max_count":9000},
			{"measure":"cost","window":"week","max":"5"}],
		"structuring":{"near_percent":80},
		"allowed_times":[{"days":["mon","fri"],"from":"09:00","to":"17:00","timezone":"Europe/Berlin"},{"from":"22:00","to":"02:00"}]}}`, agent))
	path := "/v1/policies/" + made.get("id").(string)
	money := func(amount, currency string) any { return map[string]any{"amount": amount, "currency": currency} }
	window := func(name, measure, window string, rolling bool, most, count any) any {
		return map[string]any{"name": name, "measure": measure, "window": window, "rolling": rolling, "max": most, "max_count": count}
	}
	want := map[string]any{
		"per_run_limit": money("50.00", "USDC"), "new_payee": "require_approval",
		"windows": []any{
			window("rolling_daily_limit", "amount", "day", true, money("20.00", "EUR"), nil),
			window("hourly_count_limit", "count", "hour", false, nil, 3.0),
			window("per_run_token_limit", "tokens", "run", false, nil, 9000.0),
			window("weekly_cost_limit", "cost", "week", false, money("5.00", "USD"), nil),
		},
		"structuring": map[string]any{"window_minutes": 60.0, "min_payments": 3.0, "near_percent": 80.0, "action": "deny"},
		"allowed_times": []any{
			map[string]any{"days": []any{"mon", "fri"}, "from": "09:00", "to": "17:00", "timezone": "Europe/Berlin"},
			map[string]any{"days": []any{}, "from": "22:00", "to": "02:00", "timezone": "UTC"},
		},
	}
	same := func(what string, got answer, want map[string]any) {
		t.Helper()
		shown := got.get("limits").(map[string]any)
		for name, w := range want {
			if d := cmp.Diff(w, shown[name]); d != "" {
				t.Errorf("%s: %s (-want +got):\n%s", what, name, d)
			}
		}
	}
	same("made", made, want)
	same("what is left out stays", f.want(200, http.MethodPatch, path, `{"limits":{"daily_limit":"9"}}`), want)
	same("replaced as a whole", f.want(200, http.MethodPatch, path, `{"limits":{"windows":[{"measure":"count","window":"all_time","max_count":0}]}}`),
		map[string]any{"windows": []any{window("all_time_count_limit", "count", "all_time", false, nil, 0.0)}, "new_payee": "require_approval"})
	same("null clears", f.want(200, http.MethodPatch, path,
		`{"limits":{"windows":null,"structuring":null,"new_payee":null,"allowed_times":null,"per_run_limit":null}}`),
		map[string]any{"windows": []any{}, "structuring": nil, "new_payee": "allow", "allowed_times": []any{}, "per_run_limit": nil})

	for field, limits := range map[string]string{
		"limits.windows[1].max":            `{"windows":[{"measure":"count","window":"day","max_count":1},{"measure":"count","window":"day","max":"1"}]}`,
		"limits.windows[0].max":            `{"windows":[{"measure":"amount","window":"day"}]}`,
		"limits.windows[0].max_count":      `{"windows":[{"measure":"amount","window":"day","max":"1","max_count":1}]}`,
		"limits.windows[0].rolling":        `{"windows":[{"measure":"count","window":"run","rolling":true,"max_count":1}]}`,
		"limits.windows[0]":                `{"daily_limit":"1","windows":[{"measure":"amount","window":"day","max":"2"}]}`,
		"limits.windows[0].max.currency":   `{"windows":[{"measure":"cost","window":"day","max":{"amount":"1","currency":"EUR"}}]}`,
		"limits.structuring":               `{"structuring":{}}`,
		"limits.structuring.min_payments":  `{"max_per_transaction":"1","structuring":{"near_percent":20,"min_payments":5}}`,
		"limits.allowed_times[0].to":       `{"allowed_times":[{"from":"09:00","to":"09:00"}]}`,
		"limits.allowed_times[0].from":     `{"allowed_times":[{"from":"9:00","to":"10:00"}]}`,
		"limits.allowed_times[0].timezone": `{"allowed_times":[{"from":"09:00","to":"10:00","timezone":"Europe/Nowhere"}]}`,
		"limits.windows[0].window":         `{"windows":[{"measure":"count","window":"year","max_count":1}]}`,
		"limits.new_payee":                 `{"new_payee":"perhaps"}`,
		"limits.allowed_times[0].days[0]":  `{"allowed_times":[{"days":["monday"],"from":"09:00","to":"10:00"}]}`,
		"limits.windows[0].maximum":        `{"windows":[{"measure":"count","window":"day","maximum":1}]}`,
	} {
		got := f.do(http.MethodPost, "/v1/policies", fmt.Sprintf(`{"scope":{"agent_id":%q},"limits":%s}`, agent, limits))
		fields, _ := got.get("error", "details", "fields").([]any)
		if got.StatusCode != 400 || len(fields) != 1 || fields[0].(map[string]any)["path"] != field {
			t.Errorf("%s: %d %s; want a 400 at %s", limits, got.StatusCode, got.body, field)
		}
	}
}
