package app_test

import (
	"crypto/ed25519"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/bureau-agents/bureau/app"
	"github.com/bureau-agents/bureau/app/apptest"
	cards "github.com/bureau-agents/bureau/core/card"
)

// The cards of agents are signed by the operator's key, whose public half anybody can read.
func TestSignedAgentCards(t *testing.T) {
	t.Parallel()
	key, err := cards.NewSigningKey(ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize)), "operator-1")
	if err != nil {
		t.Fatal(err)
	}
	s := apptest.Start(t, apptest.Config{Change: func(c *app.Config) { c.CardSigningKey, c.PublicURL = &key, "https://bureau.example.com" }})
	var agent struct{ ID string }
	s.Admin.Call("POST", "/v1/agents", map[string]any{"name": "signed", "model": "offline"}, &agent)
	read := func(path, tag string, status int) (string, http.Header) {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.URL+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("If-None-Match", tag)
		res, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		text, err := io.ReadAll(res.Body)
		if err != nil || res.StatusCode != status {
			t.Fatalf("%s: %d, %v\n%s", path, res.StatusCode, err, text)
		}
		return string(text), res.Header
	}
	const jwks = "/a2a/.well-known/jwks.json"
	set, header := read(jwks, "", 200)
	if header.Get("Content-Type") != "application/jwk-set+json" || strings.Contains(set, `"d"`) {
		t.Errorf("%v\n%s", header, set)
	}
	read(jwks, header.Get("ETag"), 304)
	keys, err := cards.ParseKeys([]byte(set))
	if err != nil || keys.Len() != 1 {
		t.Fatalf("%v: %s", err, set)
	}
	text, _ := read("/a2a/"+agent.ID+"/.well-known/agent-card.json", "", 200)
	for _, version := range []cards.Version{"", cards.V030, cards.V10} {
		r := cards.Validate([]byte(text), cards.Options{Keys: keys, Version: version})
		if len(r.Signatures) == 0 || r.Signatures[0].State != cards.SignatureTrusted || r.Signatures[0].Uncovered != nil || r.Score != 100 {
			t.Errorf("held to %q: score %d, %+v\n%s", version, r.Score, r.Signatures, text)
		}
		for _, w := range r.Warnings {
			t.Errorf("held to %q: %s: %s", version, w.Path, w.Message)
		}
	}

	none := apptest.Start(t, apptest.Config{})
	s = none
	if set, _ := read(jwks, "", 200); set != `{"keys":[]}` {
		t.Errorf("a server without a key has the keys %s", set)
	}
}
