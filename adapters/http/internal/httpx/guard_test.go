package httpx

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/bureau-agents/bureau/ports/fault"
)

func TestCheckJSON(t *testing.T) {
	t.Parallel()
	for _, good := range []string{
		`null`, ` true `, `0`, `-0.5e+10`, `""`, `[]`, `{}`, `[1,[2,{"a":[]}]]`, `{"a":{"a":1},"b":{"a":1}}`, "\"\\ud800 \u20ac \\n\"",
		`{"metadata":{"Key":1,"key":2}}`, strings.Repeat("[", maxDepth) + strings.Repeat("]", maxDepth),
	} {
		if err := CheckJSON([]byte(good), false); err != nil {
			t.Errorf("%.40s: %v", good, err)
		}
	}
	for bad, want := range map[string]string{
		``:                           "line 1, column 1 (offset 0): it ends too early",
		`{"a":1`:                     "line 1, column 7 (offset 6): a comma or } should be here",
		"{\n\"a\": tru}":             "line 2, column 6 (offset 7): a value should begin here",
		`[1,]`:                       "offset 3): a value should begin here",
		`{"a":1,}`:                   "offset 7): a key in quotes should be here",
		`{a:1}`:                      "offset 1): a key in quotes should be here",
		`{"a" 1}`:                    "offset 5): a colon should be here",
		`01`:                         "offset 1): there is more after the JSON value",
		`1.`:                         "offset 2): a digit should be here",
		`-`:                          "offset 1): a digit should be here",
		`1e+`:                        "offset 3): a digit should be here",
		`"a`:                         "offset 2): a string has no end",
		"\"a\nb\"":                   "offset 2): a control character stands in a string",
		`"\x"`:                       "offset 2): there is no such escape",
		`"\u12"`:                     "offset 2): an escape is cut off",
		`"\u12zz"`:                   "offset 2): an escape needs four hexadecimal digits",
		"\"\xc3\"":                   "offset 1): the text is not UTF-8",
		"\"\xed\xa0\x80\"":           "offset 1): the text is not UTF-8",
		`{} {}`:                      "offset 3): there is more after the JSON value",
		`nul`:                        "offset 0): a value should begin here",
		`NaN`:                        "offset 0): a value should begin here",
		"\xef\xbb\xbf{}":             "offset 0): a value should begin here",
		`{"a":[{"x":1,"\u0078":2}]}`: "a[0].x: the key appears twice in its object",
		`[{"":1,"":2}]`:              "[0].: the key appears twice in its object",
		`{"b":["\u0000"]}`:           "b[0]: must not contain the character U+0000",
		`{"1":1,"2":1,"3":1,"4":1,"5":1,"6":1,"7":1,"8":1,"9":1,"0":1,"3":1}`: "3: the key appears twice in its object",
		strings.Repeat("[", maxDepth+2):                                       "it is nested too deeply",
	} {
		err := CheckJSON([]byte(bad), false)
		if fault.KindOf(err) != fault.Invalid || !strings.Contains(err.Error(), want) {
			t.Errorf("%.40s: %v, want %s", bad, err, want)
		}
	}
	for _, twins := range []string{`{"a":1,"A":1}`, `{"scope":1,"\u017fcope":2}`, `{"key":1,"\u212aey":2}`} {
		if CheckJSON([]byte(twins), true) == nil {
			t.Errorf("%s: Go's decoder takes them for one field", twins)
		}
	}
}

// FuzzCheckJSON holds the guard to Go's own parser: it accepts nothing that is not JSON, and refuses JSON only for the reasons that it
// documents.
func FuzzCheckJSON(f *testing.F) {
	for _, seed := range []string{`{"a":[1,2.5e3,"x\u00e9",null,true]}`, `{"a":1,"a":2}`, `[[[]]]`, "\"\xff\"", `"\u0000"`, `{"a":1} x`, `-0`, ``} {
		f.Add([]byte(seed), false)
		f.Add([]byte(seed), true)
	}
	f.Fuzz(func(t *testing.T, data []byte, fold bool) {
		err := CheckJSON(data, fold)
		valid := json.Valid(data)
		switch {
		case err == nil && !valid:
			t.Fatalf("accepted %q", data)
		case err == nil && !utf8.Valid(data):
			t.Fatalf("accepted bad UTF-8 %q", data)
		case err != nil && fault.KindOf(err) != fault.Invalid:
			t.Fatalf("%q: %v", data, err)
		case err != nil && valid && utf8.Valid(data):
			msg := err.Error()
			if !strings.Contains(msg, "appears twice") && !strings.Contains(msg, "U+0000") && !strings.Contains(msg, "too deeply") {
				t.Fatalf("refused %q: %v", data, err)
			}
		}
		if err != nil && !utf8.ValidString(err.Error()) {
			t.Fatalf("the message about %q is not UTF-8", data)
		}
	})
}

func BenchmarkCheckJSON(b *testing.B) {
	doc := []byte(`{"name":"agent","system":"` + strings.Repeat("You are helpful. ", 20) + `","model":{"id":"offline"},"metadata":{"a":"b","c":"d"},` +
		`"tools":[{"type":"custom","name":"x","description":"y","input_schema":{"type":"object","properties":{"q":{"type":"string"}}}}]}`)
	b.SetBytes(int64(len(doc)))
	b.ReportAllocs()
	for b.Loop() {
		if err := CheckJSON(doc, false); err != nil {
			b.Fatal(err)
		}
	}
}
