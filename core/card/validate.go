package card

import "strings"

// Validate judges a card. It never fails: what is no JSON is an invalid card with an error that says so.
//
// Its steps are: the text is read, the version chosen, the structure held to that version's schema (errors), the rest looked at
// (warnings), the signatures verified, and the card scored. A text that cannot be read, or that is no object, is only told to be so.
func Validate(text []byte, o Options) Result {
	from := spare.Get().(*blocks)
	defer from.release(len(text)) // the result holds no node
	c, ok := readInto(text, o, from)
	c.result.Version, c.result.Basis = V030, BasisDefault
	if asked, known := ParseVersion(string(o.Version)); known {
		c.result.Version, c.result.Basis = asked, BasisOption
	}
	if ok {
		c.chooseVersion()
		c.result.Version, c.result.Basis = c.version, c.basis
		c.structure()
		c.examine()
		c.verifySignatures()
		c.result.Name, c.result.URL = strings.Clone(c.name()), strings.Clone(c.primaryURL())
	}
	c.result.Valid = !c.errors.any()
	c.score()
	c.result.Errors, c.result.Warnings = c.findings()
	return c.result
}

// parse reads a card's text; its findings are the errors. It answers false when there is no tree to look at.
func parse(text []byte) (*node, []Finding, bool) {
	c, ok := read(text, Options{})
	errors, _ := c.findings()
	return c.root, errors, ok
}

// name returns the card's name, "" when it does not say it.
func (c *checker) name() string { return c.root.get("name").str }

// primaryURL returns where the card's agent is reached first: by its version's field, else by the other's.
func (c *checker) primaryURL() string {
	old, url := c.root.get("url").str, ""
	if first := c.root.get("supportedInterfaces").items; len(first) > 0 {
		url = first[0].get("url").str
	}
	if (c.version == V10 && url != "") || old == "" {
		return url
	}
	return old
}
