package app

import (
	"context"
	"log/slog"
	"sync"

	"github.com/bureau-agents/bureau/core/a2a"
	"github.com/bureau-agents/bureau/core/card"
	"github.com/bureau-agents/bureau/ports/clock"
)

// cardSigner signs the cards of agents with that of the operator's keys whose turn it is, and tells when another one takes over.
type cardSigner struct {
	keys   *card.SigningKeys
	clock  clock.Clock
	logger *slog.Logger

	mu      sync.Mutex
	current string // the name of the key that signed last; "" when none might
}

var _ a2a.CardSigner = (*cardSigner)(nil)

// signerOf returns what signs cards; nil when there are no keys.
func signerOf(b base, cfg Config) a2a.CardSigner {
	if cfg.CardSigningKeys == nil {
		return nil
	}
	s := &cardSigner{keys: cfg.CardSigningKeys, clock: b.Clock, logger: b.Logger}
	key, err := s.keys.At(b.Clock.Now())
	if s.current = key.ID(); err != nil {
		b.Logger.Error(cardsUnsigned, slog.Any("error", err))
	}
	return s
}

const cardsUnsigned = "agents' cards are not signed: no key may sign them now"

// SignCard implements a2a.CardSigner. Whether a key may sign is looked at each time: servers run for longer than keys are valid.
func (s *cardSigner) SignCard(ctx context.Context, text []byte) (signed []byte, by string, err error) {
	key, err := s.turn(ctx)
	if err != nil {
		return text, "", nil //nolint:nilerr // the operator was told, and a card without a signature is better than none
	}
	signed, err = card.Sign(text, key)
	return signed, key.ID(), err
}

// turn returns the key that signs now. It tells the operator once when that is another one, or none any more.
func (s *cardSigner) turn(ctx context.Context) (card.SigningKey, error) {
	s.mu.Lock() // with the time, so that no caller tells of an earlier one
	key, err := s.keys.At(s.clock.Now())
	before := s.current
	s.current = key.ID()
	s.mu.Unlock()
	switch {
	case key.ID() == before:
	case err != nil:
		s.logger.ErrorContext(ctx, cardsUnsigned, slog.Any("error", err))
	default:
		s.logger.InfoContext(ctx, "another key signs agents' cards now", slog.String("key", key.ID()), slog.String("before", before))
	}
	return key, err
}

// signingKeys returns the public halves of the operator's keys as a JWK Set, an empty one without keys.
func signingKeys(cfg Config) ([]byte, error) {
	if cfg.CardSigningKeys == nil {
		return card.PublicKeys()
	}
	return cfg.CardSigningKeys.Public()
}
