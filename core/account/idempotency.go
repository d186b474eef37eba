package account

import (
	"context"
	"crypto/sha256"
	"time"

	"github.com/bureau-agents/bureau/ports/clock"
	"github.com/bureau-agents/bureau/ports/id"
)

// How long idempotency records live.
const (
	IdempotencyKept       = 24 * time.Hour   // an answered request
	IdempotencySecretKept = 10 * time.Minute // the answer of a request whose answer holds a secret
	IdempotencyTakeover   = 60 * time.Second // a request that is not answered by then was cut off by a crash
)

// inFlightRetry is when a caller may ask again about a request that is being answered.
const inFlightRetry = time.Second

// IdempotentRequest names a request that a caller may repeat.
type IdempotentRequest struct {
	Route string   // method and path as called, so that one key on two resources is two requests
	Key   string   // the caller's Idempotency-Key, 1 to 255 characters
	Parts [][]byte // what must agree between repetitions: query and body
}

// fingerprint identifies the request within its tenant. The API key is part of it: two keys never see each other's answers.
func (r IdempotentRequest) fingerprint(sc Scope) Hash {
	u := sc.Key.UUID()
	return hashParts(u[:], []byte(r.Route), []byte(r.Key))
}

func hashParts(parts ...[]byte) Hash {
	h := sha256.New()
	var n [8]byte
	for _, p := range parts {
		for i := range n { // the length first, so that no two lists of parts have the same bytes
			n[i] = byte(len(p) >> (8 * i))
		}
		h.Write(n[:])
		h.Write(p)
	}
	return Hash(h.Sum(nil))
}

// Answer is a finished response as it is given again.
type Answer struct {
	Status      int
	ContentType string
	Body        []byte
}

// IdempotencyRecord is what is kept of one request.
type IdempotencyRecord struct {
	Fingerprint Hash
	Request     Hash    // of what must agree between repetitions
	Holder      id.UUID // who is answering; a record that was taken over has another
	Answer      *Answer // nil while in flight, and when it is no longer kept
	Answered    bool
	Sealed      bool // Answer.Body is sealed by the keeper
	CreatedAt   time.Time
	KeepUntil   time.Time // the record itself
	AnswerUntil time.Time // its answer; zero while in flight
}

// IdempotencyRepository keeps the records. Implementations are safe for concurrent use; calls join the transaction in ctx.
type IdempotencyRepository interface {
	// ReserveIdempotency adds rec unless its fingerprint is taken; then it returns the stored record and false, and keeps that
	// record from changing until the transaction in ctx ends.
	ReserveIdempotency(ctx context.Context, sc Scope, rec IdempotencyRecord) (IdempotencyRecord, bool, error)
	// TakeIdempotency puts rec in the place of the record with its fingerprint.
	TakeIdempotency(ctx context.Context, sc Scope, rec IdempotencyRecord) error
	// CompleteIdempotency stores the answer of rec. It reports false, and changes nothing, when the record is gone or held by
	// another than rec.Holder.
	CompleteIdempotency(ctx context.Context, sc Scope, rec IdempotencyRecord) (bool, error)
	// ReleaseIdempotency removes the record of rec while it is in flight and held by rec.Holder.
	ReleaseIdempotency(ctx context.Context, sc Scope, rec IdempotencyRecord) error
	// ExpireIdempotency removes the records, and the answers, of every tenant that are not to be kept at now, and returns how many
	// records it removed.
	ExpireIdempotency(ctx context.Context, now time.Time) (int, error)
}

// Ticket is the right to answer a request, given by BeginIdempotent.
type Ticket struct{ rec IdempotencyRecord }

// BeginIdempotent reserves a request, or finds its answer: exactly one of the ticket and the answer is not nil.
//
// It returns ErrIdempotencyInFlight (with RetryAfter) while another answers the request, ErrIdempotencyReused when the stored
// request differs, ErrIdempotencyGone when the answer is no longer kept. A reservation older than IdempotencyTakeover goes to the
// caller.
func (s *Service) BeginIdempotent(ctx context.Context, sc Scope, req IdempotentRequest) (*Ticket, *Answer, error) {
	now := clock.Stored(s.deps.Clock.Now())
	want := IdempotencyRecord{
		Fingerprint: req.fingerprint(sc), Request: hashParts(req.Parts...), Holder: s.deps.IDs.NewUUID(),
		CreatedAt: now, KeepUntil: now.Add(IdempotencyKept),
	}
	var ticket *Ticket
	var found IdempotencyRecord
	err := s.deps.TX.Do(ctx, func(ctx context.Context) error {
		ticket = nil
		stored, reserved, err := s.deps.Idempotency.ReserveIdempotency(ctx, sc, want)
		if err != nil {
			return err
		}
		if !reserved {
			cutOff := !stored.Answered && !now.Before(stored.CreatedAt.Add(IdempotencyTakeover))
			switch {
			case !now.Before(stored.KeepUntil): // forgotten, and not yet swept
			case stored.Request != want.Request:
				return ErrIdempotencyReused
			case cutOff:
			case !stored.Answered:
				return ErrIdempotencyInFlight.WithRetry(inFlightRetry)
			case stored.Answer == nil || !now.Before(stored.AnswerUntil):
				return ErrIdempotencyGone
			default:
				found = stored
				return nil
			}
			if err := s.deps.Idempotency.TakeIdempotency(ctx, sc, want); err != nil {
				return err
			}
		}
		ticket = &Ticket{rec: want}
		return nil
	})
	if err != nil || ticket != nil {
		return ticket, nil, err
	}
	answer := *found.Answer
	if found.Sealed {
		body, err := s.deps.Keeper.Open(ctx, sealPlace(sc, found.Fingerprint), answer.Body)
		if err != nil {
			return nil, nil, err
		}
		answer.Body = body
	}
	return nil, &answer, nil
}

// EndIdempotent stores the answer that the holder of the ticket gave. With secret the body is sealed and kept for
// IdempotencySecretKept only. A ticket that was taken over meanwhile changes nothing.
func (s *Service) EndIdempotent(ctx context.Context, sc Scope, t *Ticket, a Answer, secret bool) error {
	rec := t.rec
	rec.Answered = true
	rec.AnswerUntil = rec.KeepUntil
	if secret {
		sealed, err := s.deps.Keeper.Seal(ctx, sealPlace(sc, rec.Fingerprint), a.Body)
		if err != nil {
			return err
		}
		a.Body = sealed
		rec.Sealed = true
		rec.AnswerUntil = clock.Stored(s.deps.Clock.Now()).Add(IdempotencySecretKept)
	}
	rec.Answer = &a
	_, err := s.deps.Idempotency.CompleteIdempotency(ctx, sc, rec)
	return err
}

// AbandonIdempotent gives the ticket back because the request failed without an effect: it may be sent again.
func (s *Service) AbandonIdempotent(ctx context.Context, sc Scope, t *Ticket) error {
	return s.deps.Idempotency.ReleaseIdempotency(ctx, sc, t.rec)
}

// ExpireIdempotency forgets what is not to be kept any longer. app calls it every few minutes; a record that is due and not yet
// removed is treated as gone.
func (s *Service) ExpireIdempotency(ctx context.Context) (int, error) {
	return s.deps.Idempotency.ExpireIdempotency(ctx, clock.Stored(s.deps.Clock.Now()))
}

func sealPlace(sc Scope, fp Hash) string {
	const digits = "0123456789abcdef"
	b := make([]byte, 0, 2*len(fp))
	for _, c := range fp {
		b = append(b, digits[c>>4], digits[c&15])
	}
	return sc.Tenant.UUID().String() + "/idempotency/" + string(b) + "/answer"
}
