package run

import "github.com/santhosh-tekuri/jsonschema/v6"

// maxEffort is how many schemas the parts of one input may be held against. Schemas that refer to others more than once can ask for
// more than any machine does in a lifetime, and validation cannot be stopped.
const maxEffort = 100_000

// part is a value inside an input.
type part struct {
	named map[string]*part
	items []*part
}

func partsOf(v any) *part {
	p := &part{}
	switch v := v.(type) {
	case map[string]any:
		p.named = make(map[string]*part, len(v))
		for name, e := range v {
			p.named[name] = partsOf(e)
			p.items = append(p.items, p.named[name])
		}
	case []any:
		for _, e := range v {
			p.items = append(p.items, partsOf(e))
		}
	}
	return p
}

// effort estimates from above how many schemas validation would hold the parts of an input against.
type effort struct {
	seen map[comparison]int // -1 while it is being estimated
}

type comparison struct {
	schema *jsonschema.Schema
	part   *part
}

// TooDear reports whether s would hold the parts of v, which is what jsonschema.UnmarshalJSON returns, against more schemas than a server
// has time for. Whoever takes a schema from a stranger asks before validating.
func TooDear(s *jsonschema.Schema, v any) bool {
	e := effort{seen: map[comparison]int{}}
	return e.of(s, partsOf(v)) > maxEffort
}

func (e effort) of(s *jsonschema.Schema, p *part) int {
	if s == nil {
		return 0
	}
	key := comparison{s, p}
	if n, ok := e.seen[key]; ok {
		return max(n, 0) // a schema that leads back to itself ends there
	}
	if len(e.seen) > maxEffort || s.DynamicRef != nil || s.RecursiveRef != nil {
		return maxEffort + 1
	}
	e.seen[key] = -1
	n := 1
	add := func(sub *jsonschema.Schema, parts ...*part) {
		for _, q := range parts {
			n = min(n+e.of(sub, q), maxEffort+1)
		}
	}
	for _, sub := range []*jsonschema.Schema{s.Ref, s.Not, s.If, s.Then, s.Else, s.ContentSchema} {
		add(sub, p)
	}
	for _, list := range [][]*jsonschema.Schema{s.AllOf, s.AnyOf, s.OneOf} {
		for _, sub := range list {
			add(sub, p)
		}
	}
	for _, sub := range s.DependentSchemas {
		add(sub, p)
	}
	for _, sub := range s.Dependencies {
		addAny(sub, func(sub *jsonschema.Schema) { add(sub, p) })
	}
	for name, sub := range s.Properties {
		if q := p.named[name]; q != nil {
			add(sub, q)
		}
	}
	for _, sub := range s.PatternProperties {
		add(sub, p.items...)
	}
	for _, sub := range s.PrefixItems {
		add(sub, p.items...)
	}
	for _, sub := range []*jsonschema.Schema{s.UnevaluatedProperties, s.Contains, s.Items2020, s.UnevaluatedItems} {
		add(sub, p.items...)
	}
	for range p.named {
		add(s.PropertyNames, &part{})
	}
	for _, sub := range []any{s.AdditionalProperties, s.Items, s.AdditionalItems} {
		addAny(sub, func(sub *jsonschema.Schema) { add(sub, p.items...) })
	}
	e.seen[key] = n
	return n
}

// addAny calls add for the schemas in a field that may hold one, several, or something else.
func addAny(v any, add func(*jsonschema.Schema)) {
	switch v := v.(type) {
	case *jsonschema.Schema:
		add(v)
	case []*jsonschema.Schema:
		for _, s := range v {
			add(s)
		}
	}
}
