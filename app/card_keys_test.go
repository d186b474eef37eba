package app_test

import (
	"bytes"
	"crypto/ed25519"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/bureau-agents/bureau/app"
	"github.com/bureau-agents/bureau/app/apptest"
	cards "github.com/bureau-agents/bureau/core/card"
)

// later is the system's clock, put forward.
type later struct{ by atomic.Int64 }

// Now implements clock.Clock.
func (l *later) Now() time.Time { return time.Now().Add(time.Duration(l.by.Load())) }

// operatorKey is a key that expires after a while.
func operatorKey(t *testing.T, name string, seed byte, until time.Time) cards.SigningKey {
	t.Helper()
	key, err := cards.NewSigningKey(ed25519.NewKeyFromSeed(bytes.Repeat([]byte{seed}, ed25519.SeedSize)), name)
	if err != nil {
		t.Fatal(err)
	}
	return key.Within(time.Time{}, until)
}

// The cards of agents are signed by the operator's keys, whose public halves anybody can read. When a key expires the next one takes over.
func TestSignedAgentCards(t *testing.T) {
	t.Parallel()
	now, clock := time.Now(), &later{}
	signing, err := cards.NewSigningKeys(operatorKey(t, "operator-1", 1, now.Add(time.Hour)), operatorKey(t, "operator-2", 2, now.Add(3*time.Hour)))
	if err != nil {
		t.Fatal(err)
	}
	s := apptest.Start(t, apptest.Config{Options: []app.Option{app.WithClock(clock)}, Change: func(c *app.Config) {
		c.CardSigningKeys, c.PublicURL = signing, "https://bureau.example.com"
	}})
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
	if err != nil || keys.Len() != 2 {
		t.Fatalf("%v: %s", err, set)
	}
	at := "/a2a/" + agent.ID + "/.well-known/agent-card.json"
	text, header := read(at, "", 200)
	tag := header.Get("ETag")
	if !strings.HasPrefix(tag, "W/") {
		t.Errorf("a signed card has the tag %s", tag)
	}
	for _, version := range []cards.Version{"", cards.V030, cards.V10} {
		r := cards.Validate([]byte(text), cards.Options{Keys: keys, Version: version})
		if len(r.Signatures) == 0 || r.Signatures[0].State != cards.SignatureTrusted || r.Signatures[0].Uncovered != nil || r.Score != 100 {
			t.Errorf("held to %q: score %d, %+v\n%s", version, r.Score, r.Signatures, text)
		}
		for _, w := range r.Warnings {
			t.Errorf("held to %q: %s: %s", version, w.Path, w.Message)
		}
	}
	for _, c := range []struct {
		after  time.Duration
		signer string // "" nobody
		log    string
	}{
		{90 * time.Minute, "operator-2", `msg="another key signs agents' cards now" key=operator-2 before=operator-1`},
		{4 * time.Hour, "", `no key may sign them now" error="card: the signing key \"operator-1\" has expired at`},
		{0, "operator-1", `msg="another key signs agents' cards now" key=operator-1`},
	} {
		clock.by.Store(int64(c.after))
		if c.after == 0 {
			read(at, tag, 304)
		} else {
			text, header := read(at, tag, 200)
			if tag == header.Get("ETag") || strings.HasPrefix(header.Get("ETag"), "W/") != (c.signer != "") {
				t.Errorf("after %v: the tag is %s", c.after, header.Get("ETag"))
			}
			signer := ""
			for _, v := range cards.Validate([]byte(text), cards.Options{Keys: keys, Now: now.Add(c.after)}).Signatures {
				if v.State == cards.SignatureTrusted {
					signer = v.KeyID
				}
			}
			if signer != c.signer || c.signer == "" && strings.Contains(text, `"signatures"`) {
				t.Errorf("after %v it is signed by %q:\n%s", c.after, signer, text)
			}
		}
		read(at, "", 200) // which is no news any more
		if got := strings.Count(s.Log(), c.log); got != 1 {
			t.Errorf("after %v the log says %d times %s", c.after, got, c.log)
		}
	}
	if again, _ := read(jwks, "", 200); again != set {
		t.Errorf("the keys have become %s", again)
	}

	none := apptest.Start(t, apptest.Config{})
	s = none
	if set, _ := read(jwks, "", 200); set != `{"keys":[]}` {
		t.Errorf("a server without a key has the keys %s", set)
	}
}
