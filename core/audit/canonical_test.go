package audit

import (
	"encoding/json"
	"strings"
	"testing"
)

// The vectors are those of RFC 8785, 3.2 and appendix B, but for the integer.
func TestCanonical(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		`{"numbers":[333333333.33333329,1E30,4.50,2e-3,0.000000000000000000000000001],"string":"\u20ac$\u000F\u000aA'\u0042\u0022\u005c\\\"\/","literals":[null,true,false]}`: `{"literals":[null,true,false],"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27],"string":"€$\u000f\nA'B\"\\\\\"/"}`,
		"{\"\\u20ac\":1,\"\\r\":2,\"\\ufb33\":3,\"1\":4,\"\\ud83d\\ude00\":5,\"\\u0080\":6,\"\\u00f6\":7}":                                                                    "{\"\\r\":2,\"1\":4,\"\u0080\":6,\"ö\":7,\"€\":1,\"\U0001F600\":5,\"\ufb33\":3}",
		` [ -0 , 1e21 , 1e-7 , 123456789012345678 , 1.0 , -0.0 ] `:                                                                                                            `[0,1e+21,1e-7,123456789012345678,1,0]`,
		`5e-324`:        `5e-324`,
		`{}`:            `{}`,
		`[[],{"a":[]}]`: `[[],{"a":[]}]`,
	} {
		got, err := Canonical([]byte(in))
		if err != nil || string(got) != want {
			t.Errorf("Canonical(%s) = %s, %v; want %s", in, got, err, want)
		}
	}
	for _, bad := range []string{``, `{`, `{"a":1,"a":1}`, `1 2`, `[1,]`, `1e999`, `{"a"}`, strings.Repeat("[", 2000)} {
		if got, err := Canonical([]byte(bad)); err == nil {
			t.Errorf("Canonical(%.20s) = %s; want an error", bad, got)
		}
	}
}

// TestMetadata holds the short way of writing metadata to the long one.
func TestMetadata(t *testing.T) {
	t.Parallel()
	deep := map[string]any{"end": int64(1)}
	for range 2 * plainDepth {
		deep = map[string]any{"deeper": []any{deep}}
	}
	for _, m := range []map[string]any{
		nil,
		{},
		{"b": 1, "a": int64(-123456789012345678), "c": true, "nothing": nil, "text": "<&>\u2028\n\"\x00€😀"},
		{"\U0001F600": 1, "\ufb33": 2, "ö": 3, "a\nb": 4, "": 5},
		{"list": []any{}, "none": []any(nil), "empty": map[string]any{}, "null": map[string]any(nil)},
		{"list": []any{map[string]any{"z": "1", "y": []any{false}}, "x"}},
		{"other": []string{"a", "b"}, "f": 1.50, "m": map[string]string{"b": "", "a": ""}},
		{"bad": "\xff", "\xfe": "bad"},
		deep,
	} {
		text, err := json.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		want, err := Canonical(text)
		if err != nil {
			t.Fatal(err)
		}
		if m == nil {
			want = []byte("{}")
		}
		if got, err := metadataJSON(m); err != nil || string(got) != string(want) {
			t.Errorf("metadata %v became %s, %v; want %s", m, got, err, want)
		}
	}
}

// FuzzCanonical: a canonical text is its own canonical form, whatever it was made of.
func FuzzCanonical(f *testing.F) {
	f.Add([]byte(`{"b":[1,2.50,1e30],"a":"\u20ac\n"}`))
	f.Add([]byte(`{"a":{"\ud800":-0.0,"":null}}`))
	f.Add([]byte(`[12345678901234567890,1e-7,"\u0000"]`))
	f.Fuzz(func(t *testing.T, text []byte) {
		once, err := Canonical(text)
		if err != nil {
			return
		}
		twice, err := Canonical(once)
		if err != nil || string(once) != string(twice) {
			t.Errorf("%q became %q and then %q, %v", text, once, twice, err)
		}
	})
}

// FuzzVerifyExport: no input makes the verifier panic, and none but a chain is valid.
func FuzzVerifyExport(f *testing.F) {
	f.Add(`{"format":"bureau-audit/1","count":0,"head":"` + Genesis + `","tenant_id":"01890a5d-ac96-774b-bcce-b302099a8057"}` + "\n")
	f.Add(`{"format":"bureau-audit/1","count":1,"head":"x","tenant_id":"01890a5d-ac96-774b-bcce-b302099a8057"}` + "\n" + `{"action":"a"}`)
	f.Fuzz(func(t *testing.T, text string) {
		r, err := VerifyExport(strings.NewReader(text))
		if err == nil && r.Valid == (r.First != nil) {
			t.Errorf("%+v", r)
		}
	})
}
