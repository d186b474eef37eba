package mcp

import (
	"net/http"
	"net/url"

	"github.com/bureau-agents/bureau/core/secret"
	"github.com/bureau-agents/bureau/ports/fault"
)

// errUnauthorized is behind the failure of a server that refused the session's credential, or wants one.
var errUnauthorized = fault.New(fault.Unauthenticated, "mcp_unauthorized", "it refused the session's credential, or the session's vaults have none for it")

// authorizer puts the session's credential on requests to the server itself, never on one that a redirect leads elsewhere. A refused
// token is replaced once.
type authorizer struct {
	l    *link
	next http.RoundTripper
}

// RoundTrip implements http.RoundTripper.
func (a *authorizer) RoundTrip(req *http.Request) (*http.Response, error) {
	home, err := url.Parse(a.l.server.URL)
	if err != nil || home.Scheme != req.URL.Scheme || home.Host != req.URL.Host {
		return a.next.RoundTrip(req)
	}
	ctx, env := req.Context(), a.l.env.Load()
	token, found, err := a.l.s.d.Credentials.Bearer(ctx, a.l.sc, env.Session.Vaults, a.l.server.URL)
	if err != nil {
		return nil, err
	}
	if !found {
		return a.checked(a.next.RoundTrip(req))
	}
	res, err := a.next.RoundTrip(with(req, token))
	if err != nil || res.StatusCode != http.StatusUnauthorized || req.Body != nil && req.GetBody == nil {
		return a.checked(res, err)
	}
	fresh, err := a.l.s.d.Credentials.Refresh(ctx, a.l.sc, token.Credential, token.Value)
	if err != nil {
		return a.checked(res, nil)
	}
	again := req.Clone(ctx)
	if req.GetBody != nil {
		if again.Body, err = req.GetBody(); err != nil {
			return a.checked(res, nil)
		}
	}
	_ = res.Body.Close()
	return a.checked(a.next.RoundTrip(with(again, fresh)))
}

// checked makes an error of a refusal, which the library would otherwise take for one of the protocol.
func (a *authorizer) checked(res *http.Response, err error) (*http.Response, error) {
	if err == nil && (res.StatusCode == http.StatusUnauthorized || res.StatusCode == http.StatusForbidden) {
		_ = res.Body.Close()
		return nil, errUnauthorized
	}
	return res, err
}

// with returns a copy of req that shows the token.
func with(req *http.Request, t secret.Token) *http.Request {
	out := req.Clone(req.Context())
	out.Header.Set("Authorization", "Bearer "+t.Value.Reveal())
	return out
}
