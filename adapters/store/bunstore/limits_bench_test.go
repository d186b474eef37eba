package bunstore

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/bureau-agents/bureau/core/gate"
	"github.com/bureau-agents/bureau/core/gate/gatetest"
	"github.com/bureau-agents/bureau/core/policy"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/money"
	"github.com/bureau-agents/bureau/ports/rule"
)

// BenchmarkPolicies is payments, one after the other, of an agent with 0, 5 and 50 built-in policies: with calendar windows, and with windows
// that roll besides.
func BenchmarkPolicies(b *testing.B) {
	most := gatetest.USDC(1 << 50)
	calendar := policy.Limits{
		MaxPerTransaction: &most, DailyLimit: &most, MonthlyLimit: &most, BlockedCategories: []string{"gambling", "adult"},
		BlockedDomains: []string{"evil.example", "*.bad.example"},
	}
	rolling := calendar
	rolling.Windows = []policy.WindowLimit{{Measure: policy.MeasureAmount, Window: rule.WindowDay, Rolling: true, Max: 1 << 50, Currency: money.USDC}}
	for _, db := range []string{"sqlite", "postgres"} {
		for _, c := range []struct {
			name   string
			limits policy.Limits
		}{{"calendar", calendar}, {"rolling", rolling}} {
			for _, n := range []int{0, 5, 50} {
				b.Run(fmt.Sprintf("%s/%s/policies=%d", db, c.name, n), func(b *testing.B) {
					cfg := Config{Path: sqlitePath(b)}
					if db == "postgres" {
						cfg = Config{URL: postgresURL(b)}
					}
					l := gatetest.NewLab(b, gateStore(openStore(b, cfg)), gatetest.Options{Config: gate.Config{DefaultAllow: n == 0}})
					a := l.Agent(b, 1<<50)
					for range n {
						l.Policy(b, id.Agent{}, c.limits)
					}
					for i := range policy.Buckets { // the counters that roll have all their buckets
						l.Clock.Set(l.Clock.Now().Add(24 * time.Minute))
						if _, err := l.Perform(context.Background(), l.Scope, gatetest.Payment(a, fmt.Sprint(i), 1)); err != nil {
							b.Fatal(err)
						}
					}
					took := make([]time.Duration, 0, 1<<16)
					for b.Loop() {
						began := time.Now()
						if err := payOnce(l, a); err != nil {
							b.Fatal(err)
						}
						took = append(took, time.Since(began))
					}
					slices.Sort(took)
					b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "acts/s")
					b.ReportMetric(float64(took[len(took)*99/100].Microseconds()), "p99-µs")
				})
			}
		}
	}
}
