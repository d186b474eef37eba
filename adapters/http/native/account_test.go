package native

import (
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/bureau-agents/bureau/core/account"
)

func TestAPIKeys(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	made := f.want(201, http.MethodPost, "/v1/api_keys", `{"name":"ci","scopes":["agents:read"],"expires_at":"2027-01-01T00:00:00Z"}`)
	secret, _ := made.get("key").(string)
	if !strings.HasPrefix(secret, "bur_") || !strings.HasPrefix(secret, made.get("prefix").(string)) {
		t.Fatalf("%s", made.body)
	}
	want := map[string]any{
		"id": made.get("id"), "type": "api_key", "name": "ci", "prefix": made.get("prefix"), "scopes": []any{"agents:read"},
		"created_at": "2026-07-15T12:30:00.000Z", "expires_at": "2027-01-01T00:00:00.000Z", "last_used_at": nil,
	}
	list := f.want(200, http.MethodGet, "/v1/api_keys?limit=1", "")
	if d := cmp.Diff([]any{want}, list.get("data")); d != "" {
		t.Fatal(d)
	}
	if list.get("has_more") != true || list.get("next_page") == nil {
		t.Fatalf("%s", list.body)
	}
	rest := f.want(200, http.MethodGet, "/v1/api_keys?page="+list.get("next_page").(string), "")
	if rest.get("has_more") != false || rest.get("next_page") != nil || len(rest.get("data").([]any)) != 1 {
		t.Fatalf("%s", rest.body)
	}
	bearer := []string{"x-api-key: ", "Authorization: Bearer " + secret}
	f.want(200, http.MethodGet, "/v1/account", "", bearer...)
	f.wantError(f.do(http.MethodGet, "/v1/api_keys", "", bearer...), 403, "permission_error", "permission_denied")

	path := "/v1/api_keys/" + made.get("id").(string)
	gone := f.want(200, http.MethodDelete, path, "")
	if d := cmp.Diff(map[string]any{"id": made.get("id"), "type": "api_key_deleted"}, gone.json); d != "" {
		t.Fatal(d)
	}
	f.wantError(f.do(http.MethodGet, "/v1/account", "", bearer...), 401, "authentication_error", "invalid_api_key")
	f.wantError(f.do(http.MethodDelete, path, ""), 404, "not_found_error", "api_key_not_found")
	f.wantError(f.do(http.MethodDelete, "/v1/api_keys/agent_01h455vb4pex5vsknk084sn02q", ""), 404, "not_found_error", "api_key_not_found")
}

func TestAPIKeyFaults(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	for body, path := range map[string]string{
		`{"scopes":["agents:read","fly"]}`:            "scopes[1]",
		`{"scope":["agents:read"]}`:                   "scope",
		`{"expires_at":"2020-01-01T00:00:00Z"}`:       "expires_at",
		`{"expires_at":"tomorrow"}`:                   "expires_at",
		`{"name":7}`:                                  "name",
		`{"name":"a","Name":"b"}`:                     "Name",
		`{"name":"` + strings.Repeat("x", 101) + `"}`: "name",
	} {
		a := f.do(http.MethodPost, "/v1/api_keys", body)
		f.wantError(a, 400, "invalid_request_error", a.code())
		fields, _ := a.get("error", "details", "fields").([]any)
		if len(fields) != 1 || fields[0].(map[string]any)["path"] != path {
			t.Errorf("%s: %s", body, a.body)
		}
	}
}

func TestTenants(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	made := f.want(201, http.MethodPost, "/v1/tenants", `{"name":"Acme","plan":"builder"}`)
	if made.get("plan") != "pro" || made.get("name") != "Acme" || made.get("standing") != "active" {
		t.Fatalf("%s", made.body)
	}
	theirs := "x-api-key: " + made.get("api_key").(string)
	acc := f.want(200, http.MethodGet, "/v1/account", "", theirs)
	want := map[string]any{
		"id": made.get("id"), "type": "account", "name": "Acme", "standing": "active", "usage": map[string]any{"agents": 0.0, "running_agents": 0.0},
		"credits_total": 500.0, "credits_remaining": 500.0, "credits_reset_at": "2026-08-01T00:00:00.000Z",
		"features": map[string]any{"api_access": true, "swarms": true},
		"plan": map[string]any{"id": "pro", "name": "Pro", "limits": map[string]any{
			"max_agents": 10.0, "max_skills_per_agent": 20.0, "monthly_credits": 500.0, "requests_per_minute": 1000.0, "daily_validations": -1.0,
		}},
	}
	if d := cmp.Diff(want, acc.json); d != "" {
		t.Fatal(d)
	}
	f.wantError(f.do(http.MethodPost, "/v1/tenants", `{"name":"Next"}`, theirs), 403, "permission_error", "permission_denied")
	mine := f.admin.Tenant.String()
	f.wantError(f.do(http.MethodGet, "/v1/tenants/"+mine, "", theirs), 404, "not_found_error", "tenant_not_found")
	f.want(200, http.MethodGet, "/v1/tenants/"+made.get("id").(string), "", theirs)
	f.want(200, http.MethodGet, "/v1/tenants/"+made.get("id").(string), "")
	f.wantError(f.do(http.MethodPost, "/v1/tenants", `{"name":" "}`), 400, "invalid_request_error", "invalid_request")
	f.wantError(f.do(http.MethodPost, "/v1/tenants", `{"name":"x","plan":"gold"}`), 400, "invalid_request_error", "invalid_request")
	f.wantError(f.do(http.MethodPost, "/v1/tenants", ``), 400, "invalid_request_error", "invalid_request")
}

func TestRateLimit(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	_, secret := f.newTenant(account.PlanFree)
	key := "x-api-key: " + secret
	for i := range 100 {
		a := f.want(200, http.MethodGet, "/v1/account", "", key)
		if i == 0 && (a.Header.Get("X-RateLimit-Limit") != "100" || a.Header.Get("X-RateLimit-Remaining") != "99" ||
			a.Header.Get("X-RateLimit-Reset") != "1784118660") {
			t.Fatalf("%v", a.Header)
		}
	}
	a := f.do(http.MethodGet, "/v1/account", "", key)
	f.wantError(a, 429, "rate_limit_error", "rate_limited")
	if a.Header.Get("Retry-After") != "60" || a.Header.Get("X-RateLimit-Remaining") != "0" {
		t.Fatalf("%v", a.Header)
	}
	f.want(200, http.MethodGet, "/v1/account", "")
	f.clock.Advance(60e9)
	f.want(200, http.MethodGet, "/v1/account", "", key)
	if a := f.want(200, http.MethodGet, "/v1/account", ""); a.Header.Get("X-RateLimit-Limit") != "-1" {
		t.Fatalf("%v", a.Header)
	}
}

func TestIdempotency(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	const body = `{"name":"once"}`
	first := f.want(201, http.MethodPost, "/v1/api_keys", body, "Idempotency-Key: k1")
	again := f.want(201, http.MethodPost, "/v1/api_keys", body, "Idempotency-Key: k1")
	if d := cmp.Diff(string(first.body), string(again.body)); d != "" {
		t.Fatal(d)
	}
	if again.Header.Get("Idempotent-Replayed") != "true" || first.Header.Get("Idempotent-Replayed") != "" {
		t.Fatalf("%v", again.Header)
	}
	other := f.do(http.MethodPost, "/v1/api_keys", `{"name":"twice"}`, "Idempotency-Key: k1")
	f.wantError(other, 409, "conflict_error", "idempotency_key_reused")
	if other.Header.Get("X-Should-Retry") != "false" {
		t.Fatalf("%v", other.Header)
	}
	// A refused request had no effect: the key is free.
	f.want(400, http.MethodPost, "/v1/api_keys", `{"name":7}`, "Idempotency-Key: k2")
	f.want(201, http.MethodPost, "/v1/api_keys", body, "Idempotency-Key: k2")
	f.wantError(f.do(http.MethodPost, "/v1/api_keys", body, "Idempotency-Key: "+strings.Repeat("x", 256)),
		400, "invalid_request_error", "invalid_request")

	f.clock.Advance(account.IdempotencySecretKept)
	f.wantError(f.do(http.MethodPost, "/v1/api_keys", body, "Idempotency-Key: k1"), 409, "conflict_error", "idempotency_answer_gone")
	list := f.want(200, http.MethodGet, "/v1/api_keys", "")
	if n := len(list.get("data").([]any)); n != 3 { // the bootstrap key, k1 and k2
		t.Fatalf("%d keys", n)
	}
}
