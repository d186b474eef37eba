package webhook

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"strconv"
	"strings"
	"time"

	"github.com/bureau-agents/bureau/core/internal/check"
	"github.com/bureau-agents/bureau/core/secret"
)

// The headers of a delivery.
const (
	HeaderID        = "webhook-id"        // the notice's id, the same each time
	HeaderTimestamp = "webhook-timestamp" // of the attempt, Unix seconds
	HeaderSignature = "webhook-signature" // "v1," and base64; several with spaces in between

	HeaderValta         = "x-valta-signature"
	HeaderValtaPrevious = "x-valta-signature-previous" // only while an old secret is still good
)

// Tolerance is how far the timestamp of a request may be from the receiver's time; see Verify.
const Tolerance = 5 * time.Minute

// secretPrefix begins secrets whose key is in base64 behind it.
const secretPrefix = "whsec_"

// The bounds of a secret, in bytes: of a key in base64 those of the Standard Webhooks specification.
const (
	minKey, maxKey       = 24, 64
	minSecret, maxSecret = 16, 200
)

// newSecret makes a secret of 256 random bits.
func newSecret() secret.Value {
	var b [32]byte
	_, _ = rand.Read(b[:]) // crypto/rand.Read never fails since Go 1.24
	return secret.NewValue(secretPrefix + base64.StdEncoding.EncodeToString(b[:]))
}

// checkSecret adds the faults of a secret that a tenant has chosen.
func checkSecret(f *check.Faults, s string) {
	if rest, ok := strings.CutPrefix(s, secretPrefix); ok {
		if key, err := base64.StdEncoding.DecodeString(rest); err != nil || len(key) < minKey || len(key) > maxKey {
			f.Addf("secret", "what begins with %s goes on with %d to %d bytes in base64", secretPrefix, minKey, maxKey)
		}
		return
	}
	if len(s) < minSecret || len(s) > maxSecret || strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r > '~' }) {
		f.Addf("secret", "must have %d to %d printable ASCII characters without spaces", minSecret, maxSecret)
	}
}

// keyOf returns the key of the signature of Standard Webhooks.
func keyOf(s secret.Value) []byte {
	if rest, ok := strings.CutPrefix(s.Reveal(), secretPrefix); ok {
		if key, err := base64.StdEncoding.DecodeString(rest); err == nil {
			return key
		}
	}
	return []byte(s.Reveal())
}

func mac(key []byte, parts ...string) []byte {
	h := hmac.New(sha256.New, key)
	for _, p := range parts {
		_, _ = h.Write([]byte(p)) // a hash takes everything
	}
	return h.Sum(nil)
}

// Sign returns the signature of Standard Webhooks, "v1," included.
func Sign(s secret.Value, messageID string, at time.Time, body []byte) string {
	sum := mac(keyOf(s), messageID, ".", strconv.FormatInt(at.Unix(), 10), ".", string(body))
	return "v1," + base64.StdEncoding.EncodeToString(sum)
}

// SignValta returns what stands in x-valta-signature.
func SignValta(s secret.Value, body []byte) string {
	return hex.EncodeToString(mac([]byte(s.Reveal()), string(body)))
}

// Verify checks a request as its receiver does: one of the signatures in webhook-signature must be the secret's, and webhook-timestamp
// no further than Tolerance from now. It returns ErrSignature. A receiver that acts on what it verified should do so once per
// webhook-id, since deliveries are made at least once.
func Verify(s secret.Value, header func(string) string, body []byte, now time.Time) error {
	seconds, err := strconv.ParseInt(header(HeaderTimestamp), 10, 64)
	if err != nil {
		return ErrSignature.Withf("%s is not a time in Unix seconds", HeaderTimestamp)
	}
	at := time.Unix(seconds, 0)
	if at.Before(now.Add(-Tolerance)) || at.After(now.Add(Tolerance)) {
		return ErrSignature.Withf("%s is too far from now", HeaderTimestamp)
	}
	want := Sign(s, header(HeaderID), at, body)
	for _, got := range strings.Fields(header(HeaderSignature)) {
		if hmac.Equal([]byte(got), []byte(want)) {
			return nil
		}
	}
	return ErrSignature
}
