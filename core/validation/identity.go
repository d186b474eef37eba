package validation

import (
	"crypto/sha256"
	"encoding/hex"
	"math/big"
	"strconv"
	"strings"
	"time"

	"github.com/bureau-agents/bureau/core/card"
	"github.com/bureau-agents/bureau/ports/id"
)

// secretID makes an id that cannot be guessed from others: each UUIDv7 has 62 random bits, and this is made of those of two.
func secretID[K id.Kind](g id.Generator) id.ID[K] {
	a, b := g.NewUUID(), g.NewUUID()
	copy(a[:8], b[8:])
	a[6] = a[6]&0x0f | 0x80 // version 8, RFC 9562: whatever its maker means
	return id.Of[K](a)
}

// base36 is how many digits, from 0 to 9 and a to z, 128 bits have.
const base36 = 25

// spell writes an id as the validation API does: a prefix, Unix milliseconds in 13 digits, and 128 bits of which 120 are random.
func spell(prefix string, at time.Time, u id.UUID) string {
	digits := new(big.Int).SetBytes(u[:]).Text(36)
	ms := strconv.FormatInt(at.UnixMilli(), 10)
	return prefix + "_" + strings.Repeat("0", max(0, 13-len(ms))) + ms + "_" + strings.Repeat("0", base36-len(digits)) + digits
}

// unspell reads the UUID of what spell wrote; the time in it is not looked at.
func unspell(prefix, s string) (id.UUID, bool) {
	rest, ok := strings.CutPrefix(s, prefix+"_")
	ms, digits, cut := strings.Cut(rest, "_")
	if !ok || !cut || len(ms) != 13 || strings.Trim(ms, "0123456789") != "" || len(digits) != base36 ||
		strings.Trim(digits, "0123456789abcdefghijklmnopqrstuvwxyz") != "" {
		return id.UUID{}, false
	}
	n, ok := new(big.Int).SetString(digits, 36)
	if !ok || n.BitLen() > 128 {
		return id.UUID{}, false
	}
	var u id.UUID
	n.FillBytes(u[:])
	return u, !u.IsZero()
}

// SpellReport writes the id of a report as the validation API does: "rpt_1705312200000_" and 25 characters that cannot be guessed.
func SpellReport(report id.CardReport, at time.Time) string { return spell("rpt", at, report.UUID()) }

// SpellBatch writes the id of a batch as the validation API does: "batch_1705312200000_...".
func SpellBatch(batch id.CardBatch, at time.Time) string { return spell("batch", at, batch.UUID()) }

// ParseReport reads any spelling of the id of a report; what is none is id.NotFound[id.CardReportKind].
func ParseReport(s string) (id.CardReport, error) {
	if u, ok := unspell("rpt", s); ok {
		return id.Of[id.CardReportKind](u), nil
	}
	return id.Parse[id.CardReportKind](s)
}

// ParseBatch reads any spelling of the id of a batch; what is none is id.NotFound[id.CardBatchKind].
func ParseBatch(s string) (id.CardBatch, error) {
	if u, ok := unspell("batch", s); ok {
		return id.Of[id.CardBatchKind](u), nil
	}
	return id.Parse[id.CardBatchKind](s)
}

// identity says which card a text is: what has the same primary URL, or without one the same name, is the same card; a text that says neither is
// the same card as every other such text of its tenant.
func identity(r card.Result) string {
	what := "name\n" + r.Name
	if r.URL != "" {
		what = "url\n" + r.URL
	}
	sum := sha256.Sum256([]byte(what))
	return hex.EncodeToString(sum[:])
}
