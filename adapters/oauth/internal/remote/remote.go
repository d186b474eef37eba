// Package remote is what the adapters of providers of OAuth 2.0 share: the exchange of codes, and calls of their APIs with the errors of
// core/integration.
package remote

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"golang.org/x/oauth2"

	"github.com/bureau-agents/bureau/core/integration"
	"github.com/bureau-agents/bureau/ports/fault"
)

// maxAnswer bounds what is read of an answer, in bytes.
const maxAnswer = 4 << 20

// Exchange trades a code with its verifier. A code that the provider refuses is integration.ErrExchange, anything that says nothing of the
// code integration.ErrUnreachable.
func Exchange(ctx context.Context, client *http.Client, cfg oauth2.Config, code, verifier string) (*oauth2.Token, error) {
	t, err := cfg.Exchange(context.WithValue(ctx, oauth2.HTTPClient, client), code, oauth2.VerifierOption(verifier))
	if err != nil {
		return nil, tokenErr(err, integration.ErrExchange)
	}
	return t, nil
}

// Refresh trades a refresh token; one that the provider refuses is integration.ErrRevoked. A provider that sends no new refresh token
// leaves the old one valid: RFC 6749, 6.
func Refresh(ctx context.Context, client *http.Client, cfg oauth2.Config, old integration.Token) (integration.Token, error) {
	source := cfg.TokenSource(context.WithValue(ctx, oauth2.HTTPClient, client), &oauth2.Token{RefreshToken: old.Refresh})
	t, err := source.Token()
	if err != nil {
		return integration.Token{}, tokenErr(err, integration.ErrRevoked)
	}
	return TokenOf(t), nil
}

// TokenOf returns what is kept of a token.
func TokenOf(t *oauth2.Token) integration.Token {
	return integration.Token{Access: t.AccessToken, Refresh: t.RefreshToken, Expiry: t.Expiry}
}

// tokenErr tells a refusal of a token endpoint from one that could not be asked. The answer of the provider may hold what was sent, so that
// only its error code is repeated.
func tokenErr(err error, refused *fault.Error) error {
	var answer *oauth2.RetrieveError
	if !errors.As(err, &answer) {
		if f, ok := fault.As(err); ok && f.Kind == fault.Forbidden { // an address that must not be reached
			return integration.ErrUnreachable.Withf("the provider cannot be reached: %s", f.Message)
		}
		return integration.ErrUnreachable.Wrap(scrub(err))
	}
	if answer.Response != nil {
		switch status := answer.Response.StatusCode; {
		case status == http.StatusTooManyRequests:
			return integration.ErrRateLimited.WithRetry(RetryAfter(answer.Response.Header, time.Now()))
		case status >= 500:
			return integration.ErrUnreachable.Withf("the provider answered with status %d", status)
		}
	}
	if answer.ErrorCode == "" {
		return refused
	}
	return refused.Withf("the provider refused: %s", Code(answer.ErrorCode))
}

// Code makes a provider's error code fit for a message.
func Code(code string) string {
	code = strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '_' || r == '-' || r == '.' || r == ' ' {
			return r
		}
		return '?'
	}, code)
	return code[:min(len(code), 100)]
}

// scrub drops the address from an error of the HTTP client: its query may hold a secret.
func scrub(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		return fmt.Errorf("%s: %w", u.Op, u.Err)
	}
	return err
}

// Answer is an answer of a provider's API.
type Answer struct {
	Status int
	Header http.Header
	Body   []byte
}

// Do sends a request and reads the answer. integration.ErrUnreachable: none came, or only half of one, or the provider is broken;
// integration.ErrRateLimited: it says 429.
func Do(client *http.Client, req *http.Request) (Answer, error) {
	res, err := client.Do(req) //nolint:gosec // the client is the one that reaches no private address
	if err != nil {
		return Answer{}, integration.ErrUnreachable.Wrap(scrub(err))
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	switch {
	case err != nil:
		return Answer{}, integration.ErrUnreachable.Wrap(scrub(err))
	case res.StatusCode == http.StatusTooManyRequests:
		return Answer{}, integration.ErrRateLimited.WithRetry(RetryAfter(res.Header, time.Now()))
	case res.StatusCode >= 500:
		return Answer{}, integration.ErrUnreachable.Withf("the provider answered with status %d", res.StatusCode)
	}
	return Answer{Status: res.StatusCode, Header: res.Header, Body: body}, nil
}

// NewJSON makes a request with a JSON body; nil sends none.
func NewJSON(ctx context.Context, method, address string, body any) (*http.Request, error) {
	var reader io.Reader
	if body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			return nil, fmt.Errorf("oauth: %w", err)
		}
		reader = strings.NewReader(string(b))
	}
	req, err := http.NewRequestWithContext(ctx, method, address, reader)
	if err != nil {
		return nil, fmt.Errorf("oauth: %w", err)
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json; charset=utf-8")
	}
	return req, nil
}

// maxRetryAfter bounds how long a provider may put us off at a time.
const maxRetryAfter = time.Hour

// RetryAfter reads a Retry-After header, RFC 9110, 10.2.3: seconds or a date. What is missing or cannot be read is a minute.
func RetryAfter(h http.Header, now time.Time) time.Duration {
	v := strings.TrimSpace(h.Get("Retry-After"))
	d := time.Minute
	if n, err := strconv.ParseInt(v, 10, 32); err == nil {
		d = time.Duration(n) * time.Second
	} else if at, err := http.ParseTime(v); err == nil {
		d = at.Sub(now)
	}
	return min(max(d, time.Second), maxRetryAfter)
}
