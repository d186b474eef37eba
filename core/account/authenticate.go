package account

import (
	"context"
	"crypto/subtle"
	"log/slog"
	"maps"
	"sync"
	"time"

	"github.com/bureau-agents/bureau/ports/clock"
	"github.com/bureau-agents/bureau/ports/id"
)

// CacheTTL is how long a process may believe what it learnt about a key.
const CacheTTL = time.Second

// maxCached bounds the cache. Only keys that exist are cached, so strangers cannot fill it.
const maxCached = 16384

// topicRevoked carries the hash of a key that ended.
const topicRevoked = "account.key.revoked"

// Authenticate returns the scope of the key whose secret is given, and ErrUnauthenticated when it opens nothing. It is called for
// every request: mostly it is one hash and one look into a map.
func (s *Service) Authenticate(ctx context.Context, secret string) (Scope, error) {
	if secret == "" {
		return Scope{}, ErrUnauthenticated
	}
	hash := HashSecret(secret)
	now := s.deps.Clock.Now()
	if sc, ok := s.cache.get(hash, now); ok {
		return sc, nil
	}
	seen := s.cache.generation()
	h, ok, err := s.deps.Keys.KeyByHash(ctx, hash)
	if err != nil {
		return Scope{}, err
	}
	if !ok || subtle.ConstantTimeCompare(h.Key.Hash[:], hash[:]) != 1 || !h.Key.Usable(now) {
		return Scope{}, ErrUnauthenticated
	}
	sc := Scope{
		Tenant: h.Tenant.ID, Key: h.Key.ID, Plan: h.Tenant.Plan, Permissions: h.Key.Permissions, Operator: h.Tenant.Operator,
	}
	until := now.Add(CacheTTL)
	if h.Key.ExpiresAt != nil && h.Key.ExpiresAt.Before(until) {
		until = *h.Key.ExpiresAt
	}
	s.cache.put(hash, cached{scope: sc, until: until}, seen, now)
	s.used.note(h.Key.ID, clock.Stored(now))
	return sc, nil
}

// drop forgets keys here and in the other processes.
func (s *Service) drop(ctx context.Context, keys ...StoredKey) {
	for _, k := range keys {
		s.cache.drop(k.Hash)
		if err := s.deps.Bus.Publish(context.WithoutCancel(ctx), topicRevoked, k.Hash[:]); err != nil {
			s.deps.Logger.WarnContext(ctx, "a revocation was not published; other processes notice it when their cache expires",
				slog.String("api_key_id", k.ID.String()), slog.Any("error", err))
		}
	}
}

// Run listens for revocations and stores when keys were last used, until ctx ends. It returns nil then, and an error when it
// cannot listen.
func (s *Service) Run(ctx context.Context) error {
	stop, err := s.deps.Bus.Subscribe(ctx, topicRevoked, func(payload []byte) {
		if len(payload) == len(Hash{}) {
			s.cache.drop(Hash(payload))
		}
	})
	if err != nil {
		return err
	}
	defer stop()
	tick := time.NewTicker(s.cfg.FlushEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			s.Flush(ctx)
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
			defer cancel()
			s.Flush(last)
			return nil
		}
	}
}

// Flush stores the last use of the keys that were used since it was last called. Run calls it; a failure is logged and the
// uses are kept for the next time.
func (s *Service) Flush(ctx context.Context) {
	used := s.used.take()
	if len(used) == 0 {
		return
	}
	if err := s.deps.Keys.TouchKeys(ctx, used); err != nil {
		s.used.giveBack(used)
		s.deps.Logger.WarnContext(ctx, "the last use of API keys was not stored", slog.Any("error", err))
	}
}

// cached is what is remembered of a usable key.
type cached struct {
	scope Scope
	until time.Time
}

// cache remembers usable keys by hash. The lock is never held while waiting for anything.
type cache struct {
	mu      sync.RWMutex
	entries map[Hash]cached
	gen     uint64 // counts drops, so that a look-up that began before a drop does not bring the key back
}

func newCache() *cache { return &cache{entries: make(map[Hash]cached)} }

func (c *cache) get(h Hash, now time.Time) (Scope, bool) {
	c.mu.RLock()
	e, ok := c.entries[h]
	c.mu.RUnlock()
	if !ok || !now.Before(e.until) {
		return Scope{}, false
	}
	return e.scope, true
}

func (c *cache) generation() uint64 {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.gen
}

func (c *cache) put(h Hash, e cached, seen uint64, now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.gen != seen {
		return
	}
	if len(c.entries) >= maxCached {
		maps.DeleteFunc(c.entries, func(_ Hash, e cached) bool { return !now.Before(e.until) })
		if len(c.entries) >= maxCached {
			clear(c.entries)
		}
	}
	c.entries[h] = e
}

func (c *cache) drop(h Hash) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.entries, h)
	c.gen++
}

// useLog collects when keys were used until the next flush.
type useLog struct {
	mu   sync.Mutex
	last map[id.APIKey]time.Time
}

func newUseLog() *useLog { return &useLog{last: make(map[id.APIKey]time.Time)} }

func (u *useLog) note(k id.APIKey, at time.Time) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if at.After(u.last[k]) {
		u.last[k] = at
	}
}

func (u *useLog) take() map[id.APIKey]time.Time {
	u.mu.Lock()
	defer u.mu.Unlock()
	taken := u.last
	u.last = make(map[id.APIKey]time.Time)
	return taken
}

func (u *useLog) giveBack(taken map[id.APIKey]time.Time) {
	for k, at := range taken {
		u.note(k, at)
	}
}
