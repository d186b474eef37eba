package main

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
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
		{"no JWK", "card", "sign", bare, "--key", at("ES256.keys")},
		{"must be one of", "card", "keygen", at("x"), "--alg", "HS256"},
		{"--valid-for", "card", "keygen", at("x"), "--valid-for", "-1h"},
	} {
		c.exits(2, misuse[0], misuse[1:]...)
	}
	t.Setenv(envSigningKey, "")
	t.Setenv(envCardKeys, "")
	c.exits(2, "--key is missing", "card", "sign", bare)
	c.exits(2, "--keys is missing", "card", "verify", bare)
}
