package web_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/bureau-agents/bureau/adapters/tool/web"
	"github.com/bureau-agents/bureau/core/sandbox"
	"github.com/bureau-agents/bureau/ports/fault"
)

const page = `<!doctype html><html><head><title> A  page
</title><style>p{color:red}</style><script>alert("no")</script></head>
<body><h1>Prices</h1><p>Tea costs <b>3</b> coins. <a href="/more">More</a></p>
<table><tr><th>Item</th><th>Coins</th></tr><tr><td>Tea</td><td>3</td></tr></table></body></html>`

func serve(t *testing.T) *url.URL {
	t.Helper()
	mux := http.NewServeMux()
	answer := func(path, media, body string) {
		mux.HandleFunc(path, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", media)
			_, _ = w.Write([]byte(body))
		})
	}
	answer("/page", "text/html; charset=utf-8", page)
	answer("/latin", "text/html; charset=iso-8859-1", "<p>caf\xe9</p>")
	answer("/text", "text/plain", "plain text")
	answer("/data.json", "application/json", `{"a": 1}`)
	answer("/image", "image/png", "\x89PNG\r\n\x1a\n\x00")
	answer("/big", "text/plain", strings.Repeat("x", 4000))
	answer("/deep", "text/html", strings.Repeat("<div>", 100_000))
	mux.HandleFunc("/away", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, r.URL.Query().Get("to"), http.StatusFound)
	})
	mux.HandleFunc("/slow", func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	srv := httptest.NewServer(mux)
	t.Cleanup(srv.Close)
	u, err := url.Parse(srv.URL)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func fetcher(t *testing.T, cfg web.Config) *web.Fetcher {
	t.Helper()
	f, err := web.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestFetch(t *testing.T) {
	t.Parallel()
	u := serve(t)
	f := fetcher(t, web.Config{EgressAllow: []string{u.Host}, MaxBody: 3000})
	for _, c := range []struct {
		path, title string
		has         []string
		hasNot      string
		cut         bool
	}{
		{path: "/page", title: "A page", has: []string{"# Prices", "Tea costs **3** coins", u.String() + "/more", "| Tea "}, hasNot: "alert"},
		{path: "/latin", has: []string{"café"}},
		{path: "/text", has: []string{"plain text"}},
		{path: "/data.json", has: []string{`{"a": 1}`}},
		{path: "/big", has: []string{"xxx"}, cut: true},
		{path: "/away?to=/text", has: []string{"plain text"}},
	} {
		got, err := f.Fetch(t.Context(), sandbox.FetchRequest{URL: u.String() + c.path})
		if err != nil {
			t.Errorf("%s: %v", c.path, err)
			continue
		}
		if got.Title != c.title || got.Truncated != c.cut {
			t.Errorf("%s: title %q, cut %t", c.path, got.Title, got.Truncated)
		}
		for _, want := range c.has {
			if !strings.Contains(got.Text, want) {
				t.Errorf("%s: no %q in %q", c.path, want, got.Text)
			}
		}
		if c.hasNot != "" && strings.Contains(got.Text, c.hasNot) {
			t.Errorf("%s: has %q: %q", c.path, c.hasNot, got.Text)
		}
	}
}

func TestFetchRefuses(t *testing.T) {
	t.Parallel()
	u := serve(t)
	f := fetcher(t, web.Config{EgressAllow: []string{u.Host}, Timeout: 300 * time.Millisecond})
	for _, c := range []struct {
		name string
		req  sandbox.FetchRequest
		code string
	}{
		{"another scheme", sandbox.FetchRequest{URL: "file:///etc/passwd"}, "web_address"},
		{"credentials", sandbox.FetchRequest{URL: "http://a:b@" + u.Host + "/text"}, "web_address"},
		{"a private address", sandbox.FetchRequest{URL: "http://127.0.0.1:1/"}, "egress_blocked"},
		{"a redirect to a private address", sandbox.FetchRequest{URL: u.String() + "/away?to=http://127.0.0.1:1/"}, "egress_blocked"},
		{"a blocked domain", sandbox.FetchRequest{URL: u.String() + "/text", Blocked: []string{"127.0.0.1"}}, "web_domain"},
		{"a blocked domain in wide letters", sandbox.FetchRequest{URL: "http://ｅxample.com/", Blocked: []string{"example.com"}}, "web_domain"},
		{"a blocked domain in Punycode", sandbox.FetchRequest{URL: "http://a.xn--bcher-kva.test/", Blocked: []string{"bücher.test"}}, "web_domain"},
		{"a domain that is not allowed", sandbox.FetchRequest{URL: u.String() + "/text", Allowed: []string{"example.com"}}, "web_domain"},
		{"nothing allowed", sandbox.FetchRequest{URL: u.String() + "/text", Allowed: []string{}}, "web_domain"},
		{"another path", sandbox.FetchRequest{URL: u.String() + "/text", Allowed: []string{"127.0.0.1/page"}}, "web_domain"},
		{
			"a redirect to a domain that is not allowed",
			sandbox.FetchRequest{URL: u.String() + "/away?to=http://localhost:" + u.Port() + "/text", Allowed: []string{"127.0.0.1"}}, "web_domain",
		},
		{"not found", sandbox.FetchRequest{URL: u.String() + "/none"}, "web_answer"},
		{"an image", sandbox.FetchRequest{URL: u.String() + "/image"}, "web_media_type"},
		{"HTML without end", sandbox.FetchRequest{URL: u.String() + "/deep"}, "web_media_type"},
		{"no answer in time", sandbox.FetchRequest{URL: u.String() + "/slow"}, "web_answer"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			_, err := f.Fetch(t.Context(), c.req)
			fe, ok := errors.AsType[*fault.Error](err)
			if !ok || fe.Code != c.code {
				t.Errorf("%v, want %s", err, c.code)
			}
		})
	}
	if _, err := f.Fetch(t.Context(), sandbox.FetchRequest{URL: u.String() + "/text", Allowed: []string{"127.0.0.1/text"}}); err != nil {
		t.Errorf("an allowed path: %v", err)
	}
	if _, err := web.New(web.Config{EgressAllow: []string{"not an address"}}); err == nil {
		t.Error("an allowance that is no address was taken")
	}
}

// A page of brackets must not keep a processor busy for hours.
func TestFetchBrackets(t *testing.T) {
	t.Parallel()
	const n = 1 << 20
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		_, _ = w.Write([]byte(strings.Repeat("[", n)))
	}))
	t.Cleanup(srv.Close)
	f := fetcher(t, web.Config{EgressAllow: []string{strings.TrimPrefix(srv.URL, "http://")}})
	done := make(chan string, 1)
	go func() {
		p, err := f.Fetch(t.Context(), sandbox.FetchRequest{URL: srv.URL})
		if err != nil {
			t.Error(err)
		}
		done <- p.Text
	}()
	select {
	case text := <-done:
		if len(text) != n {
			t.Errorf("the page became %d bytes", len(text))
		}
	case <-time.After(30 * time.Second):
		t.Fatal("the page is still being read")
	}
}
