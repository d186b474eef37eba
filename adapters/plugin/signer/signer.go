// Package signer holds the operator's signing keys, which vouch for the manifests of plugins.
//
// The keys are ed25519. They lie in the database, the private halves sealed by the server's keeper, so that all servers of one
// database sign and verify alike and nobody without the root secret can sign. Older keys go on verifying what they signed.
package signer

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"sync"

	"github.com/bureau-agents/bureau/core/skill"
	"github.com/bureau-agents/bureau/ports/clock"
	"github.com/bureau-agents/bureau/ports/keeper"
)

// Deps are what a signer works with; all are required.
type Deps struct {
	Keys   skill.KeyRepository
	Keeper keeper.Keeper
	Clock  clock.Clock
}

// Signer is a skill.Signer. It is safe for concurrent use.
type Signer struct {
	deps Deps

	mu     sync.Mutex
	public map[string]ed25519.PublicKey // by key id; keys never change
}

var _ skill.Signer = (*Signer)(nil)

// New checks deps and returns a signer. No key is made before the first signature.
func New(deps Deps) (*Signer, error) {
	switch {
	case deps.Keys == nil:
		return nil, errors.New("signer: Deps.Keys is required")
	case deps.Keeper == nil:
		return nil, errors.New("signer: Deps.Keeper is required")
	case deps.Clock == nil:
		return nil, errors.New("signer: Deps.Clock is required")
	}
	return &Signer{deps: deps, public: map[string]ed25519.PublicKey{}}, nil
}

// Generate implements skill.Signer.
func (s *Signer) Generate(ctx context.Context) (skill.SigningKey, error) {
	for {
		keys, err := s.deps.Keys.Keys(ctx)
		if err != nil {
			return skill.SigningKey{}, err
		}
		last := 0
		if len(keys) > 0 {
			last = keys[0].Number
		}
		k, err := s.add(ctx, last+1)
		if !errors.Is(err, skill.ErrExists) { // otherwise another server made one at the same time
			return k, err
		}
	}
}

// Keys returns the operator's keys, the one that signs first.
func (s *Signer) Keys(ctx context.Context) ([]skill.SigningKey, error) { return s.deps.Keys.Keys(ctx) }

func (s *Signer) add(ctx context.Context, number int) (skill.SigningKey, error) {
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return skill.SigningKey{}, err
	}
	sum := sha256.Sum256(public)
	k := skill.SigningKey{
		Number: number, ID: "ed25519:" + hex.EncodeToString(sum[:8]), Public: public, CreatedAt: clock.Stored(s.deps.Clock.Now()),
	}
	if k.Sealed, err = s.deps.Keeper.Seal(ctx, place(k), private.Seed()); err != nil {
		return skill.SigningKey{}, err
	}
	return k, s.deps.Keys.AddKey(ctx, k)
}

func place(k skill.SigningKey) string { return "server/plugin_keys/" + k.ID + "/sealed" }

// Sign implements skill.Signer.
func (s *Signer) Sign(ctx context.Context, message []byte) (skill.Signature, error) {
	keys, err := s.deps.Keys.Keys(ctx)
	if err != nil {
		return skill.Signature{}, err
	}
	if len(keys) == 0 {
		if _, err := s.add(ctx, 1); err != nil && !errors.Is(err, skill.ErrExists) {
			return skill.Signature{}, err
		}
		if keys, err = s.deps.Keys.Keys(ctx); err != nil || len(keys) == 0 {
			return skill.Signature{}, errors.Join(errors.New("signer: there is no key"), err)
		}
	}
	seed, err := s.deps.Keeper.Open(ctx, place(keys[0]), keys[0].Sealed)
	if err != nil {
		return skill.Signature{}, fmt.Errorf("signer: the key %s: %w", keys[0].ID, err)
	}
	if len(seed) != ed25519.SeedSize {
		return skill.Signature{}, fmt.Errorf("signer: the key %s has %d bytes", keys[0].ID, len(seed))
	}
	return skill.Signature{Key: keys[0].ID, Bytes: ed25519.Sign(ed25519.NewKeyFromSeed(seed), message)}, nil
}

// Verify implements skill.Signer. A public key is believed only when its private half opens: a row that somebody put into the
// database without the root secret verifies nothing.
func (s *Signer) Verify(ctx context.Context, message []byte, sig skill.Signature) error {
	public, err := s.publicKey(ctx, sig.Key)
	if err != nil {
		return err
	}
	if !ed25519.Verify(public, message, sig.Bytes) {
		return skill.ErrModified.Withf("the signature does not match")
	}
	return nil
}

func (s *Signer) publicKey(ctx context.Context, keyID string) (ed25519.PublicKey, error) {
	s.mu.Lock()
	public, ok := s.public[keyID]
	s.mu.Unlock()
	if ok {
		return public, nil
	}
	keys, err := s.deps.Keys.Keys(ctx)
	if err != nil {
		return nil, err
	}
	for _, k := range keys {
		if k.ID != keyID {
			continue
		}
		seed, err := s.deps.Keeper.Open(ctx, place(k), k.Sealed)
		if err != nil || len(seed) != ed25519.SeedSize {
			return nil, skill.ErrModified.Withf("the signing key %s is not this server's", keyID).Wrap(err)
		}
		public = ed25519.NewKeyFromSeed(seed).Public().(ed25519.PublicKey) //nolint:forcetypeassert // documented
		s.mu.Lock()
		s.public[keyID] = public
		s.mu.Unlock()
		return public, nil
	}
	return nil, skill.ErrModified.Withf("it was signed with a key that is not the operator's")
}
