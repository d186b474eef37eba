// Package a2a exchanges signed agent cards with the official A2A libraries of other languages.
package a2a

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/bureau-agents/bureau/core/card"
)

// signingCards are the cards that go back and forth, by what they are about.
var signingCards = map[string]string{
	"plain":             `{"name":"Plain","description":"d","version":"1","supportedInterfaces":[{"url":"https://a.example/a2a","protocolBinding":"JSONRPC","protocolVersion":"1.0"}],"capabilities":{"streaming":true},"defaultInputModes":["text/plain"],"defaultOutputModes":["text/plain"],"skills":[{"id":"a","name":"A","description":"Does A","tags":["a"]}]}`,
	"explicit defaults": `{"name":"Defaults","description":"d","version":"1","documentationUrl":"","supportedInterfaces":[{"url":"https://a.example/a2a","protocolBinding":"JSONRPC","protocolVersion":"1.0","tenant":""}],"capabilities":{"streaming":false,"pushNotifications":false,"extendedAgentCard":false,"extensions":[{"uri":"https://e.example","description":"","required":false}]},"securityRequirements":[],"defaultInputModes":["text/plain"],"defaultOutputModes":["text/plain"],"skills":[{"id":"a","name":"A","description":"Does A","tags":["a"],"examples":[]}]}`,
	"required, empty":   `{"name":"Empty","description":"","version":"1","supportedInterfaces":[{"url":"https://a.example/a2a","protocolBinding":"JSONRPC","protocolVersion":"1.0"}],"capabilities":{},"defaultInputModes":[],"defaultOutputModes":[],"skills":[{"id":"a","name":"A","description":"Does A","tags":[]}]}`,
	"unknown fields":    `{"name":"Unknown","description":"d","version":"1","x-team":{"on":["call",""]},"supportedInterfaces":[{"url":"https://a.example/a2a","protocolBinding":"JSONRPC","protocolVersion":"1.0","region":"eu"}],"capabilities":{"streaming":true,"stateTransitionHistory":false},"defaultInputModes":["text/plain"],"defaultOutputModes":["text/plain"],"skills":[{"id":"a","name":"A","description":"Does A","tags":["a"]}]}`,
	"unicode":           "{\"name\":\"R\u00e9seau \u6771\u4eac \U0001F5FA\",\"description\":\"tab\\t, quote \\\", slash \\/, \\u2028, \u007f, e\u0301\",\"version\":\"1\",\"supportedInterfaces\":[{\"url\":\"https://a.example/a2a\",\"protocolBinding\":\"JSONRPC\",\"protocolVersion\":\"1.0\"}],\"capabilities\":{\"extensions\":[{\"uri\":\"u\",\"params\":{\"\uFF61\":1,\"\U0001F600\":2,\"\u00e9\":3}}]},\"defaultInputModes\":[\"text/plain\"],\"defaultOutputModes\":[\"text/plain\"],\"skills\":[{\"id\":\"a\",\"name\":\"A\",\"description\":\"Does A\",\"tags\":[\"\u00e4\"]}]}",
	"numbers":           `{"name":"Numbers","description":"d","version":"1","supportedInterfaces":[{"url":"https://a.example/a2a","protocolBinding":"JSONRPC","protocolVersion":"1.0"}],"capabilities":{"extensions":[{"uri":"u","params":{"a":[0,-0,1.0,1.50,1e-7,0.000001,123456789012345,9007199254740991,-1.5E+3,4.35]}}]},"defaultInputModes":["text/plain"],"defaultOutputModes":["text/plain"],"skills":[{"id":"a","name":"A","description":"Does A","tags":["a"]}]}`,
	"security":          `{"name":"Security","description":"d","version":"1","supportedInterfaces":[{"url":"https://a.example/a2a","protocolBinding":"JSONRPC","protocolVersion":"1.0"}],"capabilities":{"streaming":true},"securitySchemes":{"key":{"apiKeySecurityScheme":{"location":"header","name":"X-Key"}},"tls":{"mtlsSecurityScheme":{}},"oauth":{"oauth2SecurityScheme":{"flows":{"authorizationCode":{"authorizationUrl":"https://i.example/a","tokenUrl":"https://i.example/t","scopes":{"read":""},"pkceRequired":true}}}}},"securityRequirements":[{"schemes":{"oauth":{"list":["read"]}}},{"schemes":{"key":{"list":[]}}}],"defaultInputModes":["text/plain"],"defaultOutputModes":["text/plain"],"skills":[{"id":"a","name":"A","description":"Does A","tags":["a"],"securityRequirements":[{"schemes":{"key":{}}}]}]}`,
	"both forms":        `{"name":"Both","description":"d","version":"1","protocolVersion":"0.3.0","url":"https://a.example/a2a","preferredTransport":"JSONRPC","supportsAuthenticatedExtendedCard":true,"supportedInterfaces":[{"url":"https://a.example/a2a","protocolBinding":"JSONRPC","protocolVersion":"1.0"},{"url":"https://a.example/a2a","protocolBinding":"JSONRPC","protocolVersion":"0.3"}],"capabilities":{"streaming":true,"extendedAgentCard":true},"defaultInputModes":["text/plain"],"defaultOutputModes":["text/plain"],"skills":[{"id":"a","name":"A","description":"Does A","tags":["a"]}]}`,
}

// signingCards03 are cards of 0.3.
var signingCards03 = map[string]string{
	"plain":    `{"protocolVersion":"0.3.0","preferredTransport":"JSONRPC","name":"Plain","description":"d","url":"https://a.example","version":"1","capabilities":{"streaming":false},"defaultInputModes":["text/plain"],"defaultOutputModes":["text/plain"],"skills":[{"id":"a","name":"A","description":"Does A","tags":["a"]}]}`,
	"empty":    `{"protocolVersion":"0.3.0","name":"Empty","description":"","url":"https://a.example","version":"1","capabilities":{},"defaultInputModes":[],"defaultOutputModes":[],"skills":[],"additionalInterfaces":[]}`,
	"unknown":  `{"protocolVersion":"0.3.0","name":"Unknown","description":"d","url":"https://a.example","version":"1","x":{"y":[""]},"capabilities":{"custom":true},"defaultInputModes":["text/plain"],"defaultOutputModes":["text/plain"],"skills":[{"id":"a","name":"A","description":"Does A","tags":["a"],"z":1}]}`,
	"unicode":  "{\"protocolVersion\":\"0.2.6\",\"name\":\"R\u00e9seau \U0001F5FA\",\"description\":\"\\t\\\"\\/\\u2028\u007f\",\"url\":\"https://a.example\",\"version\":\"1\",\"capabilities\":{\"extensions\":[{\"uri\":\"u\",\"params\":{\"\uFF61\":1,\"\U0001F600\":2}}]},\"defaultInputModes\":[\"text/plain\"],\"defaultOutputModes\":[\"text/plain\"],\"skills\":[{\"id\":\"a\",\"name\":\"A\",\"description\":\"Does A\",\"tags\":[\"\u00e4\"]}]}",
	"numbers":  `{"protocolVersion":"0.3.0","name":"Numbers","description":"d","url":"https://a.example","version":"1","capabilities":{"extensions":[{"uri":"u","required":false,"params":{"a":[0,-0,1.0,1.50,1e-7,0.000001,1e22,123456789012345,9007199254740991,-1.5E+3,4.35,null,true]}}]},"defaultInputModes":["text/plain"],"defaultOutputModes":["text/plain"],"skills":[{"id":"a","name":"A","description":"Does A","tags":["a"]}]}`,
	"security": `{"protocolVersion":"0.3.0","name":"Security","description":"d","url":"https://a.example","version":"1","provider":{"organization":"O","url":"https://o.example"},"preferredTransport":"GRPC","additionalInterfaces":[{"url":"https://a.example","transport":"GRPC"}],"capabilities":{"streaming":true},"securitySchemes":{"key":{"type":"apiKey","in":"header","name":"X-Key"},"http":{"type":"http","scheme":"bearer","bearerFormat":"JWT"},"tls":{"type":"mutualTLS"},"oidc":{"type":"openIdConnect","openIdConnectUrl":"https://i.example"},"oauth":{"type":"oauth2","description":"o","flows":{"clientCredentials":{"tokenUrl":"https://i.example/t","scopes":{"read":"Read"}},"authorizationCode":{"authorizationUrl":"https://i.example/a","tokenUrl":"https://i.example/t","scopes":{}}}}},"security":[{"oauth":["read"]},{"key":[]}],"defaultInputModes":["text/plain"],"defaultOutputModes":["text/plain"],"skills":[{"id":"a","name":"A","description":"Does A","tags":["a"],"security":[{"key":[]}]}],"supportsAuthenticatedExtendedCard":false}`,
}

// signer is a library that signs and verifies.
type signer struct {
	name    string
	command []string
	cards   map[string]string
	version card.Version // that its cards are read as; "" is that which they declare
	// typed tells which cards that it signs in its own form, and writes as JSON, hold here: it says of the others what their verdict must say.
	typed map[string]string
}

// The libraries agree about cards with each other and with Bureau, in both directions, by every algorithm of signing keys; what was changed
// afterwards no one takes.
func TestCardSignatures(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("needs what the set-up installs")
	}
	dir := a2aClients(t)
	without := "without its securitySchemes"
	for _, s := range []signer{
		{"JavaScript 1.x", []string{"node", "sign.mjs"}, signingCards, card.V10, map[string]string{"security": without}},
		{"Python 1.x", []string{filepath.Join(dir, "python", "bin", "python"), "sign.py"}, signingCards, card.V10, nil},
		{"Python 0.3", []string{filepath.Join(dir, "python-0.3", "bin", "python"), "sign.py"}, signingCards03, "", nil},
	} {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			exchangeCards(t, dir, s)
		})
	}
}

// signingJob is what a program is asked to do, and signingAnswer what came of it, for each card.
type (
	signingJob struct {
		Do    string            `json:"do"` // sign, sign typed, verify
		Key   json.RawMessage   `json:"key"`
		Alg   string            `json:"alg"`
		KID   string            `json:"kid"`
		Cards []json.RawMessage `json:"cards"`
	}
	signingAnswer struct {
		Cards  []json.RawMessage `json:"cards"`
		Errors []string          `json:"errors"`
	}
)

func exchangeCards(t *testing.T, dir string, s signer) {
	keys := signingKeys(t)
	var names []string
	for name := range s.cards {
		names = append(names, name)
	}
	slices.Sort(names)
	var jobs []signingJob
	for _, key := range keys {
		private, public := ours(t, key)
		job := func(do string, jwk []byte, change func(name, text string) []byte) {
			j := signingJob{Do: do, Key: jwk, Alg: key.Algorithm(), KID: key.ID()}
			for _, name := range names {
				j.Cards = append(j.Cards, change(name, s.cards[name]))
			}
			jobs = append(jobs, j)
		}
		same := func(_, text string) []byte { return []byte(text) }
		sign := func(_, text string) []byte {
			signed, err := card.Sign([]byte(text), key)
			if err != nil {
				t.Fatal(err)
			}
			return signed
		}
		job("sign", private, same)
		job("sign typed", private, same)
		job("verify", public, sign)
		job("verify", public, func(name, text string) []byte { return changed(sign(name, text)) })
	}
	answers := sent(t, dir, s.command, jobs)
	for k, key := range keys {
		set, err := card.PublicKeys(key)
		if err != nil {
			t.Fatal(err)
		}
		trusted, err := card.ParseKeys(set)
		if err != nil {
			t.Fatal(err)
		}
		o := card.Options{Keys: trusted, Version: s.version}
		signed, typed, verified, forged := answers[4*k], answers[4*k+1], answers[4*k+2], answers[4*k+3]
		for i, name := range names {
			name := key.Algorithm() + ", " + name
			if ok, why := verdicts(signed.Cards[i], o); !ok {
				t.Errorf("%s: signed there, wrong here: %s%s\n%s", name, signed.Errors[i], why, signed.Cards[i])
			}
			if ok, _ := verdicts(changed(signed.Cards[i]), o); ok {
				t.Errorf("%s: signed there, changed and right here", name)
			}
			want := s.typed[names[i]]
			if ok, why := verdicts(typed.Cards[i], o); ok != (want == "") || !strings.Contains(why, want) {
				t.Errorf("%s: signed there in its own form: %v, %s%s\n%s", name, ok, typed.Errors[i], why, typed.Cards[i])
			}
			if verified.Errors[i] != "" {
				t.Errorf("%s: signed here, wrong there: %s", name, verified.Errors[i])
			}
			if forged.Errors[i] == "" {
				t.Errorf("%s: signed here, changed and right there", name)
			}
		}
	}
}

// version is a member of every card.
var version = regexp.MustCompile(`"version": ?"1"`)

// changed changes a card's version.
func changed(text []byte) []byte {
	return version.ReplaceAll(text, []byte(`"version":"2"`))
}

// verdicts says whether a signature of a card holds, and why others do not.
func verdicts(text []byte, o card.Options) (holds bool, reasons string) {
	var all []string
	for _, s := range card.Validate(text, o).Signatures {
		holds = holds || s.State == card.SignatureTrusted
		all = append(all, s.Reason)
	}
	return holds, strings.Join(all, "; ")
}

// signingKeys are a key of each kind that signs.
func signingKeys(t *testing.T) []card.SigningKey {
	t.Helper()
	p256, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	_, ed, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	var keys []card.SigningKey
	for _, private := range []crypto.Signer{p256, p384, ed} {
		key, err := card.NewSigningKey(private, "")
		if err != nil {
			t.Fatal(err)
		}
		keys = append(keys, key)
	}
	return keys
}

// ours writes a key as the libraries read it.
func ours(t *testing.T, key card.SigningKey) (private, public json.RawMessage) {
	t.Helper()
	private, err := key.Private()
	if err != nil {
		t.Fatal(err)
	}
	if public, err = key.Public(); err != nil {
		t.Fatal(err)
	}
	return private, public
}

// sent has a program do jobs.
func sent(t *testing.T, dir string, command []string, jobs []signingJob) []signingAnswer {
	t.Helper()
	in, err := json.Marshal(jobs)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), command[0], command[1:]...)
	cmd.Env = append(os.Environ(), "BUREAU_A2A="+dir)
	cmd.Stdin = bytes.NewReader(in)
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v\n%s", strings.Join(command, " "), err, stderrOf(err))
	}
	var answers []signingAnswer
	if err := json.Unmarshal(out, &answers); err != nil || len(answers) != len(jobs) {
		t.Fatalf("%s: %v, %d answers to %d jobs\n%s", strings.Join(command, " "), err, len(answers), len(jobs), out)
	}
	return answers
}

// a2aClients returns the folder of the official A2A libraries.
func a2aClients(t *testing.T) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "../../../scripts/a2a-clients.sh").Output()
	if err != nil {
		t.Fatalf("the A2A libraries are not there: %v\n%s", err, stderrOf(err))
	}
	return strings.TrimSpace(string(out))
}

// stderrOf returns what a program that failed had to say.
func stderrOf(err error) []byte {
	if e, ok := errors.AsType[*exec.ExitError](err); ok {
		return e.Stderr
	}
	return nil
}
