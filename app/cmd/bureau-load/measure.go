package main

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// sample is what a measurement saw.
type sample struct {
	count int
	span  time.Duration
	times []time.Duration // sorted
}

func (s sample) rate() float64 { return float64(s.count) / s.span.Seconds() }

func (s sample) at(q float64) time.Duration {
	if len(s.times) == 0 {
		return 0
	}
	return s.times[min(len(s.times)-1, int(q*float64(len(s.times))))].Round(time.Microsecond)
}

// String gives the rate and the percentiles.
func (s sample) String() string {
	return fmt.Sprintf("%8.0f/s   p50 %-9s p99 %s", s.rate(), s.at(0.50), s.at(0.99))
}

// hammer calls fn from many goroutines for a while, after a short warm-up. fn gets the caller's number and a number of its own.
func hammer(ctx context.Context, callers int, span time.Duration, fn func(ctx context.Context, caller, n int) error) (sample, error) {
	var next atomic.Int64
	loop := func(until time.Time, keep bool) (sample, error) {
		var mu sync.Mutex
		var wg sync.WaitGroup
		var failure error
		all := sample{}
		began := time.Now()
		for caller := range callers {
			wg.Go(func() {
				var times []time.Duration
				for time.Now().Before(until) && ctx.Err() == nil {
					t := time.Now()
					if err := fn(ctx, caller, int(next.Add(1))); err != nil {
						mu.Lock()
						failure = err
						mu.Unlock()
						return
					}
					times = append(times, time.Since(t))
				}
				mu.Lock()
				all.times = append(all.times, times...)
				mu.Unlock()
			})
		}
		wg.Wait()
		all.span = time.Since(began)
		all.count = len(all.times)
		if keep {
			slices.Sort(all.times)
		}
		return all, failure
	}
	if _, err := loop(time.Now().Add(span/10), false); err != nil {
		return sample{}, err
	}
	return loop(time.Now().Add(span), true)
}
