package stripe_test

import (
	"bufio"
	"context"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"github.com/bureau-agents/bureau/adapters/payment/stripe"
	"github.com/bureau-agents/bureau/adapters/payment/stripe/stripetest"
	"github.com/bureau-agents/bureau/ports/payment"
)

// mock starts stripe-mock, which knows Stripe's description of its API and refuses what does not fit it. It keeps no books.
func mock(t *testing.T) string {
	t.Helper()
	bin, err := exec.CommandContext(t.Context(), "../../../scripts/stripe.sh").Output()
	if err != nil {
		t.Fatalf("scripts/stripe.sh: %v", err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	cmd := exec.CommandContext(ctx, strings.TrimSpace(string(bin)), "-http-addr", "127.0.0.1:")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cancel()
		_ = cmd.Wait() // it was killed
	})
	listening := regexp.MustCompile(`127\.0\.0\.1:[1-9][0-9]*`)
	for lines := bufio.NewScanner(out); lines.Scan(); {
		if addr := listening.FindString(lines.Text()); addr != "" {
			return "http://" + addr
		}
	}
	t.Fatal("stripe-mock does not say where it listens")
	return ""
}

// TestShapes holds every request that the rail makes to Stripe's description of its API.
func TestShapes(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("starts a program")
	}
	s := stripetest.New(t)
	r, err := stripe.New(stripe.Config{SecretKey: "sk_test_123", Customer: stripetest.Customer, PaymentMethod: stripetest.PaymentMethod, BaseURL: mock(t)})
	if err != nil {
		t.Fatal(err)
	}
	for _, payee := range []string{"vendor.example", "acct_1"} {
		c := charge(s, payee, payee)
		got, err := r.Charge(t.Context(), c)
		if err != nil || got.Reference == "" {
			t.Errorf("charge: %+v, %v", got, err)
		}
		if _, err := r.Lookup(t.Context(), c); err != nil {
			t.Errorf("list: %v", err)
		}
		c.Reference = got.Reference
		if _, err := r.Lookup(t.Context(), c); err != nil {
			t.Errorf("retrieve: %v", err)
		}
		if err := r.Refund(t.Context(), payment.Refund{Key: payee, Charge: c, Amount: c.Amount}); err != nil {
			t.Errorf("refund: %v", err)
		}
	}
}
