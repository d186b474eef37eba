package paymenttest

import (
	"testing"
	"time"

	"github.com/bureau-agents/bureau/ports/money"
	"github.com/bureau-agents/bureau/ports/payment"
)

func TestFake(t *testing.T) {
	t.Parallel()
	Run(t, Config{New: func(*testing.T) World {
		f := New("fake")
		return World{
			Rail: f, Charge: payment.Charge{Amount: money.Of(2*money.MicrosPerUnit, money.USD), Payee: "vendor.example"},
			Decline:    func(c *payment.Charge) { c.Payee = "declined.example" },
			Impossible: func(c *payment.Charge) { c.Amount.Micros++ },
			Moved: func(key string) (int, int64) {
				e, ok := f.Books()[key]
				if !ok || e.Status != payment.Succeeded {
					return 0, 0
				}
				return 1, e.Amount.Micros
			},
			Fail: func(how Fault) {
				f.Hook = func(string, string) Fault {
					f.Hook = nil
					return how
				}
			},
			Refunds: true, Now: time.Now,
		}
	}})
}
