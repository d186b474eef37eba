package valar

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// Defaults of Config.
const (
	DefaultTimeout    = 30 * time.Second
	DefaultMaxRetries = 3
)

// Config says which server a Client speaks to, and how.
type Config struct {
	// BaseURL is where the API stands, such as http://127.0.0.1:8080/compat/valar. It is required.
	BaseURL string
	// APIKey is sent with every request but Health. Blanks around it are ignored.
	APIKey string
	// HTTPClient sends the requests; nil is one of the client's own. Without a CheckRedirect redirects are not followed, which would take
	// the key elsewhere.
	HTTPClient *http.Client
	// Timeout is for each attempt; 0 means DefaultTimeout, and what is negative none.
	Timeout time.Duration
	// MaxRetries is how often a failed attempt is repeated; 0 means DefaultMaxRetries, and what is negative not at all.
	MaxRetries int
}

// Client speaks to one server with one key. It is safe for concurrent use.
type Client struct {
	base       string
	key        string
	http       *http.Client
	timeout    time.Duration
	maxRetries int
}

// New returns a Client, or an error that says what is wrong with the configuration. It does not connect.
func New(cfg Config) (*Client, error) {
	base, err := url.Parse(strings.TrimSpace(cfg.BaseURL))
	switch {
	case err != nil:
		return nil, fmt.Errorf("valar: Config.BaseURL: %w", err)
	case base.Scheme != "http" && base.Scheme != "https" || base.Host == "":
		return nil, fmt.Errorf("valar: Config.BaseURL must begin with http:// or https://, and is %q", cfg.BaseURL)
	case base.RawQuery != "" || base.Fragment != "":
		return nil, errors.New("valar: Config.BaseURL must have no query")
	}
	c := &Client{
		base: strings.TrimRight(base.String(), "/"), key: strings.TrimSpace(cfg.APIKey), http: &http.Client{},
		timeout: cfg.Timeout, maxRetries: cfg.MaxRetries,
	}
	if cfg.HTTPClient != nil {
		*c.http = *cfg.HTTPClient
	}
	if c.http.CheckRedirect == nil {
		c.http.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	}
	if c.timeout == 0 {
		c.timeout = DefaultTimeout
	}
	if c.maxRetries == 0 {
		c.maxRetries = DefaultMaxRetries
	}
	return c, nil
}

// Health asks whether the server is well, and returns nil when it is. It needs no key and sends none.
func (c *Client) Health(ctx context.Context) error {
	var health struct{ Status string }
	if err := c.call(ctx, call{method: http.MethodGet, path: "/health", public: true, out: &health}); err != nil {
		return err
	}
	if health.Status != "ok" {
		return &Error{Method: http.MethodGet, Path: "/health", Status: http.StatusOK, Detail: "the server is " + health.Status}
	}
	return nil
}

// Do sends a request for which there is no method. path begins behind the base URL and may have a query; in is written as JSON unless it is
// nil; the answer is decoded into out unless that is nil. Errors and repetitions are those of every method.
func (c *Client) Do(ctx context.Context, method, path string, in, out any) error {
	return c.call(ctx, call{method: method, path: path, in: in, out: out})
}
