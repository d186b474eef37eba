package card

// schema is what a schema says of a value.
type schema struct {
	kind   kind
	item   *schema  // of each item of an array, or of each member of a map; nil: they may be anything
	filled bool     // of an array: it has an item at least
	words  []string // of a text: it is one of these; nil: it may be any
	record *record  // of an object
}

// record is what a schema says of an object with fields. Members that are no fields are admitted: no version's schema forbids them.
type record struct {
	name      string // as the specification names it: "AgentSkill"
	source    string // as findings name it: "A2A 0.3.0, AgentSkill"
	fields    []property
	required  uint32 // a bit for each field
	choice    bool   // there is exactly one of the fields (a oneof of a2a.proto)
	byType    map[string]*record
	elsewhere map[string]Version // names that other versions know, with the version that brought or last had them

	slots [slotCount]int8 // from slot to field, 1 more than its index, for find
}

// property is a field of a record.
type property struct {
	name     string
	plain    string // name as plain writes it
	schema   *schema
	required bool
	help     string // how to mend it when it is missing or empty, the end of a sentence: `say what the agent is called`

	source                  string // of what the schema says of it, as findings name it: "A2A 0.3.0, AgentSkill.tags"
	lackSource, lackMessage string // of the finding that it is missing
}

// slotCount is a power of 2, and at least twice as many as a record has fields.
const slotCount = 64

func slot(key string) int {
	n := len(key)
	if n == 0 {
		return 0
	}
	return (n*7 + int(key[0])*3 + int(key[n-1])*11 + int(key[n/2])*17) & (slotCount - 1)
}

// find returns which field is called key, -1 when none is.
func (r *record) find(key string) int {
	for s := slot(key); r.slots[s] != 0; s = (s + 1) & (slotCount - 1) {
		if at := int(r.slots[s]) - 1; r.fields[at].name == key {
			return at
		}
	}
	return -1
}

// newRecord makes a record that can be looked up in.
func newRecord(name string, fields ...property) *record {
	r := &record{name: name, fields: fields}
	for i, f := range fields {
		if f.required {
			r.required |= 1 << i
		}
		s := slot(f.name)
		for r.slots[s] != 0 {
			s = (s + 1) & (slotCount - 1)
		}
		r.slots[s] = int8(i + 1)
	}
	return r
}

// The shapes that records share.
var (
	aText   = &schema{kind: kindString}
	aFlag   = &schema{kind: kindBool}
	anyMap  = &schema{kind: kindObject}
	texts   = &schema{kind: kindArray, item: aText}
	textMap = &schema{kind: kindObject, item: aText}
)

func listOf(r *record) *schema {
	return &schema{kind: kindArray, item: &schema{kind: kindObject, record: r}}
}
func mapOf(r *record) *schema {
	return &schema{kind: kindObject, item: &schema{kind: kindObject, record: r}}
}
func aRecord(r *record) *schema { return &schema{kind: kindObject, record: r} }
func words(w ...string) *schema { return &schema{kind: kindString, words: w} }

// filled is the schema of a required array of 1.0: "Arrays marked as required MUST contain at least one element" (5.7).
func filled(s *schema) *schema {
	of := *s
	of.filled = true
	return &of
}

// need and may make a property that is required, and one that is not.
func need(name string, s *schema, help string) property {
	return property{name: name, schema: s, required: true, help: help}
}

func may(name string, s *schema) property { return property{name: name, schema: s} }

// structures holds the record AgentCard of each version.
var structures = func() map[Version]*record {
	all := map[Version]*record{V10: record10()}
	for _, v := range []Version{V020, V021, V022, V023, V024, V025, V026, V030} {
		all[v] = record0(v)
	}
	for v, r := range all {
		r.writeDown(v)
	}
	return all
}()
