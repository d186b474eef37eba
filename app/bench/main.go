// Command bench measures how fast decisions are made: by Bureau's own limits, by Bureau's rules in plugin processes, and by Open Policy
// Agent and Cedar embedded in the same process, all with the same policies over the same payments, in one run. It is a module of its
// own, so that the engines it compares with are no dependencies of Bureau's.
//
// Bureau's decision includes parsing the payee into a host and weighing a counter per limit, as the gate does in its transaction; what the
// transaction itself costs is measured by the benchmarks of adapters/store/bunstore.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"sync"
	"syscall"
	"text/tabwriter"
	"time"

	"github.com/bureau-agents/bureau/ports/money"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	span := flag.Duration("time", 2*time.Second, "how long each figure is measured")
	callers := flag.Int("callers", 8, "concurrent callers")
	flag.Parse()
	if err := run(ctx, *span, *callers); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		stop()
		os.Exit(1) //nolint:gocritic // stop has been called
	}
}

func run(ctx context.Context, span time.Duration, callers int) (err error) {
	rules, stop, err := shippedRules(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stop()) }()
	w := tabwriter.NewWriter(os.Stdout, 2, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "policies\tengine\tdecisions/s\tp50\tp99\t1 caller p50\t1 caller p99\t")
	for _, n := range []int{0, 5, 50} {
		engines, err := all(ctx, n, rules)
		if err != nil {
			return err
		}
		if err := agree(ctx, n, engines); err != nil {
			return err
		}
		for _, e := range engines {
			many, err := measure(ctx, e.decide, callers, span)
			if err != nil {
				return fmt.Errorf("%s: %w", e.name, err)
			}
			one, err := measure(ctx, e.decide, 1, span/4)
			if err != nil {
				return fmt.Errorf("%s: %w", e.name, err)
			}
			fmt.Fprintf(w, "%d\t%s\t%.0f\t%s\t%s\t%s\t%s\t\n", n, e.name, many.rate, many.p50, many.p99, one.p50, one.p99)
		}
	}
	return w.Flush()
}

type named struct {
	name   string
	decide engine
}

func all(ctx context.Context, n int, rules ruleSet) ([]named, error) {
	rego, err := opa(ctx, n)
	if err != nil {
		return nil, err
	}
	cedar, err := cedarEngine(n)
	if err != nil {
		return nil, err
	}
	return []named{{"built-in", builtIn(n)}, {"cedar-go", cedar}, {"opa", rego}, {"plugins", plugins(n, rules)}}, nil
}

const unit = money.MicrosPerUnit

// payments are the cases that are measured, one after the other; every engine must say the same of each.
var payments = []payment{
	{micros: 20 * unit, host: "api.vendor.example", category: "software", spent: 100 * unit},
	{micros: 20*unit + 1, host: "eu.vendor.example", category: "hosting", spent: 0},
	{micros: 80 * unit, host: "api.vendor.example", category: "software", spent: 100 * unit},   // asked about, once there are few policies
	{micros: 100*unit + 1, host: "api.vendor.example", category: "software", spent: 0},         // too much
	{micros: 20 * unit, host: "api.vendor.example", category: "gambling", spent: 0},            // the category
	{micros: 20 * unit, host: "vendor.example.evil.example", category: "software", spent: 0},   // the host
	{micros: 20 * unit, host: "api.vendor.example", category: "software", spent: 990 * unit},   // the day
	{micros: 59_999_999, host: "api.vendor.example", category: "software", spent: 940_000_001}, // just within
}

// agree checks that the comparison is fair.
func agree(ctx context.Context, n int, engines []named) error {
	for i, p := range payments {
		want, err := engines[0].decide(ctx, p)
		if err != nil {
			return err
		}
		for _, e := range engines[1:] {
			if got, err := e.decide(ctx, p); err != nil || got != want {
				return fmt.Errorf("%d policies, payment %d: %s says %q (%w), %s says %q", n, i, e.name, got, err, engines[0].name, want)
			}
		}
	}
	return nil
}

type figures struct {
	rate     float64
	p50, p99 time.Duration
}

// measure lets callers decide for span and sorts what each decision took.
func measure(ctx context.Context, decide engine, callers int, span time.Duration) (figures, error) {
	took := make([][]time.Duration, callers)
	errs := make([]error, callers)
	started := time.Now()
	var wg sync.WaitGroup
	for c := range callers {
		wg.Go(func() {
			for i := c; time.Since(started) < span && ctx.Err() == nil; i++ {
				begun := time.Now()
				if _, errs[c] = decide(ctx, payments[i%len(payments)]); errs[c] != nil {
					return
				}
				took[c] = append(took[c], time.Since(begun))
			}
		})
	}
	wg.Wait()
	elapsed := time.Since(started)
	every := slices.Concat(took...)
	if err := errors.Join(append(errs, ctx.Err())...); err != nil || len(every) == 0 {
		return figures{}, fmt.Errorf("%d decisions: %w", len(every), err)
	}
	slices.Sort(every)
	return figures{
		rate: float64(len(every)) / elapsed.Seconds(), p50: every[len(every)/2], p99: every[len(every)*99/100],
	}, nil
}
