package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"time"
)

// sample is what a measurement saw.
type sample struct {
	span  time.Duration
	times []time.Duration // one per call, sorted
	cpu   time.Duration   // of the server; 0 where it has no part
}

func (s sample) rate() float64 { return float64(len(s.times)) / s.span.Seconds() }

func (s sample) at(q float64) time.Duration {
	if len(s.times) == 0 {
		return 0
	}
	return s.times[min(len(s.times)-1, int(q*float64(len(s.times))))].Round(10 * time.Microsecond)
}

// String gives the rate, the percentiles and the server's CPU time per call.
func (s sample) String() string {
	text := fmt.Sprintf("%7.0f/s  p50 %-8s p99 %-8s", s.rate(), s.at(0.50), s.at(0.99))
	if s.cpu > 0 {
		text += fmt.Sprintf("  cpu %s", (s.cpu / time.Duration(max(len(s.times), 1))).Round(time.Microsecond))
	}
	return text
}

// add joins two measurements of the same thing.
func (s *sample) add(more sample) {
	s.span += more.span
	s.cpu += more.cpu
	s.times = append(s.times, more.times...)
	slices.Sort(s.times)
}

// hammer calls fn from many goroutines for span, after a warm-up of a fifth of it.
func (b *bench) hammer(ctx context.Context, callers int, span time.Duration, fn func(context.Context) error) (sample, error) {
	if _, err := loop(ctx, callers, span/5, fn); err != nil {
		return sample{}, err
	}
	before, err := b.cpu()
	if err != nil {
		return sample{}, err
	}
	s, err := loop(ctx, callers, span, fn)
	if err != nil {
		return sample{}, err
	}
	after, err := b.cpu()
	s.cpu = after - before
	return s, err
}

func loop(ctx context.Context, callers int, span time.Duration, fn func(context.Context) error) (sample, error) {
	var wg sync.WaitGroup
	times := make([][]time.Duration, callers)
	errs := make([]error, callers)
	began := time.Now()
	for i := range callers {
		wg.Go(func() {
			for errs[i] == nil && time.Since(began) < span {
				t := time.Now()
				errs[i] = fn(ctx)
				times[i] = append(times[i], time.Since(t))
			}
		})
	}
	wg.Wait()
	s := sample{span: time.Since(began), times: slices.Concat(times...)}
	slices.Sort(s.times)
	return s, errors.Join(errs...)
}

// tick is the unit of the times in /proc/PID/stat; Linux shows them in hundredths of a second everywhere.
const tick = 10 * time.Millisecond

// cpu is the time that the server has computed since it started.
func (b *bench) cpu() (time.Duration, error) {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", b.server.PID()))
	if err != nil {
		return 0, err
	}
	// The program's name, in parentheses, may have spaces in it. utime and stime are the 12th and 13th field behind it.
	fields := strings.Fields(string(raw[strings.LastIndex(string(raw), ")")+1:]))
	var user, system int64
	if _, err := fmt.Sscan(fields[11]+" "+fields[12], &user, &system); err != nil {
		return 0, err
	}
	return time.Duration(user+system) * tick, nil
}
