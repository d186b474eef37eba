package card

import "strings"

// ParseVersion reads a version as options and cards spell it: a tag such as "0.2.6" or "v0.3.0", or a shorter form such as "0.3" or "1".
// Of 0.2 only seven tags have a schema: what else begins with 0.2 is 0.2.6. All that begins with 0.3 is 0.3.0, and with 1 is 1.0. It
// answers false when nothing of that is meant.
func ParseVersion(s string) (Version, bool) {
	s = strings.TrimPrefix(strings.TrimPrefix(s, "v"), "V")
	major, rest, _ := strings.Cut(s, ".")
	minor, patch, patched := strings.Cut(rest, ".")
	switch {
	case !numeric(major) || rest != "" && !numeric(minor) || patched && !patchLike(patch) || rest == "" && s != major:
		return "", false
	case major == "1":
		return V10, true
	case major != "0":
		return "", false
	case minor == "3":
		return V030, true
	case minor != "2":
		return "", false
	case patched && len(patch) == 1 && patch[0] <= '6':
		return Version("0.2." + patch), true
	default:
		return V026, true
	}
}

// numeric says whether s is a number without leading zeros.
func numeric(s string) bool {
	if s == "" || len(s) > 4 || s[0] == '0' && len(s) > 1 {
		return false
	}
	for i := range len(s) {
		if !isDigit(s[i]) {
			return false
		}
	}
	return true
}

// patchLike says whether s is a patch of a version, with what may follow it: "0", "12", "0-rc.1".
func patchLike(s string) bool {
	number, _, _ := strings.Cut(s, "-")
	return numeric(number)
}

// exact says whether a version is declared in a way that names it alone: as its tag, or as major and minor where that is a version's name.
func (v Version) exact(declared string) bool {
	declared = strings.TrimPrefix(strings.TrimPrefix(declared, "v"), "V")
	switch v {
	case V10:
		return declared == "1.0" || declared == "1.0.0" || declared == "1.0.1"
	case V030:
		return declared == "0.3" || declared == "0.3.0"
	default:
		return declared == string(v)
	}
}

// declares says whether cards of the version have a field protocolVersion.
func (v Version) declares() bool { return v == V025 || v == V026 || v == V030 }

// versionExamples are what messages offer.
const versionExamples = "write one of \"0.2.5\", \"0.2.6\" and \"0.3.0\", or, with supportedInterfaces, \"1.0\""

// chooseVersion says what the card is held to: what Options.Version names; else what the card declares by protocolVersion; else 1.0 when
// it has supportedInterfaces; else 0.3.0. So a card of both forms is held to what its protocolVersion says, and to 1.0 when it does not
// say it: the readers of each form take the fields of theirs and pass over the others.
//
// A protocolVersion that is empty, null or no text declares nothing, and is an error whatever the card is held to. One that is not known
// declares nothing either; it is an error, and a warning where Options.Version has settled the matter.
func (c *checker) chooseVersion() {
	said := c.root.get("protocolVersion")
	declared, known := c.declared(said)
	if c.options.Version != "" {
		asked, ok := ParseVersion(string(c.options.Version))
		if ok {
			c.version, c.basis = asked, BasisOption
			if option := string(c.options.Version); strings.Count(option, ".") > 1 && !asked.exact(option) {
				c.warnMissing(c.root, "protocolVersion", codeVersionHeld, "",
					"A2A has no version %q with a schema of its own: the card was held to %s; ask for that", short(option), asked)
			}
			if said.str != "" && (!known || declared != asked) && (asked != V10 || !c.hybrid()) { // of both forms, the other one declares it
				c.warn(said, codeVersionDiffers, "", "the card declares %q, and was held to %s as it was asked for", short(said.str), asked)
			}
			return
		}
		c.fail(c.root, codeVersionUnknown, "",
			"%q, to which the card was to be held, is no version of A2A that is known here: ask for one of 0.2.0 "+
				"to 0.2.6, 0.3.0 and 1.0", short(string(c.options.Version)))
	}
	switch {
	case known:
		c.version, c.basis = declared, BasisDeclared
		if !declared.exact(said.str) {
			c.warn(said, codeVersionHeld, "", "A2A has no version %q with a schema of its own: the card was held to %s; declare that",
				short(said.str), declared)
		}
		return
	case said.str != "":
		c.fail(said, codeVersionUnknown, "", "%q is no version of A2A that is known here: %s", short(said.str), versionExamples)
	}
	interfaces := c.root.get("supportedInterfaces")
	if interfaces.kind == kindAbsent {
		c.version, c.basis = V030, BasisDefault
		return
	}
	c.version, c.basis = V10, BasisInterfaces
	if len(interfaces.items) > 0 {
		if v, ok := ParseVersion(interfaces.items[0].get("protocolVersion").str); ok && v == V10 {
			c.basis = BasisDeclared
		}
	}
}

// declared reads protocolVersion, and says what is wrong with one that declares nothing.
func (c *checker) declared(said *node) (Version, bool) {
	switch {
	case said.kind == kindAbsent:
		return "", false
	case said.kind != kindString:
		c.fail(said, codeType, "A2A, AgentCard.protocolVersion", "protocolVersion is a text, not %s: %s", said.kind.article(), versionExamples)
		return "", false
	case said.str == "":
		c.fail(said, codeEmpty, "A2A, AgentCard.protocolVersion", "protocolVersion is empty: %s", versionExamples)
		return "", false
	default:
		return ParseVersion(said.str)
	}
}
