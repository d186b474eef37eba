package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/bureau-agents/bureau/plugins/sdk/sdktest"
	"github.com/bureau-agents/bureau/ports/tool"
	"github.com/bureau-agents/bureau/ports/tool/tooltest"
)

const page = `<!doctype html><html><head><title> A  page </title><style>p{}</style></head><body>
<h1>Head</h1><p>One <b>bold</b>, <a href="https://example.com/x">linked</a> line.</p>
<script>alert("no")</script><ul><li>first</li><li>second</li></ul>
<table><tr><td>a</td><td>b</td></tr></table><pre>  kept
as is</pre><div>end &amp; done</div></body></html>`

const pageText = `Head

One bold, linked (https://example.com/x) line.

- first
- second

a | b |

  kept
as is

end & done`

func server(t *testing.T) *httptest.Server {
	t.Helper()
	mux := http.NewServeMux()
	mux.HandleFunc("/page", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		fmt.Fprint(w, page)
	})
	mux.HandleFunc("/moved", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "/page", http.StatusMovedPermanently)
	})
	mux.HandleFunc("/inside", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "http://169.254.169.254/latest/", http.StatusFound)
	})
	mux.HandleFunc("/latin1", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; charset=iso-8859-1")
		_, _ = w.Write([]byte("caf\xe9"))
	})
	mux.HandleFunc("/image", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "image/png")
		_, _ = w.Write([]byte("\x89PNG\r\n\x1a\n"))
	})
	mux.HandleFunc("/long", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain")
		fmt.Fprint(w, strings.Repeat("é", 1000))
	})
	mux.HandleFunc("/huge", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain")
		for range 9 {
			_, _ = w.Write([]byte(strings.Repeat("x", 1<<20)))
		}
	})
	srv := httptest.NewServer(mux)
	t.Cleanup(srv.Close)
	return srv
}

func TestSuite(t *testing.T) {
	srv := server(t)
	sdktest.Reach(t, srv)
	input, err := json.Marshal(map[string]string{"url": srv.URL + "/page"})
	if err != nil {
		t.Fatal(err)
	}
	tooltest.Run(t, tooltest.Config{
		New:  func(t *testing.T) tool.Tool { return sdktest.Skill(t, httpFetch()) },
		Call: tool.Call{Key: "k", Input: input},
	})
}

func TestFetch(t *testing.T) {
	srv := server(t)
	sdktest.Reach(t, srv)
	skill := sdktest.Skill(t, httpFetch())
	html := "text/html; charset=utf-8"
	for name, tc := range map[string]struct {
		in   input
		want output
	}{
		"a page":     {input{URL: srv.URL + "/page"}, output{Status: 200, URL: srv.URL + "/page", ContentType: html, Title: "A page", Text: pageText}},
		"raw":        {input{URL: srv.URL + "/page", Format: "raw"}, output{Status: 200, URL: srv.URL + "/page", ContentType: html, Text: page}},
		"redirected": {input{URL: srv.URL + "/moved"}, output{Status: 200, URL: srv.URL + "/page", ContentType: html, Title: "A page", Text: pageText}},
		"headers":    {input{URL: srv.URL + "/page", Method: "HEAD"}, output{Status: 200, URL: srv.URL + "/page", ContentType: html, Length: int64(len(page))}},
		"latin1":     {input{URL: srv.URL + "/latin1"}, output{Status: 200, URL: srv.URL + "/latin1", ContentType: "text/plain; charset=iso-8859-1", Text: "café"}},
		"missing":    {input{URL: srv.URL + "/none"}, output{Status: 404, URL: srv.URL + "/none", ContentType: "text/plain; charset=utf-8", Text: "404 page not found\n"}},
		"cut between characters": {
			input{URL: srv.URL + "/long", MaxBytes: 5},
			output{Status: 200, URL: srv.URL + "/long", ContentType: "text/plain", Text: "éé", Truncated: true},
		},
	} {
		res := sdktest.Call(t, skill, tc.in)
		if res.IsError {
			t.Errorf("%s: %s", name, res.Text)
			continue
		}
		var got output
		if err := json.Unmarshal([]byte(res.Text), &got); err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(tc.want, got); d != "" {
			t.Errorf("%s (-want +got):\n%s", name, d)
		}
	}
	res := sdktest.Call(t, skill, input{URL: srv.URL + "/huge", MaxBytes: maxAnswer})
	if res.IsError || len(res.Text) > tool.MaxResultBytes || !strings.Contains(res.Text, `"truncated":true`) {
		t.Errorf("a huge answer: %d bytes, error %v", len(res.Text), res.IsError)
	}
}

func TestRefusals(t *testing.T) {
	srv := server(t)
	other := server(t)
	sdktest.Reach(t, srv)
	skill := sdktest.Skill(t, httpFetch())
	for url, want := range map[string]string{
		other.URL + "/page":         "127.0.0.1 is not a public address (loopback)",
		srv.URL + "/inside":         "169.254.169.254 is not a public address (cloud metadata)",
		"http://localhost:1/":       "is not a public address (loopback)",
		"http://[::ffff:10.0.0.1]/": "is not a public address (private)",
		"file:///etc/passwd":        "must begin with http:// or https://",
		"ftp://example.com/":        "must begin with http:// or https://",
		"example.com":               "must begin with http:// or https://",
		srv.URL + "/image":          "is image/png, which is not text",
	} {
		res := sdktest.Call(t, skill, input{URL: url})
		if !res.IsError || !strings.Contains(res.Text, want) {
			t.Errorf("%s: got %q (error %v), want an error with %q", url, res.Text, res.IsError, want)
		}
	}
	for _, in := range []input{{URL: srv.URL, Method: "POST"}, {URL: srv.URL, Format: "pdf"}, {URL: srv.URL, MaxBytes: -1}} {
		if res := sdktest.Call(t, skill, in); !res.IsError {
			t.Errorf("%+v was accepted", in)
		}
	}
}

func FuzzReadable(f *testing.F) {
	f.Add(page)
	f.Add("<table><td><li><pre>\n<a href=http://x>")
	f.Fuzz(func(_ *testing.T, s string) { readable([]byte(s)) })
}
