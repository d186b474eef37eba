package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

const signCard = `{
  "name": "Router", "description": "Plans routes", "version": "1",
  "supportedInterfaces": [{"url": "https://a.example/a2a", "protocolBinding": "JSONRPC", "protocolVersion": "1.0"}],
  "capabilities": {"streaming": true}, "defaultInputModes": ["text/plain"], "defaultOutputModes": ["text/plain"],
  "skills": [{"id": "a", "name": "A", "description": "Does A", "tags": ["a"]}]
}
`

// exits runs a command that must end with an exit code and, in its error or output, a text.
func (c *terminal) exits(code int, says string, args ...string) string {
	c.t.Helper()
	out, err := c.run(args...)
	got := 0
	if e, ok := errors.AsType[exitError](err); ok {
		got = e.code
	} else if err != nil {
		got = 1
	}
	all := out
	if err != nil {
		all += err.Error()
	}
	if got != code || !strings.Contains(all, says) {
		c.t.Errorf("bureau %s: exit %d, not %d with %q:\n%s", strings.Join(args, " "), got, code, says, all)
	}
	return out
}

func TestSignAndVerifyCards(t *testing.T) {
	c := newTerminal(t)
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	write := func(name, text string) string {
		if err := os.WriteFile(at(name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return at(name)
	}
	read := func(name string) string {
		text, err := os.ReadFile(at(name))
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	file := write("card.json", signCard)

	for _, alg := range []string{"ES256", "ES384", "EdDSA"} {
		key, keys := at(alg+".key"), at(alg+".keys")
		c.exits(0, "", "card", "keygen", key, "--public", keys, "--alg", alg, "--valid-for", "24h")
		if info, err := os.Stat(key); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: the private key is readable by others: %v %v", alg, info.Mode(), err)
		}
		if strings.Contains(read(alg+".keys"), `"d"`) || !strings.Contains(read(alg+".keys"), `"exp"`) {
			t.Errorf("%s: the public keys are %s", alg, read(alg+".keys"))
		}
		c.exits(2, "exist", "card", "keygen", key)
		signed := c.exits(0, `"signatures"`, "card", "sign", file, "--key", key)
		if !strings.HasPrefix(signed, strings.TrimSuffix(signCard, "\n}\n")) {
			t.Errorf("%s: signing changes the rest of the text:\n%s", alg, signed)
		}
		c.in = signed
		c.exits(0, "signatures[0] trusted", "card", "verify", "-", "--keys", keys, "--whole")
		c.in = strings.Replace(signed, "Plans", "Sells", 1)
		c.exits(1, "was changed", "card", "verify", "-", "--keys", keys)
		c.in = signed
		c.exits(1, "has expired", "card", "verify", "-", "--keys", keys, "--at", "2126-01-01T00:00:00Z")
		c.in = strings.Replace(signed, "{", `{"added": 1,`, 1)
		c.exits(0, "not covered: added", "card", "verify", "-", "--keys", keys)
		c.in = strings.Replace(signed, "{", `{"added": 1,`, 1)
		c.exits(1, "covers the whole card", "card", "verify", "-", "--keys", keys, "--whole")
	}

	// In place, by the variables that the server has.
	t.Setenv(envSigningKey, at("ES256.key"))
	t.Setenv(envCardKeys, at("ES256.keys"))
	c.exits(0, "", "card", "sign", file, "--write")
	c.exits(0, "", "card", "validate", file, "--keys", at("ES256.keys"), "--require-signature")
	var told verificationWire
	if err := json.Unmarshal([]byte(c.exits(0, "", "card", "verify", file, "--json")), &told); err != nil || !told.Verified || len(told.Signatures) == 0 ||
		told.Signatures[0].State != "trusted" || told.Signatures[0].Uncovered == nil {
		t.Errorf("verify --json: %v %+v", err, told)
	}
	c.exits(1, "no trusted key", "card", "verify", file, "--keys", at("EdDSA.keys"))

	c.exits(0, "", "card", "keygen", at("named.key"), "--kid", "one", "--public", at("named.keys"))
	bare := write("bare.json", signCard)
	c.exits(1, "is not signed", "card", "verify", bare)
	invalid := write("invalid.json", strings.Replace(signCard, `"version": "1",`, "", 1))
	c.exits(1, "is not signed", "card", "sign", invalid)
	c.exits(0, `"signatures"`, "card", "sign", invalid, "--force")
	twice := write("twice.json", strings.Replace(signCard, "{", `{"name": "Other",`, 1))
	c.exits(1, "more than once", "card", "sign", twice)
	for _, misuse := range [][]string{
		{"--write needs a file", "card", "sign", "-", "--write"},
		{"is private", "card", "verify", bare, "--keys", at("ES256.key")},
		{"is no time", "card", "verify", bare, "--at", "tomorrow"},
		{"is not one of", "card", "verify", bare, "--version", "7"},
		{"no such file", "card", "verify", at("none.json")},
		{"no such file", "card", "sign", bare, "--key", at("none.key")},
		{"is public", "card", "sign", bare, "--key", at("ES256.keys")},
		{"must be one of", "card", "keygen", at("x"), "--alg", "HS256"},
		{"--valid-for", "card", "keygen", at("x"), "--valid-for", "-1h"},
		{"--valid-after", "card", "keygen", at("x"), "--valid-after", "-1h"},
		{"no such file", "card", "keygen", at("none.key"), "--add"},
		{"is public", "card", "keygen", at("ES256.keys"), "--add"},
		{"another key is called", "card", "keygen", at("named.key"), "--add", "--kid", "one"},
		{"exist", "card", "keygen", at("x"), "--public", at("ES256.keys")},
	} {
		c.exits(2, misuse[0], misuse[1:]...)
	}
	if _, err := os.Stat(at("x")); err == nil {
		t.Error("a command that was misused has made a key")
	}
	t.Setenv(envSigningKey, "")
	t.Setenv(envCardKeys, "")
	c.exits(2, "--key is missing", "card", "sign", bare)
	c.exits(2, "--keys is missing", "card", "verify", bare)
}

// A new key takes over from the one before, which those who verify go on knowing.
func TestRotateCardKeys(t *testing.T) {
	c := newTerminal(t)
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	file, key, both, three := at("card.json"), at("key.json"), at("both.json"), at("three.json")
	if err := os.WriteFile(file, []byte(signCard), 0o600); err != nil {
		t.Fatal(err)
	}
	c.exits(0, `"kid":"first"`, "card", "keygen", key, "--kid", "first")
	first := c.exits(0, `"signatures"`, "card", "sign", file, "--key", key)
	if err := os.Chmod(key, 0o400); err != nil {
		t.Fatal(err)
	}
	c.exits(0, "", "card", "keygen", key, "--add", "--kid", "second", "--alg", "EdDSA", "--public", both)
	if info, err := os.Stat(key); err != nil || info.Mode().Perm() != 0o400 {
		t.Errorf("the file of the keys has the mode %v (%v)", info.Mode(), err)
	}
	second := c.exits(0, `"signatures"`, "card", "sign", file, "--key", key)
	for kid, signed := range map[string]string{"first": first, "second": second} {
		c.in = signed
		c.exits(0, "signatures[0] trusted: key "+kid, "card", "verify", "-", "--keys", both)
	}
	c.exits(0, "", "card", "keygen", key, "--add", "--kid", "third", "--valid-after", "24h", "--valid-for", "24h", "--public", three)
	if again := c.exits(0, "", "card", "sign", file, "--key", key); again != second {
		t.Errorf("a key that is not valid yet has signed:\n%s", again)
	}

	had, err := os.ReadFile(key)
	if err != nil {
		t.Fatal(err)
	}
	// Where the public keys cannot be kept, no key is made.
	c.exits(2, "no such file", "card", "keygen", key, "--add", "--public", at("nowhere/keys.json"))
	c.exits(2, "file exists", "card", "keygen", key, "--add", "--public", key)
	c.exits(2, "file exists", "card", "keygen", at("alone.json"), "--public", at("alone.json"))
	c.exits(2, "no such file", "card", "keygen", at("none.json"), "--add", "--public", at("of-none.json"))
	if has, err := os.ReadFile(key); err != nil || !bytes.Equal(has, had) {
		t.Errorf("keys that nobody could verify were added (%v)", err)
	}
	for _, left := range []string{"alone.json", "of-none.json"} {
		if _, err := os.Lstat(at(left)); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s was left: %v", left, err)
		}
	}

	t.Setenv(envSigningKey, key)
	s, err := loaded(t)
	if err != nil {
		t.Fatal(err)
	}
	for after, want := range map[time.Duration]string{0: "second", 25 * time.Hour: "third", 49 * time.Hour: "second"} {
		if k, err := s.CardSigningKeys.At(time.Now().Add(after)); err != nil || k.ID() != want {
			t.Errorf("after %v the server signs by %q, not %q: %v", after, k.ID(), want, err)
		}
	}
	expired := at("expired.json")
	c.exits(0, "", "card", "keygen", expired, "--valid-after", "1h", "--kid", "early", "--public", at("early.json"))
	t.Setenv(envSigningKey, expired)
	if _, err := loaded(t); err == nil || !strings.Contains(err.Error(), `BUREAU_CARD_SIGNING_KEY: `+expired+`: card: the signing key "early" is valid from`) {
		t.Errorf("a server starts without a key that may sign: %v", err)
	}
}
