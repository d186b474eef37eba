package card

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"
)

// FuzzValidate holds the parser to encoding/json: it reads the same texts, to the same values; and every result to what is true of all.
func FuzzValidate(f *testing.F) {
	for _, s := range samples(f) {
		f.Add(s.text, "")
	}
	for _, text := range []string{
		"", "{", `{"a":}`, "\uFEFF{}", `{"a":"\ud83d"}`, `{"a":1,"a":2}`, "{\"a\":\"\xff\"}", `[1e400]`, `{"securitySchemes":{"":{"type":1}}}`,
	} {
		f.Add([]byte(text), "1.0")
	}
	f.Fuzz(func(t *testing.T, text []byte, version string) {
		r := Validate(text, Options{Version: Version(version)})
		if r.Valid != (len(r.Errors) == 0) || r.Score < 0 || r.Score > 100 {
			t.Errorf("valid is %v with %d errors, and the score %d", r.Valid, len(r.Errors), r.Score)
		}
		for _, w := range append(r.Errors, r.Warnings...) {
			checkFinding(t, text, w)
			if utf8.Valid(text) && !utf8.ValidString(w.Message+w.Path+w.Pointer) {
				t.Errorf("%+v is not UTF-8", w)
			}
		}
		root, errors, ok := parse(text)
		bare := []byte(strings.TrimPrefix(string(text), "\uFEFF"))
		switch {
		case ok && len(bare) == len(text) && utf8.Valid(text):
			if !strings.Contains(string(text), "e") && !strings.Contains(string(text), "E") { // 1e400 is no float64
				sameTree(t, root, string(text))
			}
		case ok && !json.Valid(bare):
			t.Errorf("%q is read, and is no JSON", text)
		case !ok && errors[0].Code == codeJSON && json.Valid(bare):
			t.Errorf("%q is JSON, and is refused: %v", text, errors)
		}
	})
}
