package card

// exam is what examine has counted for score.
type exam struct {
	// counted are the warnings that cost points in a criterion of their own; those that are left cost points in "tidy".
	counted int
	// Of what there is one of each: whether it has been found to be bad.
	badProvider, badDocumentation bool
	// How many there are, and the first that is bad.
	endpoints, badEndpoints int
	endpoint                *node
	modes, badModes         int
	mode                    *node
	// How many faults the declared transports and the security have, and the first node that has one.
	badTransports int
	transport     *node
	badSecurity   int
	requirement   *node
	// requires says that a requirement names a scheme, the card's or a skill's.
	requires bool
	// unlisted says that additionalInterfaces leaves out url.
	unlisted bool
}

// examine looks at what the schema of the card's version leaves open, and warns of it. The card may have errors: what is of another kind
// than its field is passed over.
func (c *checker) examine() {
	if c.version == V10 {
		c.examineInterfaces()
	} else {
		c.examineAddresses()
	}
	c.examineHybrid()
	c.examineLinks()
	c.examineModes(c.root.get("defaultInputModes"))
	c.examineModes(c.root.get("defaultOutputModes"))
	c.examineSecurity()
	c.examineSkills()
	c.examineExtensions()
	c.examineTexts()
	c.examineSecrets()
}

// rule is where a rule stands: a field, or a section of the text, which is another in 1.0. Sections of older versions are those of 0.3.0,
// the last of them, since numbers moved before. The zero rule is a habit that no document forbids.
type rule struct {
	old, v10 string
	field    string // of the record that old and v10 are then; "" when they name all
}

// cite returns a rule as the source of a finding.
func (c *checker) cite(r rule) string {
	if r.field != "" {
		r = rule{old: r.old + "." + r.field, v10: r.v10 + "." + r.field}
	}
	switch {
	case r.old == "":
		return ""
	case c.version == V10:
		return "A2A 1.0, " + r.v10
	case isDigit(r.old[0]):
		return "A2A 0.3.0, " + r.old
	default:
		return "A2A " + string(c.version) + ", " + r.old
	}
}

// before says whether the card is held to an earlier version than v.
func (c *checker) before(v Version) bool {
	return c.version != V10 && (v == V10 || c.version < v)
}

// hybrid says whether the card can be read as one of 1.0 and as an older one, which is how an agent is found by clients of both.
func (c *checker) hybrid() bool {
	return c.root.get("supportedInterfaces").kind == kindArray && c.root.get("url").kind == kindString
}
