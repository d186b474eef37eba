package card

// checker gathers what is found about one card. Its methods fail, warn and their like take the node that a finding is about; path, line and
// column are worked out from it at the end, so that they cost a card without findings nothing.
type checker struct {
	text     string
	options  Options
	tree     node    // what is in the text
	root     *node   // the card, which is tree; an object once structure and examine are called; none of a text that could not be read
	version  Version // "" of a text that could not be read as a card
	basis    Basis
	suspect  bool // a text of the card is of classSecret
	errors   sink
	warnings sink
	exam     exam   // what examine counted for score
	result   Result // what score, suggest and verifySignatures fill in: Score, Marks, Suggestions, Signatures
}

// fail says that the schema of the card's version does not admit n. code is one of Codes, source the rule's ("" for a habit); the message
// is formatted as fmt.Sprintf does.
func (c *checker) fail(n *node, code, source, format string, args ...any) {
	c.errors.add(note{at: n.start, offset: n.start, code: code, source: source}, format, args)
}

// failMissing says that the object n lacks the member called key: the path is that of the member, the place that of n.
func (c *checker) failMissing(n *node, key, code, source, format string, args ...any) {
	c.errors.add(note{at: n.start, offset: n.start, missing: key, code: code, source: source}, format, args)
}

// warn says that n will hurt, or that the specification's prose asks for something else.
func (c *checker) warn(n *node, code, source, format string, args ...any) {
	c.warnings.add(note{at: n.start, offset: n.start, code: code, source: source}, format, args)
}

// warnKey says that of a member, for its key: it points at the key.
func (c *checker) warnKey(m *member, code, source, format string, args ...any) {
	c.warnings.add(note{at: m.value.start, offset: m.start, code: code, source: source}, format, args)
}

// warnMissing says that the object n had better have a member called key: the path is that of the member, the place that of n.
func (c *checker) warnMissing(n *node, key, code, source, format string, args ...any) {
	c.warnings.add(note{at: n.start, offset: n.start, missing: key, code: code, source: source}, format, args)
}

// place returns the path of n, dotted with indexes, and as a JSON Pointer. It takes time with the depth of n alone.
func (c *checker) place(n *node) (path, pointer string) {
	return c.placeOf(n.start, "")
}
