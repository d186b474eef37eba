package native

import (
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/bureau-agents/bureau/adapters/keeper/aesgcm"
	"github.com/bureau-agents/bureau/adapters/oauth/refresh"
	"github.com/bureau-agents/bureau/core/account/accounttest"
	"github.com/bureau-agents/bureau/core/secret"
	"github.com/bureau-agents/bureau/ports/egress"
	"github.com/bureau-agents/bureau/ports/id"
)

// withVaults adds vaults whose servers may be at the given addresses.
func withVaults(allow ...string) func(*fixture, *Deps) {
	return func(f *fixture, d *Deps) {
		guard, err := egress.New(egress.Config{Allow: allow})
		if err != nil {
			f.t.Fatal(err)
		}
		client, err := refresh.New(refresh.Config{Endpoints: guard.HTTPClient(), Servers: guard.HTTPClient()})
		if err != nil {
			f.t.Fatal(err)
		}
		k, err := aesgcm.New(aesgcm.Config{Root: aesgcm.NewSecret()})
		if err != nil {
			f.t.Fatal(err)
		}
		d.Secrets, err = secret.NewService(secret.Deps{
			TX: f.store, Clock: f.clock, IDs: id.NewGenerator(f.clock.Now), Logger: slog.New(slog.DiscardHandler), Keeper: k,
			Vaults: f.store.Vaults(), Credentials: f.store.Credentials(), Guard: guard, Exchanger: client, Prober: client, Audit: &accounttest.Audit{},
		}, secret.Config{})
		if err != nil {
			f.t.Fatal(err)
		}
	}
}

func (a answer) text(path ...string) string { s, _ := a.get(path...).(string); return s }

func TestVaults(t *testing.T) {
	t.Parallel()
	f := newFixture(t, withVaults())
	v := f.want(201, "POST", "/v1/vaults", `{"name":"CRM","metadata":{"a":"1"}}`)
	if v.text("type") != "vault" || v.text("display_name") != "CRM" || v.text("metadata", "a") != "1" || v.get("archived_at") != nil ||
		v.get("credential_id") != nil || !strings.HasPrefix(v.text("id"), "vlt_") {
		t.Fatalf("%s", v.body)
	}
	path := "/v1/vaults/" + v.text("id")
	for _, method := range []string{"POST", "PATCH", "PUT"} {
		got := f.want(200, method, path, fmt.Sprintf(`{"display_name":"by %s","metadata":{"%s":"2","a":null}}`, method, method))
		if got.text("display_name") != "by "+method || got.get("metadata", "a") != nil || got.text("metadata", method) != "2" {
			t.Fatalf("%s", got.body)
		}
	}
	// null changes nothing where nothing can be cleared.
	got := f.want(200, "POST", path, `{"display_name":null,"metadata":null,"auth":null}`)
	if got.text("display_name") != "by PUT" || got.text("metadata", "PUT") != "2" {
		t.Fatalf("%s", got.body)
	}
	for body, field := range map[string]string{
		`{}`:                                    "display_name",
		`{"display_name":""}`:                   "display_name",
		`{"display_name":"x","token":"s"}`:      "", // named after the vault
		`{"name":"x","token":"s","secret":"t"}`: "token",
		`{"name":"x","mcp_server_url":"https://a.example"}`:                "token",
		`{"name":"x","token":"s","mcp_server_url":"http://127.0.0.1/mcp"}`: "auth.mcp_server_url",
		`{"name":"x","auth":{"type":"static_bearer"}}`:                     "auth.token",
		`{"name":"x","auth":{"type":"environment_variable","secret_name":"A","secret_value":"v","networking":{"type":"limited","allowed_hosts":["a:1"]}}}`: "auth.networking.allowed_hosts[0]",
	} {
		a := f.do("POST", "/v1/vaults", body)
		if field == "" {
			if a.StatusCode != 201 {
				t.Errorf("%s: %s", body, a.body)
			}
			continue
		}
		if a.StatusCode != 400 || !strings.Contains(string(a.body), `"path":"`+field+`"`) {
			t.Errorf("%s: %d %s", body, a.StatusCode, a.body)
		}
	}
	archived := f.want(200, "POST", path+"/archive", "")
	if archived.get("archived_at") == nil {
		t.Fatalf("%s", archived.body)
	}
	f.wantError(f.do("POST", path, `{"display_name":"x"}`), 409, "conflict_error", "vault_archived")
	f.wantError(f.do("POST", path+"/credentials", `{"auth":{"type":"static_bearer","token":"t","mcp_server_url":"https://a.example"}}`), 409, "conflict_error", "vault_archived")
	for query, n := range map[string]int{"": 1, "?archived=true": 2, "?include_archived=true": 2} {
		list := f.want(200, "GET", "/v1/vaults"+query, "")
		if data, _ := list.get("data").([]any); len(data) != n {
			t.Errorf("%q: %d vaults", query, len(data))
		}
	}
	gone := f.want(200, "DELETE", path, "")
	if gone.text("type") != "vault_deleted" || gone.text("id") != v.text("id") {
		t.Errorf("%s", gone.body)
	}
	f.wantError(f.do("GET", path, ""), 404, "not_found_error", "vault_not_found")
}

// TestSecretsAreNotAnswered gives every kind of secret in every way, and looks for it in every answer, replays included.
func TestSecretsAreNotAnswered(t *testing.T) {
	t.Parallel()
	f := newFixture(t, withVaults())
	var all strings.Builder
	say := func(status int, method, path, body string, header ...string) answer {
		t.Helper()
		a := f.want(status, method, path, body, header...)
		all.Write(a.body)
		return a
	}
	v := say(201, "POST", "/v1/vaults", `{"display_name":"v","secret":"sekrit-one","secret_name":"ONE"}`, "Idempotency-Key: k1")
	say(201, "POST", "/v1/vaults", `{"display_name":"v","secret":"sekrit-one","secret_name":"ONE"}`, "Idempotency-Key: k1")
	path := "/v1/vaults/" + v.text("id")
	say(200, "PATCH", path, `{"secret":"sekrit-two"}`)
	c := say(201, "POST", path+"/credentials", `{"display_name":"c","auth":{"type":"mcp_oauth","access_token":"sekrit-three",
		"mcp_server_url":"https://mcp.example.com/mcp","expires_at":"2100-01-01T00:00:00Z","refresh":{"client_id":"id","refresh_token":"sekrit-four",
		"token_endpoint":"https://auth.example.com/token","token_endpoint_auth":{"type":"client_secret_basic","client_secret":"sekrit-five"},"scope":"s"}}}`)
	if c.text("auth", "refresh", "token_endpoint_auth", "type") != "client_secret_basic" || c.text("auth", "expires_at") != "2100-01-01T00:00:00.000Z" ||
		c.get("auth", "secret_name") != nil {
		t.Errorf("%s", c.body)
	}
	at := path + "/credentials/" + c.text("id")
	say(200, "POST", at, `{"auth":{"type":"mcp_oauth","access_token":"sekrit-six","refresh":{"refresh_token":"sekrit-seven","scope":null,
		"token_endpoint_auth":{"type":"client_secret_post","client_secret":"sekrit-eight"}}}}`)
	e := say(201, "POST", path+"/credentials", `{"auth":{"type":"environment_variable","secret_name":"TWO","secret_value":"sekrit-nine",
		"networking":{"type":"limited","allowed_hosts":["*.example.com"]},"injection_location":{"body":true}}}`)
	if e.get("display_name") != nil || e.get("auth", "injection_location", "body") != true || e.get("auth", "injection_location", "header") != true ||
		e.text("auth", "networking", "type") != "limited" {
		t.Errorf("%s", e.body)
	}
	say(200, "GET", at, "")
	say(200, "GET", path+"/credentials", "")
	say(200, "GET", "/v1/vaults", "")
	say(409, "POST", path+"/credentials", `{"auth":{"type":"environment_variable","secret_name":"TWO","secret_value":"sekrit-ten"}}`)
	say(400, "POST", path+"/credentials", `{"auth":{"type":"static_bearer","token":"sekrit\n-eleven","mcp_server_url":"https://b.example.com"}}`)
	say(400, "PATCH", at, `{"auth":{"type":"static_bearer","token":"sekrit-twelve"}}`)
	say(400, "PATCH", at, `{"auth":{"mcp_server_url":"https://sekrit.example.com"}}`)
	say(200, "POST", at+"/archive", "")
	say(200, "DELETE", at, "")
	if strings.Contains(all.String(), "sekrit") || strings.Contains(f.log.String(), "sekrit") {
		t.Errorf("a secret is shown: %s", all.String())
	}
	if d := say(404, "DELETE", at, ""); d.code() != "vault_credential_not_found" {
		t.Errorf("%s", d.body)
	}
}

func TestValidateCredential(t *testing.T) {
	t.Parallel()
	good := "old-token"
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Path == "/token":
			good = "new-token"
			_, _ = fmt.Fprint(w, `{"access_token":"new-token","expires_in":3600}`)
		case r.Header.Get("Authorization") != "Bearer "+good:
			http.Error(w, "refused: "+r.Header.Get("Authorization"), http.StatusUnauthorized)
		}
	}))
	defer srv.Close()
	f := newFixture(t, withVaults(strings.TrimPrefix(srv.URL, "http://")))
	path := "/v1/vaults/" + f.want(201, "POST", "/v1/vaults", `{"name":"v"}`).text("id") + "/credentials"
	add := func(body string) string {
		t.Helper()
		return path + "/" + f.want(201, "POST", path, body).text("id")
	}
	bearer := add(`{"display_name":"b","auth":{"type":"static_bearer","token":"wrong-token","mcp_server_url":"` + srv.URL + `/a"}}`)
	got := f.want(200, "POST", bearer+"/mcp_oauth_validate", "")
	if got.text("status") != "invalid" || got.get("has_refresh_token") != false || got.get("refresh") != nil || got.text("mcp_probe", "method") != "initialize" ||
		got.get("mcp_probe", "http_response", "status_code") != 401.0 || got.text("mcp_probe", "http_response", "body") != "refused: Bearer [redacted:b]\n" {
		t.Errorf("%s", got.body)
	}
	oauth := add(`{"auth":{"type":"mcp_oauth","access_token":"stale-token","mcp_server_url":"` + srv.URL + `/b","refresh":{"client_id":"c",
		"refresh_token":"refresh-me","token_endpoint":"` + srv.URL + `/token","token_endpoint_auth":{"type":"none"}}}}`)
	got = f.want(200, "POST", oauth+"/mcp_oauth_validate", "")
	if got.text("type") != "vault_credential_validation" || got.text("status") != "valid" || got.get("has_refresh_token") != true ||
		got.text("refresh", "status") != "succeeded" || got.get("refresh", "http_response") != nil || got.get("mcp_probe") != nil ||
		got.text("credential_id") == "" || got.text("vault_id") == "" || got.text("validated_at") == "" {
		t.Errorf("%s", got.body)
	}
	env := add(`{"auth":{"type":"environment_variable","secret_name":"A","secret_value":"v"}}`)
	if a := f.want(400, "POST", env+"/mcp_oauth_validate", ""); a.code() != "vault_invalid" {
		t.Errorf("%s", a.body)
	}
}
