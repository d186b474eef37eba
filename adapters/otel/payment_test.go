package otel_test

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/bureau-agents/bureau/adapters/otel"
	"github.com/bureau-agents/bureau/ports/money"
	"github.com/bureau-agents/bureau/ports/payment"
	"github.com/bureau-agents/bureau/ports/payment/paymenttest"
)

func TestRailSuite(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	paymenttest.Run(t, paymenttest.Config{New: func(*testing.T) paymenttest.World {
		f := paymenttest.New("fake")
		return paymenttest.World{
			Rail: otel.WrapRail(f, l.Telemetry), Charge: payment.Charge{Amount: money.Of(2*money.MicrosPerUnit, money.USD), Payee: "vendor.example"},
			Decline:    func(c *payment.Charge) { c.Payee = "declined.example" },
			Impossible: func(c *payment.Charge) { c.Amount.Micros++ },
			Moved: func(key string) (int, int64) {
				e, ok := f.Books()[key]
				if !ok || e.Status != payment.Succeeded {
					return 0, 0
				}
				return 1, e.Amount.Micros
			},
			Fail: func(how paymenttest.Fault) {
				f.Hook = func(string, string) paymenttest.Fault {
					f.Hook = nil
					return how
				}
			},
			Refunds: true, Now: time.Now,
		}
	}})
}

// told is a rail that is told by messages.
type told struct{ payment.Rail }

func (told) Read(func(string) string, []byte) (payment.Message, error) {
	return payment.Message{ID: "secret"}, nil
}

// toldShop pays for requests, too.
type toldShop struct{ paymenttest.Shop }

func (toldShop) Read(func(string) string, []byte) (payment.Message, error) {
	return payment.Message{ID: "secret"}, nil
}

func TestRailKeepsItsAbilities(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	f := paymenttest.New("fake")
	for name, tt := range map[string]struct {
		rail           payment.Rail
		fetches, reads bool
	}{
		"plain": {f, false, false}, "shop": {paymenttest.Shop{Fake: f}, true, false}, "told": {told{f}, false, true},
		"both": {toldShop{paymenttest.Shop{Fake: f}}, true, true},
	} {
		wrapped := otel.WrapRail(tt.rail, l.Telemetry)
		fetcher, fetches := wrapped.(payment.Fetcher)
		reader, reads := wrapped.(payment.Reader)
		if fetches != tt.fetches || reads != tt.reads || wrapped.Name() != "fake" {
			t.Errorf("%s: %s fetches %t and reads %t", name, wrapped.Name(), fetches, reads)
			continue
		}
		if fetches {
			if got, err := fetcher.Fetch(t.Context(), payment.Request{URL: "https://paid.vendor.example/"}); err != nil || got.Quote == nil {
				t.Errorf("%s: %+v, %v", name, got, err)
			}
		}
		if reads {
			if got, err := reader.Read(nil, nil); err != nil || got.ID != "secret" {
				t.Errorf("%s: %+v, %v", name, got, err)
			}
		}
	}
}

func TestRail(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	f := paymenttest.New("fake")
	rail := otel.WrapRail(paymenttest.Shop{Fake: f}, l.Telemetry)
	charge := payment.Charge{Key: "secret", Amount: money.Of(money.MicrosPerUnit, money.USD), Payee: "secret.example"}
	if _, err := rail.Charge(t.Context(), charge); err != nil {
		t.Fatal(err)
	}
	declined := charge
	declined.Key, declined.Payee = "secret 2", "declined.example"
	if _, err := rail.Charge(t.Context(), declined); !errors.Is(err, payment.ErrDeclined) {
		t.Errorf("declined: %v", err)
	}
	if got, err := rail.Lookup(t.Context(), charge); err != nil || got.Status != payment.Succeeded {
		t.Errorf("looked up: %+v, %v", got, err)
	}
	if err := rail.Refund(t.Context(), payment.Refund{Key: "secret 3", Charge: charge, Amount: charge.Amount}); err != nil {
		t.Error(err)
	}
	if _, err := rail.(payment.Fetcher).Fetch(t.Context(), payment.Request{URL: "https://paid.secret.example/"}); err != nil {
		t.Error(err)
	}
	var got []map[string]any
	for _, s := range l.ended(t) {
		a := attributes(s)
		a["name"] = s.Name()
		got = append(got, a)
	}
	want := []map[string]any{
		{"name": "payment charge", "status": "Unset", "bureau.payment.rail": "fake", "bureau.payment.status": "succeeded"},
		{"name": "payment charge", "status": "Error", "bureau.payment.rail": "fake", "error.type": "payment_declined"},
		{"name": "payment lookup", "status": "Unset", "bureau.payment.rail": "fake", "bureau.payment.status": "succeeded"},
		{"name": "payment refund", "status": "Unset", "bureau.payment.rail": "fake"},
		{"name": "payment fetch", "status": "Unset", "bureau.payment.rail": "fake", "bureau.payment.asked": true},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("spans (-want +got):\n%s", diff)
	}
	wantCounts(t, l, "bureau_payment_rail",
		`bureau_payment_rail_calls_total{operation="charge",outcome="ok",rail="fake"} 1`,
		`bureau_payment_rail_calls_total{operation="charge",outcome="payment_required",rail="fake"} 1`,
		`bureau_payment_rail_calls_total{operation="fetch",outcome="ok",rail="fake"} 1`,
		`bureau_payment_rail_calls_total{operation="lookup",outcome="ok",rail="fake"} 1`,
		`bureau_payment_rail_calls_total{operation="refund",outcome="ok",rail="fake"} 1`,
		`bureau_payment_rail_duration_seconds_count{operation="charge",rail="fake"} 2`,
		`bureau_payment_rail_duration_seconds_count{operation="fetch",rail="fake"} 1`,
		`bureau_payment_rail_duration_seconds_count{operation="lookup",rail="fake"} 1`,
		`bureau_payment_rail_duration_seconds_count{operation="refund",rail="fake"} 1`,
	)
}
