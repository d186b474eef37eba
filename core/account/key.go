package account

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strconv"
	"time"

	"github.com/bureau-agents/bureau/ports/fault"
	"github.com/bureau-agents/bureau/ports/id"
)

// Key is what is kept of an API key. The secret itself is not: only its Hash is stored.
type Key struct {
	ID          id.APIKey
	Tenant      id.Tenant
	Name        string // 1 to 100 characters; need not be unique
	Prefix      string // its first 8 characters, so that people can tell keys apart
	Permissions []Permission
	Bootstrap   bool       // given by the operator's configuration; replaced when the configuration changes
	CreatedBy   id.APIKey  // the key that made this one; zero for those made by the server or the command line
	ExpiresAt   *time.Time // nil never expires
	RevokedAt   *time.Time
	LastUsedAt  *time.Time // accurate to a minute; nil was never used
	CreatedAt   time.Time
}

// Usable reports whether the key opens anything at the given time.
func (k Key) Usable(now time.Time) bool {
	return k.RevokedAt == nil && (k.ExpiresAt == nil || now.Before(*k.ExpiresAt))
}

// Hash is the SHA-256 of a secret. The secrets that the server makes hold 256 random bits, so that a hash without salt and
// stretching gives nothing away.
type Hash [sha256.Size]byte

// HashSecret returns the hash under which secret is stored.
func HashSecret(secret string) Hash { return sha256.Sum256([]byte(secret)) }

// secretPrefix starts every secret that the server makes, so that scanners of leaked credentials recognise it.
const secretPrefix = "bur_"

// prefixLength is how many characters of a secret are kept readable.
const prefixLength = 8

// NewSecret makes the secret of an API key: "bur_" and 256 random bits in hexadecimal.
func NewSecret() string {
	var b [32]byte
	_, _ = rand.Read(b[:]) // crypto/rand.Read never fails since Go 1.24
	return secretPrefix + hex.EncodeToString(b[:])
}

// secretHint returns what may be shown of a secret. An operator's own secret may be short, so at most a quarter is shown.
func secretHint(secret string) string {
	return secret[:min(prefixLength, len(secret)/4)]
}

// parsePermissions checks that each is one that a key may be given and drops repetitions.
func parsePermissions(perms []Permission) ([]Permission, error) {
	all := AllPermissions()
	out := make([]Permission, 0, len(perms))
	for i, p := range perms {
		if !slices.Contains(all, p) {
			return nil, fault.Invalidf("scopes["+strconv.Itoa(i)+"]", "is not a scope of this server")
		}
		if !slices.Contains(out, p) {
			out = append(out, p)
		}
	}
	return out, nil
}
