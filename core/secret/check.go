package secret

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/netip"
	"net/url"
	"regexp"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/bureau-agents/bureau/core/internal/check"
	"github.com/bureau-agents/bureau/ports/fault"
)

// checker gathers every fault of a request.
type checker struct {
	check.Faults
	guard Guard
	now   time.Time
}

// url checks an address that the server will call.
func (k *checker) url(path, s string) {
	k.Given(path, s, MaxURL)
	if s == "" || len(k.Fields) > 0 && k.Fields[len(k.Fields)-1].Path == path {
		return
	}
	u, err := url.Parse(s)
	switch {
	case err != nil:
		k.Addf(path, "is not a URL")
	case u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || u.Hostname() == "":
		k.Addf(path, "must be an http:// or https:// URL with a host")
	case u.User != nil:
		k.Addf(path, "must not hold a user or a password")
	default:
		if err := k.guard.Check(u); err != nil {
			message := err.Error()
			if f, ok := fault.As(err); ok {
				message = f.Message
			}
			k.Addf(path, "%s", message)
		}
	}
}

// secret checks a secret. One that goes into a header has no control characters.
func (k *checker) secret(path string, v Value, header bool) {
	s := v.Reveal()
	switch {
	case strings.TrimSpace(s) == "":
		k.Addf(path, "must not be empty")
	case !utf8.ValidString(s) || strings.ContainsRune(s, 0):
		k.Addf(path, "must be UTF-8 without the NUL character")
	case len(s) > MaxSecret:
		k.Addf(path, "has %d bytes; at most %d are allowed", len(s), MaxSecret)
	case header && strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f }):
		k.Addf(path, "must not contain line breaks or other control characters")
	}
}

// tokenFields is what clients call Secrets.Token.
var tokenFields = map[AuthType]string{
	StaticBearer: "auth.token", MCPOAuth: "auth.access_token", EnvironmentVariable: "auth.secret_value",
}

var variableName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// auth checks a whole Auth with its secrets.
func (k *checker) auth(a Auth, s Secrets) {
	switch a.Type {
	case StaticBearer, MCPOAuth:
		k.secret(tokenFields[a.Type], s.Token, true)
		k.url("auth.mcp_server_url", a.MCPServerURL)
	case EnvironmentVariable:
		k.secret(tokenFields[a.Type], s.Token, false)
		if len(a.SecretName) > MaxVariable || !variableName.MatchString(a.SecretName) {
			k.Addf("auth.secret_name", "must be 1 to %d letters, digits and _, and not begin with a digit", MaxVariable)
		}
		k.networking(a.Networking)
		if !a.Injection.Header && !a.Injection.Body {
			k.Addf("auth.injection_location", "one of header and body must be true")
		}
	default:
		k.Addf("auth.type", "must be static_bearer, mcp_oauth or environment_variable")
	}
	if a.Type == MCPOAuth && a.Refresh != nil {
		k.refresh(*a.Refresh, s)
	}
}

func (k *checker) expiry(at *time.Time) {
	if at != nil && !at.After(k.now) {
		k.Addf("auth.expires_at", "must be in the future")
	}
}

func (k *checker) refresh(r Refresh, s Secrets) {
	k.Given("auth.refresh.client_id", r.ClientID, MaxURL)
	k.url("auth.refresh.token_endpoint", r.TokenEndpoint)
	k.secret("auth.refresh.refresh_token", s.RefreshToken, true)
	k.Text("auth.refresh.resource", r.Resource, MaxURL)
	k.Text("auth.refresh.scope", r.Scope, MaxURL)
	switch r.TokenAuth {
	case TokenAuthNone:
	case TokenAuthBasic, TokenAuthPost:
		k.secret("auth.refresh.token_endpoint_auth.client_secret", s.ClientSecret, true)
	default:
		k.Addf("auth.refresh.token_endpoint_auth.type", "must be none, client_secret_basic or client_secret_post")
	}
}

var hostName = regexp.MustCompile(`^(\*\.)?([A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)*[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?$`)

func (k *checker) networking(n Networking) {
	const path = "auth.networking.allowed_hosts"
	if !n.Limited {
		if len(n.AllowedHosts) > 0 {
			k.Addf(path, "is for limited networking only")
		}
		return
	}
	if len(n.AllowedHosts) > MaxHosts {
		k.Addf(path, "has %d entries; at most %d are allowed", len(n.AllowedHosts), MaxHosts)
		return
	}
	for i, h := range n.AllowedHosts {
		at := fmt.Sprintf("%s[%d]", path, i)
		if ip, err := netip.ParseAddr(h); err == nil && ip.Is4() {
			continue
		}
		// What ends in a number is an address or nothing.
		last := h[strings.LastIndexByte(h, '.')+1:]
		if len(h) > 253 || !hostName.MatchString(h) || strings.Trim(last, "0123456789") == "" {
			k.Addf(at, "must be a host name, an IPv4 address, or *. and a host name")
		}
	}
}

// subjectOf returns the digest of what a credential is for: an MCP server, however its address is spelled, or a variable. Addresses
// themselves may be longer than a database's index takes.
func subjectOf(a Auth) string {
	text := "mcp " + normalURL(a.MCPServerURL)
	if a.Type == EnvironmentVariable {
		text = "env " + a.SecretName
	}
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}

// normalURL spells an address in one way: lower-case scheme and host, no default port, no slash at the end, no fragment (RFC 3986, 6.2).
func normalURL(s string) string {
	u, err := url.Parse(s)
	if err != nil {
		return s
	}
	scheme, host, port := strings.ToLower(u.Scheme), strings.TrimSuffix(strings.ToLower(u.Hostname()), "."), u.Port()
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	if port != "" && !(scheme == "https" && port == "443" || scheme == "http" && port == "80") {
		host += ":" + port
	}
	normal := scheme + "://" + host + strings.TrimRight(u.EscapedPath(), "/")
	if u.RawQuery != "" {
		normal += "?" + u.RawQuery
	}
	return normal
}
