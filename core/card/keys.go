package card

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// algorithms are the signature algorithms that are accepted. None of them lets who can verify also sign.
var algorithms = []jose.SignatureAlgorithm{jose.ES256, jose.ES384, jose.RS256, jose.PS256, jose.EdDSA}

// The sizes of RSA keys: below it they can be factored, above it verifying takes long.
const (
	minRSA = 2048
	maxRSA = 8192
)

// Keys are public keys that are trusted to sign cards. It is immutable, and so safe for concurrent use.
type Keys struct {
	byID map[string][]trusted // several publishers may have chosen the same name
	size int
}

// trusted is a key of Keys.
type trusted struct {
	public      any
	algorithms  []jose.SignatureAlgorithm // that it may have signed by
	from, until time.Time                 // zero: no such bound
	revoked     bool
}

// Len returns how many keys there are, revoked and expired ones too.
func (k *Keys) Len() int {
	if k == nil {
		return 0
	}
	return k.size
}

// keyWire is what is read of a JWK (RFC 7517) beside the key itself. nbf, exp and revoked are of our own: a JWK has no validity.
type keyWire struct {
	Type      string   `json:"kty"`
	ID        string   `json:"kid"`
	Algorithm string   `json:"alg"`
	Use       string   `json:"use"`
	Uses      []string `json:"key_ops"`
	NotBefore *int64   `json:"nbf"` // seconds since 1970
	Expires   *int64   `json:"exp"` // seconds since 1970; not valid any more then
	Revoked   bool     `json:"revoked"`
}

// ParseKeys reads a JWK Set (RFC 7517, 5), or a single JWK. Every key needs a kid, and must be public, of EC (P-256, P-384), RSA (2048 to 8192 bits)
// or OKP (Ed25519). Its alg, use and key_ops are obeyed. Members that say until when it is valid are nbf and exp (seconds since 1970), and
// revoked (true). The error names the key that is at fault.
func ParseKeys(jwks []byte) (*Keys, error) {
	set, _, err := members(jwks)
	if err != nil {
		return nil, err
	}
	keys := &Keys{byID: map[string][]trusted{}, size: len(set)}
	for i, raw := range set {
		id, key, err := parsePublic(raw)
		if err != nil {
			return nil, fmt.Errorf("card: keys[%d]: %w", i, err)
		}
		for _, other := range keys.byID[id] {
			if other.public.(interface{ Equal(x crypto.PublicKey) bool }).Equal(key.public) {
				return nil, fmt.Errorf("card: keys[%d]: the key %q is there twice: remove one", i, id)
			}
		}
		keys.byID[id] = append(keys.byID[id], key)
	}
	return keys, nil
}

// members returns the keys of a JWK Set, or a JWK that is by itself.
func members(jwks []byte) (keys []json.RawMessage, single bool, err error) {
	var set struct {
		Keys *[]json.RawMessage `json:"keys"`
		Type string             `json:"kty"`
	}
	if err := json.Unmarshal(jwks, &set); err != nil {
		return nil, false, fmt.Errorf("card: no JWK Set: %w", err)
	}
	switch {
	case set.Keys != nil:
		return *set.Keys, false, nil
	case set.Type != "":
		return []json.RawMessage{jwks}, true, nil
	default:
		return nil, false, errors.New(`card: no JWK Set: it has no "keys"`)
	}
}

// parsePublic reads a JWK that verifies.
func parsePublic(raw []byte) (string, trusted, error) {
	wire, key, err := parseKey(raw)
	if err != nil {
		return "", trusted{}, err
	}
	if !key.IsPublic() {
		return "", trusted{}, fmt.Errorf("the key %q is private: keep it where cards are signed, and put its public half here", wire.ID)
	}
	if wire.Use != "" && wire.Use != "sig" || wire.Uses != nil && !slices.Contains(wire.Uses, "verify") {
		return "", trusted{}, fmt.Errorf("the key %q is not for verifying: its use must be \"sig\", its key_ops have \"verify\", or be missing", wire.ID)
	}
	k := trusted{public: key.Key, algorithms: fitting(key.Key), revoked: wire.Revoked}
	if k.from, k.until, err = wire.validity(); err != nil {
		return "", trusted{}, err
	}
	if len(k.algorithms) == 0 {
		return "", trusted{}, fmt.Errorf("the key %q fits no algorithm that is accepted: it must be EC on P-256 or P-384, RSA of %d to %d bits, or Ed25519",
			wire.ID, minRSA, maxRSA)
	}
	if wire.Algorithm != "" {
		if !slices.Contains(k.algorithms, jose.SignatureAlgorithm(wire.Algorithm)) {
			return "", trusted{}, fmt.Errorf("the key %q cannot sign by its alg %q, but by %v", wire.ID, wire.Algorithm, k.algorithms)
		}
		k.algorithms = []jose.SignatureAlgorithm{jose.SignatureAlgorithm(wire.Algorithm)}
	}
	return wire.ID, k, nil
}

// parseKey reads a JWK with a kid. The error never quotes the key: it may be private.
func parseKey(raw []byte) (keyWire, jose.JSONWebKey, error) {
	var wire keyWire
	if err := json.Unmarshal(raw, &wire); err != nil {
		return wire, jose.JSONWebKey{}, fmt.Errorf("no JWK: %w", err)
	}
	switch {
	case wire.Type == "":
		return wire, jose.JSONWebKey{}, errors.New(`no JWK: it has no "kty"`)
	case wire.Type == "oct":
		return wire, jose.JSONWebKey{}, errors.New("a shared secret cannot sign cards: who verifies could sign as well")
	case wire.ID == "":
		return wire, jose.JSONWebKey{}, errors.New(`it has no "kid": signatures name their key by it`)
	}
	var key jose.JSONWebKey
	if err := key.UnmarshalJSON(raw); err != nil {
		return wire, key, fmt.Errorf("the key %q cannot be read: %w", wire.ID, err)
	}
	if !key.Valid() {
		return wire, key, fmt.Errorf("the key %q is not sound", wire.ID)
	}
	return wire, key, nil
}

// validity returns from when a key is valid, and until when.
func (w keyWire) validity() (from, until time.Time, err error) {
	if w.NotBefore != nil {
		from = time.Unix(*w.NotBefore, 0).UTC()
	}
	if w.Expires != nil {
		until = time.Unix(*w.Expires, 0).UTC()
	}
	if w.NotBefore != nil && w.Expires != nil && !from.Before(until) {
		return from, until, fmt.Errorf("the key %q is never valid: its exp is not after its nbf", w.ID)
	}
	return from, until, nil
}

// fitting returns the algorithms that a public key may have signed by.
func fitting(public any) []jose.SignatureAlgorithm {
	switch key := public.(type) {
	case ed25519.PublicKey:
		return []jose.SignatureAlgorithm{jose.EdDSA}
	case *ecdsa.PublicKey:
		switch key.Curve {
		case elliptic.P256():
			return []jose.SignatureAlgorithm{jose.ES256}
		case elliptic.P384():
			return []jose.SignatureAlgorithm{jose.ES384}
		}
	case *rsa.PublicKey:
		if bits := key.N.BitLen(); minRSA <= bits && bits <= maxRSA {
			return []jose.SignatureAlgorithm{jose.RS256, jose.PS256}
		}
	}
	return nil
}

// invalid says why a key must not be used at a time; "" when it may be. The zero time is within every validity.
func (k trusted) invalid(now time.Time) string {
	switch {
	case k.revoked:
		return "is revoked"
	case now.IsZero():
		return ""
	case !k.from.IsZero() && now.Before(k.from):
		return "is valid from " + k.from.Format(time.RFC3339) + " only"
	case !k.until.IsZero() && !now.Before(k.until):
		return "has expired at " + k.until.Format(time.RFC3339)
	default:
		return ""
	}
}
