package wellknown_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/bureau-agents/bureau/adapters/card/wellknown"
	"github.com/bureau-agents/bureau/core/card"
	"github.com/bureau-agents/bureau/ports/egress"
)

const text = `{"name": "parrot"}`

// serve answers with pages by their path; what is not among them is missing.
func serve(t *testing.T, pages map[string]http.HandlerFunc) string {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if page := pages[r.URL.Path]; page != nil {
			page(w, r)
			return
		}
		http.NotFound(w, r)
	}))
	t.Cleanup(s.Close)
	return s.URL
}

func page(body string, header ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		for i := 0; i < len(header); i += 2 {
			w.Header().Add(header[i], header[i+1])
		}
		if etag := w.Header().Get("ETag"); etag != "" && r.Header.Get("If-None-Match") == etag {
			w.WriteHeader(http.StatusNotModified)
			return
		}
		_, _ = w.Write([]byte(body))
	}
}

func status(code int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }
}

func TestFetch(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		pages   map[string]http.HandlerFunc
		address string // below the server's
		etag    string
		want    wellknown.Fetched // with URL below the server's
		err     error
	}{
		"below a base": {
			pages: map[string]http.HandlerFunc{wellknown.Path: page(text, "ETag", `"1"`, "Cache-Control", "public, max-age=60", "Age", "20")},
			want:  wellknown.Fetched{URL: wellknown.Path, Text: []byte(text), ETag: `"1"`, MaxAge: 40 * time.Second},
		},
		"below a base with a path": {
			pages: map[string]http.HandlerFunc{"/agents/a" + wellknown.Path: page(text)}, address: "/agents/a/",
			want: wellknown.Fetched{URL: "/agents/a" + wellknown.Path, Text: []byte(text), MaxAge: -1},
		},
		"the older name": {
			pages: map[string]http.HandlerFunc{wellknown.LegacyPath: page(text, "Cache-Control", "no-cache, max-age=60")}, address: "/",
			want: wellknown.Fetched{URL: wellknown.LegacyPath, Text: []byte(text), Legacy: true},
		},
		"behind a page for every address": {
			pages: map[string]http.HandlerFunc{wellknown.Path: page("<html>"), wellknown.LegacyPath: page(text, "Cache-Control", "max-age=soon")},
			want:  wellknown.Fetched{URL: wellknown.LegacyPath, Text: []byte(text), Legacy: true},
		},
		"the address of a card": {
			pages: map[string]http.HandlerFunc{"/cards/1.json": page("\xef\xbb\xbf " + text)}, address: "/cards/1.json#top",
			want: wellknown.Fetched{URL: "/cards/1.json", Text: []byte("\xef\xbb\xbf " + text), MaxAge: -1},
		},
		"the address of a card without a suffix": {
			pages: map[string]http.HandlerFunc{"/card": page(text)}, address: "/card?of=1",
			want: wellknown.Fetched{URL: "/card?of=1", Text: []byte(text), MaxAge: -1},
		},
		"a redirect": {
			pages: map[string]http.HandlerFunc{
				wellknown.Path: http.RedirectHandler("/elsewhere", http.StatusFound).ServeHTTP, "/elsewhere": page(text),
			},
			want: wellknown.Fetched{URL: wellknown.Path, Text: []byte(text), MaxAge: -1},
		},
		"unchanged": {
			pages: map[string]http.HandlerFunc{wellknown.Path: page(text, "ETag", `"1"`)}, address: wellknown.Path, etag: `"1"`,
			want: wellknown.Fetched{URL: wellknown.Path, ETag: `"1"`, MaxAge: -1, NotModified: true},
		},
		"changed": {
			pages: map[string]http.HandlerFunc{wellknown.Path: page(text, "ETag", `"2"`)}, address: wellknown.Path, etag: `"1"`,
			want: wellknown.Fetched{URL: wellknown.Path, Text: []byte(text), ETag: `"2"`, MaxAge: -1},
		},
		"none":               {err: wellknown.ErrMissing},
		"no card there":      {address: "/card.json", err: wellknown.ErrMissing},
		"not shown":          {pages: map[string]http.HandlerFunc{wellknown.Path: status(http.StatusUnauthorized)}, err: wellknown.ErrRefused},
		"a broken server":    {pages: map[string]http.HandlerFunc{wellknown.Path: status(http.StatusBadGateway)}, err: wellknown.ErrUnreachable},
		"an unasked for 304": {pages: map[string]http.HandlerFunc{wellknown.Path: status(http.StatusNotModified)}, err: wellknown.ErrMissing},
		"a circle": {
			pages: map[string]http.HandlerFunc{wellknown.Path: http.RedirectHandler(wellknown.Path, http.StatusFound).ServeHTTP},
			err:   wellknown.ErrUnreachable,
		},
		"a card that is cut off": {
			pages: map[string]http.HandlerFunc{wellknown.Path: page(text, "Content-Length", "1000")}, err: wellknown.ErrUnreachable,
		},
		"one without end": {
			pages: map[string]http.HandlerFunc{wellknown.Path: page("{" + strings.Repeat(" ", card.MaxSize))}, err: wellknown.ErrTooLarge,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			base := serve(t, tc.pages)
			got, err := wellknown.New(wellknown.Config{}).Fetch(t.Context(), base+tc.address, tc.etag)
			if !errors.Is(err, tc.err) {
				t.Fatalf("error %v, want %v", err, tc.err)
			}
			got.URL = strings.TrimPrefix(got.URL, base)
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("fetched (-want +got):\n%s", diff)
			}
		})
	}
}

func TestAddresses(t *testing.T) {
	t.Parallel()
	for _, bad := range []string{"", "parrot", "ftp://host/card.json", "https:///card.json", "https://ada:secret@host/", "http://[::1"} {
		if _, err := wellknown.New(wellknown.Config{}).Fetch(t.Context(), bad, ""); !errors.Is(err, wellknown.ErrAddress) {
			t.Errorf("%q: %v", bad, err)
		}
	}
	places, err := wellknown.Places("https://host:8443/a%2Fb?q=1")
	want := []string{"https://host:8443/a%2Fb/.well-known/agent-card.json", "https://host:8443/a%2Fb/.well-known/agent.json", "https://host:8443/a%2Fb?q=1"}
	if diff := cmp.Diff(want, places); diff != "" || err != nil {
		t.Errorf("places (-want +got):\n%s%v", diff, err)
	}
}

// TestGuarded: what the guarded client refuses is told as it says it.
func TestGuarded(t *testing.T) {
	t.Parallel()
	base := serve(t, map[string]http.HandlerFunc{wellknown.Path: page(text)})
	guard, err := egress.New(egress.Config{})
	if err != nil {
		t.Fatal(err)
	}
	s := wellknown.New(wellknown.Config{Transport: guard.HTTPClient().Transport})
	if _, err := s.Fetch(t.Context(), base, ""); !errors.Is(err, egress.ErrBlocked) {
		t.Errorf("a private address: %v", err)
	}
}

func TestTimeout(t *testing.T) {
	t.Parallel()
	base := serve(t, map[string]http.HandlerFunc{wellknown.Path: func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }})
	if _, err := wellknown.New(wellknown.Config{Timeout: time.Millisecond}).Fetch(t.Context(), base, ""); !errors.Is(err, wellknown.ErrUnreachable) {
		t.Errorf("a silent server: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := wellknown.New(wellknown.Config{}).Fetch(ctx, base, ""); !errors.Is(err, context.Canceled) {
		t.Errorf("given up: %v", err)
	}
	if _, err := wellknown.New(wellknown.Config{}).Fetch(t.Context(), "http://127.0.0.1:1", ""); !errors.Is(err, wellknown.ErrUnreachable) {
		t.Errorf("nobody there: %v", err)
	}
}
