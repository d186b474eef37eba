// Package nethttp posts the deliveries of webhooks by net/http, through the guarded client of ports/egress.
package nethttp

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/url"

	"github.com/bureau-agents/bureau/core/webhook"
	"github.com/bureau-agents/bureau/ports/egress"
	"github.com/bureau-agents/bureau/ports/fault"
)

// maxAnswer is how much of an answer is read, and thrown away, so that its connection can be used again.
const maxAnswer = 64 << 10

// Config of a Sender.
type Config struct {
	Allow     []string // the private addresses that may be reached nevertheless; see egress.Config
	UserAgent string   // "" is "bureau-webhooks"
}

// Sender posts to addresses that tenants name. It is safe for concurrent use.
type Sender struct {
	guard *egress.Client
}

var _ webhook.Sender = (*Sender)(nil)

// New checks cfg and returns a sender. It opens nothing.
func New(cfg Config) (*Sender, error) {
	if cfg.UserAgent == "" {
		cfg.UserAgent = "bureau-webhooks"
	}
	// The deadline is the caller's: it covers the whole request.
	c, err := egress.New(egress.Config{
		Allow: cfg.Allow, MaxBody: maxAnswer, Timeout: -1, MaxRedirects: -1, UserAgent: cfg.UserAgent,
	})
	if err != nil {
		return nil, err
	}
	return &Sender{c}, nil
}

// Check implements webhook.Sender.
func (s *Sender) Check(raw string) error {
	u, err := url.Parse(raw)
	if err != nil {
		return fault.Invalidf("url", "is not an address")
	}
	return s.guard.Check(u)
}

// Send implements webhook.Sender. The answer counts once its headers are there; a body that is too long or is cut off changes nothing.
func (s *Sender) Send(ctx context.Context, r webhook.Request) (int, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, r.URL, bytes.NewReader(r.Body))
	if err != nil {
		return 0, fault.Invalidf("url", "is not an address").Wrap(err)
	}
	for name, value := range r.Header {
		req.Header.Set(name, value)
	}
	resp, err := s.guard.HTTPClient().Do(req)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	_, _ = io.CopyN(io.Discard, resp.Body, maxAnswer)
	return resp.StatusCode, nil
}
