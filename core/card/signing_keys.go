package card

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// SigningKeys are the keys of whoever signs cards, of which one signs at a time: while a new key takes over, what the old one has signed can still be
// verified. Printing them shows their names only. They are immutable, and so safe for concurrent use.
type SigningKeys struct{ keys []SigningKey }

var errNoKey = errors.New("card: there is no key to sign with")

// NewSigningKeys returns keys that sign one after the other. There must be one at least, and each needs a name of its own.
func NewSigningKeys(keys ...SigningKey) (*SigningKeys, error) {
	if len(keys) == 0 {
		return nil, errNoKey
	}
	named := make(map[string]bool, len(keys))
	for i, k := range keys {
		switch {
		case k.signer == nil:
			return nil, errNoKey
		case named[k.id]:
			return nil, fmt.Errorf("card: keys[%d]: another key is called %q, too: signatures name their key by it", i, k.id)
		}
		named[k.id] = true
	}
	return &SigningKeys{slices.Clone(keys)}, nil
}

// ParseSigningKeys reads a JWK Set (RFC 7517, 5) of private keys, or a single private JWK. Each is read as ParseSigningKey does. The error names the
// key that is at fault, and never holds anything of it but its kid.
func ParseSigningKeys(jwks []byte) (*SigningKeys, error) {
	set, single, err := members(jwks)
	if err != nil {
		return nil, err
	}
	keys := make([]SigningKey, len(set))
	for i, raw := range set {
		if keys[i], err = parseSigning(raw); err != nil {
			if single {
				return nil, fmt.Errorf("card: %w", err)
			}
			return nil, fmt.Errorf("card: keys[%d]: %w", i, err)
		}
	}
	return NewSigningKeys(keys...)
}

// AddSigningKey returns what ParseSigningKeys reads with one key more, the last of a JWK Set. What is there already stays as it is, but for its layout.
func AddSigningKey(jwks []byte, key SigningKey) ([]byte, error) {
	keys, single, err := members(jwks)
	if err != nil {
		return nil, err
	}
	set := map[string]json.RawMessage{} // it may have members of its own
	if !single {
		if err := json.Unmarshal(jwks, &set); err != nil {
			return nil, fmt.Errorf("card: no JWK Set: %w", err)
		}
	}
	added, err := key.Private()
	if err != nil {
		return nil, err
	}
	if set["keys"], err = json.Marshal(append(keys, added)); err != nil {
		return nil, fmt.Errorf("card: no JWK Set: %w", err)
	}
	text, err := json.Marshal(set)
	if err != nil {
		return nil, fmt.Errorf("card: no JWK Set: %w", err)
	}
	_, err = ParseSigningKeys(text)
	return text, err
}

// Len returns how many keys there are, also revoked and expired ones.
func (k SigningKeys) Len() int { return len(k.keys) }

// At returns the key that signs at a time. Of the keys that are valid then, it is the one whose validity began last; a key that does not say when began
// before all others. Of several that began in the same second, the last was added last and signs; of those that do not say when, the first does. The error says of each key why it must not sign.
func (k SigningKeys) At(now time.Time) (SigningKey, error) {
	var chosen *SigningKey
	var reasons []string
	for i := range k.keys {
		key := &k.keys[i]
		if reason := key.public.invalid(now); reason != "" {
			reasons = append(reasons, fmt.Sprintf("the signing key %q %s", key.id, reason))
		} else if chosen == nil || !key.public.from.IsZero() && !key.public.from.Before(chosen.public.from) {
			chosen = key
		}
	}
	switch {
	case len(k.keys) == 0:
		return SigningKey{}, errNoKey
	case chosen == nil:
		return SigningKey{}, errors.New("card: " + strings.Join(reasons, "; "))
	}
	return *chosen, nil
}

// Public returns the public halves as a JWK Set, in their order, which ParseKeys reads. Keys that are not valid yet, or have expired, are among them,
// and say so. Revoked ones are not: JWK knows no revocation, and whoever reads the set could go on trusting them.
func (k SigningKeys) Public() ([]byte, error) {
	return PublicKeys(slices.DeleteFunc(slices.Clone(k.keys), func(key SigningKey) bool { return key.public.revoked })...)
}

// String returns the names of the keys and never the keys.
func (k SigningKeys) String() string {
	names := make([]string, len(k.keys))
	for i, key := range k.keys {
		names[i] = key.String()
	}
	return strings.Join(names, ", ")
}

// GoString is String: keys are not to be seen in a log.
func (k SigningKeys) GoString() string { return k.String() }
