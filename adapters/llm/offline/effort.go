package offline

import "github.com/santhosh-tekuri/jsonschema/v6"

// maxLooked is how many parts of one schema are looked at, and maxEffort how many schemas one input may be held against. Schemas come
// from tenants, and those that refer to others more than once can ask for more than any machine does in a lifetime.
const (
	maxLooked = 2000
	maxEffort = 100_000
)

// level is a schema and how deep in an input it stands.
type level struct {
	schema *jsonschema.Schema
	depth  int
}

// effort estimates how many schemas validation holds an input against that is no deeper than the ones made here.
type effort map[level]int

func (e effort) of(s *jsonschema.Schema, depth int) int {
	if s == nil || depth > maxNodes+1 {
		return 0
	}
	key := level{s, depth}
	if n, ok := e[key]; ok {
		return n
	}
	if len(e) > maxEffort || s.DynamicRef != nil || s.RecursiveRef != nil {
		return maxEffort + 1
	}
	e[key] = 0 // a schema that leads back to itself ends there
	n := 1
	add := func(depth int, subs ...*jsonschema.Schema) {
		for _, sub := range subs {
			n = min(n+e.of(sub, depth), maxEffort+1)
		}
	}
	add(depth, s.Ref, s.Not, s.If, s.Then, s.Else, s.ContentSchema)
	add(depth, s.AllOf...)
	add(depth, s.AnyOf...)
	add(depth, s.OneOf...)
	for _, sub := range s.DependentSchemas {
		add(depth, sub)
	}
	add(depth+1, s.PropertyNames, s.UnevaluatedProperties, s.Contains, s.Items2020, s.UnevaluatedItems)
	add(depth+1, s.PrefixItems...)
	for _, sub := range s.Properties {
		add(depth+1, sub)
	}
	for _, sub := range s.PatternProperties {
		add(depth+1, sub)
	}
	others := []any{s.AdditionalProperties, s.Items, s.AdditionalItems}
	for _, sub := range s.Dependencies {
		others = append(others, sub)
	}
	for _, other := range others {
		switch other := other.(type) {
		case *jsonschema.Schema:
			add(depth, other)
			add(depth+1, other)
		case []*jsonschema.Schema:
			add(depth+1, other...)
		}
	}
	e[key] = n
	return n
}
