package stripe_test

import (
	"errors"
	"testing"
	"time"

	"github.com/bureau-agents/bureau/adapters/payment/stripe"
	"github.com/bureau-agents/bureau/adapters/payment/stripe/stripetest"
	"github.com/bureau-agents/bureau/ports/fault"
	"github.com/bureau-agents/bureau/ports/money"
	"github.com/bureau-agents/bureau/ports/payment"
	"github.com/bureau-agents/bureau/ports/payment/paymenttest"
)

// rail returns a rail to s whose clock is fixed.
func rail(t *testing.T, s *stripetest.Server) *stripe.Rail {
	t.Helper()
	now := time.Unix(1_800_000_000, 0)
	s.Now = func() time.Time { return now }
	r, err := stripe.New(stripe.Config{
		SecretKey: stripetest.Key, WebhookSecret: stripetest.WebhookSecret, Customer: stripetest.Customer, PaymentMethod: stripetest.PaymentMethod,
		BaseURL: s.URL, Accounts: map[string]string{"partner.example": "acct_partner"}, Now: s.Now,
	})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func usd(micros int64) money.Amount { return money.Of(micros, money.USD) }

func charge(s *stripetest.Server, key, payee string) payment.Charge {
	return payment.Charge{
		Key: key, Amount: usd(2 * money.MicrosPerUnit), Payee: payee, Description: "seats", Labels: map[string]string{"bureau_payment": key},
		First: s.Now(), Last: s.Now(),
	}
}

func TestRail(t *testing.T) {
	t.Parallel()
	paymenttest.Run(t, paymenttest.Config{New: func(t *testing.T) paymenttest.World {
		s := stripetest.New(t)
		r := rail(t, s)
		return paymenttest.World{
			Rail: r, Charge: charge(s, "", "vendor.example"), Now: s.Now, Unsure: 2 * time.Minute, Refunds: true,
			Decline:    func(c *payment.Charge) { c.Payee = "declined.example" },
			Impossible: func(c *payment.Charge) { c.Amount.Micros++ },
			Moved: func(key string) (n int, micros int64) {
				for _, i := range s.Intents() {
					if i.Key == key && i.Status == "succeeded" {
						n, micros = n+1, micros+i.Amount*10_000
					}
				}
				return n, micros
			},
			Fail: func(f paymenttest.Fault) {
				s.Fail(map[paymenttest.Fault]stripetest.Fault{paymenttest.Before: stripetest.CutBefore, paymenttest.After: stripetest.CutAfter}[f])
			},
		}
	}})
}

func TestConfig(t *testing.T) {
	t.Parallel()
	good := stripe.Config{SecretKey: "sk", Customer: "cus_1", PaymentMethod: "pm_1"}
	for name, change := range map[string]func(*stripe.Config){
		"no key": func(c *stripe.Config) { c.SecretKey = "" }, "no customer": func(c *stripe.Config) { c.Customer = "bob" },
		"no method":      func(c *stripe.Config) { c.PaymentMethod = "" },
		"no account":     func(c *stripe.Config) { c.Accounts = map[string]string{"a.example": "b"} },
		"tries too long": func(c *stripe.Config) { c.TryFor = 24 * time.Hour },
	} {
		c := good
		change(&c)
		if _, err := stripe.New(c); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	if _, err := stripe.New(good); err != nil {
		t.Error(err)
	}
}

// TestAmounts demands that Stripe is asked for exactly what was decided, or not at all.
func TestAmounts(t *testing.T) {
	t.Parallel()
	s := stripetest.New(t)
	r := rail(t, s)
	for i, c := range []struct {
		amount money.Amount
		minor  int64 // 0: refused
	}{
		{usd(20_000_000), 2000}, {usd(500_000), 50}, {usd(20_005_000), 0}, {usd(1), 0}, {usd(999_999_990_000), 99_999_999}, {usd(1_000_000_000_000), 0},
		{money.Of(700_000_000, "JPY"), 700}, {money.Of(700_500_000, "JPY"), 0},
		{money.Of(5_120_000, "KWD"), 5120}, {money.Of(5_124_000, "KWD"), 0},
		{money.Of(5_000_000, "UGX"), 500}, {money.Of(5_100_000, "UGX"), 0},
		{money.Of(5_000_000, money.USDC), 0}, {money.Of(5_000_000, "US1"), 0}, {usd(0), 0}, {usd(-10_000), 0},
	} {
		ch := charge(s, string(rune('a'+i)), "vendor.example")
		ch.Amount = c.amount
		err := r.Check(ch)
		if (fault.KindOf(err) == fault.Invalid) != (c.minor == 0) || c.minor != 0 && err != nil {
			t.Errorf("%s: %v", c.amount, err)
		}
		got, err := r.Charge(t.Context(), ch)
		if c.minor == 0 {
			if !errors.Is(err, payment.ErrDeclined) {
				t.Errorf("%s: %+v, %v", c.amount, got, err)
			}
			continue
		}
		booked := s.Intents()[len(s.Intents())-1]
		if err != nil || got.Amount != c.amount || booked.Amount != c.minor {
			t.Errorf("%s: %+v, %v, booked %+v", c.amount, got, err, booked)
		}
	}
}

func TestPayees(t *testing.T) {
	t.Parallel()
	s := stripetest.New(t)
	r := rail(t, s)
	for payee, want := range map[string]string{"vendor.example": "", "acct_1": "acct_1", "partner.example": "acct_partner"} {
		c := charge(s, payee, payee)
		got, err := r.Charge(t.Context(), c)
		if err != nil {
			t.Fatal(err)
		}
		i := s.Intents()[len(s.Intents())-1]
		if i.Destination != want || i.Metadata["payee"] != payee || i.Metadata["bureau_payment"] != payee || i.Description != "seats" {
			t.Errorf("%s: %+v", payee, i)
		}
		c.Reference = got.Reference
		if err := r.Refund(t.Context(), payment.Refund{Key: "r" + payee, Charge: c, Amount: c.Amount}); err != nil {
			t.Errorf("%s: refund: %v", payee, err)
		}
	}
}

// TestNames pays an account that has a name under that name only, however it is written, as policies see it.
func TestNames(t *testing.T) {
	t.Parallel()
	s := stripetest.New(t)
	r := rail(t, s)
	if _, err := r.Charge(t.Context(), charge(s, "a", "PARTNER.example")); err != nil || s.Intents()[0].Destination != "acct_partner" {
		t.Errorf("in capitals: %+v, %v", s.Intents(), err)
	}
	if err := r.Check(charge(s, "b", "acct_partner")); fault.KindOf(err) != fault.Invalid {
		t.Errorf("by its id: %v", err)
	}
}

// TestForeign neither believes nor refunds an intent that is another payment's, whoever named it.
func TestForeign(t *testing.T) {
	t.Parallel()
	s := stripetest.New(t)
	r := rail(t, s)
	others, err := r.Charge(t.Context(), charge(s, "others", "vendor.example"))
	if err != nil {
		t.Fatal(err)
	}
	c := charge(s, "mine", "vendor.example")
	c.Reference = others.Reference
	if got, err := r.Lookup(t.Context(), c); err == nil {
		t.Errorf("looked up: %+v", got)
	}
	err = r.Refund(t.Context(), payment.Refund{Key: "r", Charge: c, Amount: c.Amount})
	if !errors.Is(err, payment.ErrDeclined) || s.Intents()[0].Refunded != 0 {
		t.Errorf("refunded: %v, %+v", err, s.Intents()[0])
	}
}

// TestErrors tells what Stripe refused from what it may have done.
func TestErrors(t *testing.T) {
	t.Parallel()
	s := stripetest.New(t)
	r := rail(t, s)
	for _, f := range []stripetest.Fault{
		stripetest.CutBefore, stripetest.CutAfter, stripetest.Error500, stripetest.Lost500, stripetest.Busy, stripetest.Unhandled,
	} {
		s.Fail(f)
		if got, err := r.Charge(t.Context(), charge(s, string(f), "vendor.example")); err == nil || errors.Is(err, payment.ErrDeclined) {
			t.Errorf("%s: %+v, %v; it leaves the outcome open", f, got, err)
		}
	}
	small := charge(s, "small", "vendor.example")
	small.Amount = usd(10_000)
	if _, err := r.Charge(t.Context(), small); !errors.Is(err, payment.ErrDeclined) {
		t.Errorf("less than Stripe takes: %v", err)
	}
	other, err := stripe.New(stripe.Config{SecretKey: "sk_wrong", Customer: "cus_1", PaymentMethod: "pm_1", BaseURL: s.URL})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := other.Charge(t.Context(), charge(s, "key", "vendor.example")); !errors.Is(err, payment.ErrDeclined) {
		t.Errorf("a wrong key: %v", err)
	}
}

// TestLookup follows intents through their statuses, and absences through time.
func TestLookup(t *testing.T) {
	t.Parallel()
	s := stripetest.New(t)
	r := rail(t, s)
	ago := func(c payment.Charge, first, last time.Duration) payment.Charge {
		c.First, c.Last = s.Now().Add(-first), s.Now().Add(-last)
		return c
	}
	absent := charge(s, "absent", "vendor.example")
	for _, c := range []struct {
		first, last time.Duration
		want        payment.Status
	}{
		{time.Second, time.Second, payment.Pending}, {5 * time.Minute, 5 * time.Minute, payment.Absent}, {2 * time.Hour, time.Second, payment.Pending},
		{2 * time.Hour, 5 * time.Minute, payment.Declined},
	} {
		if got, err := r.Lookup(t.Context(), ago(absent, c.first, c.last)); err != nil || got.Status != c.want {
			t.Errorf("absent since %s, last tried %s ago: %+v, %v; want %s", c.first, c.last, got, err, c.want)
		}
	}
	for _, c := range []struct {
		status string
		now    payment.Status // right after
		later  payment.Status
	}{
		{"succeeded", payment.Succeeded, payment.Succeeded}, {"processing", payment.Pending, payment.Pending},
		{"requires_payment_method", payment.Pending, payment.Declined}, {"canceled", payment.Pending, payment.Declined},
		{"requires_action", payment.Pending, payment.Declined}, // nobody is there to act: it is cancelled
	} {
		s.Declare(c.status)
		s.Fail(stripetest.CutAfter)
		ch := charge(s, c.status, "vendor.example")
		if _, err := r.Charge(t.Context(), ch); err == nil {
			t.Errorf("%s: not cut", c.status)
		}
		for range 3 { // so that the list has pages
			_, _ = r.Charge(t.Context(), charge(s, c.status+string(rune('a'+len(s.Intents()))), "vendor.example"))
		}
		if got, err := r.Lookup(t.Context(), ch); err != nil || got.Status != c.now {
			t.Errorf("%s: %+v, %v; want %s", c.status, got, err, c.now)
		}
		if got, err := r.Lookup(t.Context(), ago(ch, 5*time.Minute, 5*time.Minute)); err != nil || got.Status != c.later || got.Reference == "" {
			t.Errorf("%s later: %+v, %v; want %s", c.status, got, err, c.later)
		}
	}
	s.Declare("")
	processing := charge(s, "processing", "vendor.example")
	s.Finish("processing", "succeeded")
	if got, err := r.Lookup(t.Context(), processing); err != nil || got.Status != payment.Succeeded || got.Amount != processing.Amount {
		t.Errorf("carried out: %+v, %v", got, err)
	}
}

func TestEvents(t *testing.T) {
	t.Parallel()
	s := stripetest.New(t)
	r := rail(t, s)
	if _, err := r.Charge(t.Context(), charge(s, "k", "vendor.example")); err != nil {
		t.Fatal(err)
	}
	i := s.Intents()[0]
	signed := func(h string) func(string) string {
		return func(name string) string {
			if name != "Stripe-Signature" {
				return ""
			}
			return h
		}
	}
	for _, kind := range []string{"payment_intent.succeeded", "payment_intent.payment_failed", "charge.refunded"} {
		body, h := s.Event(kind, i, time.Now())
		m, err := r.Read(signed(h), body)
		if err != nil || m.Labels["bureau_payment"] != "k" || m.ID == "" {
			t.Errorf("%s: %+v, %v", kind, m, err)
		}
		if m, err := r.Read(signed(h), append(body, ' ')); !errors.Is(err, payment.ErrSignature) {
			t.Errorf("%s, changed: %+v, %v", kind, m, err)
		}
		body, h = s.Event(kind, i, time.Now().Add(-time.Hour))
		if m, err := r.Read(signed(h), body); !errors.Is(err, payment.ErrSignature) {
			t.Errorf("%s, an hour old: %+v, %v", kind, m, err)
		}
		if m, err := r.Read(signed(""), body); !errors.Is(err, payment.ErrSignature) {
			t.Errorf("%s, unsigned: %+v, %v", kind, m, err)
		}
	}
	body, h := s.Event("customer.created", i, time.Now())
	if m, err := r.Read(signed(h), body); err != nil || m.Labels != nil {
		t.Errorf("about something else: %+v, %v", m, err)
	}
	deaf, err := stripe.New(stripe.Config{SecretKey: "sk", Customer: "cus_1", PaymentMethod: "pm_1"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := deaf.Read(signed(h), body); !errors.Is(err, payment.ErrSignature) {
		t.Errorf("without a secret: %v", err)
	}
}
