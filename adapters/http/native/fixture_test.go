package native

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/bureau-agents/bureau/adapters/store/bunstore"
	"github.com/bureau-agents/bureau/adapters/store/sqlitetest"
	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/account/accounttest"
	"github.com/bureau-agents/bureau/core/card"
	"github.com/bureau-agents/bureau/core/validation"
	"github.com/bureau-agents/bureau/ports/clock/clocktest"
)

// adminSecret is the operator's key in tests.
const adminSecret = "admin-secret-for-tests"

// fixture is the API over a store of its own, served by httptest.
type fixture struct {
	t       *testing.T
	store   *bunstore.Store
	clock   *clocktest.Clock
	account *account.Service
	admin   account.Scope
	audit   *accounttest.Audit
	log     *bytes.Buffer
	url     string
}

// migrated is a database with every migration.
var migrated = sqlitetest.NewTemplate(func(path string) error {
	s, err := bunstore.Open(context.Background(), bunstore.Config{Path: path, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		return err
	}
	return s.Close()
})

// newFixture serves the API. The options complete or change the dependencies: they add the services of an area.
func newFixture(t *testing.T, options ...func(*fixture, *Deps)) *fixture {
	t.Helper()
	cfg := bunstore.Config{Path: t.TempDir() + "/bureau.db", Logger: slog.New(slog.DiscardHandler)}
	migrated.Copy(t, cfg.Path)
	store, err := bunstore.Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	f := &fixture{t: t, store: store, clock: clocktest.New(), log: new(bytes.Buffer)}
	deps := accounttest.Deps(store.Accounts(), store, f.clock)
	f.audit = deps.Auditor.(*accounttest.Audit)
	if f.account, err = account.NewService(deps, account.Config{}); err != nil {
		t.Fatal(err)
	}
	if _, err := f.account.Bootstrap(t.Context(), adminSecret, account.PlanUnlimited); err != nil {
		t.Fatal(err)
	}
	if f.admin, err = f.account.Authenticate(t.Context(), adminSecret); err != nil {
		t.Fatal(err)
	}
	registry := prometheus.NewRegistry()
	d := Deps{
		Settings: Settings{
			Clock: f.clock, Logger: slog.New(slog.NewTextHandler(f.log, nil)), Metrics: registry, RateScale: 1, Version: "test",
		},
		Account: f.account, Ready: store.Ping, Gatherer: registry,
	}
	d.Validation, err = validation.NewService(validation.Deps{
		TX: store, Clock: f.clock, IDs: deps.IDs, Logger: d.Logger, Judge: card.Validate, Allowances: store.Validations(),
		Reports: store.CardReports(), Cards: store.AgentCards(),
	}, validation.Config{RateScale: 1})
	if err != nil {
		t.Fatal(err)
	}
	f.addAgents(&d)
	f.provideBooks(&d)
	for _, o := range options {
		o(f, &d)
	}
	h, err := assemble(d, Config{})
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewServer(h)
	t.Cleanup(srv.Close)
	f.url = srv.URL
	return f
}

// answer is a response with its body read.
type answer struct {
	*http.Response
	body []byte
	json map[string]any
}

// do sends a request as the operator. header holds "Name: value" lines; "x-api-key: " sends no key.
func (f *fixture) do(method, path, body string, header ...string) answer {
	f.t.Helper()
	req, err := http.NewRequestWithContext(f.t.Context(), method, f.url+path, strings.NewReader(body))
	if err != nil {
		f.t.Fatal(err)
	}
	req.Header.Set("X-Api-Key", adminSecret)
	for _, h := range header {
		name, value, _ := strings.Cut(h, ": ")
		if value == "" {
			req.Header.Del(name)
			continue
		}
		req.Header.Set(name, value)
	}
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		f.t.Fatal(err)
	}
	defer resp.Body.Close()
	a := answer{Response: resp}
	if a.body, err = io.ReadAll(resp.Body); err != nil {
		f.t.Fatal(err)
	}
	if strings.HasPrefix(resp.Header.Get("Content-Type"), "application/json") && len(a.body) > 0 {
		if err := json.Unmarshal(a.body, &a.json); err != nil {
			f.t.Fatalf("%s %s: %v in %s", method, path, err, a.body)
		}
	}
	return a
}

// want sends a request and checks the status.
func (f *fixture) want(status int, method, path, body string, header ...string) answer {
	f.t.Helper()
	a := f.do(method, path, body, header...)
	if a.StatusCode != status {
		f.t.Fatalf("%s %s: status %d, want %d: %s", method, path, a.StatusCode, status, a.body)
	}
	return a
}

// get reads a value by its path of keys.
func (a answer) get(path ...string) any {
	var v any = a.json
	for _, p := range path {
		m, _ := v.(map[string]any)
		v = m[p]
	}
	return v
}

// wantError checks status, kind and code of an error, and that the envelope is whole.
func (f *fixture) wantError(a answer, status int, typ, code string) {
	f.t.Helper()
	got := []any{a.StatusCode, a.get("type"), a.get("error", "type"), a.get("error", "details", "error_code")}
	want := []any{status, "error", typ, code}
	for i := range want {
		if got[i] != want[i] {
			f.t.Fatalf("%s: got %v, want %v", a.body, got, want)
		}
	}
	if id := a.Header.Get("request-id"); id == "" || id != a.get("request_id") || !strings.HasPrefix(id, "req_") {
		f.t.Fatalf("request id: header %q, body %v", id, a.get("request_id"))
	}
	if m, _ := a.get("error", "message").(string); m == "" {
		f.t.Fatalf("no message: %s", a.body)
	}
}

// newTenant makes another tenant and returns its admin key.
func (f *fixture) newTenant(plan account.Plan) (account.Tenant, string) {
	f.t.Helper()
	tn, _, secret, err := f.account.CreateTenant(context.WithoutCancel(f.t.Context()), f.admin, "tenant", plan)
	if err != nil {
		f.t.Fatal(err)
	}
	return tn, secret
}

// newKey makes a key with the given permissions.
func (f *fixture) newKey(perms ...account.Permission) string {
	f.t.Helper()
	_, secret, err := f.account.CreateKey(f.t.Context(), f.admin, account.CreateKeyRequest{Permissions: perms})
	if err != nil {
		f.t.Fatal(err)
	}
	return secret
}

// code returns the error's code, "" for none.
func (a answer) code() string {
	s, _ := a.get("error", "details", "error_code").(string)
	return s
}
