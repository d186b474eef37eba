package card

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/gowebpki/jcs"
)

// TestCanonical holds the form of 1.0 to the specification's own example and to each of its rules (A2A 1.0, 8.4.1).
func TestCanonical(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"the example of the specification", `{"supportedInterfaces": [], "name": "Example Agent", "description": "",
			"capabilities": {"streaming": false, "pushNotifications": false, "extensions": []}, "skills": []}`,
			`{"capabilities":{"pushNotifications":false,"streaming":false},"description":"","name":"Example Agent","skills":[],"supportedInterfaces":[]}`},
		{"implicit fields that have their default", `{"supportedInterfaces":[{"tenant":"","url":""}],"securitySchemes":{},"securityRequirements":[],
			"skills":[{"examples":[],"inputModes":[],"outputModes":[],"securityRequirements":[],"tags":[]}]}`,
			`{"skills":[{"tags":[]}],"supportedInterfaces":[{"url":""}]}`},
		{"optional fields that are set to it", `{"supportedInterfaces":[],"iconUrl":"","documentationUrl":"","capabilities":{"extendedAgentCard":false}}`,
			`{"capabilities":{"extendedAgentCard":false},"documentationUrl":"","iconUrl":"","supportedInterfaces":[]}`},
		{"null is not set", `{"supportedInterfaces":[],"name":null,"provider":null,"capabilities":{"streaming":null}}`, `{"capabilities":{},"supportedInterfaces":[]}`},
		{"messages that are set", `{"supportedInterfaces":[],"provider":{},"capabilities":{"extensions":[{"required":false,"uri":"","params":{}}]}}`,
			`{"capabilities":{"extensions":[{"params":{}}]},"provider":{},"supportedInterfaces":[]}`},
		{"params are data", `{"supportedInterfaces":[],"capabilities":{"extensions":[{"params":{"a":"","b":null,"c":[],"d":false,"e":{}}}]}}`,
			`{"capabilities":{"extensions":[{"params":{"a":"","b":null,"c":[],"d":false,"e":{}}}]},"supportedInterfaces":[]}`},
		{"keys of one's own choice", `{"supportedInterfaces":[],"securitySchemes":{"":{"mtlsSecurityScheme":{"description":""}},"name":{"oauth2SecurityScheme":
			{"flows":{"authorizationCode":{"scopes":{},"pkceRequired":false,"refreshUrl":""},"implicit":{"scopes":{},"authorizationUrl":""}}}}}}`,
			`{"securitySchemes":{"":{"mtlsSecurityScheme":{}},"name":{"oauth2SecurityScheme":{"flows":{"authorizationCode":{"scopes":{}},"implicit":{}}}}},` +
				`"supportedInterfaces":[]}`},
		{"requirements without scopes", `{"supportedInterfaces":[],"securityRequirements":[{"schemes":{"k":{"list":[]}}}]}`,
			`{"securityRequirements":[{"schemes":{"k":{}}}],"supportedInterfaces":[]}`},
		{"fields that nobody knows", `{"supportedInterfaces":[],"x":{"streaming":false,"list":[]},"url":"","protocolVersion":"1.0","signatures":[1]}`,
			`{"protocolVersion":"1.0","supportedInterfaces":[],"url":"","x":{"list":[],"streaming":false}}`},
		{"0.3 as it is", `{"protocolVersion":"0.3.0","b":[],"a":"","signatures":[],"preferredTransport":"JSONRPC","capabilities":{"signatures":null}}`,
			`{"a":"","b":[],"capabilities":{"signatures":null},"preferredTransport":"JSONRPC","protocolVersion":"0.3.0"}`},
	} {
		got, err := Canonical([]byte(c.text))
		if err != nil || string(got) != c.want {
			t.Errorf("%s: %v\n got %s\nwant %s", c.name, err, got, c.want)
		}
	}
}

func TestCanonicalRefuses(t *testing.T) {
	for _, text := range []string{``, `{`, `[]`, `null`, `{"a":1,"a":1}`, `{"a":"\ud800"}`, "{\"a\":\"\xff\"}", `{"a":1e400}`, `{"a":9007199254740993}`} {
		if got, err := Canonical([]byte(text)); err == nil {
			t.Errorf("%s: %s", text, got)
		}
	}
}

// TestPython holds the form of a2a-sdk 0.3 to what Python 3.11's json.dumps(v, separators=(",", ":"), sort_keys=True) writes.
func TestPython(t *testing.T) {
	text := "{\"protocolVersion\":\"0.3.0\",\"capabilities\":{\"extensions\":[{\"uri\":\"u\",\"params\":{\"n\":[0,-0,-0.0,1.0,1e16,1e15,1.5e-7,0.0001,0.00001,1E400]," +
		"\"\uFF61\":\"\u00e9\u007f\u2028\",\"\U0001F600\":\"\\b\\u001f\\/\U0001F600\"}}]}}"
	want := `{"capabilities":{"extensions":[{"params":{"n":[0,0,-0.0,1.0,1e+16,1000000000000000.0,1.5e-07,0.0001,1e-05],` +
		`"\uff61":"\u00e9\u007f\u2028","\ud83d\ude00":"\b\u001f/\ud83d\ude00"},"uri":"u"}]}}`
	c, err := readSignable([]byte(strings.Replace(text, ",1E400", "", 1)))
	if err != nil {
		t.Fatal(err)
	}
	got, _, err := c.payload(formSDK03)
	if err != nil || string(got) != want {
		t.Errorf("%v\n got %s\nwant %s", err, got, want)
	}
	if c, _ = readSignable([]byte(text)); c == nil {
		t.Fatal("the text is refused before its numbers are looked at")
	}
	if _, _, err = c.payload(formSDK03); err == nil {
		t.Error("a number that is no double is written")
	}
}

// FuzzCanonical holds the whole of a text to another implementation of RFC 8785, and to itself.
func FuzzCanonical(f *testing.F) {
	for _, seed := range []string{
		signable03, signable10, `{"a":[1e21,1e-7,0.1,-0,1E2,333333333.33333329,4.50,2e-3,0.000000000000000000000000001]}`,
		"{\"\u20ac\":1,\"\\r\":2,\"\ufb33\":3,\"1\":4,\"\U0001F600\":5,\"\u0080\":6,\"\u00f6\":7}", `{"a":"\u0000\u001f\"\\\/\b\f\n\r\t\u007f"}`, `{"":{"":[null,true]}}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		c, err := readSignable(text)
		if err != nil || c.root.get("signatures").kind != kindAbsent || bytes.HasPrefix(text, []byte("\xef\xbb\xbf")) {
			return
		}
		got, lost, err := c.payload(formVerbatim)
		if err != nil {
			return
		}
		if len(lost) > 0 {
			t.Errorf("all of it is signed, and %d things are not", len(lost))
		}
		if want, err := jcs.Transform(text); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%v\n got %s\nwant %s", err, got, want)
		}
		for _, form := range []form{formSpecification, formSchema, formSDK, formSDK03} {
			payload, _, err := c.payload(form)
			if err != nil || !json.Valid(payload) {
				t.Fatalf("%s: %v: %s", form.name, err, payload)
			}
			again, err := readSignable(payload)
			if err != nil {
				t.Fatalf("%s: %v: %s", form.name, err, payload)
			}
			if form.python {
				continue // it leaves out the type of security schemes, by which it knows their fields
			}
			if second, _, err := again.payload(form); err != nil || !bytes.Equal(second, payload) {
				t.Errorf("%s: %v\n first %s\nsecond %s", form.name, err, payload, second)
			}
		}
	})
}

// FuzzSign signs whatever can be, and finds the signature right.
func FuzzSign(f *testing.F) {
	f.Add([]byte(signable03))
	f.Add([]byte(signable10))
	f.Add([]byte("{\n  \"name\": \"a\",\n  \"signatures\": [\n    {\"protected\": \"e30\"}\n  ]\n}\n"))
	f.Add([]byte(`{}`))
	f.Add([]byte(`{"signatures":null}`))
	key := signers(f)["EdDSA"]
	keys := trust(f, key)
	f.Fuzz(func(t *testing.T, text []byte) {
		signed, err := Sign(text, key)
		if err != nil {
			return
		}
		before, err := Canonical(text)
		if err != nil {
			t.Fatal(err)
		}
		if after, err := Canonical(signed); err != nil || !bytes.Equal(before, after) {
			t.Fatalf("signing changes the card: %v\n%s\n%s", err, before, after)
		}
		r := Validate(signed, Options{Keys: keys})
		if len(r.Signatures) > MaxSignatures || r.Signatures == nil {
			return // many of others, or what is signed is not looked at because of its structure
		}
		if last := r.Signatures[len(r.Signatures)-1]; last.State != SignatureTrusted {
			t.Errorf("%+v\n%s", last, signed)
		}
	})
}

// The rest of a card's text stays as it is.
func TestSignKeepsTheText(t *testing.T) {
	key := signers(t)["EdDSA"]
	for _, c := range []struct{ name, text, want string }{
		{"one line", `{"name":"a"}`, `{"name":"a","signatures":[S]}`},
		{"empty", `{ }`, `{"signatures":[S] }`},
		{"lines", "{\n  \"name\": \"a\"\n}\n", "{\n  \"name\": \"a\",\n  \"signatures\": [\n    S\n  ]\n}\n"},
		{"tabs", "{\r\n\t\"name\": \"a\"\r\n}", "{\r\n\t\"name\": \"a\",\r\n\t\"signatures\": [\r\n\t\tS\r\n\t]\r\n}"},
		{"others'", `{"signatures":[{"protected":"e30","signature":"x"}],"name":"a"}`, `{"signatures":[{"protected":"e30","signature":"x"},S],"name":"a"}`},
		{"null", `{"signatures":null,"name":"a"}`, `{"signatures":[S],"name":"a"}`},
	} {
		signed := mustSign(t, c.text, key)
		from := strings.LastIndex(signed, `{"protected"`)
		if first := strings.Index(signed, `{"protected":"`+"ey"); first >= 0 {
			from = first
		}
		to := strings.LastIndex(signed, "]")
		body := strings.TrimRight(signed[from:to], " \t\r\n")
		if got := strings.Replace(signed, body, "S", 1); got != c.want {
			t.Errorf("%s:\n got %q\nwant %q", c.name, got, c.want)
		}
	}
	for _, text := range []string{`{"signatures":{}}`, `{"signatures":"x"}`} {
		if _, err := Sign([]byte(text), key); err == nil {
			t.Errorf("%s is signed", text)
		}
	}
	if _, err := Sign([]byte(`{}`), SigningKey{}); err == nil {
		t.Error("a card is signed without a key")
	}
}

func BenchmarkVerify(b *testing.B) {
	for name, key := range signers(b) {
		b.Run(name, func(b *testing.B) {
			signed := []byte(mustSign(b, signable10, key))
			keys := trust(b, key)
			b.SetBytes(int64(len(signed)))
			for b.Loop() {
				if r := Validate(signed, Options{Keys: keys}); r.Signatures[0].State != SignatureTrusted {
					b.Fatal(fmt.Sprint(r.Signatures))
				}
			}
		})
	}
}
