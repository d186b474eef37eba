// Package aesgcm seals with AES-256-GCM under keys derived from the server's root secret.
//
// A sealed value is: the byte 1, the id of its key (8 bytes), a random nonce (12), ciphertext and tag (16). The byte, the id
// and the place are authenticated with it. With random nonces one key is good for 2^32 values (NIST SP 800-38D, 8.3); change
// the root secret long before.
package aesgcm

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	"github.com/bureau-agents/bureau/ports/keeper"
)

// SecretSize is the length of a root secret in bytes.
const SecretSize = 32

const (
	version   = 1
	idSize    = 8
	nonceSize = 12
	headSize  = 1 + idSize
)

// Secret is a root secret. It prints as "[redacted]".
type Secret [SecretSize]byte

// String implements fmt.Stringer.
func (Secret) String() string { return "[redacted]" }

// GoString implements fmt.GoStringer.
func (Secret) GoString() string { return "[redacted]" }

// NewSecret returns a random root secret.
func NewSecret() Secret {
	var s Secret
	_, _ = rand.Read(s[:]) // never fails since Go 1.24
	return s
}

// Hex returns the text that ParseSecret reads, for the file that keeps a generated secret.
func (s Secret) Hex() string { return hex.EncodeToString(s[:]) }

// ParseSecret reads 32 bytes in hex or in base64 (standard or URL alphabet, padded or not); white space around them is ignored.
// Its errors do not repeat the text.
func ParseSecret(text string) (Secret, error) {
	text = strings.TrimSpace(text)
	if b, err := hex.DecodeString(text); err == nil && len(b) == SecretSize {
		return Secret(b), nil
	}
	bare := strings.TrimRight(text, "=")
	for _, enc := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
		if b, err := enc.DecodeString(bare); err == nil && len(b) == SecretSize {
			return Secret(b), nil
		}
	}
	return Secret{}, errors.New("a root secret is 32 bytes, written as 64 hexadecimal digits or in base64")
}

// Config holds the root secrets.
type Config struct {
	// Root is the secret that new values are sealed under; required.
	Root Secret
	// Former are secrets that values may still be sealed under. They only open.
	Former []Secret
}

// Keeper is a keeper.Keeper. It is safe for concurrent use.
type Keeper struct {
	current *key
	keys    map[[idSize]byte]*key
}

var _ keeper.Keeper = (*Keeper)(nil)

type key struct {
	id   [idSize]byte
	aead cipher.AEAD
}

// New makes a keeper.
func New(cfg Config) (*Keeper, error) {
	if cfg.Root == (Secret{}) {
		return nil, errors.New("aesgcm: Config.Root is required")
	}
	k := &Keeper{keys: map[[idSize]byte]*key{}}
	for i, s := range append([]Secret{cfg.Root}, cfg.Former...) {
		if s == (Secret{}) {
			return nil, errors.New("aesgcm: a secret of Config.Former is empty")
		}
		made, err := derive(s)
		if err != nil {
			return nil, fmt.Errorf("aesgcm: %w", err)
		}
		if i == 0 {
			k.current = made
		}
		k.keys[made.id] = made
	}
	return k, nil
}

// derive makes the sealing key and its id. Neither tells anything of the secret, which other uses may derive other keys from.
func derive(s Secret) (*key, error) {
	raw, err := hkdf.Key(sha256.New, s[:], nil, "bureau keeper: AES-256-GCM key, version 1", 32)
	if err != nil {
		return nil, err
	}
	id, err := hkdf.Key(sha256.New, s[:], nil, "bureau keeper: key id, version 1", idSize)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(raw)
	if err != nil {
		return nil, err
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		return nil, err
	}
	return &key{id: [idSize]byte(id), aead: aead}, nil
}

// Seal implements keeper.Keeper.
func (k *Keeper) Seal(_ context.Context, place string, plaintext []byte) ([]byte, error) {
	if place == "" {
		return nil, errors.New("aesgcm: a value is sealed for a place, and none is given")
	}
	out := make([]byte, headSize+nonceSize, headSize+nonceSize+len(plaintext)+k.current.aead.Overhead())
	out[0] = version
	copy(out[1:], k.current.id[:])
	nonce := out[headSize:]
	_, _ = rand.Read(nonce) // never fails since Go 1.24
	return k.current.aead.Seal(out, nonce, plaintext, associated(out[:headSize], place)), nil
}

// Open implements keeper.Keeper.
func (k *Keeper) Open(_ context.Context, place string, sealed []byte) ([]byte, error) {
	if len(sealed) < headSize+nonceSize || sealed[0] != version {
		return nil, keeper.ErrOpen
	}
	key, ok := k.keys[[idSize]byte(sealed[1:headSize])]
	if !ok {
		return nil, keeper.ErrOpen.Wrap(fmt.Errorf("sealed under the key %x, which this server does not have", sealed[1:headSize]))
	}
	nonce, text := sealed[headSize:headSize+nonceSize], sealed[headSize+nonceSize:]
	plain, err := key.aead.Open(nil, nonce, text, associated(sealed[:headSize], place))
	if err != nil {
		return nil, keeper.ErrOpen.Wrap(err)
	}
	return plain, nil
}

func associated(head []byte, place string) []byte {
	return append(append(make([]byte, 0, len(head)+len(place)), head...), place...)
}
