package native

import (
	"context"
	"encoding/json"
	"html/template"
	"net/http"
	"net/url"
	"reflect"
	"strings"
	"time"

	"github.com/bureau-agents/bureau/adapters/http/internal/httpx"
	"github.com/bureau-agents/bureau/core/account"
)

// The cookies of people who sign in. consoleCookie holds the secret of the key that a sign-in made; bindingCookie ties the way to the
// identity provider and back to one browser.
const (
	consoleCookie = "bureau_console"
	bindingCookie = "bureau_sign_in"
)

const contentHTML = "text/html"

// signInRate is how many requests per minute an address may make to each route of a sign-in or an installation: every one may ask a
// provider.
const signInRate = 120

// wantsPage reports whether the caller is a browser that shows what it gets.
func wantsPage(ctx context.Context) bool {
	return strings.Contains(strings.Join(httpx.Request(ctx).Header.Values("Accept"), ","), contentHTML)
}

var pageTemplate = template.Must(template.New("page").Parse(`<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>{{.Title}}</title>
<style>body{font:16px/1.5 system-ui,sans-serif;max-width:36rem;margin:15vh auto;padding:0 1rem}</style></head>
<body><h1>{{.Title}}</h1><p>{{.Text}}</p></body></html>
`))

// quietHeaders keep an answer that belongs to a sign-in out of caches, frames and other sites' logs.
func quietHeaders(h http.Header) {
	h.Set("Cache-Control", "no-store")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'")
}

func showPage(status int, title, text string) httpx.Stream {
	return func(w http.ResponseWriter, _ *http.Request) {
		quietHeaders(w.Header())
		w.Header().Set("Content-Type", contentHTML+"; charset=utf-8")
		w.WriteHeader(status)
		_ = pageTemplate.Execute(w, struct{ Title, Text string }{title, text}) // the browser went away
	}
}

func streamJSON(v any) httpx.Stream {
	return func(w http.ResponseWriter, _ *http.Request) {
		quietHeaders(w.Header())
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusOK)
		_ = json.NewEncoder(w).Encode(v) // the caller went away
	}
}

// sendTo sends a browser on.
func sendTo(target string, cookies ...*http.Cookie) httpx.Stream {
	return func(w http.ResponseWriter, _ *http.Request) {
		quietHeaders(w.Header())
		for _, c := range cookies {
			http.SetCookie(w, c)
		}
		w.Header().Set("Location", target)
		w.Header().Set("Content-Type", contentHTML)
		w.WriteHeader(http.StatusFound)
	}
}

// cookie makes a cookie that no script reads and no other site's requests carry, but for links; age 0 removes it.
func (f *face) cookie(ctx context.Context, name, path, value string, age time.Duration) *http.Cookie {
	c := &http.Cookie{ //nolint:gosec // Secure wherever the server is reached by HTTPS; browsers drop such cookies of others
		Name: name, Value: value, Path: path, MaxAge: int(age.Seconds()), HttpOnly: true, SameSite: http.SameSiteLaxMode,
		Secure: strings.HasPrefix(f.base(ctx), "https://"),
	}
	if age <= 0 {
		c.MaxAge = -1
	}
	return c
}

// ProviderInput names an identity provider.
type ProviderInput struct {
	Provider string `path:"provider" doc:"google, or oidc for another OpenID provider."`
}

type authorizeInput struct {
	ProviderInput
	RedirectTo string `query:"redirect_to" doc:"A path of this server to go to afterwards; / when left out."`
}

type signInCallbackInput struct {
	ProviderInput
	State string `query:"state" doc:"As the sign-in began with it."`
	Code  string `query:"code" doc:"The provider's, for a token."`
	Error string `query:"error" doc:"The provider's, when it does not let somebody in."`
}

type consoleSessionWire struct {
	Type       string      `json:"type" enum:"console_session"`
	User       consoleUser `json:"user"`
	ExpiresAt  stamp       `json:"expires_at"`
	RedirectTo string      `json:"redirect_to"`
}

type consoleUser struct {
	ID    string  `json:"id" doc:"user_..."`
	Email string  `json:"email"`
	Name  *string `json:"name"`
}

type signedOutWire struct {
	Type string `json:"type" enum:"console_session_ended"`
}

// signInPath is where the binding cookie is sent.
const signInPath = "/v1/oauth"

func (f *face) signInCallback(ctx context.Context, provider string) string {
	return f.base(ctx) + signInPath + "/" + url.PathEscape(provider) + "/callback"
}

func (f *face) registerOAuth() {
	httpx.RegisterStream(f.Face, httpx.Op{
		ID: "authorizeOAuth", Method: http.MethodGet, Path: "/v1/oauth/{provider}/authorize", Tag: "oauth", Status: http.StatusFound,
		PublicRate: signInRate, Summary: "Sign in to the console", Produces: contentHTML, Statuses: []int{http.StatusServiceUnavailable},
		Description: "Sends the browser to the identity provider, and on its way back to `redirect_to`.",
	}, func(ctx context.Context, in *authorizeInput) (httpx.Stream, error) {
		start, err := f.deps.SignIns.Begin(ctx, in.Provider, f.signInCallback(ctx, in.Provider), in.RedirectTo)
		if err != nil {
			return f.refusePage(ctx, err)
		}
		return sendTo(start.URL, f.cookie(ctx, bindingCookie, signInPath, start.Binding, account.FlowTTL)), nil
	})

	httpx.RegisterStream(f.Face, httpx.Op{
		ID: "completeOAuth", Method: http.MethodGet, Path: "/v1/oauth/{provider}/callback", Tag: "oauth", PublicRate: signInRate,
		Summary: "Where the identity provider sends a person back to", Produces: contentHTML, Alternative: reflect.TypeFor[consoleSessionWire](),
		Statuses: []int{http.StatusForbidden, http.StatusServiceUnavailable},
		Description: "Whoever may sign in gets a cookie, which no script can read, with a key that expires. The cookie counts as that key where " +
			"a request has none of its own; requests that change something must come from this server's own pages.",
	}, func(ctx context.Context, in *signInCallbackInput) (httpx.Stream, error) {
		answer := account.SignInAnswer{State: in.State, Code: in.Code, Error: in.Error}
		if c, err := httpx.Request(ctx).Cookie(bindingCookie); err == nil {
			answer.Binding = c.Value
		}
		got, err := f.deps.SignIns.End(ctx, in.Provider, answer)
		if err != nil {
			return f.refusePage(ctx, err)
		}
		age := got.ExpiresAt.Sub(f.deps.Clock.Now())
		cookies := []*http.Cookie{
			f.cookie(ctx, consoleCookie, "/", got.Secret, age), f.cookie(ctx, bindingCookie, signInPath, "", 0),
		}
		if wantsPage(ctx) {
			return sendTo(got.RedirectTo, cookies...), nil
		}
		shown := streamJSON(consoleSessionWire{
			Type: "console_session", User: consoleUser{got.User.ID.String(), got.User.Email, textOrNull(got.User.Name)},
			ExpiresAt: stampOf(got.ExpiresAt), RedirectTo: got.RedirectTo,
		})
		return func(w http.ResponseWriter, r *http.Request) {
			for _, c := range cookies {
				http.SetCookie(w, c)
			}
			shown(w, r)
		}, nil
	})

	for method, op := range map[string]string{http.MethodPost: "signOut", http.MethodDelete: "deleteConsoleSession"} {
		httpx.RegisterStream(f.Face, httpx.Op{
			ID: op, Method: method, Path: "/v1/oauth/logout", Tag: "oauth", Summary: "Sign out of the console", Produces: "application/json",
			PublicRate: signInRate,
			Description: "Ends the key of the sign-in whose cookie comes along, and removes the cookie. Other keys are left as they are. POST and " +
				"DELETE do the same.",
			Alternative: reflect.TypeFor[signedOutWire](),
		}, func(ctx context.Context, _ *struct{}) (httpx.Stream, error) {
			r := httpx.Request(ctx)
			if secret := cookieSecret(r); secret != "" {
				if err := f.deps.SignIns.SignOut(ctx, secret); err != nil {
					return nil, err
				}
			}
			gone := f.cookie(ctx, consoleCookie, "/", "", 0)
			return func(w http.ResponseWriter, r *http.Request) {
				http.SetCookie(w, gone)
				streamJSON(signedOutWire{"console_session_ended"})(w, r)
			}, nil
		})
	}
}

// cookieSecret returns the key of a console's cookie, if the request may use it: one that changes something must say that it comes from a
// page of this server, which other sites cannot say (https://www.w3.org/TR/fetch-metadata/; browsers that do not know that send Origin).
func cookieSecret(r *http.Request) string {
	c, err := r.Cookie(consoleCookie)
	if err != nil || c.Value == "" {
		return ""
	}
	site := r.Header.Get("Sec-Fetch-Site")
	own := site == "same-origin"
	if site == "" {
		o, err := url.Parse(r.Header.Get("Origin"))
		own = err == nil && o.Host != "" && o.Host == r.Host
	}
	switch r.Method {
	case http.MethodGet, http.MethodHead:
		// An address that was typed or followed; SameSite keeps the cookie from what other sites embed.
		own = own || site == "" || site == "none" || r.Header.Get("Sec-Fetch-Mode") == "navigate"
	}
	if !own {
		return ""
	}
	return c.Value
}

// consoleKeys gives requests without a key the one of the console's cookie.
func consoleKeys(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if len(r.Header["Cookie"]) > 0 && r.Header.Get("X-Api-Key") == "" && r.Header.Get("Authorization") == "" {
			if secret := cookieSecret(r); secret != "" {
				r = r.Clone(r.Context())
				r.Header.Set("X-Api-Key", secret)
			}
		}
		next.ServeHTTP(w, r)
	})
}
