package chat_test

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/bureau-agents/bureau/core/chat"
	"github.com/bureau-agents/bureau/ports/fault"
)

func TestParseContext(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ raw, want string }{
		{``, ""}, {`null`, ""}, {`""`, ""}, {`" \n"`, ""}, {`{}`, ""},
		{`"The customer is Alice.\nShe is new."`, "The customer is Alice.\nShe is new."},
		{`{"plan":"Pro","name":"Alice"}`, "name: Alice\nplan: Pro"},
		{`{"b":1.50,"a":true,"c":null,"d":[1,"<x>"],"e":{"z":1,"y":"2"}}`, "a: true\nb: 1.50\nc: null\nd: [1,\"<x>\"]\ne: {\"y\":\"2\",\"z\":1}"},
		{`{"note":"one\nplan: Free","a\nb":"x"}`, "a b: x\nnote: one plan: Free"},
		{`"` + strings.Repeat("ü", chat.MaxContext) + `"`, strings.Repeat("ü", chat.MaxContext)},
	} {
		got, err := chat.ParseContext(json.RawMessage(tc.raw))
		if err != nil || got != tc.want {
			t.Errorf("%s is %q, %v; want %q", tc.raw, got, err, tc.want)
		}
	}
	for _, raw := range []string{
		`5`, `true`, `[]`, `{`, `"`, `"a\u0000b"`, `{"a":"b\u0000"}`, `"` + strings.Repeat("x", chat.MaxContext+1) + `"`,
		`{"note":"` + strings.Repeat("x", chat.MaxContext) + `"}`,
	} {
		if got, err := chat.ParseContext(json.RawMessage(raw)); fault.KindOf(err) != fault.Invalid || err == nil {
			t.Errorf("%.40s is %.40q, %v", raw, got, err)
		}
	}
}

func FuzzParseContext(f *testing.F) {
	for _, seed := range []string{`"a"`, `{"a":"b"}`, `{"a":{"b":[1,2.50,null]}}`, `null`, `{"\n":"\r\n"}`, `[]`} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		got, err := chat.ParseContext(json.RawMessage(raw))
		if err != nil {
			if fault.KindOf(err) != fault.Invalid {
				t.Fatalf("%q: %v", raw, err)
			}
			return
		}
		if !utf8.ValidString(got) || utf8.RuneCountInString(got) > chat.MaxContext || strings.ContainsRune(got, 0) {
			t.Fatalf("%q is %q", raw, got)
		}
		if again, err := chat.ParseContext(json.RawMessage(raw)); err != nil || again != got {
			t.Fatalf("%q is %q, and then %q, %v", raw, got, again, err)
		}
	})
}
