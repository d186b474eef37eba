package audit

import (
	"context"
	"log/slog"
	"time"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/ports/id"
)

// sealBatch is how many entries one transaction seals: enough to be cheap, few enough not to hold a lock for long.
const sealBatch = 500

// Seal chains every committed entry of the tenant. It costs one indexed read when there is none.
func (s *Service) Seal(ctx context.Context, sc account.Scope) error {
	for {
		pending, err := s.d.Seals.Pending(ctx, sc)
		if err != nil || !pending {
			return err
		}
		var n int
		err = s.d.TX.Do(ctx, func(ctx context.Context) (err error) {
			n, err = s.sealOnce(ctx, sc)
			return err
		})
		if err != nil || n < sealBatch {
			return err
		}
	}
}

// sealOnce chains one batch. What is chained is what is visible under the chain's lock: an entry that commits later,
// even one with a smaller id, is found by the next call, because it still has no number.
func (s *Service) sealOnce(ctx context.Context, sc account.Scope) (int, error) {
	c, err := s.d.Seals.LockChain(ctx, sc)
	if err != nil {
		return 0, err
	}
	es, err := s.d.Seals.Unsealed(ctx, sc, sealBatch)
	if err != nil || len(es) == 0 {
		return 0, err
	}
	for i := range es {
		es[i], c = es[i].follow(c)
	}
	return len(es), s.d.Seals.Seal(ctx, sc, es, c)
}

// mark remembers that a tenant has something to seal.
func (s *Service) mark(t id.Tenant) {
	s.mu.Lock()
	s.dirty[t] = struct{}{}
	s.mu.Unlock()
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// marked returns the tenants that were marked since the last call.
func (s *Service) marked() []id.Tenant {
	s.mu.Lock()
	defer s.mu.Unlock()
	ts := make([]id.Tenant, 0, len(s.dirty))
	for t := range s.dirty {
		ts = append(ts, t)
	}
	clear(s.dirty)
	return ts
}

// Run seals until ctx ends: entries of this process Config.SealEvery after they were committed, those that other
// processes left behind every Config.SweepEvery. While nothing is recorded, only the second asks the store. Errors are
// logged and what they concern is tried again. Call it once.
func (s *Service) Run(ctx context.Context) {
	sweep := time.NewTicker(s.c.SweepEvery)
	defer sweep.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.wake:
			wait := time.NewTimer(s.c.SealEvery)
			select {
			case <-ctx.Done():
				wait.Stop()
				return
			case <-wait.C:
			}
			s.sealAll(ctx, s.marked())
		case <-sweep.C:
			ts, err := s.d.Seals.PendingTenants(ctx, sealBatch)
			if err != nil {
				s.logFailure(ctx, "audit sweep failed", err)
			}
			s.sealAll(ctx, ts)
		}
	}
}

func (s *Service) sealAll(ctx context.Context, ts []id.Tenant) {
	for _, t := range ts {
		// What fails here is still unsealed in the store, where the next sweep or read finds it.
		if err := s.Seal(ctx, account.System(t)); err != nil {
			s.logFailure(ctx, "audit entries were not sealed", err, slog.String("tenant_id", t.String()))
		}
	}
}

func (s *Service) logFailure(ctx context.Context, msg string, err error, attrs ...slog.Attr) {
	if ctx.Err() != nil {
		return // shutting down, not failing
	}
	s.d.Logger.LogAttrs(ctx, slog.LevelWarn, msg, append(attrs, slog.Any("error", err))...)
}
