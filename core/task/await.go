package task

import (
	"context"
	"time"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/session"
)

// pollEvery is how often a run is looked at while its outcome is awaited and nothing is heard of its session.
const pollEvery = 2 * time.Second

// await waits for at most so long until the run has ended or waits for a person, and returns it as it is then. It follows the session's
// log, so it does not matter which process runs the turn.
func (s *Service) await(ctx context.Context, sc account.Scope, run Run, wait time.Duration) (Run, error) {
	if wait <= 0 {
		return run, nil
	}
	limited, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	news := make(chan struct{}, 1)
	if st, err := s.d.Sessions.Stream(limited, sc, run.Session, session.StreamOptions{Replay: true}); err == nil {
		followed := make(chan struct{})
		go func() {
			defer close(followed)
			follow(limited, st, news)
		}()
		defer func() {
			cancel()
			<-followed
		}()
	}
	poll := time.NewTicker(pollEvery)
	defer poll.Stop()
	for {
		now, err := s.d.Repository.Get(ctx, sc, run.ID)
		if err != nil || now.Status != Running {
			return now, err
		}
		select {
		case <-limited.Done():
			return now, ctx.Err()
		case <-news:
		case <-poll.C:
		}
	}
}

// follow tells of every change of a session that may be one of its run.
func follow(ctx context.Context, st *session.Stream, news chan<- struct{}) {
	defer st.Close()
	for f, err := range st.Frames(ctx) {
		if err != nil {
			return
		}
		if f.Event == nil {
			continue
		}
		switch f.Event.Type {
		case session.SessionIdle, session.SessionTerminated, session.SessionDeleted:
			select {
			case news <- struct{}{}:
			default:
			}
		}
	}
}
