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
	key, err := s.keys.At(s.clock.Now())
	s.note(ctx, key.ID(), err)
	if err != nil {
		return text, "", nil //nolint:nilerr // the operator was told, and a card without a signature is better than none
	}
	signed, err = card.Sign(text, key)
	return signed, key.ID(), err
}

// note tells the operator once when another key signs, or none any more.
func (s *cardSigner) note(ctx context.Context, now string, err error) {
	s.mu.Lock()
	before := s.current
	s.current = now
	s.mu.Unlock()
	switch {
	case now == before:
	case err != nil:
		s.logger.ErrorContext(ctx, cardsUnsigned, slog.Any("error", err))
	default:
		s.logger.InfoContext(ctx, "another key signs agents' cards now", slog.String("key", now), slog.String("before", before))
	}
}

// signingKeys returns the public halves of the operator's keys as a JWK Set, an empty one without keys.
func signingKeys(cfg Config) ([]byte, error) {
	if cfg.CardSigningKeys == nil {
		return card.PublicKeys()
	}
	return cfg.CardSigningKeys.Public()
}
