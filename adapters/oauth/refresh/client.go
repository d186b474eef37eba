package refresh

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/bureau-agents/bureau/core/secret"
)

const (
	// maxBody is how much of an answer is read, maxShown how much of one that tells of a failure.
	maxBody  = 256 << 10
	maxShown = 4 << 10
)

// Config of a Client. Both clients are required.
type Config struct {
	// Endpoints reaches token endpoints. It must not follow redirects: they would carry the refresh token elsewhere.
	Endpoints *http.Client
	// Servers reaches MCP servers.
	Servers *http.Client
	// Version is what MCP servers are told of this client.
	Version string
}

// Client implements secret.Exchanger and secret.Prober. It is safe for concurrent use.
type Client struct{ cfg Config }

var (
	_ secret.Exchanger = (*Client)(nil)
	_ secret.Prober    = (*Client)(nil)
)

// New returns a Client.
func New(cfg Config) (*Client, error) {
	switch {
	case cfg.Endpoints == nil:
		return nil, errors.New("refresh: Config.Endpoints is required")
	case cfg.Servers == nil:
		return nil, errors.New("refresh: Config.Servers is required")
	}
	return &Client{cfg}, nil
}

// grantWire is a token endpoint's answer (RFC 6749, 5.1 and 5.2). Some endpoints answer errors with 200, and some write numbers as texts.
type grantWire struct {
	AccessToken  string      `json:"access_token"`
	RefreshToken string      `json:"refresh_token"`
	ExpiresIn    json.Number `json:"expires_in"`
	Error        string      `json:"error"`
}

// Exchange implements secret.Exchanger. golang.org/x/oauth2 has no place for the resource indicator of RFC 8707, which MCP requires.
func (c *Client) Exchange(ctx context.Context, req secret.ExchangeRequest) (secret.Grant, error) {
	form := url.Values{"grant_type": {"refresh_token"}, "refresh_token": {req.RefreshToken.Reveal()}}
	if req.Resource != "" {
		form.Set("resource", req.Resource)
	}
	if req.Scope != "" {
		form.Set("scope", req.Scope)
	}
	switch req.TokenAuth {
	case secret.TokenAuthBasic:
	case secret.TokenAuthPost:
		form.Set("client_id", req.ClientID)
		form.Set("client_secret", req.ClientSecret.Reveal())
	default:
		form.Set("client_id", req.ClientID)
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, req.TokenEndpoint, strings.NewReader(form.Encode()))
	if err != nil {
		return secret.Grant{}, fmt.Errorf("refresh: %w", err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Accept", "application/json")
	if req.TokenAuth == secret.TokenAuthBasic {
		// RFC 6749, 2.3.1: both halves are encoded like a form's fields before they are joined.
		r.SetBasicAuth(url.QueryEscape(req.ClientID), url.QueryEscape(req.ClientSecret.Reveal()))
	}
	resp, err := c.cfg.Endpoints.Do(r)
	if err != nil {
		return secret.Grant{}, fmt.Errorf("refresh: token endpoint: %w", err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxBody))
	if err != nil {
		return secret.Grant{}, fmt.Errorf("refresh: token endpoint: %w", err)
	}
	g, ok := parseGrant(body)
	if resp.StatusCode < 200 || resp.StatusCode > 299 || !ok {
		return secret.Grant{}, &secret.RejectedError{Answer: answerOf(resp, body)}
	}
	return g, nil
}

// parseGrant reads the tokens out of an answer; false when there is no access token that can be sent in a header.
func parseGrant(body []byte) (secret.Grant, bool) {
	var w grantWire
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	if d.Decode(&w) != nil || w.Error != "" || !sendable(w.AccessToken) || w.RefreshToken != "" && !sendable(w.RefreshToken) {
		return secret.Grant{}, false
	}
	g := secret.Grant{AccessToken: secret.NewValue(w.AccessToken), RefreshToken: secret.NewValue(w.RefreshToken)}
	const most = 10 * 365 * 24 * 3600 // longer is as good as for ever, and does not overflow
	if n, err := strconv.ParseFloat(w.ExpiresIn.String(), 64); err == nil && n > 0 {
		g.ExpiresIn = time.Duration(min(n, most)) * time.Second
	}
	return g, true
}

func sendable(token string) bool {
	return token != "" && len(token) <= secret.MaxSecret && utf8.ValidString(token) &&
		!strings.ContainsFunc(token, func(r rune) bool { return r < ' ' || r == 0x7f })
}

// answerOf is an answer with the beginning of its body.
func answerOf(resp *http.Response, body []byte) secret.Answer {
	a := secret.Answer{Status: resp.StatusCode, ContentType: resp.Header.Get("Content-Type")}
	if len(body) > maxShown {
		body, a.Truncated = body[:maxShown], true
	}
	a.Body = strings.ReplaceAll(strings.ToValidUTF8(string(body), "\uFFFD"), "\x00", "\uFFFD")
	return a
}

// protocolVersion is the version of MCP that the probe offers; servers may answer with another.
const protocolVersion = "2025-06-18"

// Probe implements secret.Prober. A server that does not know the streamable transport is asked for the stream of the one before it, as
// the specification of MCP says for clients that support both.
func (c *Client) Probe(ctx context.Context, serverURL string, token secret.Value) (secret.Answer, error) {
	a, err := c.initialize(ctx, serverURL, token)
	if err != nil || a.Status != http.StatusNotFound && a.Status != http.StatusMethodNotAllowed {
		return a, err
	}
	old, err := c.openStream(ctx, serverURL, token)
	if err != nil || old.Status == http.StatusNotFound || old.Status == http.StatusMethodNotAllowed {
		return a, nil //nolint:nilerr // the first answer is the one to show
	}
	return old, nil
}

func (c *Client) initialize(ctx context.Context, serverURL string, token secret.Value) (secret.Answer, error) {
	body, err := json.Marshal(map[string]any{
		"jsonrpc": "2.0", "id": 1, "method": secret.ProbeMethod,
		"params": map[string]any{
			"protocolVersion": protocolVersion, "capabilities": map[string]any{},
			"clientInfo": map[string]any{"name": "bureau", "version": c.cfg.Version},
		},
	})
	if err != nil {
		return secret.Answer{}, fmt.Errorf("refresh: %w", err)
	}
	resp, err := c.send(ctx, http.MethodPost, serverURL, token, bytes.NewReader(body), "application/json, text/event-stream", nil)
	if err != nil {
		return secret.Answer{}, err
	}
	defer resp.Body.Close()
	if resp.StatusCode >= 200 && resp.StatusCode <= 299 {
		c.endSession(ctx, serverURL, token, resp.Header.Get("Mcp-Session-Id"))
		return secret.Answer{Status: resp.StatusCode, ContentType: resp.Header.Get("Content-Type")}, nil
	}
	return c.failure(resp)
}

// openStream asks for the event stream of the older transport; that it begins is enough.
func (c *Client) openStream(ctx context.Context, serverURL string, token secret.Value) (secret.Answer, error) {
	resp, err := c.send(ctx, http.MethodGet, serverURL, token, nil, "text/event-stream", nil)
	if err != nil {
		return secret.Answer{}, err
	}
	defer resp.Body.Close()
	kind, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	if resp.StatusCode == http.StatusOK && kind != "text/event-stream" {
		return secret.Answer{Status: http.StatusNotFound}, nil // some page
	}
	if resp.StatusCode == http.StatusOK {
		return secret.Answer{Status: resp.StatusCode, ContentType: kind}, nil
	}
	return c.failure(resp)
}

func (c *Client) failure(resp *http.Response) (secret.Answer, error) {
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxShown+1))
	if err != nil && len(body) == 0 {
		return secret.Answer{}, fmt.Errorf("refresh: MCP server: %w", err)
	}
	return answerOf(resp, body), nil
}

// endSession tells the server that the session of a probe is over. Whether it listens is its own affair.
func (c *Client) endSession(ctx context.Context, serverURL string, token secret.Value, session string) {
	if session == "" {
		return
	}
	resp, err := c.send(ctx, http.MethodDelete, serverURL, token, nil, "*/*", map[string]string{
		"Mcp-Session-Id": session, "Mcp-Protocol-Version": protocolVersion,
	})
	if err == nil {
		_ = resp.Body.Close()
	}
}

func (c *Client) send(
	ctx context.Context, method, serverURL string, token secret.Value, body io.Reader, accept string, more map[string]string,
) (*http.Response, error) {
	r, err := http.NewRequestWithContext(ctx, method, serverURL, body)
	if err != nil {
		return nil, fmt.Errorf("refresh: %w", err)
	}
	r.Header.Set("Authorization", "Bearer "+token.Reveal())
	r.Header.Set("Accept", accept)
	if body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	for k, v := range more {
		r.Header.Set(k, v)
	}
	resp, err := c.cfg.Servers.Do(r)
	if err != nil {
		return nil, fmt.Errorf("refresh: MCP server: %w", err)
	}
	return resp, nil
}
