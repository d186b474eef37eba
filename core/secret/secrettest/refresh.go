package secrettest

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/secret"
	"github.com/bureau-agents/bureau/ports/clock"
	"github.com/bureau-agents/bureau/ports/id"
)

func discard() *slog.Logger { return slog.New(slog.DiscardHandler) }

// endpoint is a token endpoint that takes each refresh token once, as good ones do.
type endpoint struct {
	mu      sync.Mutex
	refresh string // the token that is good
	spent   []string
	n       int
	err     error
	before  func() // runs while an exchange is under way
}

func (p *endpoint) Exchange(_ context.Context, req secret.ExchangeRequest) (secret.Grant, error) {
	p.mu.Lock()
	before := p.before
	p.before = nil
	p.mu.Unlock()
	if before != nil {
		before()
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.n++
	if p.err != nil {
		return secret.Grant{}, p.err
	}
	shown := req.RefreshToken.Reveal()
	if shown != p.refresh || req.ClientSecret.Reveal() != "client-secret" || req.Resource != mcpURL {
		return secret.Grant{}, &secret.RejectedError{Answer: secret.Answer{Status: 400, Body: `{"error":"invalid_grant","token":"` + shown + `"}`}}
	}
	p.spent = append(p.spent, shown)
	p.refresh = fmt.Sprintf("refresh-token-%d", len(p.spent)+1)
	return secret.Grant{
		AccessToken: secret.NewValue(fmt.Sprintf("access-token-%d", len(p.spent)+1)), RefreshToken: secret.NewValue(p.refresh), ExpiresIn: time.Hour,
	}, nil
}

func (p *endpoint) calls() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.n
}

func (p *endpoint) set(change func(p *endpoint)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	change(p)
}

// server is an MCP server that answers with a status, or by whether the token is the endpoint's newest.
type server struct {
	mu       sync.Mutex
	endpoint *endpoint
	status   int // 0: by the token
	err      error
	seen     []string
}

func (s *server) Probe(_ context.Context, _ string, token secret.Value) (secret.Answer, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.seen = append(s.seen, token.Reveal())
	if s.err != nil {
		return secret.Answer{}, s.err
	}
	status := s.status
	if status == 0 {
		status = 401
		s.endpoint.set(func(p *endpoint) {
			if token.Reveal() == fmt.Sprintf("access-token-%d", len(p.spent)+1) && len(p.spent) > 0 {
				status = 200
			}
		})
	}
	return secret.Answer{Status: status, ContentType: "text/plain", Body: "you sent " + token.Reveal()}, nil
}

// trail is the audit trail.
type trail struct {
	mu      sync.Mutex
	actions []string
	err     error
}

func (a *trail) Record(_ context.Context, _ account.Scope, action string, _ map[string]any) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.err != nil {
		return a.err
	}
	a.actions = append(a.actions, action)
	return nil
}

func (a *trail) fail(err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.err = err
}

func (a *trail) all() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(a.actions)
}

func refreshAhead(t *testing.T, e *env) {
	v := e.vault(t)
	c := e.add(t, v, e.oauth())
	get := func() string {
		t.Helper()
		tok, ok, err := e.svc().Bearer(e.ctx, e.sc, []id.Vault{v.ID}, mcpURL)
		if err != nil || !ok {
			t.Fatalf("%v %v", ok, err)
		}
		return tok.Value.Reveal()
	}
	same(t, get(), "access-token-1")
	e.clock.Advance(time.Hour - secret.RefreshAhead)
	same(t, get(), "access-token-2")
	got, err := e.svc().GetCredential(e.ctx, e.sc, v.ID, c.ID)
	if err != nil {
		t.Fatal(err)
	}
	same(t, *got.Auth.ExpiresAt, clock.Stored(e.clock.Now().Add(time.Hour)))
	same(t, get(), "access-token-2")
	same(t, e.endpoint.calls(), 1)
	// Shortly before its end a token that cannot be refreshed is still good; afterwards it is not.
	e.endpoint.set(func(p *endpoint) { p.err = errors.New("no route") })
	e.clock.Advance(time.Hour - time.Second)
	same(t, get(), "access-token-2")
	e.clock.Advance(2 * time.Second)
	_, _, err = e.svc().Bearer(e.ctx, e.sc, []id.Vault{v.ID}, mcpURL)
	want(t, err, secret.ErrRefresh)
}

// refreshOnce lets many callers in two processes find out at once that the token is refused.
func refreshOnce(t *testing.T, e *env) {
	v := e.vault(t)
	c := e.add(t, v, e.oauth())
	var wg sync.WaitGroup
	start := make(chan struct{})
	for i := range 16 {
		wg.Go(func() {
			<-start
			tok, err := e.services[i%2].Refresh(e.ctx, e.sc, c.ID, secret.NewValue("access-token-1"))
			if err != nil || tok.Value.Reveal() != "access-token-2" {
				t.Errorf("%q %v", tok.Value.Reveal(), err)
			}
		})
	}
	close(start)
	wg.Wait()
	same(t, e.endpoint.spent, []string{"refresh-token-1"})
	tok, err := e.svc().Refresh(e.ctx, e.sc, c.ID, secret.NewValue("access-token-2"))
	if err != nil || tok.Value.Reveal() != "access-token-3" {
		t.Fatalf("%q %v", tok.Value.Reveal(), err)
	}
	same(t, e.endpoint.spent, []string{"refresh-token-1", "refresh-token-2"})
}

func refreshFails(t *testing.T, e *env) {
	v := e.vault(t)
	c := e.add(t, v, e.oauth())
	e.endpoint.set(func(p *endpoint) { p.err = errors.New("no route") })
	stale := secret.NewValue("access-token-1")
	for i := range 4 {
		_, err := e.services[i%2].Refresh(e.ctx, e.sc, c.ID, stale)
		want(t, err, secret.ErrRefresh)
	}
	same(t, e.endpoint.calls(), 1)
	e.endpoint.set(func(p *endpoint) { p.err = nil })
	e.clock.Advance(secret.FailurePause)
	tok, err := e.services[1].Refresh(e.ctx, e.sc, c.ID, stale)
	if err != nil || tok.Value.Reveal() != "access-token-2" {
		t.Fatalf("%q %v", tok.Value.Reveal(), err)
	}
	// New secrets are tried at once.
	e.endpoint.set(func(p *endpoint) { p.refresh = "refresh-token-9" })
	_, err = e.svc().Refresh(e.ctx, e.sc, c.ID, tok.Value)
	want(t, err, secret.ErrRefresh)
	rotate := &secret.RefreshPatch{RefreshToken: ptr(secret.NewValue("refresh-token-9"))}
	if _, err := e.svc().UpdateCredential(e.ctx, e.sc, v.ID, c.ID, secret.Patch{Auth: &secret.AuthPatch{Refresh: rotate}}); err != nil {
		t.Fatal(err)
	}
	if _, err := e.svc().Refresh(e.ctx, e.sc, c.ID, tok.Value); err != nil {
		t.Fatal(err)
	}
}

// rotatedMeanwhile gives the credential other secrets while its token is being refreshed: those stay.
func rotatedMeanwhile(t *testing.T, e *env) {
	v := e.vault(t)
	c := e.add(t, v, e.oauth())
	e.endpoint.before = func() {
		_, err := e.services[1].UpdateCredential(e.ctx, e.sc, v.ID, c.ID, secret.Patch{Auth: &secret.AuthPatch{
			Token: ptr(secret.NewValue("access-token-of-the-owner")),
		}})
		if err != nil {
			t.Error(err)
		}
	}
	if _, err := e.svc().Refresh(e.ctx, e.sc, c.ID, secret.NewValue("access-token-1")); err != nil {
		t.Fatal(err)
	}
	tok, _, err := e.svc().Bearer(e.ctx, e.sc, []id.Vault{v.ID}, mcpURL)
	if err != nil || tok.Value.Reveal() != "access-token-of-the-owner" {
		t.Fatalf("%q %v", tok.Value.Reveal(), err)
	}
}

// changedMeanwhile changes the credential, but not its secrets, while its token is being refreshed: both are kept.
func changedMeanwhile(t *testing.T, e *env) {
	v := e.vault(t)
	c := e.add(t, v, e.oauth())
	e.endpoint.before = func() {
		if _, err := e.services[1].UpdateCredential(e.ctx, e.sc, v.ID, c.ID, secret.Patch{DisplayName: ptr("renamed")}); err != nil {
			t.Error(err)
		}
	}
	if _, err := e.svc().Refresh(e.ctx, e.sc, c.ID, secret.NewValue("access-token-1")); err != nil {
		t.Fatal(err)
	}
	got, err := e.svc().GetCredential(e.ctx, e.sc, v.ID, c.ID)
	if err != nil || got.DisplayName != "renamed" {
		t.Fatalf("%+v %v", got, err)
	}
	tok, _, err := e.svc().Bearer(e.ctx, e.sc, []id.Vault{v.ID}, mcpURL)
	if err != nil || tok.Value.Reveal() != "access-token-2" {
		t.Fatalf("%q %v", tok.Value.Reveal(), err)
	}
}

// crashedRefresh finds a credential that a process has taken and not given back.
func crashedRefresh(t *testing.T, e *env) {
	v := e.vault(t)
	c := e.add(t, v, e.oauth())
	r, err := e.Credentials.Get(e.ctx, e.sc, v.ID, c.ID)
	if err != nil {
		t.Fatal(err)
	}
	r.Version++
	r.RefreshUntil = clock.Stored(e.clock.Now().Add(time.Second))
	if err := e.Credentials.Update(e.ctx, e.sc, r); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() {
		_, err := e.svc().Refresh(e.ctx, e.sc, c.ID, secret.NewValue("access-token-1"))
		done <- err
	}()
	select {
	case err := <-done:
		t.Fatalf("did not wait: %v", err)
	case <-time.After(20 * time.Millisecond):
	}
	same(t, e.endpoint.calls(), 0)
	e.clock.Advance(time.Second)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	same(t, e.endpoint.calls(), 1)
}

func validate(t *testing.T, e *env) {
	v := e.vault(t)
	bearer, env := e.add(t, v, static("https://static.example.com", "static-token")), e.add(t, v, variable("A", "value"))
	_, err := e.svc().Validate(e.ctx, e.sc, v.ID, env.ID)
	want(t, err, secret.ErrInvalid)
	for status, verdict := range map[int]secret.Verdict{
		200: secret.Valid, 202: secret.Valid, 401: secret.Invalid, 403: secret.Invalid, 404: secret.Unknown, 429: secret.Unknown,
		500: secret.Unknown,
	} {
		e.server.status = status
		got, err := e.svc().Validate(e.ctx, e.sc, v.ID, bearer.ID)
		if err != nil {
			t.Fatal(err)
		}
		wanted := secret.Validation{Credential: bearer.ID, Vault: v.ID, Verdict: verdict, At: clock.Stored(e.clock.Now())}
		if verdict != secret.Valid {
			wanted.Probe = &secret.ProbeOutcome{Method: "initialize", Answer: &secret.Answer{
				Status: status, ContentType: "text/plain", Body: "you sent [redacted:" + bearer.ID.String() + "]",
			}}
		}
		same(t, got, wanted)
	}
	e.server.err = errors.New("no route")
	got, err := e.svc().Validate(e.ctx, e.sc, v.ID, bearer.ID)
	if err != nil {
		t.Fatal(err)
	}
	same(t, got.Verdict, secret.Unknown)
	same(t, got.Probe, &secret.ProbeOutcome{Method: "initialize"})
}

func validateRefreshed(t *testing.T, e *env) {
	v := e.vault(t)
	n := e.oauth()
	n.DisplayName = "crm"
	c := e.add(t, v, n)
	run := func() secret.Validation {
		t.Helper()
		got, err := e.svc().Validate(e.ctx, e.sc, v.ID, c.ID)
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	e.endpoint.set(func(p *endpoint) { p.err = errors.New("no route") })
	got := run()
	same(t, got.Verdict, secret.Unknown)
	same(t, got.Refresh, &secret.RefreshOutcome{Status: secret.RefreshUnreachable})
	// That it has just failed does not keep a validation from finding out.
	e.endpoint.set(func(p *endpoint) { p.err = nil })
	got = run()
	same(t, got, secret.Validation{
		Credential: c.ID, Vault: v.ID, Verdict: secret.Valid, HasRefreshToken: true,
		Refresh: &secret.RefreshOutcome{Status: secret.RefreshSucceeded}, At: clock.Stored(e.clock.Now()),
	})
	same(t, run().Refresh, (*secret.RefreshOutcome)(nil))
	e.endpoint.set(func(p *endpoint) { p.refresh, p.spent = "other", nil })
	got = run()
	same(t, got.Verdict, secret.Invalid)
	same(t, got.Refresh, &secret.RefreshOutcome{
		Status: secret.RefreshRejected, Answer: &secret.Answer{Status: 400, Body: `{"error":"invalid_grant","token":"[redacted:crm]"}`},
	})
	if _, err := e.svc().UpdateCredential(e.ctx, e.sc, v.ID, c.ID, secret.Patch{Auth: &secret.AuthPatch{ClearRefresh: true}}); err != nil {
		t.Fatal(err)
	}
	got = run()
	same(t, got.Verdict, secret.Invalid)
	same(t, got.Refresh, &secret.RefreshOutcome{Status: secret.RefreshWithoutToken})
	same(t, got.HasRefreshToken, false)
}
