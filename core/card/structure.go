package card

import "math/bits"

// structure holds the card to its version's schema, and warns of members that no schema knows.
func (c *checker) structure() {
	c.record(c.root, structures[c.version])
}

// value holds n to a schema. f is the field whose value, or an item of whose value, n is.
func (c *checker) value(n *node, s *schema, f *property) {
	if n.kind != s.kind {
		c.failType(n, s, f)
		return
	}
	switch {
	case s.record != nil:
		c.record(n, s.record)
	case s.words != nil:
		c.word(n, s, f)
	case s.item == nil:
	case s.kind == kindArray:
		if s.filled && len(n.items) == 0 {
			c.fail(n, codeEmpty, f.source, "%s is empty, and holds an item at least: %s", f.name, f.help)
		}
		for i := range n.items {
			c.value(&n.items[i], s.item, f)
		}
	default:
		for i := range n.members {
			c.value(&n.members[i].value, s.item, f)
		}
	}
}

// record holds the object n to a record.
func (c *checker) record(n *node, r *record) {
	if r.byType != nil {
		if r = c.byType(n, r); r == nil {
			return
		}
	}
	var seen uint32
	for i := range n.members {
		m := &n.members[i]
		at := r.find(m.key)
		if at < 0 {
			c.unknown(m, n, r)
			continue
		}
		seen |= 1 << at
		f := &r.fields[at]
		if n == c.root && f.name == "protocolVersion" {
			continue // chooseVersion has looked at it
		}
		c.value(&m.value, f.schema, f)
	}
	for missing := r.required &^ seen; missing != 0; missing &= missing - 1 {
		c.failRequired(n, &r.fields[bits.TrailingZeros32(missing)])
	}
	if r.choice && seen&(seen-1) != 0 || r.choice && seen == 0 {
		c.failChoice(n, r, seen)
	}
}

// byType finds the record of a security scheme of 0.2 or 0.3 by its type. The schema says that a scheme is any of its kinds, each of which
// demands its own type: so only the kind of that type needs to be looked at, and only its faults are told.
func (c *checker) byType(n *node, r *record) *record {
	said := n.get("type")
	switch {
	case said.kind == kindAbsent:
		c.failMissing(n, "type", codeRequired, r.source+".type", "Type is required: write %s", r.typeFor(n))
	case said.kind != kindString:
		c.fail(said, codeType, r.source+".type", "type is a text, not %s: write %s", said.kind.article(), r.typeFor(n))
	default:
		if of, ok := r.byType[said.str]; ok {
			return of
		}
		c.fail(said, codeValue, r.source+".type", "%q is no type of security scheme in A2A %s: write %s", short(said.str), c.version,
			r.typeFor(n))
	}
	return nil
}

// word holds a text to the words that its field admits.
func (c *checker) word(n *node, s *schema, f *property) {
	for _, w := range s.words {
		if n.str == w {
			return
		}
	}
	c.fail(n, codeValue, f.source, "%q is none of what %s admits: write %s", short(n.str), f.name, oneOf(s.words))
}
