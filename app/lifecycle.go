package app

import (
	"context"
	"errors"
	"sync"
	"time"

	"go.uber.org/dig"
	"go.uber.org/fx"
)

const (
	// startTimeout bounds Start; stopGrace is what fx gets on top of the drain.
	startTimeout = 60 * time.Second
	stopGrace    = 5 * time.Second
)

// background runs fn from Start to Stop; fn ends when its context does.
func background(lc fx.Lifecycle, fn func(ctx context.Context)) {
	var cancel context.CancelFunc
	var running sync.WaitGroup
	lc.Append(fx.Hook{
		OnStart: func(ctx context.Context) error {
			ctx, cancel = context.WithCancel(context.WithoutCancel(ctx))
			running.Go(func() { fn(ctx) })
			return nil
		},
		OnStop: func(ctx context.Context) error {
			cancel()
			done := make(chan struct{})
			go func() { running.Wait(); close(done) }()
			select {
			case <-done:
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		},
	})
}

// rootCause strips what fx and dig wrap around the error of a constructor: callers want to read what went wrong, not where it was
// wired.
func rootCause(err error) error {
	if err == nil {
		return nil
	}
	if cause := dig.RootCause(err); cause != nil {
		return cause
	}
	return errors.Unwrap(err)
}
