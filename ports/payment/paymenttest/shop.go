package paymenttest

import (
	"context"
	"encoding/json"
	"net/url"
	"strings"

	"github.com/bureau-agents/bureau/ports/fault"
	"github.com/bureau-agents/bureau/ports/money"
	"github.com/bureau-agents/bureau/ports/payment"
)

// Shop is a Fake that pays for requests: hosts that begin with "paid." cost 0.10 USDC, "declined.example" costs it and takes nothing,
// every other host is free.
type Shop struct{ *Fake }

var _ payment.Fetcher = Shop{}

// Fetch implements payment.Fetcher. Nothing is sent.
func (s Shop) Fetch(ctx context.Context, r payment.Request) (payment.Answer, error) {
	u, err := url.Parse(r.URL)
	if err != nil || u.Host == "" {
		return payment.Answer{}, fault.Invalidf("url", "must be an address")
	}
	if _, err := s.enter(ctx, "fetch", r.URL); err != nil {
		return payment.Answer{}, err
	}
	if !strings.HasPrefix(u.Hostname(), "paid.") && u.Hostname() != "declined.example" {
		return payment.Answer{Result: json.RawMessage(`{"status":200,"headers":{},"body":"free"}`)}, nil
	}
	target, err := json.Marshal(map[string]any{"request": r})
	if err != nil {
		return payment.Answer{}, err
	}
	return payment.Answer{Quote: &payment.Quote{
		Amount: money.Of(100_000, money.USDC), Payee: u.Hostname(), Description: "goods", Target: target,
	}}, nil
}
