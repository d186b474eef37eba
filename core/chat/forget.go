package chat

import (
	"context"
	"time"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/internal/check"
	"github.com/bureau-agents/bureau/ports/clock"
	"github.com/bureau-agents/bureau/ports/fault"
	"github.com/bureau-agents/bureau/ports/id"
)

// KeepRequests is for how long the names of messages are known.
const KeepRequests = 7 * 24 * time.Hour

// Forget removes a peer of an agent: their sessions with logs, and what the agent remembers of them. The files of the sessions are out of
// reach at once and are swept like those of other deleted sessions. What the gate decided, the audit trail, the ledger and usage stay. A
// frozen or a stopped agent forgets, too. It returns id.NotFound of the agent, or ErrNoPeer.
func (s *Service) Forget(ctx context.Context, sc account.Scope, of id.Agent, channel Channel, peer string) error {
	if _, err := s.d.Agents.Get(ctx, sc, of); err != nil {
		return err
	}
	var f check.Faults
	f.Given("peer", peer, MaxPeer)
	if f.Err(ErrInvalid) != nil {
		return ErrNoPeer // nobody can have this name
	}
	who := Who{of, channel, KindPeer, peer}
	if _, there, err := s.d.Peers.Find(ctx, sc, who); err != nil {
		return err
	} else if !there {
		return ErrNoPeer
	}
	// Sessions are deleted first, so that what runs in them stops and streams of them end; what was deleted is erased at the end. Whatever
	// comes between leaves the peer there, and Forget can be called again.
	for {
		left, err := s.forget(ctx, sc, who)
		if err != nil || len(left) == 0 {
			return err
		}
		for _, session := range left {
			if err := s.d.Talks.Delete(ctx, sc, session); err != nil && fault.KindOf(err) != fault.NotFound {
				return err
			}
		}
	}
}

// forget removes somebody with everything, unless they have sessions that are not deleted, which it returns then.
func (s *Service) forget(ctx context.Context, sc account.Scope, who Who) (left []id.Session, err error) {
	err = s.d.TX.Do(ctx, func(ctx context.Context) error {
		left = nil
		p, err := s.d.Peers.Lock(ctx, sc, Peer{Who: who, CreatedAt: clock.Stored(s.d.Clock.Now())})
		if err != nil {
			return err
		}
		all, alive, err := s.d.Sessions.Of(ctx, sc, who)
		if err != nil {
			return err
		}
		for _, session := range all {
			if alive[session] {
				left = append(left, session)
			}
		}
		if len(left) > 0 {
			return nil
		}
		for _, session := range all {
			if err := s.d.Talks.Erase(ctx, sc, session); err != nil {
				return err
			}
		}
		if err := s.dropStore(ctx, sc, p.Store); err != nil {
			return err
		}
		return s.d.Peers.Remove(ctx, sc, who)
	})
	return left, err
}

func (s *Service) dropStore(ctx context.Context, sc account.Scope, store id.MemoryStore) error {
	if store.IsZero() {
		return nil
	}
	err := s.d.Memory.DeleteStore(ctx, sc, store)
	if fault.KindOf(err) == fault.NotFound {
		return nil
	}
	return err
}

// ForgetAgent removes everybody whom an agent that is being destroyed has talked to, in the transaction of ctx, with what it remembers of
// them. Its sessions go by themselves.
func (s *Service) ForgetAgent(ctx context.Context, sc account.Scope, of id.Agent) error {
	return s.d.TX.Do(ctx, func(ctx context.Context) error {
		stores, err := s.d.Peers.RemoveAll(ctx, sc, of)
		if err != nil {
			return err
		}
		for _, store := range stores {
			if err := s.dropStore(ctx, sc, store); err != nil {
				return err
			}
		}
		return nil
	})
}

// pruneBatch is how many requests are removed at once.
const pruneBatch = 500

// Prune removes requests that are older than KeepRequests and returns how many. A job calls it now and then.
func (s *Service) Prune(ctx context.Context) (int, error) {
	before := clock.Stored(s.d.Clock.Now()).Add(-KeepRequests)
	for total := 0; ; {
		n, err := s.d.Requests.Prune(ctx, before, pruneBatch)
		if total += n; err != nil || n < pruneBatch {
			return total, err
		}
	}
}
