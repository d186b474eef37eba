package audit

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"time"

	"github.com/bureau-agents/bureau/ports/id"
)

// Entry is one thing that was done.
type Entry struct {
	ID        id.AuditEntry
	Tenant    id.Tenant
	Action    string          // what, in snake_case, past tense: "agent_frozen", "transaction_completed"
	Agent     id.Agent        // to whom, or by whom; zero when no agent is concerned
	Key       id.APIKey       // who: the caller's key; zero is the server itself
	Metadata  json.RawMessage // a JSON object in canonical form; ids in it are UUIDs
	CreatedAt time.Time

	Seq      int64  // place in the tenant's chain, from 1 without a gap; 0 until sealed
	PrevHash string // the Hash of the entry before, in hex; of the first one: Genesis
	Hash     string // SHA-256 of Entry.Canonical, in hex; "" until sealed
}

// Genesis is the previous hash of the first entry of a chain: 32 zero bytes in hex.
const Genesis = "0000000000000000000000000000000000000000000000000000000000000000"

// Actor names who did it: the key's id, or "system".
func (e Entry) Actor() string {
	if e.Key.IsZero() {
		return systemActor
	}
	return e.Key.String()
}

const systemActor = "system"

// timeLayout writes the microseconds that stores keep, always six digits.
const timeLayout = "2006-01-02T15:04:05.000000Z"

// Canonical returns the bytes that Hash covers: the stored form of the entry, with UUIDs and without Hash, as canonical
// JSON.
func (e Entry) Canonical() []byte { return e.encode(false) }

// encode writes the members in their canonical order; only Metadata comes from outside, and it is canonical since
// Record.
func (e Entry) encode(withHash bool) []byte {
	b := make([]byte, 0, 512+len(e.Metadata))
	b = appendMember(b, '{', "action", e.Action)
	actor := systemActor
	if !e.Key.IsZero() {
		actor = e.Key.UUID().String()
	}
	b = appendMember(b, ',', "actor", actor)
	if e.Agent.IsZero() {
		b = append(b, `,"agent_id":null`...)
	} else {
		b = appendMember(b, ',', "agent_id", e.Agent.UUID().String())
	}
	b = appendMember(b, ',', "created_at", e.CreatedAt.UTC().Format(timeLayout))
	if withHash {
		b = appendMember(b, ',', "hash", e.Hash)
	}
	b = appendMember(b, ',', "id", e.ID.UUID().String())
	b = append(b, `,"metadata":`...)
	b = append(b, e.Metadata...)
	b = appendMember(b, ',', "prev_hash", e.PrevHash)
	b = append(b, `,"seq":`...)
	b, _ = appendNumber(b, json.Number(formatInt(e.Seq)))
	b = appendMember(b, ',', "tenant_id", e.Tenant.UUID().String())
	return append(b, '}')
}

func appendMember(b []byte, before byte, name, value string) []byte {
	b = append(b, before)
	b = appendString(b, name)
	b = append(b, ':')
	return appendString(b, value)
}

// sum returns the hash that the entry should have.
func (e Entry) sum() string {
	h := sha256.Sum256(e.Canonical())
	return hex.EncodeToString(h[:])
}

// follow returns the entry sealed as the next one after c, and the chain with it.
func (e Entry) follow(c Chain) (Entry, Chain) {
	e.Seq, e.PrevHash = c.Count+1, c.Head
	e.Hash = e.sum()
	return e, Chain{Count: e.Seq, Head: e.Hash}
}

// fault returns what is wrong with e as the next entry after c, and "" when nothing is.
func (e Entry) fault(c Chain) string {
	switch {
	case e.Seq != c.Count+1:
		return "its number is " + formatInt(e.Seq) + " and " + formatInt(c.Count+1) + " comes next: entries were removed or reordered"
	case e.PrevHash != c.Head:
		return "its previous hash is not the hash of the entry before"
	case e.Hash != e.sum():
		return "its hash does not match its content"
	}
	return ""
}

// Chain is how far a tenant's trail is sealed.
type Chain struct {
	Count int64  // sealed entries
	Head  string // the hash of the last one; Genesis while there is none
}

// Report is what a verification found.
type Report struct {
	Tenant id.Tenant
	Valid  bool
	Count  int64  // entries that the chain says it has
	Head   string // its last hash
	After  int64  // what was verified begins behind this entry
	First  *Broken
}

// Broken is the first entry that does not fit, counted from the start of the trail.
type Broken struct {
	Index  int64         // its place, from 1; Count+1 and beyond when entries are missing at the end
	ID     id.AuditEntry // zero when no entry is there, or its id cannot be read
	Reason string        // one sentence without a capital
}

// String names the entry and the reason.
func (b Broken) String() string {
	if b.ID.IsZero() {
		return fmt.Sprintf("entry %d: %s", b.Index, b.Reason)
	}
	return fmt.Sprintf("entry %d (%s): %s", b.Index, b.ID, b.Reason)
}
