package egress

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/bureau-agents/bureau/ports/fault"
)

// The errors of the client; each is also found behind the *url.Error that http.Client returns.
var (
	// ErrUnreachable is returned when no connection could be made; its message is fit for a tenant.
	ErrUnreachable = fault.New(fault.Unavailable, "egress_unreachable", "the address cannot be reached")
	// ErrBlocked is returned for an address that must not be reached. Its message names the host and the reason.
	ErrBlocked = fault.New(fault.Forbidden, "egress_blocked", "the address may not be reached")
	// ErrTooLarge is returned by a body's Read once it has given Config.MaxBody bytes and there are more.
	ErrTooLarge = fault.New(fault.TooLarge, "egress_too_large", "the answer is too large")
	// ErrRedirects is returned for an answer that redirects more than Config.MaxRedirects times.
	ErrRedirects = fault.New(fault.Invalid, "egress_redirects", "the address redirects too often")
)

// The defaults of Config.
const (
	DefaultMaxBody      = 16 << 20
	DefaultTimeout      = 30 * time.Second
	DefaultMaxRedirects = 5
)

// Config of a client; the zero value reaches every public host and no private one.
type Config struct {
	// Allow lists the private addresses that may be reached nevertheless, each as "host:port" where the host is a name or an IP
	// address as it stands in the URL; "host" alone opens every port of it, and "10.0.0.0/8" or "10.0.0.0/8:8080" a block.
	Allow []string
	// Domains limits the hosts: a name, "*.example.com" for its subdomains, "*" for any. nil is any; an empty list is none.
	Domains []string
	// MaxBody is how many bytes of an answer are read, after decompression; 0 is DefaultMaxBody, -1 is no limit.
	MaxBody int64
	// Timeout covers a whole request with its redirects and its body; 0 is DefaultTimeout, -1 is none (for streams).
	Timeout time.Duration
	// MaxRedirects is how many redirects are followed; 0 is DefaultMaxRedirects, -1 is none: the redirecting answer is returned.
	MaxRedirects int
	// Resolver looks names up; nil is the system's.
	Resolver *net.Resolver
	// UserAgent is sent where a request has none; "" is "bureau".
	UserAgent string
}

// Client reaches what its Config lets it. It is safe for concurrent use.
type Client struct {
	cfg     Config
	allowed []allowance
	http    *http.Client
}

// allowance is one entry of Config.Allow.
type allowance struct {
	host  string       // a name or an address, as in a URL, lower-case; "" when block is set
	block netip.Prefix // or a block of addresses
	port  string       // "" is any
}

// New checks cfg and returns a client. It opens nothing.
func New(cfg Config) (*Client, error) {
	if cfg.MaxBody == 0 {
		cfg.MaxBody = DefaultMaxBody
	}
	if cfg.Timeout == 0 {
		cfg.Timeout = DefaultTimeout
	}
	if cfg.MaxRedirects == 0 {
		cfg.MaxRedirects = DefaultMaxRedirects
	}
	if cfg.UserAgent == "" {
		cfg.UserAgent = "bureau"
	}
	c := &Client{cfg: cfg}
	for _, s := range cfg.Allow {
		if strings.TrimSpace(s) == "" {
			continue
		}
		a, err := parseAllow(s)
		if err != nil {
			return nil, err
		}
		c.allowed = append(c.allowed, a)
	}
	transport := &http.Transport{
		Proxy:                  nil, // a proxy would make the connection, and the check, for us
		DialContext:            c.dial,
		ForceAttemptHTTP2:      true,
		MaxIdleConns:           64,
		MaxIdleConnsPerHost:    4,
		IdleConnTimeout:        60 * time.Second,
		TLSHandshakeTimeout:    10 * time.Second,
		ExpectContinueTimeout:  time.Second,
		MaxResponseHeaderBytes: 1 << 20,
	}
	c.http = &http.Client{Transport: &roundTripper{c, transport}, CheckRedirect: c.redirect}
	if cfg.Timeout > 0 {
		c.http.Timeout = cfg.Timeout
	}
	return c, nil
}

func parseAllow(s string) (allowance, error) {
	raw := strings.ToLower(strings.TrimSpace(s))
	bad := fault.Invalidf("allow", "%q must be host:port, host, or an address block like 10.0.0.0/8", s)
	a := allowance{}
	host := raw
	if ip, err := netip.ParseAddr(strings.Trim(raw, "[]")); err == nil {
		a.host = ip.Unmap().String()
		return a, nil
	}
	if i := strings.LastIndexByte(raw, ':'); i >= 0 && !strings.Contains(raw[i:], "/") {
		if p, err := netip.ParsePrefix(raw); err == nil { // an IPv6 block ends in its length, not in a port
			a.block = p.Masked()
			return a, nil
		}
		host, a.port = strings.Trim(raw[:i], "[]"), raw[i+1:]
		if n, err := strconv.ParseUint(a.port, 10, 16); err != nil || n == 0 {
			return a, bad
		}
	}
	if strings.Contains(host, "/") {
		p, err := netip.ParsePrefix(host)
		if err != nil {
			return a, bad
		}
		a.block = p.Masked()
		return a, nil
	}
	if ip, err := netip.ParseAddr(host); err == nil {
		host = ip.Unmap().String()
	}
	if host == "" || strings.ContainsAny(host, " \t@?#%") {
		return a, bad
	}
	a.host = host
	return a, nil
}

// HTTPClient returns the guarded client. Callers must not change it; it is shared, and so are its connections.
func (c *Client) HTTPClient() *http.Client { return c.http }

// CloseIdle closes connections that wait for reuse.
func (c *Client) CloseIdle() { c.http.CloseIdleConnections() }

// Check says whether u could be reached, as far as that can be told without looking its name up: for a caller who stores an
// address and wants to refuse a hopeless one at once. Names that resolve to private addresses are refused only when they are
// used.
func (c *Client) Check(u *url.URL) error {
	if u.Scheme != "http" && u.Scheme != "https" {
		return ErrBlocked.Withf("the address %s must begin with http:// or https://", shown(u))
	}
	host := u.Hostname()
	if host == "" {
		return ErrBlocked.Withf("the address %s has no host", shown(u))
	}
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	if c.cfg.Domains != nil && !matchDomain(c.cfg.Domains, host) {
		return ErrBlocked.Withf("the host %q is not among the declared domains", host)
	}
	if ip, err := netip.ParseAddr(host); err == nil {
		return c.checkIP(host, port, ip)
	}
	return nil
}

// checkIP says whether ip may be reached under the name host, which may be an address itself.
func (c *Client) checkIP(host, port string, ip netip.Addr) error {
	why := Blocked(ip)
	if why == "" || c.allows(host, port, ip) {
		return nil
	}
	if parsed, err := netip.ParseAddr(host); err == nil && parsed.Unmap() == ip.Unmap() {
		return ErrBlocked.Withf("%s is not a public address (%s)", host, why)
	}
	return ErrBlocked.Withf("%s resolves to %s, which is not a public address (%s)", host, ip, why)
}

func (c *Client) allows(host, port string, ip netip.Addr) bool {
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	if parsed, err := netip.ParseAddr(host); err == nil {
		host = parsed.Unmap().String()
	}
	for _, a := range c.allowed {
		if a.port != "" && a.port != port {
			continue
		}
		if a.host == host && a.host != "" || a.block.IsValid() && a.block.Contains(ip.Unmap()) {
			return true
		}
		// An entry that is an address opens it under whatever name leads there.
		if a.host == ip.Unmap().String() {
			return true
		}
	}
	return false
}

// Dial connects to addr, "host:port", over TCP, under the same rules as a request: for proxies and protocols that are not HTTP. The
// limits of Config on bodies, redirects and time do not apply.
func (c *Client) Dial(ctx context.Context, addr string) (net.Conn, error) {
	host, port, err := net.SplitHostPort(addr)
	if err != nil || host == "" {
		return nil, ErrBlocked.Withf("%q is not host:port", addr)
	}
	if c.cfg.Domains != nil && !matchDomain(c.cfg.Domains, host) {
		return nil, ErrBlocked.Withf("the host %q is not among the declared domains", host)
	}
	if ip, err := netip.ParseAddr(host); err == nil {
		if err := c.checkIP(host, port, ip); err != nil {
			return nil, err
		}
	}
	return c.dial(ctx, "tcp", addr)
}

// dial connects to the first address of the name that may be reached. The check runs in the dialer's Control, on the address
// that the kernel is about to connect to: there is no second look-up that could answer differently.
func (c *Client) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, ErrBlocked.Withf("%q is not an address", addr)
	}
	d := net.Dialer{
		Timeout: 10 * time.Second, KeepAlive: 30 * time.Second, Resolver: c.cfg.Resolver,
		Control: func(network, address string, _ syscall.RawConn) error {
			if network != "tcp4" && network != "tcp6" {
				return ErrBlocked.Withf("%s: only TCP is reached", host)
			}
			ap, err := netip.ParseAddrPort(address)
			if err != nil {
				return ErrBlocked.Withf("%s: %q is not an address", host, address)
			}
			return c.checkIP(host, port, ap.Addr())
		},
	}
	conn, err := d.DialContext(ctx, network, addr)
	if err != nil {
		return nil, unreachable(host, err)
	}
	return conn, nil
}

// unreachable tells why without the addresses of resolvers and routes, which are the operator's own matter.
func unreachable(host string, err error) error {
	if blocked, ok := fault.As(err); ok {
		return blocked
	}
	if dns, ok := errors.AsType[*net.DNSError](err); ok && dns.IsNotFound {
		return ErrUnreachable.Withf("there is no host %s", host).Wrap(err)
	}
	if timeout, ok := errors.AsType[net.Error](err); ok && timeout.Timeout() {
		return ErrUnreachable.Withf("%s did not answer in time", host).Wrap(err)
	}
	if errors.Is(err, syscall.ECONNREFUSED) {
		return ErrUnreachable.Withf("%s refuses connections", host).Wrap(err)
	}
	return ErrUnreachable.Withf("%s cannot be reached", host).Wrap(err)
}

// redirect decides about each redirect before it is followed. http.Client drops Authorization, Cookie and WWW-Authenticate on
// the way to another domain; credentials in other headers are ours to drop.
func (c *Client) redirect(req *http.Request, via []*http.Request) error {
	if c.cfg.MaxRedirects < 0 {
		return http.ErrUseLastResponse
	}
	if len(via) > c.cfg.MaxRedirects {
		return ErrRedirects.Withf("%s redirects more than %d times", via[0].URL.Host, c.cfg.MaxRedirects)
	}
	if err := c.Check(req.URL); err != nil {
		return err
	}
	from := via[len(via)-1].URL
	if from.Scheme == "https" && req.URL.Scheme == "http" || !sameOrigin(via[0].URL, req.URL) {
		for name := range req.Header {
			if !harmless[name] {
				req.Header.Del(name)
			}
		}
	}
	return nil
}

// harmless are the headers that may follow a redirect to another host; any other may carry a credential.
var harmless = map[string]bool{
	"Accept": true, "Accept-Encoding": true, "Accept-Language": true, "Content-Type": true, "Range": true, "User-Agent": true,
}

func sameOrigin(a, b *url.URL) bool {
	return strings.EqualFold(a.Host, b.Host) && a.Scheme == b.Scheme
}

// roundTripper checks each request, the redirected ones too, and limits its answer.
type roundTripper struct {
	c    *Client
	next *http.Transport
}

// CloseIdleConnections lets http.Client.CloseIdleConnections reach the transport.
func (t *roundTripper) CloseIdleConnections() { t.next.CloseIdleConnections() }

func (t *roundTripper) RoundTrip(req *http.Request) (*http.Response, error) {
	if err := t.c.Check(req.URL); err != nil {
		if req.Body != nil {
			_ = req.Body.Close()
		}
		return nil, err
	}
	if req.Header.Get("User-Agent") == "" {
		req = req.Clone(req.Context())
		req.Header.Set("User-Agent", t.c.cfg.UserAgent)
	}
	resp, err := t.next.RoundTrip(req)
	if err != nil {
		if f, ok := fault.As(err); ok { // the dialer's verdict, out of the layers around it
			return nil, f
		}
		return nil, err
	}
	if limit := t.c.cfg.MaxBody; limit >= 0 && resp.Body != nil {
		resp.Body = &limited{ReadCloser: resp.Body, left: limit, host: req.URL.Host, max: limit}
	}
	return resp, nil
}

// limited fails once more than max bytes came.
type limited struct {
	io.ReadCloser
	left, max int64
	host      string
}

func (l *limited) Read(p []byte) (int, error) {
	if l.left <= 0 {
		var one [1]byte
		for {
			switch n, err := l.ReadCloser.Read(one[:]); {
			case n > 0:
				return 0, ErrTooLarge.Withf("the answer of %s has more than %d bytes", l.host, l.max)
			case err != nil:
				return 0, err
			}
		}
	}
	if int64(len(p)) > l.left {
		p = p[:l.left]
	}
	n, err := l.ReadCloser.Read(p)
	l.left -= int64(n)
	return n, err
}

// Write lets an upgraded connection (101 Switching Protocols) be written to; other bodies cannot be.
func (l *limited) Write(p []byte) (int, error) {
	if w, ok := l.ReadCloser.(io.Writer); ok {
		return w.Write(p)
	}
	return 0, errors.ErrUnsupported
}

// matchDomain reports whether host is one of the patterns: a name, "*.example.com" for the subdomains of one, or "*".
func matchDomain(patterns []string, host string) bool {
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	for _, p := range patterns {
		p = strings.ToLower(strings.TrimSpace(p))
		if p == "*" || p == host {
			return true
		}
		if suffix, ok := strings.CutPrefix(p, "*"); ok && strings.HasPrefix(suffix, ".") && len(host) > len(suffix) &&
			strings.HasSuffix(host, suffix) {
			return true
		}
	}
	return false
}

// shown is u without what could be a secret: user, query and fragment.
func shown(u *url.URL) string {
	s := fmt.Sprintf("%s://%s%s", u.Scheme, u.Host, u.EscapedPath())
	if len(s) > 200 {
		s = s[:200]
	}
	return strconv.Quote(s)
}
