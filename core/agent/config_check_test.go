package agent

import (
	"encoding/json"
	"testing"
	"unicode/utf8"
)

// FuzzInputSchema holds the checking of a stranger's schema to naming a fault or taking it, and what it takes to being storable.
func FuzzInputSchema(f *testing.F) {
	for _, s := range []string{
		``, `null`, `[]`, `{}`, `{"type":"object"}`, `{"type":"object","properties":{"a":{"$ref":"#"}}}`, `{"type":"object","$ref":"#/$defs/x"}`,
		`{"type":"object","$schema":"http://json-schema.org/draft-04/schema#"}`, `{"type":"object","$schema":"https://example.com/meta"}`,
		`{"type":"object","properties":{"a":{"pattern":"(a+)+$"}}}`, `{"type":"object","$id":"file:///etc/passwd","$ref":"other"}`,
		`{"type":"object","$defs":{"a":{"$anchor":"x"},"b":{"$dynamicRef":"#x"}}}`, `{"type":"object","minProperties":1e400}`,
		`{"type":"object","required":["a","a"]}`, "{\"type\":\"object\",\"title\":\"\xff\"}", `{"type":"object"} {}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		k := &checker{}
		k.schema("tools[0].input_schema", compact(raw))
		for _, fd := range k.Fields {
			if fd.Path == "" || fd.Message == "" || !utf8.ValidString(fd.Message) {
				t.Fatalf("fault %+v", fd)
			}
		}
		if len(k.Fields) == 0 && (!json.Valid(raw) || !utf8.Valid(raw)) {
			t.Fatalf("%q was taken", raw)
		}
	})
}
