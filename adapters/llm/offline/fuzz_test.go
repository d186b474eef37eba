package offline_test

import (
	"bytes"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/bureau-agents/bureau/adapters/llm/offline"
	"github.com/bureau-agents/bureau/ports/llm"
	"github.com/bureau-agents/bureau/ports/tool"
)

// FuzzGenerate checks for any message, any tool and any result that turns end, that every call is of an offered tool and valid
// against its schema, and that nothing panics.
func FuzzGenerate(f *testing.F) {
	for _, message := range []string{
		"Pay 20 USDC to vendor.example for the SendGrid renewal", "What is 17 * 23? Then fetch https://example.com/x", "((((((1+1)))))", "1 squared squared squared cubed",
		"Create a high priority ticket titled 'Login broken' due 2026-03-01", "> quoted\n- a\n1. b", "Convert 10 miles to kilometers", "{\"a\":{\"b\":1}} {{{{",
		"US$20 to €5 or -3 thousand million dollars twenty-three hundred", "don't", "use the x tool with \"y\" if z then w",
	} {
		f.Add(message, `{"type":"object","properties":{"x":{"type":["integer","null"]},"y":{"type":"array","items":{"type":"string"}}},"required":["x"]}`, "ok")
	}
	f.Add("frob it", `{"$ref":"file:///etc/passwd"}`, "{}")
	f.Add("frob it", `{"$ref":"#/$defs/a","$defs":{"a":{"$ref":"#/$defs/a"}}}`, "Source: x")
	f.Add("frob 3", `{"properties":{"a":{"properties":{"b":{"type":"number"}},"required":["b"]}},"required":["a"]}`, `[{"text":"x","source":"y"}]`)
	p := offline.New()
	f.Fuzz(func(t *testing.T, message, schema, result string) {
		tools := append([]tool.Spec{spec("frob_things", "Frobs things: "+result, schema)}, everyone...)
		schemas := map[string]*jsonschema.Schema{}
		for _, s := range tools {
			schemas[s.Name] = compile(string(s.InputSchema))
		}
		req := llm.Request{Tools: tools, Messages: []llm.Message{user(message)}}
		ids := map[string]bool{}
		// A message has at most one call per clause, and clauses take two bytes or more.
		for range len(message)/2 + 2 {
			resp := generate(t, p, req)
			use := called(resp)
			if use == nil {
				return
			}
			if ids[use.ID] {
				t.Fatalf("the id %s is used twice", use.ID)
			}
			ids[use.ID] = true
			valid := schemas[use.Name]
			if valid == nil {
				t.Fatalf("call of %q, which is not offered or has no valid schema", use.Name)
			}
			input, err := jsonschema.UnmarshalJSON(bytes.NewReader(use.Input))
			if err != nil {
				t.Fatalf("input %s: %v", use.Input, err)
			}
			if err := valid.Validate(input); err != nil {
				t.Fatalf("%q calls %s with %s: %v", message, use.Name, use.Input, err)
			}
			req.Messages = append(req.Messages,
				llm.Message{Role: llm.RoleAssistant, Blocks: resp.Blocks},
				llm.Message{Role: llm.RoleUser, Blocks: []llm.Block{{ToolResult: &llm.ToolResult{ID: use.ID, Text: result}}}})
		}
		t.Fatalf("the turn of %q does not end", message)
	})
}

// compile returns nil for what is no schema.
func compile(schema string) *jsonschema.Schema {
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader([]byte(schema)))
	if err != nil {
		return nil
	}
	c := jsonschema.NewCompiler()
	c.UseLoader(jsonschema.SchemeURLLoader{})
	c.AssertFormat()
	if c.AddResource("x.json", doc) != nil {
		return nil
	}
	s, err := c.Compile("x.json")
	if err != nil {
		return nil
	}
	return s
}
