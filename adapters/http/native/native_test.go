package native

import (
	"encoding/json"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
)

func TestRouting(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	for _, path := range []string{
		"/", "/v1", "/v2/agents", "/v1/api_keys/", "//v1/account", "/v1/./account", "/v1/x/../account", "/v1/acc%00ount", "/v1/%ff",
	} {
		f.wantError(f.do(http.MethodGet, path, ""), 404, "not_found_error", "route_not_found")
	}
	for _, method := range []string{http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions, "BREW"} {
		a := f.do(method, "/v1/api_keys", "")
		f.wantError(a, 405, "invalid_request_error", "method_not_allowed")
		if got := a.Header.Get("Allow"); got != "GET, POST, HEAD" {
			t.Errorf("%s: Allow %q", method, got)
		}
	}
	for _, path := range []string{"/healthz", "/readyz", "/openapi.json", "/docs"} {
		f.want(200, http.MethodGet, path, "", "x-api-key: ")
	}
	for range 1100 { // probes are not limited
		f.want(200, http.MethodGet, "/healthz", "", "x-api-key: ")
	}
	if a := f.want(200, http.MethodGet, "/healthz", "", "x-api-key: nonsense"); strings.TrimSpace(string(a.body)) != `{"ok":true}` {
		t.Fatalf("%s", a.body)
	}
	f.wantError(f.do(http.MethodGet, "/v1/account", "", "x-api-key: "), 401, "authentication_error", "missing_api_key")
	f.wantError(f.do(http.MethodGet, "/v1/account", "", "x-api-key: nonsense"), 401, "authentication_error", "invalid_api_key")
	f.want(200, http.MethodGet, "/v1/account?unknown=1&x=%zz&utf=%ff", "")
}

func TestBodies(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	for body, want := range map[string]string{
		"{\n  \"name\": \"a\",\n}":         "line 3, column 1",
		`{"name":"a"} x`:                   "offset 13",
		`{"name":"a","name":"b"}`:          "name",
		`{"scopes":[{"a":{"b":1,"b":2}}]}`: "scopes[0].a.b",
		"{\"name\":\"\xff\"}":              "UTF-8",
		`{"name":"a\u0000"}`:               "U+0000",
		strings.Repeat("[", 1000):          "nested too deeply",
		` `:                                "ends too early",
		`null`:                             "expected object",
	} {
		a := f.do(http.MethodPost, "/v1/api_keys", body)
		f.wantError(a, 400, "invalid_request_error", a.code())
		if !strings.Contains(string(a.body), want) {
			t.Errorf("%q: %s", body, a.body)
		}
	}
	for _, ct := range []string{"text/plain", "application/x-www-form-urlencoded", "nonsense", "application/json; charset=utf-8"} {
		f.want(201, http.MethodPost, "/v1/api_keys", `{}`, "Content-Type: "+ct, "Accept: text/html")
	}
	huge := f.do(http.MethodPost, "/v1/api_keys", `{"name":"`+strings.Repeat("x", 16<<20)+`"}`)
	f.wantError(huge, 413, "invalid_request_error", "body_too_large")
	secret := f.do(http.MethodPost, "/v1/api_keys", `{"name":{"password":"hunter2"},"expires_at":"hunter2"}`)
	f.wantError(secret, 400, "invalid_request_error", "invalid_request")
	if n := len(secret.get("error", "details", "fields").([]any)); n != 2 || strings.Contains(string(secret.body), "hunter2") {
		t.Fatalf("%s", secret.body)
	}
}

func TestQuery(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	for query, path := range map[string]string{
		"limit=0": "query.limit", "limit=101": "query.limit", "limit=x": "query.limit", "limit=": "query.limit", "limit=1&limit=2": "query.limit",
		"limit=%2B1": "query.limit", "cursor=%00": "query.cursor", "cursor=%ff": "query.cursor", "cursor=abc": "cursor",
	} {
		a := f.do(http.MethodGet, "/v1/api_keys?"+query, "")
		f.wantError(a, 400, "invalid_request_error", "invalid_request")
		fields := a.get("error", "details", "fields").([]any)
		if len(fields) != 1 || fields[0].(map[string]any)["path"] != path {
			t.Errorf("%s: %s", query, a.body)
		}
	}
}

func TestMetrics(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.want(200, http.MethodGet, "/v1/account", "")
	f.want(404, http.MethodGet, "/nothing", "")
	a := f.want(200, http.MethodGet, "/metrics", "")
	for _, line := range []string{
		`bureau_http_requests_total{face="native",method="GET",route="/v1/account",status="2xx"} 1`,
		`bureau_http_requests_total{face="native",method="",route="",status="4xx"} 1`,
	} {
		if !strings.Contains(string(a.body), line) {
			t.Errorf("no %s in\n%s", line, a.body)
		}
	}
	_, theirs := f.newTenant("unlimited")
	f.want(403, http.MethodGet, "/metrics", "", "x-api-key: "+theirs)
}

// schemaNames are those that OpenAPI allows.
var schemaNames = regexp.MustCompile(`^[a-zA-Z0-9._-]+$`)

func TestDocument(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	a := f.want(200, http.MethodGet, "/openapi.json", "")
	var doc struct {
		OpenAPI string
		Tags    []struct{ Name string }
		Paths   map[string]map[string]struct {
			OperationID, Summary, Description string
			Tags                              []string
			Security                          []map[string][]string
			Parameters                        []struct{ Name, Description string }
			RequestBody                       struct {
				Content map[string]struct{ Example json.RawMessage }
			}
			Responses map[string]any
		}
		Components struct{ Schemas map[string]any }
	}
	if err := json.Unmarshal(a.body, &doc); err != nil {
		t.Fatal(err)
	}
	tagged := make(map[string]bool)
	for _, tag := range doc.Tags {
		tagged[tag.Name] = true
	}
	seen := make(map[string]string)
	isPublic := make(map[string]bool)
	for _, route := range public {
		isPublic[route] = true
	}
	for path, item := range doc.Paths {
		for method, op := range item {
			route := strings.ToUpper(method) + " " + path
			if other, taken := seen[op.OperationID]; taken || op.OperationID == "" {
				t.Errorf("%s: operationId %q, also of %s", route, op.OperationID, other)
			}
			seen[op.OperationID] = route
			if len(op.Tags) != 1 || !tagged[op.Tags[0]] {
				t.Errorf("%s: tags %v are not declared", route, op.Tags)
			}
			if op.Summary == "" || op.Description == "" {
				t.Errorf("%s: no summary or no description", route)
			}
			for _, param := range op.Parameters {
				if param.Description == "" {
					t.Errorf("%s: the parameter %s is not described", route, param.Name)
				}
			}
			if body, is := op.RequestBody.Content["application/json"]; is && body.Example == nil && !isPublic[route] {
				t.Errorf("%s: no example of a body", route)
			}
			keyless := len(op.Security) == 0 || slices.ContainsFunc(op.Security, func(s map[string][]string) bool { return len(s) == 0 })
			if isPublic[route] != keyless {
				t.Errorf("%s: security %v", route, op.Security)
			}
			if !isPublic[route] {
				f.want(401, strings.ToUpper(method), strings.NewReplacer("{", "", "}", "").Replace(path), "", "x-api-key: ")
			}
		}
	}
	for name := range doc.Components.Schemas {
		if !schemaNames.MatchString(name) {
			t.Errorf("a schema is called %q", name)
		}
	}
	page := f.want(200, http.MethodGet, "/docs", "", "x-api-key: ")
	csp := page.Header.Get("Content-Security-Policy")
	if !strings.Contains(csp, "default-src 'none'") || strings.Contains(string(page.body), "<script") || strings.Contains(string(page.body), "ZgotmplZ") {
		t.Fatalf("%s\n%s", csp, page.body)
	}
	if !strings.Contains(string(page.body), `id="createAPIKey"`) {
		t.Fatalf("%s", page.body)
	}
}

func TestMount(t *testing.T) {
	t.Parallel()
	say := func(text string) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(text)) })
	}
	h := mount(say("api"), map[string]http.Handler{"/compat/valar": say("valar"), "/compat": say("compat")})
	for path, want := range map[string]string{
		"/v1/agents": "api", "/compat/valar": "valar", "/compat/valar/x": "valar", "/compat/valarx": "compat", "/compatible": "api",
	} {
		w := &recorder{header: make(http.Header)}
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, path, nil)
		if err != nil {
			t.Fatal(err)
		}
		h.ServeHTTP(w, r)
		if got := w.body.String(); got != want {
			t.Errorf("%s: %s, want %s", path, got, want)
		}
	}
}

type recorder struct {
	header http.Header
	body   strings.Builder
}

func (r *recorder) Header() http.Header         { return r.header }
func (r *recorder) WriteHeader(int)             {}
func (r *recorder) Write(b []byte) (int, error) { return r.body.Write(b) }
