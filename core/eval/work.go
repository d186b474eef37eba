package eval

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/ports/clock"
	"github.com/bureau-agents/bureau/ports/id"
)

// Run waits for ctx to end, and then ends what goes on beside the jobs. Trials that were worked on are taken up again by whoever does the
// next step of their run.
func (s *Service) Run(ctx context.Context) {
	<-ctx.Done()
	s.mu.Lock()
	if !s.closed {
		s.closed = true
		close(s.quit)
	}
	s.mu.Unlock()
	s.works.Wait()
}

// launch works on a trial that the caller has marked as busy. After the end of Run it does nothing: the mark is believed for a while only.
func (s *Service) launch(ctx context.Context, sc account.Scope, r Run, t Trial) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx)) // the job that found the trial ends before it
	s.works.Go(func() {
		defer cancel()
		s.workOn(ctx, sc, r, t)
	})
	go func() {
		select {
		case <-s.quit:
			cancel()
		case <-ctx.Done():
		}
	}()
}

// workOn prepares or scores a trial, keeps others from doing so meanwhile, and stores what came of it.
func (s *Service) workOn(ctx context.Context, sc account.Scope, r Run, t Trial) {
	working, cancel := context.WithCancel(ctx)
	defer cancel()
	var renewing sync.WaitGroup
	renewing.Go(func() {
		tick := time.NewTicker(s.cfg.Lease / 3)
		defer tick.Stop()
		for {
			select {
			case <-working.Done():
				return
			case <-tick.C:
				mine, err := s.change(working, sc, r.ID, t, func(_ context.Context, _ *Run, t *Trial, now time.Time) error {
					t.BusyUntil = now.Add(s.cfg.Lease)
					return nil
				})
				if err == nil && !mine { // it was cancelled, or deleted
					cancel()
					return
				}
			}
		}
	})
	f := s.long(working, sc, r, t)
	if working.Err() != nil {
		f = finding{} // what was found may be the end of the context, and not of the trial
	}
	cancel()
	renewing.Wait()
	back, done := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer done()
	_, err := s.change(back, sc, r.ID, t, func(ctx context.Context, r *Run, t *Trial, now time.Time) error {
		if f.what == wait {
			t.BusyUntil = time.Time{}
			return nil
		}
		return s.apply(ctx, sc, r, t, f, now)
	})
	if err != nil { // it is worked on again once the mark is not believed any more
		s.d.Logger.WarnContext(back, "what came of a trial was not stored", "eval_run_id", r.ID, "session_id", t.Session, "error", err)
	}
}

// long does what may take long about a trial: it prepares one that nothing was said in yet, and scores one in which everything was.
func (s *Service) long(ctx context.Context, sc account.Scope, r Run, t Trial) finding {
	task := r.Tasks[t.Task]
	if t.Sent == 0 {
		left := task.Timeout
		if t.StartedAt != nil {
			left -= s.d.Clock.Now().Sub(*t.StartedAt)
		}
		if f := s.prepare(ctx, sc, task, t, left); f.what != wait {
			return f
		}
		return finding{what: say, trial: t}
	}
	evidence, err := s.observe(ctx, sc, task, &t)
	if err != nil {
		return s.later(ctx, t, err)
	}
	evidence.Cost = t.Cost
	return s.judge(ctx, sc, r, task, t, evidence)
}

// change changes a trial that is as far as was. false: it, or its run, has ended, gone or moved on.
func (s *Service) change(
	ctx context.Context, sc account.Scope, run id.EvalRun, was Trial, do func(ctx context.Context, r *Run, t *Trial, now time.Time) error,
) (found bool, err error) {
	err = s.d.TX.Do(ctx, func(ctx context.Context) error {
		found = false
		r, err := s.d.Repository.Lock(ctx, sc, run)
		if err != nil || r.Status.Ended() {
			return unlessGone(err)
		}
		trials, err := s.d.Repository.Trials(ctx, sc, run, true)
		if err != nil {
			return err
		}
		i := slices.IndexFunc(trials, func(t Trial) bool {
			return t.Task == was.Task && t.Number == was.Number && t.Status == Running && t.Sent == was.Sent
		})
		if i < 0 {
			return nil
		}
		found = true
		now := clock.Stored(s.d.Clock.Now())
		t := trials[i]
		if err := do(ctx, &r, &t, now); err != nil {
			return err
		}
		r.UpdatedAt = now
		return s.d.Repository.Save(ctx, sc, r, []Trial{t})
	})
	return found, err
}
