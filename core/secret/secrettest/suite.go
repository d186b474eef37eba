// Package secrettest is the conformance suite of the repositories of package secret, with the service on top of them.
package secrettest

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/secret"
	"github.com/bureau-agents/bureau/ports/clock"
	"github.com/bureau-agents/bureau/ports/clock/clocktest"
	"github.com/bureau-agents/bureau/ports/fault"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/keeper"
	"github.com/bureau-agents/bureau/ports/page"
	"github.com/bureau-agents/bureau/ports/page/pagetest"
	"github.com/bureau-agents/bureau/ports/tx"
)

// Store is what the suite runs against.
type Store struct {
	Vaults      secret.Vaults
	Credentials secret.Credentials
	TX          tx.Runner
}

// Config of the suite.
type Config struct {
	// New returns a store; tests use tenants of their own.
	New func(t *testing.T) Store
	// Keeper seals.
	Keeper keeper.Keeper
}

var ids = id.NewGenerator(time.Now)

// env is one test's tenant, with two services over one store: two processes.
type env struct {
	Store
	ctx      context.Context
	sc       account.Scope
	clock    *clocktest.Clock
	endpoint *endpoint
	server   *server
	audit    *trail
	services [2]*secret.Service
}

// Run runs the suite.
func Run(t *testing.T, cfg Config) {
	t.Helper()
	for name, fn := range map[string]func(*testing.T, *env){
		"vaults":              vaults,
		"vault repository":    vaultRepository,
		"credentials":         credentials,
		"stale version":       staleVersion,
		"immutable":           immutable,
		"bad input":           badInput,
		"one per subject":     onePerSubject,
		"cap":                 full,
		"two writers":         twoWriters,
		"archive":             archive,
		"delete":              deleted,
		"inline":              inline,
		"pages":               pages,
		"foreign tenant":      foreign,
		"rollback":            rollback,
		"cancelled context":   cancelled,
		"sealed":              sealed,
		"bearer":              bearer,
		"refresh ahead":       refreshAhead,
		"refresh once":        refreshOnce,
		"refresh fails":       refreshFails,
		"rotated meanwhile":   rotatedMeanwhile,
		"crashed refresh":     crashedRefresh,
		"changed meanwhile":   changedMeanwhile,
		"variables":           variables,
		"known":               known,
		"validate":            validate,
		"validate, refreshed": validateRefreshed,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			fn(t, newEnv(t, cfg))
		})
	}
}

func newEnv(t *testing.T, cfg Config) *env {
	e := &env{
		Store: cfg.New(t), ctx: t.Context(), sc: account.System(id.New[id.TenantKind](ids)), clock: clocktest.New(),
		endpoint: &endpoint{refresh: "refresh-token-1"}, server: &server{}, audit: &trail{},
	}
	e.server.endpoint = e.endpoint
	for i := range e.services {
		s, err := secret.NewService(secret.Deps{
			TX: e.TX, Clock: e.clock, IDs: ids, Logger: discard(), Keeper: cfg.Keeper, Vaults: e.Vaults, Credentials: e.Credentials,
			Guard: guard{}, Exchanger: e.endpoint, Prober: e.server, Audit: e.audit,
		}, secret.Config{PollEvery: time.Millisecond})
		if err != nil {
			t.Fatal(err)
		}
		e.services[i] = s
	}
	return e
}

func (e *env) svc() *secret.Service { return e.services[0] }

func (e *env) vault(t *testing.T) secret.Vault {
	t.Helper()
	v, err := e.svc().CreateVault(e.ctx, e.sc, secret.NewVault{DisplayName: "vault"})
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func static(url, token string) secret.NewCredential {
	return secret.NewCredential{
		Auth: secret.Auth{Type: secret.StaticBearer, MCPServerURL: url}, Secrets: secret.Secrets{Token: secret.NewValue(token)},
	}
}

func variable(name, value string) secret.NewCredential {
	return secret.NewCredential{
		Auth:    secret.Auth{Type: secret.EnvironmentVariable, SecretName: name, Injection: secret.Injection{Header: true}},
		Secrets: secret.Secrets{Token: secret.NewValue(value)},
	}
}

// mcpURL is the server of the tests' OAuth credentials.
const mcpURL = "https://mcp.example.com/mcp"

func (e *env) oauth() secret.NewCredential {
	expires := clock.Stored(e.clock.Now().Add(time.Hour))
	return secret.NewCredential{
		Auth: secret.Auth{
			Type: secret.MCPOAuth, MCPServerURL: mcpURL, ExpiresAt: &expires,
			Refresh: &secret.Refresh{
				ClientID: "client", TokenEndpoint: "https://auth.example.com/token", TokenAuth: secret.TokenAuthBasic, Resource: mcpURL, Scope: "read",
			},
		},
		Secrets: secret.Secrets{
			Token: secret.NewValue("access-token-1"), RefreshToken: secret.NewValue("refresh-token-1"), ClientSecret: secret.NewValue("client-secret"),
		},
	}
}

func (e *env) add(t *testing.T, v secret.Vault, n secret.NewCredential) secret.Credential {
	t.Helper()
	c, err := e.svc().CreateCredential(e.ctx, e.sc, v.ID, n)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// want checks the kind of error.
func want(t *testing.T, err, target error) {
	t.Helper()
	if !errors.Is(err, target) {
		t.Fatalf("error %v, want %v", err, target)
	}
}

var noVault, noCredential = id.NotFound[id.VaultKind](""), id.NotFound[id.CredentialKind]("")

// same compares; nil and empty collections are alike.
func same(t *testing.T, got, want any) {
	t.Helper()
	if diff := cmp.Diff(want, got, cmpopts.EquateEmpty(),
		cmpopts.EquateComparable(id.Tenant{}, id.Vault{}, id.Credential{})); diff != "" {
		t.Fatalf("-want +got\n%s", diff)
	}
}

func ptr[T any](v T) *T { return &v }

func vaults(t *testing.T, e *env) {
	v, err := e.svc().CreateVault(e.ctx, e.sc, secret.NewVault{DisplayName: "one", Metadata: map[string]string{"a": "1", "b": "2"}})
	if err != nil {
		t.Fatal(err)
	}
	got, err := e.svc().GetVault(e.ctx, e.sc, v.ID)
	if err != nil {
		t.Fatal(err)
	}
	same(t, got, v)
	e.clock.Advance(time.Second)
	changed, err := e.svc().UpdateVault(e.ctx, e.sc, v.ID, secret.VaultPatch{
		DisplayName: ptr("two"), Metadata: map[string]*string{"a": nil, "c": ptr("3")},
	})
	if err != nil {
		t.Fatal(err)
	}
	wanted := v
	wanted.DisplayName, wanted.Metadata, wanted.UpdatedAt = "two", map[string]string{"b": "2", "c": "3"}, clock.Stored(e.clock.Now())
	same(t, changed, wanted)
	got, err = e.svc().GetVault(e.ctx, e.sc, v.ID)
	if err != nil {
		t.Fatal(err)
	}
	same(t, got, wanted)
	for name, p := range map[string]secret.VaultPatch{
		"blank":    {DisplayName: ptr(" ")},
		"long":     {DisplayName: ptr(strings.Repeat("n", 256))},
		"metadata": {Metadata: map[string]*string{strings.Repeat("k", 65): ptr("")}},
		"value":    {Metadata: map[string]*string{"k": ptr(strings.Repeat("v", 513))}},
		"nul":      {DisplayName: ptr("a\x00")},
	} {
		if _, err := e.svc().UpdateVault(e.ctx, e.sc, v.ID, p); !errors.Is(err, secret.ErrInvalid) {
			t.Errorf("%s: error %v", name, err)
		}
	}
	if _, err := e.svc().CreateVault(e.ctx, e.sc, secret.NewVault{}); !errors.Is(err, secret.ErrInvalid) {
		t.Errorf("no name: error %v", err)
	}
	same(t, e.audit.all(), []string{"vault_created", "vault_updated"})
}

func vaultRepository(t *testing.T, e *env) {
	missing := id.New[id.VaultKind](ids)
	_, err := e.Vaults.Get(e.ctx, e.sc, missing)
	want(t, err, noVault)
	_, err = e.Vaults.Lock(e.ctx, e.sc, missing)
	want(t, err, noVault)
	want(t, e.Vaults.Update(e.ctx, e.sc, secret.Vault{ID: missing, UpdatedAt: time.Now()}), noVault)
	want(t, e.Vaults.Delete(e.ctx, e.sc, missing), noVault)
	v := e.vault(t)
	if err := e.Vaults.Insert(e.ctx, e.sc, v); fault.KindOf(err) != fault.Conflict {
		t.Errorf("twice: error %v", err)
	}
	no := id.New[id.CredentialKind](ids)
	_, err = e.Credentials.Get(e.ctx, e.sc, v.ID, no)
	want(t, err, noCredential)
	want(t, e.Credentials.Delete(e.ctx, e.sc, v.ID, no), noCredential)
	want(t, e.Credentials.Update(e.ctx, e.sc, secret.Record{Credential: secret.Credential{ID: no}, Version: 2}), noCredential)
}

func credentials(t *testing.T, e *env) {
	v := e.vault(t)
	n := e.oauth()
	n.DisplayName, n.Metadata = "crm", map[string]string{"a": "1"}
	c := e.add(t, v, n)
	for _, env := range []secret.NewCredential{
		{
			Auth: secret.Auth{
				Type: secret.EnvironmentVariable, SecretName: "TOKEN", Injection: secret.Injection{Header: true, Body: true},
				Networking: secret.Networking{Limited: true, AllowedHosts: []string{"*.example.com", "192.0.2.1", "a-b.example"}},
			},
			Secrets: secret.Secrets{Token: secret.NewValue("line one\nline two")},
		},
		static("http://other.example.com:8080/x?a=b", "bearer-token"),
	} {
		added := e.add(t, v, env)
		got, err := e.svc().GetCredential(e.ctx, e.sc, v.ID, added.ID)
		if err != nil {
			t.Fatal(err)
		}
		same(t, got, added)
		same(t, got.Auth, env.Auth)
	}
	got, err := e.svc().GetCredential(e.ctx, e.sc, v.ID, c.ID)
	if err != nil {
		t.Fatal(err)
	}
	same(t, got, c)
	e.clock.Advance(time.Minute)
	expires := clock.Stored(e.clock.Now().Add(2 * time.Hour))
	changed, err := e.svc().UpdateCredential(e.ctx, e.sc, v.ID, c.ID, secret.Patch{
		DisplayName: ptr(""), Metadata: map[string]*string{"b": ptr("2")},
		Auth: &secret.AuthPatch{
			Type: secret.MCPOAuth, Token: ptr(secret.NewValue("access-token-2")), ExpiresAt: &expires,
			Refresh: &secret.RefreshPatch{
				Scope: ptr(""), RefreshToken: ptr(secret.NewValue("refresh-token-2")), TokenAuth: secret.TokenAuthPost,
				ClientSecret: ptr(secret.NewValue("client-secret-2")),
			},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	wanted := c
	wanted.DisplayName, wanted.Metadata, wanted.UpdatedAt = "", map[string]string{"a": "1", "b": "2"}, clock.Stored(e.clock.Now())
	wanted.Auth.ExpiresAt = &expires
	wanted.Auth.Refresh = ptr(*c.Auth.Refresh) // its way of showing itself stays
	wanted.Auth.Refresh.Scope = ""
	same(t, changed, wanted)
	tok, ok, err := e.svc().Bearer(e.ctx, e.sc, []id.Vault{v.ID}, mcpURL)
	if err != nil || !ok || tok.Value.Reveal() != "access-token-2" {
		t.Fatalf("token %v %v %v", tok.Value.Reveal(), ok, err)
	}
	changed, err = e.svc().UpdateCredential(e.ctx, e.sc, v.ID, c.ID, secret.Patch{Auth: &secret.AuthPatch{ClearExpires: true, ClearRefresh: true}})
	if err != nil {
		t.Fatal(err)
	}
	if changed.Auth.ExpiresAt != nil || changed.Auth.Refresh != nil {
		t.Fatalf("not cleared: %+v", changed.Auth)
	}
	begin := &secret.RefreshPatch{
		ClientID: ptr("c2"), TokenEndpoint: ptr("https://auth.example.com/t2"), TokenAuth: secret.TokenAuthNone,
		RefreshToken: ptr(secret.NewValue("refresh-token-3")),
	}
	changed, err = e.svc().UpdateCredential(e.ctx, e.sc, v.ID, c.ID, secret.Patch{Auth: &secret.AuthPatch{Refresh: begin}})
	if err != nil {
		t.Fatal(err)
	}
	same(t, *changed.Auth.Refresh, secret.Refresh{ClientID: "c2", TokenEndpoint: "https://auth.example.com/t2", TokenAuth: secret.TokenAuthNone})
}

func staleVersion(t *testing.T, e *env) {
	v := e.vault(t)
	c := e.add(t, v, static(mcpURL, "token-one"))
	r, err := e.Credentials.Get(e.ctx, e.sc, v.ID, c.ID)
	if err != nil {
		t.Fatal(err)
	}
	r.Version++
	if err := e.Credentials.Update(e.ctx, e.sc, r); err != nil {
		t.Fatal(err)
	}
	want(t, e.Credentials.Update(e.ctx, e.sc, r), secret.ErrVersion)
	r.Version += 2
	want(t, e.Credentials.Update(e.ctx, e.sc, r), secret.ErrVersion)
}

func immutable(t *testing.T, e *env) {
	v := e.vault(t)
	oauth, env := e.add(t, v, e.oauth()), e.add(t, v, variable("TOKEN", "value-one"))
	for name, tt := range map[string]struct {
		c secret.Credential
		p secret.AuthPatch
	}{
		"type":           {oauth, secret.AuthPatch{Type: secret.StaticBearer}},
		"server":         {oauth, secret.AuthPatch{MCPServerURL: ptr("https://elsewhere.example.com")}},
		"name":           {env, secret.AuthPatch{SecretName: ptr("OTHER")}},
		"client":         {oauth, secret.AuthPatch{Refresh: &secret.RefreshPatch{ClientID: ptr("other")}}},
		"endpoint":       {oauth, secret.AuthPatch{Refresh: &secret.RefreshPatch{TokenEndpoint: ptr("https://e.example.com")}}},
		"way":            {oauth, secret.AuthPatch{Refresh: &secret.RefreshPatch{TokenAuth: secret.TokenAuthNone}}},
		"server of none": {env, secret.AuthPatch{MCPServerURL: ptr(mcpURL)}},
	} {
		_, err := e.svc().UpdateCredential(e.ctx, e.sc, v.ID, tt.c.ID, secret.Patch{DisplayName: ptr("changed"), Auth: &tt.p})
		if !errors.Is(err, secret.ErrImmutable) {
			t.Errorf("%s: error %v", name, err)
		}
		got, err := e.svc().GetCredential(e.ctx, e.sc, v.ID, tt.c.ID)
		if err != nil {
			t.Fatal(err)
		}
		same(t, got, tt.c)
	}
	// Named as it is, it is no change.
	_, err := e.svc().UpdateCredential(e.ctx, e.sc, v.ID, oauth.ID, secret.Patch{Auth: &secret.AuthPatch{
		Type: secret.MCPOAuth, MCPServerURL: ptr("HTTPS://mcp.example.com:443/mcp/"), Refresh: &secret.RefreshPatch{ClientID: ptr("client")},
	}})
	if err != nil {
		t.Fatal(err)
	}
}

func badInput(t *testing.T, e *env) {
	v := e.vault(t)
	past := e.clock.Now().Add(-time.Second)
	with := func(change func(n *secret.NewCredential)) secret.NewCredential {
		n := e.oauth()
		change(&n)
		return n
	}
	for path, n := range map[string]secret.NewCredential{
		"auth.type":              {},
		"auth.token":             static(mcpURL, ""),
		"auth.access_token":      with(func(n *secret.NewCredential) { n.Secrets.Token = secret.NewValue("a\nb-secret") }),
		"auth.secret_value":      variable("A", strings.Repeat("x", secret.MaxSecret+1)),
		"auth.mcp_server_url":    static("https://forbidden.example.com", "token"),
		"auth.secret_name":       variable("A-B", "value"),
		"auth.expires_at":        with(func(n *secret.NewCredential) { n.Auth.ExpiresAt = &past }),
		"auth.refresh.client_id": with(func(n *secret.NewCredential) { n.Auth.Refresh.ClientID = "" }),
		"auth.refresh.token_endpoint": with(func(n *secret.NewCredential) {
			n.Auth.Refresh.TokenEndpoint = "ftp://auth.example.com"
		}),
		"auth.refresh.refresh_token":            with(func(n *secret.NewCredential) { n.Secrets.RefreshToken = secret.Value{} }),
		"auth.refresh.token_endpoint_auth.type": with(func(n *secret.NewCredential) { n.Auth.Refresh.TokenAuth = "magic" }),
		"auth.refresh.token_endpoint_auth.client_secret": with(func(n *secret.NewCredential) {
			n.Secrets.ClientSecret = secret.Value{}
		}),
		"auth.networking.allowed_hosts[1]": {
			Secrets: secret.Secrets{Token: secret.NewValue("value")},
			Auth: secret.Auth{
				Type: secret.EnvironmentVariable, SecretName: "A", Injection: secret.Injection{Header: true},
				Networking: secret.Networking{Limited: true, AllowedHosts: []string{"a.example", "https://a.example"}},
			},
		},
		"auth.injection_location": {
			Secrets: secret.Secrets{Token: secret.NewValue("value")}, Auth: secret.Auth{Type: secret.EnvironmentVariable, SecretName: "A"},
		},
	} {
		_, err := e.svc().CreateCredential(e.ctx, e.sc, v.ID, n)
		f, ok := fault.As(err)
		if !ok || !errors.Is(err, secret.ErrInvalid) || len(f.Fields) == 0 || f.Fields[0].Path != path {
			t.Errorf("%s: error %v, fields %v", path, err, f)
		}
	}
	for _, u := range []string{"", "mcp.example.com", "https://", "https://user:pass@mcp.example.com", "file:///etc/passwd", "https://a b"} {
		if _, err := e.svc().CreateCredential(e.ctx, e.sc, v.ID, static(u, "token")); !errors.Is(err, secret.ErrInvalid) {
			t.Errorf("%q: error %v", u, err)
		}
	}
	for _, h := range []string{"", "*", "*.", "a:80", "a/b", "[::1]", "::1", "-a.example", "a..b", "1.2.3", "a.*.example", "*.1"} {
		n := variable("A", "value")
		n.Auth.Networking = secret.Networking{Limited: true, AllowedHosts: []string{h}}
		if _, err := e.svc().CreateCredential(e.ctx, e.sc, v.ID, n); !errors.Is(err, secret.ErrInvalid) {
			t.Errorf("host %q: error %v", h, err)
		}
	}
	live, err := e.Credentials.Live(e.ctx, e.sc, []id.Vault{v.ID})
	if err != nil || len(live) > 0 {
		t.Fatalf("%d stored, %v", len(live), err)
	}
}

func onePerSubject(t *testing.T, e *env) {
	v := e.vault(t)
	first := e.add(t, v, static("https://mcp.example.com/mcp", "token-one"))
	for _, u := range []string{
		"https://mcp.example.com/mcp", "HTTPS://MCP.example.com/mcp", "https://mcp.example.com:443/mcp/", "https://mcp.example.com./mcp#x",
	} {
		_, err := e.svc().CreateCredential(e.ctx, e.sc, v.ID, static(u, "token-two"))
		want(t, err, secret.ErrDuplicate)
		if tok, ok, err := e.svc().Bearer(e.ctx, e.sc, []id.Vault{v.ID}, u); err != nil || !ok || tok.Credential != first.ID {
			t.Errorf("%s: token %v %v %v", u, tok, ok, err)
		}
	}
	for _, u := range []string{
		"https://mcp.example.com/MCP", "http://mcp.example.com/mcp", "https://mcp.example.com:444/mcp", "https://mcp.example.com/mcp?a",
	} {
		e.add(t, v, static(u, "token-two"))
	}
	e.add(t, v, variable("TOKEN", "value-one"))
	_, err := e.svc().CreateCredential(e.ctx, e.sc, v.ID, variable("TOKEN", "value-two"))
	want(t, err, secret.ErrDuplicate)
	e.add(t, v, variable("token", "value-two"))
	e.add(t, e.vault(t), static("https://mcp.example.com/mcp", "token-three"))
	if _, err := e.svc().ArchiveCredential(e.ctx, e.sc, v.ID, first.ID); err != nil {
		t.Fatal(err)
	}
	e.add(t, v, static("https://mcp.example.com/mcp", "token-four"))
	// The store says so by itself, for who does not hold the vault.
	r, err := e.Credentials.Get(e.ctx, e.sc, v.ID, first.ID)
	if err != nil {
		t.Fatal(err)
	}
	r.ID, r.ArchivedAt = id.New[id.CredentialKind](ids), nil
	want(t, e.Credentials.Insert(e.ctx, e.sc, r), secret.ErrDuplicate)
}

func full(t *testing.T, e *env) {
	v := e.vault(t)
	var last secret.Credential
	for i := range secret.MaxCredentials {
		last = e.add(t, v, variable(fmt.Sprintf("V%d", i), "value-value"))
	}
	_, err := e.svc().CreateCredential(e.ctx, e.sc, v.ID, variable("MORE", "value"))
	want(t, err, secret.ErrTooMany)
	if _, err := e.svc().ArchiveCredential(e.ctx, e.sc, v.ID, last.ID); err != nil {
		t.Fatal(err)
	}
	e.add(t, v, variable("MORE", "value"))
}

func twoWriters(t *testing.T, e *env) {
	v := e.vault(t)
	var done, dup atomic.Int32
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			_, err := e.services[i%2].CreateCredential(e.ctx, e.sc, v.ID, static(mcpURL, fmt.Sprintf("token-%d", i)))
			switch {
			case err == nil:
				done.Add(1)
			case errors.Is(err, secret.ErrDuplicate):
				dup.Add(1)
			default:
				t.Errorf("error %v", err)
			}
		})
	}
	wg.Wait()
	if done.Load() != 1 || dup.Load() != 7 {
		t.Fatalf("%d created, %d refused", done.Load(), dup.Load())
	}
	c, err := e.svc().ListCredentials(e.ctx, e.sc, v.ID, secret.ListRequest{})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 8 {
		wg.Go(func() {
			p := secret.Patch{Metadata: map[string]*string{fmt.Sprint(i): ptr("")}}
			for { // a caller tries again as the error says
				_, err := e.services[i%2].UpdateCredential(e.ctx, e.sc, v.ID, c.Items[0].ID, p)
				if !errors.Is(err, secret.ErrVersion) {
					if err != nil {
						t.Errorf("error %v", err)
					}
					return
				}
			}
		})
	}
	wg.Wait()
	got, err := e.svc().GetCredential(e.ctx, e.sc, v.ID, c.Items[0].ID)
	if err != nil || len(got.Metadata) != 8 {
		t.Fatalf("metadata %v, error %v", got.Metadata, err)
	}
}

func archive(t *testing.T, e *env) {
	v := e.vault(t)
	one, two := e.add(t, v, static(mcpURL, "token-one")), e.add(t, v, variable("A", "value"))
	c, err := e.svc().ArchiveCredential(e.ctx, e.sc, v.ID, one.ID)
	if err != nil || c.ArchivedAt == nil {
		t.Fatalf("%+v %v", c, err)
	}
	e.clock.Advance(time.Minute)
	again, err := e.svc().ArchiveCredential(e.ctx, e.sc, v.ID, one.ID)
	if err != nil {
		t.Fatal(err)
	}
	same(t, again, c)
	_, err = e.svc().UpdateCredential(e.ctx, e.sc, v.ID, one.ID, secret.Patch{DisplayName: ptr("x")})
	want(t, err, secret.ErrArchived)
	_, err = e.svc().Validate(e.ctx, e.sc, v.ID, one.ID)
	want(t, err, secret.ErrArchived)
	_, err = e.svc().Refresh(e.ctx, e.sc, one.ID, secret.NewValue("token-one"))
	want(t, err, secret.ErrArchived)
	archived, err := e.svc().ArchiveVault(e.ctx, e.sc, v.ID)
	if err != nil || archived.ArchivedAt == nil {
		t.Fatalf("%+v %v", archived, err)
	}
	for _, x := range []id.Credential{one.ID, two.ID} {
		r, err := e.Credentials.Get(e.ctx, e.sc, v.ID, x)
		if err != nil || r.ArchivedAt == nil || len(r.Sealed) > 0 {
			t.Fatalf("archived %v, %d bytes sealed, error %v", r.ArchivedAt, len(r.Sealed), err)
		}
	}
	e.clock.Advance(time.Minute)
	again2, err := e.svc().ArchiveVault(e.ctx, e.sc, v.ID)
	if err != nil {
		t.Fatal(err)
	}
	same(t, again2, archived)
	_, err = e.svc().UpdateVault(e.ctx, e.sc, v.ID, secret.VaultPatch{DisplayName: ptr("x")})
	want(t, err, secret.ErrArchived)
	_, err = e.svc().CreateCredential(e.ctx, e.sc, v.ID, variable("B", "value"))
	want(t, err, secret.ErrArchived)
	want(t, e.svc().CheckVaults(e.ctx, e.sc, []id.Vault{v.ID}), secret.ErrArchived)
	if _, ok, err := e.svc().Bearer(e.ctx, e.sc, []id.Vault{v.ID}, mcpURL); ok || err != nil {
		t.Fatalf("a token of an archived vault: %v %v", ok, err)
	}
	for _, all := range []bool{false, true} {
		n := 0
		if all {
			n = 1
		}
		vs, err := e.svc().ListVaults(e.ctx, e.sc, secret.ListRequest{Archived: all})
		if err != nil || len(vs.Items) != n {
			t.Fatalf("archived %v: %d vaults, error %v", all, len(vs.Items), err)
		}
		cs, err := e.svc().ListCredentials(e.ctx, e.sc, v.ID, secret.ListRequest{Archived: all})
		if err != nil || len(cs.Items) != 2*n {
			t.Fatalf("archived %v: %d credentials, error %v", all, len(cs.Items), err)
		}
	}
}

func deleted(t *testing.T, e *env) {
	v, other := e.vault(t), e.vault(t)
	one, two := e.add(t, v, static(mcpURL, "token-one")), e.add(t, v, variable("A", "value"))
	want(t, e.svc().DeleteCredential(e.ctx, e.sc, other.ID, one.ID), noCredential)
	if err := e.svc().DeleteCredential(e.ctx, e.sc, v.ID, one.ID); err != nil {
		t.Fatal(err)
	}
	want(t, e.svc().DeleteCredential(e.ctx, e.sc, v.ID, one.ID), noCredential)
	if err := e.svc().DeleteVault(e.ctx, e.sc, v.ID); err != nil {
		t.Fatal(err)
	}
	want(t, e.svc().DeleteVault(e.ctx, e.sc, v.ID), noVault)
	_, err := e.svc().GetCredential(e.ctx, e.sc, v.ID, two.ID)
	want(t, err, noVault)
	_, err = e.Credentials.Get(e.ctx, e.sc, id.Vault{}, two.ID)
	want(t, err, noCredential)
	want(t, e.svc().CheckVaults(e.ctx, e.sc, []id.Vault{other.ID, v.ID}), noVault)
}

func inline(t *testing.T, e *env) {
	s := e.svc()
	n := variable("", "value-one")
	v, err := s.CreateVault(e.ctx, e.sc, secret.NewVault{DisplayName: "GitHub token!", Inline: &n})
	if err != nil {
		t.Fatal(err)
	}
	vars := func() map[string]string {
		t.Helper()
		out := map[string]string{}
		got, err := s.EnvironmentVariables(e.ctx, e.sc, []id.Vault{v.ID})
		if err != nil {
			t.Fatal(err)
		}
		for _, x := range got {
			out[x.Name] = x.Value.Reveal()
		}
		return out
	}
	same(t, vars(), map[string]string{"GITHUB_TOKEN": "value-one"})
	rotated, err := s.UpdateVault(e.ctx, e.sc, v.ID, secret.VaultPatch{Inline: &secret.AuthPatch{Token: ptr(secret.NewValue("value-two"))}})
	if err != nil || rotated.Inline != v.Inline {
		t.Fatalf("%+v %v", rotated, err)
	}
	same(t, vars(), map[string]string{"GITHUB_TOKEN": "value-two"})
	// Nothing of a bad request is kept.
	_, err = s.UpdateVault(e.ctx, e.sc, v.ID, secret.VaultPatch{
		DisplayName: ptr(""), Inline: &secret.AuthPatch{Token: ptr(secret.NewValue("value-three"))},
	})
	want(t, err, secret.ErrInvalid)
	same(t, vars(), map[string]string{"GITHUB_TOKEN": "value-two"})
	if err := s.DeleteCredential(e.ctx, e.sc, v.ID, v.Inline); err != nil {
		t.Fatal(err)
	}
	_, err = s.UpdateVault(e.ctx, e.sc, v.ID, secret.VaultPatch{Inline: &secret.AuthPatch{Token: ptr(secret.NewValue("value-four"))}})
	want(t, err, secret.ErrInvalid)
	again := variable("", "value-five")
	if _, err = s.UpdateVault(e.ctx, e.sc, v.ID, secret.VaultPatch{DisplayName: ptr("7 up"), New: &again}); err != nil {
		t.Fatal(err)
	}
	same(t, vars(), map[string]string{"SECRET_7_UP": "value-five"})
	bad := static("nowhere", "token")
	if _, err := s.CreateVault(e.ctx, e.sc, secret.NewVault{DisplayName: "bad", Inline: &bad}); !errors.Is(err, secret.ErrInvalid) {
		t.Fatalf("error %v", err)
	}
	all, err := s.ListVaults(e.ctx, e.sc, secret.ListRequest{})
	if err != nil || len(all.Items) != 1 {
		t.Fatalf("%d vaults, error %v", len(all.Items), err)
	}
}

func pages(t *testing.T, e *env) {
	var vs []id.Vault
	for range 5 {
		vs = append(vs, e.vault(t).ID)
	}
	v := secret.Vault{ID: vs[4]}
	var cs []id.Credential
	for i := range 5 {
		cs = append(cs, e.add(t, v, variable(fmt.Sprintf("V%d", i), "value")).ID)
	}
	vault, credential := func(x secret.Vault) id.Vault { return x.ID }, func(x secret.Credential) id.Credential { return x.ID }
	gotV := pagetest.Walk(t, 2, vault, func(req page.Request) (page.Page[secret.Vault], error) {
		return e.svc().ListVaults(e.ctx, e.sc, secret.ListRequest{Request: req})
	})
	gotC := pagetest.Walk(t, 2, credential, func(req page.Request) (page.Page[secret.Credential], error) {
		return e.svc().ListCredentials(e.ctx, e.sc, v.ID, secret.ListRequest{Request: req})
	})
	same(t, fmt.Sprint(gotV), fmt.Sprint([]id.Vault{vs[4], vs[3], vs[2], vs[1], vs[0]}))
	same(t, fmt.Sprint(gotC), fmt.Sprint([]id.Credential{cs[4], cs[3], cs[2], cs[1], cs[0]}))
	req := secret.ListRequest{Request: page.Request{Cursor: "nonsense"}}
	_, err := e.svc().ListVaults(e.ctx, e.sc, req)
	_, err2 := e.svc().ListCredentials(e.ctx, e.sc, v.ID, req)
	if fault.KindOf(err) != fault.Invalid || fault.KindOf(err2) != fault.Invalid {
		t.Fatalf("bad cursor: %v, %v", err, err2)
	}
}

func foreign(t *testing.T, e *env) {
	v := e.vault(t)
	c := e.add(t, v, e.oauth())
	e.sc = account.System(id.New[id.TenantKind](ids))
	s := e.svc()
	_, err := s.GetVault(e.ctx, e.sc, v.ID)
	want(t, err, noVault)
	_, err = s.UpdateVault(e.ctx, e.sc, v.ID, secret.VaultPatch{DisplayName: ptr("mine")})
	want(t, err, noVault)
	_, err = s.ArchiveVault(e.ctx, e.sc, v.ID)
	want(t, err, noVault)
	want(t, s.DeleteVault(e.ctx, e.sc, v.ID), noVault)
	want(t, s.CheckVaults(e.ctx, e.sc, []id.Vault{v.ID}), noVault)
	_, err = s.CreateCredential(e.ctx, e.sc, v.ID, variable("A", "value"))
	want(t, err, noVault)
	mine := e.vault(t)
	for _, vault := range []id.Vault{v.ID, mine.ID} {
		not := noVault
		if vault == mine.ID {
			not = noCredential
		}
		_, err = s.GetCredential(e.ctx, e.sc, vault, c.ID)
		want(t, err, not)
		_, err = s.UpdateCredential(e.ctx, e.sc, vault, c.ID, secret.Patch{DisplayName: ptr("mine")})
		want(t, err, not)
		_, err = s.ArchiveCredential(e.ctx, e.sc, vault, c.ID)
		want(t, err, not)
		_, err = s.Validate(e.ctx, e.sc, vault, c.ID)
		want(t, err, not)
		want(t, s.DeleteCredential(e.ctx, e.sc, vault, c.ID), not)
	}
	_, err = s.Refresh(e.ctx, e.sc, c.ID, secret.NewValue("access-token-1"))
	want(t, err, noCredential)
	if _, ok, err := s.Bearer(e.ctx, e.sc, []id.Vault{v.ID}, mcpURL); ok || err != nil {
		t.Fatalf("a foreign token: %v %v", ok, err)
	}
	if err := e.Credentials.Archive(e.ctx, e.sc, v.ID, time.Now()); err != nil {
		t.Fatal(err)
	}
	if n := e.endpoint.calls(); n != 0 {
		t.Fatalf("%d exchanges", n)
	}
}

func rollback(t *testing.T, e *env) {
	v := e.vault(t)
	c := e.add(t, v, static(mcpURL, "token-one"))
	e.audit.fail(errors.New("full disk"))
	s := e.svc()
	if _, err := s.CreateVault(e.ctx, e.sc, secret.NewVault{DisplayName: "x"}); err == nil {
		t.Error("no error")
	}
	if _, err := s.UpdateCredential(e.ctx, e.sc, v.ID, c.ID, secret.Patch{DisplayName: ptr("x")}); err == nil {
		t.Error("no error")
	}
	if err := s.DeleteVault(e.ctx, e.sc, v.ID); err == nil {
		t.Error("no error")
	}
	if _, err := s.ArchiveVault(e.ctx, e.sc, v.ID); err == nil {
		t.Error("no error")
	}
	got, err := s.GetCredential(e.ctx, e.sc, v.ID, c.ID)
	if err != nil {
		t.Fatal(err)
	}
	same(t, got, c)
	all, err := s.ListVaults(e.ctx, e.sc, secret.ListRequest{})
	if err != nil || len(all.Items) != 1 {
		t.Fatalf("%d vaults, error %v", len(all.Items), err)
	}
}

func cancelled(t *testing.T, e *env) {
	v := e.vault(t)
	ctx, cancel := context.WithCancel(e.ctx)
	cancel()
	if _, err := e.svc().GetVault(ctx, e.sc, v.ID); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
	if _, err := e.svc().CreateCredential(ctx, e.sc, v.ID, static(mcpURL, "token")); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
}

// sealed checks that what is stored shows nothing, and opens nowhere else.
func sealed(t *testing.T, e *env) {
	v := e.vault(t)
	one, two := e.add(t, v, e.oauth()), e.add(t, v, variable("A", "very-secret-value"))
	a, err := e.Credentials.Get(e.ctx, e.sc, v.ID, one.ID)
	if err != nil {
		t.Fatal(err)
	}
	b, err := e.Credentials.Get(e.ctx, e.sc, v.ID, two.ID)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range []secret.Record{a, b} {
		shown := fmt.Sprintf("%+v %s", r, r.Sealed)
		for _, s := range []string{"access-token-1", "refresh-token-1", "client-secret", "very-secret-value"} {
			if strings.Contains(shown, s) {
				t.Fatalf("%s is shown", s)
			}
		}
	}
	b.Sealed, b.Version = a.Sealed, b.Version+1
	if err := e.Credentials.Update(e.ctx, e.sc, b); err != nil {
		t.Fatal(err)
	}
	_, err = e.svc().EnvironmentVariables(e.ctx, e.sc, []id.Vault{v.ID})
	want(t, err, keeper.ErrOpen)
}

func bearer(t *testing.T, e *env) {
	empty, first, second := e.vault(t), e.vault(t), e.vault(t)
	e.add(t, first, static(mcpURL, "token-one"))
	two := e.add(t, second, static(mcpURL, "token-two"))
	e.add(t, second, variable("A", "value"))
	for name, tt := range map[string]struct {
		vaults []id.Vault
		url    string
		want   string
	}{
		"first counts": {[]id.Vault{empty.ID, second.ID, first.ID}, mcpURL, "token-two"},
		"other order":  {[]id.Vault{empty.ID, first.ID, second.ID}, mcpURL, "token-one"},
		"other server": {[]id.Vault{first.ID, second.ID}, "https://other.example.com/mcp", ""},
		"empty":        {[]id.Vault{empty.ID}, mcpURL, ""},
		"none":         {nil, mcpURL, ""},
		"missing":      {[]id.Vault{id.New[id.VaultKind](ids), first.ID}, mcpURL, "token-one"},
	} {
		tok, ok, err := e.svc().Bearer(e.ctx, e.sc, tt.vaults, tt.url)
		if err != nil || ok != (tt.want != "") || tok.Value.Reveal() != tt.want {
			t.Errorf("%s: %q %v %v", name, tok.Value.Reveal(), ok, err)
		}
	}
	_, err := e.svc().Refresh(e.ctx, e.sc, two.ID, secret.NewValue("token-two"))
	want(t, err, secret.ErrExpired)
	tok, err := e.svc().Refresh(e.ctx, e.sc, two.ID, secret.NewValue("an older token"))
	if err != nil || tok.Value.Reveal() != "token-two" || tok.Vault != second.ID {
		t.Fatalf("%+v %v", tok, err)
	}
}

func variables(t *testing.T, e *env) {
	first, second := e.vault(t), e.vault(t)
	e.add(t, first, variable("A", "value-a1"))
	e.add(t, first, static(mcpURL, "token"))
	e.add(t, second, variable("A", "value-a2"))
	b := e.add(t, second, variable("B", "value-b"))
	got, err := e.svc().EnvironmentVariables(e.ctx, e.sc, []id.Vault{first.ID, second.ID})
	if err != nil || len(got) != 2 || got[0].Value.Reveal() != "value-a1" || got[1].Value.Reveal() != "value-b" || got[1].Credential != b.ID {
		t.Fatalf("%+v %v", got, err)
	}
}

func known(t *testing.T, e *env) {
	v := e.vault(t)
	e.add(t, v, e.oauth())
	e.add(t, v, variable("API_KEY", "value-of-the-variable"))
	k, err := e.svc().Known(e.ctx, e.sc, []id.Vault{v.ID})
	if err != nil || len(k) != 4 {
		t.Fatalf("%d known, error %v", len(k), err)
	}
	got := secret.NewRedactor(k).Redact("k=value-of-the-variable, client-secret")
	if !strings.HasPrefix(got, "k=[redacted:API_KEY], [redacted:vcrd_") || strings.Contains(got, "client-secret") {
		t.Fatalf("%q", got)
	}
	if k, err := e.svc().Known(e.ctx, e.sc, nil); err != nil || k != nil {
		t.Fatalf("%v %v", k, err)
	}
}

type guard struct{}

func (guard) Check(u *url.URL) error {
	if u.Hostname() == "forbidden.example.com" {
		return fault.New(fault.Forbidden, "blocked", "the address may not be reached")
	}
	return nil
}
