package app_test

import (
	"encoding/json"
	"net/http"
	"net/netip"
	"strings"
	"testing"

	"github.com/bureau-agents/bureau/app"
	"github.com/bureau-agents/bureau/app/apptest"
	"github.com/bureau-agents/bureau/core/validation"
)

// judged is what a validation answers, as far as tests read it.
type judged struct {
	Valid       bool
	Errors      []struct{ Path, Message string }
	Warnings    []struct{ Path, Code string }
	Score       *int
	ReportID    string `json:"report_id"`
	ReportURL   string `json:"report_url"`
	AgentCardID string `json:"agent_card_id"`
	Rate        struct {
		Used, Limit, Remaining int
		Plan                   string
	} `json:"rateLimitInfo"`
}

// goodCard is a valid card.
func goodCard(name string) m {
	return m{
		"protocolVersion": "0.3.0", "name": name, "description": "Plans delivery routes for small fleets, and explains each stop.",
		"url": "https://" + name + ".example.com/a2a", "version": "1", "capabilities": m{}, "defaultInputModes": []string{"text/plain"},
		"defaultOutputModes": []string{"text/plain"}, "skills": []m{{"id": "a", "name": "Plan", "description": "Plans a route.", "tags": []string{"a"}}},
	}
}

func (s *cardServer) validate(t *testing.T, body any) (out judged) {
	t.Helper()
	s.api.In(t).Call("POST", "/v1/validate", body, &out)
	return out
}

type cardServer struct {
	*apptest.Server

	api *apptest.Client
}

// path returns where a report is on the server.
func (s *cardServer) path(j judged) string { return strings.TrimPrefix(j.ReportURL, s.URL) }

func startCards(t *testing.T) *cardServer {
	s := startUnhosted(t, apptest.Config{})
	return &cardServer{s, s.Admin}
}

// TestReports follows a card from its validation to its page, its badges, its history and its end.
func TestReports(t *testing.T) {
	t.Parallel()
	s := startCards(t)
	const secret = "hunter2hunter2"
	bad := goodCard("vega")
	bad["name"], bad["api_key"] = "<script>alert(1)</script> & co", secret
	delete(bad, "version")
	first := s.validate(t, m{"agent_card": bad})
	second := s.validate(t, goodCard("vega")) // the card alone, which now has another name
	if first.Valid || !second.Valid || first.AgentCardID == "" || first.AgentCardID != second.AgentCardID || *first.Score >= *second.Score {
		t.Fatalf("%+v\n%+v", first, second)
	}

	t.Run("page", func(t *testing.T) {
		a := s.As("").In(t).Do("GET", s.path(first), nil)
		page := string(a.Body)
		for _, want := range []string{
			"✗ Invalid", "&lt;script&gt;alert(1)", "version", "A2A 0.3.0, as the card declares", "noindex", "History of this card",
			"/cards/" + first.AgentCardID + "/badge.svg",
		} {
			if !strings.Contains(page, want) {
				t.Errorf("the page lacks %q", want)
			}
		}
		for _, never := range []string{"<script", secret, second.ReportID} {
			if strings.Contains(page, never) {
				t.Errorf("the page shows %q", never)
			}
		}
		for header, want := range map[string]string{
			"Content-Type": "text/html", "Content-Security-Policy": "default-src 'none'", "X-Robots-Tag": "noindex", "Referrer-Policy": "no-referrer",
			"Cache-Control": "private", "X-Content-Type-Options": "nosniff",
		} {
			if got := a.Header.Get(header); !strings.Contains(got, want) {
				t.Errorf("%s is %q", header, got)
			}
		}
	})
	t.Run("json", func(t *testing.T) {
		a := s.As("").In(t).Do("GET", s.path(first)+".json", nil)
		var r struct {
			Valid  bool
			Errors []struct{ Path string }
			Text   string
			Masked int
		}
		if err := json.Unmarshal(a.Body, &r); err != nil || r.Valid || len(r.Errors) != 1 || r.Errors[0].Path != "version" || r.Masked != 1 {
			t.Errorf("%v: %s", err, a.Body)
		}
		if strings.Contains(string(a.Body), secret) || !strings.Contains(r.Text, "••••") {
			t.Errorf("the secret is shown: %s", r.Text)
		}
	})
	t.Run("badges", func(t *testing.T) {
		api := s.As("").In(t)
		for path, want := range map[string]string{
			s.path(first) + "/badge.svg": "agent card: invalid", "/cards/" + first.AgentCardID + "/badge.svg": "agent card: valid",
		} {
			a := api.Do("GET", path, nil)
			if a.Header.Get("Content-Type") != "image/svg+xml" || !strings.Contains(string(a.Body), want) || !strings.HasPrefix(a.Header.Get("Cache-Control"), "public") {
				t.Errorf("%s: %v %s", path, a.Header, a.Body)
			}
			if again := api.Do("GET", path, nil, "If-None-Match: "+a.Header.Get("ETag")); again.Status != http.StatusNotModified || len(again.Body) > 0 {
				t.Errorf("%s again: %d", path, again.Status)
			}
		}
	})
	t.Run("missing", func(t *testing.T) {
		a := s.As("").In(t).Do("GET", "/reports/rpt_1705312200000_abc123", nil, "Accept: text/html")
		if a.Status != 404 || !strings.Contains(string(a.Body), "There is no such report") {
			t.Errorf("%d %s", a.Status, a.Body)
		}
	})
	t.Run("history", func(t *testing.T) {
		api := s.api.In(t)
		var c struct {
			Name    string
			Valid   bool
			Reports int
			Trend   []struct{ Valid bool }
			Newest  string `json:"newest_report_id"`
		}
		api.Call("GET", "/v1/cards/"+first.AgentCardID, nil, &c)
		if c.Name != "vega" || !c.Valid || c.Reports != 2 || len(c.Trend) != 2 || c.Trend[0].Valid || c.Newest != second.ReportID {
			t.Errorf("%+v", c)
		}
		type report struct{ ID string }
		for path, want := range map[string][]report{
			"/v1/cards/" + first.AgentCardID + "/reports": {{second.ReportID}, {first.ReportID}},
			"/v1/card_reports?valid=false":                {{first.ReportID}},
			"/v1/card_reports?version=1.0":                nil,
			"/v1/card_reports?since=2100-01-01T00:00:00Z": nil,
		} {
			if got := apptest.All[report](api, path); len(got)+len(want) > 0 {
				same(t, want, got)
			}
		}
	})
	t.Run("end", func(t *testing.T) {
		api := s.api.In(t)
		api.Call("DELETE", "/v1/card_reports/"+second.ReportID, nil, nil)
		s.As("").In(t).Refuse(404, "GET", s.path(second), nil)
		if a := api.Do("GET", "/cards/"+first.AgentCardID+"/badge.svg", nil); !strings.Contains(string(a.Body), "invalid") {
			t.Errorf("the card's badge does not follow its newest report: %s", a.Body)
		}
		api.Call("DELETE", "/v1/card_reports/"+first.ReportID, nil, nil)
		api.Refuse(404, "GET", "/cards/"+first.AgentCardID+"/badge.svg", nil)
	})
}

// TestValidationOfStrangers: nobody's report is in anybody's list, and its address cannot be used with a key either.
func TestValidationOfStrangers(t *testing.T) {
	t.Parallel()
	s := startCards(t)
	var mine judged
	s.As("").Call("POST", "/v1/validate", goodCard("rigel"), &mine)
	if mine.AgentCardID != "" || mine.ReportID == "" || mine.Rate.Plan != "anonymous" || mine.Rate.Used != 1 {
		t.Fatalf("%+v", mine)
	}
	s.Admin.Refuse(404, "GET", "/v1/card_reports/"+mine.ReportID, nil)
	s.Admin.Refuse(404, "DELETE", "/v1/card_reports/"+mine.ReportID, nil)
	if page := s.As("").Do("GET", s.path(mine), nil); page.Status != 200 || strings.Contains(string(page.Body), "History") {
		t.Errorf("%d %s", page.Status, page.Body)
	}
}

// TestValidationOnce: an Idempotency-Key gives the same report again and counts once; every answer carries the rate headers.
func TestValidationOnce(t *testing.T) {
	t.Parallel()
	s := startCards(t)
	body := m{"agent_card": goodCard("mira")}
	first, again := s.Admin.Do("POST", "/v1/validate", body, "Idempotency-Key: a"), s.Admin.Do("POST", "/v1/validate", body, "Idempotency-Key: a")
	if first.Status != 200 || string(first.Body) != string(again.Body) || again.Header.Get("Idempotent-Replayed") != "true" {
		t.Errorf("%s\n%s", first.Body, again.Body)
	}
	other := s.Admin.Do("POST", "/v1/validate", m{"agent_card": goodCard("mirb")}, "Idempotency-Key: a")
	if other.Status != 409 {
		t.Errorf("the same key with another body: %d", other.Status)
	}
	if next := s.validate(t, body); next.Rate.Used != 2 {
		t.Errorf("%d validations are counted", next.Rate.Used)
	}
	for what, a := range map[string]apptest.Answer{
		"first": first, "again": again, "conflict": other, "bad": s.Admin.Do("POST", "/v1/validate", "{"), "unknown key": s.As("x").Do("POST", "/v1/validate", body),
		"too large": s.Admin.Do("POST", "/v1/validate", seventeenMB), "batch without a key": s.As("").Do("POST", "/v1/validate/batch", body),
		"bad batch": s.Admin.Do("POST", "/v1/validate/batch", "{}"),
	} {
		for _, name := range []string{"X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset"} {
			if a.Header.Get(name) == "" {
				t.Errorf("%s: %d without %s", what, a.Status, name)
			}
		}
	}
}

// TestValidationAddresses: another method of these two addresses, and what is below them, is refused in their words, with the rate headers.
func TestValidationAddresses(t *testing.T) {
	t.Parallel()
	s := startUnhosted(t, apptest.Config{Change: func(c *app.Config) { c.RateLimitScale = new(1.0) }})
	for path, want := range map[string]struct {
		status      int
		code, allow string
	}{
		"/v1/validate": {405, "METHOD_NOT_ALLOWED", "POST"}, "/v1/validate/batch": {405, "METHOD_NOT_ALLOWED", "POST"},
		"/v1/validate/all": {404, "NOT_FOUND", ""}, "/v1/validate/batch/b": {404, "NOT_FOUND", ""},
	} {
		for key, limit := range map[string]string{s.BootstrapKey(): "-1", "": "5"} {
			var out struct{ Error, Code string }
			a := s.As(key).Do("GET", path, nil)
			if err := json.Unmarshal(a.Body, &out); err != nil || a.Status != want.status || out.Error == "" || out.Code != want.code ||
				a.Header.Get("Allow") != want.allow {
				t.Errorf("%s: %d %s, Allow %q", path, a.Status, a.Body, a.Header.Get("Allow"))
			}
			if got := a.Header.Get("X-RateLimit-Limit") + " " + a.Header.Get("X-RateLimit-Remaining"); got != limit+" "+limit || a.Header.Get("X-RateLimit-Reset") == "" {
				t.Errorf("%s with the key %.8q: %s, and the reset %q", path, key, got, a.Header.Get("X-RateLimit-Reset"))
			}
		}
	}
}

// TestRoomForReports: what the operator chooses is what is kept.
func TestRoomForReports(t *testing.T) {
	t.Parallel()
	s := startUnhosted(t, apptest.Config{Change: func(c *app.Config) {
		c.CardReports.Room = validation.Room{Reports: 3, PerCard: 2}
		c.AnonymousCardReports.Room = validation.Room{Reports: 1}
	}})
	var kept []string
	gone := map[int]bool{}
	for _, c := range []struct {
		key, card string
		gone      int // which of those before is gone then, from 1
	}{
		{s.BootstrapKey(), "spica", 0}, {s.BootstrapKey(), "spica", 0}, {s.BootstrapKey(), "spica", 1}, {s.BootstrapKey(), "deneb", 0}, {s.BootstrapKey(), "altair", 2},
		{"", "spica", 0}, {"", "altair", 6},
	} {
		var out judged
		s.As(c.key).Call("POST", "/v1/validate", goodCard(c.card), &out)
		at := strings.TrimPrefix(out.ReportURL, s.URL)
		for i, before := range kept {
			if status := s.As("").Do("GET", before, nil).Status; (status == 404) != (i+1 == c.gone || gone[i]) {
				t.Errorf("%s: the report %d is answered by %d", c.card, i+1, status)
			}
			gone[i] = gone[i] || i+1 == c.gone
		}
		kept = append(kept, at)
	}
	if _, err := app.New(t.Context(), app.Config{DataDir: t.TempDir(), CardReports: app.CardReportsConfig{Keep: -1}}); err == nil ||
		!strings.Contains(err.Error(), "validation: Config.KeepFor is -1ns; it must be from 0 to 87600h0m0s") {
		t.Errorf("%v", err)
	}
}

// TestAllowanceBehindProxies counts the client that a trusted proxy names, and nobody that others do.
func TestAllowanceBehindProxies(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, proxies string
		used          []int // after requests with each of the headers below
	}{
		{"trusted", "127.0.0.0/8", []int{1, 2, 1, 3, 1, 1, 4}},
		{"not trusted", "192.0.2.0/24", []int{1, 2, 3, 4, 5, 0, 0}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := startUnhosted(t, apptest.Config{Change: func(cfg *app.Config) {
				cfg.RateLimitScale, cfg.TrustedProxies = new(1.0), []netip.Prefix{netip.MustParsePrefix(c.proxies)}
			}})
			for i, from := range []string{
				"203.0.113.1", "203.0.113.1", "203.0.113.2", // two clients
				"198.51.100.9, 203.0.113.1",  // the first says to come from elsewhere
				"2001:db8:1:2::1",            // another one
				"", "203.0.113.1, 127.0.0.9", // the proxy by itself; two proxies
			} {
				var out judged
				headers := []string{"X-Forwarded-For: " + from}
				if from == "" {
					headers = nil
				}
				a := s.As("").Do("POST", "/v1/validate", goodCard("proxied"), headers...)
				if err := json.Unmarshal(a.Body, &out); err != nil || out.Rate.Used != c.used[i] || a.Status != map[bool]int{true: 200, false: 429}[c.used[i] > 0] {
					t.Errorf("%d from %q: %d, %d used; want %d (%v)", i, from, a.Status, out.Rate.Used, c.used[i], err)
				}
			}
		})
	}
}

// TestValidationKeepsTheText: what a card says twice, and where, reaches the validator as it was sent.
func TestValidationKeepsTheText(t *testing.T) {
	t.Parallel()
	s := startCards(t)
	out := s.validate(t, `{"agent_card": {"name":"a","name":"b","protocolVersion":"0.3.0"}}`)
	found := false
	for _, w := range out.Warnings {
		found = found || strings.Contains(w.Code, "duplicate")
	}
	if !found {
		t.Errorf("no warning of a key that comes twice: %+v", out.Warnings)
	}
	s.Admin.Refuse(400, "POST", "/v1/validate", `{"agent_card":{},"options":{},"options":{}}`)
}
