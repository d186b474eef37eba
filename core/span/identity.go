package span

import (
	"crypto/sha256"
	"encoding/binary"

	"github.com/bureau-agents/bureau/ports/id"
)

// derived makes an id of what something is: UUIDv8 (RFC 9562, 5.8) of a SHA-256. Its first 16 bits are zero, which puts it before every id
// that a generator makes from the time: whoever reads events in the order of their ids from some time on does not meet it.
func derived(parts ...[]byte) id.UUID {
	h := sha256.New()
	for _, p := range parts { // with lengths, so that no two lists of parts run together
		var n [8]byte
		binary.BigEndian.PutUint64(n[:], uint64(len(p)))
		h.Write(n[:])
		h.Write(p)
	}
	var u id.UUID
	copy(u[2:], h.Sum(nil))
	u[6] = 0x80 | u[6]&0x0f
	u[8] = 0x80 | u[8]&0x3f
	return u
}

// EventOf returns the id of the event that a tenant's span becomes.
func EventOf(tenant id.Tenant, traceID, spanID string) id.Report {
	t := tenant.UUID()
	return id.Of[id.ReportKind](derived([]byte("span"), t[:], []byte(traceID), []byte(spanID)))
}

// usageOf returns the id of the usage row beside an event.
func usageOf(event id.Report) id.Usage { return id.Of[id.UsageKind](event.UUID()) }
