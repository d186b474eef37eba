package remote

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/ports/clock"
	"github.com/bureau-agents/bureau/ports/id"
)

// How long a card is believed on use when its server says how long: within these bounds.
const (
	leastAge = time.Minute
	mostAge  = 24 * time.Hour
)

// retryAfter is how long an agent whose card could not be fetched is left alone on use.
const retryAfter = time.Minute

// Refresh fetches and judges a card now. accept takes the card's signature for right from now on, however it was signed before. ErrRefetch
// when the card cannot be fetched, which is noted; the stored card stays.
func (s *Service) Refresh(ctx context.Context, sc account.Scope, remote id.RemoteAgent, accept bool) (Remote, error) {
	r, err := s.d.Remotes.Get(ctx, sc, remote)
	if err != nil {
		return Remote{}, err
	}
	out, trouble, err := s.refetch(ctx, sc, r, accept)
	if err == nil && trouble != nil {
		err = ErrRefetch.Withf("%s", messageOf(trouble)).Wrap(trouble)
	}
	return out, err
}

// ForUse returns the remote agent that an agent stands for, with a card that is as fresh as its server wants; false when the agent stands
// for none. A card that cannot be fetched is believed as it was judged last. ErrUnusable.
func (s *Service) ForUse(ctx context.Context, sc account.Scope, of id.Agent) (Remote, bool, error) {
	r, ok, err := s.d.Remotes.ByAgent(ctx, sc, of)
	if err != nil || !ok {
		return Remote{}, false, err
	}
	r, err = s.Fresh(ctx, sc, r)
	return r, err == nil, err
}

// Fresh returns r with a card that is as fresh as its server wants; see ForUse.
func (s *Service) Fresh(ctx context.Context, sc account.Scope, r Remote) (Remote, error) {
	if !s.now().Before(r.StaleAt) {
		waiting, cancel := context.WithTimeout(ctx, s.c.Patience)
		fresh, _, err := s.refetch(waiting, sc, r, false)
		cancel()
		switch {
		case err == nil:
			r = fresh
		case ctx.Err() != nil:
			return Remote{}, ctx.Err()
		case !errors.Is(err, context.DeadlineExceeded):
			return Remote{}, err
		}
	}
	return r, r.Usable()
}

// refetch fetches the card of r, from where it was and then from where it may have gone. trouble is why it cannot be fetched.
func (s *Service) refetch(ctx context.Context, sc account.Scope, r Remote, accept bool) (out Remote, trouble, err error) {
	got, trouble := s.d.Fetcher.Fetch(ctx, r.Card.URL, r.Card.ETag)
	if trouble != nil && r.URL != r.Card.URL && ctx.Err() == nil {
		got, trouble = s.d.Fetcher.Fetch(ctx, r.URL, "")
	}
	ctx = context.WithoutCancel(ctx) // what was found is kept, however long it took
	now := s.now()
	if trouble != nil {
		if errors.Is(trouble, context.Canceled) {
			return r, trouble, trouble
		}
		out, err = s.d.Remotes.Update(ctx, sc, r.ID, func(r *Remote) error {
			if r.UnreachableSince.IsZero() {
				r.UnreachableSince = now
			}
			r.Trouble, r.StaleAt = cut(messageOf(trouble), MaxDescription), now.Add(retryAfter)
			r.NextCheckAt = s.next(now)
			return nil
		})
		return out, trouble, err
	}
	var c Card
	if !got.NotModified {
		c, _ = s.judged(got, now)
	}
	err = s.d.TX.Do(ctx, func(ctx context.Context) error {
		changed, suspected := false, false
		var was Remote
		out, err = s.d.Remotes.Update(ctx, sc, r.ID, func(stored *Remote) error {
			was = *stored
			switch {
			case got.NotModified && stored.Card.Digest != r.Card.Digest:
				return nil // another process has found another card meanwhile
			case got.NotModified:
				c = stored.Card
				c.ETag, c.MaxAge = got.ETag, got.MaxAge
				c.Verdict = s.verdictAgain(stored.Card, now)
			}
			changed, suspected = s.replace(stored, c, accept, now)
			return nil
		})
		if err != nil || !changed && !suspected && !accept {
			return err
		}
		return s.tell(ctx, sc, was, out, changed)
	})
	return out, nil, err
}

// verdictAgain judges an unchanged card once more: the operator's keys change, and so do the rules of newer servers.
func (s *Service) verdictAgain(c Card, now time.Time) Verdict {
	again, _ := s.judged(Fetched{URL: c.URL, Text: c.Text}, now)
	return again.Verdict
}

// replace puts a judged card in the place of the stored one.
func (s *Service) replace(r *Remote, c Card, accept bool, now time.Time) (changed, suspected bool) {
	changed = r.Card.Digest != c.Digest
	suspicious := r.Suspicion
	if accept {
		r.Pin, r.Suspicion = c.Verdict.Signature, ""
	} else if why := suspicion(r.Pin, c.Verdict.Signature); why != "" {
		r.Suspicion = why
	}
	// Otherwise it stays suspicious until somebody accepts it, unless it is signed as before again.
	if r.Suspicion != "" && r.Pin == c.Verdict.Signature {
		r.Suspicion = ""
	}
	if r.Suspicion == "" {
		r.Pin = c.Verdict.Signature
	}
	r.Card = c
	if changed {
		r.ChangedAt = now
	}
	r.UpdatedAt = now
	s.seen(r, now)
	return changed, r.Suspicion != suspicious
}

// seen says that the card was there.
func (s *Service) seen(r *Remote, now time.Time) {
	r.CheckedAt, r.UnreachableSince, r.Trouble = now, time.Time{}, ""
	age := s.c.Interval
	if r.Card.MaxAge >= 0 {
		age = min(max(r.Card.MaxAge, leastAge), mostAge)
	}
	r.StaleAt, r.NextCheckAt = now.Add(age), s.next(now)
}

// next is when the job fetches a card again.
func (s *Service) next(now time.Time) time.Time {
	return clock.Stored(now.Add(s.c.Interval + rand.N(s.c.Interval/10+1)))
}

// tell notes a change of a card.
func (s *Service) tell(ctx context.Context, sc account.Scope, was, r Remote, changed bool) error {
	if err := s.d.History.Append(ctx, sc, r.ID, r.change(), KeepChanges); err != nil {
		return err
	}
	more := map[string]any{
		"previous_digest": was.Card.Digest, "previous_score": was.Card.Verdict.Score, "previous_valid": was.Card.Verdict.Valid,
	}
	if !changed {
		return s.note(ctx, sc, "remote_agent_signature_judged", r, more)
	}
	if err := s.note(ctx, sc, "remote_agent_card_changed", r, more); err != nil {
		return err
	}
	data := map[string]any{
		"remote_agent_id": r.ID.UUID().String(), "name": r.Name, "digest": r.Card.Digest, "score": r.Card.Verdict.Score,
		"valid": r.Card.Verdict.Valid, "suspicion": r.Suspicion,
	}
	for name, v := range more {
		data[name] = v
	}
	return s.d.Notices.Publish(ctx, sc, NoticeChanged, r.Agent, data)
}

// The bounds of one run of the job.
const (
	claims     = 50
	atOnce     = 8
	keepUnused = 90 * 24 * time.Hour // of a conversation
	pruneLimit = 1000
)

// Recheck fetches the cards that are due, of every tenant, forgets conversations that nobody has gone on with for 90 days, and returns how
// many cards there were. A job calls it; several processes may do so at once.
func (s *Service) Recheck(ctx context.Context) (int, error) {
	now := s.now()
	due, err := s.d.Remotes.Claim(ctx, now, s.next(now), claims)
	if err != nil {
		return 0, err
	}
	var wg sync.WaitGroup
	lanes := make(chan struct{}, atOnce)
	failed := make([]error, len(due))
	for i, r := range due {
		lanes <- struct{}{}
		wg.Go(func() {
			defer func() { <-lanes }()
			_, _, failed[i] = s.refetch(ctx, account.System(r.Tenant), r, false)
		})
	}
	wg.Wait()
	_, err = s.d.Conversations.Prune(ctx, now.Add(-keepUnused), pruneLimit)
	for i, f := range failed {
		if f != nil && ctx.Err() == nil {
			s.d.Logger.WarnContext(ctx, "card of a remote agent not checked", "tenant_id", due[i].Tenant, "remote_agent_id", due[i].ID, "error", f)
		}
	}
	return len(due), err
}
