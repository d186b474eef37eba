package native

import (
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/environment"
	"github.com/bureau-agents/bureau/core/session"
	"github.com/bureau-agents/bureau/ports/id"
)

func withEnvironments(f *fixture, d *Deps) {
	var err error
	d.Environments, err = environment.NewService(environment.Deps{
		TX: f.store, Clock: f.clock, IDs: id.NewGenerator(f.clock.Now), Logger: slog.New(slog.DiscardHandler),
		Repository: f.store.Environments(), Sessions: f.store.Environments(),
	})
	if err != nil {
		f.t.Fatal(err)
	}
}

func TestEnvironments(t *testing.T) {
	t.Parallel()
	f := newFixture(t, withEnvironments)
	made := f.want(201, http.MethodPost, "/v1/environments", `{"name":"py","description":"d","metadata":{"a":"1","b":"2"},
		"config":{"type":"cloud","networking":{"type":"limited","allowed_hosts":["API.example.com"],"allow_package_managers":true},
		"packages":{"type":"packages","pip":["pandas==2.2.0"],"npm":null}}}`)
	path := "/v1/environments/" + made.get("id").(string)
	want := decode(t, fmt.Sprintf(`{"id":%q,"type":"environment","name":"py","description":"d","metadata":{"a":"1","b":"2"},
		"config":{"type":"cloud","networking":{"type":"limited","allowed_hosts":["api.example.com"],"allow_mcp_servers":false,
		"allow_package_managers":true},"packages":{"type":"packages","apt":[],"cargo":[],"gem":[],"go":[],"npm":[],"pip":["pandas==2.2.0"]}},
		"scope":"organization","state":"active","created_at":"2026-07-15T12:30:00.000Z","updated_at":"2026-07-15T12:30:00.000Z",
		"archived_at":null}`, made.get("id")))
	if d := cmp.Diff(want, made.json); d != "" {
		t.Errorf("created (-want +got):\n%s", d)
	}
	if d := cmp.Diff(made.json, f.want(200, http.MethodGet, path, "").json); d != "" {
		t.Errorf("read (-made +read):\n%s", d)
	}

	f.clock.Advance(time.Minute)
	if got := f.want(200, http.MethodPost, path, `{"name":"py","config":{"type":"cloud"}}`).get("updated_at"); got != made.get("updated_at") {
		t.Errorf("what changes nothing moves updated_at to %v", got)
	}
	for i, method := range []string{http.MethodPost, http.MethodPatch, http.MethodPut} {
		got := f.want(200, method, path, fmt.Sprintf(`{"description":null,"metadata":{"a":null,"c":"%d"},
			"config":{"type":"cloud","packages":{"pip":["pandas==2.%d.0"],"npm":["x"]}}}`, i, i))
		if d := cmp.Diff(any(decode(t, fmt.Sprintf(`{"b":"2","c":"%d"}`, i))), got.get("metadata")); d != "" {
			t.Errorf("%s: metadata (-want +got):\n%s", method, d)
		}
		if got.get("description") != nil || got.get("updated_at") == made.get("updated_at") {
			t.Errorf("%s: %s", method, got.body)
		}
		if d := cmp.Diff(want["config"].(map[string]any)["networking"], got.get("config", "networking")); d != "" {
			t.Errorf("%s: networking (-want +got):\n%s", method, d)
		}
		if pip := got.get("config", "packages", "pip"); fmt.Sprint(pip) != fmt.Sprintf("[pandas==2.%d.0]", i) {
			t.Errorf("%s: pip %v", method, pip)
		}
	}

	for _, key := range []string{"", strings.Repeat("x", 65)} {
		f.wantError(f.do(http.MethodPost, path, `{"metadata":{"`+key+`":""}}`), 400, "invalid_request_error", "invalid_metadata")
	}
	same := f.want(200, http.MethodPost, path, `{"name":null,"config":null,"scope":null,"metadata":{"b":""}}`)
	if d := cmp.Diff(any(decode(t, `{"c":"2"}`)), same.get("metadata")); d != "" || same.get("name") != "py" {
		t.Errorf("nulls, and an empty text that removes a pair: %s", same.body)
	}

	plain := f.want(201, http.MethodPost, "/v1/environments", `{"name":"plain","config":null}`)
	if plain.get("config", "networking", "type") != "unrestricted" || len(plain.get("config", "networking").(map[string]any)) != 1 {
		t.Errorf("plain: %s", plain.body)
	}
	own := f.want(201, http.MethodPost, "/v1/environments", `{"name":"own","config":{"type":"self_hosted"},"scope":"account"}`)
	if d := cmp.Diff(any(decode(t, `{"type":"self_hosted"}`)), own.get("config")); d != "" || own.get("scope") != "account" {
		t.Errorf("self-hosted: %s", own.body)
	}

	archived := f.want(200, http.MethodPost, path+"/archive", "")
	if archived.get("state") != "archived" || archived.get("archived_at") == nil {
		t.Errorf("archived: %s", archived.body)
	}
	if d := cmp.Diff(archived.json, f.want(200, http.MethodPost, path+"/archive", "").json); d != "" {
		t.Errorf("archived again (-first +second):\n%s", d)
	}
	f.wantError(f.do(http.MethodPost, path, `{"name":"x"}`), 400, "invalid_request_error", "environment_archived")
	for query, n := range map[string]int{"": 2, "?archived=true": 3, "?include_archived=true": 3, "?limit=1": 1} {
		if got := f.want(200, http.MethodGet, "/v1/environments"+query, "").get("data").([]any); len(got) != n {
			t.Errorf("list%s has %d", query, len(got))
		}
	}

	if got := f.want(200, http.MethodDelete, path, ""); got.get("type") != "environment_deleted" || got.get("id") != made.get("id") {
		t.Errorf("deleted: %s", got.body)
	}
	for _, method := range []string{http.MethodGet, http.MethodDelete, http.MethodPost} {
		f.wantError(f.do(method, path, `{}`), 404, "not_found_error", "environment_not_found")
	}
}

func TestEnvironmentRefusals(t *testing.T) {
	t.Parallel()
	f := newFixture(t, withEnvironments)
	cloud := "/v1/environments/" + f.want(201, http.MethodPost, "/v1/environments", `{"name":"a"}`).get("id").(string)
	own := "/v1/environments/" + f.want(201, http.MethodPost, "/v1/environments",
		`{"name":"a","config":{"type":"self_hosted"}}`).get("id").(string)
	for _, c := range []struct{ path, body, code, field string }{
		{"/v1/environments", `{"name":"a","config":{"type":"cloud","dockerfile":"RUN x"}}`, "invalid_request", "config.dockerfile"},
		{"/v1/environments", `{"name":"a","config":{"packages":{"pip":["-r","x"]}}}`, "environment_invalid", "config.packages.pip[0]"},
		{
			"/v1/environments", `{"name":"a","config":{"networking":{"type":"limited"},"packages":{"pip":["x"]}}}`, "environment_invalid",
			"config.networking.allow_package_managers",
		},
		{
			"/v1/environments", `{"name":"a","config":{"networking":{"type":"limited","allowed_hosts":["https://x.y"]}}}`, "environment_invalid",
			"config.networking.allowed_hosts[0]",
		},
		{"/v1/environments", `{"name":"a","metadata":{"k":"` + strings.Repeat("x", 513) + `"}}`, "invalid_metadata", "metadata.k"},
		{cloud, `{"config":{"type":"self_hosted"}}`, "invalid_config_type_change", ""},
		{own, `{"config":{"type":"cloud"}}`, "invalid_config_type_change", ""},
		{cloud, `{"name":""}`, "invalid_request", "name"},
		{cloud, `{"config":{"networking":{"allowed_hosts":["a.b"]}}}`, "environment_invalid", "config.networking.type"},
	} {
		a := f.do(http.MethodPost, c.path, c.body)
		f.wantError(a, 400, "invalid_request_error", c.code)
		if c.field == "" {
			continue
		}
		fields, _ := a.get("error", "details", "fields").([]any)
		if len(fields) == 0 || fields[0].(map[string]any)["path"] != c.field {
			t.Errorf("%s: %s", c.body, a.body)
		}
	}
}

func TestEnvironmentInUse(t *testing.T) {
	t.Parallel()
	f := newFixture(t, withEnvironments)
	of := f.want(201, http.MethodPost, "/v1/environments", `{"name":"a"}`).get("id").(string)
	envID, err := id.Parse[id.EnvironmentKind](of)
	if err != nil {
		t.Fatal(err)
	}
	ids := id.NewGenerator(f.clock.Now)
	v := session.Session{
		ID: id.New[id.SessionKind](ids), Tenant: f.admin.Tenant, Agent: id.New[id.AgentKind](ids), AgentVersion: 1, Environment: envID,
		Active: session.StatusIdle, CreatedAt: f.clock.Now(), UpdatedAt: f.clock.Now(),
	}
	if err := f.store.Sessions().Create(t.Context(), account.System(f.admin.Tenant), v); err != nil {
		t.Fatal(err)
	}
	a := f.do(http.MethodDelete, "/v1/environments/"+of, "")
	f.wantError(a, 409, "conflict_error", "environment_in_use")
	if got := a.Header.Get("x-should-retry"); got != "false" {
		t.Errorf("x-should-retry %q", got)
	}
	if err := f.store.Sessions().Delete(t.Context(), account.System(f.admin.Tenant), v.ID, f.clock.Now()); err != nil {
		t.Fatal(err)
	}
	f.want(200, http.MethodDelete, "/v1/environments/"+of, "")
}
