package card

import (
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	failed "github.com/santhosh-tekuri/jsonschema/v6/kind"
)

// mutations is how many changed cards TestAgreement compares; `go test ./core/card -run TestAgreement -mutations 1000000` takes minutes.
var mutations = flag.Int("mutations", 5000, "how many changed cards are held to the schemas")

// decided is where the validator finds a fault at protocolVersion that the schema does not, on purpose, with what decides it. Each must
// come up.
var decided = []struct {
	name string
	why  string
	is   func(declared any, version Version) bool
}{
	{
		name: "protocolVersion is empty",
		why:  supports + " An empty text names none. The schema only says that it is a text.",
		is:   func(declared any, _ Version) bool { return declared == "" },
	},
	{
		name: "protocolVersion names no version",
		why:  supports + " There is none of that name, and so no schema to hold the card to. The schema admits any text.",
		is: func(declared any, _ Version) bool {
			text, ok := declared.(string)
			_, known := ParseVersion(text)
			return ok && text != "" && !known
		},
	},
	{
		name: "protocolVersion is no text where no field is called so",
		why: supports + " Before 0.2.5 and from 1.0 on cards have no such field, and their schemas say nothing of it; where there is one it is " +
			"a text, and this is none.",
		is: func(declared any, v Version) bool {
			_, text := declared.(string)
			return !text && !v.declares()
		},
	},
}

const supports = `AgentCard.protocolVersion in a2a.json of v0.2.5 to v0.3.0: "The version of the A2A protocol this agent supports."`

func without(places []string, place string) []string {
	return slices.DeleteFunc(slices.Clone(places), func(p string) bool { return p == place })
}

// versions are all that there are schemas of.
var versions = []Version{V020, V021, V022, V023, V024, V025, V026, V030, V10}

func compileSchemas(t testing.TB) map[Version]*jsonschema.Schema {
	t.Helper()
	compiled := map[Version]*jsonschema.Schema{}
	compiler := jsonschema.NewCompiler()
	for _, v := range versions {
		s, err := compiler.Compile(filepath.Join("testdata", "schemas", string(v)+".json"))
		if err != nil {
			t.Fatal(err)
		}
		compiled[v] = s
	}
	return compiled
}

// TestAgreement holds the cards of the corpus, and cards made from them by random changes, to every version's schema, and compares what an
// implementation of JSON Schema says with what Validate does: whether the card is valid, and where its faults are.
func TestAgreement(t *testing.T) {
	t.Parallel()
	schemas := compileSchemas(t)
	var cards []any
	var held []Version
	var faulty []bool
	compared, invalid := 0, 0
	times := make([]int, len(decided))
	compare := func(card any, v Version) {
		text, err := json.Marshal(card)
		if err != nil {
			t.Fatal(err)
		}
		schema, ours := schemaFaults(t, schemas[v], card), ourFaults(text, v)
		compared++
		if len(schema) > 0 {
			invalid++
		}
		if ours = fold(ours, schema); slices.Equal(schema, ours) {
			return
		}
		if object, ok := card.(map[string]any); ok && slices.Equal(schema, without(ours, "/protocolVersion")) {
			for i, d := range decided {
				if d.is(object["protocolVersion"], v) {
					times[i]++
					return
				}
			}
		}
		t.Errorf("held to %s, the schema finds faults at\n%s\nand Validate at\n%s\nin %s", v, strings.Join(schema, "\n"),
			strings.Join(ours, "\n"), text)
	}
	for _, s := range samples(t) {
		var card any
		if err := json.Unmarshal(s.text, &card); err != nil { // the corpus holds no broken JSON
			t.Fatal(err)
		}
		cards, held, faulty = append(cards, card), append(held, s.version), append(faulty, len(s.errors) > 0)
		for _, v := range versions {
			compare(card, v)
		}
	}
	m := mutator{rand.New(rand.NewPCG(2, 71)), cards}
	for range *mutations {
		which := m.IntN(len(cards))
		if faulty[which] && m.IntN(8) != 0 {
			continue
		}
		v := held[which]
		if m.IntN(4) == 0 {
			v = versions[m.IntN(len(versions))]
		}
		compare(m.mutant(cards[which]), v)
		if t.Failed() {
			break
		}
	}
	for i, d := range decided {
		if times[i] == 0 {
			t.Errorf("%s: it is decided, and never comes up", d.name)
		}
		t.Logf("%d times %s: %s", times[i], d.name, d.why)
	}
	t.Logf("%d comparisons, %d of them of cards that the schema refuses", compared, invalid)
}

// ourFaults returns the places of the errors of Validate, sorted, each once. It only asks for a version that the card would not be held
// to anyway.
func ourFaults(text []byte, v Version) []string {
	r := Validate(text, Options{})
	if r.Version != v {
		r = Validate(text, Options{Version: v})
	}
	var places []string
	for _, e := range r.Errors {
		places = append(places, e.Pointer)
	}
	slices.Sort(places)
	return slices.Compact(places)
}

// fold moves our places to that of the security scheme that they are in when the schema finds a fault there: to it a scheme of 0.2 or 0.3
// is one of several things, and it does not say which of them comes nearest.
func fold(ours, schema []string) []string {
	var folded []string
	for _, place := range ours {
		for _, whole := range schema {
			if strings.HasPrefix(whole, "/securitySchemes/") && strings.Count(whole, "/") == 2 && strings.HasPrefix(place, whole+"/") &&
				!slices.Contains(schema, place) {
				place = whole
			}
		}
		folded = append(folded, place)
	}
	slices.Sort(folded)
	return slices.Compact(folded)
}

// schemaFaults returns the places of a schema's faults, sorted, each once. A missing member's is its own.
func schemaFaults(t *testing.T, s *jsonschema.Schema, card any) []string {
	t.Helper()
	err := s.Validate(card)
	if err == nil {
		return nil
	}
	fault, ok := err.(*jsonschema.ValidationError) //nolint:errorlint // the library's own type, not wrapped
	if !ok {
		t.Fatal(err)
	}
	var places []string
	var walk func(e *jsonschema.ValidationError)
	walk = func(e *jsonschema.ValidationError) {
		at := pointer(e.InstanceLocation)
		switch k := e.ErrorKind.(type) {
		case *failed.Required:
			for _, name := range k.Missing {
				places = append(places, at+pointer([]string{name}))
			}
		case *failed.AnyOf, *failed.OneOf:
			places = append(places, at)
		default:
			if len(e.Causes) == 0 {
				places = append(places, at)
			}
			for _, cause := range e.Causes {
				walk(cause)
			}
		}
	}
	walk(fault)
	slices.Sort(places)
	return slices.Compact(places)
}

func pointer(steps []string) string {
	var b strings.Builder
	for _, s := range steps {
		b.WriteString("/" + strings.NewReplacer("~", "~0", "/", "~1").Replace(s))
	}
	return b.String()
}

// mutator changes cards.
type mutator struct {
	*rand.Rand
	cards []any
}

// mutant copies a card and changes it at one to three places.
func (m mutator) mutant(of any) any {
	card := m.copy(of)
	for range 1 + m.IntN(3) {
		m.change(&card)
	}
	return card
}

// change walks to a random place and changes what is there.
func (m mutator) change(at *any) {
	switch v := (*at).(type) {
	case map[string]any:
		keys := slices.Sorted(maps.Keys(v))
		if len(keys) == 0 || m.IntN(8) == 0 {
			v[m.name()] = m.value()
			return
		}
		key := keys[m.IntN(len(keys))]
		switch m.IntN(7) {
		case 0:
			delete(v, key)
		case 1:
			inner := v[key]
			delete(v, key)
			v[m.misspelt(key)] = inner
		case 2:
			v[key] = m.value()
		default:
			inner := v[key]
			m.change(&inner)
			v[key] = inner
		}
	case []any:
		switch i := m.IntN(len(v) + 1); {
		case i == len(v) && m.IntN(3) == 0:
			*at = []any{}
		case i == len(v):
			*at = append(v, m.value())
		case m.IntN(4) == 0:
			*at = slices.Delete(v, i, i+1)
		default:
			m.change(&v[i])
		}
	default:
		*at = m.value()
	}
}

// value makes a value, or takes one of another card.
func (m mutator) value() any {
	switch m.IntN(12) {
	case 0:
		return nil
	case 1:
		return m.IntN(2) == 0
	case 2:
		return json.Number(fmt.Sprint(m.IntN(100)))
	case 3:
		return map[string]any{}
	case 4:
		return []any{}
	case 5:
		return []any{"text/plain"}
	case 6, 7:
		said := []string{"", "apiKey", "http", "oauth2", "openIdConnect", "mutualTLS", "header", "query", "body", "0.3.0", "1.0", "0.2.9",
			"9.9.9", "x"}
		return said[m.IntN(len(said))]
	default:
		v := m.cards[m.IntN(len(m.cards))]
		for {
			var inner []any
			switch v := v.(type) {
			case map[string]any:
				for _, k := range slices.Sorted(maps.Keys(v)) {
					inner = append(inner, v[k])
				}
			case []any:
				inner = v
			}
			if len(inner) == 0 || m.IntN(4) == 0 {
				return m.copy(v)
			}
			v = inner[m.IntN(len(inner))]
		}
	}
}

// name takes a field's name of a random record, or an odd one.
func (m mutator) name() string {
	odd := []string{"", "a.b[0]", "c/d~e", "0", "__proto__", "type", "scopes", "description", "in", "list", "schemes", "url",
		"protocolVersion"}
	if m.IntN(2) == 0 {
		return odd[m.IntN(len(odd))]
	}
	r := structures[versions[m.IntN(len(versions))]]
	return r.fields[m.IntN(len(r.fields))].name
}

func (m mutator) misspelt(key string) string {
	switch m.IntN(3) {
	case 0:
		return strings.ToUpper(key)
	case 1:
		return key + "s"
	default:
		return m.name()
	}
}

func (m mutator) copy(v any) any {
	switch v := v.(type) {
	case map[string]any:
		c := make(map[string]any, len(v))
		for k, inner := range v {
			c[k] = m.copy(inner)
		}
		return c
	case []any:
		c := make([]any, len(v))
		for i := range v {
			c[i] = m.copy(v[i])
		}
		return c
	default:
		return v
	}
}
