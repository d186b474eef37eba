package bunstore

import (
	"testing"

	"github.com/bureau-agents/bureau/core/payment/paymenttest"
)

func TestPayments(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, s *Store) {
		step := int(*crashStep)
		if !s.postgres() {
			step = 1
		}
		paymenttest.Run(t, paymenttest.Config{Step: step, New: func(*testing.T) paymenttest.Store {
			return paymenttest.Store{Store: gateStore(s), Payments: s.Payments(), Approved: s.Acts()}
		}})
	})
}
