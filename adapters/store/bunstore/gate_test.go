package bunstore

import (
	"context"
	"fmt"
	"sync"
	"testing"

	"github.com/bureau-agents/bureau/core/gate"
	"github.com/bureau-agents/bureau/core/gate/gatetest"
	"github.com/bureau-agents/bureau/core/policy"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/rule"
)

func gateStore(s *Store) gatetest.Store {
	return gatetest.Store{
		TX: s, Tenants: s.Accounts(), Agents: s.Agents(), Archive: s.Policies(), Policies: s.Policies(), Counters: s.Counters(), Approvals: s.Approvals(),
		Acts: s.Acts(), Wallets: s.Wallets(), Holds: s.Holds(), Books: s.Wallets(), Doors: s.Doors(),
	}
}

func TestGate(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, s *Store) {
		gatetest.Run(t, gatetest.Config{New: func(*testing.T) gatetest.Store { return gateStore(s) }})
	})
}

// FuzzGate plays random operations on agents with caps; see gatetest.Exercise for what must hold after each.
func FuzzGate(f *testing.F) {
	const deposit, pay, transfer, again, decide, freeze, begin, end, wait = 0, 2, 5, 6, 7, 8, 9, 10, 11
	f.Add([]byte{deposit, 0, 200, pay, 0, 80, pay, 0, 80, pay, 0, 80, again, 0, 1, wait, 0, 144, pay, 0, 80})
	f.Add([]byte{deposit, 0, 255, pay, 0, 100, pay, 0, 120, decide, 0, 1, decide, 0, 1, decide, 0, 5, again, 0, 0})
	f.Add([]byte{deposit, 1, 255, pay, 1, 90, freeze, 1, 0, pay, 1, 1, decide, 0, 1, freeze, 1, 0, pay, 1, 1})
	f.Add([]byte{begin, 2, 255, begin, 2, 200, end, 0, 1, begin, 2, 200, wait, 0, 150, end, 0, 2, begin, 2, 255})
	f.Add([]byte{deposit, 0, 255, transfer, 0, 80, transfer, 1, 81, transfer, 2, 60, freeze, 2, 0, transfer, 0, 10, transfer, 0, 11})
	s := openSQLiteStore(f)
	f.Fuzz(func(t *testing.T, ops []byte) {
		gatetest.Exercise(t, gateStore(s), ops[:min(len(ops), 3*64)])
	})
}

// BenchmarkGate is acts by 32 callers: payments of one agent and of one each, and model calls that nothing limits.
func BenchmarkGate(b *testing.B) {
	for _, db := range []string{"sqlite", "postgres"} {
		for _, c := range []struct {
			name   string
			agents int
			do     func(l *gatetest.Lab, a id.Agent) error
		}{
			{"payments/agents=1", 1, payOnce},
			{"payments/agents=32", 32, payOnce},
			{"model_calls", 32, func(l *gatetest.Lab, a id.Agent) error {
				rec, err := l.Begin(context.Background(), l.Scope, gate.Act{Action: rule.ActionModelCall, Agent: a}, nil)
				if err == nil {
					_, err = l.End(context.Background(), l.Scope, rec, gate.Settlement{State: gate.Done}, nil)
				}
				return err
			}},
		} {
			b.Run(db+"/"+c.name, func(b *testing.B) {
				cfg := Config{Path: sqlitePath(b)}
				if db == "postgres" {
					cfg = Config{URL: postgresURL(b)}
				}
				l := gatetest.NewLab(b, gateStore(openStore(b, cfg)), gatetest.Options{})
				agents := make([]id.Agent, c.agents)
				for i := range agents {
					agents[i] = l.Agent(b, 1<<50)
					most := gatetest.USDC(1 << 50)
					l.Policy(b, agents[i], policy.Limits{MaxPerTransaction: &most, DailyLimit: &most, MonthlyLimit: &most})
				}
				work := make(chan struct{})
				var wg sync.WaitGroup
				for i := range 32 {
					wg.Go(func() {
						for range work {
							if err := c.do(l, agents[i%c.agents]); err != nil {
								b.Error(err)
							}
						}
					})
				}
				b.ResetTimer()
				for b.Loop() {
					work <- struct{}{}
				}
				close(work)
				wg.Wait()
				b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "acts/s")
			})
		}
	}
}

func payOnce(l *gatetest.Lab, a id.Agent) error {
	rec, err := l.Perform(context.Background(), l.Scope, gatetest.Payment(a, "", 1))
	if err == nil && rec.State != gate.Done {
		return fmt.Errorf("the payment is %s: %s", rec.State, rec.Error)
	}
	return err
}
