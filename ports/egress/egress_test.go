package egress_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/bureau-agents/bureau/ports/egress"
	"github.com/bureau-agents/bureau/ports/egress/egresstest"
	"github.com/bureau-agents/bureau/ports/fault"
)

func TestBlocked(t *testing.T) {
	t.Parallel()
	for ip, want := range map[string]string{
		"8.8.8.8": "", "1.1.1.1": "", "93.184.215.14": "", "172.15.255.255": "", "172.32.0.0": "", "100.63.255.255": "",
		"100.128.0.0": "", "11.0.0.0": "", "223.255.255.255": "", "169.253.0.1": "", "192.0.1.1": "",
		"2606:4700:4700::1111": "", "2a00:1450:4001:80b::200e": "",
		"127.0.0.1": "loopback", "127.255.255.254": "loopback", "::1": "loopback", "::ffff:127.0.0.1": "loopback",
		"10.0.0.1": "private", "172.16.0.1": "private", "172.31.255.255": "private", "192.168.1.1": "private",
		"::ffff:192.168.1.1": "private", "fc00::1": "private", "fdff::1": "private",
		"169.254.0.1": "link-local", "fe80::1": "link-local", "fe80::1%eth0": "link-local",
		"169.254.169.254": "cloud metadata", "::ffff:169.254.169.254": "cloud metadata", "fd00:ec2::254": "cloud metadata",
		"169.254.170.2": "cloud metadata", "168.63.129.16": "cloud metadata", "100.100.100.200": "carrier-grade NAT",
		"100.64.0.1": "carrier-grade NAT", "100.127.255.255": "carrier-grade NAT", "192.0.0.192": "protocol assignments",
		"0.0.0.0": "unspecified", "::": "unspecified", "0.1.2.3": "this network",
		"224.0.0.1": "multicast", "239.255.255.255": "multicast", "ff02::1": "multicast",
		"192.0.2.1": "documentation", "198.51.100.1": "documentation", "203.0.113.1": "documentation",
		"2001:db8::1": "documentation", "3fff::1": "documentation", "198.18.0.1": "benchmarking", "198.19.255.255": "benchmarking",
		"240.0.0.1": "reserved", "255.255.255.255": "reserved",
		"64:ff9b::7f00:1": "NAT64", "64:ff9b::808:808": "NAT64", "64:ff9b:1::1": "NAT64",
		"::7f00:1": "IPv4-compatible", "::ffff:0:7f00:1": "IPv4-translated", "2002:7f00:1::": "6to4",
		"2001:0:53aa:64c::1": "protocol assignments", "fec0::1": "site-local", "100::1": "discard-only",
		"5f00::1": "segment routing", "4000::1": "not a global address", "e000::1": "not a global address",
	} {
		if got := egress.Blocked(netip.MustParseAddr(ip)); got != want {
			t.Errorf("Blocked(%s) = %q, want %q", ip, got, want)
		}
	}
	if egress.Blocked(netip.Addr{}) == "" {
		t.Error("the invalid address passes")
	}
}

func TestConnectsOnlyWhereAllowed(t *testing.T) {
	t.Parallel()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "in") }))
	t.Cleanup(srv.Close)
	host, port, _ := net.SplitHostPort(srv.Listener.Addr().String())
	names := egresstest.Resolver(t, map[string][]netip.Addr{
		"rebound.test": {netip.MustParseAddr("127.0.0.1")},
		"mapped.test":  {netip.MustParseAddr("::ffff:127.0.0.1")},
		"inner.test":   {netip.MustParseAddr("127.0.0.1")},
	})
	for _, tc := range []struct {
		name, url string
		allow     []string
		reason    string // "" reaches the server
	}{
		{"an address", srv.URL, nil, "127.0.0.1 is not a public address (loopback)"},
		{"a name", "http://rebound.test:" + port, nil, "rebound.test resolves to 127.0.0.1, which is not a public address (loopback)"},
		{"a mapped address", "http://[::ffff:127.0.0.1]:" + port, nil, "not a public address (loopback)"},
		{"a name with a mapped address", "http://mapped.test:" + port, nil, "not a public address (loopback)"},
		{"metadata", "http://169.254.169.254/latest/meta-data", nil, "169.254.169.254 is not a public address (cloud metadata)"},
		{"unspecified", "http://0.0.0.0:" + port, nil, "not a public address (unspecified)"},
		{"another port", srv.URL, []string{"127.0.0.1:1"}, "loopback"},
		{"another scheme", "file:///etc/passwd", nil, "must begin with http:// or https://"},
		{"gopher", "gopher://127.0.0.1:" + port, nil, "must begin with http:// or https://"},
		{"allowed address", srv.URL, []string{host + ":" + port}, ""},
		{"allowed address, any port", srv.URL, []string{" 127.0.0.1 "}, ""},
		{"allowed block", srv.URL, []string{"127.0.0.0/8"}, ""},
		{"allowed block and port", srv.URL, []string{"127.0.0.0/8:" + port}, ""},
		{"allowed name", "http://inner.test:" + port, []string{"Inner.Test:" + port}, ""},
		{"the name allowed, the address asked for", srv.URL, []string{"inner.test:" + port}, "loopback"},
		{"the address allowed, the name asked for", "http://inner.test:" + port, []string{"127.0.0.1:" + port}, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			c, err := egress.New(egress.Config{Allow: tc.allow, Resolver: names})
			if err != nil {
				t.Fatal(err)
			}
			body, err := get(t, c, tc.url)
			if tc.reason == "" {
				if err != nil || body != "in" {
					t.Fatalf("got %q, %v", body, err)
				}
				return
			}
			if !errors.Is(err, egress.ErrBlocked) || !strings.Contains(err.Error(), tc.reason) {
				t.Fatalf("got %q, %v; want ErrBlocked with %q", body, err, tc.reason)
			}
		})
	}
}

// A name whose second answer differs from the first: the connection goes where the checked address says or nowhere.
func TestRebinding(t *testing.T) {
	t.Parallel()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "in") }))
	t.Cleanup(srv.Close)
	_, port, _ := net.SplitHostPort(srv.Listener.Addr().String())
	names := egresstest.Resolver(t, map[string][]netip.Addr{
		"both.test": {netip.MustParseAddr("127.0.0.1"), netip.MustParseAddr("10.0.0.1")},
	})
	c, err := egress.New(egress.Config{Resolver: names})
	if err != nil {
		t.Fatal(err)
	}
	for range 4 {
		if _, err := get(t, c, "http://both.test:"+port); !errors.Is(err, egress.ErrBlocked) {
			t.Fatalf("got %v", err)
		}
	}
}

func TestRedirects(t *testing.T) {
	t.Parallel()
	var seen http.Header
	target := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		seen = r.Header
		fmt.Fprint(w, "there")
	}))
	t.Cleanup(target.Close)
	mux := http.NewServeMux()
	from := httptest.NewServer(mux)
	t.Cleanup(from.Close)
	mux.HandleFunc("/away", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, target.URL, http.StatusFound) })
	mux.HandleFunc("/here", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/end", http.StatusFound) })
	mux.HandleFunc("/end", func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, r.Header.Get("X-Api-Key")) })
	mux.HandleFunc("/loop", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/loop", http.StatusFound) })
	mux.HandleFunc("/file", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "file:///etc/passwd", http.StatusFound)
	})
	mux.HandleFunc("/inside", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "http://169.254.169.254/", http.StatusFound)
	})

	both := egresstest.Client(t, from, target)
	one := egresstest.Client(t, from)

	body, err := getWith(t, both, from.URL+"/away", http.Header{
		"Authorization": {"Bearer s3cret"}, "X-Api-Key": {"s3cret"}, "Cookie": {"a=s3cret"}, "Accept": {"text/plain"},
	})
	if err != nil || body != "there" {
		t.Fatalf("got %q, %v", body, err)
	}
	if strings.Contains(fmt.Sprint(seen), "s3cret") {
		t.Errorf("a credential crossed to another host: %v", seen)
	}
	if seen.Get("Accept") != "text/plain" {
		t.Errorf("a harmless header was dropped: %v", seen)
	}
	if body, err := getWith(t, both, from.URL+"/here", http.Header{"X-Api-Key": {"mine"}}); err != nil || body != "mine" {
		t.Errorf("within one host a header is kept: got %q, %v", body, err)
	}
	for path, want := range map[string]error{
		"/away": egress.ErrBlocked, "/file": egress.ErrBlocked, "/inside": egress.ErrBlocked, "/loop": egress.ErrRedirects,
	} {
		if _, err := get(t, one, from.URL+path); !errors.Is(err, want) {
			t.Errorf("%s: got %v, want %v", path, err, want)
		}
	}
	never, err := egress.New(egress.Config{Allow: []string{from.Listener.Addr().String()}, MaxRedirects: -1})
	if err != nil {
		t.Fatal(err)
	}
	resp, err := never.HTTPClient().Get(from.URL + "/away")
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusFound {
		t.Errorf("got %s, want the redirect itself", resp.Status)
	}
}

func TestLimits(t *testing.T) {
	t.Parallel()
	stop := make(chan struct{})
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/exact":
			fmt.Fprint(w, strings.Repeat("x", 100))
		case "/over":
			fmt.Fprint(w, strings.Repeat("x", 101))
		case "/hang":
			select {
			case <-stop:
			case <-r.Context().Done():
			}
		}
	}))
	t.Cleanup(srv.Close)
	t.Cleanup(func() { close(stop) })
	c, err := egress.New(egress.Config{
		Allow: []string{srv.Listener.Addr().String()}, MaxBody: 100, Timeout: 300 * time.Millisecond,
	})
	if err != nil {
		t.Fatal(err)
	}
	if body, err := get(t, c, srv.URL+"/exact"); err != nil || len(body) != 100 {
		t.Errorf("exact: got %d bytes, %v", len(body), err)
	}
	if body, err := get(t, c, srv.URL+"/over"); !errors.Is(err, egress.ErrTooLarge) || len(body) != 100 {
		t.Errorf("over: got %d bytes, %v", len(body), err)
	}
	var timeout interface{ Timeout() bool }
	if _, err := get(t, c, srv.URL+"/hang"); !errors.As(err, &timeout) || !timeout.Timeout() {
		t.Errorf("hang: got %v", err)
	}
}

func TestDomains(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		domains []string
		host    string
		ok      bool
	}{
		{nil, "any.example", true},
		{[]string{}, "any.example", false},
		{[]string{"*"}, "any.example", true},
		{[]string{"example.com"}, "example.com", true},
		{[]string{"example.com"}, "EXAMPLE.com.", true},
		{[]string{"example.com"}, "www.example.com", false},
		{[]string{"example.com"}, "notexample.com", false},
		{[]string{"*.example.com"}, "www.example.com", true},
		{[]string{"*.example.com"}, "example.com", false},
		{[]string{"*.example.com"}, "evilexample.com", false},
	} {
		c, err := egress.New(egress.Config{Domains: tc.domains})
		if err != nil {
			t.Fatal(err)
		}
		err = c.Check(&url.URL{Scheme: "https", Host: tc.host})
		if got := err == nil; got != tc.ok {
			t.Errorf("%v reaches %s: %v (%v)", tc.domains, tc.host, got, err)
		}
	}
}

func TestNewRefusesBadAllow(t *testing.T) {
	t.Parallel()
	for _, s := range []string{"host:", ":80", "host:0", "host:70000", "10.0.0.0/33", "a b:80", "http://x:80", "user@host"} {
		if _, err := egress.New(egress.Config{Allow: []string{s}}); fault.KindOf(err) != fault.Invalid {
			t.Errorf("%q: got %v", s, err)
		}
	}
	for _, s := range []string{"", "host", "host:80", "10.0.0.1", "[::1]:80", "::1", "fd00::/8", "10.0.0.0/8:443"} {
		if _, err := egress.New(egress.Config{Allow: []string{s}}); err != nil {
			t.Errorf("%q: %v", s, err)
		}
	}
}

// Whatever the address, the client agrees with Blocked, and no embedded form of a private address passes.
func FuzzCheck(f *testing.F) {
	for _, s := range []string{
		"http://127.0.0.1/", "http://[::1]:80/", "https://0x7f.1/", "http://2130706433/", "http://[64:ff9b::a00:1]/", "//x", "http://a@b/",
	} {
		f.Add(s)
	}
	c, err := egress.New(egress.Config{})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, s string) {
		u, err := url.Parse(s)
		if err != nil {
			return
		}
		err = c.Check(u)
		if err != nil && !errors.Is(err, egress.ErrBlocked) {
			t.Fatalf("%q: %v", s, err)
		}
		ip, perr := netip.ParseAddr(u.Hostname())
		if err == nil && perr == nil {
			if v4 := ip.Unmap(); v4.IsPrivate() || v4.IsLoopback() || v4.IsLinkLocalUnicast() || v4.IsMulticast() || v4.IsUnspecified() {
				t.Fatalf("%q passes", s)
			}
		}
	})
}

func get(t *testing.T, c *egress.Client, url string) (string, error) {
	t.Helper()
	return getWith(t, c, url, nil)
}

func getWith(t *testing.T, c *egress.Client, url string, h http.Header) (string, error) {
	t.Helper()
	req, err := http.NewRequestWithContext(context.Background(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	for k, v := range h {
		req.Header[k] = v
	}
	resp, err := c.HTTPClient().Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return string(b), err
}

// TestUnreachable: the message says what is wrong and nothing of the network behind it.
func TestUnreachable(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	c, err := egress.New(egress.Config{Allow: []string{addr}})
	if err != nil {
		t.Fatal(err)
	}
	_, err = c.HTTPClient().Get("http://" + addr)
	f, ok := fault.As(err)
	if !ok || !errors.Is(err, egress.ErrUnreachable) || f.Message != "127.0.0.1 refuses connections" {
		t.Errorf("got %v, want ErrUnreachable that says that connections are refused", err)
	}
}
