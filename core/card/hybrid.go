package card

// examineHybrid looks at what a card holds of the form that it was not held to. A card of both forms is read by clients of both, so each
// form must be whole.
func (c *checker) examineHybrid() {
	if c.version == V10 {
		c.examineLeftovers()
	}
	if !c.hybrid() {
		return
	}
	other := V10
	if c.version == V10 {
		declared, ok := ParseVersion(c.root.get("protocolVersion").str)
		if !ok || declared == V10 {
			return // url alone, for older readers: it does not say that this is a card of theirs
		}
		other = declared
	}
	read := checker{text: c.text, root: c.root, version: other}
	read.structure()
	if !read.errors.any() {
		return
	}
	first := read.errors.notes[0]
	path, _ := read.placeOf(first.at, first.missing)
	at := c.root.find("supportedInterfaces")
	if c.version == V10 {
		at = c.root.find("url")
	}
	c.warnKey(at, codeHybrid, "", "Clients of %s read this card too, and not without errors: %s: %s", other, path, first.message)
}

// examineLeftovers warns of fields of 0.3 that 1.0 has no more, where an older client has no use of them either.
func (c *checker) examineLeftovers() {
	capabilities := c.root.get("capabilities")
	if m := c.root.find("supportsAuthenticatedExtendedCard"); m != nil && m.value.truth &&
		capabilities.get("extendedAgentCard").kind == kindAbsent {
		c.warnKey(m, codeOldField, "A2A 1.0, AgentCapabilities", "In 1.0 this is capabilities.extendedAgentCard; write that beside or instead")
	}
	if c.hybrid() {
		return
	}
	for _, key := range [...]string{"preferredTransport", "additionalInterfaces"} {
		if m := c.root.find(key); m != nil {
			c.warnKey(m, codeOldField, "A2A 1.0, AgentInterface", "In 1.0 this is told by supportedInterfaces; take it out")
		}
	}
	if m := capabilities.find("stateTransitionHistory"); m != nil {
		c.warnKey(m, codeOldField, "A2A 1.0, AgentCapabilities", "1.0 has no such capability any more; take it out")
	}
}
