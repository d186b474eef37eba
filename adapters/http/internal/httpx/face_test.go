package httpx

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/ports/clock/clocktest"
	"github.com/bureau-agents/bureau/ports/fault"
	"github.com/bureau-agents/bureau/ports/id"
)

// accounts lets "good" in and keeps idempotency records in memory.
type accounts struct {
	mu      sync.Mutex
	scope   account.Scope
	answers map[string]account.Answer
	busy    map[string]bool
	err     error
	ended   int
	left    int
	last    string
}

func (a *accounts) Authenticate(_ context.Context, secret string) (account.Scope, error) {
	if a.err != nil {
		return account.Scope{}, a.err
	}
	if secret != "good" {
		return account.Scope{}, account.ErrUnauthenticated
	}
	return a.scope, nil
}

func (a *accounts) BeginIdempotent(
	_ context.Context, _ account.Scope, req account.IdempotentRequest,
) (*account.Ticket, *account.Answer, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.last = req.Route + " " + req.Key
	if ans, ok := a.answers[a.last]; ok {
		return nil, &ans, nil
	}
	if a.busy[a.last] {
		return nil, nil, account.ErrIdempotencyInFlight.WithRetry(1500 * time.Millisecond)
	}
	a.busy[a.last] = true
	return &account.Ticket{}, nil, nil
}

func (a *accounts) EndIdempotent(_ context.Context, _ account.Scope, _ *account.Ticket, ans account.Answer, _ bool) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	ans.Body = bytes.Clone(ans.Body)
	a.answers[a.last] = ans
	a.ended++
	return nil
}

func (a *accounts) AbandonIdempotent(context.Context, account.Scope, *account.Ticket) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.busy, a.last)
	a.left++
	return nil
}

type problem struct {
	Code    string `json:"code"`
	Message string `json:"message"`
	Fields  []fault.Field
}

type thing struct {
	Name string `json:"name" minLength:"1"`
	N    int8   `json:"n,omitempty"`
}

type thingInput struct {
	Body thing
}

type thingOutput struct {
	Body thing
}

type bench struct {
	*Face
	clock    *clocktest.Clock
	accounts *accounts
	log      *bytes.Buffer
}

func newBench(t testing.TB, change func(*Config), register func(*Face)) *bench {
	t.Helper()
	b := &bench{clock: clocktest.New(), log: new(bytes.Buffer), accounts: &accounts{
		answers: make(map[string]account.Answer), busy: make(map[string]bool),
		scope: account.Scope{
			Tenant: id.Of[id.TenantKind](id.UUID{1}), Key: id.Of[id.APIKeyKind](id.UUID{2}), Plan: account.PlanUnlimited,
			Permissions: []account.Permission{account.AgentsRead, account.AgentsWrite},
		},
	}}
	cfg := Config{
		Settings: Settings{Accounts: b.accounts, Clock: b.clock, Logger: slog.New(slog.NewTextHandler(b.log, nil)), RateScale: 1},
		Name:     "test", Title: "Test", Prefix: "/compat/test", Tags: []Tag{{Name: "things"}},
		Envelope: Envelope{Encode: func(_ int, e *fault.Error, _ string) any { return problem{e.Code, e.Message, e.Fields} }},
	}
	if change != nil {
		change(&cfg)
	}
	f, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	register(f)
	if err := f.Build(); err != nil {
		t.Fatal(err)
	}
	b.Face = f
	return b
}

func (b *bench) do(method, path, body string, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	r.Header.Set("X-Api-Key", "good")
	for _, h := range header {
		name, value, _ := strings.Cut(h, ": ")
		r.Header.Set(name, value)
	}
	w := httptest.NewRecorder()
	b.ServeHTTP(w, r)
	return w
}

func code(t *testing.T, w *httptest.ResponseRecorder) string {
	t.Helper()
	var p problem
	if err := json.Unmarshal(w.Body.Bytes(), &p); err != nil {
		t.Fatalf("%v in %s", err, w.Body)
	}
	return p.Code
}

func wantCode(t *testing.T, w *httptest.ResponseRecorder, status int, want string) {
	t.Helper()
	if w.Code != status || code(t, w) != want {
		t.Fatalf("%d %s, want %d %s", w.Code, w.Body, status, want)
	}
}

func createThing(handler func(context.Context, *thingInput) (*thingOutput, error)) func(*Face) {
	return func(f *Face) {
		Register(f, Op{
			ID: "createThing", Method: http.MethodPost, Path: "/things", Tag: "things", Summary: "Make", Permission: account.AgentsWrite, Status: 201,
		}, handler)
	}
}

func echo(_ context.Context, in *thingInput) (*thingOutput, error) { return &thingOutput{in.Body}, nil }

func TestHandlerErrors(t *testing.T) {
	t.Parallel()
	var fail error
	b := newBench(t, nil, createThing(func(context.Context, *thingInput) (*thingOutput, error) {
		if fail == nil {
			panic("boom")
		}
		return nil, fail
	}))
	const path = "/compat/test/things"
	for _, c := range []struct {
		err    error
		status int
		code   string
	}{
		{fault.New(fault.PaymentRequired, "poor", "x"), 402, "poor"},
		{fault.New(fault.Unsupported, "later", "x"), 501, "later"},
		{fault.New(fault.Unavailable, "busy", "x").WithRetry(1500 * time.Millisecond), 503, "busy"},
		{fault.New(fault.Conflict, "stale", "x"), 409, "stale"},
		{errors.New("secret detail"), 500, "internal_error"},
		{fault.New(fault.Internal, "keeper_open", "secret detail"), 500, "internal_error"},
		{context.DeadlineExceeded, 504, "deadline_exceeded"},
		{nil, 500, "internal_error"},
	} {
		fail = c.err
		w := b.do(http.MethodPost, path, `{"name":"x"}`)
		wantCode(t, w, c.status, c.code)
		if strings.Contains(w.Body.String(), "secret") {
			t.Fatalf("%s", w.Body)
		}
		if got, want := w.Header().Get("X-Should-Retry"), map[bool]string{true: "false"}[c.status == 409]; got != want {
			t.Errorf("%s: x-should-retry %q", c.code, got)
		}
		if got, want := w.Header().Get("Retry-After"), map[bool]string{true: "2"}[c.status == 503]; got != want {
			t.Errorf("%s: retry-after %q", c.code, got)
		}
		if w.Header().Get("Content-Type") != contentJSON {
			t.Errorf("%s: %v", c.code, w.Header())
		}
	}
	for _, want := range []string{"secret detail", "boom", "face_test.go"} {
		if !strings.Contains(b.log.String(), want) {
			t.Errorf("the log does not tell %q: %s", want, b.log)
		}
	}
}

func TestCallerGone(t *testing.T) {
	t.Parallel()
	b := newBench(t, nil, createThing(func(ctx context.Context, _ *thingInput) (*thingOutput, error) { return nil, ctx.Err() }))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	r := httptest.NewRequestWithContext(ctx, http.MethodPost, "/compat/test/things", strings.NewReader(`{"name":"x"}`))
	r.Header.Set("X-Api-Key", "good")
	w := httptest.NewRecorder()
	b.ServeHTTP(w, r)
	if w.Code != statusClientGone || b.log.Len() > 0 {
		t.Fatalf("%d %s", w.Code, b.log)
	}
}

func TestStoreDown(t *testing.T) {
	t.Parallel()
	b := newBench(t, nil, createThing(echo))
	b.accounts.err = errors.New("no store")
	wantCode(t, b.do(http.MethodPost, "/compat/test/things", `{"name":"x"}`), 500, "internal_error")
}

func TestDecoding(t *testing.T) {
	t.Parallel()
	b := newBench(t, nil, createThing(echo))
	for body, want := range map[string]string{
		`{"name":"x","n":300}`: "n: a JSON number does not fit here",
		`{"name":""}`:          "name: expected length >= 1",
		`{}`:                   "name: is required",
		`[]`:                   "body: expected object",
	} {
		w := b.do(http.MethodPost, "/compat/test/things", body)
		wantCode(t, w, 400, "invalid_request")
		if !strings.Contains(w.Body.String(), want) || strings.Contains(w.Body.String(), "300") {
			t.Errorf("%s: %s", body, w.Body)
		}
	}
	w := b.do(http.MethodPost, "/compat/test/things", `{"name":"<é>","unknown":1}`)
	if w.Code != 201 || w.Body.String() != "{\"name\":\"<é>\"}\n" {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
}

func TestIntegersAsFloats(t *testing.T) {
	t.Parallel()
	b := newBench(t, nil, createThing(echo))
	for body, want := range map[string]string{
		`{"n":2.0,"name":"a \\ \" 1.0"}`: `{"name":"a \\ \" 1.0","n":2}`, `{"name":"x","n":1.2e1}`: `{"name":"x","n":12}`,
		`{"name":"x","n":-3.000}`: `{"name":"x","n":-3}`,
	} {
		if w := b.do(http.MethodPost, "/compat/test/things", body); w.Code != 201 || strings.TrimSpace(w.Body.String()) != want {
			t.Errorf("%s: %d %s", body, w.Code, w.Body)
		}
	}
	for _, body := range []string{`{"name":"x","n":2.5}`, `{"name":"x","n":1e3}`, `{"name":"x","n":1e400}`} {
		wantCode(t, b.do(http.MethodPost, "/compat/test/things", body), 400, "invalid_request")
	}
}

func TestTimesInQueries(t *testing.T) {
	t.Parallel()
	type input struct {
		Since time.Time `query:"since"`
	}
	b := newBench(t, nil, func(f *Face) {
		Register(f, Op{
			ID: "listTimes", Method: http.MethodGet, Path: "/times", Tag: "things", Summary: "List", AnyKey: true,
		}, func(context.Context, *input) (*struct{ Body string }, error) {
			return &struct{ Body string }{"ok"}, nil
		})
	})
	w := b.do(http.MethodGet, "/compat/test/times?since=2026-11-21", "")
	wantCode(t, w, 400, "invalid_request")
	if !strings.Contains(w.Body.String(), "query.since: must be a time such as 2026-11-21T08:00:00Z") {
		t.Error(w.Body)
	}
	if w := b.do(http.MethodGet, "/compat/test/times?since=2026-11-21T08:00:00%2B01:00", ""); w.Code != 200 {
		t.Error(w.Code, w.Body)
	}
}

// TestAllow proves that an address with a name of its own does not claim the methods of the ones with ids that it looks like.
func TestAllow(t *testing.T) {
	t.Parallel()
	type byID struct {
		ID string `path:"id"`
	}
	b := newBench(t, nil, func(f *Face) {
		for method, path := range map[string]string{"GET": "/things/{id}", "DELETE": "/things/{id}", "POST": "/things/{id}/special"} {
			Register(f, Op{
				ID: method, Method: method, Path: path, Tag: "things", Summary: "x", AnyKey: true,
			}, func(context.Context, *byID) (*thingOutput, error) { return nil, nil })
		}
		Register(f, Op{ID: "import", Method: "POST", Path: "/things/import", Tag: "things", Summary: "x", AnyKey: true}, echo)
	})
	for path, want := range map[string]string{
		"/things/7": "GET, DELETE, HEAD", "/things/import": "POST", "/things/7/special": "POST",
	} {
		w := b.do(http.MethodPut, "/compat/test"+path, "")
		if got := w.Header().Get("Allow"); w.Code != 405 || got != want {
			t.Errorf("%s: %d, Allow %q, want %q", path, w.Code, got, want)
		}
	}
}

func TestDocumentOfPointers(t *testing.T) {
	t.Parallel()
	type whole struct {
		Always  *thing `json:"always"`
		Perhaps *thing `json:"perhaps,omitempty"`
	}
	type output struct{ Body whole }
	b := newBench(t, nil, func(f *Face) {
		Register(f, Op{ID: "getWhole", Method: "GET", Path: "/whole", Tag: "things", Summary: "x", AnyKey: true},
			func(context.Context, *struct{}) (*output, error) { return nil, nil })
	})
	var doc struct {
		Components struct {
			Schemas map[string]struct{ Properties map[string]any }
		}
	}
	if err := json.Unmarshal(encodeDocument(b.api.OpenAPI()), &doc); err != nil {
		t.Fatal(err)
	}
	ref := map[string]any{"$ref": "#/components/schemas/Thing"}
	want := map[string]any{"always": map[string]any{"anyOf": []any{ref, map[string]any{"type": "null"}}}, "perhaps": ref}
	if diff := cmp.Diff(want, doc.Components.Schemas["Whole"].Properties); diff != "" {
		t.Fatal(diff)
	}
}

func TestRegistrationFaults(t *testing.T) {
	t.Parallel()
	b := newBench(t, nil, func(*Face) {})
	get := func(op Op) {
		op.Method, op.Summary, op.Tag = http.MethodGet, "x", "things"
		Register(b.Face, op, func(context.Context, *struct{}) (*thingOutput, error) { return nil, nil })
	}
	get(Op{ID: "a", Path: "/a"})
	get(Op{ID: "b", Path: "/b", AnyKey: true, Permission: account.Admin})
	get(Op{ID: "c", Path: "/c", AnyKey: true, OptionalKey: true})
	get(Op{ID: "d", Path: "/d", AnyKey: true})
	get(Op{ID: "d2", Path: "/d", AnyKey: true})
	err := b.Build()
	if err == nil || strings.Count(err.Error(), "httpx: GET") != 4 {
		t.Fatalf("%v", err)
	}
	f, err := New(Config{Settings: b.cfg.Settings, Name: "x", Envelope: b.cfg.Envelope, Public: []string{"GET /gone"}})
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Build(); err == nil || !strings.Contains(err.Error(), "GET /gone") {
		t.Fatalf("%v", err)
	}
}

func TestOptionalKey(t *testing.T) {
	t.Parallel()
	b := newBench(t, func(c *Config) {
		c.Public = []string{"POST /validate"}
		c.Rate.PerMinute = func(sc account.Scope) int {
			if sc.Key.IsZero() {
				return 2
			}
			return account.Unlimited
		}
	}, func(f *Face) {
		Register(f, Op{ID: "v", Method: http.MethodPost, Path: "/validate", Tag: "things", Summary: "x", OptionalKey: true},
			func(ctx context.Context, _ *struct{}) (*thingOutput, error) {
				return &thingOutput{thing{Name: Scope(ctx).Tenant.String()}}, nil
			})
	})
	w := b.do(http.MethodPost, "/compat/test/validate", "")
	if w.Code != 200 || !strings.Contains(w.Body.String(), "tnt_") {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	wantCode(t, b.do(http.MethodPost, "/compat/test/validate", "", "X-Api-Key: bad"), 401, "invalid_api_key")
	for range 2 {
		if w := b.do(http.MethodPost, "/compat/test/validate", "", "X-Api-Key: "); w.Code != 200 {
			t.Fatalf("%d %s", w.Code, w.Body)
		}
	}
	wantCode(t, b.do(http.MethodPost, "/compat/test/validate", "", "X-Api-Key: "), 429, "rate_limited")
}

func TestStrangersAreLimited(t *testing.T) {
	t.Parallel()
	b := newBench(t, func(c *Config) { c.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")} }, createThing(echo))
	const path = "/compat/test/things"
	for range strangersPerMinute {
		if w := b.do(http.MethodPost, path, "", "X-Api-Key: bad", "X-Forwarded-For: 1.1.1.1, 9.9.9.9"); w.Code != 401 {
			t.Fatalf("%d", w.Code)
		}
	}
	wantCode(t, b.do(http.MethodPost, path, "", "X-Api-Key: bad", "X-Forwarded-For: 2.2.2.2, 9.9.9.9, 192.0.2.7"), 429, "rate_limited")
	wantCode(t, b.do(http.MethodPost, path, "", "X-Api-Key: bad", "X-Forwarded-For: 9.9.9.8"), 401, "invalid_api_key")
	if w := b.do(http.MethodPost, path, `{"name":"x"}`, "X-Forwarded-For: 9.9.9.9"); w.Code != 201 {
		t.Fatalf("a good key is not held up: %d", w.Code)
	}
	b = newBench(t, func(c *Config) { c.RateScale = 0 }, createThing(echo))
	for range strangersPerMinute + 1 {
		wantCode(t, b.do(http.MethodPost, path, "", "X-Api-Key: bad"), 401, "invalid_api_key")
	}
}

func TestPublicRate(t *testing.T) {
	t.Parallel()
	register := func(f *Face) {
		Register(f, Op{ID: "knock", Method: http.MethodGet, Path: "/knock", Tag: "things", Summary: "Knock", PublicRate: 3},
			func(context.Context, *struct{}) (*struct{}, error) { return &struct{}{}, nil })
	}
	public := func(c *Config) { c.Public = []string{"GET /knock"} }
	b := newBench(t, public, register)
	const path = "/compat/test/knock"
	for range 3 {
		if w := b.do(http.MethodGet, path, "", "X-Api-Key: bad"); w.Code != 204 || w.Header().Get("X-Ratelimit-Limit") != "3" {
			t.Fatalf("%d %v", w.Code, w.Header())
		}
	}
	w := b.do(http.MethodGet, path, "")
	wantCode(t, w, 429, "rate_limited")
	if w.Header().Get("Retry-After") == "" {
		t.Errorf("%v", w.Header())
	}
	b.clock.Advance(time.Minute)
	if w := b.do(http.MethodGet, path, ""); w.Code != 204 {
		t.Errorf("a minute later: %d", w.Code)
	}
	b = newBench(t, func(c *Config) { public(c); c.RateScale = 0 }, register)
	for range 9 {
		if w := b.do(http.MethodGet, path, ""); w.Code != 204 {
			t.Fatalf("without limits: %d", w.Code)
		}
	}
}

func TestIdempotencyOverHTTP(t *testing.T) {
	t.Parallel()
	enter, leave := make(chan struct{}), make(chan struct{})
	b := newBench(t, nil, createThing(func(ctx context.Context, in *thingInput) (*thingOutput, error) {
		switch in.Body.Name {
		case "slow":
			enter <- struct{}{}
			<-leave
		case "panic":
			panic("boom")
		case "refused":
			return nil, fault.New(fault.Forbidden, "no", "no")
		}
		return &thingOutput{thing{Name: IdempotencyKey(ctx)}}, nil
	}))
	const path = "/compat/test/things"
	done := make(chan *httptest.ResponseRecorder)
	go func() { done <- b.do(http.MethodPost, path, `{"name":"slow"}`, "Idempotency-Key: a") }()
	<-enter
	w := b.do(http.MethodPost, path, `{"name":"slow"}`, "Idempotency-Key: a")
	wantCode(t, w, 409, "idempotency_in_flight")
	if w.Header().Get("Retry-After") != "2" || w.Header().Get("X-Should-Retry") != "" {
		t.Fatalf("%v", w.Header())
	}
	leave <- struct{}{}
	first := <-done
	again := b.do(http.MethodPost, path, `{"name":"slow"}`, "Idempotency-Key: a")
	if first.Code != 201 || again.Code != 201 || first.Body.String() != again.Body.String() || again.Header().Get("Idempotent-Replayed") != "true" {
		t.Fatalf("%d %s, %d %s", first.Code, first.Body, again.Code, again.Body)
	}
	for name, status := range map[string]int{"panic": 500, "refused": 403} {
		for range 2 {
			if w := b.do(http.MethodPost, path, `{"name":"`+name+`"}`, "Idempotency-Key: "+name); w.Code != status || w.Body.Len() == 0 {
				t.Fatalf("%s: %d %s", name, w.Code, w.Body)
			}
		}
	}
	if b.accounts.ended != 1 || b.accounts.left != 4 {
		t.Fatalf("%d ended, %d abandoned", b.accounts.ended, b.accounts.left)
	}
	b.accounts.last = ""
	b.do(http.MethodPost, path, `{"name":"x"}`)
	if b.accounts.last != "" {
		t.Fatal("a request without the header reached the store")
	}
}

func TestOwnIdempotency(t *testing.T) {
	t.Parallel()
	b := newBench(t, nil, func(f *Face) {
		Register(f, Op{
			ID: "pay", Method: http.MethodPost, Path: "/pay/{id}", Tag: "things", Summary: "x", AnyKey: true, OwnIdempotency: true,
		}, func(ctx context.Context, _ *struct {
			ID string `path:"id"`
		},
		) (*thingOutput, error) {
			return &thingOutput{thing{Name: ActKey(ctx)}}, nil
		})
	})
	w := b.do(http.MethodPost, "/compat/test/pay/7", "", "Idempotency-Key: k")
	want := "{\"name\":\"api/02000000-0000-0000-0000-000000000000/POST /compat/test/pay/7/k\"}\n"
	if d := cmp.Diff(want, w.Body.String()); d != "" || b.accounts.last != "" {
		t.Fatalf("%s %s", d, b.accounts.last)
	}
	if w := b.do(http.MethodPost, "/compat/test/pay/7", ""); w.Body.String() != "{\"name\":\"\"}\n" {
		t.Fatalf("%s", w.Body)
	}
}

func TestUpload(t *testing.T) {
	t.Parallel()
	b := newBench(t, func(c *Config) { c.MaxUpload = 10 }, func(f *Face) {
		Register(f, Op{ID: "up", Method: http.MethodPost, Path: "/up", Tag: "things", Summary: "x", AnyKey: true, Upload: "application/octet-stream"},
			func(ctx context.Context, _ *struct{}) (*thingOutput, error) {
				data, err := io.ReadAll(Body(ctx))
				return &thingOutput{thing{Name: string(data)}}, err
			})
	})
	if w := b.do(http.MethodPost, "/compat/test/up", "{\xff"); w.Code != 200 {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	wantCode(t, b.do(http.MethodPost, "/compat/test/up", "12345678901"), 413, "body_too_large")
	r := httptest.NewRequest(http.MethodPost, "/compat/test/up", io.MultiReader(strings.NewReader("123456789"), strings.NewReader("0123")))
	r.Header.Set("Authorization", "bearer good")
	w := httptest.NewRecorder()
	b.ServeHTTP(w, r)
	wantCode(t, w, 413, "body_too_large")
}

func TestUploadJSON(t *testing.T) {
	t.Parallel()
	b := newBench(t, func(c *Config) { c.MaxJSON = 64 }, func(f *Face) {
		Register(f, Op{
			ID: "up", Method: http.MethodPost, Path: "/up", Tag: "things", Summary: "x", AnyKey: true, Upload: "multipart/form-data",
			UploadJSON: reflect.TypeFor[thing](), Example: `{"name":"x"}`,
		}, func(ctx context.Context, _ *struct{}) (*thingOutput, error) {
			var got thing
			err := ReadJSON(ctx, &got)
			return &thingOutput{got}, err
		})
	})
	if w := b.do(http.MethodPost, "/compat/test/up", `{"name":"a"}`); w.Code != 200 || w.Body.String() != "{\"name\":\"a\"}\n" {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	wantCode(t, b.do(http.MethodPost, "/compat/test/up", `{"name":"a",}`), 400, "invalid_json")
	wantCode(t, b.do(http.MethodPost, "/compat/test/up", ""), 400, "invalid_json")
	for _, body := range []string{`{}`, `{"name":1}`, `[]`, `null`, `1e400`} {
		wantCode(t, b.do(http.MethodPost, "/compat/test/up", body), 400, "invalid_request")
	}
	wantCode(t, b.do(http.MethodPost, "/compat/test/up", `{"name":"`+strings.Repeat("x", 64)+`"}`), 413, "body_too_large")
}

func TestEvents(t *testing.T) {
	t.Parallel()
	closing := make(chan struct{})
	source := make(chan Event)
	ended := make(chan struct{}, 4)
	b := newBench(t, nil, func(f *Face) {
		RegisterStream(f, Op{ID: "ev", Method: http.MethodGet, Path: "/ev/{id}", Tag: "things", Summary: "x", AnyKey: true, Produces: ContentEvents},
			func(_ context.Context, in *struct {
				ID string `path:"id"`
			},
			) (Stream, error) {
				if in.ID != "1" {
					return nil, fault.New(fault.NotFound, "gone", "gone")
				}
				return func(w http.ResponseWriter, r *http.Request) {
					ServeEvents(w, r, closing, func(ctx context.Context) <-chan Event {
						go func() { <-ctx.Done(); ended <- struct{}{} }()
						return source
					})
				}, nil
			})
	})
	wantCode(t, b.do(http.MethodGet, "/compat/test/ev/2", ""), 404, "gone")

	srv := httptest.NewServer(b)
	t.Cleanup(srv.Close)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, srv.URL+"/compat/test/ev/1", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("X-Api-Key", "good")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	want := map[string]string{
		"Content-Type": "text/event-stream", "Cache-Control": "no-cache, no-transform", "X-Accel-Buffering": "no",
	}
	for name, value := range want {
		if got := resp.Header.Get(name); got != value {
			t.Errorf("%s: %q", name, got)
		}
	}
	lines := bufio.NewScanner(resp.Body)
	read := func(n int) (out []string) {
		for len(out) < n && lines.Scan() {
			out = append(out, lines.Text())
		}
		return out
	}
	if d := cmp.Diff([]string{"retry: 1000", ""}, read(2)); d != "" {
		t.Fatal(d)
	}
	source <- Event{ID: "7", Name: "agent.message", Data: []byte("{\"a\":1}")}
	source <- Event{Data: []byte("x\ny")}
	if d := cmp.Diff([]string{"event: agent.message", "id: 7", `data: {"a":1}`, "", "data: x", "data: y", ""}, read(7)); d != "" {
		t.Fatal(d)
	}
	close(closing)
	if d := cmp.Diff([]string{"retry: 1000", ""}, read(9)); d != "" {
		t.Fatal(d)
	}
	<-ended
}

// TestSlowReader drops a reader that takes nothing: the writer must come back although the reader never does.
func TestSlowReader(t *testing.T) {
	t.Parallel()
	server, client := net.Pipe()
	defer client.Close()
	w := &pipeWriter{Conn: server, header: make(http.Header)}
	out := newEventWriter(w)
	out.add(Event{Data: []byte("x")})
	w.deadlineScale = time.Millisecond
	if err := out.flush(); !errors.Is(err, context.DeadlineExceeded) && !isTimeout(err) {
		t.Fatalf("%v", err)
	}
}

func isTimeout(err error) bool {
	var n net.Error
	return errors.As(err, &n) && n.Timeout()
}

// pipeWriter is a response over a connection, whose write deadlines come early.
type pipeWriter struct {
	net.Conn
	header        http.Header
	deadlineScale time.Duration
}

func (p *pipeWriter) Header() http.Header { return p.header }
func (p *pipeWriter) WriteHeader(int)     {}
func (p *pipeWriter) SetWriteDeadline(t time.Time) error {
	if time.Until(t) > writeTimeout {
		return errors.New("the deadline is too far away")
	}
	return p.Conn.SetWriteDeadline(time.Now().Add(p.deadlineScale))
}

func TestLimiter(t *testing.T) {
	t.Parallel()
	clk := clocktest.New()
	fixed, sliding := NewLimiter(clk, false), NewLimiter(clk, true)
	who := Subject{Addr: netip.MustParseAddr("10.0.0.1")}
	take := func(l *Limiter) [2]any { v := l.Take(who, 2); return [2]any{v.OK, v.Remaining} }
	if d := cmp.Diff([][2]any{{true, 1}, {true, 1}}, [][2]any{take(fixed), take(sliding)}); d != "" {
		t.Fatal(d)
	}
	clk.Advance(50 * time.Second)
	if d := cmp.Diff([][2]any{{true, 0}, {true, 0}}, [][2]any{take(fixed), take(sliding)}); d != "" {
		t.Fatal(d)
	}
	if d := cmp.Diff([][2]any{{false, 0}, {false, 0}}, [][2]any{take(fixed), take(sliding)}); d != "" {
		t.Fatal(d)
	}
	clk.Advance(10 * time.Second)
	// The window is over for both; only the sliding one remembers the request of ten seconds ago.
	if d := cmp.Diff([][2]any{{true, 1}, {true, 0}}, [][2]any{take(fixed), take(sliding)}); d != "" {
		t.Fatal(d)
	}
	if v := sliding.Take(who, 2); v.OK || v.Reset.Sub(clk.Now()) != 50*time.Second {
		t.Fatalf("%+v", v)
	}
	clk.Advance(2 * window)
	fixed.Take(Subject{Addr: netip.MustParseAddr("10.0.0.2")}, 2)
	if n := len(fixed.counts); n != 1 {
		t.Fatalf("%d subjects are remembered", n)
	}
}

// BenchmarkGet is what a face adds to the reading of one thing: with huma, and the whole of it.
func BenchmarkGet(b *testing.B) {
	type in struct {
		ID string `path:"id"`
	}
	bench := newBench(b, func(c *Config) { c.Logger = slog.New(slog.DiscardHandler) }, func(f *Face) {
		Register(f, Op{ID: "g", Method: http.MethodGet, Path: "/things/{id}", Tag: "things", Summary: "x", Permission: account.AgentsRead},
			func(_ context.Context, in *in) (*thingOutput, error) { return &thingOutput{thing{Name: in.ID}}, nil })
		RegisterStream(f, Op{ID: "s", Method: http.MethodGet, Path: "/raw/{id}", Tag: "things", Summary: "x", Permission: account.AgentsRead},
			func(_ context.Context, _ *in) (Stream, error) {
				return func(w http.ResponseWriter, _ *http.Request) { callOf(w).send(200, contentJSON, []byte("{}")) }, nil
			})
	})
	for name, path := range map[string]string{"json": "/compat/test/things/7", "raw": "/compat/test/raw/7"} {
		b.Run(name, func(b *testing.B) {
			r := httptest.NewRequest(http.MethodGet, path, nil)
			r.Header.Set("X-Api-Key", "good")
			b.ReportAllocs()
			for b.Loop() {
				w := httptest.NewRecorder()
				bench.ServeHTTP(w, r)
				if w.Code != 200 {
					b.Fatal(w.Code)
				}
			}
		})
	}
}

// TestUnserved: what an operation with headers of its own does not serve, at its address and below it, carries them, whoever calls.
func TestUnserved(t *testing.T) {
	t.Parallel()
	type failure struct{ Failed string }
	b := newBench(t, func(c *Config) { c.Public = []string{"POST /judge"} }, func(f *Face) {
		op := Op{
			ID: "judge", Method: http.MethodPost, Path: "/judge", Tag: "things", Summary: "x", OptionalKey: true, FailAs: reflect.TypeFor[failure](),
			Fail: func(w http.ResponseWriter, _ *http.Request, status int, e *fault.Error) {
				w.WriteHeader(status)
				_, _ = io.WriteString(w, e.Code)
			},
			Headers: func(ctx context.Context) {
				left := 5
				if !Scope(ctx).Tenant.IsZero() {
					left = 100
				}
				SetRate(ctx, 100, left, time.Unix(1, 0))
			},
		}
		judge := func(context.Context, []byte) (string, error) { return "judged", nil }
		RegisterRaw[thingInput](f, op, judge)
		op.ID, op.Path, op.OptionalKey, op.AnyKey = "judgeAll", "/judge/all", false, true
		RegisterRaw[thingInput](f, op, judge)
		createThing(echo)(f)
	})
	for _, c := range []struct {
		method, path, key string
		status            int
		code, left        string
	}{
		{"GET", "/judge", "good", 405, "method_not_allowed", "100"},
		{"GET", "/judge", "", 405, "method_not_allowed", "5"},
		{"HEAD", "/judge", "", 405, "method_not_allowed", "5"},
		{"GET", "/judge", "bad", 401, "invalid_api_key", "5"},
		{"GET", "/judge/all", "", 405, "method_not_allowed", "5"},
		{"PUT", "/judge/all", "good", 405, "method_not_allowed", "100"},
		{"POST", "/judge/some", "good", 404, "route_not_found", "100"},
		{"GET", "/judge/all/of/them", "", 404, "route_not_found", "5"},
		{"POST", "/judgement", "good", 404, "", ""},
		{"GET", "/things", "good", 405, "", ""},
	} {
		w := b.do(c.method, "/compat/test"+c.path, "", "X-Api-Key: "+c.key)
		if left := w.Header().Get("X-RateLimit-Remaining"); w.Code != c.status || left != c.left || c.code != "" && w.Body.String() != c.code {
			t.Errorf("%s %s by %q: %d %s, %q left", c.method, c.path, c.key, w.Code, w.Body, left)
		}
	}
	for range strangersPerMinute - 2 { // a bad key, and none where one is asked for, came before
		b.do("GET", "/compat/test/judge/all", "", "X-Api-Key: ")
	}
	if w := b.do("GET", "/compat/test/judge/all", "", "X-Api-Key: "); w.Code != 429 || w.Header().Get("Retry-After") == "" {
		t.Errorf("strangers are not limited: %d %s", w.Code, w.Body)
	}
}
