package bunstore

import (
	"testing"

	"github.com/bureau-agents/bureau/core/gate/gatetest"
)

func gateStore(s *Store) gatetest.Store {
	return gatetest.Store{
		TX: s, Tenants: s.Accounts(), Agents: s.Agents(), Policies: s.Policies(), Counters: s.Counters(), Approvals: s.Approvals(),
		Acts: s.Acts(), Wallets: s.Wallets(), Holds: s.Holds(), Books: s.Wallets(),
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
