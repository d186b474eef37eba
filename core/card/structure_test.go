package card

import (
	"slices"
	"strings"
	"testing"
)

// TestRecordsFindTheirFields sees that each field is found by its name, and nothing else.
func TestRecordsFindTheirFields(t *testing.T) {
	t.Parallel()
	seen := map[*record]bool{}
	var walk func(r *record)
	inside := func(s *schema) {
		for ; s != nil; s = s.item {
			if s.record != nil {
				walk(s.record)
			}
		}
	}
	walk = func(r *record) {
		if seen[r] {
			return
		}
		seen[r] = true
		if len(r.fields) > 32 || 2*len(r.fields) > slotCount {
			t.Errorf("%s has %d fields", r.name, len(r.fields))
		}
		for i, f := range r.fields {
			if r.find(f.name) != i || r.find(f.name+"s") >= 0 && r.fields[r.find(f.name+"s")].name != f.name+"s" || r.find("") >= 0 {
				t.Errorf("%s does not find %s", r.name, f.name)
			}
			if f.required != (r.required&(1<<i) != 0) {
				t.Errorf("%s.%s is not as required as it says", r.name, f.name)
			}
			inside(f.schema)
		}
		for _, of := range r.byType {
			walk(of)
		}
	}
	for _, v := range versions {
		walk(structures[v])
	}
	if len(seen) < 100 {
		t.Errorf("only %d records were walked", len(seen))
	}
}

// full0 is a card of 0.3.0 with nothing wrong; with is a member more.
func full0(with string) string {
	return `{"protocolVersion": "0.3.0", "name": "x", "description": "x", "url": "https://example.com", "version": "1", "capabilities": {},
		"defaultInputModes": [], "defaultOutputModes": [], "skills": []` + with + `}`
}

// TestUnknownFields holds the warnings of fields that nobody reads to what they say.
func TestUnknownFields(t *testing.T) {
	t.Parallel()
	const skill = `{"id": "a", "name": "a", "description": "a", "tags": ["a"]`
	for _, c := range []struct {
		name, card string
		version    Version
		want       string // PATH CODE: WORDS; "" for no warning
	}{
		{"known", full0(``), "", ""},
		{"unknown", full0(`, "pricing": {}`), "", "pricing unknown_field: no field of AgentCard in A2A 0.3.0"},
		{"misspelt", full0(`, "docmentationUrl": ""`), "", `docmentationUrl unknown_field: did you mean "documentationUrl"?`},
		{"swapped letters", full0(`, "signatrues": []`), "", `signatrues unknown_field: did you mean "signatures"?`},
		{"misspelt, and there", full0(`, "nme": ""`), "", "nme unknown_field: remove it"},
		{"case", full0(`, "iconURL": ""`), "", `iconURL wrong_case: write "iconUrl"`},
		{"snake case", full0(`, "security_schemes": {}`), "", `security_schemes wrong_case: write "securitySchemes"`},
		{"too far", full0(`, "iconography": ""`), "", "iconography unknown_field: remove it"},
		{"very long", full0(`, "` + strings.Repeat("n", 500) + `": ""`), "", `unknown_field: nnn..." is no field`},
		{"in a skill", full0(`, "skills": [` + skill + `, "tag": ["a"], "Examples": []}]`), "",
			`skills[0].Examples wrong_case: write "examples"`},
		{"extension of the text", full0(`, "x-rank": 1, "X-Rank": 2, "$schema": "", "@context": ""`), "", ""},
		{"later version", full0(``), V020, ""}, // protocolVersion is no field there, and no fault
		{"later field", full0(`, "iconUrl": "https://example.com/i.png"`), V021, "iconUrl later_field: came with A2A 0.2.2"},
		{"later field of a skill", full0(`, "skills": [` + skill + `, "security": []}]`), V026,
			"skills[0].security later_field: came with A2A 0.3.0"},
		{"1.0's field", full0(`, "securityRequirements": []`), "", "securityRequirements later_field: came with A2A 1.0"},
		{"of both forms", full0(`, "securityRequirements": [], "supportedInterfaces": []`), "", ""},
		{"parameters are free",
			full0(`, "capabilities": {"extensions": [{"uri": "https://example.com/x", "params": {"anything": {"goes": 1}}}]}`), "", ""},
		{"names of schemes are free", full0(`, "securitySchemes": {"Name": {"type": "http", "scheme": "bearer"}}`), "", ""},
		{
			"in a scheme", full0(`, "securitySchemes": {"a": {"type": "http", "scheme": "bearer", "bearer_format": "JWT"}}`), "",
			`securitySchemes.a.bearer_format wrong_case: write "bearerFormat"`,
		},
		{
			"of another scheme", full0(`, "securitySchemes": {"a": {"type": "http", "scheme": "bearer", "openIdConnectUrl": "x"}}`), "",
			`securitySchemes.a.openIdConnectUrl unknown_field: no field of HTTPAuthSecurityScheme`,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var told []string
			for _, w := range Validate([]byte(c.card), Options{Version: c.version}).Warnings {
				if slices.Contains([]string{codeUnknownField, codeWrongCase, codeLaterField}, w.Code) {
					told = append(told, w.Path+" "+w.Code+": "+w.Message)
				}
			}
			start, words, _ := strings.Cut(c.want, ": ")
			if c.want == "" && len(told) > 0 || c.want != "" && !slices.ContainsFunc(told, func(s string) bool {
				return strings.Contains(s, start) && strings.Contains(s, words)
			}) {
				t.Errorf("the warnings are %q", told)
			}
		})
	}
}

// TestMessages holds errors to words that say how to mend them.
func TestMessages(t *testing.T) {
	t.Parallel()
	const interfaces = `"supportedInterfaces": []`
	for _, c := range []struct{ name, card, pointer, says string }{
		{"a name", `{}`, "/name", "Name is required: say what the agent is called"},
		{"a url", `{}`, "/url", "URL is required: add where"},
		{"modes", `{}`, "/defaultInputModes", "Default input modes are required: add the media types"},
		{"an empty array", `{` + interfaces + `, "skills": []}`, "/skills", "skills is empty, and holds an item at least: add"},
		{"a number", full0(`, "iconUrl": 5`), "/iconUrl", "iconUrl is a text in double quotes, not a number"},
		{"a flag in quotes", full0(`, "capabilities": {"streaming": "true"}`), "/capabilities/streaming",
			"streaming is true or false, without quotes, not a text"},
		{"null", full0(`, "iconUrl": null`), "/iconUrl", "not null; leave it out when there is none"},
		{"an item", full0(`, "defaultInputModes": [1]`), "/defaultInputModes/0",
			"each item of defaultInputModes is a text in double quotes, not a number"},
		{"a scope", full0(`, "security": [{"a": "b"}]`), "/security/0/a", "not a text"},
		{"an object", full0(`, "provider": "Example"`), "/provider", "provider is an object such as {...}, not a text"},
		{"a list of objects", full0(`, "skills": {}`), "/skills", "skills is an array of objects such as [{...}], not an object"},
		{
			"a map of texts", full0(`, "securitySchemes": {"a": {"type": "oauth2", "flows": {"implicit": {"authorizationUrl": "", "scopes": []}}}}`),
			"/securitySchemes/a/flows/implicit/scopes", `scopes is an object of texts such as {"...": "..."}, not an array`,
		},
		{"a scheme without type", full0(`, "securitySchemes": {"a": {"scheme": "bearer"}}`), "/securitySchemes/a/type",
			`Type is required: write "http"`},
		{"a scheme of no type", full0(`, "securitySchemes": {"a": {"type": "bearer"}}`), "/securitySchemes/a/type",
			`"bearer" is no type of security scheme`},
		{"a place of a key", full0(`, "securitySchemes": {"a": {"type": "apiKey", "in": "body", "name": "k"}}`), "/securitySchemes/a/in",
			`"body" is none of what in admits: write "header", "query" or "cookie"`},
		{"an old scheme", `{` + interfaces + `, "securitySchemes": {"a": {"type": "http", "scheme": "bearer"}}}`, "/securitySchemes/a",
			`write {"httpAuthSecurityScheme": {...}}`},
		{"two schemes", `{` + interfaces + `, "securitySchemes": {"a": {"mtlsSecurityScheme": {}, "httpAuthSecurityScheme": {"scheme": "x"}}}}`,
			"/securitySchemes/a", "httpAuthSecurityScheme and mtlsSecurityScheme"},
		{"no flow", `{` + interfaces + `, "securitySchemes": {"a": {"oauth2SecurityScheme": {"flows": {}}}}}`,
			"/securitySchemes/a/oauth2SecurityScheme/flows",
			"one of authorizationCode, clientCredentials, implicit, password, deviceCode is required"},
		{"an array", `[]`, "", "an agent card is an object"},
	} {
		var told []string
		for _, e := range Validate([]byte(c.card), Options{}).Errors {
			if e.Source == "" {
				t.Errorf("%s: %q has no source", c.name, e.Message)
			}
			told = append(told, e.Pointer+" "+e.Message)
		}
		if !slices.ContainsFunc(told, func(s string) bool { return strings.HasPrefix(s, c.pointer+" ") && strings.Contains(s, c.says) }) {
			t.Errorf("%s: the errors are %q", c.name, told)
		}
	}
}

func TestDistance(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		a, b string
		want int
	}{
		{"", "", 0}, {"a", "", 1}, {"name", "name", 0}, {"anme", "name", 1}, {"nam", "name", 1}, {"naame", "name", 1}, {"nome", "name", 1},
		{"xyz", "abc", 3},
	} {
		if got := distance(c.a, c.b); got != c.want || distance(c.b, c.a) != c.want {
			t.Errorf("%q and %q are %d apart", c.a, c.b, got)
		}
	}
}
