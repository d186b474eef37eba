// Package id holds the typed identifiers of every entity.
//
// An entity's id is a UUIDv7. Its canonical text is a TypeID: a prefix that names the kind, an underscore, and the 128 bits
// as 26 characters of Crockford base32 (see the TypeID specification, version 0.3). Parse accepts every spelling that a face
// uses: the TypeID, the plain UUID, and the kind's other prefixes with the same suffix.
package id

import (
	"database/sql/driver"
	"encoding/hex"
	"fmt"
	"strings"

	"github.com/bureau-agents/bureau/ports/fault"
)

// UUID is the 16 raw bytes that every typed id shares.
type UUID [16]byte

// String returns the 8-4-4-4-12 lower-case form.
func (u UUID) String() string {
	var b [36]byte
	hex.Encode(b[0:8], u[0:4])
	hex.Encode(b[9:13], u[4:6])
	hex.Encode(b[14:18], u[6:8])
	hex.Encode(b[19:23], u[8:10])
	hex.Encode(b[24:36], u[10:16])
	b[8], b[13], b[18], b[23] = '-', '-', '-', '-'
	return string(b[:])
}

// IsZero reports whether u is unset.
func (u UUID) IsZero() bool { return u == UUID{} }

// ParseUUID reads the 36-character form, in either case.
func ParseUUID(s string) (UUID, error) {
	var u UUID
	if len(s) != 36 || s[8] != '-' || s[13] != '-' || s[18] != '-' || s[23] != '-' {
		return u, fmt.Errorf("id: %d characters are not a UUID", len(s))
	}
	h := s[0:8] + s[9:13] + s[14:18] + s[19:23] + s[24:36]
	if _, err := hex.Decode(u[:], []byte(h)); err != nil {
		return UUID{}, fmt.Errorf("id: not a UUID: %w", err)
	}
	return u, nil
}

// Kind is implemented by the marker type of each kind of id; see kinds.go.
type Kind interface{ spec() kindSpec }

// kindSpec says how a kind is spelled.
type kindSpec struct {
	name    string   // snake_case noun, used in error codes: "agent" -> "agent_not_found"
	prefix  string   // canonical TypeID prefix
	aliases []string // further prefixes that are accepted on input
}

// ID is the id of an entity of kind K. The zero value is "none". IDs are comparable and usable as map keys.
type ID[K Kind] struct{ u UUID }

// Of gives raw bytes a kind, for stores and generators.
func Of[K Kind](u UUID) ID[K] { return ID[K]{u} }

// UUID returns the raw bytes.
func (i ID[K]) UUID() UUID { return i.u }

// IsZero reports whether i is "none".
func (i ID[K]) IsZero() bool { return i.u.IsZero() }

// String returns the canonical TypeID, and "" for none.
func (i ID[K]) String() string {
	if i.u.IsZero() {
		return ""
	}
	var k K
	return k.spec().prefix + "_" + encodeSuffix(i.u)
}

// Spell returns the id under another prefix, as a compatibility face writes it: Spell("ag") is "ag_01h...".
func (i ID[K]) Spell(prefix string) string { return prefix + "_" + encodeSuffix(i.u) }

// MarshalText implements encoding.TextMarshaler with String.
func (i ID[K]) MarshalText() ([]byte, error) { return []byte(i.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler with Parse; empty text is none.
func (i *ID[K]) UnmarshalText(b []byte) error {
	if len(b) == 0 {
		*i = ID[K]{}
		return nil
	}
	p, err := Parse[K](string(b))
	if err != nil {
		return err
	}
	*i = p
	return nil
}

// Value implements driver.Valuer: the UUID text, or NULL for none.
func (i ID[K]) Value() (driver.Value, error) {
	if i.u.IsZero() {
		return nil, nil //nolint:nilnil // NULL is how SQL spells none
	}
	return i.u.String(), nil
}

// Scan implements sql.Scanner for what Value writes.
func (i *ID[K]) Scan(src any) error {
	switch v := src.(type) {
	case nil:
		*i = ID[K]{}
		return nil
	case string:
		u, err := ParseUUID(v)
		if err != nil {
			return err
		}
		*i = ID[K]{u}
		return nil
	case []byte:
		return i.Scan(string(v))
	case [16]byte:
		*i = ID[K]{v}
		return nil
	}
	return fmt.Errorf("id: cannot scan %T", src)
}

// Parse reads any accepted spelling of an id of kind K. What cannot be parsed, another kind's prefix included, is a
// fault.NotFound with the code "<kind>_not_found": an id that names nothing is not told apart from one that is malformed.
func Parse[K Kind](s string) (ID[K], error) {
	var k K
	sp := k.spec()
	if u, err := ParseUUID(s); err == nil && !u.IsZero() {
		return ID[K]{u}, nil
	}
	if i := strings.LastIndexByte(s, '_'); i > 0 && accepts(sp, s[:i]) {
		if u, ok := decodeSuffix(s[i+1:]); ok && !u.IsZero() {
			return ID[K]{u}, nil
		}
	}
	return ID[K]{}, NotFound[K](s)
}

// NotFound returns the error for an id of kind K that names nothing in the caller's scope.
func NotFound[K Kind](spelled string) *fault.Error {
	var k K
	n := k.spec().name
	if len(spelled) > 64 {
		spelled = spelled[:64]
	}
	return fault.New(fault.NotFound, n+"_not_found", strings.ReplaceAll(n, "_", " ")+" not found").
		Withf("no %s %q", strings.ReplaceAll(n, "_", " "), spelled)
}

func accepts(sp kindSpec, prefix string) bool {
	if prefix == sp.prefix {
		return true
	}
	for _, a := range sp.aliases {
		if a == prefix {
			return true
		}
	}
	return false
}
