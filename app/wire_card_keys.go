package app

import (
	"github.com/bureau-agents/bureau/core/a2a"
	"github.com/bureau-agents/bureau/core/card"
)

// cardSigner signs the cards of agents with the operator's key.
type cardSigner struct{ key card.SigningKey }

var _ a2a.CardSigner = cardSigner{}

// signerOf returns what signs cards; nil when there is no key.
func signerOf(cfg Config) a2a.CardSigner {
	if cfg.CardSigningKey == nil {
		return nil
	}
	return cardSigner{*cfg.CardSigningKey}
}

// SignCard implements a2a.CardSigner.
func (s cardSigner) SignCard(text []byte) ([]byte, error) { return card.Sign(text, s.key) }

// KeyID implements a2a.CardSigner.
func (s cardSigner) KeyID() string { return s.key.ID() }

// signingKeys returns the public half of the operator's key as a JWK Set, an empty one without a key.
func signingKeys(cfg Config) ([]byte, error) {
	if cfg.CardSigningKey == nil {
		return card.PublicKeys()
	}
	return card.PublicKeys(*cfg.CardSigningKey)
}
