package validation

import (
	"fmt"
	"math"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/card"
	"github.com/bureau-agents/bureau/ports/id"
)

func TestMask(t *testing.T) {
	t.Parallel()
	dots := func(n int) string { return strings.Repeat("•", n) }
	jwt := "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.c2lnbmF0dXJlLW9mLWl0"
	for name, c := range map[string]struct{ text, want string }{
		"nothing":           {`{"name":"A","tokenUrl":"https://example.com/token"}`, `{"name":"A","tokenUrl":"https://example.com/token"}`},
		"a scheme":          {`{"apiKey":{"type":"apiKey","in":"header","name":"X-API-Key"}}`, `{"apiKey":{"type":"apiKey","in":"header","name":"X-API-Key"}}`},
		"a sentence":        {`{"credentials":"Ask us for a token."}`, `{"credentials":"Ask us for a token."}`},
		"a telling field":   {`{"api_key": "abc\"def"}`, `{"api_key": "` + dots(8) + `"}`},
		"a field in words":  {`{"my client-secret":"é23456"}`, `{"my client-secret":"` + dots(6) + `"}`},
		"a password":        {`{"url":"https://me:pass@example.com/x"}`, `{"url":"https://me:` + dots(4) + `@example.com/x"}`},
		"a parameter":       {`{"url":"https://example.com/?a=1&api_key=12345#x"}`, `{"url":"https://example.com/?a=1&api_key=` + dots(5) + `#x"}`},
		"a header":          {`{"description":"send Bearer abcdefghijklmnop12"}`, `{"description":"send Bearer ` + dots(18) + `"}`},
		"a known key":       {`{"x":"AKIAABCDEFGHIJKLMNOP"}`, `{"x":"` + dots(20) + `"}`},
		"a web token":       {`{"x":"` + jwt + `"}`, `{"x":"` + dots(len(jwt)) + `"}`},
		"a card signature":  {`{"signatures":[{"protected":"eyJhbGciOiJFUzI1NiJ9","signature":"QmFzZTY0"}]}`, `{"signatures":[{"protected":"eyJhbGciOiJFUzI1NiJ9","signature":"QmFzZTY0"}]}`},
		"two shapes in one": {`{"token":"Bearer:sk-abcdefghij0123456789"}`, `{"token":"` + dots(30) + `"}`},
	} {
		if got := Mask(c.text, card.Result{}); got.Text != c.want {
			t.Errorf("%s: %s; want %s", name, got.Text, c.want)
		}
	}
	pem := `{"x":"-----BEGIN PRIVATE KEY-----\nabc\n"}`
	if got := Mask(pem, card.Result{}).Text; strings.Contains(got, "abc") {
		t.Errorf("a private key is shown: %s", got)
	}
}

// TestMaskFindings masks what findings about secrets point to, a member by its value, and nothing for other findings.
func TestMaskFindings(t *testing.T) {
	t.Parallel()
	const text = `{"a":"plain one","b" : "plain two","c":"plain three"}`
	at := func(code, part string) card.Finding {
		return card.Finding{Code: code, Offset: strings.Index(text, part)}
	}
	found := card.Result{
		Errors:   []card.Finding{at("type", `"plain three"`)},
		Warnings: []card.Finding{at("secret", `"plain one"`), at("secret", `"b"`), {Code: "secret", Offset: 10_000}},
		Name:     "plain two and more",
	}
	m := Mask(text, found)
	if want := `{"a":"•••••••••","b" : "•••••••••","c":"plain three"}`; m.Text != want {
		t.Errorf("%s; want %s", m.Text, want)
	}
	if got := m.result(found).Name; got != "••• and more" {
		t.Errorf("a name shows the secret: %s", got)
	}
}

// TestMaskOfVeryManySecrets tells nothing that may hold one of them, and does not look for each.
func TestMaskOfVeryManySecrets(t *testing.T) {
	t.Parallel()
	var text strings.Builder
	for i := range 2000 {
		fmt.Fprintf(&text, `{"api_key":"secret-%06d"}`, i)
	}
	m := Mask(text.String(), card.Result{})
	if got := m.result(card.Result{Name: "secret-001999"}).Name; strings.Contains(got, "secret") || strings.Contains(m.Text, "secret-") {
		t.Errorf("a name shows the secret: %s", got)
	}
	if got := m.result(card.Result{}).Name; got != "" {
		t.Errorf("a card without a name is called %q", got)
	}
}

func TestKeptIsBounded(t *testing.T) {
	t.Parallel()
	var found card.Result
	for range MaxKeptFindings + 5 {
		found.Errors = append(found.Errors, card.Finding{Path: strings.Repeat("é", 2000), Message: "a\x00b\xff"})
	}
	kept := Masked{}.result(found)
	if len(kept.Errors) != MaxKeptFindings {
		t.Errorf("%d errors are kept", len(kept.Errors))
	}
	if e := kept.Errors[0]; len(e.Path) > maxKeptText+4 || e.Message != "a\uFFFDb\uFFFD" {
		t.Errorf("kept: %d bytes, %q", len(e.Path), e.Message)
	}
	if len(found.Errors[0].Path) != 4000 {
		t.Error("the caller's own result has changed")
	}
}

func TestSpelling(t *testing.T) {
	t.Parallel()
	ids := id.NewGenerator(time.Now)
	at := time.UnixMilli(1705312200000)
	seen := make(map[string]bool)
	for range 100 {
		r := secretID[id.CardReportKind](ids)
		s := SpellReport(r, at)
		if len(s) != len("rpt_1705312200000_")+base36 || !strings.HasPrefix(s, "rpt_1705312200000_") || seen[s] {
			t.Fatalf("spelled %q", s)
		}
		seen[s] = true
		for _, spelled := range []string{s, r.String(), r.UUID().String()} {
			if got, err := ParseReport(spelled); err != nil || got != r {
				t.Errorf("%q: %v, %v", spelled, got, err)
			}
		}
	}
	b := secretID[id.CardBatchKind](ids)
	if got, err := ParseBatch(SpellBatch(b, at)); err != nil || got != b {
		t.Errorf("batch: %v, %v", got, err)
	}
	for _, bad := range []string{
		"", "rpt_", "rpt_1705312200000_abc123", "batch_1705312200000_" + strings.Repeat("0", 24) + "1", "rpt_170531220000x_" + strings.Repeat("1", 25),
		"rpt_1705312200000_" + strings.Repeat("z", 25), "rpt_1705312200000_" + strings.Repeat("0", 25), "rpt_1705312200000_" + strings.Repeat("A", 25),
	} {
		if _, err := ParseReport(bad); err == nil {
			t.Errorf("%q is the id of a report", bad)
		}
	}
}

func TestSubject(t *testing.T) {
	t.Parallel()
	by := func(s string) string { return Caller{Addr: netip.MustParseAddr(s)}.subject() }
	for _, same := range [][2]string{{"192.0.2.1", "::ffff:192.0.2.1"}, {"2001:db8:1:2::1", "2001:db8:1:2:ffff::9"}, {"fe80::1%eth0", "fe80::2%eth1"}} {
		if by(same[0]) != by(same[1]) {
			t.Errorf("%s and %s count apart", same[0], same[1])
		}
	}
	for _, apart := range [][2]string{{"192.0.2.1", "192.0.2.2"}, {"2001:db8:1:2::1", "2001:db8:1:3::1"}} {
		if by(apart[0]) == by(apart[1]) {
			t.Errorf("%s and %s count together", apart[0], apart[1])
		}
	}
	ids := id.NewGenerator(time.Now)
	tenant := Caller{Scope: account.System(id.New[id.TenantKind](ids)), Addr: netip.MustParseAddr("192.0.2.1")}
	if again := (Caller{Scope: tenant.Scope, Addr: netip.MustParseAddr("192.0.2.9")}); tenant.subject() != again.subject() {
		t.Error("a tenant counts by address")
	}
	if tenant.subject() == by("192.0.2.1") {
		t.Error("a tenant and an address count together")
	}
}

func TestLimit(t *testing.T) {
	t.Parallel()
	free := Caller{Scope: account.Scope{Tenant: id.New[id.TenantKind](id.NewGenerator(time.Now)), Plan: account.PlanFree}}
	team := free
	team.Scope.Plan = account.PlanTeam
	for _, c := range []struct {
		caller Caller
		scale  float64
		want   int
	}{
		{Caller{}, 1, 5}, {free, 1, 10}, {team, 1, -1}, {Caller{}, 0, -1}, {free, 0, -1}, {free, 2.5, 25}, {Caller{}, 0.01, 1}, {team, 0.01, -1},
	} {
		s := &Service{c: Config{RateScale: c.scale}}
		if got := s.limit(c.caller); got != c.want {
			t.Errorf("%s at %g: %d, want %d", c.caller.plan(), c.scale, got, c.want)
		}
	}
}

func TestIdentity(t *testing.T) {
	t.Parallel()
	a := identity(card.Result{Name: "A", URL: "https://example.com"})
	for name, c := range map[string]struct {
		r    card.Result
		same bool
	}{
		"renamed":     {card.Result{Name: "B", URL: "https://example.com"}, true},
		"moved":       {card.Result{Name: "A", URL: "https://example.org"}, false},
		"without url": {card.Result{Name: "A"}, false},
		"url as name": {card.Result{Name: "https://example.com"}, false},
	} {
		if got := identity(c.r) == a; got != c.same {
			t.Errorf("%s: same %t", name, got)
		}
	}
}

func TestConfig(t *testing.T) {
	t.Parallel()
	if err := (Config{}).withDefaults().check(); err != nil {
		t.Errorf("the default: %v", err)
	}
	if err := (Config{KeepFor: MaxKeepFor, KeepAnonymous: time.Second, Room: MaxRoom, RoomAnonymous: Room{1, 1, 1}}).check(); err != nil {
		t.Errorf("the bounds: %v", err)
	}
	for want, c := range map[string]Config{
		"validation: Config.RateScale is -1; it must not be negative":              {RateScale: -1},
		"validation: Config.RateScale is NaN; it must not be negative":             {RateScale: math.NaN()},
		"validation: Config.KeepFor is -1s; it must be from 0 to 87600h0m0s":       {KeepFor: -time.Second},
		"Config.KeepAnonymous is 87600h0m1s; it must be":                           {KeepAnonymous: MaxKeepFor + time.Second},
		"validation: Config.Room.Reports is -1; it must be from 1 to 10000000":     {Room: Room{Reports: -1}},
		"Config.Room.PerCard is 10001; it must be from 1 to 10000":                 {Room: Room{PerCard: MaxRoom.PerCard + 1}},
		"Config.RoomAnonymous.Bytes is 1099511627777; it must be from 1 to 109951": {RoomAnonymous: Room{Bytes: MaxRoom.Bytes + 1}},
	} {
		if err := c.withDefaults().check(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v; want %q", err, want)
		}
	}
}
