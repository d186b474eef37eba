package card

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

func (c *checker) failType(n *node, s *schema, f *property) {
	if c.errors.full() {
		return
	}
	what := f.name
	if s != f.schema {
		what = "each item of " + f.name
		if f.schema.kind == kindObject {
			what = "each member of " + f.name
		}
	}
	advice := ""
	if n.kind == kindNull && !f.required && s == f.schema {
		advice = "; leave it out when there is none"
	}
	c.errors.put(note{
		at: n.start, offset: n.start, code: codeType, source: f.source,
		message: what + " is " + s.wanted() + ", not " + n.kind.article() + advice,
	})
}

// wanted names what a schema admits, with an example where that says more.
func (s *schema) wanted() string {
	switch s.kind {
	case kindString:
		return "a text in double quotes"
	case kindBool:
		return "true or false, without quotes"
	case kindArray:
		if s.item == nil || s.item.kind == kindString {
			return "an array of texts such as [\"...\"]"
		}
		return "an array of objects such as [{...}]"
	case kindObject:
		if s.item != nil && s.item.kind == kindString {
			return "an object of texts such as {\"...\": \"...\"}"
		}
		return "an object such as {...}"
	default:
		return s.kind.article()
	}
}

func (c *checker) failRequired(n *node, f *property) {
	if !c.errors.full() {
		c.errors.put(note{at: n.start, offset: n.start, missing: f.name, code: codeRequired, source: f.lackSource, message: f.lackMessage})
	}
}

// writeDown notes, for r and the records in it, where the rules of their fields stand, and what is said when one is missing.
func (r *record) writeDown(v Version) {
	if r == nil || r.source != "" {
		return
	}
	r.source = "A2A " + string(v) + ", " + r.name
	for i := range r.fields {
		f := &r.fields[i]
		f.plain, f.source = plain(f.name), r.source+"."+f.name
		if f.required {
			f.lackSource = f.source
			if v == V10 {
				f.lackSource = "A2A 1.0, 5.7, " + r.name + "." + f.name
			}
			f.lackMessage = lackMessage(f)
		}
		for s := f.schema; s != nil; s = s.item {
			s.record.writeDown(v)
		}
	}
	for _, of := range r.byType {
		of.writeDown(v)
	}
}

// lackMessage says that a field is missing, and how to mend that.
func lackMessage(f *property) string {
	label, is := label(f.name)
	if f.help == "" {
		return label + " " + is + " required"
	}
	return label + " " + is + " required: " + f.help
}

// label writes a field's name for people, with its verb: "Default input modes", "are".
func label(name string) (words, is string) {
	var b strings.Builder
	for i := range len(name) {
		ch := name[i]
		switch {
		case 'A' <= ch && ch <= 'Z':
			b.WriteByte(' ')
			b.WriteByte(ch | 0x20)
		case i == 0:
			b.WriteByte(ch &^ 0x20)
		default:
			b.WriteByte(ch)
		}
	}
	words, is = b.String(), "is"
	for _, short := range []string{"Url", "Uri", "Id"} {
		if words == short {
			words = strings.ToUpper(short)
		}
	}
	words = strings.Replace(words, " url", " URL", 1)
	if strings.HasSuffix(words, "s") {
		is = "are"
	}
	return words, is
}

// failChoice says that an object has not exactly one of the members of a oneof.
func (c *checker) failChoice(n *node, r *record, seen uint32) {
	if c.errors.full() {
		return
	}
	var names, had []string
	for i, f := range r.fields {
		names = append(names, f.name)
		if seen&(1<<i) != 0 {
			had = append(had, f.name)
		}
	}
	source := "A2A 1.0, " + r.name
	switch old := memberOfType[n.get("type").str]; {
	case len(had) > 1:
		c.fail(n, codeChoice, source, "there are %s, of which there can only be one here: give each an entry of its own",
			strings.Join(had, " and "))
	case r.name == "SecurityScheme" && old != "":
		c.fail(n, codeChoice, source, "this is a scheme of the form before 1.0: write {%q: {...}}, and inside it the fields without type", old)
	default:
		c.fail(n, codeChoice, source, "one of %s is required", strings.Join(names, ", "))
	}
}

// memberOfType says in which member of 1.0 a scheme of a type before it stands.
var memberOfType = map[string]string{
	"apiKey": "apiKeySecurityScheme", "http": "httpAuthSecurityScheme", "oauth2": "oauth2SecurityScheme",
	"openIdConnect": "openIdConnectSecurityScheme", "mutualTLS": "mtlsSecurityScheme",
}

// typeFor says which type a scheme should have, going by its members.
func (r *record) typeFor(n *node) string {
	switch {
	case n.find("in") != nil:
		return `"apiKey"`
	case n.find("scheme") != nil, n.find("bearerFormat") != nil:
		return `"http"`
	case n.find("flows") != nil:
		return `"oauth2"`
	case n.find("openIdConnectUrl") != nil:
		return `"openIdConnect"`
	case r.byType["mutualTLS"] == nil:
		return `"apiKey", "http", "oauth2" or "openIdConnect"`
	default:
		return `"apiKey", "http", "oauth2", "openIdConnect" or "mutualTLS"`
	}
}

// oneOf writes words as a choice: "header", "query" or "cookie".
func oneOf(words []string) string {
	var b strings.Builder
	for i, w := range words {
		switch {
		case i == 0:
		case i == len(words)-1:
			b.WriteString(" or ")
		default:
			b.WriteString(", ")
		}
		fmt.Fprintf(&b, "%q", w)
	}
	return b.String()
}

// article names a kind with its article, for messages.
func (k kind) article() string {
	switch k {
	case kindNull:
		return "null"
	case kindBool:
		return "true or false"
	case kindNumber:
		return "a number"
	case kindString:
		return "a text"
	case kindArray:
		return "an array"
	case kindObject:
		return "an object"
	default:
		return "nothing"
	}
}

// short cuts what a card says to what a message can quote.
func short(s string) string {
	const most = 80
	if len(s) <= most {
		return s
	}
	cut := most
	for cut > 0 && !utf8.RuneStart(s[cut]) {
		cut--
	}
	return s[:cut] + "..."
}
