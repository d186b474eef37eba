package sandbox

import (
	"context"
	"errors"
	"maps"
	"strings"
	"time"

	"github.com/bureau-agents/bureau/core/session"
	"github.com/bureau-agents/bureau/ports/id"
)

// Remove ends a session's sandbox on this machine and deletes its files. A session without one is no error. A sandbox on another
// machine is removed by the sweep there.
func (s *Service) Remove(ctx context.Context, of id.Session) error {
	s.mu.Lock()
	b, ok := s.boxes[of]
	delete(s.boxes, of)
	s.mu.Unlock()
	// First the programs: whoever is using the sandbox holds its lock until they end.
	err := s.d.Runtime.Remove(ctx, sandboxID(of))
	if ok {
		b.mu.Lock()
		b.gone, b.sb = true, nil
		b.mu.Unlock()
	}
	return err
}

// Sweep removes the sandboxes of sessions that are gone or archived, and what interrupted clones left behind. It returns how many.
func (s *Service) Sweep(ctx context.Context) (int, error) {
	names, err := s.d.Runtime.List(ctx)
	if err != nil {
		return 0, err
	}
	var sessions []id.Session
	removed := 0
	var errs []error
	for _, name := range names {
		if strings.HasPrefix(name, clonePrefix) {
			s.mu.Lock()
			busy := s.clones[name]
			s.mu.Unlock()
			if !busy {
				errs = append(errs, s.d.Runtime.Remove(ctx, name))
				removed++
			}
			continue
		}
		if rest, ok := strings.CutPrefix(name, sessionPrefix); ok {
			if u, err := id.ParseUUID(rest); err == nil {
				sessions = append(sessions, id.Of[id.SessionKind](u))
			}
		}
	}
	const batch = 500
	for len(sessions) > 0 {
		part := sessions[:min(batch, len(sessions))]
		sessions = sessions[len(part):]
		live, err := s.d.Repository.Live(ctx, part)
		if err != nil {
			return removed, errors.Join(append(errs, err)...)
		}
		keep := map[id.Session]bool{}
		for _, l := range live {
			keep[l] = true
		}
		for _, of := range part {
			if !keep[of] {
				errs = append(errs, s.Remove(ctx, of))
				removed++
			}
		}
	}
	return removed, errors.Join(errs...)
}

// Run sweeps and closes, at once and then every minute, until ctx ends.
func (s *Service) Run(ctx context.Context) {
	t := time.NewTicker(time.Minute)
	defer t.Stop()
	for {
		if _, err := s.Sweep(ctx); err != nil && ctx.Err() == nil {
			s.d.Logger.WarnContext(ctx, "sandboxes not swept", "error", err)
		}
		if _, err := s.CloseIdle(ctx); err != nil {
			s.d.Logger.WarnContext(ctx, "idle sandboxes not closed", "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
	}
}

// CloseIdle closes the sandboxes that nobody has used for a while; their files stay. It returns how many.
func (s *Service) CloseIdle(context.Context) (int, error) {
	before := s.d.Clock.Now().Add(-s.cfg.Idle)
	return s.closeThose(func(b *box) bool { return b.uses == 0 && b.lastUse.Before(before) })
}

// Stop closes every sandbox, with what runs in it. Uses after it fail.
func (s *Service) Stop(context.Context) error {
	s.mu.Lock()
	s.stopped = true
	s.mu.Unlock()
	_, err := s.closeThose(func(*box) bool { return true })
	return err
}

// closeThose closes boxes; which is called with Service.mu held.
func (s *Service) closeThose(which func(*box) bool) (int, error) {
	s.mu.Lock()
	candidates := maps.Clone(s.boxes)
	maps.DeleteFunc(candidates, func(_ id.Session, b *box) bool { return !which(b) })
	s.mu.Unlock()
	closed := 0
	var errs []error
	for of, b := range candidates {
		b.mu.Lock()
		s.mu.Lock()
		still := which(b)
		s.mu.Unlock()
		if still && b.sb != nil {
			errs = append(errs, b.sb.Close())
			b.sb = nil // whoever waits for the lock opens it again
			closed++
		}
		s.mu.Lock()
		if b.uses == 0 && s.boxes[of] == b {
			b.gone = true
			delete(s.boxes, of)
		}
		s.mu.Unlock()
		b.mu.Unlock()
	}
	return closed, errors.Join(errs...)
}

// Ended removes the sandbox of a session that was archived or deleted. It is called after the commit and does not fail: the sweep
// removes what is left.
func (s *Service) Ended(ctx context.Context, ref session.Ref) {
	if err := s.Remove(context.WithoutCancel(ctx), ref.Session); err != nil {
		s.d.Logger.WarnContext(ctx, "sandbox not removed", "session_id", ref.Session, "error", err)
	}
}
