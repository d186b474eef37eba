package remotetest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/remote"
	"github.com/bureau-agents/bureau/core/secret"
	"github.com/bureau-agents/bureau/ports/fault"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/tool"
)

func secretOf(s string) *secret.Value { return new(secret.NewValue(s)) }

// updated: what is named changes, the rest stays, and the next call is made with it.
func updated(t *testing.T, e *env) {
	w := newWorld(t, e)
	r := w.registered(t, remote.New{
		Name: "polly", Description: "Speaks.", Credential: &remote.NewCredential{Kind: remote.Bearer, Secret: secret.NewValue("0ld")},
	})
	polly := w.Tool(w.sc, r, w, remote.Holder{Agent: id.New[id.AgentKind](ids), Session: id.New[id.SessionKind](ids)})
	for _, step := range []struct {
		name    string
		u       remote.Update
		changed []string // nil: nothing
		want    remote.Credential
		secret  string
	}{
		{
			"nothing", remote.Update{Name: new("polly"), Credential: &remote.CredentialUpdate{AnyOrigin: new(false)}}, nil,
			remote.Credential{Kind: remote.Bearer}, "0ld",
		},
		{
			"a new secret", remote.Update{Credential: &remote.CredentialUpdate{Secret: secretOf("n3w")}}, []string{"credential"},
			remote.Credential{Kind: remote.Bearer}, "n3w",
		},
		{
			"how it is shown", remote.Update{Credential: &remote.CredentialUpdate{Kind: new(remote.APIKey), AnyOrigin: new(true)}},
			[]string{"credential"}, remote.Credential{Kind: remote.APIKey, Header: "X-API-Key", AnyOrigin: true}, "n3w",
		},
		{
			"its header", remote.Update{Credential: &remote.CredentialUpdate{Header: new("X-Key")}}, []string{"credential"},
			remote.Credential{Kind: remote.APIKey, Header: "X-Key", AnyOrigin: true}, "n3w",
		},
		{
			"a bearer again", remote.Update{Credential: &remote.CredentialUpdate{Kind: new(remote.Bearer), Secret: secretOf("m0re")}},
			[]string{"credential"}, remote.Credential{Kind: remote.Bearer, AnyOrigin: true}, "m0re",
		},
		{
			"all the rest", remote.Update{Name: new("lora"), Description: new(""), RequireValid: new(false)},
			[]string{"name", "description", "require_valid"}, remote.Credential{Kind: remote.Bearer, AnyOrigin: true}, "m0re",
		},
		{"none", remote.Update{Credential: &remote.CredentialUpdate{Remove: true}}, []string{"credential"}, remote.Credential{}, ""},
		{"still none", remote.Update{Credential: &remote.CredentialUpdate{Remove: true}}, nil, remote.Credential{}, ""},
		{
			"one again", remote.Update{Credential: &remote.CredentialUpdate{Kind: new(remote.APIKey), Header: new(""), Secret: secretOf("last")}},
			[]string{"credential"}, remote.Credential{Kind: remote.APIKey, Header: "X-API-Key"}, "last",
		},
	} {
		w.clock.Advance(time.Minute)
		n := len(w.notes)
		got, err := w.Update(w.ctx, w.sc, r.ID, step.u)
		noError(t, err)
		stored, err := w.Get(w.ctx, w.sc, r.ID)
		noError(t, err)
		same(t, stored, got)
		value, err := w.Secret(w.ctx, stored)
		noError(t, err)
		if got.Credential.Sealed = nil; value.Reveal() != step.secret || fmt.Sprint(got.Credential) != fmt.Sprint(step.want) {
			t.Errorf("%s: %+v", step.name, got.Credential)
		}
		told := got.UpdatedAt.Equal(w.clock.Now())
		if told != (step.changed != nil) || len(w.notes)-n != min(1, len(step.changed)) {
			t.Errorf("%s: noted %v, changed at %v", step.name, w.notes[n:], got.UpdatedAt)
		}
		if step.changed != nil {
			same(t, step.changed, w.noted["changed"].([]string))
		}
		if text, err := json.Marshal(w.noted); err != nil || step.secret != "" && strings.Contains(string(text), step.secret) {
			t.Errorf("%s: the secret is in the trail, or %v: %s", step.name, err, text)
		}
		_, err = polly.Call(w.ctx, tool.Call{Input: json.RawMessage(`{"message":"hi"}`)})
		if err != nil || w.line.Secret.Reveal() != step.secret || w.line.Credential.Header != step.want.Header {
			t.Errorf("%s: called with %+v, %v", step.name, w.line.Credential, err)
		}
	}
	got, err := w.Get(w.ctx, w.sc, r.ID)
	noError(t, err)
	if got.Name != "lora" || got.Description != "" || got.RequireValid || got.URL != r.URL || string(got.Card.Text) != string(r.Card.Text) {
		t.Errorf("in the end: %+v", got)
	}
	same(t, "remote_agent_updated", w.notes[len(w.notes)-1])
	same(t, []int{80}, w.changes(t, r)) // the card is the same
}

func updateRefused(t *testing.T, e *env) {
	w := newWorld(t, e)
	bare := w.registered(t, remote.New{Name: "bare"})
	r := w.registered(t, remote.New{Credential: &remote.NewCredential{Kind: remote.Bearer, Secret: secret.NewValue("0ld")}})
	for _, tc := range []struct {
		of   remote.Remote
		u    remote.Update
		path string
	}{
		{r, remote.Update{Name: new("")}, "name"},
		{r, remote.Update{Name: new("two words")}, "name"},
		{r, remote.Update{Description: new("\x00")}, "description"},
		{r, remote.Update{Credential: &remote.CredentialUpdate{Secret: secretOf("")}}, "credential.secret"},
		{r, remote.Update{Credential: &remote.CredentialUpdate{Secret: secretOf(strings.Repeat("x", remote.MaxSecret+1))}}, "credential.secret"},
		{r, remote.Update{Credential: &remote.CredentialUpdate{Kind: new(remote.CredentialKind("basic"))}}, "credential.type"},
		{r, remote.Update{Credential: &remote.CredentialUpdate{Header: new("X-Key")}}, "credential.header"},
		{r, remote.Update{Credential: &remote.CredentialUpdate{Kind: new(remote.APIKey), Header: new("Host")}}, "credential.header"},
		{bare, remote.Update{Credential: &remote.CredentialUpdate{Kind: new(remote.Bearer)}}, "credential.secret"},
		{bare, remote.Update{Credential: &remote.CredentialUpdate{Secret: secretOf("x")}}, "credential.type"},
	} {
		_, err := w.Update(w.ctx, w.sc, tc.of.ID, tc.u)
		if fe, ok := fault.As(err); !ok || fe.Kind != fault.Invalid || len(fe.Fields) != 1 || fe.Fields[0].Path != tc.path {
			t.Errorf("%s: %v", tc.path, err)
		}
	}
	_, err := w.Update(w.ctx, w.sc, r.ID, remote.Update{Name: new("bare"), Credential: &remote.CredentialUpdate{Secret: secretOf("n3w")}})
	wantErr(t, err, remote.ErrNameTaken)
	got, err := w.Get(w.ctx, w.sc, r.ID)
	noError(t, err)
	same(t, r, got)
	same(t, []string{"remote_agent_registered", "remote_agent_registered"}, w.notes)
	_, err = w.Update(w.ctx, w.sc, id.New[id.RemoteAgentKind](ids), remote.Update{})
	wantCode(t, err, "remote_agent_not_found")
}

// Bearer implements remote.Vaults: each vault has a token for one address.
func (w *world) Bearer(_ context.Context, _ account.Scope, vaults []id.Vault, address string) (secret.Token, bool, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.sought = append(w.sought, address)
	for _, v := range vaults {
		if w.vaults[v] == address {
			if err := w.stale[v]; err != nil {
				return secret.Token{}, false, err
			}
			return secret.Token{Value: secret.NewValue("of " + address), Vault: v}, true, nil
		}
	}
	return secret.Token{}, false, nil
}

// byVault: an agent without a credential of its own is called with what the session has for it.
func byVault(t *testing.T, e *env) {
	w := newWorld(t, e)
	own := w.registered(t, remote.New{
		Name: "own", Credential: &remote.NewCredential{Kind: remote.Bearer, Secret: secret.NewValue("own"), AnyOrigin: true},
	})
	bare := w.registered(t, remote.New{Name: "bare"})
	astray := w.registered(t, remote.New{Name: "astray"})
	astray.Card.Endpoint = "https://elsewhere.example/rpc"
	w.vaults, w.stale = map[id.Vault]string{}, map[id.Vault]error{}
	vault := func(address string) []id.Vault {
		v := id.New[id.VaultKind](ids)
		w.vaults[v] = address
		return []id.Vault{v}
	}
	stale := func(err error) []id.Vault {
		v := vault(home)
		w.stale[v[0]] = err
		return v
	}
	expired := secret.ErrExpired.Message
	for name, tc := range map[string]struct {
		of     remote.Remote
		vaults []id.Vault
		secret string // "": none
		lack   string
	}{
		"its own":                     {own, vault(home), "own", ""},
		"as registered":               {bare, vault(home), "of " + home, ""},
		"of its card":                 {bare, vault(home + "/card.json"), "of " + home + "/card.json", ""},
		"of its endpoint":             {bare, vault(home + "/rpc"), "of " + home + "/rpc", ""},
		"of an endpoint of others":    {astray, vault("https://elsewhere.example/rpc"), "", ""},
		"of another at its origin":    {bare, vault(home + "/mcp"), "", ""},
		"the first vault has nothing": {bare, append(vault("https://x.example"), vault(home)...), "of " + home, ""},
		"two addresses":               {bare, append(vault(home+"/rpc"), vault(home)...), "of " + home, ""},
		"no vault":                    {bare, nil, "", ""},
		"an expired one":              {bare, stale(secret.ErrExpired), "", expired},
		"one that is not refreshed":   {bare, stale(secret.ErrRefresh.Wrap(secret.ErrArchived)), "", secret.ErrRefresh.Message},
		"another than the expired":    {bare, append(stale(secret.ErrExpired), vault(home+"/rpc")...), "of " + home + "/rpc", ""},
	} {
		line, err := w.Line(w.ctx, w.sc, tc.of, tc.vaults)
		if err != nil || line.Secret.Reveal() != tc.secret || (line.Credential.Kind == remote.Bearer) != (tc.secret != "") {
			t.Errorf("%s: %+v, %v", name, line.Credential, err)
		}
		if line.Lack != tc.lack {
			t.Errorf("%s: none because %q", name, line.Lack)
		}
		if line.Credential.AnyOrigin != (tc.secret == "own") {
			t.Errorf("%s goes to any origin: %v", name, line.Credential.AnyOrigin)
		}
	}
	if _, err := w.Line(w.ctx, w.sc, bare, stale(secret.ErrArchived)); !errors.Is(err, secret.ErrArchived) {
		t.Errorf("vaults that cannot be read: %v", err)
	}
	for _, address := range w.sought {
		if !strings.HasPrefix(address, home) {
			t.Errorf("asked for %s", address)
		}
	}
	polly := w.Tool(w.sc, bare, w, remote.Holder{Agent: id.New[id.AgentKind](ids), Session: id.New[id.SessionKind](ids), Vaults: vault(home)})
	if _, err := polly.Call(w.ctx, tool.Call{Input: json.RawMessage(`{"message":"hi"}`)}); err != nil || w.line.Secret.Reveal() != "of "+home {
		t.Errorf("as a tool: %+v, %v", w.line.Credential, err)
	}
}
