package hosting_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/bureau-agents/bureau/core/hosting"
	"github.com/bureau-agents/bureau/ports/fault"
)

func TestMergeConfig(t *testing.T) {
	t.Parallel()
	deep := strings.Repeat(`{"a":`, hosting.MaxDepth+1) + "1" + strings.Repeat("}", hosting.MaxDepth+1)
	for name, c := range map[string]struct{ was, patch, want string }{
		"nothing":           {`{"a":1}`, ``, `{"a":1}`},
		"into nothing":      {``, `{"a":1}`, `{"a":1}`},
		"member":            {`{"a":1,"b":2}`, `{"b":"x"}`, `{"a":1,"b":"x"}`},
		"removal":           {`{"a":1,"b":2}`, `{"a":null,"c":null}`, `{"b":2}`},
		"nested":            {`{"a":{"b":{"c":1,"d":2}}}`, `{"a":{"b":{"c":null,"e":[1]}}}`, `{"a":{"b":{"d":2,"e":[1]}}}`},
		"object for a text": {`{"a":"x"}`, `{"a":{"b":1,"c":null}}`, `{"a":{"b":1}}`},
		"array":             {`{"a":[1,2]}`, `{"a":[3]}`, `{"a":[3]}`},
		"numbers as given":  {`{"a":1.50}`, `{"b":12345678901234567890}`, `{"a":1.50,"b":12345678901234567890}`},
		"no HTML escapes":   {`{}`, `{"a":"<b>&"}`, `{"a":"<b>&"}`},
		"no object":         {`{}`, `[1]`, ""},
		"null":              {`{}`, `null`, ""},
		"text after it":     {`{}`, `{} {}`, ""},
		"no JSON":           {`{}`, `{"a":`, ""},
		"too deep":          {`{}`, deep, ""},
		"too long":          {`{}`, `{"a":"` + strings.Repeat("x", hosting.MaxConfig) + `"}`, ""},
	} {
		got, err := hosting.MergeConfig(json.RawMessage(c.was), json.RawMessage(c.patch))
		switch {
		case c.want == "" && fault.KindOf(err) != fault.Invalid:
			t.Errorf("%s: %s, %v; want it refused", name, got, err)
		case c.want != "" && (err != nil || string(got) != c.want):
			t.Errorf("%s: %s, %v; want %s", name, got, err, c.want)
		}
	}
}

// FuzzMergeConfig: what is accepted is an object, and merging it once more changes nothing.
func FuzzMergeConfig(f *testing.F) {
	for _, seed := range [][2]string{{`{"a":1}`, `{"a":null}`}, {`{"a":{"b":[1,{}]}}`, `{"a":{"b":2},"c":"x"}`}, {``, `{"":{"":null}}`}, {`[]`, `1e999`}} {
		f.Add(seed[0], seed[1])
	}
	f.Fuzz(func(t *testing.T, was, patch string) {
		once, err := hosting.MergeConfig(json.RawMessage(was), json.RawMessage(patch))
		if err != nil || patch == "" {
			return
		}
		var object map[string]any
		d := json.NewDecoder(strings.NewReader(string(once)))
		d.UseNumber()
		if err := d.Decode(&object); err != nil || object == nil {
			t.Fatalf("%q and %q make %q: %v", was, patch, once, err)
		}
		twice, err := hosting.MergeConfig(once, json.RawMessage(patch))
		if err != nil || string(twice) != string(once) {
			t.Fatalf("%q and %q make %q, and once more %q, %v", was, patch, once, twice, err)
		}
	})
}
