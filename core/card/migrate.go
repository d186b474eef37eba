package card

import (
	"errors"
	"fmt"
)

// The errors of Migrate.
var (
	ErrNotObject = errors.New("card: the text is no JSON object; Validate says why")
	ErrTarget    = errors.New("card: cards are migrated to 0.3.0 and to 1.0, and not back")
)

// Migration is what brings a card to a version.
type Migration struct {
	From, To Version
	// Patch is a JSON Patch (RFC 6902) with one operation per step; [] when there is nothing to change.
	Patch []byte
	// Card is the card with the patch applied, indented by two spaces.
	Card  []byte
	Steps []Step // in the order of the patch
	// Manual is what a program cannot decide. When none is blocking, Card is valid.
	Manual []Decision
}

// Step explains one operation of a patch.
type Step struct {
	Operation string // "add", "replace" or "remove"
	Path      string // where, as in Finding.Path
	Pointer   string
	Text      string // what is done and why, a sentence
	Source    string // the rule that asks for it
}

// Decision is something about a migrated card that a person must decide or do.
type Decision struct {
	Path     string // where in the migrated card, as in Finding.Path
	Pointer  string
	Text     string // what, and why a program cannot, a sentence
	Blocking bool   // the card is invalid without it
}

// Migrate works out how to bring a card of 0.2 or 0.3 to a version, 0.3.0 or 1.0. Nothing that the version can say is lost; what it
// cannot say is removed by a step that tells so. Cards with errors are migrated as far as they can be read, and the errors that are left
// stand in Manual. A card that is of that version already is only rid of what remains in it of older ones; after that there is nothing to
// do.
//
// It fails with ErrNotObject and ErrTarget.
func Migrate(text []byte, to Version) (Migration, error) {
	return migrate(text, to, false)
}

// MigrateHybrid works out how to make of a card of 0.2 or 0.3 one of both 0.3.0 and 1.0: what 1.0 needs is put beside what 0.3.0 has, so
// that clients of both can read it. Where 0.3.0 has an OAuth 2.0 scheme with several flows there is one for each afterwards, in both
// forms. Migration.To is V10. It fails with ErrNotObject.
func MigrateHybrid(text []byte) (Migration, error) {
	return migrate(text, V10, true)
}

// migrator changes a card, and writes down how.
type migrator struct {
	root   *value
	patch  []byte
	steps  []Step
	manual []Decision
	hybrid bool // what is old is kept
	more   int  // requirements that splitting schemes has added
}

func migrate(text []byte, to Version, hybrid bool) (Migration, error) {
	target, ok := ParseVersion(string(to))
	if !ok || target != V030 && target != V10 {
		return Migration{}, fmt.Errorf("%w: %q", ErrTarget, to)
	}
	c, ok := read(text, Options{})
	if !ok {
		return Migration{}, ErrNotObject
	}
	c.chooseVersion()
	if c.version == V10 && target != V10 {
		return Migration{}, fmt.Errorf("%w: the card is one of 1.0", ErrTarget)
	}
	m := &migrator{root: valueOf(c.text, c.root), patch: []byte{'['}, hybrid: hybrid}
	if c.version != V10 && (hybrid || target == V030) {
		m.to03(c.version)
	}
	if target == V10 {
		m.to10(c.version)
	}
	m.unsign()
	done := Migration{From: c.version, To: target, Patch: append(m.patch, ']'), Steps: m.steps}
	done.Card = append(m.root.appendTo(nil, ""), '\n')
	versions := []Version{target}
	if hybrid && c.version != V10 {
		versions = append(versions, V030)
	}
	m.leftOver(done.Card, versions)
	done.Manual = m.manual
	return done, nil
}

// unsign takes the signatures from a card that was changed.
func (m *migrator) unsign() {
	signatures := m.root.get("signatures")
	if len(m.steps) == 0 || signatures == nil {
		return
	}
	m.remove("The signatures were made over the card as it was, and are wrong now", "A2A 1.0, 8.4.3", "signatures")
	if len(signatures.items) > 0 {
		m.decide("Sign the card again: only who has the key can", "signatures")
	}
}

// leftOver tells the errors that the migrated card has, each a thing for a person: what is missing cannot be made up.
func (m *migrator) leftOver(card []byte, versions []Version) {
	told := map[string]bool{}
	for _, v := range versions {
		result := Validate(card, Options{Version: v})
		for _, e := range result.Errors {
			if !told[e.Pointer] {
				told[e.Pointer] = true
				m.manual = append(m.manual, Decision{Path: e.Path, Pointer: e.Pointer, Text: e.Message, Blocking: true})
			}
		}
	}
}
